//! Documents name files; files move. Every path under one of our top folders that a Markdown file names in backquotes,
//! and every relative link, must lead to something that is there.

use std::collections::BTreeSet;

use super::{Finding, SourceFile};

/// The paths that all Markdown files name, against the paths that exist.
pub(super) fn check(files: &[SourceFile], paths: &[String]) -> Vec<Finding> {
    let known = with_folders(paths);
    let top: BTreeSet<_> = paths.iter().filter_map(|path| path.split_once('/').map(|(folder, _)| folder)).collect();
    let documents = files.iter().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|file| document(file, &known, &top)).collect()
}

fn document(file: &SourceFile, known: &BTreeSet<&str>, top: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for path in quoted(line).filter(|path| path.split_once('/').is_some_and(|(folder, _)| top.contains(folder))) {
            if !leads_somewhere(path, known) {
                findings.push(Finding::at(&file.path, index + 1, format!("`{path}` is not there")));
            }
        }
        for link in links(line) {
            let path = resolved(&file.path, link);
            if !leads_somewhere(&path, known) {
                findings.push(Finding::at(&file.path, index + 1, format!("the link to {link} leads nowhere")));
            }
        }
    }
    findings
}

/// Files and all folders above them.
fn with_folders(paths: &[String]) -> BTreeSet<&str> {
    let mut known = BTreeSet::new();
    for path in paths {
        known.insert(path.as_str());
        known.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    known
}

/// What stands in backquotes and looks like a path: no blanks, no wildcards, no placeholders.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let inside = line.split('`').skip(1).step_by(2);
    inside.filter(|text| text.contains('/') && !text.contains([' ', '*', '{', '<', '…', '$', ':']))
}

/// Targets of `[text](target)` that are neither URLs nor places in the same file.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets
        .map(|target| target.split_once('#').map_or(target, |(path, _)| path))
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

/// `link`, as a path from the root, where it stands in `document`.
fn resolved(document: &str, link: &str) -> String {
    let mut parts: Vec<_> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn leads_somewhere(path: &str, known: &BTreeSet<&str>) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty() || known.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let paths = ["crates/a/src/lib.rs", "docs/cli.md", "README.md"].map(str::to_owned);
        let file = SourceFile { path: "docs/cli.md".to_owned(), text: text.to_owned() };
        check(&[file], &paths).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn paths_of_ours_must_be_there() {
        assert_eq!(
            found("`crates/a/src/lib.rs`, `crates/a/`, `crates/*/src`, `apps/v1`, `cargo run crates/x`"),
            [""; 0]
        );
        assert_eq!(found("`crates/b/src/lib.rs`"), ["`crates/b/src/lib.rs` is not there"]);
    }

    #[test]
    fn links_are_read_from_where_they_stand() {
        assert_eq!(
            found("[up](../README.md#top), [here](#there), [out](https://example.org/x), [self](cli.md)"),
            [""; 0]
        );
        assert_eq!(found("[gone](README.md)"), ["the link to README.md leads nowhere"]);
    }
}
