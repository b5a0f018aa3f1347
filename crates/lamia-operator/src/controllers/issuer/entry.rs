//! One ACMEIssuer: its spec, and the account that was opened for it.
//!
//! | what changed | the account that is open |
//! |---|---|
//! | nothing but the status | stays |
//! | the spec or a credential | stays in use until the new one is open; it goes on where that fails |
//! | the CA says that it does not know it | goes; a new one is opened, if that did not happen within the hour |
//! | the spec names another directory, or what is not supported | goes at once: it is not what is asked for any more |

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lamia_api::issuer::{ACMEIssuer, ACMEIssuerSpec, ACMEIssuerStatus};
use lamia_core::host::reason::{Because, CertificateReason};
use lamia_providers::acme::AcmeAccount;

use super::report::{Trouble, supported};
use crate::issuance::Issuer;

/// A CA that forgets an account again within this time is not asked for another one.
const FORGETS_AT_MOST: SignedDuration = SignedDuration::from_hours(1);

/// One ACMEIssuer.
#[derive(Clone)]
pub(super) struct Entry {
    /// The object's generation.
    pub(super) generation: i64,
    /// As written.
    pub(super) spec: Arc<ACMEIssuerSpec>,
    /// Its status as last seen in the cluster.
    pub(super) status: Arc<ACMEIssuerStatus>,
    /// The account that is in use.
    pub(super) account: Option<Arc<dyn AcmeAccount>>,
    /// Why the account could not be opened, or not anew.
    pub(super) trouble: Option<Trouble>,
    /// Tries in a row that failed.
    pub(super) failures: u32,
    /// How often spec or credentials changed; what was opened before the last time is out of date.
    pub(super) revision: u64,
    /// The revision that `account` was opened for.
    opened: Option<u64>,
    /// When the CA last forgot an account of this issuer.
    forgotten: Option<Timestamp>,
}

impl Entry {
    /// Reads the object. What is known of the account stands as far as the table says.
    pub(super) fn of(object: &ACMEIssuer, earlier: Option<Self>) -> Self {
        let generation = object.metadata.generation.unwrap_or_default();
        let status = Arc::new(object.status.clone().unwrap_or_default());
        let spec = Arc::new(object.spec.clone());
        match earlier {
            Some(earlier) if earlier.generation == generation => Self { status, ..earlier },
            Some(earlier) => {
                let is_kept = earlier.spec.directory == spec.directory && supported(&spec).is_ok();
                let mut entry = Self { generation, spec, status, ..earlier };
                entry.account = entry.account.filter(|_| is_kept);
                entry.open_anew();
                entry
            }
            None => Self {
                generation,
                spec,
                status,
                account: None,
                trouble: None,
                failures: 0,
                revision: 0,
                opened: None,
                forgotten: None,
            },
        }
    }

    /// What the account was opened with has changed.
    pub(super) fn open_anew(&mut self) {
        self.revision += 1;
        (self.trouble, self.failures) = (None, 0);
    }

    /// The CA does not know the account of this URI. Says whether another one is to be opened: not if it was another account
    /// than the one in use, and not soon after the last time (what follows then is the certificates' own, slower pace).
    pub(super) fn forgotten(&mut self, uri: &str, now: Timestamp) -> bool {
        let is_ours = self.account.as_ref().is_some_and(|account| account.uri() == uri);
        let is_again = self.forgotten.is_some_and(|before| now.duration_since(before) < FORGETS_AT_MOST);
        if !is_ours || is_again {
            return false;
        }
        (self.account, self.forgotten) = (None, Some(now));
        self.open_anew();
        true
    }

    /// Whether the account in use was opened for what is there now.
    pub(super) fn is_open(&self) -> bool {
        self.account.is_some() && self.opened == Some(self.revision)
    }

    /// An account was opened for that revision, or could not be; one for an older revision than what is in use is dropped.
    pub(super) fn came_to(&mut self, revision: u64, opened: Result<Arc<dyn AcmeAccount>, Trouble>) {
        match opened {
            Ok(account) if self.opened.is_none_or(|before| before <= revision) => {
                (self.account, self.opened) = (Some(account), Some(revision));
                (self.trouble, self.failures) = (None, 0);
            }
            Ok(_) => {}
            Err(trouble) => {
                self.trouble = Some(trouble);
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// The issuer as certificates use it, or why they can't.
    pub(super) fn issuer(&self, name: &str) -> Result<Issuer, Because<CertificateReason>> {
        let Some(account) = &self.account else {
            let text = match &self.trouble {
                Some(trouble) => format!("ACMEIssuer {name}: {}", trouble.message),
                None => format!("waits for ACMEIssuer {name} to open its account"),
            };
            return Err(Because::new(CertificateReason::IssuerNotReady, text));
        };
        Ok(Issuer {
            account: account.clone(),
            directory: self.spec.directory.clone(),
            profile: self.spec.profile.clone(),
            limits: self.spec.limits.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::issuance::testing::World;

    fn object(generation: i64, spec: Value) -> ACMEIssuer {
        let mut whole = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer",
            "metadata": {"name": "ca", "generation": generation}, "spec": {"directory": "https://ca.example/directory"},
        });
        for (field, value) in spec.as_object().expect("fields") {
            whole["spec"][field] = value.clone();
        }
        serde_json::from_value(whole).expect("an ACMEIssuer")
    }

    /// An account; each is another one.
    fn account() -> Arc<dyn AcmeAccount> {
        World::new()
    }

    fn open(account: &Arc<dyn AcmeAccount>) -> Entry {
        let mut entry = Entry::of(&object(1, json!({})), None);
        entry.came_to(0, Ok(account.clone()));
        assert!(entry.is_open());
        entry
    }

    fn is_used(entry: &Entry, account: &Arc<dyn AcmeAccount>) -> bool {
        entry.issuer("ca").is_ok_and(|issuer| Arc::ptr_eq(&issuer.account, account))
    }

    fn down() -> Trouble {
        Trouble::passing("CAUnavailable", "the CA fails")
    }

    #[test]
    fn the_old_account_is_in_use_until_the_new_one_is_open() {
        let (old, new) = (account(), account());
        let mut entry = Entry::of(&object(2, json!({"email": "ops@example.org"})), Some(open(&old)));
        assert!(is_used(&entry, &old) && !entry.is_open());

        entry.came_to(1, Err(down()));
        assert!(is_used(&entry, &old), "renewals go on while the CA does not answer");
        assert_eq!((entry.trouble.clone(), entry.failures), (Some(down()), 1));

        entry.came_to(1, Ok(new.clone()));
        assert!(is_used(&entry, &new) && entry.is_open() && entry.trouble.is_none());
    }

    #[test]
    fn a_credential_that_changes_while_an_account_is_opened_is_not_missed() {
        let (old, late, new) = (account(), account(), account());
        let mut entry = open(&old);
        entry.open_anew();
        let under_way = entry.revision;
        entry.open_anew();
        entry.came_to(under_way, Ok(late.clone()));
        assert!(is_used(&entry, &late) && !entry.is_open(), "used, and to be opened anew");
        entry.came_to(entry.revision, Ok(new.clone()));
        entry.came_to(under_way, Ok(late));
        assert!(is_used(&entry, &new) && entry.is_open(), "an older one never comes back");
    }

    #[test]
    fn an_account_that_is_not_what_is_asked_for_goes_at_once() {
        let old = account();
        for spec in [json!({"directory": "https://other.example/directory"}), json!({"preferredChain": "X1"})] {
            let entry = Entry::of(&object(2, spec), Some(open(&old)));
            let because = entry.issuer("ca").err().expect("no account");
            assert_eq!(because.reason, CertificateReason::IssuerNotReady);
        }
    }

    #[test]
    fn an_account_that_the_ca_forgot_is_opened_anew_once_an_hour() {
        let old = account();
        let (mut entry, now) = (open(&old), Timestamp::UNIX_EPOCH);
        assert!(!entry.forgotten("https://ca.example/account/older", now) && is_used(&entry, &old), "not this one");
        assert!(entry.forgotten(old.uri(), now) && entry.issuer("ca").is_err());
        assert!(!entry.forgotten(old.uri(), now), "many certificates hear it at once");

        let new = account();
        entry.came_to(entry.revision, Ok(new.clone()));
        assert!(entry.is_open());
        let soon = now + FORGETS_AT_MOST - SignedDuration::from_secs(1);
        assert!(!entry.forgotten(new.uri(), soon) && is_used(&entry, &new), "no account after another");
        assert!(entry.forgotten(new.uri(), now + FORGETS_AT_MOST));
    }

    #[test]
    fn a_new_status_changes_nothing() {
        let old = account();
        let entry = Entry::of(&object(1, json!({})), Some(open(&old)));
        assert!(is_used(&entry, &old) && entry.is_open());
    }
}
