//! `lamia sandbox`: plays the whole story on this machine, with real components on loopback.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use lamia_sandbox::stage::{Stage, StageOptions};
use lamia_sandbox::story::{Figures, Play, Scene};

/// Watch a host go from nothing to HTTPS, on this machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sandbox {
    /// Play the registrar too, print the figures and end; exits 0 only if the host was served
    #[arg(long)]
    once: bool,
    /// How the figures are printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How the figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Sandbox {
    /// Plays the story.
    ///
    /// # Errors
    /// Something does not start, or the story does not end well.
    pub(crate) async fn run(self) -> Result<()> {
        eprintln!("Starting a Kubernetes API, a CA, name servers and a gateway on loopback …");
        let play = Play::begin(Stage::set(StageOptions::default()).await?).await?;
        eprintln!("  export KUBECONFIG={}\n", play.stage.api.kubeconfig().display());
        let once = self.once;
        let figures = play.story(tell, async move { if once { Ok(()) } else { key_press().await } }).await?;
        self.print(&figures)?;
        if !self.once {
            eprintln!("\nEverything keeps running. Ctrl-C ends it.");
            tokio::signal::ctrl_c().await.context("can't wait for Ctrl-C")?;
        }
        play.end().await
    }

    fn print(&self, figures: &Figures) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(figures)?)?,
            Output::Text => {
                writeln!(out, "\nhttps://{}/ is live: {}", figures.host, figures.answer)?;
                writeln!(out, "from the delegation to Ready: {} ms", figures.from_delegation_to_ready)?;
                writeln!(out, "see for yourself:\n  {}", figures.curl)?;
            }
        }
        Ok(())
    }
}

/// One line a scene, on stderr: talk, not data.
fn tell(scene: &Scene) {
    match scene {
        Scene::Step { condition, status, reason, message, after } => {
            let mark = match status.as_str() {
                "True" => "✓",
                "False" => "✗",
                _ => "…",
            };
            eprintln!("{:>7.1} s  {mark} {condition:<17} {reason}: {message}", after.as_secs_f64());
        }
        Scene::Delegate { zone, name_servers } => {
            eprintln!("\nName servers to set for {zone} at the registrar:");
            name_servers.iter().for_each(|server| eprintln!("  {server}"));
            eprintln!();
        }
    }
}

/// Waits for Enter: the person has been at the registrar.
async fn key_press() -> Result<()> {
    eprintln!("Press Enter to set them.");
    let read = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()));
    read.await?.context("can't read the keyboard; use --once")?;
    Ok(())
}
