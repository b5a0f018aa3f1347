//! `lamia sandbox`: plays the whole story on this machine, with real components on loopback.
//!
//! Everything that is started belongs to one future. A signal drops it, at whatever point it is, and what was started
//! ends with it. What was made in a cluster that is not the sandbox's own is removed after that.

mod delegate;
mod keyboard;
mod signals;
mod view;

use std::cell::RefCell;
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use lamia_sandbox::guest::{Guest, GuestError};
use lamia_sandbox::servers::{ApiKind, Binary};
use lamia_sandbox::stage::{Layout, ZONE};
use lamia_sandbox::state::{State, StateError};
use lamia_sandbox::story::{Figures, Person, Play, Visit};
use tracing_subscriber::EnvFilter;

use self::keyboard::Keyboard;
use self::signals::{Signal, Signals};
use self::view::View;
use crate::arguments::Global;
use crate::cluster;
use crate::failure::Failure;
use crate::output::{self, Paint};

/// Watch a host go from nothing to HTTPS, on this machine.
///
/// With --kubeconfig or --context the API is that of another cluster: an administrator's context is needed, everything else still runs here,
/// and what was made there is removed at the end, unless --state keeps it. No gateway and no object of that cluster is touched.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    command: Option<Command>,
    /// Play the registrar too, print the figures and end; exits 0 only if the host was served. Keeps no state, unless --state says where
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    place: Place,
    /// Play on the real kube-apiserver and etcd, not on the small Kubernetes API in this process (tools/install kubernetes)
    #[arg(long)]
    kubernetes: bool,
    /// Drop the kept state and begin anew; of another cluster, remove first what an earlier sandbox left there
    #[arg(long)]
    reset: bool,
    /// How the figures are printed
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

/// What can be asked of a sandbox that runs.
#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Tell the running sandbox to set a zone's name servers at its registrar
    Delegate(delegate::Delegate),
}

/// Where the state is.
#[derive(Args, Clone, Debug)]
struct Place {
    /// Where state is kept; default: lamia/sandbox in $XDG_STATE_HOME, else in ~/.local/state; none with another cluster
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> Result<PathBuf> {
        self.state.clone().map_or_else(|| State::default_directory().map_err(in_words), Ok)
    }
}

/// How the figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Sandbox {
    /// Plays the story, or speaks to a sandbox that does.
    ///
    /// # Errors
    /// Something does not start, or the story does not end well.
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode> {
        if let Some(Command::Delegate(delegate)) = &self.command {
            return delegate.run().await.map(|()| ExitCode::SUCCESS);
        }
        let mut signals = Signals::listen()?;
        let guest = self.guest(global).await?;
        let state = self.open(guest.is_some())?;
        log_to(&state)?;
        let told_at = (!state.is_temporary()).then(|| state.directory().to_owned());
        let view = RefCell::new(View::new(Paint::for_stderr(global.color), self.advice(&state)));
        let mut playing = Box::pin(self.play(state, guest.clone(), &view));
        let ended = tokio::select! {
            played = &mut playing => Ended::Played(played),
            signal = signals.next() => Ended::Stopped(signal),
        };
        if let Ended::Stopped(_) = ended {
            view.borrow_mut().close();
            output::talk("\nStopping …");
        }
        drop(playing);
        let left = match guest.filter(|_| told_at.is_none()) {
            Some(guest) => leave(&guest, &mut signals).await,
            None => Ok(()),
        };
        match ended {
            Ended::Played(played) => played.and(left).map(|()| ExitCode::SUCCESS),
            Ended::Stopped(signal) => {
                left?;
                let kept = told_at.map(|path| format!(" The next start goes on from {}.", path.display()));
                output::talk(&format!("Every process that was started is stopped.{}", kept.unwrap_or_default()));
                Ok(signal.exit_code())
            }
        }
    }

    /// The other cluster, if one is named.
    async fn guest(&self, global: &Global) -> Result<Option<Guest>> {
        if global.kubeconfig.is_none() && global.context.is_none() {
            return Ok(None);
        }
        if self.kubernetes {
            let advice = "leave out one of --kubernetes and --kubeconfig or --context";
            return Err(Failure::new("--kubernetes starts a cluster, and another one is named", advice).into());
        }
        Ok(Some(Guest::new(cluster::config(global).await?, self.reset)?))
    }

    fn open(&self, is_guest: bool) -> Result<State> {
        if is_guest && self.place.state.is_none() {
            return State::temporary().map_err(in_words);
        }
        if self.once && self.place.state.is_none() {
            if self.reset {
                let advice = "leave out --reset, or name the state to drop: --state DIR";
                return Err(Failure::new("--once keeps no state, so there is nothing to reset", advice).into());
            }
            return State::temporary().map_err(in_words);
        }
        State::open(&self.place.directory()?, self.reset).map_err(in_words)
    }

    /// How a person sets the delegation.
    fn advice(&self, state: &State) -> String {
        if self.once {
            return String::new();
        }
        let named = self.place.state.as_deref().or_else(|| state.is_temporary().then(|| state.directory()));
        let state = named.map(|state| format!(" --state {}", state.display())).unwrap_or_default();
        let enter = if std::io::stdin().is_terminal() { "Press Enter to do that here, or in" } else { "In" };
        format!("{enter} another terminal: {} sandbox delegate {ZONE}{state}\n", this_program())
    }

    async fn play(&self, state: State, guest: Option<Guest>, view: &RefCell<View>) -> Result<()> {
        let place =
            if state.is_temporary() { String::new() } else { format!(", state in {}", state.directory().display()) };
        let api = if guest.is_some() { "" } else { "a Kubernetes API, " };
        output::talk(&format!("Starting {api}a CA, name servers and a gateway on loopback{place} …"));
        if let Some(guest) = &guest {
            output::talk(&format!("The Kubernetes API is the one at {}.", guest.server()));
        }
        let began = Instant::now();
        let kind = if self.kubernetes { ApiKind::Real } else { ApiKind::Embedded };
        let mut play = Play::begin(state, kind, guest.clone()).await.map_err(refused)?;
        let around = match &guest {
            Some(_) => format!("kubectl --namespace {} get securedhosts", Layout::APART.demo),
            None => format!("export KUBECONFIG={}", play.kubeconfig().display()),
        };
        output::talk(&format!(
            "All run after {:.1} s. To look around, in another terminal:\n  {around}\n",
            began.elapsed().as_secs_f64()
        ));
        let person = if self.once { Person::Played } else { Person::Real };
        let (registrar, vigil) = (play.registrar(), play.vigil());
        let mut keyboard = Keyboard::listen(person);
        let figures = {
            let story = play.story(person, |scene| view.borrow_mut().tell(scene));
            let enter = async {
                loop {
                    keyboard.enter().await;
                    if !view.borrow().is_prompting() {
                        continue;
                    }
                    if let Err(words) = registrar.delegate(ZONE).await {
                        view.borrow_mut().say(&words);
                    }
                }
            };
            tokio::select! {
                figures = story => figures,
                error = vigil.first_to_end() => Err(dead(&error)),
                () = enter => unreachable!("the keyboard is listened to for ever"),
            }
        };
        view.borrow_mut().close();
        let figures = figures?;
        self.print(&figures)?;
        if self.once {
            return play.end().await;
        }
        let visit = play.visit().await?;
        output::talk(&match &guest {
            Some(_) => {
                format!("\nIn another terminal:\n  {}\n\nEverything keeps running. Ctrl-C stops it.", visit.curl)
            }
            None => where_to_go_on(&visit, &play.kubeconfig().display().to_string()),
        });
        tokio::select! {
            ended = play.go_on(|scene| view.borrow_mut().tell(scene)) => ended,
            error = vigil.first_to_end() => Err(dead(&error)),
        }
    }

    fn print(&self, figures: &Figures) -> Result<()> {
        match self.output {
            Output::Json => output::data(&serde_json::to_string_pretty(figures)?),
            Output::Text => output::data(&text(figures)),
        }
    }
}

/// How a story ended.
enum Ended {
    Played(Result<()>),
    Stopped(Signal),
}

/// Removes what was made in another cluster, unless a second signal says that this takes too long.
async fn leave(guest: &Guest, signals: &mut Signals) -> Result<()> {
    output::talk(&format!("Removing what was made in the cluster at {} …", guest.server()));
    let advice = "remove it: the same command with --reset and --once";
    tokio::select! {
        left = guest.leave(&Layout::APART) => left.map_err(|error| refused(error.into())),
        _ = signals.next() => Err(Failure::new("not everything was removed from the cluster", advice).into()),
    }
}

/// What another cluster does not let us do, with advice.
fn refused(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<GuestError>() {
        Some(reason) => Failure::new(reason.to_string(), reason.advice()).into(),
        None => error,
    }
}

/// The figures for people.
fn text(figures: &Figures) -> String {
    let mut text = format!("\n{} is live. It answers: {}\n", figures.url, figures.answer);
    if figures.resumed {
        text.push_str("It was ready at an earlier start already; lamia sandbox --reset begins anew.\n");
    }
    if let Some(milliseconds) = figures.from_delegation_to_ready_ms {
        text.push_str(&format!("From the delegation to Ready: {milliseconds} ms\n"));
    }
    text
}

/// What can be done while everything runs.
fn where_to_go_on(visit: &Visit, kubeconfig: &str) -> String {
    let lamia = this_program();
    let kubectl = program(Binary::Kubectl.find().ok(), "kubectl");
    format!(
        "\nIn another terminal:
  {}
  export KUBECONFIG={kubeconfig}
  {kubectl} get securedhosts
  {lamia} host get shop
  {lamia} host add cart.democluster.net --service shop:9191 --wait
  {lamia} plan --allow-private-endpoints

Everything keeps running. Ctrl-C stops it.",
        visit.curl
    )
}

fn this_program() -> String {
    program(std::env::current_exe().ok(), "lamia")
}

/// How a program is typed here: by its name where the shell finds it, else by its path.
fn program(found: Option<PathBuf>, name: &str) -> String {
    let Some(found) = found else { return name.to_owned() };
    let on_path =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|it| it.join(name).is_file());
    if on_path { name.to_owned() } else { found.display().to_string() }
}

/// The operator runs in this process; what it logs would disturb the picture.
fn log_to(state: &State) -> Result<()> {
    let path = state.log();
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file));
    log.try_init().map_err(|error| anyhow::anyhow!("can't log: {error}"))
}

/// A server that died takes the story with it; what it had written is there.
fn dead(error: &anyhow::Error) -> anyhow::Error {
    Failure::new(format!("{error:#}"), "start the sandbox again: it goes on where it was; --reset begins anew").into()
}

fn in_words(error: StateError) -> anyhow::Error {
    let advice = error.advice();
    let causes: Vec<String> = anyhow::Error::new(error).chain().map(ToString::to_string).collect();
    Failure::new(causes.join(": "), advice).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_that_goes_on_where_it_stopped_says_so() {
        let figures = Figures {
            host: "shop.democluster.net".to_owned(),
            url: "https://shop.democluster.net:14443/".to_owned(),
            answer: "{}".to_owned(),
            resumed: true,
            steps: Vec::new(),
            from_delegation_to_ready_ms: None,
        };
        insta::assert_snapshot!(text(&figures), @r"

        https://shop.democluster.net:14443/ is live. It answers: {}
        It was ready at an earlier start already; lamia sandbox --reset begins anew.
        ");
    }
}
