//! What may be typed. Only words and their types are here; what they mean is in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{completions, doctor, host, operator, plan, zone};
#[cfg(feature = "sandbox")]
use crate::commands::{sandbox, simulate};
use crate::output::Colour;

const FIRST_STEPS: &str = "\
First steps:
  lamia doctor                                                  is everything there?
  lamia host add shop.example.org --service shop:9191 --wait    put a host on HTTPS
  lamia host get shop.example.org                               how far is it, what does it wait for?
  lamia plan                                                    what would be done now?";

/// Give a host name, get a live HTTPS site on your Istio gateway.
#[derive(Parser)]
#[command(name = "lamia", version, max_term_width = 120, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = FIRST_STEPS)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// The kubeconfig file; default: $KUBECONFIG, else ~/.kube/config, else the pod's own account
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it; default: its current one
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) context: Option<String>,
    /// The namespace; default: the context's
    #[arg(short, long, global = true, value_name = "NAME", env = "LAMIA_NAMESPACE", help_heading = "Global options")]
    pub(crate) namespace: Option<String>,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub(crate) color: Colour,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Hosts with HTTPS: add, list, explain
    #[command(subcommand)]
    Host(host::Command),
    /// DNS zones: name servers, delegation, held withdrawals
    #[command(subcommand)]
    Zone(zone::Command),
    /// Say what Lamia would do now, and do nothing
    Plan(plan::Plan),
    /// Say what is wrong with this installation, and what to do
    Doctor(doctor::Doctor),
    /// Print the CustomResourceDefinitions, for kubectl apply
    Crds,
    /// Run the operator
    Operator(Box<operator::Operator>),
    /// Watch a host go from nothing to HTTPS, on this machine
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Sandbox),
    /// Say how an installation of some size would fare: how long, how many requests, when renewals peak
    #[cfg(feature = "sandbox")]
    Simulate(simulate::Simulate),
    /// Print a shell's completions
    Completions(completions::Completions),
    /// Print the version, and that of the API
    Version,
    /// Print the reference of all commands, in Markdown
    #[command(hide = true)]
    Reference,
}
