//! A world in memory for tests: an API server's store, a CA that issues real certificates, zones, CAA, and a clock. Every
//! word that goes through an edge counts as one pass of the [`Tripwire`], which can kill the process or lose an answer there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lamia_api::common::{IssuerKind, IssuerRef};
use lamia_api::host::KeyAlgorithm;
use lamia_api::host_certificate::ChallengeRecord;
use lamia_api::issuer::Limits;
use lamia_api::{HostCertificate, HostCertificateSpec, HostCertificateStatus};
use lamia_core::cert::caa::CaaVerdict;
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::gate::Fact;
use lamia_core::cert::order::{AcmeProblem, Authorization, Dns01, OrderSnapshot, OrderStatus, ValidationStatus};
use lamia_core::host::reason::{Because, CertificateReason};
use lamia_core::name::{Fqdn, HostName};
use lamia_providers::acme::{AcmeAccount, AcmeError, DirectoryInfo, NewOrder, RenewalWindow};
use lamia_providers::error::{ErrorKind, ProviderError};
use lamia_providers::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use tokio::sync::Notify;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::*;
use crate::clock::Clock;

mod ca;
mod dns;
mod store;

pub(crate) use ca::OneIssuer;

pub(crate) const DIRECTORY: &str = "https://ca.example/directory";
pub(crate) const ISSUER: &str = "letsencrypt";

/// What happens at a pass of the tripwire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process dies before the word goes out.
    CrashBefore,
    /// The word is heard and acted on; the process dies before the answer.
    CrashAfter,
    /// The word is heard and acted on; the answer is lost, the process lives.
    AnswerLost,
    /// The word is lost, the process lives.
    RequestLost,
}

/// Counts the words that go through the edges, and trips at one of them.
#[derive(Default)]
pub(crate) struct Tripwire {
    passes: AtomicU64,
    set: Mutex<Option<(u64, Fate)>>,
    tripped_at: Mutex<Option<String>>,
    died: Notify,
}

impl Tripwire {
    pub(crate) fn set(&self, at: u64, fate: Fate) {
        *self.set.lock().expect("nobody panicked") = Some((at, fate));
    }

    /// Which word it tripped at.
    pub(crate) fn tripped_at(&self) -> Option<String> {
        self.tripped_at.lock().expect("nobody panicked").clone()
    }

    /// Resolves when the process is to die.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Passes a word through.
    async fn pass<T, E>(
        &self,
        what: &str,
        act: impl FnOnce() -> Result<T, E>,
        lost: impl FnOnce() -> E,
    ) -> Result<T, E> {
        tokio::task::yield_now().await;
        let pass = self.passes.fetch_add(1, Ordering::SeqCst);
        let fate = self.set.lock().expect("nobody panicked").filter(|(at, _)| *at == pass).map(|(_, fate)| fate);
        let Some(fate) = fate else { return act() };
        *self.tripped_at.lock().expect("nobody panicked") = Some(what.to_owned());
        match fate {
            Fate::RequestLost => Err(lost()),
            Fate::AnswerLost => {
                drop(act());
                Err(lost())
            }
            Fate::CrashBefore | Fate::CrashAfter => {
                if fate == Fate::CrashAfter {
                    drop(act());
                }
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// The whole world. Its parts share one lock, as nothing here is meant to be fast.
pub(crate) struct World {
    pub(crate) trip: Tripwire,
    state: Mutex<State>,
}

/// A HostCertificate's Secret.
#[derive(Clone, Default)]
pub(crate) struct StoredSecret {
    pub(crate) chain: Option<String>,
    pub(crate) key: Option<Secret>,
    pub(crate) pending: Option<Secret>,
    pub(crate) directory: Option<String>,
    pub(crate) version: u64,
}

/// An order at the CA.
pub(crate) struct CaOrder {
    pub(crate) order: NewOrder,
    pub(crate) status: OrderStatus,
    pub(crate) told: BTreeSet<usize>,
    pub(crate) finalizes: u32,
    pub(crate) problem: Option<AcmeProblem>,
    pub(crate) expires: Timestamp,
    chain: Option<String>,
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    versions: u64,
    pub(crate) objects: BTreeMap<String, HostCertificate>,
    pub(crate) secrets: BTreeMap<String, StoredSecret>,
    pub(crate) status_writes: u32,
    pub(crate) secret_writes: u32,
    pub(crate) other_writes: Vec<&'static str>,
    pub(crate) certificates: BTreeSet<String>,
    pub(crate) api_is_down: bool,
    // The CA.
    ca_key: KeyPair,
    ca: CertificateParams,
    serials: u64,
    pub(crate) orders: Vec<CaOrder>,
    pub(crate) ca_life: SignedDuration,
    pub(crate) ca_problem: Option<(AcmeProblem, u16)>,
    pub(crate) ca_is_down: bool,
    /// What the CA says of orders that name what they replace.
    pub(crate) ca_on_replaces: Option<(&'static str, u16)>,
    pub(crate) fails_validation: Option<&'static str>,
    pub(crate) renewal_window: Option<(Timestamp, Timestamp)>,
    pub(crate) issuer_ready: bool,
    pub(crate) limits: Option<Limits>,
    // DNS.
    pub(crate) txt: BTreeSet<(String, String)>,
    wishes: BTreeMap<String, (bool, Vec<ChallengeRecord>)>,
    pub(crate) dns_is_stuck: bool,
    /// Where every challenge's name leads, as an alias.
    pub(crate) alias: Option<Fqdn>,
    pub(crate) zone_ready: bool,
    pub(crate) challenge_is_taken: bool,
    pub(crate) delegated: bool,
    pub(crate) caa: Option<CaaVerdict>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let mut ca = CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let state = State {
            now: Timestamp::from_second(1_800_000_000).expect("in range"),
            versions: 0,
            objects: BTreeMap::new(),
            secrets: BTreeMap::new(),
            status_writes: 0,
            secret_writes: 0,
            other_writes: Vec::new(),
            certificates: BTreeSet::new(),
            api_is_down: false,
            ca_key: KeyPair::generate().expect("a key"),
            ca,
            serials: 0,
            orders: Vec::new(),
            ca_life: SignedDuration::from_hours(90 * 24),
            ca_problem: None,
            ca_is_down: false,
            ca_on_replaces: None,
            fails_validation: None,
            renewal_window: None,
            issuer_ready: true,
            limits: None,
            txt: BTreeSet::new(),
            wishes: BTreeMap::new(),
            dns_is_stuck: false,
            alias: None,
            zone_ready: true,
            challenge_is_taken: false,
            delegated: true,
            caa: None,
        };
        Arc::new(Self { trip: Tripwire::default(), state: Mutex::new(state) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    /// Fresh edges: what a new process starts with.
    pub(crate) fn edges(self: &Arc<Self>) -> Edges {
        self.lock().wishes.clear();
        Edges {
            store: self.clone(),
            issuers: Arc::new(OneIssuer(self.clone())),
            dns: self.clone(),
            caa: self.clone(),
            clock: self.clone(),
            budgets: Arc::default(),
        }
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(now);
    }

    pub(crate) fn pass_time(&self, by: SignedDuration) {
        self.lock().now += by;
    }

    /// An object as a watch would show it.
    pub(crate) fn object(&self, name: &str) -> HostCertificate {
        self.lock().objects[name].clone()
    }

    pub(crate) fn status(&self, name: &str) -> HostCertificateStatus {
        self.object(name).status.unwrap_or_default()
    }

    /// The Secret as a watch would tell.
    pub(crate) fn secret_state(&self, name: &str) -> SecretState {
        self.lock().secrets.get(name).map(StoredSecret::state).unwrap_or_default()
    }

    /// Status writes and Secret writes so far.
    pub(crate) fn writes(&self) -> (u32, u32) {
        let state = self.lock();
        (state.status_writes, state.secret_writes)
    }

    /// Makes the object of a certificate for these hosts, as if it had been made before.
    pub(crate) fn make(&self, name: &str, hosts: &[&str]) {
        self.lock().make(name, &spec(hosts), &About::default());
    }
}

/// What a certificate for these hosts is to be.
pub(crate) fn spec(hosts: &[&str]) -> HostCertificateSpec {
    HostCertificateSpec {
        dns_names: hosts.iter().map(|host| (*host).to_owned()).collect(),
        issuer_ref: IssuerRef { kind: IssuerKind::ACMEIssuer, name: ISSUER.to_owned() },
        key_algorithm: KeyAlgorithm::P256,
        profile: None,
    }
}

pub(crate) fn problem(kind: &str) -> AcmeProblem {
    AcmeProblem { kind: kind.to_owned(), detail: "words that change".to_owned(), subproblems: Vec::new() }
}

impl StoredSecret {
    pub(crate) fn state(&self) -> SecretState {
        let chain = self.chain.as_ref().map(String::as_bytes);
        SecretState {
            in_hand: super::key::in_hand(chain, self.key.as_ref(), self.directory.clone(), false),
            pending: self.pending.as_ref().and_then(PublicKey::of),
            version: Version(self.version),
        }
    }
}
