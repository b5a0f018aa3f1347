//! From what was observed to the status of a SecuredHost: all conditions at once, in one pass.
//!
//! | fact | condition |
//! |---|---|
//! | observed | its reason and message; True, False or Unknown by the one table ([`reason`](super::reason)) |
//! | not observed since a start, but the status has it | as it was, with its generation and time |
//! | never observed | Unknown, `Waiting`, with the first condition that it waits for |
//!
//! So a host that is no longer accepted keeps what is still true of it: nothing is withdrawn, nothing is claimed anew.
//! `Ready` copies the first condition that is not True; `Serving` may be Unknown once a probe was tried. A status that
//! says the same as before is equal to it, down to the timestamps: then there is nothing to write.

use jiff::Timestamp;
use lamia_api::condition::{Condition, Time, host as types};
use lamia_api::host::{CertificateStatus, SecuredHostStatus};

use super::reason::{
    AcceptedReason, AddressReason, Because, CertificateReason, ConditionReason, DelegatedReason, GatewayReason,
    RecordsReason, ServingReason, Truth, ZoneReason,
};
use crate::name::{Fqdn, HostName};

/// What was seen of one host. `None` always means "not looked at", never "not there".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The object's generation.
    pub generation: Option<i64>,
    /// The host, if the spec is valid.
    pub host: Option<HostName>,
    /// The port that serves it.
    pub port: Option<u16>,
    /// Public addresses or names, sorted.
    pub addresses: Option<Vec<String>>,
    /// The zone's apex.
    pub zone: Option<Fqdn>,
    /// The zone's name servers at the provider, sorted.
    pub name_servers: Option<Vec<Fqdn>>,
    /// The certificate in hand.
    pub certificate: Option<CertificateStatus>,
    /// For `Accepted`.
    pub accepted: Option<Because<AcceptedReason>>,
    /// For `AddressReady`.
    pub address: Option<Because<AddressReason>>,
    /// For `ZoneReady`.
    pub zone_ready: Option<Because<ZoneReason>>,
    /// For `Delegated`.
    pub delegated: Option<Because<DelegatedReason>>,
    /// For `RecordsPublished`.
    pub records: Option<Because<RecordsReason>>,
    /// For `CertificateReady`.
    pub certificate_ready: Option<Because<CertificateReason>>,
    /// For `GatewayReady`.
    pub gateway: Option<Because<GatewayReason>>,
    /// For `Serving`.
    pub serving: Option<Because<ServingReason>>,
}

/// The status that follows from `seen`, when `previous` is what the object says now.
#[must_use]
pub fn status(seen: &Observation, previous: &SecuredHostStatus, now: Timestamp) -> SecuredHostStatus {
    let Observation {
        generation,
        host,
        port,
        addresses,
        zone,
        name_servers,
        certificate,
        accepted,
        address,
        zone_ready,
        delegated,
        records,
        certificate_ready,
        gateway,
        serving,
    } = seen;
    let mut chain = Chain { generation: *generation, previous, now: whole_seconds(now), conditions: Vec::new() };
    chain.add(accepted.as_ref(), &[]);
    chain.add(address.as_ref(), &[types::ACCEPTED]);
    chain.add(zone_ready.as_ref(), &[types::ACCEPTED]);
    chain.add(delegated.as_ref(), &[types::ACCEPTED, types::ZONE_READY]);
    chain.add(records.as_ref(), &[types::ACCEPTED, types::ADDRESS_READY, types::ZONE_READY]);
    chain.add(certificate_ready.as_ref(), &[types::ACCEPTED, types::ZONE_READY, types::DELEGATED]);
    chain.add(gateway.as_ref(), &[types::ACCEPTED, types::ADDRESS_READY, types::CERTIFICATE_READY]);
    chain.add(serving.as_ref(), &[types::GATEWAY_READY]);
    chain.add_ready();
    let host_text = host.as_ref().map(ToString::to_string).or_else(|| previous.host.clone());
    SecuredHostStatus {
        observed_generation: generation.or(previous.observed_generation),
        host: host_text,
        addresses: addresses.clone().unwrap_or_else(|| previous.addresses.clone()),
        zone: zone.as_ref().map(ToString::to_string).or_else(|| previous.zone.clone()),
        name_servers: name_servers
            .as_ref()
            .map_or_else(|| previous.name_servers.clone(), |servers| servers.iter().map(ToString::to_string).collect()),
        url: host.as_ref().map_or_else(|| previous.url.clone(), |host| url(host, port.unwrap_or(443))),
        certificate: certificate.clone().or_else(|| previous.certificate.clone()),
        conditions: chain.conditions,
    }
}

/// Where the site is; a wildcard has no one place.
fn url(host: &HostName, port: u16) -> Option<String> {
    match (host.is_wildcard(), port) {
        (true, _) => None,
        (false, 443) => Some(format!("https://{host}/")),
        (false, port) => Some(format!("https://{host}:{port}/")),
    }
}

/// Kubernetes keeps whole seconds; a finer time would read back as another one.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The conditions as they are built, in order.
struct Chain<'a> {
    generation: Option<i64>,
    previous: &'a SecuredHostStatus,
    now: Timestamp,
    conditions: Vec<Condition>,
}

impl Chain<'_> {
    /// Adds the condition of one fact, which waits for `needs` as long as it is not observed.
    fn add<R: ConditionReason>(&mut self, fact: Option<&Because<R>>, needs: &[&str]) {
        if let Some(Because { reason, message }) = fact {
            return self.push(R::CONDITION, reason.truth(), reason.as_str(), message.clone());
        }
        match self.last(R::CONDITION) {
            Some(last) if last.reason != R::WAITING.as_str() => self.conditions.push(last.clone()),
            _ => {
                let message = match needs.iter().find(|need| !self.holds(need)) {
                    Some(need) => format!("waits for {need}"),
                    None => "not looked at yet".to_owned(),
                };
                self.push(R::CONDITION, R::WAITING.truth(), R::WAITING.as_str(), message);
            }
        }
    }

    /// `Ready`: the first condition that is not True, as it is.
    fn add_ready(&mut self) {
        let blocks = |condition: &&Condition| {
            condition.status != Truth::True.as_str()
                && (condition.type_ != types::SERVING
                    || ServingReason::parse(&condition.reason).is_none_or(ServingReason::blocks_ready))
        };
        let first = self.conditions.iter().find(blocks);
        let (truth, reason, message) = match first {
            Some(first) => (truth_of(first), first.reason.clone(), first.message.clone()),
            None => (Truth::True, types::READY.to_owned(), "every condition before this one holds".to_owned()),
        };
        self.push(types::READY, truth, &reason, message);
    }

    /// Adds a condition; its time is that of the last change of its status.
    fn push(&mut self, type_: &str, truth: Truth, reason: &str, message: String) {
        let last = self.last(type_).filter(|last| last.status == truth.as_str());
        let since = last.map_or_else(|| Time(self.now), |last| last.last_transition_time.clone());
        self.conditions.push(Condition {
            type_: type_.to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: since,
            observed_generation: self.generation,
        });
    }

    fn last(&self, type_: &str) -> Option<&Condition> {
        self.previous.conditions.iter().find(|condition| condition.type_ == type_)
    }

    fn holds(&self, type_: &str) -> bool {
        self.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == Truth::True.as_str())
    }
}

fn truth_of(condition: &Condition) -> Truth {
    match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests;
