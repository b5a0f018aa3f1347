//! The story that `lamia sandbox` plays: a host from nothing to a true HTTPS answer, told step by step.
//!
//! The operator is the real one, in this process, with the rights of its ServiceAccount. What is told comes from the
//! SecuredHost's status, as `kubectl` would show it; the last word has an HTTPS request through the gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, pin_mut};
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use lamia_api::SecuredHost;
use lamia_api::condition::host::{CHAIN, DELEGATED, READY};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::manifests;
use crate::stage::{DEMO_NAMESPACE, HOST, NAME_SERVERS, Stage, ZONE};

/// The SecuredHost of the story.
const NAME: &str = "shop";
/// Its host.
const SHOP: &str = "shop.democluster.net";
/// How long a step may take before the story is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happens in the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A condition has changed.
    Step {
        /// Its type.
        condition: String,
        /// True, False or Unknown.
        status: String,
        /// Why, in a word.
        reason: String,
        /// Why, for people.
        message: String,
        /// Since the host was applied.
        after: Duration,
    },
    /// The registrar must be told these name servers of the zone.
    Delegate {
        /// The zone.
        zone: String,
        /// Its name servers.
        name_servers: Vec<String>,
    },
}

/// How the story ended.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The host.
    pub host: String,
    /// Milliseconds from the host's apply until each condition was first True.
    pub milliseconds: BTreeMap<String, u64>,
    /// Milliseconds from the delegation until Ready.
    pub from_delegation_to_ready: u64,
    /// What the site answered.
    pub answer: String,
    /// A line that asks it again, in another terminal.
    pub curl: String,
}

/// The stage with the operator on it.
pub struct Play {
    /// The stage.
    pub stage: Stage,
    operator: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Play {
    /// Starts the operator on a stage, and applies provider, issuer and shop.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn begin(stage: Stage) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let operator = tokio::spawn(lamia_operator::run(stage.operator_config(), stage.lamia().await?, stop.clone()));
        stage.apply_provider().await?;
        stage.apply_issuer().await?;
        stage.apply_shop().await?;
        Ok(Self { stage, operator, stop })
    }

    /// Plays the story. `tell` hears each scene; after [`Scene::Delegate`] the story waits for `delegate`, then sets the
    /// delegation as a person would at the registrar.
    ///
    /// # Errors
    /// The story does not end well within its time: the last scene says where it stopped.
    pub async fn story(
        &self,
        mut tell: impl FnMut(&Scene),
        delegate: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Figures> {
        manifests::apply_text(&self.stage.admin, HOST).await?;
        let began = Instant::now();
        let mut told = Told { began, last: BTreeMap::new(), milliseconds: BTreeMap::new() };
        let hosts: Api<SecuredHost> = Api::namespaced(self.stage.admin.clone(), DEMO_NAMESPACE);
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let changes = watcher(hosts, config).default_backoff().applied_objects();
        pin_mut!(changes, delegate);
        let mut delegated = None;
        loop {
            let change = tokio::time::timeout(PATIENCE, changes.next()).await;
            let Ok(Some(host)) = change else { bail!("nothing happened for {PATIENCE:?}") };
            let Ok(host) = host else { continue };
            told.scenes(&host).iter().for_each(&mut tell);
            if told.stands(READY, "True") {
                break;
            }
            if delegated.is_none() && told.stands(DELEGATED, "False") {
                tell(&Scene::Delegate { zone: ZONE.to_owned(), name_servers: NAME_SERVERS.map(str::to_owned).into() });
                (&mut delegate).await?;
                self.stage.delegate(ZONE)?;
                delegated = Some(Instant::now());
            }
        }
        let from_delegation = delegated.map_or(Duration::ZERO, |at| at.elapsed());
        let (answer, curl) = self.ask().await?;
        Ok(Figures {
            host: SHOP.to_owned(),
            milliseconds: told.milliseconds,
            from_delegation_to_ready: millis(from_delegation),
            answer,
            curl,
        })
    }

    /// Asks the site as its visitors do, trusting only the CA's root.
    async fn ask(&self) -> anyhow::Result<(String, String)> {
        let gateway = self.stage.gateway.as_ref().context("there is no gateway on this stage")?;
        let address: SocketAddr = gateway.https();
        let url = format!("https://{SHOP}:{}/", address.port());
        let root = reqwest::Certificate::from_pem(self.stage.pebble.root().as_bytes())?;
        let client =
            reqwest::Client::builder().tls_certs_only([root]).resolve(SHOP, address).timeout(PATIENCE).build()?;
        let answer = client.get(&url).send().await.context("the site does not answer")?;
        ensure!(answer.status().is_success(), "the site answers {}", answer.status());
        let text = answer.text().await?;
        let file = self.root_file()?;
        let curl =
            format!("curl --cacert {} --resolve {SHOP}:{}:{} {url}", file.display(), address.port(), address.ip());
        Ok((text, curl))
    }

    /// The CA's root in a file, for curl.
    fn root_file(&self) -> anyhow::Result<PathBuf> {
        let file = std::env::temp_dir().join(format!("lamia-sandbox-root-{}.pem", std::process::id()));
        std::fs::write(&file, self.stage.pebble.root()).with_context(|| format!("can't write {}", file.display()))?;
        Ok(file)
    }

    /// Ends the operator, and with the stage all that was started.
    ///
    /// # Errors
    /// The operator had failed.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.operator.await.context("the operator panicked")?
    }
}

/// What was told already.
struct Told {
    began: Instant,
    last: BTreeMap<String, (String, String)>,
    milliseconds: BTreeMap<String, u64>,
}

impl Told {
    /// The conditions that changed, in the chain's order.
    fn scenes(&mut self, host: &SecuredHost) -> Vec<Scene> {
        let after = self.began.elapsed();
        let conditions = host.status.iter().flat_map(|status| &status.conditions);
        let mut changed: Vec<_> = conditions
            .filter(|now| {
                let now_is = (now.status.clone(), now.reason.clone());
                self.last.insert(now.type_.clone(), now_is.clone()).as_ref() != Some(&now_is)
            })
            .collect();
        changed.sort_by_key(|condition| CHAIN.iter().position(|type_| *type_ == condition.type_));
        for condition in &changed {
            if condition.status == "True" {
                self.milliseconds.entry(condition.type_.clone()).or_insert(millis(after));
            }
        }
        let scene = |condition: &lamia_api::condition::Condition| Scene::Step {
            condition: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            after,
        };
        changed.into_iter().map(scene).collect()
    }

    fn stands(&self, condition: &str, status: &str) -> bool {
        self.last.get(condition).is_some_and(|(now, _)| now == status)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
