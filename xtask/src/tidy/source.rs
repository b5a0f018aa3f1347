//! What must not stand in a file: markers of unfinished work, lints silenced without a reason, tests that sleep or are
//! skipped without a reason, paths that exist on one machine only.

use super::{Finding, SourceFile, in_tests};

// In two halves, so that this file keeps its own rules.
const MARKERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const HOMES: [&str; 2] = [concat!("/ro", "ot/"), concat!("/ho", "me/")];
const SLEEPS: [&str; 2] = [concat!("thread::", "sleep("), concat!("time::", "sleep(")];
const ALLOWS: [&str; 2] = [concat!("#[all", "ow("), concat!("#![all", "ow(")];
const EXPECTS: [&str; 2] = [concat!("#[exp", "ect("), concat!("#![exp", "ect(")];
const IGNORE: &str = concat!("#[ign", "ore]");

/// The rules on one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rust = file.path.ends_with(".rs");
    if !rust && !is_script(&file.path) {
        return findings;
    }
    for (number, line) in numbered(&file.text) {
        if let Some(marker) = MARKERS.iter().find(|marker| has_word(line, marker)) {
            findings.push(Finding::at(&file.path, number, format!("{marker}: do it, or open an issue")));
        }
        if HOMES.iter().any(|home| line.contains(home)) {
            findings.push(Finding::at(&file.path, number, "names a folder of one machine; use $HOME or an argument"));
        }
    }
    if rust {
        findings.extend(attributes(file));
        findings.extend(sleeps(file));
    }
    findings
}

fn is_script(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("toml" | "yaml" | "yml" | "sh" | "go" | "py"))
        || matches!(name, "Makefile" | "run" | "install")
}

fn attributes(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<_> = file.text.lines().collect();
    for (number, line) in numbered(&file.text) {
        let attribute = line.trim_start();
        if ALLOWS.iter().any(|allow| attribute.starts_with(allow)) {
            findings.push(Finding::at(
                &file.path,
                number,
                "write #[expect(…, reason = \"…\")]: it tells when it is no longer needed",
            ));
        }
        if EXPECTS.iter().any(|expect| attribute.starts_with(expect)) && !has_reason(&lines[number - 1..]) {
            findings.push(Finding::at(&file.path, number, "say why: #[expect(…, reason = \"…\")]"));
        }
        if attribute.starts_with(IGNORE) {
            findings.push(Finding::at(&file.path, number, "say why: #[ignore = \"…\"]"));
        }
    }
    findings
}

/// Whether the attribute that begins on the first line holds a reason; it may go over several lines.
fn has_reason(lines: &[&str]) -> bool {
    let end = lines.iter().position(|line| line.trim_end().ends_with(")]")).unwrap_or(lines.len() - 1);
    lines[..=end].iter().any(|line| line.contains("reason ="))
}

fn sleeps(file: &SourceFile) -> Vec<Finding> {
    let marks = in_tests(&file.text);
    let whole_file = file.path.contains("/tests/") || file.path.ends_with("tests.rs");
    numbered(&file.text)
        .filter(|(number, line)| (whole_file || marks[number - 1]) && SLEEPS.iter().any(|sleep| line.contains(sleep)))
        .map(|(number, _)| {
            Finding::at(&file.path, number, "a test must not sleep: wait for the condition, or pause tokio's clock")
        })
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `word` stands in `line` and is not a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(path: &str, text: &str) -> Vec<usize> {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        check(&file).into_iter().filter_map(|finding| finding.line).collect()
    }

    #[test]
    fn unfinished_work_is_found_and_longer_words_are_not() {
        let marker = MARKERS[0];
        assert_eq!(lines_found("a.rs", &format!("fine\n// {marker}: later\nlet {marker}S = 1;\n")), [2]);
        assert_eq!(lines_found("Makefile", &format!("# {marker}\n")), [1]);
        assert_eq!(lines_found("notes.md", &format!("{marker}\n")), [] as [usize; 0]);
    }

    #[test]
    fn lints_are_silenced_only_with_a_reason() {
        let (allow, expect) = (ALLOWS[0], EXPECTS[0]);
        let text =
            format!("{allow}dead_code)]\n{expect}dead_code)]\n{expect}\n    dead_code,\n    reason = \"why\"\n)]\n");
        assert_eq!(lines_found("a.rs", &text), [1, 2]);
    }

    #[test]
    fn a_skipped_test_says_why() {
        assert_eq!(lines_found("a.rs", &format!("    {IGNORE}\n    #[ignore = \"needs a key\"]\n")), [1]);
    }

    #[test]
    fn tests_do_not_sleep_but_programs_may() {
        let sleep = SLEEPS[0];
        let text = format!("fn a() {{ {sleep}d) }}\n#[cfg(test)]\nmod tests {{\n    fn b() {{ {sleep}d) }}\n}}\n");
        assert_eq!(lines_found("crates/a/src/a.rs", &text), [4]);
        assert_eq!(lines_found("crates/a/tests/a.rs", &text), [1, 4]);
    }

    #[test]
    fn one_machines_paths_are_found() {
        assert_eq!(lines_found(".ci/run", &format!("cd {}me/x\n", HOMES[0])), [1]);
    }
}
