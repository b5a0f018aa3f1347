//! From a DNSProvider's spec and its credential to something that can be asked.

use std::sync::Arc;

use lamia_api::provider::{DNSProviderSpec, PowerDns, Rfc2136};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_providers::dns::DnsProvider;
use lamia_providers::secret::Secret;

/// Which provider a spec asks for.
pub(super) enum Wanted<'a> {
    PowerDns(&'a PowerDns),
    Rfc2136(&'a Rfc2136),
}

/// What the spec asks for, or why it can't be had.
pub(super) fn wanted(spec: &DNSProviderSpec) -> Result<Wanted<'_>, Because<ZoneReason>> {
    let DNSProviderSpec {
        google_cloud_dns,
        route53,
        cloudflare,
        rfc2136,
        power_dns,
        webhook,
        auth,
        zones: _,
        create_zones: _,
        grants: _,
        default: _,
    } = spec;
    let unbuilt = [
        ("googleCloudDNS", google_cloud_dns.is_some()),
        ("route53", route53.is_some()),
        ("cloudflare", cloudflare.is_some()),
        ("webhook", webhook.is_some()),
        ("auth.ambient", auth.as_ref().is_some_and(|auth| auth.ambient.is_some())),
    ];
    if let Some((field, _)) = unbuilt.iter().find(|(_, given)| *given) {
        let text = format!("spec.{field} is not supported by this version of Lamia; use powerDNS or rfc2136");
        return Err(Because::new(ZoneReason::Unsupported, text));
    }
    match (power_dns, rfc2136) {
        (Some(power_dns), None) if cfg!(feature = "powerdns") => Ok(Wanted::PowerDns(power_dns)),
        (None, Some(rfc2136)) if cfg!(feature = "rfc2136") => Ok(Wanted::Rfc2136(rfc2136)),
        (Some(_), None) | (None, Some(_)) => {
            Err(Because::new(ZoneReason::Unsupported, "this build of Lamia was made without that provider"))
        }
        _ => Err(Because::new(ZoneReason::Invalid, "give exactly one provider block")),
    }
}

/// The provider's label in metrics.
pub(super) fn kind(spec: &DNSProviderSpec) -> &'static str {
    match wanted(spec) {
        Ok(Wanted::PowerDns(_)) => "powerdns",
        Ok(Wanted::Rfc2136(_)) => "rfc2136",
        Err(_) => "unsupported",
    }
}

/// Makes the provider; nothing is sent yet.
pub(crate) fn build(
    spec: &DNSProviderSpec,
    credential: Option<Secret>,
    allow_private: bool,
) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    match wanted(spec)? {
        Wanted::PowerDns(block) => power_dns(block, credential, allow_private),
        Wanted::Rfc2136(block) => rfc2136(block, &names("zones", &spec.zones)?, credential, allow_private),
    }
}

#[cfg(feature = "powerdns")]
fn power_dns(
    block: &PowerDns,
    credential: Option<Secret>,
    allow_private: bool,
) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    use lamia_providers::dns::powerdns::{PowerDns, PowerDnsConfig};
    let api_key = credential
        .ok_or_else(|| Because::new(ZoneReason::Invalid, "powerDNS needs an API key: set spec.auth.secretRef"))?;
    let config = PowerDnsConfig {
        url: block.url.clone(),
        server_id: block.server_id.clone(),
        api_key,
        ca_bundle: block.ca_bundle.clone(),
        name_servers: names("powerDNS.nameServers", &block.name_servers)?,
        allow_private,
    };
    Ok(Arc::new(PowerDns::new(config).map_err(|error| Because::new(ZoneReason::Invalid, error.hint))?))
}

#[cfg(not(feature = "powerdns"))]
fn power_dns(_: &PowerDns, _: Option<Secret>, _: bool) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    Err(Because::new(ZoneReason::Unsupported, "this build of Lamia was made without powerDNS"))
}

#[cfg(feature = "rfc2136")]
fn rfc2136(
    block: &Rfc2136,
    zones: &[Fqdn],
    credential: Option<Secret>,
    allow_private: bool,
) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    use lamia_api::provider::TsigAlgorithm as Written;
    use lamia_providers::dns::rfc2136::{Rfc2136, Rfc2136Config, Tsig, TsigAlgorithm};
    let invalid = |text: &str| Because::new(ZoneReason::Invalid, text);
    let tsig = match (&block.tsig_key_name, credential) {
        (None, None) => None,
        (Some(name), Some(secret)) => Some(Tsig {
            name: Fqdn::parse(name)
                .map_err(|error| invalid(&format!("spec.rfc2136.tsigKeyName: {name:?}: {error}")))?,
            algorithm: match block.tsig_algorithm {
                Written::HmacSha256 => TsigAlgorithm::HmacSha256,
                Written::HmacSha384 => TsigAlgorithm::HmacSha384,
                Written::HmacSha512 => TsigAlgorithm::HmacSha512,
            },
            secret,
        }),
        (Some(_), None) => return Err(invalid("rfc2136.tsigKeyName needs the key's secret: set spec.auth.secretRef")),
        (None, Some(_)) => {
            return Err(invalid("spec.auth.secretRef needs the key's name: set spec.rfc2136.tsigKeyName"));
        }
    };
    let config = Rfc2136Config { server: block.server.clone(), zones: zones.to_vec(), tsig, allow_private };
    Ok(Arc::new(Rfc2136::new(config).map_err(|error| invalid(&error.hint))?))
}

#[cfg(not(feature = "rfc2136"))]
fn rfc2136(_: &Rfc2136, _: &[Fqdn], _: Option<Secret>, _: bool) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    Err(Because::new(ZoneReason::Unsupported, "this build of Lamia was made without rfc2136"))
}

/// Reads names in a field.
fn names(field: &str, texts: &[String]) -> Result<Vec<Fqdn>, Because<ZoneReason>> {
    let read = |text: &String| {
        Fqdn::parse(text).map_err(|error| Because::new(ZoneReason::Invalid, format!("spec.{field}: {text:?}: {error}")))
    };
    texts.iter().map(read).collect()
}
