//! How long a file may be: readers hold about 450 lines in mind. Tests do not count.

use super::{Finding, Severity, SourceFile, in_tests};

/// From here on, a warning.
const LONG: usize = 450;
/// From here on, an error.
const TOO_LONG: usize = 700;

/// The length of one Rust file.
pub(super) fn check(file: &SourceFile) -> Option<Finding> {
    if !file.path.ends_with(".rs") || file.path.ends_with("tests.rs") {
        return None;
    }
    let lines = in_tests(&file.text).iter().filter(|in_test| !**in_test).count();
    let finding =
        Finding::about(&file.path, format!("{lines} lines without tests; split it by concept (limit {TOO_LONG})"));
    if lines > TOO_LONG {
        return Some(finding);
    }
    (lines > LONG).then_some(Finding { severity: Severity::Warning, ..finding })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_length(lines: usize, tests: usize) -> Option<Finding> {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // test\n".repeat(tests));
        check(&SourceFile { path: "crates/a/src/b.rs".to_owned(), text: "// code\n".repeat(lines) + &tests })
    }

    #[test]
    fn long_files_are_told_and_longer_ones_refused() {
        assert_eq!(of_length(450, 0), None);
        assert_eq!(of_length(451, 0).expect("a finding").severity, Severity::Warning);
        assert_eq!(of_length(701, 0).expect("a finding").severity, Severity::Error);
    }

    #[test]
    fn tests_do_not_count() {
        assert_eq!(of_length(400, 900), None);
    }
}
