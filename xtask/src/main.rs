//! The project's own chores: `cargo xtask gen` writes the generated outputs, `cargo xtask tidy` checks the house rules.
//!
//! Both are quick, need no network, and say what to do when they fail.

mod generate;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the generated outputs: CRDs in charts/lamia-crds, docs/cli.md.
    Gen {
        /// Write nothing; fail if a file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Check the layering, the sizes, and the paths that documents name.
    Tidy,
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Arguments::parse().chore {
        Chore::Gen { check } => generate::run(&root, check),
        Chore::Tidy => tidy::run(&root),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout: xtask is run by cargo, which says where its package is, a folder one below. Not where it was built: a build folder may be
/// shared by several checkouts.
fn workspace_root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().unwrap_or(&here).to_path_buf()
}
