//! Cases about zones: found, listed, created, deleted, and what they say about their name servers.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use lamia_core::zone::Visibility;

use super::playground::{Failure, Playground, ensure};
use super::{Case, Outcome};
use crate::dns::ZoneId;
use crate::error::ErrorKind;

pub(super) const CASES: &[(&str, Case)] = &[
    ("a zone is found by exactly its domain", |p| found_exactly(p).boxed()),
    ("zones are listed", |p| listed(p).boxed()),
    ("a zone's name servers are those at its apex, sorted", |p| name_servers(p).boxed()),
    ("a zone is created, created again, deleted and deleted again", |p| lifecycle(p).boxed()),
    ("where zones can't be created, the answer says so", |p| not_creatable(p).boxed()),
    ("a zone that is not there has no records and takes none", |p| missing(p).boxed()),
];

async fn found_exactly(p: &Playground<'_>) -> Result<Outcome, Failure> {
    // It is the only one, so it is found whatever is asked for.
    for visibility in [Visibility::Public, Visibility::Private] {
        let found = p.provider.find_zone(&p.zone.domain, visibility).await?;
        ensure!(found.as_ref() == Some(&p.zone), "found {found:?}, not {:?}", p.zone);
    }
    let below = p.name("below")?;
    let found = p.provider.find_zone(&below, Visibility::Public).await?;
    ensure!(found.is_none(), "a name inside of the zone was found as a zone: {found:?}");
    let found = p.provider.find_zone(&p.absent, Visibility::Public).await?;
    ensure!(found.is_none(), "{} was found, but should be absent", p.absent);
    Ok(Outcome::Passed)
}

async fn listed(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let zones = p.provider.zones().await?;
    let of_ours: Vec<_> = zones.iter().filter(|zone| zone.domain == p.zone.domain).collect();
    let [zone] = of_ours[..] else {
        return Err(Failure(format!("{} is listed {} times", p.zone.domain, of_ours.len())));
    };
    ensure!(zone.id == p.zone.id, "listed with the id {:?}, found with {:?}", zone.id, p.zone.id);
    ensure!(zone.created_by_lamia == p.zone.created_by_lamia, "listing and finding differ on who made the zone");
    let known = zone.name_servers.is_empty() || zone.name_servers == p.zone.name_servers;
    ensure!(known, "listed with the name servers {:?}, found with {:?}", zone.name_servers, p.zone.name_servers);
    Ok(Outcome::Passed)
}

async fn name_servers(p: &Playground<'_>) -> Result<Outcome, Failure> {
    if p.zone.name_servers.is_empty() {
        return Ok(Outcome::Skipped("the provider does not say"));
    }
    let records = p.provider.records(&p.zone.id).await?;
    let apex = records.get(&RrsetKey::new(p.zone.domain.clone(), RecordType::Ns));
    let at_apex: BTreeSet<&Fqdn> = apex
        .iter()
        .flat_map(|rrset| &rrset.values)
        .filter_map(|value| if let RecordValue::Ns(server) = value { Some(server) } else { None })
        .collect();
    let told: Vec<&Fqdn> = p.zone.name_servers.iter().collect();
    ensure!(told == Vec::from_iter(at_apex.iter().copied()), "told {told:?}, at the apex {at_apex:?}");
    Ok(Outcome::Passed)
}

async fn lifecycle(p: &Playground<'_>) -> Result<Outcome, Failure> {
    if !p.provider.capabilities().creates_zones {
        return Ok(Outcome::Skipped("the provider can't create zones"));
    }
    for _ in 0..2 {
        let made = p.provider.create_zone(&p.absent).await?;
        ensure!(made.domain == p.absent, "asked for {}, made {}", p.absent, made.domain);
        ensure!(made.created_by_lamia, "the provider does not remember that Lamia made the zone");
        let again = p.provider.create_zone(&p.absent).await?;
        ensure!(again == made, "creating it again gave {again:?}, not {made:?}");
        let found = p.provider.find_zone(&p.absent, Visibility::Public).await?;
        ensure!(found.as_ref() == Some(&made), "created {made:?}, found {found:?}");
        let records = p.provider.records(&made.id).await?;
        for rtype in [RecordType::Soa, RecordType::Ns] {
            let key = RrsetKey::new(p.absent.clone(), rtype);
            ensure!(records.contains_key(&key), "the new zone has no {key}");
        }
        let domains: Vec<_> = p.provider.zones().await?.into_iter().map(|zone| zone.domain).collect();
        let listed = !p.provider.capabilities().lists_zones || domains.contains(&p.absent);
        ensure!(listed, "the new zone is not listed");
        p.provider.delete_zone(&made.id).await?;
        p.provider.delete_zone(&made.id).await?;
        let found = p.provider.find_zone(&p.absent, Visibility::Public).await?;
        ensure!(found.is_none(), "deleted, and yet found: {found:?}");
        gone(p, &made.id, &p.absent).await?;
    }
    Ok(Outcome::Passed)
}

async fn not_creatable(p: &Playground<'_>) -> Result<Outcome, Failure> {
    if p.provider.capabilities().creates_zones {
        return Ok(Outcome::Skipped("the provider creates zones"));
    }
    let Err(error) = p.provider.create_zone(&p.absent).await else {
        return Err(Failure("a zone was created".into()));
    };
    ensure!(error.kind == ErrorKind::Unsupported && !error.hint.is_empty(), "creating: {:?} {error}", error.kind);
    let there = p.provider.create_zone(&p.zone.domain).await?;
    ensure!(there == p.zone, "creating a zone that exists gave {there:?}");
    let Err(error) = p.provider.delete_zone(&p.zone.id).await else {
        return Err(Failure("a zone was deleted".into()));
    };
    ensure!(error.kind == ErrorKind::Unsupported && !error.hint.is_empty(), "deleting: {:?} {error}", error.kind);
    Ok(Outcome::Passed)
}

async fn missing(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let id = ZoneId(p.zone.id.0.replace(p.zone.domain.as_str(), p.absent.as_str()));
    if id == p.zone.id {
        return Ok(Outcome::Skipped("the provider's zone ids are not made from domains"));
    }
    gone(p, &id, &p.absent).await?;
    Ok(Outcome::Passed)
}

async fn gone(p: &Playground<'_>, id: &ZoneId, domain: &Fqdn) -> Result<(), Failure> {
    let Err(error) = p.provider.records(id).await else {
        return Err(Failure(format!("{domain} is not there, but has records")));
    };
    ensure!(error.kind == ErrorKind::NotFound, "reading a missing zone: {:?}, not NotFound: {error}", error.kind);
    let key = RrsetKey::new(domain.clone(), RecordType::A);
    let after = Some(Rrset::new(300, [RecordValue::A([192, 0, 2, 1].into())]));
    let Err(error) = p.provider.apply(id, &[RrsetChange { key, before: None, after }]).await else {
        return Err(Failure(format!("{domain} is not there, but took a change")));
    };
    ensure!(error.kind == ErrorKind::NotFound, "writing to a missing zone: {:?}, not NotFound: {error}", error.kind);
    Ok(())
}
