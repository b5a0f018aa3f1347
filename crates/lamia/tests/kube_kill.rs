//! `kill -9` at every word that the operator says to the outside while it has a host served.
//!
//! The real process, between real servers, with a gate before each: the Kubernetes API, the CA, the DNS provider. The gates count the
//! words that change something. For each of them, a new host is applied and the process killed: before the word is heard,
//! or after it was done and before the process knows. Whatever the instant, the next process must end with one certificate,
//! nothing left in DNS, no order finalized twice, and an order replaced at most once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use lamia_api::meta::LABEL_SECRET_ROLE;
use lamia_api::{ACMEIssuer, HostCertificate, SecuredHost, Zone};
use lamia_sandbox::manifests;
use lamia_sandbox::servers::gate::{Gate, Keeper, Passage, Passing};
use lamia_sandbox::servers::{ApiKind, Binary};
use lamia_sandbox::stage::{
    CLUSTER_ID, DEMO_NAMESPACE, GATEWAY_NAMESPACE, NAME_SERVERS, NAMESPACE, Stage, StageOptions,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The zone that the hosts are in.
const DOMAIN: &str = "killed.net";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// More words than one host can need: a walk that gets here goes in circles.
const MANY: usize = 80;

/// Fewer words than one host can do with: objects, an order with its challenge, records to and fro.
const FEWEST: usize = 12;

/// When the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before the word is heard.
    Before,
    /// After it was done, before the process knows.
    After,
}

/// Whom a word is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Cluster,
    Authority,
    Provider,
}

/// What the three gates know together.
#[derive(Default)]
struct Ledger {
    state: Mutex<State>,
    killed: Notify,
}

#[derive(Default)]
struct State {
    process: Option<Child>,
    /// Which word from now on is the last, and when.
    armed: Option<(usize, Moment)>,
    /// Words since then.
    spoken: usize,
    /// The word that is being done, to be killed after.
    last: Option<(Party, u64)>,
    /// The word at which the process was killed.
    killed_at: Option<String>,
    orders: usize,
    /// How often each order was finalized with success.
    finalized: BTreeMap<String, usize>,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no keeper panics")
    }

    fn arm(&self, word: usize, moment: Moment) {
        let mut state = self.state();
        (state.armed, state.spoken, state.killed_at) = (Some((word, moment)), 0, None);
        state.orders = 0;
        state.finalized.clear();
    }

    /// Nothing is killed any more. Returns what happened since it was armed, and the word at which the process was killed.
    fn disarm(&self) -> (Outcome, Option<String>) {
        let mut state = self.state();
        (state.armed, state.last) = (None, None);
        (Outcome { orders: state.orders, finalized: state.finalized.clone() }, state.killed_at.clone())
    }

    fn kill(&self, state: &mut State, party: Party, request: &Passing) -> Passage {
        (state.armed, state.last) = (None, None);
        state.killed_at = Some(format!("{party:?} {} {}", request.method, request.path));
        if let Some(mut process) = state.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it was killed");
        }
        self.killed.notify_one();
        Passage::Cut
    }
}

/// The keeper of one gate.
struct Post {
    party: Party,
    ledger: Arc<Ledger>,
}

impl Post {
    /// Whether a request changes something. Leases and Events are no part of issuance.
    fn is_word(&self, request: &Passing) -> bool {
        match self.party {
            Party::Cluster => {
                request.method != "GET" && !request.path.contains("/leases") && !request.path.contains("/events")
            }
            Party::Authority => request.method == "POST",
            Party::Provider => request.method != "GET",
        }
    }
}

impl Keeper for Post {
    fn enter(&self, request: &Passing) -> Passage {
        let mut state = self.ledger.state();
        let Some((word, moment)) = state.armed.filter(|_| self.is_word(request)) else { return Passage::Open };
        state.spoken += 1;
        match moment {
            _ if state.spoken != word => Passage::Open,
            Moment::Before => self.ledger.kill(&mut state, self.party, request),
            Moment::After => {
                state.last = Some((self.party, request.number));
                Passage::Open
            }
        }
    }

    fn leave(&self, request: &Passing, status: u16) -> Passage {
        let mut state = self.ledger.state();
        if self.party == Party::Authority {
            match (request.path.as_str(), status) {
                ("/order-plz", 201) => state.orders += 1,
                (path, 200) if path.starts_with("/finalize-order/") => {
                    *state.finalized.entry(path.to_owned()).or_default() += 1;
                }
                _ => {}
            }
        }
        if state.last == Some((self.party, request.number)) {
            return self.ledger.kill(&mut state, self.party, request);
        }
        Passage::Open
    }
}

/// The stage, the gates, and what starts the process.
struct Walk {
    stage: Stage,
    ledger: Arc<Ledger>,
    kubeconfig: PathBuf,
    _gates: [Gate; 3],
}

impl Drop for Walk {
    fn drop(&mut self) {
        if let Some(mut process) = self.ledger.state().process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Walk {
    async fn begin() -> Self {
        let options = StageOptions {
            gateway: false,
            kubernetes: ApiKind::tested(),
            garbage_collector: false,
            ..StageOptions::default()
        };
        let stage = Stage::set(options).await.expect("the stage is set");
        let ledger = Arc::new(Ledger::default());
        let gate = async |party, upstream| {
            Gate::open(upstream, Arc::new(Post { party, ledger: ledger.clone() })).await.expect("a gate")
        };
        let cluster = gate(Party::Cluster, stage.api().expect("its own").upstream()).await;
        let authority = gate(Party::Authority, stage.pebble.upstream()).await;
        let provider = gate(Party::Provider, stage.power_dns.upstream()).await;
        let kubeconfig =
            stage.api().expect("its own").kubeconfig_through(&cluster, NAMESPACE, "lamia").await.expect("a kubeconfig");
        stage.power_dns.create_zone(DOMAIN, &NAME_SERVERS).await.expect("a zone");
        stage.delegate(DOMAIN).expect("delegated");
        for object in objects(&stage, &authority, &provider) {
            manifests::apply(&stage.admin, &object).await.expect("applied");
        }
        let walk = Self { stage, ledger, kubeconfig, _gates: [cluster, authority, provider] };
        walk.start();
        let client = walk.stage.admin.clone();
        let ready = |conditions: Option<&Vec<lamia_api::condition::Condition>>| {
            conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
        };
        let zone = await_condition(Api::<Zone>::all(client.clone()), DOMAIN, |zone: Option<&Zone>| {
            ready(zone.and_then(|zone| zone.status.as_ref()).map(|status| &status.conditions))
        });
        within("the zone is ready", zone).await.expect("watched");
        let issuer = await_condition(Api::<ACMEIssuer>::all(client), "pebble", |issuer: Option<&ACMEIssuer>| {
            ready(issuer.and_then(|issuer| issuer.status.as_ref()).map(|status| &status.conditions))
        });
        within("the issuer is ready", issuer).await.expect("watched");
        walk
    }

    /// Starts the operator as its Deployment does, but for the addresses of loopback.
    fn start(&self) {
        let process = operator(&self.kubeconfig, &self.stage).spawn().expect("the binary is built");
        self.ledger.state().process = Some(process);
    }

    /// Starts the operator after it was killed.
    async fn restart(&self) {
        // Its holder is dead for certain: nobody has to wait for it to run out.
        let leases: Api<Lease> = Api::namespaced(self.stage.admin.clone(), NAMESPACE);
        leases.delete("lamia", &DeleteParams::default()).await.expect("deleted");
        self.start();
    }

    /// Has a host served, and the process killed at this word of it. `None` once the host needs fewer words.
    async fn step(&self, moment: Moment, word: usize) -> Option<Outcome> {
        let name = format!("{moment:?}-{word}").to_lowercase();
        let host = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": name, "namespace": DEMO_NAMESPACE}, "spec": {"host": format!("{name}.{DOMAIN}")},
        });
        self.ledger.arm(word, moment);
        manifests::apply(&self.stage.admin, &host).await.expect("applied");
        let settled = self.settled(&name);
        tokio::pin!(settled);
        let was_restarted = tokio::select! {
            () = self.ledger.killed.notified() => {
                self.restart().await;
                settled.await;
                true
            }
            () = &mut settled => false,
        };
        let (outcome, killed_at) = self.ledger.disarm();
        if killed_at.is_some() && !was_restarted {
            // Killed at its very last word, when all was as it should be already.
            self.ledger.killed.notified().await;
            self.restart().await;
        }
        self.check(&name, killed_at.as_deref().unwrap_or("nothing"), &outcome).await;
        killed_at.map(|_| outcome)
    }

    /// Waits until the host is Ready and its certificate knows of no challenge any more.
    async fn settled(&self, name: &str) {
        let hosts: Api<SecuredHost> = Api::namespaced(self.stage.admin.clone(), DEMO_NAMESPACE);
        let ready = |host: Option<&SecuredHost>| {
            let conditions = host.and_then(|host| host.status.as_ref()).map(|status| &status.conditions);
            conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
        };
        within(&format!("{name} is Ready"), await_condition(hosts, name, ready)).await.expect("watched");
        let [certificate] = self.certificates(name).await.try_into().expect("one HostCertificate");
        let clean = |certificate: Option<&HostCertificate>| {
            let issuance = certificate.and_then(|it| it.status.as_ref()).and_then(|status| status.issuance.as_ref());
            issuance.is_none_or(|issuance| issuance.challenges.is_empty() && issuance.order_url.is_none())
        };
        let own: Api<HostCertificate> = Api::namespaced(self.stage.admin.clone(), NAMESPACE);
        within(&format!("{name} is clean"), await_condition(own, &certificate.name_any(), clean))
            .await
            .expect("watched");
    }

    async fn certificates(&self, name: &str) -> Vec<HostCertificate> {
        let own: Api<HostCertificate> = Api::namespaced(self.stage.admin.clone(), NAMESPACE);
        let all = own.list(&ListParams::default()).await.expect("listed").items;
        all.into_iter().filter(|it| it.spec.dns_names == [format!("{name}.{DOMAIN}")]).collect()
    }

    async fn check(&self, name: &str, killed_at: &str, outcome: &Outcome) {
        let host = format!("{name}.{DOMAIN}");
        let secrets = |namespace| Api::<Secret>::namespaced(self.stage.admin.clone(), namespace);
        let [certificate] = self.certificates(name).await.try_into().expect("one HostCertificate");
        let masters = ListParams::default().labels(&format!("{LABEL_SECRET_ROLE}=master"));
        let masters = secrets(NAMESPACE).list(&masters).await.expect("listed").items;
        let uid = certificate.uid();
        let owned = |secret: &Secret| secret.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref());
        let [master] = masters.into_iter().filter(owned).collect::<Vec<_>>().try_into().expect("one master Secret");
        let delivered = secrets(GATEWAY_NAMESPACE).get(&format!("{DEMO_NAMESPACE}.{name}")).await.expect("delivered");
        for key in ["tls.crt", "tls.key"] {
            let of = |secret: &Secret| secret.data.as_ref().and_then(|data| data.get(key)).cloned();
            assert!(
                of(&master).is_some() && of(&master) == of(&delivered),
                "{host}: {key} differs, killed at {killed_at}"
            );
        }
        let content = self.stage.power_dns.content(DOMAIN).await.expect("asked");
        let left: Vec<&String> = content.keys().filter(|name| name.starts_with("_acme-challenge")).collect();
        assert!(left.is_empty(), "{host}: {left:?} left behind, killed at {killed_at}");
        let finalized: Vec<usize> = outcome.finalized.values().copied().collect();
        assert_eq!(finalized, [1], "{host}: one order finalized once, killed at {killed_at}");
        assert!((1..=2).contains(&outcome.orders), "{host}: {} orders, killed at {killed_at}", outcome.orders);
        if outcome.orders == 2 {
            println!("  an order replaced: killed {host} at {killed_at}");
        }
    }
}

/// What the CA saw of one host.
struct Outcome {
    orders: usize,
    finalized: BTreeMap<String, usize>,
}

fn operator(kubeconfig: &Path, stage: &Stage) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamia"));
    command.env_clear().env("KUBECONFIG", kubeconfig).args(["operator", "--namespace", NAMESPACE]);
    command.args(["--cluster-id", CLUSTER_ID, "--gateway-namespaces", GATEWAY_NAMESPACE, "--probe-address", "off"]);
    command.args(["--dns-resolver", &stage.resolver().to_string(), "--dns-port", &stage.dns_port().to_string()]);
    command.arg("--allow-private-endpoints").stdin(Stdio::null());
    match std::env::var("RUST_LOG") {
        Ok(filter) => drop(command.env("RUST_LOG", filter)),
        Err(_) => drop(command.stdout(Stdio::null()).stderr(Stdio::null())),
    }
    command
}

/// Provider, zone and issuer, each by way of its gate.
fn objects(stage: &Stage, authority: &Gate, provider: &Gate) -> [Value; 4] {
    [
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": "powerdns", "namespace": NAMESPACE,
                "labels": {"lamia.dev/credential-for": "dnsprovider.powerdns"},
            },
            "stringData": {"api-key": stage.power_dns.api_key()},
        }),
        json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "powerdns"},
            "spec": {
                "powerDNS": {"url": provider.url(), "caBundle": provider.ca()},
                "auth": {"secretRef": {"name": "powerdns", "key": "api-key"}},
                "default": true,
            },
        }),
        json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": DOMAIN},
            "spec": {"domain": DOMAIN, "providerRef": {"name": "powerdns"}},
        }),
        json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": "pebble"},
            "spec": {
                "directory": format!("{}/dir", authority.url()), "caBundle": authority.ca(),
                "limits": {"unlimited": true}, "default": true,
            },
        }),
    ]
}

async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, done).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_word_nothing_is_lost_and_nothing_is_done_twice() {
    walk(Moment::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_word_nothing_is_lost_and_nothing_is_done_twice() {
    walk(Moment::After).await;
}

/// Kills at the first word, the second, and so on, until a host is served without the one that is waited for.
async fn walk(moment: Moment) {
    let programs = ApiKind::tested().programs().iter().chain(&[Binary::Pebble, Binary::PowerDns]);
    if let Some(missing) = programs.into_iter().find_map(|program| program.find().err()) {
        println!("skipped: {missing}");
        return;
    }
    let walk = Walk::begin().await;
    let began = Instant::now();
    let (mut kills, mut replaced) = (0, 0);
    for word in 1.. {
        assert!(word < MANY, "no end of words");
        let Some(outcome) = walk.step(moment, word).await else { break };
        kills += 1;
        replaced += outcome.orders - 1;
    }
    assert!(kills >= FEWEST, "only {kills} words: the gates see too little");
    println!(
        "killed {kills} times {} a word, each time another: {kills} certificates in {kills} Secrets, {kills} finalized orders, \
         {replaced} orders replaced, nothing left in DNS, in {:?}",
        format!("{moment:?}").to_lowercase(),
        began.elapsed()
    );
}
