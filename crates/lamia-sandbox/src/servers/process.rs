//! One server process: started in a process group and a directory of its own, ended with all that it started.
//!
//! Three ways in which it ends, and what sees to each:
//!
//! | The starter | What ends the server |
//! |---|---|
//! | drops the [`Process`] | `SIGTERM` to the group, `SIGKILL` after the grace |
//! | is killed (`kill -9`, Ctrl-C on a test run) | the kernel: `setpriv --pdeathsig KILL`, where util-linux is there |
//! | was killed and the kernel did not help | the next start on the same state directory: [`end_leftovers`] |
//!
//! A leftover is known by its environment, which holds [`MARK`]`=<directory>`: a process id alone may be somebody else's
//! by now. The parent-death signal is tied to the *thread* that started the process, so all are started by one thread that
//! never ends.
//!
//! Readiness is asked of the real thing, again and again; nothing here waits a fixed time and hopes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::directory::Directory;
use super::vigil::Watched;

/// The environment variable by which a process of ours is known again.
const MARK: &str = "LAMIA_STAGE_DIRECTORY";
/// How long a server may take until it answers: generous, for a machine that does much else.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How long one readiness question may take.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// The pause between two questions: short at first, longer for the slow ones.
const PROBE_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
/// The pause between two looks whether a process has ended.
const EXIT_PAUSE: Duration = Duration::from_millis(5);
/// How long a killed leftover may take to go.
const LEFTOVER_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How much of a log goes into an error.
const LOG_LINES: usize = 12;
/// How far back in a log those lines are looked for, in bytes.
const LOG_TAIL: u64 = 16 * 1024;

/// What to start, and how it likes to be ended.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    grace: Duration,
}

impl Launch {
    /// A program without arguments that needs no grace: `SIGKILL` loses nothing.
    pub(crate) fn new(name: &'static str, program: PathBuf) -> Self {
        Self { name, program, args: Vec::new(), env: Vec::new(), grace: Duration::ZERO }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// How long the program may take to write its state after `SIGTERM`.
    pub(crate) fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn command(&self, directory: &Path, log: File) -> io::Result<Command> {
        let mut command = match parent_death_wrapper() {
            Some(setpriv) => {
                let mut wrapped = Command::new(setpriv);
                wrapped.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
                wrapped
            }
            None => Command::new(&self.program),
        };
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env(MARK, directory)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        Ok(command)
    }
}

/// A server process that runs, or was stopped and can be started again. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    launch: Launch,
    child: Option<Child>,
    log: PathBuf,
    directory: Directory,
}

impl Process {
    /// Starts the program in the directory, after ending what a killed starter left there.
    pub(crate) fn start(launch: Launch, directory: Directory) -> anyhow::Result<Self> {
        end_leftovers(directory.path());
        let log = directory.path().join(format!("{}.log", launch.name));
        let mut process = Self { launch, child: None, log, directory };
        process.start_again()?;
        Ok(process)
    }

    /// Starts the same program again after [`Process::stop`]. Nothing happens while it runs.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("can't open {}", self.log.display()))?;
        let command = self.launch.command(self.directory.path(), log)?;
        let child = spawn(command).with_context(|| format!("can't start {}", self.launch.program.display()))?;
        tracing::debug!(server = self.launch.name, pid = child.id(), log = %self.log.display(), "started");
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `probe` succeeds.
    ///
    /// Fails with the log's last lines if the process ends first, or does not answer in time; its directory is then kept.
    pub(crate) async fn ready<F>(&mut self, probe: impl Fn() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let begun = Instant::now();
        let mut pause = PROBE_PAUSES.0;
        loop {
            let answer = match tokio::time::timeout(PROBE_WITHIN, probe()).await {
                Ok(Ok(())) => {
                    tracing::debug!(server = self.launch.name, took = ?begun.elapsed(), "ready");
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(_) => anyhow!("no answer within {PROBE_WITHIN:?}"),
            };
            if let Some(status) = self.exited()? {
                return Err(self.failure(&format!("ended with {status} before it was ready")));
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(self.failure(&format!("was not ready within {READY_WITHIN:?} ({answer:#})")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PROBE_PAUSES.1);
        }
    }

    /// Ends the process and all of its group, and waits until it is gone. Its directory stays.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = Pid::from_raw(child.id().cast_signed());
        // A group that is gone already is what we want; a stopped one (SIGSTOP) must run to see SIGTERM.
        let _ = killpg(group, Signal::SIGTERM);
        let _ = killpg(group, Signal::SIGCONT);
        let deadline = Instant::now() + self.launch.grace;
        while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(EXIT_PAUSE);
        }
        let _ = killpg(group, Signal::SIGKILL);
        if let Err(error) = child.wait() {
            tracing::debug!(server = self.launch.name, %error, "not waited for");
        }
    }

    /// Stops the process's clock: connections are accepted by the kernel and never answered.
    ///
    /// The process stands still when this returns. The signal alone does not promise that: threads that are running
    /// stop one by one, and on a busy machine answer some more requests before.
    pub(crate) fn hang(&self) -> anyhow::Result<()> {
        let process = self.signal(Signal::SIGSTOP)?;
        match waitpid(process, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Stopped(..)) => Ok(()),
            Ok(ended) => bail!("{} did not stand still but ended: {ended:?}", self.launch.name),
            Err(error) => Err(error).with_context(|| format!("can't wait for {} to stand still", self.launch.name)),
        }
    }

    /// Lets a hanging process go on.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT).map(drop)
    }

    /// The process id while it runs: for its memory and CPU in `/proc`.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Option<Watched> {
        self.pid().map(|pid| Watched { name: self.launch.name, pid, log: self.log.clone() })
    }

    /// Sends `signal` to the whole group; gives the process that leads it.
    fn signal(&self, signal: Signal) -> anyhow::Result<Pid> {
        let Some(pid) = self.pid() else { bail!("{} does not run", self.launch.name) };
        let pid = Pid::from_raw(pid.cast_signed());
        killpg(pid, signal).with_context(|| format!("can't send {signal} to {}", self.launch.name))?;
        Ok(pid)
    }

    fn exited(&mut self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => bail!("{} was stopped", self.launch.name),
        }
    }

    fn failure(&mut self, what: &str) -> anyhow::Error {
        self.directory.keep();
        let lines = tail(&self.log).unwrap_or_else(|error| format!("(unreadable: {error})"));
        anyhow!("{} {what}; the end of its log, {}:\n{lines}", self.launch.name, self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends every process that was started on this directory by a starter that is gone.
fn end_leftovers(directory: &Path) {
    end_marked(directory, |on| on == directory);
}

/// The same for all directories below this one: nobody but the caller may have started a server there.
pub(crate) fn end_leftovers_below(directory: &Path) {
    end_marked(directory, |on| on.starts_with(directory) && on != directory);
}

fn end_marked(directory: &Path, chosen: impl Fn(&Path) -> bool) {
    let mark = format!("{MARK}=");
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let mut marks = environment.split(|byte| *byte == 0).filter_map(|line| line.strip_prefix(mark.as_bytes()));
        let ours = marks.any(|on| chosen(Path::new(OsStr::from_bytes(on))));
        if ours && pid.cast_unsigned() != std::process::id() {
            tracing::info!(pid, directory = %directory.display(), "ending a server that was left running");
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            await_end(&entry.path());
        }
    }
}

/// Waits until a killed process has given back its ports and locks: it then has no environment any more.
fn await_end(process: &Path) {
    let deadline = Instant::now() + LEFTOVER_ENDS_WITHIN;
    let lives = || fs::read(process.join("environ")).is_ok_and(|environment| !environment.is_empty());
    while lives() && Instant::now() < deadline {
        std::thread::sleep(EXIT_PAUSE);
    }
}

/// util-linux' `setpriv`, if it is there.
fn parent_death_wrapper() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find =
        || ["/usr/bin/setpriv", "/bin/setpriv"].iter().map(PathBuf::from).find(|path| understands_pdeathsig(path));
    SETPRIV.get_or_init(find).as_deref()
}

/// Busybox has a `setpriv` too, without this option.
fn understands_pdeathsig(setpriv: &Path) -> bool {
    let tried = Command::new(setpriv).args(["--pdeathsig", "KILL", "--", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

type Started = io::Result<Child>;

/// Starts a command on the thread that never ends.
fn spawn(command: Command) -> Started {
    static STARTER: OnceLock<mpsc::Sender<(Command, mpsc::Sender<Started>)>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<(Command, mpsc::Sender<Started>)>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                // Nobody waits for the answer only if the asking thread is gone; the child is then dropped unstarted or ended.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    starter.send((command, reply)).map_err(|_| io::Error::other("the starting thread is gone"))?;
    answer.recv().map_err(|_| io::Error::other("the starting thread is gone"))?
}

/// The last lines of a file.
pub(super) fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch::new("shell", PathBuf::from("/bin/sh")).args(["-c", script])
    }

    fn alive(pid: u32) -> bool {
        nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), None).is_ok()
    }

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_reported_with_its_words_and_its_log_is_kept() {
        let directory = Directory::open(None, "shell").expect("opens");
        let path = directory.path().to_owned();
        let mut process = Process::start(shell("echo out of luck; exit 3"), directory).expect("starts");
        let error = process.ready(|| async { bail!("never") }).await.expect_err("it ended").to_string();
        drop(process);
        assert!(error.contains("exit status: 3") && error.ends_with("out of luck"), "{error}");
        assert!(path.join("shell.log").is_file());
        fs::remove_dir_all(path).expect("removed");
    }

    #[tokio::test]
    async fn dropping_ends_the_whole_group_even_a_hanging_one() {
        let directory = Directory::open(None, "shell").expect("opens");
        let children = directory.path().join("child");
        let mut process = Process::start(shell("sleep 600 & echo $! > child; wait"), directory).expect("starts");
        let started = || async { fs::read_to_string(&children)?.trim().parse::<u32>().map(drop).map_err(Into::into) };
        process.ready(started).await.expect("has a child");
        let child: u32 = fs::read_to_string(&children).expect("written").trim().parse().expect("a number");
        let pid = process.pid().expect("runs");
        process.hang().expect("stopped");
        drop(process);
        assert!(!alive(pid));
        let gone = async {
            while alive(child) {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the child is gone too");
    }

    #[tokio::test]
    async fn a_busy_process_stands_still_when_it_is_told_that_it_hangs() {
        let directory = Directory::open(None, "shell").expect("opens");
        let process = Process::start(shell("while :; do :; done"), directory).expect("starts");
        let stat = format!("/proc/{}/stat", process.pid().expect("runs"));
        for round in 0..100 {
            process.hang().expect("it runs");
            let stat = fs::read_to_string(&stat).expect("it is there");
            let (_, after_name) = stat.rsplit_once(") ").expect("a name in parentheses");
            assert!(after_name.starts_with('T'), "round {round}: {stat}");
            process.resume().expect("it runs");
        }
    }

    #[tokio::test]
    async fn what_a_killed_starter_left_is_ended_by_the_next_start_on_that_directory() {
        let state = tempfile::tempdir().expect("a directory");
        let open = || Directory::open(Some(state.path().to_owned()), "shell").expect("opens");
        let mut first = Process::start(shell("sleep 600"), open()).expect("starts");
        let running = first.pid().expect("runs");
        let marked = || async {
            let environment = fs::read(format!("/proc/{running}/environ"))?;
            anyhow::ensure!(environment.windows(MARK.len()).any(|at| at == MARK.as_bytes()));
            Ok(())
        };
        first.ready(marked).await.expect("the kernel shows its environment");
        let second = Process::start(shell("sleep 600"), open()).expect("starts");
        let status = first.child.as_mut().expect("runs").wait().expect("ends");
        assert!(!status.success());
        assert!(second.pid().is_some_and(alive));
    }
}
