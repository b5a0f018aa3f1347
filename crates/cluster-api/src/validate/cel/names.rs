//! How fields are called in rules.
//!
//! Source: `apiserver/pkg/cel/escaping.go`.

const RESERVED: [&str; 18] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
];

/// What a rule calls the field; `None` for a field that no rule can name.
pub(super) fn escaped(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(it) = rest.next() {
        match it {
            '_' if rest.peek() == Some(&'_') => {
                rest.next();
                out.push_str("__underscores__");
            }
            '.' => out.push_str("__dot__"),
            '-' => out.push_str("__dash__"),
            '/' => out.push_str("__slash__"),
            it if it == '_' || it.is_ascii_alphanumeric() => out.push(it),
            _ => return None,
        }
    }
    Some(out)
}

/// A rule's `fieldPath` (`.a['b.c']`) as faults write it: `a.b.c`.
pub(super) fn field_path(path: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("['") {
            let Some((name, after)) = quoted.split_once("']") else { break };
            parts.push(name);
            rest = after;
        } else {
            let plain = rest.strip_prefix('.').unwrap_or(rest);
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            let (name, after) = plain.split_at(end);
            if name.is_empty() {
                break;
            }
            parts.push(name);
            rest = after;
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        let cases = [
            ("a", Some("a")),
            ("a_b", Some("a_b")),
            ("a__b", Some("a__underscores__b")),
            ("a.b-c/d", Some("a__dot__b__dash__c__slash__d")),
            ("namespace", Some("__namespace__")),
            ("1a", None),
            ("a$", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(escaped(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn field_paths_are_written_plainly() {
        assert_eq!(field_path(".a.b"), "a.b");
        assert_eq!(field_path(".a['b.c'].d"), "a.b.c.d");
        assert_eq!(field_path(""), "");
        assert_eq!(field_path("..['"), "");
    }
}
