//! The whole operator on a small Kubernetes API, in paused time: from an applied SecuredHost to its status, and what it does about
//! what people and the API do meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::wait::{Condition, await_condition, conditions::is_deleted};
use kube::{Api, Resource};
use lamia_api::condition::host::{CHAIN, READY};
use lamia_api::provider::DNSProviderSpec;
use lamia_core::cert::caa::CaaObservation;
use lamia_core::cert::checks::read_leaf;
use lamia_core::delegation::{
    DelegationObservation, DsState, ParentAnswer, ServerObservation, ServerState, ZoneContent,
};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordType, RecordValue, RrsetKey};
use lamia_providers::acme::{AcmeAccount, AcmeConfig, AcmeError};
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::memory::Memory;
use lamia_providers::error::ProviderError;
use lamia_providers::probe::{ProbeOutcome, ProbeTarget};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::TestClock;
use crate::config::Config;
use crate::issuance::testing::{DIRECTORY, World};
use crate::lease::ElectionTimes;
use crate::outside::{CertificateAuthorities, Credential, DnsProviders, Outside, PublicDns};
use crate::test_cluster::{GATEWAY_NAMESPACE, NAMESPACE, TestCluster};
use crate::zones::{Expectation, Missing, Propagation};

const HOST: &str = "/apis/lamia.dev/v1alpha1/namespaces/team/securedhosts/shop";
const GATEWAY: &str = "/apis/networking.istio.io/v1/namespaces/team/gateways/shop";
const SECRET: &str = "/api/v1/namespaces/istio-system/secrets/team.shop";
/// Longer than anything here takes, on the operator's clock.
const LONG: Duration = Duration::from_secs(3_600);

fn fqdn(name: &str) -> Fqdn {
    Fqdn::parse(name).expect("a name")
}

/// All that is not the cluster. Clones are the same.
#[derive(Clone)]
struct Scenery {
    api: TestCluster,
    dns: Arc<Memory>,
    ca: Arc<World>,
    delegated: Arc<AtomicBool>,
}

#[async_trait]
impl PublicDns for Scenery {
    async fn delegation(&self, zone: &Fqdn, _: &ZoneContent) -> DelegationObservation {
        let parent = fqdn("org");
        let server =
            ServerObservation { name: fqdn("ns1.example.com"), addresses: Vec::new(), state: ServerState::Right };
        let (parent, servers) = match self.delegated.load(Ordering::SeqCst) {
            true => (ParentAnswer::Servers { parent }, vec![server]),
            false => (ParentAnswer::NoServers { parent }, Vec::new()),
        };
        DelegationObservation { zone: zone.clone(), parent, servers, ds: DsState::None }
    }

    async fn caa(&self, _: &HostName) -> Result<CaaObservation, ProviderError> {
        Ok(CaaObservation::default())
    }
}

/// Name servers have always heard of every change; what they say is what the CA will see.
#[async_trait]
impl Propagation for Scenery {
    async fn missing(&self, zone: &Fqdn, _: &[Fqdn], _: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        let records = self.dns.snapshot(zone);
        let texts = records.iter().flat_map(|(key, rrset)| rrset.values.iter().map(move |value| (key, value)));
        let texts = texts.filter_map(|(key, value)| match value {
            RecordValue::Txt(text) => Some((key.name.to_string(), text.joined())),
            _ => None,
        });
        self.ca.lock().txt = texts.collect();
        Vec::new()
    }
}

#[async_trait]
impl CertificateAuthorities for Scenery {
    async fn open(&self, _: AcmeConfig) -> Result<Arc<dyn AcmeAccount>, AcmeError> {
        Ok(self.ca.clone())
    }
}

impl DnsProviders for Scenery {
    fn connect(
        &self,
        _: &DNSProviderSpec,
        _: Credential,
        _: bool,
    ) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
        Ok(self.dns.clone())
    }
}

/// The gateway serves what was delivered to it.
#[async_trait]
impl Prober for Scenery {
    async fn look(&self, target: ProbeTarget<'_>) -> ProbeOutcome {
        let secret = self.api.get(SECRET).await.unwrap_or_default();
        let chain = secret["data"]["tls.crt"].as_str().map(|text| data_encoding::BASE64.decode(text.as_bytes()));
        match chain.and_then(|chain| read_leaf(&chain.ok()?).ok()) {
            Some(leaf) if leaf.sha256 == target.certificate => ProbeOutcome::Served,
            Some(leaf) => ProbeOutcome::OtherCertificate { certificate: leaf.sha256, names: BTreeSet::new() },
            None => ProbeOutcome::Unreachable { addresses: BTreeSet::new() },
        }
    }
}

/// A running operator; it ends with the bench.
struct Bench {
    scenery: Scenery,
    api: TestCluster,
    _operator: JoinSet<()>,
}

impl Bench {
    /// Zone `example.org` at the provider, and everything that platform people apply; the operator has begun.
    async fn new() -> Self {
        let api = TestCluster::new().await;
        let dns = Arc::new(Memory::new([fqdn("ns1.example.com")]));
        dns.add_zone(&fqdn("example.org"));
        let scenery = Scenery { api: api.clone(), dns, ca: World::new(), delegated: Arc::new(true.into()) };
        for object in platform() {
            api.put(&object).await;
        }
        let all = Arc::new(scenery.clone());
        let outside = Outside {
            clock: TestClock::new(),
            public_dns: all.clone(),
            name_servers: all.clone(),
            cas: all.clone(),
            providers: all.clone(),
            sites: all,
        };
        let mut operator = JoinSet::new();
        let running = crate::run_in(outside, config(), api.client(), CancellationToken::new());
        operator.spawn(async move { running.await.expect("it runs until the bench ends") });
        Self { scenery, api, _operator: operator }
    }

    async fn apply_host(&self) {
        let host = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost", "metadata": {"name": "shop", "namespace": "team"},
            "spec": {"host": "shop.example.org", "backend": {"service": "shop", "port": 8080}},
        });
        self.api.put(&host).await;
    }

    /// Waits until the host's condition is so; gives its reason.
    async fn reached(&self, type_: &str, status: &str) -> String {
        let condition = |host: &SecuredHost| {
            let status = host.status.as_ref()?;
            status.conditions.iter().find(|condition| condition.type_ == type_).cloned()
        };
        let stands = |host: Option<&SecuredHost>| host.and_then(condition).is_some_and(|it| it.status == status);
        let hosts = Api::<SecuredHost>::namespaced(self.api.people(), "team");
        let host = await_condition(hosts, "shop", stands);
        let host = timeout(LONG, host).await.expect("in time").expect("watched").expect("there");
        condition(&host).expect("a condition").reason
    }

    /// Waits for something about the Gateway.
    async fn gateway(&self, stands: impl Condition<DynamicObject>) {
        let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk("networking.istio.io", "v1", "Gateway"));
        let gateways = Api::<DynamicObject>::namespaced_with(self.api.people(), "team", &kind);
        timeout(LONG, await_condition(gateways, "shop", stands)).await.expect("in time").expect("watched");
    }

    /// The values of the host's records of a type.
    fn records(&self, record_type: RecordType) -> Vec<String> {
        let records = self.scenery.dns.snapshot(&fqdn("example.org"));
        let found = records.get(&RrsetKey::new(fqdn("shop.example.org"), record_type)).cloned();
        found.map(|rrset| rrset.values.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// What Lamia has written so far, but for the renewals of its Lease.
    fn writes(&self) -> usize {
        let writes = self.api.log().into_iter().filter(|asked| asked.method != Method::GET);
        writes.filter(|asked| !asked.path.contains("/leases")).count()
    }

    /// How often Lamia has listed Gateways.
    fn lists(&self) -> usize {
        let lists = self.api.log().into_iter().filter(|asked| !asked.is_watch);
        lists.filter(|asked| asked.method == Method::GET && asked.path.ends_with("/v1/gateways")).count()
    }
}

/// A slow election: an hour has 1,800 renewals otherwise.
fn config() -> Config {
    Config {
        namespace: NAMESPACE.to_owned(),
        cluster_id: Some("demo".to_owned()),
        gateway_namespaces: vec![GATEWAY_NAMESPACE.to_owned()],
        election: ElectionTimes {
            duration: Duration::from_secs(15 * 60),
            renew_deadline: Duration::from_secs(9 * 60),
            retry: Duration::from_secs(2 * 60),
        },
        ..Config::default()
    }
}

fn platform() -> [Value; 3] {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "istio-ingressgateway", "namespace": GATEWAY_NAMESPACE, "labels": {"istio": "ingressgateway"},
        },
        "spec": {
            "type": "LoadBalancer", "selector": {"istio": "ingressgateway"},
            "ports": [{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}},
    });
    let provider = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "memory"},
        "spec": {"powerDNS": {"url": "https://dns.example", "nameServers": ["ns1.example.com"]}, "default": true},
    });
    let issuer = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": "ca"},
        "spec": {"directory": DIRECTORY, "default": true},
    });
    [service, provider, issuer]
}

fn is_there<K: Resource>(object: Option<&K>) -> bool {
    object.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_host_goes_from_applied_to_ready_once_its_zone_is_delegated_and_then_nothing_is_written() {
    let bench = Bench::new().await;
    bench.scenery.delegated.store(false, Ordering::SeqCst);
    bench.apply_host().await;
    assert_eq!(bench.reached("Delegated", "False").await, "NotDelegated");
    assert_eq!(bench.reached("RecordsPublished", "True").await, "Published", "the zone is prepared all the same");
    assert_eq!(bench.records(RecordType::A), ["192.0.2.10"]);
    assert_eq!(bench.api.list("/apis/lamia.dev/v1alpha1/zones").await.len(), 1);
    assert_eq!(bench.scenery.ca.lock().orders.len(), 0, "the CA is not troubled before");

    bench.scenery.delegated.store(true, Ordering::SeqCst);
    for condition in CHAIN {
        bench.reached(condition, "True").await;
    }
    assert!(bench.api.get(GATEWAY).await.is_some() && bench.api.get(SECRET).await.is_some());
    assert_eq!(bench.api.list("/apis/networking.istio.io/v1/namespaces/team/virtualservices").await.len(), 1);
    assert_eq!(bench.scenery.ca.lock().orders.len(), 1);

    sleep(LONG).await;
    let (writes, requests) = (bench.writes(), bench.api.log().len());
    sleep(LONG).await;
    assert_eq!(bench.writes(), writes, "what stands is not written again");
    assert!(bench.api.log().len() > requests, "it lives");
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_no_watch_worked_is_found_in_a_new_list() {
    let bench = Bench::new().await;
    bench.apply_host().await;
    bench.reached(READY, "True").await;
    bench.api.breaks_watches(true);
    // Each that was there has ended by then.
    sleep(Duration::from_secs(300)).await;
    bench.api.delete(GATEWAY).await;
    bench.api.compact();
    let lists = bench.lists();
    bench.api.breaks_watches(false);
    bench.gateway(is_there).await;
    assert!(bench.lists() > lists);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_gateway_is_told_and_left_alone_while_all_else_goes_on() {
    let bench = Bench::new().await;
    let theirs = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "shop", "namespace": "team"},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": []},
    });
    let theirs = bench.api.put(&theirs).await;
    bench.apply_host().await;
    assert_eq!(bench.reached("GatewayReady", "False").await, "ForeignGateway");
    bench.reached("CertificateReady", "True").await;
    bench.reached("RecordsPublished", "True").await;
    assert_eq!(bench.api.get(GATEWAY).await, Some(theirs));

    bench.api.delete(GATEWAY).await;
    bench.reached(READY, "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_takes_along_what_was_made_for_it() {
    let bench = Bench::new().await;
    bench.apply_host().await;
    bench.reached(READY, "True").await;
    let uid = bench.api.get(GATEWAY).await.expect("there")["metadata"]["uid"].as_str().expect("a uid").to_owned();
    bench.api.delete(HOST).await;
    bench.gateway(is_deleted(&uid)).await;
    let gone = async {
        while bench.api.get(SECRET).await.is_some() || !bench.records(RecordType::A).is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(LONG, gone).await.expect("in time");
    let marker = bench.records(RecordType::Txt);
    assert!(marker.is_empty(), "{marker:?}");
    let certificates = bench.api.list("/apis/lamia.dev/v1alpha1/namespaces/lamia-system/hostcertificates").await;
    assert_eq!(certificates.len(), 1, "it is kept for whoever comes back");
}
