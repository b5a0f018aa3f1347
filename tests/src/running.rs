//! An operator in the test's process.

use kube::Client;
use lamia_sandbox::stage::Stage;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
