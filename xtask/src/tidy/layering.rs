//! Which crate may use which. Data flows one way, so dependencies do too:
//!
//! ```text
//! lamia → lamia-sandbox → { lamia-operator, lamia-console } → lamia-providers → lamia-core → lamia-api
//! ```
//!
//! Never back, never sideways; a step may be skipped. `cluster-api` is a leaf that the sandbox uses, and others only in
//! their tests. `xtask` and `lamia-tests` stand outside: nobody uses them. The core thinks and does no I/O, so nothing
//! that does I/O may be in its tree.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Finding;

/// The layers, lowest first.
const LAYERS: [&[&str]; 6] = [
    &["lamia-api"],
    &["lamia-core"],
    &["lamia-providers"],
    &["lamia-operator", "lamia-console"],
    &["lamia-sandbox"],
    &["lamia"],
];
/// Crates that may use every layer, and that nobody may use.
const OUTSIDE: [&str; 2] = ["lamia-tests", "xtask"];
/// A crate that knows nothing of Lamia.
const LEAF: &str = "cluster-api";
/// Crates that do I/O; none may be in the core's tree of normal dependencies.
const IO: [&str; 6] = ["tokio", "hyper", "reqwest", "kube-client", "kube-runtime", "hickory-net"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Asks cargo for the workspace and checks it.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let metadata = cargo(root, &["metadata", "--no-deps", "--format-version=1"])?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("read cargo metadata")?;
    let tree =
        cargo(root, &["tree", "-p=lamia-core", "--edges=normal", "--all-features", "--prefix=none", "--format={p}"])?;
    let mut findings = arrows(&metadata);
    findings.extend(core_tree(&tree));
    Ok(findings)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root).output().context("run cargo")?;
    ensure!(output.status.success(), "cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8(output.stdout).context("cargo prints UTF-8")
}

fn arrows(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        if layer(&package.name).is_none() && !OUTSIDE.contains(&package.name.as_str()) && package.name != LEAF {
            findings.push(Finding::about(&package.name, "has no layer; give it one in xtask/src/tidy/layering.rs"));
        }
        let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        findings.extend(ours.filter_map(|dependency| {
            let in_tests = dependency.kind.as_deref() == Some("dev");
            let why = refused(&package.name, &dependency.name, in_tests)?;
            Some(Finding::about(&package.name, format!("must not use {}: {why}", dependency.name)))
        }));
    }
    findings
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Why `from` must not use `to`, if so.
fn refused(from: &str, to: &str, in_tests: bool) -> Option<&'static str> {
    if OUTSIDE.contains(&to) {
        return Some("nobody uses it");
    }
    if from == to || OUTSIDE.contains(&from) {
        return None;
    }
    if from == LEAF {
        return Some("it is to know nothing of Lamia");
    }
    if to == LEAF {
        let allowed = from == "lamia-sandbox" || (in_tests && layer(from) == layer("lamia-operator"));
        return (!allowed).then_some("only the sandbox does, and the operator and the console in their tests");
    }
    match layer(from)?.cmp(&layer(to)?) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some("it is on the same layer"),
        std::cmp::Ordering::Less => Some("it is on a higher layer"),
    }
}

/// `tree`: one `name vVERSION …` a line.
fn core_tree(tree: &str) -> Vec<Finding> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<_> = names.filter(|name| IO.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    let what = |name| {
        format!("{name} is in its tree: the core does no I/O (see: cargo tree -p lamia-core -e normal -i {name})")
    };
    found.into_iter().map(|name| Finding::about("lamia-core", what(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_go_down_and_may_skip_a_step() {
        assert_eq!(refused("lamia", "lamia-api", false), None);
        assert_eq!(refused("lamia-operator", "lamia-providers", false), None);
        assert!(refused("lamia-core", "lamia-providers", false).is_some(), "back");
        assert!(refused("lamia-console", "lamia-operator", false).is_some(), "sideways");
        assert!(refused("lamia-core", "lamia-providers", true).is_some(), "back, in tests");
    }

    #[test]
    fn nobody_uses_what_stands_outside() {
        assert!(refused("lamia", "xtask", true).is_some());
        assert_eq!(refused("lamia-tests", "lamia-sandbox", false), None);
    }

    #[test]
    fn the_leaf_is_for_the_sandbox_and_for_tests() {
        assert_eq!(refused("lamia-sandbox", LEAF, false), None);
        assert_eq!(refused("lamia-operator", LEAF, true), None);
        assert!(refused("lamia-operator", LEAF, false).is_some());
        assert!(refused(LEAF, "lamia-api", false).is_some());
    }

    #[test]
    fn a_crate_without_a_layer_is_told() {
        let package = Package { name: "lamia-new".to_owned(), dependencies: Vec::new() };
        let findings = arrows(&Metadata { packages: vec![package] });
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn io_in_the_core_is_found_once() {
        let findings = core_tree("lamia-core v0.1.0\ntokio v1.0.0\nserde v1.0.0\ntokio v1.0.0 (*)\n");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains("tokio"));
    }
}
