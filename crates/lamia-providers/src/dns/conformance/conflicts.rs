//! Cases in which a change set must be refused, or must be found done: compare-and-swap, exclusion, names and sizes.

use futures::FutureExt as _;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};

use super::playground::{Failure, Playground, ensure};
use super::{Case, Outcome};
use crate::error::ErrorKind;

pub(super) const CASES: &[(&str, Case)] = &[
    ("a change that saw other data is a conflict and changes nothing", |p| saw_other_data(p).boxed()),
    ("a new RRset where one stands is a conflict", |p| new_over_old(p).boxed()),
    ("removing an RRset that gained a value is a conflict", |p| remove_after_gain(p).boxed()),
    ("changing an RRset that is gone is a conflict", |p| change_after_loss(p).boxed()),
    ("what stands already is no error, whatever was seen before", |p| done_already(p).boxed()),
    ("half of a change set is done already: the other half is applied", |p| half_done(p).boxed()),
    ("one conflict in a change set stops the whole set", |p| all_or_nothing(p).boxed()),
    ("an alias beside addresses is refused", |p| alias_beside_addresses(p).boxed()),
    ("addresses beside an alias are refused", |p| addresses_beside_alias(p).boxed()),
    ("the zone's own SOA and NS are refused", |p| apex_soa_and_ns(p).boxed()),
    ("names outside of the zone are refused", |p| outside(p).boxed()),
    ("more changes than the provider takes are refused", |p| too_many(p).boxed()),
    ("an empty change set changes nothing", |p| nothing(p).boxed()),
];

fn addresses(last: &[u8]) -> Rrset {
    Rrset::new(300, last.iter().map(|last| RecordValue::A([192, 0, 2, *last].into())))
}

fn change(key: &RrsetKey, before: Option<Rrset>, after: Option<Rrset>) -> RrsetChange {
    RrsetChange { key: key.clone(), before, after }
}

/// Puts `standing` at `labels`, sees one change refused as a conflict, and clears up.
async fn conflicts(
    p: &Playground<'_>,
    labels: &str,
    standing: Option<Rrset>,
    before: Option<Rrset>,
    after: Option<Rrset>,
) -> Result<Outcome, Failure> {
    let key = p.key(labels, RecordType::A)?;
    p.reach(&vec![(key.clone(), standing)]).await?;
    let one = [change(&key, before, after)];
    p.refused(ErrorKind::Conflict, &one).await?;
    p.refused(ErrorKind::Conflict, &one).await?;
    p.clear([key]).await?;
    Ok(Outcome::Passed)
}

async fn saw_other_data(p: &Playground<'_>) -> Result<Outcome, Failure> {
    conflicts(p, "saw-other", Some(addresses(&[1])), Some(addresses(&[2])), Some(addresses(&[3]))).await
}

async fn new_over_old(p: &Playground<'_>) -> Result<Outcome, Failure> {
    conflicts(p, "new-over-old", Some(addresses(&[1])), None, Some(addresses(&[2]))).await
}

async fn remove_after_gain(p: &Playground<'_>) -> Result<Outcome, Failure> {
    conflicts(p, "gained", Some(addresses(&[1, 2])), Some(addresses(&[1])), None).await
}

async fn change_after_loss(p: &Playground<'_>) -> Result<Outcome, Failure> {
    conflicts(p, "lost", None, Some(addresses(&[1])), Some(addresses(&[2]))).await
}

async fn done_already(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let key = p.key("done", RecordType::A)?;
    p.apply(&[change(&key, Some(addresses(&[1])), None)]).await?;
    p.reach(&vec![(key.clone(), Some(addresses(&[1])))]).await?;
    let before = p.read().await?;
    for saw in [None, Some(addresses(&[2])), Some(addresses(&[1]))] {
        p.apply(&[change(&key, saw, Some(addresses(&[1])))]).await?;
    }
    let after = p.read().await?;
    ensure!(after == before, "a change set that was done already changed the zone");
    p.clear([key]).await?;
    Ok(Outcome::Passed)
}

async fn half_done(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let (done, open) = (p.key("done.half", RecordType::A)?, p.key("open.half", RecordType::A)?);
    p.reach(&vec![(done.clone(), Some(addresses(&[1])))]).await?;
    let both = [change(&done, None, Some(addresses(&[1]))), change(&open, None, Some(addresses(&[2])))];
    p.apply(&both).await?;
    let left = p.plan(&vec![(done.clone(), Some(addresses(&[1]))), (open.clone(), Some(addresses(&[2])))]).await?;
    ensure!(left.is_empty(), "still to do: {left:?}");
    p.clear([done, open]).await?;
    Ok(Outcome::Passed)
}

async fn all_or_nothing(p: &Playground<'_>) -> Result<Outcome, Failure> {
    if !p.provider.capabilities().atomic_batches {
        return Ok(Outcome::Skipped("a change set is not all or nothing here"));
    }
    let (good, bad) = (p.key("good.set", RecordType::A)?, p.key("bad.set", RecordType::A)?);
    p.reach(&vec![(bad.clone(), Some(addresses(&[1])))]).await?;
    for set in [
        [change(&good, None, Some(addresses(&[3]))), change(&bad, Some(addresses(&[2])), None)],
        [change(&bad, None, Some(addresses(&[2]))), change(&good, None, Some(addresses(&[3])))],
    ] {
        p.refused(ErrorKind::Conflict, &set).await?;
    }
    p.clear([good, bad]).await?;
    Ok(Outcome::Passed)
}

fn alias() -> Result<Rrset, Failure> {
    let target = Fqdn::parse("lb.example.net").map_err(|error| Failure(error.to_string()))?;
    Ok(Rrset::new(300, [RecordValue::Cname(target)]))
}

async fn alias_beside_addresses(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let (address, cname) = (p.key("excluded", RecordType::A)?, p.key("excluded", RecordType::Cname)?);
    p.reach(&vec![(address.clone(), Some(addresses(&[1])))]).await?;
    p.refused(ErrorKind::Invalid, &[change(&cname, None, Some(alias()?))]).await?;
    p.clear([address, cname]).await?;
    Ok(Outcome::Passed)
}

async fn addresses_beside_alias(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let (address, cname) = (p.key("aliased", RecordType::A)?, p.key("aliased", RecordType::Cname)?);
    p.reach(&vec![(cname.clone(), Some(alias()?))]).await?;
    p.refused(ErrorKind::Invalid, &[change(&address, None, Some(addresses(&[1])))]).await?;
    p.clear([address, cname]).await?;
    Ok(Outcome::Passed)
}

async fn apex_soa_and_ns(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let records = p.provider.records(&p.zone.id).await?;
    let lists_apex = p.provider.capabilities().lists_apex;
    for rtype in [RecordType::Soa, RecordType::Ns] {
        let key = RrsetKey::new(p.zone.domain.clone(), rtype);
        let standing = records.get(&key).cloned();
        ensure!(standing.is_some() == lists_apex, "{key} is listed: {}, lists_apex: {lists_apex}", standing.is_some());
        if standing.is_none() {
            p.refused(ErrorKind::Invalid, &[change(&key, None, Some(addresses(&[1])))]).await?;
            continue;
        }
        p.refused(ErrorKind::Invalid, &[change(&key, standing, None)]).await?;
    }
    Ok(Outcome::Passed)
}

async fn outside(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let parent = p.zone.domain.parent().ok_or_else(|| Failure("the zone to play in is a top-level domain".into()))?;
    let beside = Fqdn::parse(&format!("x{}", p.zone.domain)).map_err(|error| Failure(error.to_string()))?;
    for name in [parent, beside, Fqdn::parse("www.example.invalid").map_err(|error| Failure(error.to_string()))?] {
        let key = RrsetKey::new(name, RecordType::A);
        p.refused(ErrorKind::Invalid, &[change(&key, None, Some(addresses(&[1])))]).await?;
    }
    Ok(Outcome::Passed)
}

async fn too_many(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let max = p.provider.capabilities().limits.changes;
    if max > 10_000 {
        return Ok(Outcome::Skipped("the provider takes more than 10,000 changes in a call"));
    }
    let mut set = Vec::new();
    for number in 0..=max {
        set.push(change(&p.key(&format!("n{number}.too-many"), RecordType::A)?, None, Some(addresses(&[1]))));
    }
    p.refused(ErrorKind::Invalid, &set).await?;
    Ok(Outcome::Passed)
}

async fn nothing(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let before = p.read().await?;
    p.provider.apply(&p.zone.id, &[]).await?;
    let after = p.read().await?;
    ensure!(after == before, "an empty change set changed the zone");
    Ok(Outcome::Passed)
}
