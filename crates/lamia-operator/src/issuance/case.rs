//! One certificate's case: what is wanted, what is in hand, what is recorded, and what only this process knows.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lamia_api::host::{CertificateStatus, KeyAlgorithm};
use lamia_api::host_certificate::{HostCertificate, HostCertificateSpec, HostCertificateStatus};
use lamia_core::cert::checks::{Flaw, Held, InHand, Wanted, first_flaw};
use lamia_core::cert::gate::{Fact, Gate};
use lamia_core::cert::renewal::Window;
use lamia_core::cert::step::SeenOrder;
use lamia_core::host::reason::{Because, CertificateReason, ConditionReason};
use lamia_core::name::{HostName, NameError};
use lamia_providers::secret::Secret;

use super::book::Book;
use super::edges::{Owner, Version};
use super::key::PublicKey;

/// What a HostCertificate asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The names, in the order of the spec.
    pub names: Vec<HostName>,
    /// Name of the issuer.
    pub issuer: String,
    /// The key's algorithm.
    pub algorithm: KeyAlgorithm,
    /// The CA's profile; `None` is the issuer's.
    pub profile: Option<String>,
}

impl Request {
    /// Reads a spec.
    ///
    /// # Errors
    /// [`NameError`] when a name is none.
    pub fn read(spec: &HostCertificateSpec) -> Result<Self, NameError> {
        Ok(Self {
            names: spec.dns_names.iter().map(|name| HostName::parse(name)).collect::<Result<_, _>>()?,
            issuer: spec.issuer_ref.name.clone(),
            algorithm: spec.key_algorithm,
            profile: spec.profile.clone(),
        })
    }

    /// The names as a set.
    #[must_use]
    pub fn name_set(&self) -> BTreeSet<HostName> {
        self.names.iter().cloned().collect()
    }
}

/// What is in the master Secret, as last seen or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretState {
    /// The certificate.
    pub in_hand: InHand,
    /// The pending key.
    pub pending: Option<PublicKey>,
    /// The Secret's version.
    pub version: Version,
}

impl Default for SecretState {
    fn default() -> Self {
        Self { in_hand: InHand::Nothing, pending: None, version: Version::default() }
    }
}

/// What was last asked of the zone workers in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    #[default]
    Nothing,
    /// To publish the recorded values.
    Publish,
    /// To withdraw them.
    Withdraw,
}

/// What does not outlive the process, and need not: see the theory in [`lamia_core::cert::step`].
#[derive(Clone, Default)]
pub struct Memory {
    /// The order as last looked at.
    pub order: Option<SeenOrder>,
    /// The order will not lead to a certificate.
    pub given_up: bool,
    /// The order named a certificate that it replaces, so it costs no budget.
    pub exempt: bool,
    /// What was asked of the zone workers.
    pub asked: Asked,
    /// Whether an attempt may be spent.
    pub gate: Option<Gate>,
    /// The last CAA look-up, and when it was made.
    pub caa: Option<(Fact, Timestamp)>,
    /// No attempt, and no word to the CA, before.
    pub hold: Option<Timestamp>,
    /// Requests to the CA that failed in a row for want of an answer.
    pub unanswered: u32,
    /// Writes to or reads from the API server that failed in a row.
    pub store_failures: u32,
    /// The pending key; read back from the Secret when it is not here.
    pub key: Option<Secret>,
    /// The next order does not name what it replaces: the CA did not want to hear of that, or stumbled over it.
    pub omits_replaces: bool,
    /// The last failure, until something succeeds.
    pub trouble: Option<Because<CertificateReason>>,
    /// What the CA advises about renewal.
    pub window: Option<Window>,
    /// When to ask for that advice next.
    pub ask_again: Option<Timestamp>,
    /// The reason that should stand in the status and does not, or not with all that belongs to it, and since when.
    pub unwritten: Option<(CertificateReason, Timestamp)>,
}

/// What a turn works on, and gives back.
#[derive(Clone)]
pub struct Case {
    /// The HostCertificate.
    pub owner: Owner,
    /// Its generation.
    pub generation: Option<i64>,
    /// What it asks for.
    pub request: Request,
    /// Whether somebody needs it and it is not being deleted.
    pub is_needed: bool,
    /// What is in the master Secret.
    pub secret: SecretState,
    /// What the status should say of orders and attempts.
    pub book: Book,
    /// The status as last read or written.
    pub written: HostCertificateStatus,
    /// What only this process knows.
    pub memory: Memory,
}

impl Case {
    /// The case of an object that is seen for the first time.
    ///
    /// # Errors
    /// [`NameError`] when a name in the spec is none.
    pub fn open(object: &HostCertificate) -> Result<Self, NameError> {
        let meta = &object.metadata;
        let written = object.status.clone().unwrap_or_default();
        let book = Book::read(&written);
        let memory = Memory { hold: book.retry_after, trouble: last_trouble(&book, &written), ..Memory::default() };
        Ok(Self {
            owner: Owner { name: meta.name.clone().unwrap_or_default(), uid: meta.uid.clone().unwrap_or_default() },
            generation: meta.generation,
            request: Request::read(&object.spec)?,
            is_needed: false,
            secret: SecretState::default(),
            book,
            written,
            memory,
        })
    }

    /// The certificate in hand, whatever its flaws.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        match &self.secret.in_hand {
            InHand::Certificate(held) => Some(held),
            InHand::Nothing | InHand::Unreadable => None,
        }
    }

    /// The first flaw of what is in hand. `directory` is the issuer's, if it is known.
    #[must_use]
    pub fn flaw(&self, directory: Option<&str>, now: Timestamp) -> Option<Flaw> {
        first_flaw(&self.secret.in_hand, &self.wanted(directory), now)
    }

    /// What is wanted of a certificate.
    #[must_use]
    pub fn wanted(&self, directory: Option<&str>) -> Wanted {
        Wanted {
            names: self.request.name_set(),
            algorithm: self.request.algorithm,
            directory: directory.map(str::to_owned),
        }
    }

    /// When the certificate in hand is to be renewed: by the CA's advice, else as the status says from before a start, else by its life.
    #[must_use]
    pub fn renew_at(&self) -> Option<Timestamp> {
        let leaf = &self.held()?.leaf;
        let remembered = self.written_current(&leaf.sha256).and_then(|current| current.renew_at.as_ref()?.parse().ok());
        let remembered = remembered.filter(|at| (leaf.validity.not_before..leaf.validity.not_after).contains(at));
        match (self.memory.window, remembered) {
            (None, Some(remembered)) => Some(remembered),
            (window, _) => Some(super::book::whole_seconds(leaf.validity.renew_at(window, seed(&leaf.serial)))),
        }
    }

    /// What the status says of this very certificate.
    #[must_use]
    pub fn written_current(&self, sha256: &str) -> Option<&CertificateStatus> {
        self.written.current.as_ref().filter(|current| current.sha256.as_deref() == Some(sha256))
    }
}

/// After a start, a failure that still holds attempts back goes on explaining why.
fn last_trouble(book: &Book, status: &HostCertificateStatus) -> Option<Because<CertificateReason>> {
    book.retry_after?;
    let condition = status.conditions.iter().find(|condition| condition.type_ == lamia_api::condition::READY)?;
    let reason = CertificateReason::parse(&condition.reason)?;
    (!matches!(reason, CertificateReason::Issued | CertificateReason::Ordering))
        .then(|| Because::new(reason, book.last_error.clone().unwrap_or_else(|| condition.message.clone())))
}

/// A number of the certificate's own, from its serial number or name: spreads pauses and picks, the same after every start.
#[must_use]
pub fn seed(text: &str) -> u64 {
    // FNV-1a: spread is all that is asked of it.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
