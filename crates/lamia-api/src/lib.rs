//! The words: Lamia's five kinds in `lamia.dev/v1alpha1`, their conditions, and the labels and annotations they use.
//!
//! No logic lives here. Fields that are modelled before their behaviour is built are refused by the operator with
//! `Accepted=False, Unsupported`; they are never ignored.

#![expect(
    clippy::duplicated_attributes,
    reason = "several printcolumns share a type, which the lint takes for a repetition"
)]
#![expect(unreachable_pub, reason = "KubeSchema repeats each type inside a private scope of its own")]

pub mod common;
pub mod condition;
pub mod crd;
pub mod host;
pub mod host_certificate;
pub mod issuer;
pub mod meta;
pub mod provider;
pub mod zone;

pub use common::{IssuerRef, Management, SecretKeyRef};
pub use host::{SecuredHost, SecuredHostSpec, SecuredHostStatus};
pub use host_certificate::{HostCertificate, HostCertificateSpec, HostCertificateStatus};
pub use issuer::{ACMEIssuer, ACMEIssuerSpec, ACMEIssuerStatus};
pub use provider::{DNSProvider, DNSProviderSpec, DNSProviderStatus};
pub use zone::{Zone, ZoneSpec, ZoneStatus};
