//! The binary `lamia`: the operator, the sandbox and the command line in one.
//!
//! Parse first, meaning after: [`arguments`] says what may be typed, each file under `commands/` what is done about it.
//! What goes to stdout is data; what is meant for the person at the keyboard goes to stderr.

mod arguments;
mod cluster;
mod commands;
mod failure;
mod installation;
mod output;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

use crate::arguments::Arguments;

/// A fifth of the operator's CPU went into the C library's malloc (docs/adr/0006-allocator.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // The one cryptographic library. An error means that one is installed already, which is as good.
    _ = rustls::crypto::ring::default_provider().install_default();
    match commands::run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            failure::tell(&error);
            ExitCode::FAILURE
        }
    }
}
