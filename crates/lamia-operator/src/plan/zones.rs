//! The zones at their providers: which there are, what they hold, and what the hosts' demands would change in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use kube::Client;
use lamia_api::common::Management;
use lamia_core::dns::diff::{Unit, Verb, verb};
use lamia_core::dns::ownership::Identity;
use lamia_core::dns::plan::{ZonePlan, plan};
use lamia_core::dns::safety::{Memory, SafetyRules};
use lamia_core::dns::takeover::{TakeOver, missing};
use lamia_core::dns::wanted::{ChallengeDemand, DelegationDemand, Wanted};
use lamia_core::name::Fqdn;
use lamia_core::record::{Rrset, RrsetChange, ZoneRecords};
use lamia_providers::dns::DnsProvider;

use super::read::Cluster;
use super::{Action, Planned, RecordChange, ZoneForecast};
use crate::config::Config;
use crate::controllers::provider::connect;
use crate::controllers::zone::find::there;
use crate::controllers::zone::judge::{Judgement, judge, subject};
use crate::controllers::zone::parent::delegation;
use crate::controllers::zone_reason;
use crate::outside::BuiltIn;
use crate::world::World;
use crate::world::provider::FoundProvider;
use crate::world::zone::ZoneEntry;

/// What stands at the provider of a Zone.
pub(super) enum Found {
    /// The zone, with its records.
    There(ZoneRecords),
    /// No zone, and it may be made.
    Makeable,
    /// Nothing can be done there, and why.
    Stopped(String),
}

/// Asks each DNSProvider for its zones.
pub(super) async fn look_at_providers(config: &Config, client: &Client, world: &mut World) {
    let looks = world.providers.iter().map(|(name, entry)| async move {
        let provider =
            match connect(&BuiltIn, client, &config.namespace, config.allow_private_endpoints, name, &entry.spec).await
            {
                Ok(provider) => provider,
                Err(because) => return (name.clone(), FoundProvider::Broken(because)),
            };
        let found = match provider.zones().await {
            Ok(zones) => FoundProvider::Ready { provider, zones: Arc::new(zones) },
            Err(error) => FoundProvider::Broken(zone_reason(&error)),
        };
        (name.clone(), found)
    });
    for (name, found) in join_all(looks).await {
        if let Some(entry) = world.providers.get_mut(&name) {
            entry.found = Some(found);
        }
    }
}

/// Looks for each Zone at its provider, and reads its records. By name of the Zone.
pub(super) async fn look_at_zones(world: &World) -> BTreeMap<String, Found> {
    let looks = world.zones.keys().map(|name| async move { (name.clone(), look(world, name).await) });
    join_all(looks).await.into_iter().collect()
}

async fn look(world: &World, name: &str) -> Found {
    let Some(subject) = subject(world, name) else { return Found::Stopped("it is gone".to_owned()) };
    let provider = match judge(&subject) {
        Judgement::Usable(provider) => provider,
        Judgement::Unusable(because) => return Found::Stopped(because.to_string()),
        Judgement::Open => return Found::Stopped("its DNSProvider could not be looked at".to_owned()),
    };
    let Some(domain) = &subject.entry.domain else { return Found::Stopped("its domain is no name".to_owned()) };
    match there(domain, &subject, provider.as_ref()).await {
        Ok(Some(zone)) => records(provider.as_ref(), &zone.id).await,
        Ok(None) => Found::Makeable,
        Err(because) => Found::Stopped(because.to_string()),
    }
}

async fn records(provider: &dyn DnsProvider, zone: &lamia_providers::dns::ZoneId) -> Found {
    match provider.records(zone).await {
        Ok(records) => Found::There(records),
        Err(error) => Found::Stopped(zone_reason(&error).to_string()),
    }
}

/// The forecast of each zone that somebody uses or that holds something of ours.
pub(super) fn forecasts(
    identity: &Identity,
    cluster: &Cluster,
    made: &BTreeSet<String>,
    found: BTreeMap<String, Found>,
    planned: &[Planned],
) -> Vec<ZoneForecast> {
    let (world, now) = (&cluster.world, cluster.now);
    let told = |(name, found): (String, Found)| {
        let entry = world.zones.get(&name)?;
        let wanted = wanted(identity, cluster, (&name, entry), planned)?;
        Some(forecast(&name, entry, made.contains(&name), found, &wanted, now))
    };
    let mut zones: Vec<ZoneForecast> = found.into_iter().filter_map(told).collect();
    zones.sort_by(|one, other| (&one.domain, &one.object).cmp(&(&other.domain, &other.object)));
    zones
}

/// What is wanted in a zone. Every source has spoken: all objects are known. `None` for a Zone whose domain is no name.
fn wanted(
    identity: &Identity,
    cluster: &Cluster,
    (name, entry): (&str, &ZoneEntry),
    planned: &[Planned],
) -> Option<Wanted> {
    let domain = entry.domain.as_ref()?;
    let mut wanted = Wanted::nothing(domain.clone(), identity.clone(), SafetyRules::default());
    let here = planned.iter().filter(|host| host.zone.as_ref() == Some(domain));
    wanted.hosts = here.filter_map(|host| Some((host.key.to_string(), host.demand.clone()?))).collect();
    wanted.challenges = challenges(cluster, domain);
    wanted.delegations = delegations(&cluster.world, name);
    wanted.take_over = entry.take_over.clone().unwrap_or_default();
    wanted.max_rrsets = max_rrsets(&cluster.world, entry);
    wanted.complete = true;
    Some(wanted)
}

/// The most RRsets that the Zone's provider takes in a zone, where it is known.
fn max_rrsets(world: &World, zone: &ZoneEntry) -> Option<usize> {
    match &world.providers.get(&zone.spec.provider_ref.name)?.found {
        Some(FoundProvider::Ready { provider, .. }) => provider.capabilities().max_rrsets,
        Some(FoundProvider::Broken(_)) | None => None,
    }
}

/// What the Zones below this one want in it, with the name servers that they were last known to have.
fn delegations(world: &World, parent: &str) -> BTreeMap<String, DelegationDemand> {
    let names = |zone: &ZoneEntry| zone.spec.parent_ref.as_ref().is_some_and(|it| it.name == parent);
    let children = world.zones.iter().filter(|(_, zone)| names(zone));
    children.filter_map(|(name, zone)| Some((name.clone(), delegation(name, zone, &zone.facts)?))).collect()
}

/// The rules that are missing for the hosts of a Zone to have their names, and what would change with them. `None` when the Zone's
/// records can't be read; why is in its forecast.
pub(super) fn import(
    identity: &Identity,
    cluster: &Cluster,
    name: &str,
    found: &Found,
    planned: &[Planned],
) -> Option<(Vec<TakeOver>, ZonePlan)> {
    let Found::There(records) = found else { return None };
    let entry = cluster.world.zones.get(name)?;
    let mut wanted = wanted(identity, cluster, (name, entry), planned)?;
    let rules = missing(&wanted, records);
    wanted.take_over.extend(rules.iter().cloned());
    let memory = Memory { confirmed: entry.confirmed.clone(), ..Memory::default() };
    Some((rules, plan(&wanted, records, &memory, cluster.now)))
}

/// The values of orders under way: they are issuance's, and what they need beside them stays.
fn challenges(cluster: &Cluster, zone: &Fqdn) -> BTreeMap<String, ChallengeDemand> {
    let zones = cluster.world.zones.values().filter(|entry| entry.is_active() && entry.is_public());
    let domains: Vec<&Fqdn> = zones.filter_map(|entry| entry.domain.as_ref()).collect();
    let is_here = |name: &Fqdn| {
        let holding = domains.iter().filter(|domain| name.is_at_or_under(domain));
        holding.max_by_key(|domain| domain.as_str().len()).is_some_and(|longest| *longest == zone)
    };
    let mut demands: BTreeMap<String, ChallengeDemand> = BTreeMap::new();
    for (certificate, object) in cluster.certificates.iter().flatten() {
        let issuance = object.status.as_ref().and_then(|status| status.issuance.as_ref());
        for record in issuance.iter().flat_map(|issuance| &issuance.challenges) {
            if let Some(name) = Fqdn::parse(&record.name).ok().filter(is_here) {
                let demand = demands.entry(certificate.clone()).or_default();
                demand.names.entry(name).or_default().want.insert(record.value.clone());
            }
        }
    }
    demands
}

fn forecast(
    name: &str,
    entry: &ZoneEntry,
    object_is_new: bool,
    found: Found,
    wanted: &Wanted,
    now: Timestamp,
) -> ZoneForecast {
    let memory = Memory { confirmed: entry.confirmed.clone(), ..Memory::default() };
    let observed = (entry.spec.management == Management::Observe)
        .then(|| "spec.management is Observe: nothing of this is done".to_owned());
    let (created, stopped, plan) = match found {
        Found::There(records) => (false, observed, Some(plan(wanted, &records, &memory, now))),
        Found::Makeable => (true, observed, Some(plan(wanted, &ZoneRecords::default(), &memory, now))),
        Found::Stopped(words) => (false, Some(words), None),
    };
    ZoneForecast {
        domain: wanted.zone.to_string(),
        object: name.to_owned(),
        object_is_new,
        provider: entry.spec.provider_ref.name.clone(),
        created_at_provider: created,
        stopped,
        changes: plan.iter().flat_map(|plan| &plan.units).flat_map(changes).collect(),
        refusals: plan.iter().flat_map(refusals).collect(),
        plan,
    }
}

fn changes(unit: &Unit) -> impl Iterator<Item = RecordChange> {
    let why: Vec<String> = unit.subjects.iter().map(ToString::to_string).collect();
    unit.changes.iter().map(move |change| record_change(change, why.clone()))
}

fn record_change(change: &RrsetChange, why: Vec<String>) -> RecordChange {
    let words = |rrset: &Rrset| {
        let values: Vec<String> = rrset.values.iter().map(ToString::to_string).collect();
        format!("{} {}", rrset.ttl, values.join(" "))
    };
    RecordChange {
        action: match verb(change) {
            Verb::Add => Action::Add,
            Verb::Change => Action::Change,
            Verb::Remove => Action::Remove,
        },
        name: change.key.name.to_string(),
        rtype: change.key.rtype.to_string(),
        before: change.before.as_ref().map(words),
        after: change.after.as_ref().map(words),
        why,
    }
}

fn refusals(plan: &ZonePlan) -> impl Iterator<Item = String> {
    let words = |refusal: &lamia_core::dns::admit::Refusal| {
        format!("{}: {}: {}", refusal.subject, refusal.reason.as_str(), refusal.message)
    };
    plan.refusals.iter().map(words)
}
