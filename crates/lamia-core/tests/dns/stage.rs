//! A zone and what is wanted in it, written as short texts.

use jiff::{SignedDuration, Timestamp};
use lamia_api::common::DeletionPolicy;
use lamia_core::dns::diff::apply_to;
use lamia_core::dns::ownership::{Identity, Marker, MarkerKind, Owned, OwnerHash, marker_name};
use lamia_core::dns::plan::{ZonePlan, plan};
use lamia_core::dns::safety::{Memory, SafetyRules};
use lamia_core::dns::wanted::{DelegationDemand, HostDemand, Target, Wanted};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey, ZoneRecords};

pub(crate) const ZONE: &str = "example.net";

/// A name in the zone: `@` is the apex.
pub(crate) fn name(label: &str) -> Fqdn {
    match label {
        "@" => Fqdn::parse(ZONE).unwrap(),
        _ => Fqdn::parse(&format!("{label}.{ZONE}")).unwrap(),
    }
}

/// `A 192.0.2.1`, `TXT some text`, `MX 10 mail.` as a key's type and a value.
pub(crate) fn value(text: &str) -> (RecordType, RecordValue) {
    let (rtype, data) = text.split_once(' ').unwrap();
    let rtype: RecordType = rtype.parse().unwrap();
    let value = match rtype {
        RecordType::A => RecordValue::A(data.parse().unwrap()),
        RecordType::Aaaa => RecordValue::Aaaa(data.parse().unwrap()),
        RecordType::Cname => RecordValue::Cname(Fqdn::parse(data).unwrap()),
        RecordType::Ns => RecordValue::Ns(Fqdn::parse(data).unwrap()),
        RecordType::Txt => RecordValue::txt(data),
        _ => RecordValue::Other(data.to_owned()),
    };
    (rtype, value)
}

pub(crate) fn us() -> Identity {
    Identity::new("prod", "i1").unwrap()
}

pub(crate) fn marker(identity: &Identity, source: &str, types: &[RecordType], kind: MarkerKind) -> RecordValue {
    let types = types.iter().copied().collect();
    Marker { identity: identity.clone(), owner: OwnerHash::of(source), types, kind }.to_value()
}

/// A zone, what is wanted in it, what is remembered, and the time.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) records: ZoneRecords,
    pub(crate) wanted: Wanted,
    pub(crate) memory: Memory,
    pub(crate) now: Timestamp,
}

impl Stage {
    /// A zone with SOA and NS, all sources heard, nothing wanted.
    pub(crate) fn new() -> Self {
        let mut wanted = Wanted::nothing(name("@"), us(), SafetyRules::default());
        wanted.complete = true;
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let stage = Self { records: ZoneRecords::new(), wanted, memory: Memory::default(), now };
        stage.with("@", "SOA ns1. hostmaster. 1 2 3 4 5").with("@", "NS ns1.example.com")
    }

    /// The same with one record more.
    pub(crate) fn with(mut self, label: &str, record: &str) -> Self {
        let (rtype, value) = value(record);
        self.insert(RrsetKey::new(name(label), rtype), value);
        self
    }

    /// The same with a marker more, of `kind`, for `label`.
    pub(crate) fn marked(mut self, label: &str, marker: RecordValue) -> Self {
        let at = marker_name(&name(label)).unwrap();
        self.insert(RrsetKey::new(at, RecordType::Txt), marker);
        self
    }

    /// The same with an A record of ours that is marked for `source`.
    pub(crate) fn owned(self, label: &str, source: &str) -> Self {
        let marker = marker(&us(), source, &[RecordType::A], MarkerKind::Delete);
        self.with(label, "A 192.0.2.1").marked(label, marker)
    }

    fn insert(&mut self, key: RrsetKey, value: RecordValue) {
        let rrset = self.records.entry(key).or_insert_with(|| Rrset::new(300, []));
        rrset.values.insert(value);
    }

    /// The same with the host `team/<label>` wanted at these addresses, or at one host name.
    pub(crate) fn host(self, label: &str, target: &str) -> Self {
        self.host_of(&format!("team/{label}"), label, target)
    }

    pub(crate) fn host_of(mut self, source: &str, label: &str, target: &str) -> Self {
        let addresses: Result<_, _> = target.split(' ').map(str::parse).collect();
        let target = match (target, addresses) {
            ("keep", _) => Target::Keep,
            (_, Ok(addresses)) => Target::Addresses(addresses),
            (alias, Err(_)) => Target::Alias(Fqdn::parse(alias).unwrap()),
        };
        let demand = HostDemand {
            name: name(label),
            owner: OwnerHash::of(source),
            target,
            ttl: 300,
            deletion: DeletionPolicy::Delete,
            observe: false,
        };
        self.wanted.hosts.insert(source.to_owned(), demand);
        self
    }

    /// The same with `values` wanted at the challenge name of `label`, by the certificate of that name.
    pub(crate) fn challenge(self, label: &str, values: &[&str]) -> Self {
        self.challenge_of(label, label, values, &[])
    }

    pub(crate) fn challenge_of(mut self, certificate: &str, label: &str, want: &[&str], gone: &[&str]) -> Self {
        let demand = self.wanted.challenges.entry(certificate.to_owned());
        let demand = demand.or_default();
        let values = demand.names.entry(challenge_name(label)).or_default();
        values.want = want.iter().map(ToString::to_string).collect();
        values.gone = gone.iter().map(ToString::to_string).collect();
        self
    }

    /// The same with the child zone `label` delegated to these name servers.
    pub(crate) fn delegation(mut self, label: &str, servers: &[&str]) -> Self {
        let demand = DelegationDemand {
            child: name(label),
            owner: OwnerHash::of(label),
            name_servers: servers.iter().map(|server| Fqdn::parse(server).unwrap()).collect(),
            ttl: 3600,
        };
        self.wanted.delegations.insert(label.to_owned(), demand);
        self
    }

    /// Takes a host out of what is wanted, the deletion seen or not.
    pub(crate) fn delete(&mut self, source: &str, seen: bool) {
        let demand = self.wanted.hosts.remove(source).unwrap();
        if seen {
            self.memory.deletion_seen(Owned::host(demand.name), self.now);
        }
    }

    /// Takes a delegation out of what is wanted, the deletion of the child Zone seen or not.
    pub(crate) fn undelegate(&mut self, label: &str, seen: bool) {
        let demand = self.wanted.delegations.remove(label).unwrap();
        if seen {
            self.memory.deletion_seen(Owned::delegation(demand.child), self.now);
        }
    }

    pub(crate) fn plan(&self) -> ZonePlan {
        plan(&self.wanted, &self.records, &self.memory, self.now)
    }

    /// Plans, applies, remembers; returns the plan.
    pub(crate) fn apply(&mut self) -> ZonePlan {
        let plan = self.plan();
        let changes: Vec<_> = plan.changes().cloned().collect();
        apply_to(&mut self.records, &changes);
        self.memory = plan.memory.clone();
        plan
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// The values of an RRset as text, sorted; empty where there is none.
    pub(crate) fn values(&self, label: &str, rtype: RecordType) -> Vec<String> {
        let rrset = self.records.get(&RrsetKey::new(name(label), rtype));
        rrset.into_iter().flat_map(|rrset| &rrset.values).map(ToString::to_string).collect()
    }
}

pub(crate) fn challenge_name(label: &str) -> Fqdn {
    match label {
        "@" => name("_acme-challenge"),
        _ => name(&format!("_acme-challenge.{label}")),
    }
}

/// The reasons of a plan's refusals, by subject.
pub(crate) fn refusals(plan: &ZonePlan) -> Vec<(String, &'static str)> {
    let refusals = plan.refusals.iter();
    refusals.map(|refusal| (refusal.subject.to_string(), refusal.reason.as_str())).collect()
}
