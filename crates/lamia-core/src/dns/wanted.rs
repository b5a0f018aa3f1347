//! What the objects of the cluster want a zone to hold: one demand per source.
//!
//! Three sorts: a **host**'s address records, which a marker makes ours; a certificate's **challenges**, TXT values that
//! are ours one by one; and **delegations**, the NS records of a child zone of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lamia_api::common::DeletionPolicy;

use super::ownership::{Identity, MarkerKind, OwnerHash};
use super::safety::SafetyRules;
use super::takeover::TakeOver;
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, Rrset, RrsetKey};

/// Everything that is wanted in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The zone's apex.
    pub zone: Fqdn,
    /// Who writes.
    pub identity: Identity,
    /// Address records, by `namespace/name` of the host.
    pub hosts: BTreeMap<String, HostDemand>,
    /// Challenge values, by the certificate's name.
    pub challenges: BTreeMap<String, ChallengeDemand>,
    /// NS records of child zones, by the child Zone's name.
    pub delegations: BTreeMap<String, DelegationDemand>,
    /// Whether all sources have spoken since the start. Before that, nothing that they do not name is withdrawn.
    pub complete: bool,
    /// What may be withdrawn, and when.
    pub rules: SafetyRules,
    /// What may be taken over from others.
    pub take_over: Vec<TakeOver>,
    /// The most RRsets that the provider takes in the zone; `None` where no limit is known.
    pub max_rrsets: Option<usize>,
}

impl Wanted {
    /// A zone in which nothing is wanted yet.
    #[must_use]
    pub fn nothing(zone: Fqdn, identity: Identity, rules: SafetyRules) -> Self {
        Self {
            zone,
            identity,
            hosts: BTreeMap::new(),
            challenges: BTreeMap::new(),
            delegations: BTreeMap::new(),
            complete: false,
            rules,
            take_over: Vec::new(),
            max_rrsets: None,
        }
    }
}

/// What one host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDemand {
    /// The host, `*` in front or not.
    pub name: Fqdn,
    /// Who holds it, for the marker.
    pub owner: OwnerHash,
    /// Where it leads.
    pub target: Target,
    /// Time to live of its records, in seconds.
    pub ttl: u32,
    /// What becomes of the records when the host is deleted.
    pub deletion: DeletionPolicy,
    /// Say what would change for this host, and change nothing (`management: Observe`).
    pub observe: bool,
}

/// Where a host leads. An alias beside addresses can't be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To these addresses: A and AAAA records. None of a family means no records of that type.
    Addresses(BTreeSet<IpAddr>),
    /// To another name: a CNAME record.
    Alias(Fqdn),
    /// To wherever it leads now: the host exists, but its address is not known (yet, or any more).
    Keep,
}

impl HostDemand {
    /// The records, as they should be; none for [`Target::Keep`].
    #[must_use]
    pub fn rrsets(&self) -> BTreeMap<RrsetKey, Rrset> {
        let mut rrsets = BTreeMap::new();
        let mut add = |rtype: RecordType, value: RecordValue| {
            let rrset = rrsets.entry(RrsetKey::new(self.name.clone(), rtype));
            rrset.or_insert_with(|| Rrset::new(self.ttl, [])).values.insert(value);
        };
        match &self.target {
            Target::Addresses(addresses) => addresses.iter().for_each(|address| match address {
                IpAddr::V4(v4) => add(RecordType::A, RecordValue::A(*v4)),
                IpAddr::V6(v6) => add(RecordType::Aaaa, RecordValue::Aaaa(*v6)),
            }),
            Target::Alias(name) => add(RecordType::Cname, RecordValue::Cname(name.clone())),
            Target::Keep => {}
        }
        rrsets
    }

    /// The marker's word for the deletion policy.
    #[must_use]
    pub fn marker_kind(&self) -> MarkerKind {
        match self.deletion {
            DeletionPolicy::Delete => MarkerKind::Delete,
            DeletionPolicy::Retain => MarkerKind::Retain,
        }
    }
}

/// The challenge values of one certificate, by the name of the TXT record (`_acme-challenge.shop.example.org`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChallengeDemand {
    /// The names, each with its values.
    pub names: BTreeMap<Fqdn, ChallengeValues>,
}

/// The values of one challenge name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChallengeValues {
    /// Values that must be there.
    pub want: BTreeSet<String>,
    /// Values that were once ours and must go. One that another certificate wants stays.
    pub gone: BTreeSet<String>,
}

/// The NS records that delegate a child zone of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationDemand {
    /// The child's apex, strictly below the zone's.
    pub child: Fqdn,
    /// Who holds it, for the marker.
    pub owner: OwnerHash,
    /// The child's name servers; an empty set wants nothing yet and keeps what stands there.
    pub name_servers: BTreeSet<Fqdn>,
    /// Time to live of the NS records, in seconds.
    pub ttl: u32,
}
