//! The words for what the operator saw: small facts in, a reason of the table and a stable message out.
//!
//! Only facts that no other module of the core words itself: spec ([`validate`](super::validate)), address
//! ([`address`](super::address)), delegation and failures at the CA say theirs. No text here has a timestamp, a request
//! id or words of another system, so that an unchanged situation writes nothing.

use std::collections::BTreeSet;

use lamia_api::common::Management;
use lamia_api::zone::DelegationPolicy;

use super::ObjectKey;
use super::reason::{
    AcceptedReason, Because, ConditionReason, DelegatedReason, GatewayReason, RecordsReason, ServingReason, Truth,
    ZoneReason,
};
use crate::dns::admit::Refusal;
use crate::name::Fqdn;
use crate::zone::NoZone;

/// A host that is valid, granted and nobody else's; or one that is to be left alone.
#[must_use]
pub fn accepted(management: Management) -> Because<AcceptedReason> {
    match management {
        Management::Active => Because::new(AcceptedReason::Accepted, "valid, granted and nobody else's"),
        Management::Observe => Because::new(
            AcceptedReason::Accepted,
            "valid, granted and nobody else's; observed only, see `lamia plan` for what Active would do",
        ),
        Management::Paused => Because::new(
            AcceptedReason::Paused,
            "spec.management is Paused: everything stays as it is; set it to Active to go on",
        ),
    }
}

/// A host that no zone holds.
#[must_use]
pub fn no_zone(why: &NoZone) -> Because<ZoneReason> {
    let reason = match why {
        NoZone::Unknown { .. } => ZoneReason::NoProvider,
        NoZone::NotNamed { .. } => ZoneReason::ZoneMissing,
        NoZone::OnlyPrivate { .. } => ZoneReason::OnlyPrivateZone,
        NoZone::Ambiguous { .. } => ZoneReason::AmbiguousZone,
    };
    Because::new(reason, why.to_string())
}

/// What is said of the delegation of a zone that nobody delegates to.
#[must_use]
pub fn private() -> Because<DelegatedReason> {
    Because::new(DelegatedReason::NotEnforced, "the Zone is private: no parent delegates to it")
}

/// What the zone's delegation means for its hosts, by the Zone's `delegation` policy.
#[must_use]
pub fn delegated(policy: DelegationPolicy, seen: Because<DelegatedReason>) -> Because<DelegatedReason> {
    match policy {
        DelegationPolicy::Enforce => seen,
        DelegationPolicy::Off => {
            Because::new(DelegatedReason::NotEnforced, "the Zone's delegation is Off: it is not looked at")
        }
        DelegationPolicy::Warn if seen.reason.truth() == Truth::True => seen,
        DelegationPolicy::Warn => Because::new(
            DelegatedReason::NotEnforced,
            format!("{seen} (the Zone's delegation is Warn, so nothing waits for it)"),
        ),
    }
}

/// How a provider failed, as far as different people or nobody must act. `hint` is our own stable text on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses the credential, or what the credential may do does not suffice.
    Unauthorized {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It does not have the zone.
    Missing {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It has several zones for the domain, and nothing says which is meant.
    Ambiguous {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It refuses the request for what it says.
    Invalid {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It can't do such a thing.
    Unsupported {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It asks to be left alone for a while.
    Throttled {
        /// What is wrong and what to do.
        hint: String,
    },
    /// It can't be reached, or fails; or another writer was faster and the next turn decides.
    Unavailable {
        /// What is wrong and what to do.
        hint: String,
    },
}

impl From<Trouble> for Because<ZoneReason> {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unauthorized { hint } => Self::new(ZoneReason::Unauthorized, hint),
            Trouble::Missing { hint } => Self::new(ZoneReason::ZoneMissing, hint),
            Trouble::Ambiguous { hint } => Self::new(ZoneReason::AmbiguousZone, hint),
            Trouble::Invalid { hint } => Self::new(ZoneReason::Invalid, hint),
            Trouble::Unsupported { hint } => Self::new(ZoneReason::Unsupported, hint),
            Trouble::Throttled { hint } => Self::new(ZoneReason::Throttled, hint),
            Trouble::Unavailable { hint } => Self::new(ZoneReason::ProviderError, hint),
        }
    }
}

impl From<Trouble> for Because<RecordsReason> {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unauthorized { hint } => Self::new(RecordsReason::Unauthorized, hint),
            Trouble::Missing { hint }
            | Trouble::Ambiguous { hint }
            | Trouble::Invalid { hint }
            | Trouble::Unsupported { hint } => Self::new(RecordsReason::Refused, hint),
            Trouble::Throttled { hint } => Self::new(RecordsReason::Throttled, hint),
            Trouble::Unavailable { hint } => Self::new(RecordsReason::ProviderError, hint),
        }
    }
}

/// How the records of a host stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// At every authoritative server.
    Published,
    /// Not given to the provider yet.
    Queued,
    /// With the provider, which has yet to say that they are in sync.
    Syncing,
    /// With the provider, and these servers do not answer with them yet.
    Spreading(BTreeSet<Fqdn>),
    /// The zone's plan refuses them.
    Refused(Refusal),
    /// The provider did not take them.
    Failed(Trouble),
    /// Changes of the zone wait for a person.
    Held {
        /// Name of the Zone.
        zone: String,
    },
    /// `management: Observe`: these changes would be made.
    Observed {
        /// The changes, one a line of `lamia plan`; empty when all is as it should be.
        changes: Vec<String>,
    },
}

impl From<Records> for Because<RecordsReason> {
    fn from(records: Records) -> Self {
        use RecordsReason as Why;
        match records {
            Records::Published => Self::new(Why::Published, "every authoritative server answers with the records"),
            Records::Queued => Self::new(Why::Pending, "waits for its turn at the provider"),
            Records::Syncing => Self::new(Why::Pending, "waits for the provider to bring its servers in sync"),
            Records::Spreading(servers) => {
                Self::new(Why::Pending, format!("waits for these name servers to answer with it: {}", list(&servers)))
            }
            Records::Refused(refusal) => {
                Self::new(Why::parse(refusal.reason.as_str()).unwrap_or(Why::Refused), refusal.message)
            }
            Records::Failed(trouble) => trouble.into(),
            Records::Held { zone } => Self::new(
                Why::DeletionHeld,
                format!("withdrawals in the zone wait for a person; look at them and run `lamia zone confirm {zone}`"),
            ),
            Records::Observed { changes } if changes.is_empty() => {
                Self::new(Why::Published, "the records are as they should be; observed only")
            }
            Records::Observed { changes } => {
                Self::new(Why::Observing, format!("spec.management is Observe; Active would: {}", changes.join("; ")))
            }
        }
    }
}

/// How the gateway's objects stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// The Secret is there and the Gateway names it.
    Delivered {
        /// The Secret.
        secret: ObjectKey,
    },
    /// Not applied yet.
    Applying,
    /// An object of the name that is needed is somebody else's. Which one, and where.
    Foreign(Foreign),
    /// The API server does not let Lamia write there.
    NotPermitted {
        /// The namespace.
        namespace: String,
    },
    /// The API server does not know Istio's kinds.
    NoIstio,
    /// The API server refused the object itself.
    Rejected {
        /// Kind of the object.
        kind: &'static str,
        /// The object.
        key: ObjectKey,
    },
    /// `management: Observe`.
    Observed,
}

/// Somebody else's object where ours belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A Secret.
    Secret(ObjectKey),
    /// An Istio Gateway.
    Gateway(ObjectKey),
    /// A VirtualService.
    Route(ObjectKey),
}

impl From<Gateway> for Because<GatewayReason> {
    fn from(gateway: Gateway) -> Self {
        use GatewayReason as Why;
        match gateway {
            Gateway::Delivered { secret } => {
                Self::new(Why::Delivered, format!("the Gateway names Secret {secret}, which has the certificate"))
            }
            Gateway::Applying => Self::new(Why::Applying, "Lamia is writing the Gateway and its Secret"),
            Gateway::Foreign(Foreign::Secret(key)) => Self::new(Why::ForeignSecret, foreign("Secret", &key)),
            Gateway::Foreign(Foreign::Gateway(key)) => Self::new(Why::ForeignGateway, foreign("Gateway", &key)),
            Gateway::Foreign(Foreign::Route(key)) => Self::new(Why::ForeignRoute, foreign("VirtualService", &key)),
            Gateway::NotPermitted { namespace } => Self::new(
                Why::Forbidden,
                format!("Lamia may not write in namespace {namespace}; add it to gatewayNamespaces of Lamia's chart"),
            ),
            Gateway::NoIstio => Self::new(
                Why::IstioMissing,
                "the cluster does not know Istio's Gateway; install Istio (its CRDs at least), Lamia then goes on by itself",
            ),
            Gateway::Rejected { kind, key } => Self::new(
                Why::Rejected,
                format!(
                    "the API server refuses {kind} {key}; see Lamia's log for its words, often an admission policy"
                ),
            ),
            Gateway::Observed => {
                Self::new(Why::Observing, "spec.management is Observe; see `lamia plan` for what Active would write")
            }
        }
    }
}

fn foreign(kind: &str, key: &ObjectKey) -> String {
    format!("{kind} {key} is not this SecuredHost's and is left alone; rename this object, or remove the {kind}")
}

/// What the probe saw of the certificate in hand.
///
/// During a renewal the gateway takes a moment to take up the new certificate. As long as the one before is valid, leave
/// the fact out of the observation then, so that `Ready` does not waver with each renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// This certificate.
    Served,
    /// Another one, for these names.
    Other {
        /// Names in the certificate that was served.
        names: BTreeSet<String>,
        /// Whether it is an earlier certificate of this host, so that the gateway only has to take up the new one.
        earlier: bool,
    },
    /// Nobody answers there with TLS.
    Unreachable {
        /// Where it was tried.
        addresses: BTreeSet<String>,
    },
    /// Not tried yet with this certificate.
    Probing,
    /// Switched off.
    Disabled,
}

impl From<Serving> for Because<ServingReason> {
    fn from(serving: Serving) -> Self {
        use ServingReason as Why;
        match serving {
            Serving::Served => Self::new(Why::Served, "the gateway serves this certificate"),
            Serving::Other { earlier: true, .. } => {
                Self::new(Why::Probing, "the gateway still serves the certificate before this one")
            }
            Serving::Other { names, earlier: false } => Self::new(
                Why::OtherCertificate,
                format!(
                    "the gateway serves another certificate, for {}; look for another Gateway with this host",
                    if names.is_empty() { "no name".to_owned() } else { list(&names) }
                ),
            ),
            Serving::Unreachable { addresses } => Self::new(
                Why::Unreachable,
                format!("no TLS answer at {} from here; it may be served all the same", list(&addresses)),
            ),
            Serving::Probing => Self::new(Why::Probing, "the first probe of this certificate is under way"),
            Serving::Disabled => Self::new(Why::ProbeDisabled, "no probe is made, by the operator's settings"),
        }
    }
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
