//! Who Lamia is at AWS: an access key from a Secret or the pod's own identity, and the role that it takes on.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};

use super::config::{Route53Config, Route53Credential};
use super::connect::Connector;
use super::keys;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// How long a container's or an instance's identity service may take: it is on the same machine.
const LOCAL: Duration = Duration::from_secs(1);

/// The credential, and whose budget of requests it spends.
pub(super) struct Identity {
    pub(super) credentials: SharedCredentialsProvider,
    /// The account where it is known without asking, else what stands for it.
    pub(super) account: String,
}

/// The identity that the configuration names, before any role.
///
/// # Errors
/// `Invalid` for a credentials file or a role that can't be used.
pub(super) fn of(config: &Route53Config, region: &Region) -> Result<Identity, ProviderError> {
    let (credentials, who) = match &config.credential {
        Route53Credential::File(file) => {
            let keys::Keys { id, secret, token } = keys::parse(file)?;
            let who = format!("key {id}");
            (SharedCredentialsProvider::new(Credentials::new(id, secret, token, None, "lamia")), who)
        }
        Route53Credential::Ambient => (SharedCredentialsProvider::new(ambient(region)?), "ambient".to_owned()),
    };
    let account = match &config.assume_role_arn {
        Some(role) => format!("account {}", account_of(role)?),
        None => who,
    };
    Ok(Identity { credentials, account })
}

/// `arn:PARTITION:iam::ACCOUNT:role/NAME`.
fn account_of(role: &str) -> Result<&str, ProviderError> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, name]
            if account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit()) && name.starts_with("role/") =>
        {
            Ok(account)
        }
        _ => {
            let hint = "this is no role's ARN; write arn:aws:iam::123456789012:role/NAME";
            Err(ProviderError::new(ErrorKind::Invalid, "read assumeRoleArn", hint))
        }
    }
}

/// What AWS gives to the pod. The addresses asked are fixed by AWS or stand in the pod's environment, which the platform
/// writes: the policy on URLs that people write does not apply to them.
fn ambient(region: &Region) -> Result<CredentialsProviderChain, ProviderError> {
    let http = endpoint::client(None, true)?;
    let connector = Connector::of_identity(http);
    let config = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(connector)
        .with_retry_config(RetryConfig::disabled());
    let instance =
        imds::Client::builder().configure(&config).max_attempts(1).connect_timeout(LOCAL).read_timeout(LOCAL);
    let container = EcsCredentialsProvider::builder().configure(&config).connect_timeout(LOCAL).read_timeout(LOCAL);
    Ok(CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("WebIdentity", WebIdentityTokenCredentialsProvider::builder().configure(&config).build())
        .or_else("Container", container.build())
        .or_else(
            "Instance",
            ImdsCredentialsProvider::builder().configure(&config).imds_client(instance.build()).build(),
        ))
}

/// A role that is taken on with another identity. The SDK keeps the role's credentials until they are about to expire.
#[derive(Debug)]
pub(super) struct AssumedRole {
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) role: String,
    pub(super) external_id: Option<String>,
}

impl AssumedRole {
    async fn assume(&self) -> provider::Result {
        let asking = self.sts.assume_role().role_arn(&self.role).role_session_name("lamia");
        let answer = asking.set_external_id(self.external_id.clone()).send().await;
        let answer = answer.map_err(CredentialsError::provider_error)?;
        let given =
            answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS gave a role without credentials"))?;
        let expires = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let token = Some(given.session_token);
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, Some(expires), "AssumedRole"))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

/// The region that the configuration names, or the one that every AWS account has.
pub(super) fn region(config: &Route53Config) -> Result<Region, ProviderError> {
    let name = config.region.as_deref().map_or("us-east-1", str::trim);
    let valid = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    if !name.is_empty() && name.bytes().all(valid) {
        return Ok(Region::new(Cow::Owned(name.to_owned())));
    }
    Err(ProviderError::new(ErrorKind::Invalid, "read the region", "this is no AWS region; write one like eu-central-1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_names_its_account() {
        let account = |role| account_of(role).map_err(|error| error.kind);
        assert_eq!(account("arn:aws:iam::123456789012:role/lamia"), Ok("123456789012"));
        assert_eq!(account("arn:aws-cn:iam::123456789012:role/path/lamia"), Ok("123456789012"));
        for role in
            ["", "lamia", "arn:aws:iam::12:role/lamia", "arn:aws:iam::123456789012:user/lamia", "arn:aws:sts::1"]
        {
            assert_eq!(account(role), Err(ErrorKind::Invalid), "{role}");
        }
    }
}
