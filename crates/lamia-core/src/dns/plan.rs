//! The plan for one zone: everything that should change now, everything that may not, and when to look again.
//!
//! `plan` is total and does no I/O: the same input gives the same plan, and a plan once applied leaves the next one empty; but where it
//! takes a delegation away, the next one admits what was refused because of that cut.
//!
//! | wanted | stands there | marked ours | in the plan |
//! |---|---|---|---|
//! | yes | nothing | – | `+` records and marker, one unit |
//! | yes | the same | yes | nothing |
//! | yes | something else | yes | `~` what differs |
//! | yes | anything in its way | no | refused, and who stands there; the others carry on |
//! | yes | nothing, and the zone has as many RRsets as its provider takes | – | refused, `ZoneFull` |
//! | yes | anything in its way | no, but `takeOver` names it | `~` as if it were ours, the old owner's marks gone with it |
//! | no | anything | yes, `d=delete` | `-` records and marker, when `safety` says so |
//! | no | anything | yes, `d=retain` | nothing |
//! | no | anything | yes, `d=copy` | `-` once no record of ours below needs the copy |
//! | no | anything | no | nothing, ever |
//! | challenge value | not there | – | `~` that value is added to whatever TXT values stand there |
//! | challenge value gone | there | – | `~` that value is taken out; `-` if it was the last |

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::admit::{Admission, Refusal, RefusalReason};
use super::census::Census;
use super::diff::{self, Unit, Verb};
use super::draft::Draft;
use super::markers::Markers;
use super::ownership::{MarkerKind, Owned};
use super::safety::{self, Fate, Held, Memory, Situation, Verdict};
use super::shadow::Shadows;
use super::takeover::View;
use super::wanted::Wanted;
use crate::name::Fqdn;
use crate::record::{RrsetChange, ZoneRecords};

/// What should happen to a zone. Prints as `lamia plan` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonePlan {
    /// The zone's apex.
    pub zone: Fqdn,
    /// The changes, in units that are never split.
    pub units: Vec<Unit>,
    /// What would change for hosts that are only observed; not to be applied.
    pub observed: Vec<Unit>,
    /// The demands that are not planned, each with its reason.
    pub refusals: Vec<Refusal>,
    /// What is owned and nobody wants, and what becomes of each.
    pub withdrawals: BTreeMap<Owned, Fate>,
    /// What a person must confirm, if anything.
    pub held: Option<Held>,
    /// Names of hosts that nobody wants and that stay by `d=retain`.
    pub retained: BTreeSet<Fqdn>,
    /// How many hosts and delegations are owned now.
    pub owned: usize,
    /// How many RRsets are not ours, SOA and NS of the apex included.
    pub foreign: usize,
    /// When the plan would change by itself.
    pub next: Option<Timestamp>,
    /// What to remember for the next plan.
    pub memory: Memory,
}

impl ZonePlan {
    /// Whether there is nothing to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// All changes of all units.
    pub fn changes(&self) -> impl Iterator<Item = &RrsetChange> {
        self.units.iter().flat_map(|unit| &unit.changes)
    }
}

/// Plans a zone.
#[must_use]
pub fn plan(wanted: &Wanted, actual: &ZoneRecords, memory: &Memory, now: Timestamp) -> ZonePlan {
    let view = View::of(wanted, actual);
    let markers = Markers::read(&view.records, &wanted.identity);
    let census = Census::take(wanted, &view.records, &markers);
    let unwanted = Unwanted::of(wanted, &census);
    let verdict = safety::judge(&wanted.zone, &unwanted.situation(wanted, &census), &wanted.rules, memory, now);
    let due = due(&verdict);
    let mut admission = Admission::of(wanted, &census, &view);
    let draft = draft(wanted, &census, &mut admission, &due, (actual, &view));
    let units = match wanted.max_rrsets {
        Some(most) => with_room(diff::units(&draft), (actual.len(), most), &mut admission.refusals),
        None => diff::units(&draft),
    };
    ZonePlan {
        zone: wanted.zone.clone(),
        units,
        observed: observed(wanted, &census, &admission, (actual, &view)),
        refusals: admission.refusals,
        withdrawals: verdict.fates,
        held: verdict.held,
        retained: unwanted.retained,
        owned: census.hosts.len() + census.delegations.len(),
        foreign: census.foreign.len(),
        next: verdict.next,
        memory: verdict.memory,
    }
}

/// The draft of what is admitted, once nothing in it takes a name from somebody's wildcard.
fn draft<'a>(
    wanted: &'a Wanted,
    census: &'a Census<'a>,
    admission: &mut Admission<'_>,
    due: &BTreeSet<Owned>,
    zone: (&'a ZoneRecords, &'a View<'a>),
) -> Draft<'a> {
    loop {
        let mut draft = Draft::of(wanted, census, admission, due, zone);
        let Some(shadows) = Shadows::of(wanted, census, &draft) else { return draft };
        let refusals = shadows.refusals(admission);
        if refusals.is_empty() {
            shadows.apply(&mut draft);
            return draft;
        }
        // Each turn takes an admission back, so this ends.
        refusals.into_iter().for_each(|refusal| admission.refuse(refusal));
    }
}

/// The units for which there is room. What the provider would refuse is refused here, where it can be said for whom; what goes in the
/// same plan makes room for the next one.
fn with_room(units: Vec<Unit>, (standing, most): (usize, usize), refusals: &mut Vec<Refusal>) -> Vec<Unit> {
    let mut count = standing;
    let mut kept = Vec::with_capacity(units.len());
    for unit in units {
        let verbs = unit.changes.iter().map(diff::verb);
        let (added, removed) = verbs.fold((0, 0), |(added, removed), verb| match verb {
            Verb::Add => (added + 1, removed),
            Verb::Change => (added, removed),
            Verb::Remove => (added, removed + 1),
        });
        if added > removed && count + added - removed > most {
            let message = format!(
                "the zone has {standing} RRsets and its provider takes {most}; remove some, ask the provider for more, or make a zone of its own below this one"
            );
            let refuse = |subject| Refusal { subject, reason: RefusalReason::ZoneFull, message: message.clone() };
            refusals.extend(unit.subjects.into_iter().map(refuse));
            continue;
        }
        count = count + added - removed;
        kept.push(unit);
    }
    kept
}

/// What the hosts that are only observed would change, each by itself.
fn observed<'a>(
    wanted: &Wanted,
    census: &Census<'_>,
    admission: &Admission<'_>,
    zone: (&'a ZoneRecords, &'a View<'a>),
) -> Vec<Unit> {
    let hosts = admission.hosts.iter().filter(|(_, host)| host.demand.observe);
    let units = hosts.flat_map(|(source, host)| {
        let demand = super::wanted::HostDemand { observe: false, ..host.demand.clone() };
        let alone = super::admit::AdmittedHost { demand: &demand, ..host.clone() };
        let subjects = [(*source, alone)].into();
        let only = Admission { hosts: subjects, ..Admission::default() };
        diff::units(&Draft::of(wanted, census, &only, &BTreeSet::new(), zone))
    });
    units.collect()
}

/// What is owned and no source wants.
struct Unwanted {
    going: BTreeSet<Owned>,
    retained: BTreeSet<Fqdn>,
}

impl Unwanted {
    fn of(wanted: &Wanted, census: &Census<'_>) -> Self {
        // A refused demand is a demand all the same.
        let hosts: BTreeSet<&Fqdn> = wanted.hosts.values().map(|demand| &demand.name).collect();
        let children: BTreeSet<&Fqdn> = wanted.delegations.values().map(|demand| &demand.child).collect();
        let (mut going, mut retained) = (BTreeSet::new(), BTreeSet::new());
        for (name, marker) in &census.hosts {
            match marker.kind {
                _ if hosts.contains(name) => false,
                MarkerKind::Retain => retained.insert(name.clone()),
                MarkerKind::Delete | MarkerKind::Copy => going.insert(Owned::host(name.clone())),
            };
        }
        let delegations = census.delegations.keys().filter(|child| !children.contains(child));
        going.extend(delegations.cloned().map(Owned::delegation));
        Self { going, retained }
    }

    fn situation(&self, wanted: &Wanted, census: &Census<'_>) -> Situation {
        Situation {
            unwanted: self.going.clone(),
            owned: census.hosts.len() + census.delegations.len(),
            any_wanted: !wanted.hosts.is_empty() || !wanted.delegations.is_empty(),
            complete: wanted.complete,
            duplicates: census.duplicates.clone(),
        }
    }
}

fn due(verdict: &Verdict) -> BTreeSet<Owned> {
    let due = verdict.fates.iter().filter(|(_, fate)| **fate == Fate::Due);
    due.map(|(owned, _)| owned.clone()).collect()
}
