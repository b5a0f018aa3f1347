//! The simulated CA: orders, validation by the simulated DNS, real certificates at virtual time, rate limits, renewal advice.
//!
//! | invariant | kept where |
//! |---|---|
//! | no order is finalized twice | `Account::finalize` |
//! | nobody asks beyond the limits that everybody knows, unless an answer was lost that would have told them | `State::limits` |
//! | the CA is told to look when the values are everywhere, not before | `Account::accept` |

mod account;
mod issue;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::order::{AcmeProblem, Authorization, Dns01, OrderSnapshot, OrderStatus, ValidationStatus};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordType, RecordValue, RrsetKey};
use lamia_operator::clock::Clock as _;
use lamia_operator::outside::CertificateAuthorities;
use lamia_providers::acme::{AcmeAccount, AcmeConfig, AcmeError, DirectoryInfo, NewOrder, RenewalWindow};
use rand::Rng as _;
use rand::rngs::StdRng;

use self::issue::Issuing;
use self::limits::CaLimits;
use super::chance::{stream, text};
use super::dns::Dns;
use super::history::History;
use super::script::Scale;
use super::time::SimulatedClock;
use super::weather::Weather;

/// Where the CA is.
pub(super) const DIRECTORY: &str = "https://ca.test/directory";
/// How long an order may take.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The CA. Clones are the same.
#[derive(Clone)]
pub(super) struct Ca {
    clock: Arc<SimulatedClock>,
    history: History,
    weather: Arc<Weather>,
    dns: Dns,
    state: Arc<Mutex<State>>,
}

struct State {
    chance: StdRng,
    life: SignedDuration,
    issuing: Issuing,
    orders: Vec<Order>,
    certificates: BTreeMap<RenewalId, Issued>,
    limits: CaLimits,
    calls: u64,
}

/// An order, as the CA knows it.
struct Order {
    placed: Timestamp,
    names: Vec<HostName>,
    replaces: bool,
    status: OrderStatus,
    /// When the CA looks, for each name whose challenge it was told to look at.
    looks: BTreeMap<usize, Timestamp>,
    values: Vec<String>,
    expires: Timestamp,
    finalizes: u32,
    /// When the certificate is there.
    issued: Timestamp,
    chain: Option<String>,
    problem: Option<AcmeProblem>,
    /// Whether the answer to the order reached whoever placed it.
    told: bool,
}

/// A certificate, as the CA knows it.
struct Issued {
    not_before: Timestamp,
    not_after: Timestamp,
    revoked: Option<Timestamp>,
}

impl Ca {
    pub(super) fn new(
        seed: u64,
        clock: Arc<SimulatedClock>,
        history: History,
        weather: Arc<Weather>,
        dns: Dns,
        scale: Scale,
    ) -> anyhow::Result<Self> {
        let state = State {
            chance: stream(seed, "ca's own"),
            life: SignedDuration::from_hours(i64::try_from(scale.life)? * 24),
            issuing: Issuing::new()?,
            orders: Vec::new(),
            certificates: BTreeMap::new(),
            limits: CaLimits::new(scale),
            calls: 0,
        };
        Ok(Self { clock, history, weather, dns, state: Arc::new(Mutex::new(state)) })
    }

    /// Revokes a certificate: from now on it is to be renewed at once.
    pub(super) fn revoke(&self, certificate: &RenewalId) -> Option<()> {
        let now = self.clock.now();
        let mut state = self.state();
        let issued = state.certificates.get_mut(certificate).filter(|it| it.revoked.is_none())?;
        issued.revoked = Some(now);
        Some(())
    }

    /// Since when a challenge value has been of no use: its order is done, or over.
    pub(super) fn useless_since(&self, value: &str) -> Option<Timestamp> {
        let state = self.state();
        let order = state.orders.iter().find(|order| order.values.iter().any(|it| it == value))?;
        match order.status {
            OrderStatus::Valid => Some(order.issued),
            _ => Some(order.expires),
        }
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many certificates were issued.
    pub(super) fn certificates(&self) -> usize {
        self.state().certificates.len()
    }

    /// All orders so far: when each was placed, and whether it is a renewal.
    pub(super) fn orders(&self) -> Vec<(Timestamp, bool)> {
        self.state().orders.iter().map(|order| (order.placed, order.replaces)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CertificateAuthorities for Ca {
    async fn open(&self, _: AcmeConfig) -> Result<Arc<dyn AcmeAccount>, AcmeError> {
        let caa_identities = vec!["ca.test".to_owned()];
        let directory = DirectoryInfo { renewal_info: true, caa_identities, ..DirectoryInfo::default() };
        self.ask("open the account", |_| Ok(())).await?;
        Ok(Arc::new(account::Account { ca: self.clone(), directory }))
    }
}

fn url(kind: &str, order: usize, name: usize) -> String {
    format!("https://ca.test/{kind}/{order}/{name}")
}

/// Order and name of a URL of ours.
fn places(url: &str) -> Option<(usize, usize)> {
    let mut parts = url.rsplit('/').map(|part| part.parse().ok());
    let (name, order) = (parts.next()??, parts.next()??);
    Some((order, name))
}

impl Order {
    fn snapshot(&self, place: usize) -> OrderSnapshot {
        let open = matches!(self.status, OrderStatus::Pending | OrderStatus::Invalid);
        let proofs = self.names.iter().enumerate().map(|(name, host)| {
            let status = match self.status {
                OrderStatus::Invalid => ValidationStatus::Invalid,
                _ if self.looks.contains_key(&name) => ValidationStatus::Processing,
                _ => ValidationStatus::Pending,
            };
            let error = self.problem.clone();
            let value = self.values[name].clone();
            let dns01 = Dns01 { url: url("challenge", place, name), status, txt_value: value, error };
            let status = match status {
                ValidationStatus::Processing => ValidationStatus::Pending,
                status => status,
            };
            let (name, wildcard) = (host.challenge_base(), host.is_wildcard());
            Authorization { name, wildcard, status, dns01: Some(dns01) }
        });
        OrderSnapshot {
            url: url("order", place, 0),
            status: self.status,
            expires: Some(self.expires),
            names: self.names.clone(),
            authorizations: if open { proofs.collect() } else { Vec::new() },
            error: None,
            retry_at: None,
        }
    }

    fn label(&self) -> String {
        self.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

fn challenge(host: &HostName) -> Option<RrsetKey> {
    let name: Option<Fqdn> = host.challenge_base().child("_acme-challenge").ok();
    name.map(|name| RrsetKey::new(name, RecordType::Txt))
}

fn problem(kind: &str) -> AcmeProblem {
    AcmeProblem { kind: kind.to_owned(), ..AcmeProblem::default() }
}

impl State {
    fn pause(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.chance.random_range(least..=most))
    }

    /// Lets time do its work on an order.
    fn go_on(&mut self, place: usize, now: Timestamp, dns: &Dns, history: &History) {
        let Some(order) = self.orders.get_mut(place) else { return };
        match order.status {
            OrderStatus::Pending if order.expires <= now => order.status = OrderStatus::Invalid,
            OrderStatus::Pending if order.looks.len() == order.names.len() => {
                if order.looks.values().any(|look| *look > now) {
                    return;
                }
                let proven = order.names.iter().zip(&order.values).all(|(host, value)| {
                    let answer = challenge(host).and_then(|key| dns.resolve(&key));
                    answer.is_some_and(|values| values.contains(&RecordValue::txt(value)))
                });
                let forbidden = order.names.iter().any(|host| dns.restriction(&host.challenge_base()).is_some());
                order.status = if proven && !forbidden { OrderStatus::Ready } else { OrderStatus::Invalid };
                if order.status == OrderStatus::Invalid {
                    order.problem = Some(problem(if forbidden { "caa" } else { "unauthorized" }));
                    let names: BTreeSet<&HostName> = order.names.iter().collect();
                    self.limits.failed(names, now);
                    history.tell("ca", format!("order {place} for {} failed validation", order.label()));
                }
            }
            OrderStatus::Processing if order.issued <= now => order.status = OrderStatus::Valid,
            _ => {}
        }
    }
}
