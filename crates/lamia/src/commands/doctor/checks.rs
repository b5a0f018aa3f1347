//! The doctor's judgement: facts in, checks out.
//!
//! | about | problem | advice |
//! |---|---|---|
//! | definitions | missing, not this binary's | |
//! | operator | nobody ever led, the leader is gone | |
//! | DNSProviders | none, two defaults, not Ready | no default |
//! | ACMEIssuers | none, two defaults, not Ready | no default |
//! | namespaces | | none may use a host |
//! | Zones | not Ready | withdrawals held |
//! | SecuredHosts | Ready is False | Ready is Unknown: under way |
//! | rights | | you may not |

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use lamia_api::condition::Condition;
use lamia_api::meta::{LABEL_MANAGED, LABEL_MANAGED_LEGACY, VERSION};
use lamia_api::{SecuredHost, Zone};
use serde::Serialize;

use super::facts::{Facts, Right, Seen, Unseen};
use crate::commands::chain;

/// How many hosts that are not ready are named one by one.
const HOSTS_NAMED: usize = 20;
/// How far clocks may be apart before a Lease counts as old.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What.
    pub(super) about: String,
    /// How it stands.
    pub(super) state: State,
    /// In words.
    pub(super) says: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum State {
    Fine,
    Advice,
    Problem,
}

impl Check {
    pub(super) fn fine(about: impl Into<String>, says: impl Into<String>) -> Self {
        Self { about: about.into(), state: State::Fine, says: says.into(), advice: None }
    }

    pub(super) fn advice(about: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { about: about.into(), state: State::Advice, says: says.into(), advice: Some(advice.into()) }
    }

    pub(super) fn problem(about: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Problem, ..Self::advice(about, says, advice) }
    }
}

/// Judges everything that was seen.
pub(super) fn examine(facts: &Facts, now: Timestamp) -> Vec<Check> {
    let mut checks = vec![Check::fine("API server", &facts.server)];
    checks.extend(definitions(&facts.definitions));
    checks.extend(seen("Operator", &facts.lease, |lease| vec![operator(lease.as_ref(), &facts.system_namespace, now)]));
    checks.extend(seen("DNSProviders", &facts.providers, |providers| {
        let ready = providers
            .iter()
            .map(|it| (it.name_any(), it.spec.default, conditions(it.status.as_ref().map(|s| &s.conditions))));
        sources("DNSProvider", "hosts", &ready.collect::<Vec<_>>())
    }));
    checks.extend(seen("ACMEIssuers", &facts.issuers, |issuers| {
        let ready = issuers
            .iter()
            .map(|it| (it.name_any(), it.spec.default, conditions(it.status.as_ref().map(|s| &s.conditions))));
        sources("ACMEIssuer", "certificates", &ready.collect::<Vec<_>>())
    }));
    checks.extend(seen("Namespaces", &facts.namespaces, |_| vec![namespaces(facts)]));
    checks.extend(seen("Zones", &facts.zones, |zones| zones.iter().flat_map(zone).collect()));
    checks.extend(seen("Hosts", &facts.hosts, |all| hosts(all)));
    checks.extend(facts.rights.iter().filter_map(|(right, allowed)| self::right(right, allowed)));
    checks
}

/// What `judge` says of what was seen; else why it was not seen. A missing kind is told with the definitions.
fn seen<T>(about: &str, seen: &Seen<T>, judge: impl FnOnce(&T) -> Vec<Check>) -> Vec<Check> {
    match seen {
        Ok(facts) => judge(facts),
        Err(Unseen::NoKind) => Vec::new(),
        Err(Unseen::Forbidden) => {
            vec![Check::advice(about, "you may not look at these", "ask somebody who may to run lamia doctor")]
        }
        Err(Unseen::Failed(why)) => {
            vec![Check::problem(about, why, "try again; if it stays, look at the API server's log")]
        }
    }
}

fn definitions(all: &[(CustomResourceDefinition, Seen<Option<CustomResourceDefinition>>)]) -> Vec<Check> {
    const INSTALL: &str = "lamia crds | kubectl apply --server-side -f -";
    let mut wrong = Vec::new();
    for (ours, theirs) in all {
        let name = ours.name_any();
        match theirs {
            Ok(None) => wrong.push(Check::problem("Definitions", format!("{name} is not installed"), INSTALL)),
            Ok(Some(theirs)) if schema(ours) != schema(theirs) => {
                wrong.push(Check::problem("Definitions", format!("{name} is not of this version"), INSTALL));
            }
            Ok(Some(_)) => {}
            Err(_) => wrong.extend(seen("Definitions", theirs, |_| Vec::new())),
        }
    }
    wrong.dedup();
    if wrong.is_empty() {
        wrong.push(Check::fine("Definitions", format!("all {} are installed and of this version", all.len())));
    }
    wrong
}

/// The schema of our version; the rest of a definition is filled in by the server.
fn schema(definition: &CustomResourceDefinition) -> Option<impl PartialEq + '_> {
    definition.spec.versions.iter().find(|version| version.name == VERSION)?.schema.as_ref()
}

fn operator(lease: Option<&Lease>, namespace: &str, now: Timestamp) -> Check {
    let elsewhere = format!(
        "start it: lamia operator -n {namespace}; if it runs in another namespace: lamia doctor --system-namespace NAME"
    );
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
        return Check::problem("Operator", format!("none has ever run in namespace {namespace}"), elsewhere);
    };
    let holder = spec.holder_identity.clone().unwrap_or_default();
    let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into()) + SKEW;
    match &spec.renew_time {
        Some(renewed) if !holder.is_empty() && now.duration_since(renewed.0) <= lasts => {
            Check::fine("Operator", format!("{holder} leads"))
        }
        Some(renewed) => {
            let says = format!("nobody leads since {}", renewed.0.strftime("%Y-%m-%d %H:%M:%SZ"));
            Check::problem(
                "Operator",
                says,
                format!("see why it stopped: kubectl get pods -n {namespace}; {elsewhere}"),
            )
        }
        None => Check::problem("Operator", "nobody leads", elsewhere),
    }
}

fn conditions(conditions: Option<&Vec<Condition>>) -> &[Condition] {
    conditions.map(Vec::as_slice).unwrap_or_default()
}

/// Providers or issuers: name, whether it is the default, conditions.
fn sources(kind: &str, of: &str, all: &[(String, bool, &[Condition])]) -> Vec<Check> {
    let about = format!("{kind}s");
    if all.is_empty() {
        let advice = format!("make one; what it may say: kubectl explain {}.spec", kind.to_lowercase());
        return vec![Check::problem(about, format!("there is no {kind}"), advice)];
    }
    let mut checks: Vec<_> =
        all.iter().map(|(name, _, conditions)| one(&format!("{kind} {name}"), conditions, None)).collect();
    let defaults: Vec<_> = all.iter().filter(|(_, default, _)| *default).map(|(name, ..)| name.as_str()).collect();
    match defaults.as_slice() {
        [_] => {}
        [] => {
            let patch = format!(
                "kubectl patch {} NAME --type=merge -p '{{\"spec\":{{\"default\":true}}}}'",
                kind.to_lowercase()
            );
            checks.push(Check::advice(about, format!("none is the default: {of} must name theirs"), patch));
        }
        several => {
            let says = format!("{} are all marked as default", several.join(", "));
            checks.push(Check::problem(about, says, "leave `default: true` on one of them"));
        }
    }
    checks
}

/// An object with a `Ready` condition. `see` shows more of it.
fn one(about: &str, conditions: &[Condition], see: Option<String>) -> Check {
    let Some(ready) = chain::find(conditions, lamia_api::condition::READY) else {
        return Check::advice(about, "Lamia has not looked at it yet", "see whether the operator runs (above)");
    };
    let says = format!("{}: {}", ready.reason, ready.message);
    let advice = see.unwrap_or_else(|| "do as the message says".to_owned());
    match ready.status.as_str() {
        "True" => Check::fine(about, "ready"),
        "False" => Check::problem(about, says, advice),
        _ => Check::advice(about, says, advice),
    }
}

fn namespaces(facts: &Facts) -> Check {
    let namespaces = facts.namespaces.as_deref().unwrap_or_default();
    let managed = namespaces.iter().filter(|namespace| {
        let labels = namespace.labels();
        [LABEL_MANAGED, LABEL_MANAGED_LEGACY]
            .iter()
            .any(|label| labels.get(*label).is_some_and(|value| value == "true"))
    });
    let managed: Vec<_> = managed.map(ResourceExt::name_any).collect();
    let granted = facts.zones.as_deref().unwrap_or_default().iter().any(|zone| !zone.spec.grants.is_empty())
        || facts.providers.as_deref().unwrap_or_default().iter().any(|provider| !provider.spec.grants.is_empty());
    match (managed.is_empty(), granted) {
        (false, _) => Check::fine("Namespaces", format!("labelled for plain hosts: {}", managed.join(", "))),
        (true, true) => Check::fine("Namespaces", "by the grants of zones"),
        (true, false) => Check::advice(
            "Namespaces",
            "none may use a host: none is labelled and no zone grants anything",
            format!("kubectl label namespace NAME {LABEL_MANAGED}=true"),
        ),
    }
}

fn zone(zone: &Zone) -> Vec<Check> {
    let name = zone.name_any();
    let about = format!("Zone {name}");
    let status = zone.status.clone().unwrap_or_default();
    let mut checks = vec![one(&about, &status.conditions, Some(format!("lamia zone get {name}")))];
    if let Some(held) = status.held {
        let says = format!("{} withdrawals are held: {}", held.count, held.reason);
        checks.push(Check::advice(about, says, format!("if they are meant: lamia zone confirm {name}")));
    }
    checks
}

fn hosts(all: &[SecuredHost]) -> Vec<Check> {
    let check = |host: &SecuredHost| {
        let (name, namespace) = (host.name_any(), host.namespace().unwrap_or_default());
        let see = format!("lamia host get {name} -n {namespace}");
        one(
            &format!("Host {namespace}/{name}"),
            conditions(host.status.as_ref().map(|status| &status.conditions)),
            Some(see),
        )
    };
    let mut waiting: Vec<_> = all.iter().map(check).filter(|check| check.state != State::Fine).collect();
    let summary = format!("{} of {} are ready", all.len() - waiting.len(), all.len());
    if waiting.len() > HOSTS_NAMED {
        let more = waiting.len() - HOSTS_NAMED;
        waiting.sort_by_key(|check| check.state != State::Problem);
        waiting.truncate(HOSTS_NAMED);
        waiting.push(Check::advice("Hosts", format!("{more} more are not ready"), "lamia host list -A"));
    }
    let state = if waiting.is_empty() { State::Fine } else { State::Advice };
    waiting.insert(0, Check { state, ..Check::fine("Hosts", summary) });
    waiting
}

/// Nothing where it is allowed.
fn right(right: &Right, allowed: &Seen<bool>) -> Option<Check> {
    let place = right.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
    let what = format!("{} {}{place}", right.verb, right.resource);
    match allowed {
        Ok(true) => None,
        Ok(false) => Some(Check::advice(
            "Your rights",
            format!("you may not {what}"),
            "ask whoever runs the cluster for the role",
        )),
        Err(_) => Some(Check::advice("Your rights", format!("unknown: may you {what}?"), "kubectl auth can-i --list")),
    }
}

#[cfg(test)]
mod tests;
