//! The chain of conditions: types, and reasons as they stand in status. What each means is decided in `lamia-core`.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types of a SecuredHost, in the order in which they explain `Ready`.
pub mod host {
    /// Valid, granted, nobody else's.
    pub const ACCEPTED: &str = "Accepted";
    /// The gateway's Service has an address.
    pub const ADDRESS_READY: &str = "AddressReady";
    /// The zone exists at the provider.
    pub const ZONE_READY: &str = "ZoneReady";
    /// The parent's name servers lead to this zone.
    pub const DELEGATED: &str = "Delegated";
    /// The records are at every authoritative server.
    pub const RECORDS_PUBLISHED: &str = "RecordsPublished";
    /// A valid certificate is in hand.
    pub const CERTIFICATE_READY: &str = "CertificateReady";
    /// The Secret is delivered and the Gateway names it.
    pub const GATEWAY_READY: &str = "GatewayReady";
    /// The probe got this certificate.
    pub const SERVING: &str = "Serving";
    /// All of the above; `Serving` may be Unknown.
    pub const READY: &str = "Ready";

    /// The chain, `Ready` last.
    pub const CHAIN: [&str; 9] = [
        ACCEPTED,
        ADDRESS_READY,
        ZONE_READY,
        DELEGATED,
        RECORDS_PUBLISHED,
        CERTIFICATE_READY,
        GATEWAY_READY,
        SERVING,
        READY,
    ];
}

/// Condition type of the other kinds: the object does its work.
pub const READY: &str = "Ready";
/// Condition type of a Zone: it exists at the provider.
pub const ZONE_READY: &str = host::ZONE_READY;
/// Condition type of a Zone: the parent leads to it.
pub const DELEGATED: &str = host::DELEGATED;
