//! A Zone: its spec, and what its controller found out at the provider and at the parent.

use std::sync::Arc;

use jiff::Timestamp;
use lamia_api::meta::{ANNOTATION_CONFIRM, ANNOTATION_UNUSED, FINALIZER_ZONE, LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_api::zone::{DelegationStatus, Visibility, Zone, ZoneSpec, ZoneState, ZoneStatus};
use lamia_core::dns::takeover::TakeOver;
use lamia_core::host::reason::{Because, ConditionReason, DelegatedReason, Truth, ZoneReason};
use lamia_core::name::Fqdn;

/// One Zone object.
#[derive(Clone)]
pub(crate) struct ZoneEntry {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// For a deletion that must not hit what somebody changed meanwhile.
    pub resource_version: String,
    /// Whether Lamia made the object, and nobody changed its spec since.
    pub made_by_lamia: bool,
    /// Since when nobody uses it, as noted on the object.
    pub unused_since: Option<Timestamp>,
    /// The object's generation.
    pub generation: i64,
    /// When it was made: of two for one domain, the older counts.
    pub created: Timestamp,
    /// Whether its deletion waits for the finalizer.
    pub deleting: bool,
    /// Its finalizers hold ours.
    pub has_finalizer: bool,
    /// The confirmed hash of held withdrawals.
    pub confirmed: Option<String>,
    /// As written.
    pub spec: Arc<ZoneSpec>,
    /// The apex; `None` if the spec's domain is no name.
    pub domain: Option<Fqdn>,
    /// What may be taken over from others; or which rule can't be read, and why.
    pub take_over: Result<Vec<TakeOver>, String>,
    /// Its status as last seen in the cluster.
    pub status: Arc<ZoneStatus>,
    /// What was found; taken over from the last status at start, until it is looked at again.
    pub facts: ZoneFacts,
    /// Since when.
    pub since: Since,
}

/// What is known of a zone outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ZoneFacts {
    /// Its id at the provider.
    pub id: Option<String>,
    /// Whether the provider's own mark says that Lamia made it.
    pub created_by_lamia: bool,
    /// The name servers that the provider gave it.
    pub name_servers: Vec<Fqdn>,
    /// How `ZoneReady` stands for those in the zone; `None` before the first look.
    pub ready: Option<Because<ZoneReason>>,
    /// What looks at the provider have met lately; `ready` stands meanwhile.
    pub setback: Option<Setback>,
    /// How `Delegated` stands; `None` before the first look.
    pub delegated: Option<Because<DelegatedReason>>,
    /// Details of the delegation, for status.
    pub delegation: Option<DelegationStatus>,
}

/// A provider that fails in passing. The Zone says so at once, and those in it go on, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setback {
    /// How it fails, in the words of the first time.
    pub because: Because<ZoneReason>,
    /// Since when.
    pub since: Timestamp,
}

/// Since when `ZoneReady` and `Delegated` have had the status that they have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// `ZoneReady`.
    pub ready: Timestamp,
    /// `Delegated`.
    pub delegated: Timestamp,
}

impl ZoneEntry {
    /// Reads the object. What its status said stands until it is looked at again.
    #[must_use]
    pub(crate) fn of(object: &Zone, earlier: Option<&Self>, now: Timestamp) -> Self {
        let meta = &object.metadata;
        let annotation = |name| meta.annotations.as_ref().and_then(|them| them.get(name));
        let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_MANAGED_BY));
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            // Lamia never changes the spec of a Zone, so a second generation is somebody's.
            made_by_lamia: label.is_some_and(|by| by == MANAGED_BY_VALUE) && meta.generation == Some(1),
            unused_since: annotation(ANNOTATION_UNUSED).and_then(|text| text.parse().ok()),
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            has_finalizer: meta.finalizers.iter().flatten().any(|it| it == FINALIZER_ZONE),
            confirmed: annotation(ANNOTATION_CONFIRM).cloned(),
            domain: Fqdn::parse(&object.spec.domain).ok(),
            take_over: take_over(&object.spec),
            spec: Arc::new(object.spec.clone()),
            status: Arc::new(object.status.clone().unwrap_or_default()),
            facts: earlier.map_or_else(|| remembered(object), |earlier| earlier.facts.clone()),
            since: earlier.map_or(Since { ready: now, delegated: now }, |earlier| earlier.since),
        }
    }

    /// The object, as far as an Event needs it.
    #[must_use]
    pub(crate) fn object(&self) -> Zone {
        let mut object = Zone::new(&self.name, (*self.spec).clone());
        object.metadata.uid = Some(self.uid.clone());
        object
    }

    /// Notes what was found; `true` if that is news to those in the zone.
    pub(crate) fn note(&mut self, facts: &ZoneFacts, now: Timestamp) -> bool {
        self.facts.setback.clone_from(&facts.setback);
        if self.facts == *facts {
            return false;
        }
        if truth(&self.facts.ready) != truth(&facts.ready) {
            self.since.ready = now;
        }
        if truth(&self.facts.delegated) != truth(&facts.delegated) {
            self.since.delegated = now;
        }
        self.facts = facts.clone();
        true
    }

    /// Whether it wants to be the one for its domain.
    #[must_use]
    pub(crate) fn is_active(&self) -> bool {
        self.spec.state == ZoneState::Active && !self.deleting
    }

    /// Whether the public DNS sees it.
    #[must_use]
    pub(crate) fn is_public(&self) -> bool {
        self.spec.visibility == Visibility::Public
    }

    /// Whether it is usable now.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        self.facts.ready.as_ref().is_some_and(|because| because.reason == ZoneReason::ZoneFound)
    }
}

fn take_over(spec: &ZoneSpec) -> Result<Vec<TakeOver>, String> {
    let read = |(index, rule)| TakeOver::read(rule).map_err(|error| format!("spec.takeOver[{index}].{error}"));
    spec.take_over.iter().enumerate().map(read).collect()
}

fn truth<R: ConditionReason>(because: &Option<Because<R>>) -> Truth {
    because.as_ref().map_or(Truth::Unknown, |because| because.reason.truth())
}

/// What the last status said: names are kept, so that a restart shows no gap. Whether it still holds is found out anew.
fn remembered(object: &Zone) -> ZoneFacts {
    let Some(status) = &object.status else { return ZoneFacts::default() };
    ZoneFacts {
        id: status.id.clone(),
        created_by_lamia: false,
        name_servers: status.name_servers.iter().filter_map(|name| Fqdn::parse(name).ok()).collect(),
        ready: None,
        setback: None,
        delegated: None,
        delegation: status.delegation.clone(),
    }
}
