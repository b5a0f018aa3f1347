//! Names that stand on objects: the API group, labels, annotations, field managers.

/// The API group of all five kinds.
pub const GROUP: &str = "lamia.dev";
/// The version that is stored and served.
pub const VERSION: &str = "v1alpha1";

/// Label on namespaces: its SecuredHosts may use plain hosts of every zone that has no grants of its own.
pub const LABEL_MANAGED: &str = "lamia.dev/managed";
/// The label that the original of 2018 used for the same; understood too.
pub const LABEL_MANAGED_LEGACY: &str = "vamp-managed";
/// Label on everything that Lamia makes, with [`MANAGED_BY_VALUE`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "lamia";
/// Label on a credential Secret in Lamia's namespace: the one object that may use it, as `<kind>.<name>` in lower case.
pub const LABEL_CREDENTIAL_FOR: &str = "lamia.dev/credential-for";
/// Label on Secrets that Lamia wrote: `master`, `delivered` or `account`.
pub const LABEL_SECRET_ROLE: &str = "lamia.dev/secret-role";

/// Annotation on a delivered Secret and on an owned Gateway or VirtualService: whose it is, as
/// `<cluster-id>/<namespace>/<name>` of the SecuredHost. It must match exactly, else the object is foreign.
pub const ANNOTATION_OWNER: &str = "lamia.dev/owner";
/// Annotation on a delivered or master Secret: the host that it is for.
pub const ANNOTATION_HOST: &str = "lamia.dev/host";
/// Annotation on a delivered Secret: SHA-256 of the leaf certificate (DER), hex, so that metadata alone tells whether it is current.
pub const ANNOTATION_CERTIFICATE: &str = "lamia.dev/certificate-sha256";
/// Annotation on a master Secret: URL of the directory of the CA that issued the certificate in it.
pub const ANNOTATION_DIRECTORY: &str = "lamia.dev/acme-directory";
/// Annotation on a delivered Secret: `Retain` where it stays when its host goes.
pub const ANNOTATION_DELETION_POLICY: &str = "lamia.dev/deletion-policy";
/// Annotation on a gateway's Service: the namespaces that may use it, comma-separated; without it, all may.
pub const ANNOTATION_ALLOWED_NAMESPACES: &str = "lamia.dev/allowed-namespaces";
/// Annotation on an Istio or Gateway API Gateway: its TLS hosts are adopted.
pub const ANNOTATION_SECURED: &str = "lamia.dev/secured";
/// Annotation on a Zone: the hash of the held withdrawals that a person confirmed.
pub const ANNOTATION_CONFIRM: &str = "lamia.dev/confirm-withdrawals";
/// Annotation on a HostCertificate: `<namespace>/<name>` of the SecuredHosts that it serves, comma-separated. For people.
pub const ANNOTATION_HOSTS: &str = "lamia.dev/secured-hosts";
/// Annotation on a HostCertificate: the namespace that holds the claim on its names.
pub const ANNOTATION_CLAIM: &str = "lamia.dev/claim";
/// Annotation on a HostCertificate: since when nobody needs it (RFC 3339).
pub const ANNOTATION_PARKED: &str = "lamia.dev/parked-since";
/// Annotation on a Zone that Lamia made: since when nobody uses it (RFC 3339).
pub const ANNOTATION_UNUSED: &str = "lamia.dev/unused-since";

/// Finalizer on HostCertificates: their challenge TXT values must be gone first.
pub const FINALIZER_CERTIFICATE: &str = "lamia.dev/challenges";
/// Finalizer on Zones with `deletionPolicy: Delete`.
pub const FINALIZER_ZONE: &str = "lamia.dev/zone";

/// Field manager of everything that Lamia applies.
pub const FIELD_MANAGER: &str = "lamia";
/// Field manager of status, kept apart so that the two never take each other's fields.
pub const FIELD_MANAGER_STATUS: &str = "lamia-status";
