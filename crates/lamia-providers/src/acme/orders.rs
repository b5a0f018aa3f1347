//! Orders as the library holds them, remembered between two calls.
//!
//! A challenge can be answered, a CSR sent and a chain fetched only through an order object, and to get one costs a
//! request. So the last object of each order is kept. Correctness never depends on it: what is not here is read again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use instant_acme::Order;

/// More are never on their way at once; forgetting one costs a request.
const CAPACITY: usize = 1024;

/// Order objects by their URL.
#[derive(Default)]
pub(super) struct Orders(Mutex<HashMap<String, Order>>);

impl Orders {
    /// Takes the object out. Two calls about one order at a time: the second finds none, and reads its own.
    pub(super) fn take(&self, url: &str) -> Option<Order> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(url)
    }

    /// Keeps the object for the next call.
    pub(super) fn keep(&self, order: Order) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= CAPACITY {
            orders.clear();
        }
        orders.insert(order.url().to_owned(), order);
    }
}
