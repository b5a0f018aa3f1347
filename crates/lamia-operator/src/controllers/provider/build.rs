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
#[cfg(feature = "route53")]
mod route53;
#[cfg(feature = "webhook")]
mod webhook;

use std::sync::Arc;

use lamia_api::provider::DNSProviderSpec;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_providers::dns::DnsProvider;
use lamia_providers::error::ProviderError;
use lamia_providers::secret::Secret;

#[cfg(not(feature = "cloudflare"))]
use self::absent as cloudflare;
#[cfg(not(feature = "google"))]
use self::absent as google;
#[cfg(not(feature = "powerdns"))]
use self::absent as power_dns;
#[cfg(not(feature = "rfc2136"))]
use self::absent as rfc2136;
#[cfg(not(feature = "route53"))]
use self::absent as route53;
#[cfg(not(feature = "webhook"))]
use self::absent as webhook;

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

type Built<T> = Result<T, Because<ZoneReason>>;

/// What providers are made from, beside their own block of the spec.
struct Context {
    /// The block's field in the spec.
    field: &'static str,
    /// `spec.zones`, for those that can't list what they have.
    #[cfg_attr(not(any(feature = "rfc2136", feature = "webhook")), expect(dead_code, reason = "all others can list"))]
    zones: Vec<Fqdn>,
    credential: Credential,
    allow_private: bool,
}

impl Context {
    /// The Secret's content, for a provider that can't do without `what`.
    #[cfg(any(feature = "cloudflare", feature = "powerdns"))]
    fn secret(&self, what: &str) -> Built<Secret> {
        self.secret_if_given()?.ok_or_else(|| invalid(format!("{} needs {what}: set spec.auth.secretRef", self.field)))
    }

    /// The Secret's content, for a provider that can do without.
    #[cfg(any(feature = "cloudflare", feature = "powerdns", feature = "rfc2136", feature = "webhook"))]
    fn secret_if_given(&self) -> Built<Option<Secret>> {
        match &self.credential {
            Credential::Secret(secret) => Ok(Some(secret.clone())),
            Credential::None => Ok(None),
            Credential::Ambient => Err(invalid(format!(
                "{} knows no identity of the pod (auth.ambient); set spec.auth.secretRef",
                self.field
            ))),
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
    #[cfg(feature = "route53")]
    "route53",
    #[cfg(feature = "webhook")]
    "webhook",
];

/// The provider's label in metrics.
pub(super) fn kind(spec: &DNSProviderSpec) -> &'static str {
    let DNSProviderSpec { google_cloud_dns, route53, cloudflare, rfc2136, power_dns, webhook, .. } = spec;
    let blocks = [
        (google_cloud_dns.is_some(), "google"),
        (route53.is_some(), "route53"),
        (cloudflare.is_some(), "cloudflare"),
        (rfc2136.is_some(), "rfc2136"),
        (power_dns.is_some(), "powerdns"),
        (webhook.is_some(), "webhook"),
    ];
    blocks.iter().find(|(given, _)| *given).map_or("unsupported", |(_, kind)| kind)
}

/// Makes the provider; nothing is sent yet.
pub(crate) fn build(
    spec: &DNSProviderSpec,
    credential: Credential,
    allow_private: bool,
) -> Built<Arc<dyn DnsProvider>> {
    // Checked for all providers, whether they are told or not.
    let zones = names("zones", &spec.zones)?;
    let context = |field| Context { field, zones, credential, allow_private };
    let DNSProviderSpec { google_cloud_dns, route53, cloudflare, rfc2136, power_dns, webhook, .. } = spec;
    match (google_cloud_dns, route53, cloudflare, rfc2136, power_dns, webhook) {
        (Some(block), None, None, None, None, None) => google::build(block, context("googleCloudDNS")),
        (None, Some(block), None, None, None, None) => route53::build(block, context("route53")),
        (None, None, Some(block), None, None, None) => cloudflare::build(block, context("cloudflare")),
        (None, None, None, Some(block), None, None) => rfc2136::build(block, context("rfc2136")),
        (None, None, None, None, Some(block), None) => power_dns::build(block, context("powerDNS")),
        (None, None, None, None, None, Some(block)) => webhook::build(block, context("webhook")),
        _ => Err(invalid("give exactly one provider block".to_owned())),
    }
}

/// In place of the providers that this build was made without.
#[cfg(not(all(
    feature = "cloudflare",
    feature = "google",
    feature = "powerdns",
    feature = "rfc2136",
    feature = "route53",
    feature = "webhook"
)))]
mod absent {
    use super::{Arc, BUILT_IN, Because, Built, Context, DnsProvider, ZoneReason};

    pub(super) fn build<B>(_: &B, context: Context) -> Built<Arc<dyn DnsProvider>> {
        let (field, has) = (context.field, BUILT_IN.join(", "));
        let text = format!("this build of Lamia was made without spec.{field}; it has: {has}");
        Err(Because::new(ZoneReason::Unsupported, text))
    }
}

fn invalid(text: String) -> Because<ZoneReason> {
    Because::new(ZoneReason::Invalid, text)
}

/// A finished provider, or what is wrong with what it was to be made from.
#[cfg(any(
    feature = "cloudflare",
    feature = "google",
    feature = "powerdns",
    feature = "rfc2136",
    feature = "route53",
    feature = "webhook"
))]
fn made<P: DnsProvider + 'static>(provider: Result<P, ProviderError>) -> Built<Arc<dyn DnsProvider>> {
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
            (json!({"route53": {}}), Credential::None, "route53 needs"),
            (json!({"route53": {}}), secret(), "credentials"),
            (json!({"cloudflare": {}}), Credential::Ambient, "cloudflare knows no identity of the pod"),
            (json!({"webhook": {"url": "http://127.0.0.1:8888"}}), Credential::None, "https"),
        ];
        for (spec, credential, words) in table {
            let text = refusal(spec.clone(), credential);
            assert!(text.contains(words), "{spec}: {text}");
            assert!(!text.contains("sesame"), "{text}");
        }
    }
}
