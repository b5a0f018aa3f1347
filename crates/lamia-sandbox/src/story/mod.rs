//! The story that `lamia sandbox` plays: a host from nothing to a true HTTPS answer, told step by step.
//!
//! The operator is the real one, in this process, with the rights of its ServiceAccount. What is told comes from the
//! SecuredHost's status, as `kubectl` would show it ([`Told`]); the last word has an HTTPS request through the gateway
//! ([`Visit`]).
//!
//! On a state that was kept the story goes on where it stopped: a host that was Ready is there at once, a delegation that
//! was set is not asked for again.

mod told;
mod visit;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use lamia_api::condition::host::{DELEGATED, READY};
use lamia_api::condition::{self, Condition};
use lamia_api::{ACMEIssuer, DNSProvider, SecuredHost};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::told::Told;
pub use self::told::{Standing, StepTime};
pub use self::visit::Visit;
use crate::control::{Control, Registrar, Request};
use crate::guest::Guest;
use crate::servers::{ApiKind, Vigil, write_private};
use crate::stage::{NAME_SERVERS, Stage, StageOptions, ZONE};
use crate::state::State;

/// The SecuredHost of the story.
const NAME: &str = "shop";
/// Its host.
pub const SHOP: &str = "shop.democluster.net";
/// How long nothing may happen before a story without a person is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long provider and CA are waited for before the host is applied; what keeps them is then part of the story.
const PLATFORM_WITHIN: Duration = Duration::from_secs(20);
/// How long the operator may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What happens in the story.
#[derive(Clone, Debug, PartialEq)]
pub enum Scene {
    /// A condition has changed.
    Step(Standing),
    /// The registrar must be told these name servers of the zone.
    Delegate {
        /// The zone.
        zone: String,
        /// Its name servers.
        name_servers: Vec<String>,
    },
    /// The registrar was told.
    Delegated {
        /// The zone.
        zone: String,
    },
}

/// Who sets the delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// The story does, at once, and it ends when nothing happens for too long.
    Played,
    /// Somebody at the keyboard, who has all the time in the world.
    Real,
}

/// How the story ended.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The host.
    pub host: String,
    /// Its address in a browser; the port is the stage's.
    pub url: String,
    /// What the site answered.
    pub answer: String,
    /// Whether the host was Ready from the beginning: the state is of an earlier start, and no step was waited for.
    pub resumed: bool,
    /// The steps that became True, in the chain's order.
    pub steps: Vec<StepTime>,
    /// Milliseconds from the delegation until Ready; none where it was set by an earlier start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_delegation_to_ready_ms: Option<u64>,
}

/// The stage with the operator on it. Dropped, everything ends; [`Play::end`] does it in good order.
pub struct Play {
    // In the order in which they end.
    _control: Control,
    operator: Operator,
    stage: Stage,
    state: State,
    registrar: Registrar,
    requests: mpsc::Receiver<Request>,
}

impl Play {
    /// Sets the stage on a state, on a cluster of its own or as a guest of another, starts the operator, and applies provider, issuer
    /// and shop.
    ///
    /// # Errors
    /// What does not start, or what the API server says.
    pub async fn begin(state: State, kubernetes: ApiKind, guest: Option<Guest>) -> anyhow::Result<Self> {
        let directory = Some(state.directory().to_owned());
        let is_guest = guest.is_some();
        let stage = Stage::set(StageOptions { directory, kubernetes, guest, ..StageOptions::default() }).await?;
        state.trust(stage.pebble.root())?;
        // Of another's cluster the person has one, and it is nothing to be copied.
        if !is_guest {
            let kubeconfig = state.kubeconfig();
            write_private(&kubeconfig, stage.api()?.kubeconfig_for(stage.layout.demo).as_bytes())
                .with_context(|| format!("can't write {}", kubeconfig.display()))?;
        }
        forget_the_last_leader(&stage.admin, stage.layout.lamia).await?;
        stage.apply_provider().await?;
        stage.apply_issuer().await?;
        stage.apply_shop().await?;
        let operator = Operator::start(&stage).await?;
        platform(&stage.admin).await;
        let (registrar, requests) = Registrar::new();
        let control = Control::open(state.directory(), registrar.clone()).await?;
        Ok(Self { _control: control, operator, stage, state, registrar, requests })
    }

    /// The administrator's kubeconfig, where the cluster is the stage's own.
    #[must_use]
    pub fn kubeconfig(&self) -> std::path::PathBuf {
        self.state.kubeconfig()
    }

    /// Where the state is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.state.directory()
    }

    /// The servers of the stage, to hear when one of them ends.
    #[must_use]
    pub fn vigil(&self) -> Vigil {
        self.stage.vigil()
    }

    /// Who can be asked to delegate a zone while [`Play::story`] or [`Play::go_on`] runs.
    #[must_use]
    pub fn registrar(&self) -> Registrar {
        self.registrar.clone()
    }

    /// Plays the story. `tell` hears each scene.
    ///
    /// # Errors
    /// With a played person: the story does not end well within its time; the error says where it stopped. The operator
    /// failed, or the site does not answer though all conditions hold.
    pub async fn story(&mut self, person: Person, mut tell: impl FnMut(&Scene)) -> anyhow::Result<Figures> {
        self.stage.apply_host().await?;
        let mut told = Told::new();
        let hosts: Api<SecuredHost> = Api::namespaced(self.stage.admin.clone(), self.stage.layout.demo);
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let changes = watcher(hosts, config).default_backoff().applied_objects();
        pin_mut!(changes);
        let mut delegated = None;
        let mut prompted = false;
        while !told.stands(READY, "True") {
            tokio::select! {
                change = tokio::time::timeout(PATIENCE, changes.next()) => match change {
                    Ok(Some(Ok(host))) => told.news(&host).into_iter().for_each(|now| tell(&Scene::Step(now))),
                    Ok(Some(Err(_))) => {}
                    Ok(None) => bail!("the watch of SecuredHosts ended"),
                    Err(_) if person == Person::Real => {}
                    Err(_) => bail!("nothing happened for {} s; {}", PATIENCE.as_secs(), told.where_it_stopped()),
                },
                Some(request) = self.requests.recv() => delegated = self.asked(request, &mut tell).await.or(delegated),
                ended = self.operator.ended() => return Err(ended),
            }
            if !prompted && told.stands(DELEGATED, "False") && self.stage.parent.delegation(ZONE)?.is_empty() {
                prompted = true;
                tell(&Scene::Delegate { zone: ZONE.to_owned(), name_servers: NAME_SERVERS.map(str::to_owned).into() });
                if person == Person::Played {
                    self.stage.delegate(ZONE)?;
                    tell(&Scene::Delegated { zone: ZONE.to_owned() });
                    delegated = Some(Instant::now());
                }
            }
        }
        let from_delegation = delegated.map(|at| told::milliseconds(at.elapsed()));
        let Visit { url, answer, .. } = self.visit().await?;
        Ok(Figures {
            host: SHOP.to_owned(),
            url,
            answer,
            resumed: told.began_ready(),
            steps: told.times(),
            from_delegation_to_ready_ms: from_delegation,
        })
    }

    /// Asks the site as its visitors do.
    ///
    /// # Errors
    /// It does not answer, or with another certificate than was issued.
    pub async fn visit(&self) -> anyhow::Result<Visit> {
        visit::visit(&self.stage, &self.state.roots()).await
    }

    /// Does what it is asked to, for ever: `lamia sandbox delegate` works.
    ///
    /// # Errors
    /// The operator ended.
    pub async fn go_on(&mut self, mut tell: impl FnMut(&Scene)) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                Some(request) = self.requests.recv() => drop(self.asked(request, &mut tell).await),
                ended = self.operator.ended() => return Err(ended),
            }
        }
    }

    /// Ends the operator, and with the stage all that was started.
    ///
    /// # Errors
    /// The operator had failed.
    pub async fn end(self) -> anyhow::Result<()> {
        let Self { operator, stage, .. } = self;
        let ended = operator.end().await;
        // Ends servers, one after another; the thread has nothing else to do.
        drop(stage);
        ended
    }

    /// Plays the registrar for somebody; gives when it was done.
    async fn asked(&self, request: Request, tell: &mut impl FnMut(&Scene)) -> Option<Instant> {
        let Request { zone, reply } = request;
        let zone = zone.trim_end_matches('.').to_lowercase();
        let outcome = self.delegate(&zone).await;
        let done = outcome.is_ok().then(Instant::now);
        if done.is_some() {
            tell(&Scene::Delegated { zone });
        }
        // Whoever asked may be gone: it is done all the same.
        let _ = reply.send(outcome);
        done
    }

    async fn delegate(&self, zone: &str) -> Result<Vec<String>, String> {
        let failed = |error: anyhow::Error| format!("{error:#}");
        let zones = self.stage.power_dns.zones().await.map_err(failed)?;
        if !zones.iter().any(|known| known == zone) {
            let known = if zones.is_empty() { "none".to_owned() } else { zones.join(", ") };
            return Err(format!("the DNS provider has no zone {zone}; it has: {known}"));
        }
        self.stage.delegate(zone).map_err(failed)?;
        Ok(NAME_SERVERS.map(str::to_owned).into())
    }
}

/// The operator in this process. Dropped, it is told to stop.
struct Operator {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let task = tokio::spawn(lamia_operator::run(stage.operator_config(), stage.lamia().await?, stop.clone()));
        Ok(Self { stop, task })
    }

    /// Waits until it ends by itself, which it never should.
    async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.task).await {
            Ok(Ok(())) => anyhow::anyhow!("the operator ended"),
            Ok(Err(error)) => error.context("the operator failed"),
            Err(error) => anyhow::Error::new(error).context("the operator panicked"),
        }
    }

    /// Ends it as a terminated pod ends: it gives its Lease back.
    async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = tokio::time::timeout(END_WITHIN, &mut self.task).await;
        ended.context("the operator does not end")?.context("the operator panicked")?
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Removes the Lease of a sandbox that was killed: nobody else can hold it, as the state is ours alone.
async fn forget_the_last_leader(admin: &Client, namespace: &str) -> anyhow::Result<()> {
    let leases: Api<Lease> = Api::namespaced(admin.clone(), namespace);
    match leases.delete(lamia_operator::lease::LEASE, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(drop).context("remove the Lease of the last start"),
    }
}

/// Waits until provider and CA are ready, as on a cluster where Lamia has been running. If one is not in time, the host's
/// conditions will say why.
async fn platform(admin: &Client) {
    let ready =
        |conditions: &[Condition]| conditions.iter().any(|it| it.type_ == condition::READY && it.status == "True");
    let providers: Api<DNSProvider> = Api::all(admin.clone());
    let provider = await_condition(providers, "powerdns", |object: Option<&DNSProvider>| {
        object.and_then(|object| object.status.as_ref()).is_some_and(|status| ready(&status.conditions))
    });
    let issuers: Api<ACMEIssuer> = Api::all(admin.clone());
    let issuer = await_condition(issuers, "pebble", |object: Option<&ACMEIssuer>| {
        object.and_then(|object| object.status.as_ref()).is_some_and(|status| ready(&status.conditions))
    });
    if tokio::time::timeout(PLATFORM_WITHIN, async { tokio::join!(provider, issuer) }).await.is_err() {
        tracing::warn!("DNSProvider or ACMEIssuer are not ready after {PLATFORM_WITHIN:?}");
    }
}
