//! What each command does: one file per command. A command asks the cluster, hands what it got to a pure function that
//! makes text of it, and prints that.

mod chain;
pub(crate) mod completions;
mod crds;
pub(crate) mod doctor;
pub(crate) mod host;
pub(crate) mod operator;
pub(crate) mod plan;
mod reference;
#[cfg(feature = "sandbox")]
pub(crate) mod sandbox;
#[cfg(feature = "sandbox")]
pub(crate) mod simulate;
mod version;
pub(crate) mod zone;

use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::{Arguments, Command};

/// Carries out what was typed.
///
/// # Errors
/// What the person must know: see [`crate::failure`].
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let global = &arguments.global;
    match arguments.command {
        Command::Host(command) => host::run(command, global).await?,
        Command::Zone(command) => zone::run(command, global).await?,
        Command::Plan(plan) => plan.run(global).await?,
        Command::Doctor(doctor) => return doctor.run(global).await,
        Command::Crds => crds::run()?,
        Command::Operator(operator) => operator.run(global).await?,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(sandbox) => return sandbox.run(global).await,
        #[cfg(feature = "sandbox")]
        Command::Simulate(simulate) => return simulate.run().await,
        Command::Completions(completions) => completions.run()?,
        Command::Version => version::run()?,
        Command::Reference => reference::run()?,
    }
    Ok(ExitCode::SUCCESS)
}
