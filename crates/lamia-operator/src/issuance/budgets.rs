//! The budgets of every issuer's account, shared by all certificates under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lamia_api::issuer::{BudgetStatus, Limits};
use lamia_core::cert::budget::{Allowance, Ask, History, Ledger};
use lamia_core::name::Fqdn;

/// One [`Ledger`] per issuer, by name.
#[derive(Debug, Default)]
pub struct Budgets {
    ledgers: Mutex<BTreeMap<String, Account>>,
}

#[derive(Debug)]
struct Account {
    limits: Option<Limits>,
    ledger: Ledger,
}

impl Budgets {
    /// Rebuilds the budgets of one issuer from what the HostCertificates record. To be done before its first order, and
    /// whenever its limits change.
    pub fn rebuild<'a>(&self, issuer: &str, limits: Option<&Limits>, histories: impl IntoIterator<Item = History<'a>>) {
        let account = Account { limits: limits.cloned(), ledger: Ledger::rebuild(limits, histories) };
        self.lock().insert(issuer.to_owned(), account);
    }

    /// Whether the budgets of the issuer were built with these limits.
    #[must_use]
    pub fn are_built(&self, issuer: &str, limits: Option<&Limits>) -> bool {
        self.lock().get(issuer).is_some_and(|account| account.limits.as_ref() == limits)
    }

    /// Whether this order may be placed now.
    #[must_use]
    pub fn allowance(&self, issuer: &str, ask: Ask<'_>, now: Timestamp) -> Allowance {
        self.lock().get(issuer).map_or(Allowance::Now, |account| account.ledger.allowance(ask, now))
    }

    /// Takes what an order costs if it may be placed now; otherwise takes nothing and says when. One step, so that orders
    /// under way at the same time see each other.
    pub fn take(&self, issuer: &str, ask: Ask<'_>, now: Timestamp) -> Allowance {
        let mut ledgers = self.lock();
        let Some(account) = ledgers.get_mut(issuer) else { return Allowance::Now };
        let allowance = account.ledger.allowance(ask, now);
        if allowance == Allowance::Now {
            account.ledger.order_placed(ask, now);
        }
        allowance
    }

    /// The CA took the order.
    pub fn order_taken(&self, issuer: &str) {
        self.change(issuer, Ledger::taken);
    }

    /// The order came to nothing.
    pub fn order_failed(&self, issuer: &str, ask: Ask<'_>) {
        self.change(issuer, |ledger| ledger.order_failed(ask));
    }

    /// The CA answered `rateLimited`.
    pub fn refused(&self, issuer: &str, until: Timestamp) {
        self.change(issuer, |ledger| ledger.refused(until));
    }

    /// Validations of these names failed.
    pub fn validation_failed(&self, issuer: &str, names: impl IntoIterator<Item = Fqdn>, at: Timestamp) {
        self.change(issuer, |ledger| ledger.validation_failed(names, at));
    }

    /// The scarce ones, for the ACMEIssuer's status; `None` before they are rebuilt: then nothing is known of them.
    #[must_use]
    pub fn scarce(&self, issuer: &str, now: Timestamp) -> Option<Vec<BudgetStatus>> {
        let mut ledgers = self.lock();
        let account = ledgers.get_mut(issuer)?;
        account.ledger.prune(now);
        Some(account.ledger.scarce(now))
    }

    fn change(&self, issuer: &str, change: impl FnOnce(&mut Ledger)) {
        if let Some(account) = self.lock().get_mut(issuer) {
            change(&mut account.ledger);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
