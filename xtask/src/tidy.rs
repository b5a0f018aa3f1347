//! House rules that neither rustc nor clippy knows. Each rule is a pure function from text to findings; this file reads
//! the checkout, runs them all and prints what they found, as `path:line: what to do`.
//!
//! | rules | in |
//! |---|---|
//! | which crate may use which; the core stays free of I/O | [`layering`] |
//! | how long a file may be | [`sizes`] |
//! | markers of unfinished work, silenced lints, sleeping tests, one machine's paths | [`source`] |
//! | paths and links in documents lead somewhere | [`documents`] |
//!
//! How long a function may be is clippy's business (`too_many_lines`, see the root `Cargo.toml`).

mod documents;
mod layering;
mod sizes;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A text file of the checkout.
pub(crate) struct SourceFile {
    /// From the checkout's root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// What a rule has to say about one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// File, or crate.
    pub(crate) place: String,
    /// Counted from 1, where it is about one line.
    pub(crate) line: Option<usize>,
    /// What is wrong and what to do.
    pub(crate) what: String,
    /// Whether it fails the check.
    pub(crate) severity: Severity,
}

/// Whether a finding fails the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Error,
}

impl Finding {
    /// An error about one line.
    pub(crate) fn at(place: &str, line: usize, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line: Some(line), what: what.into(), severity: Severity::Error }
    }

    /// An error about the whole of a file or crate.
    pub(crate) fn about(place: &str, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line: None, what: what.into(), severity: Severity::Error }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match self.line {
            Some(line) => write!(f, "{severity}: {}:{line}: {}", self.place, self.what),
            None => write!(f, "{severity}: {}: {}", self.place, self.what),
        }
    }
}

/// Checks the checkout at `root` and prints every finding.
///
/// # Errors
/// A rule is broken, or git, cargo or a file can't be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let paths = listed(root)?;
    let files = read(root, &paths)?;
    let mut findings = layering::check(root)?;
    findings.extend(files.iter().flat_map(sizes::check));
    findings.extend(files.iter().flat_map(source::check));
    findings.extend(documents::check(&files, &paths));

    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!("tidy: {} files, {errors} errors, {} warnings", files.len(), findings.len() - errors);
    if errors > 0 {
        bail!("{errors} house rules are broken (why they are there: CONTRIBUTING.md)");
    }
    Ok(())
}

/// Every file that git has or would take.
fn listed(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .context("run git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let names = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    let mut paths: Vec<_> = names.split_terminator('\0').map(str::to_owned).collect();
    paths.retain(|path| root.join(path).exists());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The text files among them.
fn read(root: &Path, paths: &[String]) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for path in paths.iter().filter(|path| root.join(path).is_file()) {
        let bytes = fs::read(root.join(path)).with_context(|| format!("read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.clone(), text });
        }
    }
    Ok(files)
}

/// For each line of a Rust file, whether it is in a `#[cfg(test)] mod … { }`. Relies on rustfmt's layout.
pub(crate) fn in_tests(text: &str) -> Vec<bool> {
    let lines: Vec<_> = text.lines().collect();
    let mut marks = vec![false; lines.len()];
    let mut at = 0;
    while at < lines.len() {
        if lines[at] == "#[cfg(test)]"
            && let Some(module) = lines[at..].iter().position(|line| line.contains("mod ")).map(|offset| at + offset)
            && lines[module].ends_with('{')
        {
            let end =
                lines[module..].iter().position(|line| *line == "}").map_or(lines.len(), |offset| module + offset + 1);
            marks[at..end].fill(true);
            at = end;
        } else {
            at += 1;
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_can_be_clicked_on() {
        assert_eq!(Finding::at("a/b.rs", 7, "too long").to_string(), "error: a/b.rs:7: too long");
        let warning = Finding { severity: Severity::Warning, ..Finding::about("a", "long") };
        assert_eq!(warning.to_string(), "warning: a: long");
    }

    #[test]
    fn a_test_module_ends_where_its_brace_does() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        assert_eq!(in_tests(text), [false, true, true, true, true, false]);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_hides_nothing() {
        assert_eq!(in_tests("#[cfg(test)]\nmod tests;\nfn a() {\n}\n"), [false; 4]);
    }
}
