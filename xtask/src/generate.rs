//! Generated outputs. They are committed, so that a chart can be installed from a checkout and a change of the API is
//! seen in review; `--check` proves in CI that they are what the code says.

mod crds;
mod reference;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One generated file.
pub(crate) struct Output {
    /// Where, from the checkout's root.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// Writes every generated file, or with `check` only compares.
///
/// # Errors
/// A file can't be generated or written; with `check`, a file differs.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let mut outputs = crds::outputs()?;
    outputs.push(reference::output(root)?);
    let mut stale = Vec::new();
    for output in &outputs {
        let path = root.join(&output.path);
        let current = fs::read_to_string(&path).unwrap_or_default();
        if current == output.text {
            continue;
        }
        stale.push(output.path.as_str());
        if !check {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            }
            fs::write(&path, &output.text).with_context(|| format!("write {}", output.path))?;
        }
    }
    report(outputs.len(), &stale, check)
}

fn report(all: usize, stale: &[&str], check: bool) -> Result<()> {
    if stale.is_empty() {
        println!("gen: {all} generated files are up to date");
        return Ok(());
    }
    for path in stale {
        println!("gen: {} {path}", if check { "differs:" } else { "wrote" });
    }
    if check {
        bail!("{} of {all} generated files are out of date; run `cargo xtask gen` and commit the result", stale.len());
    }
    Ok(())
}
