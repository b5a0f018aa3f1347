//! From a DNSProvider's spec and its credential to something that can be asked.
//!
//! One module a provider, each behind its cargo feature. What a build was made without is refused by name.

#[cfg(feature = "cloudflare")]
mod cloudflare;
#[cfg(feature = "google")]
mod google;
#[cfg(feature = "powerdns")]
mod power_dns;
#[cfg(feature = "rfc2136")]
mod rfc2136;

use std::sync::Arc;

use lamia_api::provider::{self as api, DNSProviderSpec};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_providers::dns::DnsProvider;
use lamia_providers::secret::Secret;

/// As whom to speak to a provider.
#[derive(Clone)]
pub enum Credential {
    /// `auth` is not given.
    None,
    /// What the Secret of `auth.secretRef` holds.
    Secret(Secret),
    /// `auth.ambient`: the pod's own identity.
    Ambient,
}

impl Credential {
    /// The Secret's content, for a provider that can't do without.
    fn required(self, block: &str, what: &str) -> Built<Secret> {
        match self {
            Self::Secret(secret) => Ok(secret),
            Self::None => Err(invalid(format!("{block} needs {what}: set spec.auth.secretRef"))),
            Self::Ambient => Err(no_ambient(block)),
        }
    }

    /// The Secret's content, for a provider that can do without.
    fn optional(self, block: &str) -> Built<Option<Secret>> {
        match self {
            Self::Secret(secret) => Ok(Some(secret)),
            Self::None => Ok(None),
            Self::Ambient => Err(no_ambient(block)),
        }
    }
}

type Built<T> = Result<T, Because<ZoneReason>>;

/// The one block of a spec.
#[expect(dead_code, reason = "not every provider is built in")]
enum Block<'a> {
    Google(&'a api::GoogleCloudDns),
    Route53(&'a api::Route53),
    Cloudflare(&'a api::Cloudflare),
    Rfc2136(&'a api::Rfc2136),
    PowerDns(&'a api::PowerDns),
    Webhook(&'a api::Webhook),
}

impl<'a> Block<'a> {
    fn of(spec: &'a DNSProviderSpec) -> Built<Self> {
        let DNSProviderSpec { google_cloud_dns, route53, cloudflare, rfc2136, power_dns, webhook, .. } = spec;
        let blocks = [
            google_cloud_dns.as_ref().map(Self::Google),
            route53.as_ref().map(Self::Route53),
            cloudflare.as_ref().map(Self::Cloudflare),
            rfc2136.as_ref().map(Self::Rfc2136),
            power_dns.as_ref().map(Self::PowerDns),
            webhook.as_ref().map(Self::Webhook),
        ];
        let mut given = blocks.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(block), None) => Ok(block),
            _ => Err(invalid("give exactly one provider block".to_owned())),
        }
    }

    /// Its field in the spec.
    fn field(&self) -> &'static str {
        match self {
            Self::Google(_) => "googleCloudDNS",
            Self::Route53(_) => "route53",
            Self::Cloudflare(_) => "cloudflare",
            Self::Rfc2136(_) => "rfc2136",
            Self::PowerDns(_) => "powerDNS",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// The providers that this build has, as their fields in a spec.
pub const BUILT_IN: &[&str] = &[
    #[cfg(feature = "cloudflare")]
    "cloudflare",
    #[cfg(feature = "google")]
    "googleCloudDNS",
    #[cfg(feature = "powerdns")]
    "powerDNS",
    #[cfg(feature = "rfc2136")]
    "rfc2136",
];

/// The provider's label in metrics.
pub(super) fn kind(spec: &DNSProviderSpec) -> &'static str {
    match Block::of(spec) {
        Ok(Block::Google(_)) => "google",
        Ok(Block::Route53(_)) => "route53",
        Ok(Block::Cloudflare(_)) => "cloudflare",
        Ok(Block::Rfc2136(_)) => "rfc2136",
        Ok(Block::PowerDns(_)) => "powerdns",
        Ok(Block::Webhook(_)) => "webhook",
        Err(_) => "unsupported",
    }
}

/// Makes the provider; nothing is sent yet.
pub(crate) fn build(
    spec: &DNSProviderSpec,
    credential: Credential,
    allow_private: bool,
) -> Built<Arc<dyn DnsProvider>> {
    match Block::of(spec)? {
        #[cfg(feature = "cloudflare")]
        Block::Cloudflare(block) => cloudflare::build(block, credential, allow_private),
        #[cfg(feature = "google")]
        Block::Google(block) => google::build(block, credential, allow_private),
        #[cfg(feature = "powerdns")]
        Block::PowerDns(block) => power_dns::build(block, credential, allow_private),
        #[cfg(feature = "rfc2136")]
        Block::Rfc2136(block) => rfc2136::build(block, &names("zones", &spec.zones)?, credential, allow_private),
        absent => {
            let text = format!(
                "this build of Lamia was made without spec.{}; it has {}",
                absent.field(),
                match BUILT_IN {
                    [] => "no provider at all".to_owned(),
                    some => some.join(", "),
                }
            );
            Err(Because::new(ZoneReason::Unsupported, text))
        }
    }
}

fn invalid(text: String) -> Because<ZoneReason> {
    Because::new(ZoneReason::Invalid, text)
}

fn no_ambient(block: &str) -> Because<ZoneReason> {
    invalid(format!("{block} knows no identity of the pod (auth.ambient); set spec.auth.secretRef"))
}

/// A finished provider, or what is wrong with what it was to be made from.
#[cfg(any(feature = "cloudflare", feature = "google", feature = "powerdns", feature = "rfc2136"))]
fn made<P: DnsProvider + 'static>(
    provider: Result<P, lamia_providers::error::ProviderError>,
) -> Built<Arc<dyn DnsProvider>> {
    match provider {
        Ok(provider) => Ok(Arc::new(provider)),
        Err(error) => Err(invalid(error.hint)),
    }
}

/// Reads names in a field.
fn names(field: &str, texts: &[String]) -> Built<Vec<Fqdn>> {
    let read = |text: &String| Fqdn::parse(text).map_err(|error| invalid(format!("spec.{field}: {text:?}: {error}")));
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(spec: Value, credential: Credential) -> String {
        let spec: DNSProviderSpec = serde_json::from_value(spec).expect("a spec");
        match build(&spec, credential, false) {
            Ok(_) => panic!("it was built"),
            Err(because) => because.message,
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_said_by_its_field() {
        let secret = || Credential::Secret(Secret::new("sesame"));
        let power_dns = json!({"powerDNS": {"url": "https://pdns.example"}});
        let google = json!({"googleCloudDNS": {"project": "acme"}});
        let keyless = json!({"rfc2136": {"server": "ns.example:53"}, "zones": ["example.org"]});
        let table = [
            (json!({}), secret(), "exactly one provider block"),
            (json!({"powerDNS": {"url": "x"}, "cloudflare": {}}), secret(), "exactly one provider block"),
            (power_dns.clone(), Credential::None, "powerDNS needs an API key"),
            (power_dns, Credential::Ambient, "powerDNS knows no identity of the pod"),
            (google.clone(), Credential::None, "googleCloudDNS needs"),
            (google, secret(), "JSON"),
            (keyless.clone(), secret(), "rfc2136.tsigKeyName"),
            (keyless, Credential::Ambient, "rfc2136 knows no identity of the pod"),
        ];
        for (spec, credential, words) in table {
            let text = refusal(spec.clone(), credential);
            assert!(text.contains(words), "{spec}: {text}");
            assert!(!text.contains("sesame"), "{text}");
        }
    }
}
