//! What the end-to-end tests share.

use std::future::Future;
use std::time::{Duration, Instant};

use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use lamia_api::SecuredHost;
use lamia_sandbox::servers::Binary;
use lamia_sandbox::stage::Stage;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a machine that does much else.
const WITHIN: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Whether all the programs are there; else says which is missing and that the test is skipped.
#[must_use]
pub fn has(programs: &[Binary]) -> bool {
    for program in programs {
        if let Err(missing) = program.find() {
            println!("skipped: {missing}");
            return false;
        }
    }
    true
}

/// Looks again and again until it finds what it looks for.
///
/// # Panics
/// After a minute, with the last reason why not.
pub async fn eventually<T, F>(what: &str, look: impl Fn() -> F) -> T
where
    F: Future<Output = anyhow::Result<T>>,
{
    let began = Instant::now();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        match look().await {
            Ok(found) => return found,
            Err(error) if began.elapsed() > WITHIN => panic!("{what}: not within {WITHIN:?}: {error:#}"),
            Err(_) => {}
        }
    }
}
/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Whether the whole stage can be set here; says what is missing.
#[must_use]
pub fn can_stage() -> bool {
    has(&[
        Binary::Etcd,
        Binary::KubeApiServer,
        Binary::KubeControllerManager,
        Binary::Pebble,
        Binary::PowerDns,
        Binary::Envoy,
    ])
}

/// An operator in this process. Dropped, it is told to stop.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// The operator of this stage, with the rights of its ServiceAccount.
    pub async fn operator(stage: &Stage) -> Self {
        let client = stage.lamia().await.expect("a client");
        Self::with(stage.operator_config(), client)
    }

    /// An operator with these settings.
    #[must_use]
    pub fn with(config: lamia_operator::Config, client: Client) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(lamia_operator::run(config, client, stop.clone()));
        Self { stop, task }
    }

    /// Stops it as a terminated pod stops, and waits until it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("no panic").expect("a good end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until a condition of a SecuredHost stands so; panics with the whole chain if it does not.
pub async fn host_is(
    client: &Client,
    namespace: &str,
    name: &str,
    type_: &str,
    status: &str,
    reason: &str,
) -> SecuredHost {
    let hosts: Api<SecuredHost> = Api::namespaced(client.clone(), namespace);
    let stands = |host: Option<&SecuredHost>| {
        let conditions = host.and_then(|host| host.status.as_ref()).map(|status| &status.conditions);
        let wanted =
            |it: &&lamia_api::condition::Condition| it.type_ == type_ && it.status == status && it.reason == reason;
        conditions.is_some_and(|conditions| conditions.iter().find(wanted).is_some())
    };
    match tokio::time::timeout(PATIENCE, await_condition(hosts.clone(), name, stands)).await {
        Ok(found) => found.expect("watched").expect("there"),
        Err(_) => {
            let host = hosts.get(name).await.expect("there");
            let chain = serde_json::to_string_pretty(&host.status).expect("json");
            panic!("{namespace}/{name} never had {type_}={status}, {reason}: {chain}");
        }
    }
}
