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
    pub(crate) ca_refuses_replaces: bool,
    pub(crate) fails_validation: Option<&'static str>,
    pub(crate) renewal_window: Option<(Timestamp, Timestamp)>,
    pub(crate) issuer_ready: bool,
    pub(crate) limits: Option<Limits>,
    // DNS.
    pub(crate) txt: BTreeSet<(String, String)>,
    wishes: BTreeMap<String, (bool, Vec<ChallengeRecord>)>,
    pub(crate) dns_is_stuck: bool,
    pub(crate) zone_ready: bool,
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
            ca_refuses_replaces: false,
            fails_validation: None,
            renewal_window: None,
            issuer_ready: true,
            limits: None,
            txt: BTreeSet::new(),
            wishes: BTreeMap::new(),
            dns_is_stuck: false,
            zone_ready: true,
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
            in_hand: super::key::in_hand(chain, self.key.as_ref(), self.directory.clone()),
            pending: self.pending.as_ref().and_then(PublicKey::of),
            version: Version(self.version),
        }
    }
}

impl State {
    fn make(&mut self, name: &str, spec: &HostCertificateSpec, about: &About) -> HostCertificate {
        let mut object = HostCertificate::new(name, spec.clone());
        self.versions += 1;
        object.metadata.uid = Some(format!("uid-{}", self.versions));
        object.metadata.generation = Some(1);
        object.metadata.finalizers = Some(vec![lamia_api::meta::FINALIZER_CERTIFICATE.to_owned()]);
        self.objects.insert(name.to_owned(), object.clone());
        self.say(name, about);
        self.objects[name].clone()
    }

    fn say(&mut self, name: &str, about: &About) {
        let Some(object) = self.objects.get_mut(name) else { return };
        let mut said = BTreeMap::new();
        said.extend(about.claim.clone().map(|claim| (lamia_api::meta::ANNOTATION_CLAIM.to_owned(), claim)));
        if !about.hosts.is_empty() {
            said.insert(lamia_api::meta::ANNOTATION_HOSTS.to_owned(), about.hosts.clone());
        }
        said.extend(about.parked_since.map(|at| (lamia_api::meta::ANNOTATION_PARKED.to_owned(), at.to_string())));
        object.metadata.annotations = Some(said);
    }

    fn api(&self, what: &str) -> Result<(), StoreError> {
        if self.api_is_down { Err(lost_write(what)) } else { Ok(()) }
    }

    fn own(&mut self, owner: &Owner) -> Result<&mut HostCertificate, StoreError> {
        let found = self.objects.get_mut(&owner.name).filter(|object| object.metadata.uid.as_ref() == Some(&owner.uid));
        found.ok_or_else(|| StoreError::Gone { what: owner.name.clone() })
    }

    fn write_secret(&mut self, owner: &Owner, write: impl FnOnce(&mut StoredSecret)) -> Version {
        self.versions += 1;
        self.secret_writes += 1;
        let secret = self.secrets.entry(owner.name.clone()).or_default();
        secret.version = self.versions;
        write(secret);
        Version(secret.version)
    }

    // ---- the CA

    fn may_ask(&self) -> Result<(), AcmeError> {
        if self.ca_is_down {
            return Err(lost_word());
        }
        match &self.ca_problem {
            Some((problem, status)) => {
                Err(AcmeError::Problem { operation: "test", problem: problem.clone(), status: *status, retry_at: None })
            }
            None => Ok(()),
        }
    }

    fn index(url: &str) -> usize {
        url.rsplit('/').next().and_then(|text| text.parse().ok()).expect("a URL of ours")
    }

    fn txt_value(order: usize, name: usize) -> String {
        format!("value-{order}-{name}")
    }

    /// Lets the CA look and issue.
    fn ca_works(&mut self) {
        for index in 0..self.orders.len() {
            let fails = self.fails_validation;
            let txt = self.txt.clone();
            let known = &mut self.orders[index];
            let all_told = known.told.len() == known.order.names.len();
            if known.status == OrderStatus::Pending && known.expires <= self.now {
                known.status = OrderStatus::Invalid;
            }
            if known.status == OrderStatus::Pending && all_told {
                if let Some(kind) = fails {
                    (known.status, known.problem) = (OrderStatus::Invalid, Some(problem(kind)));
                    continue;
                }
                for (position, name) in known.order.names.iter().enumerate() {
                    let record = format!("_acme-challenge.{}", name.challenge_base());
                    let value = Self::txt_value(index, position);
                    assert!(txt.contains(&(record, value)), "the CA was told to look before the value was there");
                }
                known.status = OrderStatus::Ready;
            }
        }
    }

    fn snapshot(&self, index: usize) -> OrderSnapshot {
        let known = &self.orders[index];
        let dns01 = |position: usize| Dns01 {
            url: format!("https://ca.example/challenge/{position}/{index}"),
            status: match known.status {
                OrderStatus::Invalid => ValidationStatus::Invalid,
                _ => ValidationStatus::Pending,
            },
            txt_value: Self::txt_value(index, position),
            error: known.problem.clone(),
        };
        let proofs = known.order.names.iter().enumerate().map(|(position, name)| Authorization {
            name: name.challenge_base(),
            wildcard: name.is_wildcard(),
            status: match known.status {
                OrderStatus::Invalid if known.problem.is_some() => ValidationStatus::Invalid,
                OrderStatus::Pending => ValidationStatus::Pending,
                _ => ValidationStatus::Valid,
            },
            dns01: Some(dns01(position)),
        });
        OrderSnapshot {
            url: format!("https://ca.example/order/{index}"),
            status: known.status,
            expires: Some(known.expires),
            names: known.order.names.clone(),
            authorizations: match known.status {
                OrderStatus::Pending | OrderStatus::Invalid => proofs.collect(),
                _ => Vec::new(),
            },
            error: None,
            retry_at: None,
        }
    }

    /// Signs a real certificate for what the CSR asks for.
    fn issue(&mut self, csr: &[u8]) -> String {
        let (_, request) = X509CertificationRequest::from_der(csr).expect("a CSR");
        let names: Vec<String> = request
            .requested_extensions()
            .expect("names are asked for")
            .flat_map(|extension| match extension {
                x509_parser::extensions::ParsedExtension::SubjectAlternativeName(names) => names
                    .general_names
                    .iter()
                    .map(|name| match name {
                        x509_parser::extensions::GeneralName::DNSName(text) => (*text).to_owned(),
                        other => panic!("{other:?} is no DNS name"),
                    })
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
        let key = RequestedKey(request.certification_request_info.subject_pki.subject_public_key.data.to_vec());
        self.serials += 1;
        let mut params = CertificateParams::new(names).expect("names");
        let instant = |at: Timestamp| std::time::SystemTime::from(at).into();
        params.not_before = instant(self.now);
        params.not_after = instant(self.now + self.ca_life);
        params.serial_number = Some(self.serials.into());
        let issuer = rcgen::Issuer::from_params(&self.ca, &self.ca_key);
        params.signed_by(&key, &issuer).expect("a certificate").pem()
    }
}

struct RequestedKey(Vec<u8>);

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn lost_write(what: &str) -> StoreError {
    StoreError::Api { what: what.to_owned(), source: "no answer".into() }
}

fn lost_word() -> AcmeError {
    AcmeError::Transport(ProviderError::new(ErrorKind::Unavailable, "ask the CA", "it does not answer"))
}

#[async_trait]
impl CertificateStore for World {
    async fn create(
        &self,
        name: &str,
        spec: &HostCertificateSpec,
        about: &About,
    ) -> Result<Option<HostCertificate>, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api(name)?;
            if state.objects.contains_key(name) {
                return Ok(None);
            }
            state.other_writes.push("create");
            Ok(Some(state.make(name, spec, about)))
        };
        self.trip.pass("create", act, || lost_write(name)).await
    }

    async fn look(&self, owner: &Owner) -> Result<SecretState, StoreError> {
        self.trip.pass("look", || Ok(self.secret_state(&owner.name)), || lost_write("Secret")).await
    }

    async fn annotate(&self, owner: &Owner, about: &About) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("annotations")?;
            state.own(owner)?;
            state.say(&owner.name, about);
            state.other_writes.push("annotate");
            Ok(())
        };
        self.trip.pass("annotate", act, || lost_write("annotations")).await
    }

    async fn save_status(&self, owner: &Owner, status: &HostCertificateStatus) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("status")?;
            let object = state.own(owner)?;
            object.status = Some(status.clone());
            state.status_writes += 1;
            Ok(())
        };
        self.trip.pass("save_status", act, || lost_write("status")).await
    }

    async fn save_pending_key(&self, owner: &Owner, key: &Secret) -> Result<Version, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("Secret")?;
            state.own(owner)?;
            Ok(state.write_secret(owner, |secret| secret.pending = Some(key.clone())))
        };
        self.trip.pass("save_pending_key", act, || lost_write("Secret")).await
    }

    async fn save_certificate(&self, owner: &Owner, certificate: &NewCertificate<'_>) -> Result<Version, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("Secret")?;
            state.own(owner)?;
            state.certificates.insert(certificate.leaf.sha256.clone());
            Ok(state.write_secret(owner, |secret| {
                secret.chain = Some(certificate.chain.to_owned());
                secret.key = Some(certificate.key.clone());
                secret.directory = Some(certificate.directory.to_owned());
                secret.pending = None;
            }))
        };
        self.trip.pass("save_certificate", act, || lost_write("Secret")).await
    }

    async fn read_master(&self, owner: &Owner) -> Result<Option<Master>, StoreError> {
        let act = || {
            let state = self.lock();
            state.api("Secret")?;
            Ok(state.secrets.get(&owner.name).map(|secret| Master {
                chain: secret.chain.clone().map(String::into_bytes),
                pending_key: secret.pending.clone(),
            }))
        };
        self.trip.pass("read_master", act, || lost_write("Secret")).await
    }

    async fn release(&self, owner: &Owner) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.own(owner)?;
            state.objects.remove(&owner.name);
            state.secrets.remove(&owner.name);
            state.other_writes.push("release");
            Ok(())
        };
        self.trip.pass("release", act, || lost_write("finalizer")).await
    }

    async fn delete(&self, owner: &Owner) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.other_writes.push("delete");
            let now = state.now;
            let object = state.own(owner)?;
            object.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            Ok(())
        };
        self.trip.pass("delete", act, || lost_write("object")).await
    }
}

#[async_trait]
impl AcmeAccount for World {
    fn directory(&self) -> &DirectoryInfo {
        static DIRECTORY_INFO: std::sync::LazyLock<DirectoryInfo> =
            std::sync::LazyLock::new(|| DirectoryInfo { renewal_info: true, ..DirectoryInfo::default() });
        &DIRECTORY_INFO
    }

    fn uri(&self) -> &str {
        "https://ca.example/account/1"
    }

    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            if state.ca_refuses_replaces && order.replaces.is_some() {
                let problem = problem("alreadyReplaced");
                return Err(AcmeError::Problem { operation: "new order", problem, status: 409, retry_at: None });
            }
            let expires = state.now + SignedDuration::from_hours(8);
            state.orders.push(CaOrder {
                order: order.clone(),
                status: OrderStatus::Pending,
                told: BTreeSet::new(),
                finalizes: 0,
                problem: None,
                expires,
                chain: None,
            });
            Ok(state.snapshot(state.orders.len() - 1))
        };
        self.trip.pass("new_order", act, lost_word).await
    }

    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            state.ca_works();
            let index = State::index(url);
            let snapshot = state.snapshot(index);
            if state.orders[index].status == OrderStatus::Processing {
                state.orders[index].status = OrderStatus::Valid;
            }
            Ok(snapshot)
        };
        self.trip.pass("order", act, lost_word).await
    }

    async fn accept(&self, _order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            let mut parts = challenge_url.rsplit('/').filter_map(|part| part.parse::<usize>().ok());
            let (order, position) = (parts.next().expect("an order"), parts.next().expect("a name"));
            state.orders[order].told.insert(position);
            Ok(())
        };
        self.trip.pass("accept", act, lost_word).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            let index = State::index(order_url);
            state.orders[index].finalizes += 1;
            assert_eq!(state.orders[index].status, OrderStatus::Ready, "only a ready order is finalized");
            let chain = state.issue(csr_der);
            let order = &mut state.orders[index];
            (order.status, order.chain) = (OrderStatus::Processing, Some(chain));
            Ok(state.snapshot(index))
        };
        self.trip.pass("finalize", act, lost_word).await
    }

    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        let act = || {
            let state = self.lock();
            state.may_ask()?;
            Ok(state.orders[State::index(order_url)].chain.clone().expect("a valid order has a certificate"))
        };
        self.trip.pass("certificate", act, lost_word).await
    }

    async fn renewal_window(&self, _certificate_der: &[u8]) -> Result<Option<RenewalWindow>, AcmeError> {
        let act = || {
            let state = self.lock();
            state.may_ask()?;
            let ask_again = state.now + SignedDuration::from_hours(6);
            let window = state.renewal_window;
            Ok(window.map(|(start, end)| RenewalWindow { start, end, explanation_url: None, ask_again }))
        };
        self.trip.pass("renewal_window", act, lost_word).await
    }
}

/// The account that the fake issuer hands out: the world itself.
struct Account(Arc<World>);

#[async_trait]
impl AcmeAccount for Account {
    fn directory(&self) -> &DirectoryInfo {
        self.0.directory()
    }
    fn uri(&self) -> &str {
        self.0.uri()
    }
    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        self.0.new_order(order).await
    }
    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        self.0.order(url).await
    }
    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        self.0.accept(order_url, challenge_url).await
    }
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        self.0.finalize(order_url, csr_der).await
    }
    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        self.0.certificate(order_url).await
    }
    async fn renewal_window(&self, der: &[u8]) -> Result<Option<RenewalWindow>, AcmeError> {
        self.0.renewal_window(der).await
    }
}

/// The world as a directory of issuers needs to hand itself out.
pub(crate) struct OneIssuer(pub(crate) Arc<World>);

impl Issuers for OneIssuer {
    fn issuer(&self, name: &str) -> Result<Issuer, Because<CertificateReason>> {
        let state = self.0.lock();
        if name != ISSUER || !state.issuer_ready {
            return Err(Because::new(CertificateReason::IssuerNotReady, "the issuer is not ready"));
        }
        let account = Arc::new(Account(self.0.clone()));
        let limits = state.limits.clone();
        Ok(Issuer { account, directory: DIRECTORY.to_owned(), profile: None, limits })
    }
}

impl ChallengeDns for World {
    fn place(&self, name: &Fqdn) -> ChallengePlace {
        let state = self.lock();
        let fact = |holds: bool, message: &str| match holds {
            true => Fact::holds(state.now),
            false => Fact::fails(state.now, message),
        };
        ChallengePlace {
            record: name.child("_acme-challenge").expect("a name"),
            zone_ready: fact(state.zone_ready, "the zone is not there"),
            delegated: fact(state.delegated, "the parent names nobody"),
        }
    }

    fn publish(&self, certificate: &str, records: &[ChallengeRecord]) {
        let mut state = self.lock();
        if !state.dns_is_stuck {
            let listed =
                state.objects[certificate].status.clone().and_then(|status| status.issuance).unwrap_or_default();
            for record in records {
                assert!(listed.challenges.contains(record), "a value is published that no status lists");
                state.txt.insert((record.name.clone(), record.value.clone()));
            }
        }
        state.wishes.insert(certificate.to_owned(), (true, records.to_vec()));
    }

    fn withdraw(&self, certificate: &str, records: &[ChallengeRecord]) {
        let mut state = self.lock();
        if !state.dns_is_stuck {
            for record in records {
                state.txt.remove(&(record.name.clone(), record.value.clone()));
            }
        }
        state.wishes.insert(certificate.to_owned(), (false, records.to_vec()));
    }

    fn state(&self, certificate: &str) -> ChallengeState {
        let state = self.lock();
        let is_there = |record: &ChallengeRecord| state.txt.contains(&(record.name.clone(), record.value.clone()));
        match state.wishes.get(certificate) {
            Some((true, records)) if records.iter().all(is_there) => ChallengeState::Published,
            Some((false, records)) if !records.iter().any(is_there) => ChallengeState::Gone,
            _ => ChallengeState::Pending { because: None },
        }
    }
}

#[async_trait]
impl CaaLookup for World {
    async fn permits(&self, _name: &HostName, _account: &dyn AcmeAccount) -> CaaVerdict {
        self.lock().caa.clone().unwrap_or(CaaVerdict::Allowed)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
}
