//! What a Route 53 provider is made from.

use crate::secret::Secret;

/// As whom to speak to Route 53, and where it is.
#[derive(Clone)]
pub struct Route53Config {
    /// The region that signs and where STS is asked; `us-east-1` when not given. Route 53 itself has no regions, but each
    /// partition has its own: `cn-north-1` leads to China's, `us-gov-west-1` to GovCloud's.
    pub region: Option<String>,
    /// Whose requests they are.
    pub credential: Route53Credential,
    /// A role to take on with the credential: `arn:aws:iam::123456789012:role/lamia-dns`.
    pub assume_role_arn: Option<String>,
    /// What the role's trust policy wants to be told (`sts:ExternalId`).
    pub external_id: Option<String>,
    /// A URL to use instead of AWS' own for Route 53: a private endpoint.
    pub endpoint: Option<String>,
    /// Lets loopback, link-local and plain http pass as the endpoint, where STS is then asked, too; for test benches.
    pub allow_private: bool,
}

/// Where the credential comes from. There is no falling back from one to the other.
#[derive(Clone)]
pub enum Route53Credential {
    /// A file in the format of `~/.aws/credentials`: the profile `[default]`, or the only one, with `aws_access_key_id`,
    /// `aws_secret_access_key` and perhaps `aws_session_token`.
    File(Secret),
    /// The identity that AWS gives to Lamia's pod: environment variables, a web identity (IRSA), EKS Pod Identity, or the
    /// role of the instance; the first of them that is there. Profile files are not read.
    Ambient,
}

impl std::fmt::Debug for Route53Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { region, credential, assume_role_arn, external_id, endpoint, allow_private: _ } = self;
        f.debug_struct("Route53Config")
            .field("region", region)
            .field("credential", credential)
            .field("assume_role_arn", assume_role_arn)
            .field("external_id", &external_id.as_ref().map(|_| "…"))
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Route53Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(_) => f.write_str("File(…)"),
            Self::Ambient => f.write_str("Ambient"),
        }
    }
}
