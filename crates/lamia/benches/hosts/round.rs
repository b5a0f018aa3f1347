//! One round: so many hosts on a fresh stage, from their creation to the last certificate, and a restart after it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, pin_mut};
use hickory_proto::rr::RecordType;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use lamia_api::meta::LABEL_SECRET_ROLE;
use lamia_sandbox::servers::{ApiKind, PebbleOptions, records};
use lamia_sandbox::stage::{GATEWAY_NAMESPACE, NAMESPACE, Stage, StageOptions};

use crate::api_writes::ApiWrites;
use crate::floor;
use crate::operator::Operator;
use crate::proxy::Proxy;
use crate::report::{Restart, Round};
use crate::world;

/// How long all of a round's certificates may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Names that are asked for at once.
const ASKED_AT_ONCE: usize = 32;
/// The pause between two questions for a name that is not there yet.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// How long is looked on, after a restart, whether really nothing is written.
const LOOK_ON: Duration = Duration::from_secs(5);

/// Plays it.
pub(crate) async fn play(hosts: usize, kubernetes: ApiKind) -> Result<Round> {
    let stage = Stage::set(StageOptions {
        gateway: false,
        kubernetes,
        garbage_collector: false,
        pebble: PebbleOptions { nonce_rejections: 0, ..PebbleOptions::default() },
        ..StageOptions::default()
    })
    .await?;
    let proxy = Proxy::start(stage.power_dns.api_url()).await?;
    world::prepare(&stage, &proxy.url()).await?;
    let log = Log::new()?;
    let kubeconfig = stage.api()?.kubeconfig_of_service_account(NAMESPACE, "lamia").await?;
    let mut operator = Operator::start(&stage, &kubeconfig, log.path())?;
    let played = async {
        let mut round = go_live(&stage, &proxy, &mut operator, hosts).await?;
        operator.stop().await?;
        operator = Operator::start(&stage, &kubeconfig, log.path())?;
        round.restart = restart(&stage, &proxy, &mut operator).await?;
        // Last, as it leaves its own names in the zone.
        round.floor = floor::measure(&stage, hosts).await?.as_secs_f64();
        anyhow::Ok(round)
    };
    match played.await {
        Ok(round) => Ok(round),
        Err(error) => Err(error.context(format!("the operator's log is kept in {}", log.keep()?.display()))),
    }
}

/// Where the operator logs: in `$BENCH_LOG`, else in a file that is kept only when the round fails.
enum Log {
    Chosen(PathBuf),
    Temporary(tempfile::NamedTempFile),
}

impl Log {
    fn new() -> Result<Self> {
        match std::env::var_os("BENCH_LOG") {
            Some(file) => Ok(Self::Chosen(file.into())),
            None => Ok(Self::Temporary(tempfile::NamedTempFile::new()?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Chosen(file) => file,
            Self::Temporary(file) => file.path(),
        }
    }

    fn keep(self) -> Result<PathBuf> {
        match self {
            Self::Chosen(file) => Ok(file),
            Self::Temporary(file) => Ok(file.keep()?.1),
        }
    }
}

/// From the first create until nothing is under way any more.
async fn go_live(stage: &Stage, proxy: &Proxy, operator: &mut Operator, hosts: usize) -> Result<Round> {
    world::zone_ready(stage).await?;
    operator.in_sync().await?;
    let (writes, calls, usage) = (ApiWrites::read(&stage.admin).await?, proxy.calls(), operator.usage()?);
    let began = Instant::now();
    let (created, resolved, certified) = tokio::try_join!(
        async {
            world::create_hosts(stage, hosts).await?;
            anyhow::Ok(began.elapsed())
        },
        async {
            all_resolve(stage, hosts).await?;
            Ok(began.elapsed())
        },
        async {
            all_delivered(stage, hosts).await?;
            Ok(began.elapsed())
        },
    )?;
    operator.in_sync().await?;
    let settled = began.elapsed();
    let (writes_after, calls_after, usage_after) =
        (ApiWrites::read(&stage.admin).await?, proxy.calls(), operator.usage()?);
    Ok(Round {
        hosts,
        created: created.as_secs_f64(),
        resolved: resolved.as_secs_f64(),
        certified: certified.as_secs_f64(),
        settled: settled.as_secs_f64(),
        floor: f64::NAN,
        provider_reads: calls_after.reads - calls.reads,
        provider_writes: calls_after.writes - calls.writes,
        api_writes: writes_after.since(&writes, "securedhosts POST"),
        memory: usage_after.peak,
        cpu: usage_after.cpu - usage.cpu,
        restart: Restart::default(),
    })
}

/// Until the new process knows everything, and then a while longer: nothing may be written.
async fn restart(stage: &Stage, proxy: &Proxy, operator: &mut Operator) -> Result<Restart> {
    let (writes, calls) = (ApiWrites::read(&stage.admin).await?, proxy.calls());
    operator.in_sync().await?;
    let in_sync = operator.started.elapsed();
    tokio::time::sleep(LOOK_ON).await;
    let (writes_after, calls_after) = (ApiWrites::read(&stage.admin).await?, proxy.calls());
    Ok(Restart {
        in_sync: in_sync.as_secs_f64(),
        provider_reads: calls_after.reads - calls.reads,
        provider_writes: calls_after.writes - calls.writes,
        api_writes: writes_after.since(&writes, ""),
        memory: operator.usage()?.peak,
        cpu: operator.usage()?.cpu,
    })
}

/// Until the name server answers with an address for every host. A name that has answered goes on answering.
async fn all_resolve(stage: &Stage, hosts: usize) -> Result<()> {
    let server = stage.power_dns.dns_addr();
    let resolves = |name: String| async move {
        let mut tick = tokio::time::interval(ASKED_EVERY);
        let asking = async {
            loop {
                tick.tick().await;
                if !records(server, &name, RecordType::A).await?.is_empty() {
                    return anyhow::Ok(());
                }
            }
        };
        let answered = tokio::time::timeout(PATIENCE, asking).await;
        answered.with_context(|| format!("{name} has no address within {PATIENCE:?}"))?
    };
    let mut asked = futures::stream::iter(world::names(hosts)).map(resolves).buffered(ASKED_AT_ONCE);
    while let Some(answered) = asked.next().await {
        answered?;
    }
    Ok(())
}

/// Until every host's Secret is where the gateway reads it.
async fn all_delivered(stage: &Stage, hosts: usize) -> Result<()> {
    let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(stage.admin.clone(), GATEWAY_NAMESPACE);
    let delivered = watcher::Config::default().labels(&format!("{LABEL_SECRET_ROLE}=delivered"));
    let changes = watcher(secrets, delivered).default_backoff().applied_objects();
    pin_mut!(changes);
    let mut seen = BTreeSet::new();
    let all = async {
        while let Some(secret) = changes.next().await {
            seen.extend(secret?.metadata.name);
            if seen.len() == hosts {
                return Ok(());
            }
        }
        bail!("the watch of Secrets ended")
    };
    let outcome = tokio::time::timeout(PATIENCE, all).await;
    outcome.with_context(|| format!("not all certificates within {PATIENCE:?}"))?
}
