//! Who may use which name of a zone, and which issuer. Closed by default.
//!
//! A host needs *one* grant that covers its namespace, its name and all that it asks for; grants do not add up. Where a
//! zone has no grants at all, namespaces labelled `lamia.dev/managed=true` may use its plain hosts.
//!
//! | asks for | needs |
//! |---|---|
//! | any host | a grant for the namespace that names the host, has a suffix above it, or is for the whole zone |
//! | `*.something` | `allow: [Wildcard]` too |
//! | the zone's own name | `allow: [Apex]` too |
//! | `dns.target` | `allow: [Target]` too, and the target in `targets` |
//! | challenges of other zones' hosts, which lead here by alias | `allow: [Challenge]` too ([`may_answer`]) |
//! | one host more | fewer than `maxHosts` of the namespace in the zone, where the grant has it |
//!
//! A refusal says what the nearest grant lacks and where it can be given; it never tells what other namespaces have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lamia_api::common::{Grant, NamespaceSelection, Permission};
use lamia_api::meta;

use super::reason::{AcceptedReason, Because, CertificateReason};
use super::validate::Target;
use crate::name::{Fqdn, HostName};

/// A namespace and its labels.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The SecuredHost's namespace.
    pub namespace: Namespace<'a>,
    /// The host.
    pub host: &'a HostName,
    /// `dns.target`.
    pub target: Option<&'a Target>,
    /// How many accepted hosts of the namespace in this zone are older than this one.
    pub older_hosts: u32,
}

/// Where the grants stand that count for a host.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a> {
    /// The zone's apex, or that of the zone to be made.
    pub zone: &'a Fqdn,
    /// The object that holds them, for people: `Zone example-org`, or the `DNSProvider` of a zone to be made.
    pub place: &'a str,
    /// The grants.
    pub list: &'a [Grant],
}

/// A host that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Whether a grant names this very host: then it stands beside a wildcard of another namespace.
    pub by_name: bool,
}

/// What the grant that comes nearest lacks; the later, the nearer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shortfall {
    Namespace,
    Name,
    Permission(Permission),
    Target,
    Room(u32),
}

/// Whether the grants let the host be.
///
/// # Errors
/// `NotGranted`, with what is missing and where it can be given.
pub fn check(applicant: &Applicant<'_>, grants: &Grants<'_>) -> Result<Granted, Because<AcceptedReason>> {
    if grants.list.is_empty() {
        return check_default(applicant, grants);
    }
    let mut nearest = Shortfall::Namespace;
    let mut granted = None;
    for grant in grants.list {
        match judge(applicant, grants.zone, grant) {
            Ok(by_name) => {
                granted = Some(Granted { by_name: by_name || granted.is_some_and(|it: Granted| it.by_name) })
            }
            Err(shortfall) => nearest = nearest.max(shortfall),
        }
    }
    granted.ok_or_else(|| refuse(applicant, grants, &nearest))
}

/// Whether a namespace may have challenges of its hosts, which are aliases, answered at `name` in a zone with these grants.
#[must_use]
pub fn may_answer(namespace: Namespace<'_>, name: &Fqdn, grants: &[Grant]) -> bool {
    let covers = |grant: &Grant| {
        let under = |text: &String| Fqdn::parse(text).is_ok_and(|suffix| name.is_under(&suffix));
        (grant.hosts.is_empty() && grant.suffixes.is_empty()) || grant.suffixes.iter().any(under)
    };
    grants.iter().any(|grant| {
        grant.allow.contains(&Permission::Challenge) && selects(&grant.namespaces, namespace) && covers(grant)
    })
}

/// The rule for a zone without grants.
fn check_default(applicant: &Applicant<'_>, grants: &Grants<'_>) -> Result<Granted, Because<AcceptedReason>> {
    if !is_managed(applicant.namespace.labels) {
        let text = format!(
            "{} has no grants, so only namespaces labelled {}=true may use its hosts; label this namespace, or add a grant for it to spec.grants",
            grants.place,
            meta::LABEL_MANAGED
        );
        return Err(Because::new(AcceptedReason::NotGranted, text));
    }
    match needed(applicant, grants.zone).first() {
        None => Ok(Granted { by_name: false }),
        Some(permission) => Err(refuse(applicant, grants, &Shortfall::Permission(*permission))),
    }
}

/// Whether a namespace is one of Lamia's virtual clusters, by today's label or by that of 2018.
#[must_use]
pub fn is_managed(labels: &BTreeMap<String, String>) -> bool {
    [meta::LABEL_MANAGED, meta::LABEL_MANAGED_LEGACY]
        .into_iter()
        .any(|label| labels.get(label).is_some_and(|value| value == "true"))
}

/// Whether a selection has this namespace. Nothing given means none; of what is given, one suffices.
#[must_use]
pub fn selects(selection: &NamespaceSelection, namespace: Namespace<'_>) -> bool {
    let NamespaceSelection { names, match_labels, all } = selection;
    let labelled = || match_labels.iter().all(|(label, value)| namespace.labels.get(label) == Some(value));
    *all || names.iter().any(|name| name == namespace.name) || (!match_labels.is_empty() && labelled())
}

/// What is asked for beyond a plain host.
fn needed(applicant: &Applicant<'_>, zone: &Fqdn) -> Vec<Permission> {
    let mut needed = Vec::new();
    if applicant.host.is_wildcard() {
        needed.push(Permission::Wildcard);
    }
    if applicant.host.fqdn() == zone {
        needed.push(Permission::Apex);
    }
    if applicant.target.is_some() {
        needed.push(Permission::Target);
    }
    needed
}

/// Whether this one grant suffices, and if so, whether it names the host.
fn judge(applicant: &Applicant<'_>, zone: &Fqdn, grant: &Grant) -> Result<bool, Shortfall> {
    let Grant { namespaces, hosts, suffixes, allow, targets, max_hosts } = grant;
    if !selects(namespaces, applicant.namespace) {
        return Err(Shortfall::Namespace);
    }
    let by_name = hosts.iter().any(|text| HostName::parse(text).is_ok_and(|host| host == *applicant.host));
    let by_suffix = suffixes.iter().any(|text| is_under(applicant.host, text));
    if !(by_name || by_suffix || (hosts.is_empty() && suffixes.is_empty())) {
        return Err(Shortfall::Name);
    }
    if let Some(permission) = needed(applicant, zone).into_iter().find(|permission| !allow.contains(permission)) {
        return Err(Shortfall::Permission(permission));
    }
    if applicant.target.is_some_and(|target| !targets.iter().any(|allowed| covers_target(allowed, target))) {
        return Err(Shortfall::Target);
    }
    match max_hosts {
        Some(most) if applicant.older_hosts >= *most => Err(Shortfall::Room(*most)),
        _ => Ok(by_name),
    }
}

/// Whether a host is below a name; a wildcard is below the name that it is a wildcard of.
fn is_under(host: &HostName, suffix: &str) -> bool {
    let suffix = suffix.strip_prefix("*.").unwrap_or(suffix);
    Fqdn::parse(suffix).is_ok_and(|suffix| host.fqdn().is_under(&suffix))
}

/// Whether an entry of `targets` (an address, a network or a name) has this target.
fn covers_target(allowed: &str, target: &Target) -> bool {
    match target {
        Target::Address(address) => match allowed.split_once('/') {
            Some((network, bits)) => network
                .parse()
                .ok()
                .zip(bits.parse().ok())
                .is_some_and(|(network, bits)| in_network(*address, network, bits)),
            None => allowed.parse() == Ok(*address),
        },
        Target::Name(name) => Fqdn::parse(allowed).is_ok_and(|allowed| allowed == *name),
    }
}

/// Whether an address is in `network/bits`. A prefix that is longer than its family's addresses has none.
fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn refuse(applicant: &Applicant<'_>, grants: &Grants<'_>, shortfall: &Shortfall) -> Because<AcceptedReason> {
    let Grants { zone, place, .. } = grants;
    let host = applicant.host;
    let give = format!("the platform team can give it in spec.grants of {place}");
    let text = match shortfall {
        Shortfall::Namespace => format!("no grant lets this namespace use hosts of {zone}; {give}"),
        Shortfall::Name => format!("this namespace has a grant for other hosts of {zone}, but none for {host}; {give}"),
        Shortfall::Permission(permission) => format!("{} needs a grant with allow: [{permission:?}]; {give}", {
            match permission {
                Permission::Wildcard => format!("the wildcard {host}"),
                Permission::Apex => format!("{host}, the zone's own name,"),
                _ => "spec.dns.target".to_owned(),
            }
        }),
        Shortfall::Target => match applicant.target {
            Some(target) => format!("spec.dns.target {target} is not in the targets of this namespace's grant; {give}"),
            None => format!("no grant lets this namespace use hosts of {zone}; {give}"),
        },
        Shortfall::Room(most) => format!(
            "this namespace may have {most} hosts in {zone} and has older ones; delete one, or have maxHosts raised: {give}"
        ),
    };
    Because::new(AcceptedReason::NotGranted, text)
}

/// Whether an ACMEIssuer is for this namespace and host, by its `allowedNamespaces` and `allowedSuffixes`.
///
/// # Errors
/// `IssuerNotAllowed`, with what is missing.
pub fn check_issuer(
    issuer: &str,
    allowed_namespaces: Option<&NamespaceSelection>,
    allowed_suffixes: &[String],
    namespace: Namespace<'_>,
    host: &HostName,
) -> Result<(), Because<CertificateReason>> {
    let refuse = |what: String, field: &str| {
        let text = format!(
            "ACMEIssuer {issuer} is not for {what}; name another in spec.certificate.issuerRef, or have {field} of the issuer changed"
        );
        Err(Because::new(CertificateReason::IssuerNotAllowed, text))
    };
    if allowed_namespaces.is_some_and(|selection| !selects(selection, namespace)) {
        return refuse("this namespace".to_owned(), "spec.allowedNamespaces");
    }
    let base = host.challenge_base();
    let fits = |suffix: &String| Fqdn::parse(suffix).is_ok_and(|suffix| base.is_at_or_under(&suffix));
    if !allowed_suffixes.is_empty() && !allowed_suffixes.iter().any(fits) {
        return refuse(host.to_string(), "spec.allowedSuffixes");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
