//! Route 53's API, request by request, over AWS' SDK: what is asked, and what a failure means. Retries are the callers'.

use aws_config::BehaviorVersion;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::timeout::TimeoutConfig;
use aws_sdk_route53::config::{SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{
    Change, ChangeBatch, ChangeStatus, HostedZone, HostedZoneConfig, ResourceRecordSet, RrType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use lamia_core::name::Fqdn;

use super::config::Route53Config;
use super::connect::Connector;
use super::convert::MADE_BY_LAMIA;
use super::identity::{self, AssumedRole};
use super::refusal::{batch_messages, failed};
use crate::dns::budget::Budget;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// RRsets of one page, which is the most that Route 53 gives.
const PAGE: i32 = 300;

/// A connection to Route 53 with one credential.
pub(super) struct Client {
    route53: aws_sdk_route53::Client,
    sts: aws_sdk_sts::Client,
    connector: Connector,
}

/// A zone with its name servers.
pub(super) struct Zone {
    pub(super) zone: HostedZone,
    pub(super) name_servers: Vec<String>,
}

/// Where a page of records begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) name: String,
    pub(super) rtype: Option<RrType>,
    pub(super) identifier: Option<String>,
}

/// Records, and where the next page begins.
pub(super) struct Page {
    pub(super) sets: Vec<ResourceRecordSet>,
    pub(super) next: Option<Start>,
}

/// Why a change batch was not applied.
pub(super) enum Unapplied {
    /// Something stands otherwise than the batch says, or a record is bad: Route 53's words, to be read, not shown.
    Refused(Vec<String>),
    /// Anything else.
    Failed(ProviderError),
}

impl Client {
    /// `budget` makes a budget of requests for the account that is named to it.
    pub(super) fn new(config: &Route53Config, budget: impl FnOnce(&str) -> Budget) -> Result<Self, ProviderError> {
        let region = identity::region(config)?;
        let identity = identity::of(config, &region)?;
        let endpoint = config.endpoint.as_deref().map(|url| endpoint::check(url, config.allow_private)).transpose()?;
        let endpoint = endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned());
        let http = endpoint::client(None, config.allow_private)?;
        let account = format!("route53 {} {}", endpoint.as_deref().unwrap_or_default(), identity.account);
        let connector = Connector::new(http.clone(), "Route 53", budget(&account));
        let sts = |credentials: SharedCredentialsProvider| {
            let mut builder = aws_sdk_sts::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(region.clone())
                .credentials_provider(credentials)
                .http_client(Connector::new(http.clone(), "AWS' Security Token Service", Budget::unlimited()))
                .retry_config(RetryConfig::disabled())
                .timeout_config(TimeoutConfig::disabled())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            // A private endpoint of Route 53 is none of STS'; a test bench is both.
            builder.set_endpoint_url(endpoint.clone().filter(|_| config.allow_private));
            aws_sdk_sts::Client::from_conf(builder.build())
        };
        let credentials = match &config.assume_role_arn {
            None => identity.credentials,
            Some(role) => SharedCredentialsProvider::new(AssumedRole {
                sts: sts(identity.credentials),
                role: role.clone(),
                external_id: config.external_id.clone(),
            }),
        };
        let mut builder = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .http_client(connector.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        builder.set_endpoint_url(endpoint.clone());
        let route53 = aws_sdk_route53::Client::from_conf(builder.build());
        Ok(Self { route53, sts: sts(credentials), connector })
    }

    /// Requests sent to Route 53 so far.
    pub(super) fn requests(&self) -> u64 {
        self.connector.requests()
    }

    /// The account and the name of who asks.
    pub(super) async fn identity(&self, operation: &str) -> Result<(String, String), ProviderError> {
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| failed(operation, "sts:GetCallerIdentity", &error))?;
        Ok((answer.account.unwrap_or_default(), answer.arn.unwrap_or_default()))
    }

    /// A page of all zones, and the marker of the next.
    pub(super) async fn zones(
        &self,
        operation: &str,
        marker: Option<String>,
    ) -> Result<(Vec<HostedZone>, Option<String>), ProviderError> {
        let answer = self.route53.list_hosted_zones().set_marker(marker).send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:ListHostedZones", &error))?;
        let next = answer.next_marker.filter(|_| answer.is_truncated);
        Ok((answer.hosted_zones, next))
    }

    /// Zones in the order of their names from `domain` on, where those of exactly that name come first: as many as matter.
    pub(super) async fn zones_from(&self, operation: &str, domain: &Fqdn) -> Result<Vec<HostedZone>, ProviderError> {
        let asking = self.route53.list_hosted_zones_by_name().dns_name(domain.with_dot());
        let answer = asking.send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:ListHostedZonesByName", &error))?;
        Ok(answer.hosted_zones)
    }

    /// The zone of this id; `None` when there is none.
    pub(super) async fn zone(&self, operation: &str, id: &str) -> Result<Option<Zone>, ProviderError> {
        let answer = self.route53.get_hosted_zone().id(id).send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:GetHostedZone", &error));
        let answer = match answer {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        let name_servers = answer.delegation_set.map(|set| set.name_servers).unwrap_or_default();
        Ok(answer.hosted_zone.map(|zone| Zone { zone, name_servers }))
    }

    /// Makes a public zone with Lamia's comment. Two calls with one `reference` make one zone at most.
    pub(super) async fn create(&self, operation: &str, domain: &Fqdn, reference: &str) -> Result<Zone, ProviderError> {
        let comment = HostedZoneConfig::builder().comment(MADE_BY_LAMIA).build();
        let asking = self.route53.create_hosted_zone().name(domain.with_dot()).caller_reference(reference);
        let answer = asking.hosted_zone_config(comment).send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:CreateHostedZone", &error))?;
        let name_servers = answer.delegation_set.map(|set| set.name_servers).unwrap_or_default();
        let nothing = || ProviderError::new(ErrorKind::Protocol, operation, "the answer names no zone");
        answer.hosted_zone.map(|zone| Zone { zone, name_servers }).ok_or_else(nothing)
    }

    /// Removes an empty zone.
    pub(super) async fn delete(&self, operation: &str, id: &str) -> Result<(), ProviderError> {
        let answer = self.route53.delete_hosted_zone().id(id).send().await;
        answer.map(|_| ()).map_err(|error| failed(operation, "route53:DeleteHostedZone", &error))
    }

    /// One page of a zone's records.
    pub(super) async fn records(
        &self,
        operation: &str,
        zone: &str,
        start: Option<Start>,
    ) -> Result<Page, ProviderError> {
        let mut asking = self.route53.list_resource_record_sets().hosted_zone_id(zone).max_items(PAGE);
        if let Some(Start { name, rtype, identifier }) = start {
            asking =
                asking.start_record_name(name).set_start_record_type(rtype).set_start_record_identifier(identifier);
        }
        let answer = asking.send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:ListResourceRecordSets", &error))?;
        let next = answer.next_record_name.filter(|_| answer.is_truncated).map(|name| Start {
            name,
            rtype: answer.next_record_type,
            identifier: answer.next_record_identifier,
        });
        Ok(Page { sets: answer.resource_record_sets, next })
    }

    /// Applies a batch, all or nothing; the id of the change.
    pub(super) async fn change(&self, operation: &str, zone: &str, batch: Vec<Change>) -> Result<String, Unapplied> {
        let batch = ChangeBatch::builder().set_changes(Some(batch)).build();
        let batch = batch.map_err(|error| Unapplied::Failed(unbuilt(operation, error)))?;
        let asking = self.route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
        let answer = asking.send().await.map_err(|error| unapplied(operation, &error))?;
        let id = answer.change_info.map(|info| info.id).unwrap_or_default();
        Ok(id.trim_start_matches("/change/").to_owned())
    }

    /// Whether all of Route 53's servers have the change.
    pub(super) async fn is_in_sync(&self, operation: &str, change: &str) -> Result<bool, ProviderError> {
        let answer = self.route53.get_change().id(change).send().await;
        let answer = answer.map_err(|error| failed(operation, "route53:GetChange", &error))?;
        Ok(answer.change_info.is_some_and(|info| info.status == ChangeStatus::Insync))
    }
}

/// The SDK misses a field in a request of ours; only a bug leads here.
pub(super) fn unbuilt(operation: &str, error: BuildError) -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, operation, "the request lacks a field").caused_by(error)
}

fn unapplied(operation: &str, error: &SdkError<ChangeResourceRecordSetsError, HttpResponse>) -> Unapplied {
    match batch_messages(error) {
        Some(messages) => Unapplied::Refused(messages),
        None => Unapplied::Failed(failed(operation, "route53:ChangeResourceRecordSets", error)),
    }
}
