//! Who ends without being told to: a server that dies takes the story with it, and nobody would say why.

use std::path::PathBuf;
use std::time::Duration;

use super::process::tail;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A server process that is to run on.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(super) name: &'static str,
    pub(super) pid: u32,
    pub(super) log: PathBuf,
}

impl Watched {
    /// Whether it runs. One that has ended and was not waited for is still listed, as a zombie (proc(5): state `Z`, the first
    /// letter after the name in parentheses).
    fn runs(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    fn obituary(&self) -> anyhow::Error {
        let lines = tail(&self.log).unwrap_or_else(|error| format!("(unreadable: {error})"));
        anyhow::anyhow!("{} ended by itself; the end of its log, {}:\n{lines}", self.name, self.log.display())
    }
}

/// All servers of a stage.
#[derive(Clone, Debug)]
pub struct Vigil(Vec<Watched>);

impl Vigil {
    pub(crate) fn over(servers: impl IntoIterator<Item = Option<Watched>>) -> Self {
        Self(servers.into_iter().flatten().collect())
    }

    /// Waits until one of them ends; says which, with the last lines of its log.
    pub async fn first_to_end(&self) -> anyhow::Error {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            if let Some(dead) = self.0.iter().find(|server| !server.runs()) {
                return dead.obituary();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::super::process::{Launch, Process};
    use super::*;

    #[tokio::test]
    async fn the_first_to_end_is_named_with_its_last_words() {
        let start = |name: &'static str, script: &str| {
            let directory = Directory::open(None, name).expect("opens");
            let launch = Launch::new(name, PathBuf::from("/bin/sh")).args(["-c", script]);
            Process::start(launch, directory).expect("starts")
        };
        let lasting = start("lasting", "sleep 600");
        let frail = start("frail", "echo out of luck; sleep 600");
        let vigil = Vigil::over([lasting.watched(), frail.watched()]);
        let spoken = async {
            while tail(&frail.watched().expect("runs").log).ok().as_deref() != Some("out of luck") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), spoken).await.expect("it speaks");
        tokio::select! {
            biased;
            error = vigil.first_to_end() => panic!("both run: {error}"),
            () = tokio::task::yield_now() => {}
        }
        let pid = nix::unistd::Pid::from_raw(frail.pid().expect("runs").cast_signed());
        nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
        let told = tokio::time::timeout(Duration::from_secs(10), vigil.first_to_end()).await.expect("told").to_string();
        assert!(told.starts_with("frail ended by itself") && told.ends_with("out of luck"), "{told}");
    }
}
