//! A guarded ACME account. One line a method; a new method of the trait can't be forgotten.
//!
//! Here it is also heard that the CA knows the account no more (`accountDoesNotExist`, RFC 8555 §6.7), whichever call it was.

use std::sync::Arc;

use async_trait::async_trait;
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::order::OrderSnapshot;
use lamia_providers::acme::{AcmeAccount, AcmeError, DirectoryInfo, NewOrder, RenewalWindow};

use super::Outward;

pub(super) struct Guarded {
    pub(super) outward: Outward,
    pub(super) account: Arc<dyn AcmeAccount>,
    pub(super) forgotten: Box<dyn Fn() + Send + Sync>,
}

impl Guarded {
    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, AcmeError>>,
    ) -> Result<T, AcmeError> {
        let result = self.outward.acme(operation, call).await;
        if let Err(AcmeError::Problem { problem, .. }) = &result
            && problem.kind == "accountDoesNotExist"
        {
            (self.forgotten)();
        }
        result
    }
}

#[async_trait]
impl AcmeAccount for Guarded {
    fn directory(&self) -> &DirectoryInfo {
        self.account.directory()
    }

    fn uri(&self) -> &str {
        self.account.uri()
    }

    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        self.call("new_order", self.account.new_order(order)).await
    }

    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        self.call("read_order", self.account.order(url)).await
    }

    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        self.call("accept_challenge", self.account.accept(order_url, challenge_url)).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        self.call("finalize", self.account.finalize(order_url, csr_der)).await
    }

    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        self.call("download_certificate", self.account.certificate(order_url)).await
    }

    async fn renewal_window(&self, certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError> {
        self.call("read_renewal_window", self.account.renewal_window(certificate)).await
    }
}
