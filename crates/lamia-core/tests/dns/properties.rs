//! What must hold for every zone and every set of demands.

use std::collections::BTreeSet;

use lamia_core::dns::admit::Subject;
use lamia_core::dns::diff::apply_to;
use lamia_core::dns::ownership::{MarkerKind, Owned, Whose, delegation_marker_name, marker_name, parse_value, whose};
use lamia_core::dns::plan::ZonePlan;
use lamia_core::dns::safety::list_hash;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, RrsetKey, ZoneRecords};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::nameserver::{Answer, ask};
use crate::stage::{Stage, name, us};

/// Names of hosts and foreign records: few, so that they meet.
const LABELS: [&str; 11] = ["@", "*", "a", "b", "*.a", "*.b", "a.b", "b.b", "a.a.b", "*.a.b", "b.a.a"];
/// What the name server is asked for.
const ASKED: [&str; 12] = ["@", "a", "b", "c", "a.a", "c.a", "a.b", "c.b", "c.a.b", "b.a.a", "c.c.a", "c.c.b"];
const TYPES: [RecordType; 4] = [RecordType::A, RecordType::Aaaa, RecordType::Txt, RecordType::Other(15)];
const FOREIGN: [&str; 6] =
    ["A 198.51.100.1", "AAAA 2001:db8::1", "CNAME a.org", "TXT theirs", "MX 10 mail.", "NS ns.a.org"];

#[derive(Clone, Debug)]
struct Scene {
    foreign: Vec<(&'static str, &'static str)>,
    theirs: Vec<&'static str>,
    rounds: Vec<Round>,
}

/// What is wanted for a while.
#[derive(Clone, Debug)]
struct Round {
    hosts: Vec<(&'static str, &'static str)>,
    challenges: Vec<&'static str>,
    children: Vec<&'static str>,
    /// Whether it lasts until what is not wanted in it may go.
    lasts: bool,
}

fn rounds() -> impl Strategy<Value = Round> {
    let targets = select(vec!["192.0.2.1", "192.0.2.2 2001:db8::2", "lb.example.org", "keep"]);
    let hosts = subsequence(LABELS.to_vec(), 0..6).prop_flat_map(move |labels| {
        let targets = proptest::collection::vec(targets.clone(), labels.len());
        targets.prop_map(move |targets| labels.iter().copied().zip(targets).collect())
    });
    let plain: Vec<&str> = LABELS.iter().filter(|label| !label.starts_with('*')).copied().collect();
    let challenges = subsequence(plain, 0..4);
    let children = subsequence(vec!["a", "b", "a.b"], 0..3);
    let parts = (hosts, challenges, children, any::<bool>());
    parts.prop_map(|(hosts, challenges, children, lasts)| Round { hosts, challenges, children, lasts })
}

fn scenes() -> impl Strategy<Value = Scene> {
    let foreign = (select(LABELS.to_vec()), select(FOREIGN.to_vec()));
    let foreign = proptest::collection::vec(foreign, 0..5);
    let theirs = subsequence(vec!["@", "a", "b"], 0..2);
    let rounds = proptest::collection::vec(rounds(), 1..4);
    (foreign, theirs, rounds).prop_map(|(foreign, theirs, rounds)| Scene { foreign, theirs, rounds })
}

impl Scene {
    /// The zone before Lamia; records that DNS itself forbids are left out.
    fn stage(&self) -> Stage {
        let mut stage = Stage::new();
        for (label, record) in &self.foreign {
            let alone = |key: &RrsetKey| key.name != name(label);
            let aliased = stage.records.contains_key(&RrsetKey::new(name(label), RecordType::Cname));
            let alias = record.starts_with("CNAME");
            let cut = record.starts_with("NS") && (*label == "@" || label.starts_with('*'));
            if !(cut || aliased || alias && !stage.records.keys().all(alone)) {
                stage = stage.with(label, record);
            }
        }
        for label in &self.theirs {
            stage = stage
                .with(crate::stage::challenge_name(label).as_str().strip_suffix(".example.net").unwrap(), "TXT theirs");
        }
        stage
    }
}

/// Sets what the round wants. Challenge values that it no longer wants are to go.
fn begin(stage: Stage, round: &Round) -> Stage {
    let mut stage = stage;
    let before: BTreeSet<String> = stage.wanted.hosts.keys().cloned().collect();
    for source in before {
        stage.delete(&source, true);
    }
    for (label, target) in &round.hosts {
        stage = stage.host(label, target);
    }
    let children: Vec<String> = stage.wanted.delegations.keys().cloned().collect();
    for child in children {
        stage.undelegate(&child, true);
    }
    for child in &round.children {
        stage = stage.delegation(child, &["ns1.a.org"]);
    }
    let earlier: Vec<String> = stage.wanted.challenges.keys().cloned().collect();
    for label in earlier {
        stage = stage.challenge_of(&label, &label, &[], &["ours", &label]);
    }
    for label in &round.challenges {
        stage = stage.challenge_of(label, label, &["ours", label], &[]);
    }
    stage
}

/// Confirms what is held and waits until it may go.
fn consent(stage: &mut Stage) {
    let names: BTreeSet<Owned> = stage.plan().withdrawals.into_keys().collect();
    stage.memory.confirmed = Some(list_hash(&name("@"), &names));
    let _ = stage.apply();
    stage.wait(600);
}

/// The names that hosts of ours are after the plan: a wildcard's parent stands for the names it answers.
fn asked_for(records: &ZoneRecords, stage: &Stage) -> BTreeSet<Fqdn> {
    let hosts = stage.wanted.hosts.values().map(|demand| &demand.name);
    let published = |host: &&Fqdn| records.keys().any(|key| key.name == **host);
    hosts.filter(published).cloned().collect()
}

fn foreign_values(records: &ZoneRecords) -> BTreeSet<(RrsetKey, RecordValue)> {
    let values = records.iter().flat_map(|(key, rrset)| rrset.values.iter().map(move |value| (key, value)));
    values.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether the records at `name` are copies of a wildcard's.
fn is_copy(records: &ZoneRecords, name: &Fqdn) -> bool {
    let marker = marker_name(name).ok().map(|at| RrsetKey::new(at, RecordType::Txt));
    let values = marker.and_then(|key| records.get(&key)).into_iter().flat_map(|rrset| &rrset.values);
    values.filter_map(parse_value).any(|marker| marker.kind == MarkerKind::Copy)
}

/// The wildcard that answers for a name, by itself or through copies of it; none where a cut is above.
fn wildcard_behind(records: &ZoneRecords, asked: &Fqdn, rtype: RecordType) -> Option<Fqdn> {
    let (answer, synthesized) = ask(records, &name("@"), asked, rtype);
    if matches!(answer, Answer::Referral(_)) {
        return None;
    }
    let first = synthesized.or_else(|| is_copy(records, asked).then(|| asked.clone()))?;
    if !is_copy(records, &first) {
        return Some(first);
    }
    let above = first.ancestors().skip(1).filter(|above| above.is_at_or_under(&name("@")));
    let mut wildcards = above.filter_map(|above| above.child("*").ok()).filter(|wildcard| *wildcard != first);
    wildcards.find(|wildcard| records.keys().any(|key| key.name == *wildcard) && !is_copy(records, wildcard))
}

/// Names that a wildcard answered before are answered the same after, unless a host itself asked for a change.
fn check_wildcards(before: &ZoneRecords, stage: &Stage) -> Result<(), TestCaseError> {
    let hosts = asked_for(&stage.records, stage);
    let at = |records: &ZoneRecords, wildcard: &Fqdn| -> ZoneRecords {
        let those = records.iter().filter(|(key, _)| key.name == *wildcard);
        those.map(|(key, rrset)| (key.clone(), rrset.clone())).collect()
    };
    for (label, rtype) in ASKED.iter().flat_map(|label| TYPES.iter().map(move |rtype| (label, *rtype))) {
        let asked = name(label);
        let Some(wildcard) = wildcard_behind(before, &asked, rtype) else { continue };
        let taken = hosts.iter().any(|host| {
            let base = if host.is_wildcard() { host.parent().unwrap() } else { host.clone() };
            asked.is_at_or_under(&base) && *host != wildcard
        });
        let delegated = stage.wanted.delegations.values().any(|demand| asked.is_at_or_under(&demand.child));
        if !taken && !delegated && at(before, &wildcard) == at(&stage.records, &wildcard) {
            let (was, _) = ask(before, &name("@"), &asked, rtype);
            let (is, _) = ask(&stage.records, &name("@"), &asked, rtype);
            let records = &stage.records;
            prop_assert_eq!(is, was, "{} {} by {}\nbefore {:#?}\nafter {:#?}", asked, rtype, wildcard, before, records);
        }
    }
    Ok(())
}

/// However far a unit comes, no address is left that nobody owns and somebody did not put there.
fn check_parts(before: &ZoneRecords, plan: &ZonePlan) -> Result<(), TestCaseError> {
    let is_foreign = |name: &Fqdn, records: &ZoneRecords| matches!(whose(name, records, &us()), Whose::Foreign { .. });
    for unit in &plan.units {
        let mut records = before.clone();
        let touched: BTreeSet<&Fqdn> = unit.changes.iter().map(|change| &change.key.name).collect();
        for change in &unit.changes {
            apply_to(&mut records, std::slice::from_ref(change));
            let left = touched.iter().find(|name| is_foreign(name, &records) && !is_foreign(name, before));
            prop_assert_eq!(left, None, "after {:?} of {}", change.key, plan);
        }
    }
    Ok(())
}

/// Plans and applies; whether that took a cut away.
fn check_plan(stage: &mut Stage, theirs: &BTreeSet<(RrsetKey, RecordValue)>) -> Result<bool, TestCaseError> {
    let before = stage.records.clone();
    let plan = stage.apply();
    prop_assert!(foreign_values(&stage.records).is_superset(theirs), "a foreign value went:\n{plan}");
    for change in plan.changes() {
        let apex = change.key.name == name("@");
        prop_assert!(!(apex && matches!(change.key.rtype, RecordType::Ns | RecordType::Soa)), "{plan}");
        prop_assert_eq!(change.before.as_ref(), before.get(&change.key));
    }
    let mut keys: Vec<&RrsetKey> = plan.changes().map(|change| &change.key).collect();
    keys.sort();
    prop_assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "an RRset twice:\n{plan}");
    let uncut = plan.changes().any(|change| change.key.rtype == RecordType::Ns && change.after.is_none());
    let again = stage.plan();
    prop_assert!(uncut || again.is_empty(), "not at rest:\nfirst {plan}\nthen {again}\n{:#?}", stage.records);
    check_wildcards(&before, stage)?;
    check_parts(&before, &plan)?;
    check_wanted(&before, stage)?;
    Ok(uncut)
}

/// What stands for a demand stays, even where the demand is refused: the marker speaks for it.
fn check_wanted(before: &ZoneRecords, stage: &Stage) -> Result<(), TestCaseError> {
    let hosts = stage.wanted.hosts.values().map(|demand| (&demand.name, marker_name(&demand.name).ok()));
    let children = stage.wanted.delegations.values().map(|demand| &demand.child);
    let children = children.map(|child| (child, delegation_marker_name(&name("@"), child).ok().flatten()));
    for (wanted, at) in hosts.chain(children) {
        let key = RrsetKey::new(at.unwrap(), RecordType::Txt);
        // A copy is no claim on its name, and goes with what made it needed.
        let stood = before.contains_key(&key) && !(key.name == marker_name(wanted).unwrap() && is_copy(before, wanted));
        prop_assert!(!stood || stage.records.contains_key(&key), "{wanted} lost its marker {key}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_plan_keeps_its_promises(scene in scenes()) {
        let mut stage = scene.stage();
        let origin = stage.records.clone();
        let theirs = foreign_values(&origin);
        for round in &scene.rounds {
            stage = begin(stage, round);
            // A demand that a cut keeps out comes in with the plan after the one that takes the cut away.
            while check_plan(&mut stage, &theirs)? {}
            consent(&mut stage);
            while round.lasts && check_plan(&mut stage, &theirs)? {}
            let again = stage.plan();
            let refused = |subject: &Subject| again.refusals.iter().any(|refusal| refusal.subject == *subject);
            for (source, demand) in &stage.wanted.hosts {
                if !refused(&Subject::Host(source.clone())) {
                    for (key, rrset) in demand.rrsets() {
                        prop_assert_eq!(stage.records.get(&key), Some(&rrset));
                    }
                }
            }
        }
        // When nothing is wanted any more, the zone is what it was before Lamia came.
        stage = begin(stage, &Round { hosts: vec![], challenges: vec![], children: vec![], lasts: false });
        stage.apply();
        consent(&mut stage);
        stage.apply();
        prop_assert_eq!(&stage.records, &origin);
    }
}
