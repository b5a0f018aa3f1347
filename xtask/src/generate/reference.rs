//! `docs/cli.md`: the binary prints its own reference, so that it can't tell anything else than it does.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Output;

/// The one file. Builds the binary where it must.
pub(super) fn output(root: &Path) -> Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let printed = Command::new(cargo)
        // Of the whole workspace, as every other build here: else dependencies are built once more with other features.
        .args(["run", "--quiet", "--bin", "lamia", "--features", "lamia/sandbox", "--", "reference"])
        .current_dir(root)
        .output()
        .context("run lamia reference")?;
    ensure!(printed.status.success(), "lamia reference: {}", String::from_utf8_lossy(&printed.stderr).trim());
    Ok(Output { path: "docs/cli.md".to_owned(), text: String::from_utf8(printed.stdout).context("it prints UTF-8")? })
}
