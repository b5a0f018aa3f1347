//! What things are called and where they lie: HostCertificates, the master Secret, delivered Secrets. All names are derived,
//! so that nothing that is read back from a status has to be trusted.

use data_encoding::BASE32_NOPAD;
use lamia_api::host::KeyAlgorithm;
use sha2::{Digest, Sha256};

use crate::name::HostName;

/// Data key of the certificate chain, PEM, leaf first. Istio and `kubernetes.io/tls` call it so.
pub const TLS_CERTIFICATE: &str = "tls.crt";
/// Data key of the certificate's private key, PEM (PKCS #8).
pub const TLS_KEY: &str = "tls.key";
/// Data key of the private key of an order under way, PEM (PKCS #8). Only in master Secrets.
pub const PENDING_KEY: &str = "pending.key";
/// Type of master Secrets. Not `kubernetes.io/tls`: a Secret's type is immutable, and one of that type can't hold a pending key alone.
pub const MASTER_TYPE: &str = "Opaque";
/// Type of delivered Secrets.
pub const DELIVERED_TYPE: &str = "kubernetes.io/tls";

/// Longest name given here: it is used as a label's value too.
const MAX_NAME: usize = 63;
/// Base32 characters of the hash: 50 bits.
const HASH_LENGTH: usize = 10;

/// Name of the HostCertificate for these names from this issuer: readable in front, and a hash over all that makes it
/// another certificate. The order of the names does not matter.
///
/// ```
/// # use lamia_core::{cert::secret::host_certificate_name, name::HostName};
/// # use lamia_api::host::KeyAlgorithm;
/// let shop = HostName::parse("shop.democluster.net").unwrap();
/// let name = host_certificate_name(&[shop], "letsencrypt", KeyAlgorithm::P256, None);
/// assert!(name.starts_with("shop.democluster.net-"));
/// ```
#[must_use]
pub fn host_certificate_name(
    names: &[HostName],
    issuer: &str,
    algorithm: KeyAlgorithm,
    profile: Option<&str>,
) -> String {
    let mut sorted: Vec<&str> = names.iter().map(|name| name.fqdn().as_str()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let algorithm = match algorithm {
        KeyAlgorithm::P256 => "P256",
        KeyAlgorithm::P384 => "P384",
    };
    let mut identity = vec!["lamia.dev/host-certificate/v1", issuer, algorithm, profile.unwrap_or_default()];
    identity.extend(&sorted);
    // No part can hold a line feed: names are validated, the others are Kubernetes names or words of an enumeration.
    let hash = BASE32_NOPAD.encode(&Sha256::digest(identity.join("\n"))).to_ascii_lowercase();
    let readable = readable(names.first().map_or("", |name| name.fqdn().as_str()));
    format!("{readable}-{}", &hash[..HASH_LENGTH])
}

/// Name of the master Secret of a HostCertificate, in Lamia's own namespace.
#[must_use]
pub fn master_name(host_certificate: &str) -> String {
    host_certificate.to_owned()
}

/// Name of the Secret that keeps an ACME account's key, unless the ACMEIssuer says another.
#[must_use]
pub fn account_name(issuer: &str) -> String {
    format!("acme-account-{issuer}")
}

/// Why a name may not be given to a delivered Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretNameError {
    /// Istio keeps or ignores Secrets of such names; istiod takes `cacerts` for its own CA.
    #[error(
        "a Secret named {0:?} means something else to Istio: choose a name that is not cacerts, does not begin with istio and does not end in -cacert"
    )]
    Reserved(String),
    /// Not a name that Kubernetes takes.
    #[error("{0:?} is no name for a Secret: at most 253 lower-case letters, digits, hyphens and dots")]
    Invalid(String),
}

/// Name of the Secret that is delivered for an object `name`: in the Gateway's own namespace its own name, elsewhere
/// `<gateway-namespace>.<name>`, so that two namespaces never meet.
///
/// # Errors
/// [`SecretNameError`] for names that mean something else to Istio, or that Kubernetes does not take.
pub fn delivered_name(gateway_namespace: &str, secret_namespace: &str, name: &str) -> Result<String, SecretNameError> {
    let full =
        if gateway_namespace == secret_namespace { name.to_owned() } else { format!("{gateway_namespace}.{name}") };
    check_delivered_name(&full).map(|()| full)
}

/// Whether a delivered Secret may have this name.
///
/// # Errors
/// As [`delivered_name`].
pub fn check_delivered_name(name: &str) -> Result<(), SecretNameError> {
    let well_formed = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        });
    if !well_formed {
        return Err(SecretNameError::Invalid(name.to_owned()));
    }
    if name.starts_with("istio") || name == "cacerts" || name.ends_with("-cacert") {
        return Err(SecretNameError::Reserved(name.to_owned()));
    }
    Ok(())
}

/// The front of a derived name: the host, `*` spelled out, cut so that the whole fits, and never beginning as Istio's own names do.
fn readable(host: &str) -> String {
    let mut text = host.replace('*', "wildcard");
    if text.starts_with("istio") {
        text.insert_str(0, "host-");
    }
    text.truncate(MAX_NAME - HASH_LENGTH - 1);
    text.trim_end_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> HostName {
        HostName::parse(text).expect("a host")
    }

    fn name_of(hosts: &[&str]) -> String {
        let hosts: Vec<HostName> = hosts.iter().copied().map(host).collect();
        host_certificate_name(&hosts, "letsencrypt", KeyAlgorithm::P256, None)
    }

    #[test]
    fn names_are_readable_and_stay_as_they_are() {
        for (host, name) in [
            ("shop.democluster.net", "shop.democluster.net-xcew5lmbht"),
            ("*.democluster.net", "wildcard.democluster.net-pzi76oydrs"),
            ("istio.democluster.net", "host-istio.democluster.net-skeg7b4zbg"),
            (
                "a-very-long-name-that-goes-on-and-on.with-another-long-label.democluster.net",
                "a-very-long-name-that-goes-on-and-on.with-another-lo-5sbftck462",
            ),
        ] {
            assert_eq!(name_of(&[host]), name);
        }
    }

    #[test]
    fn all_that_makes_another_certificate_makes_another_name() {
        let shop = [host("shop.example.org")];
        let base = host_certificate_name(&shop, "a", KeyAlgorithm::P256, None);
        let others = [
            host_certificate_name(&[host("shop2.example.org")], "a", KeyAlgorithm::P256, None),
            host_certificate_name(&[host("shop.example.org"), host("b.example.org")], "a", KeyAlgorithm::P256, None),
            host_certificate_name(&shop, "b", KeyAlgorithm::P256, None),
            host_certificate_name(&shop, "a", KeyAlgorithm::P384, None),
            host_certificate_name(&shop, "a", KeyAlgorithm::P256, Some("shortlived")),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_order_of_the_names_behind_the_first_does_not_matter() {
        let hash = |name: String| name.rsplit('-').next().map(str::to_owned);
        assert_eq!(
            hash(name_of(&["a.example.org", "b.example.org"])),
            hash(name_of(&["b.example.org", "a.example.org"]))
        );
    }

    #[test]
    fn delivered_names() {
        let reserved = |name: &str| SecretNameError::Reserved(name.to_owned());
        let invalid = |name: &str| SecretNameError::Invalid(name.to_owned());
        let table = [
            (("shops", "shops", "shop"), Ok("shop")),
            (("shops", "istio-system", "shop"), Ok("shops.shop")),
            (("istio-system", "istio-system", "cacerts"), Err(reserved("cacerts"))),
            (("shops", "shops", "istio-ca"), Err(reserved("istio-ca"))),
            (("shops", "istio-system", "mine-cacert"), Err(reserved("shops.mine-cacert"))),
            (("istio-apps", "istio-system", "shop"), Err(reserved("istio-apps.shop"))),
            (("shops", "istio-system", "cacerts"), Ok("shops.cacerts")),
            (("shops", "shops", "Shop"), Err(invalid("Shop"))),
            (("shops", "shops", ""), Err(invalid(""))),
        ];
        for ((gateway, secret, name), expected) in table {
            assert_eq!(delivered_name(gateway, secret, name), expected.map(str::to_owned), "{gateway} {secret} {name}");
        }
    }

    proptest! {
        #[test]
        fn derived_names_are_names_that_kubernetes_takes(text in "(\\*\\.)?[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?\\.([a-z0-9]{1,20}\\.){0,6}example\\.org") {
            prop_assume!(HostName::parse(&text).is_ok());
            let name = name_of(&[&text]);
            prop_assert!(name.len() <= MAX_NAME, "{}", name);
            prop_assert_eq!(check_delivered_name(&name), Ok(()));
        }
    }
}
