//! What a name may look like: labels, subdomains, keys, values.
//!
//! Each function answers with what is wrong, in the words of the real API server; an empty list means that all is well.
//! Source: `apimachinery/pkg/util/validation` and `apimachinery/pkg/api/validate/content` (they differ in one word: "characters"
//! and "bytes", so both are here).

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_WORDS: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// A DNS label (RFC 1123), at most 63 characters: names of namespaces, of ports, …
#[must_use]
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = longest(text, 63, "characters");
    if !is_label(text) {
        let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                     end with an alphanumeric character";
        let dotted = is_subdomain(text);
        wrong.push(if dotted { "must not contain dots".into() } else { regex(words, LABEL, &["my-name", "123-abc"]) });
    }
    wrong
}

/// A DNS subdomain (RFC 1123), at most 253 characters: what most objects' names are.
#[must_use]
pub fn dns_subdomain(text: &str) -> Vec<String> {
    subdomain(text, "characters")
}

/// A DNS label that starts with a letter (RFC 1035): names of Services.
#[must_use]
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut wrong = longest(text, 63, "characters");
    if !(is_label(text) && text.starts_with(|it: char| it.is_ascii_lowercase())) {
        let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                     character, and end with an alphanumeric character";
        wrong.push(regex(words, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    wrong
}

/// The key of a label, and whatever is named like one (finalizers): `[prefix/]name`.
#[must_use]
pub fn label_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        ["", name] => {
            wrong.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            wrong.extend(subdomain(prefix, "bytes").into_iter().map(|it| format!("prefix part {it}")));
            name
        }
        _ => {
            let words = regex(&format!("a valid label key {KEY_WORDS}"), KEY, &["MyName", "my.name", "123-abc"]);
            return vec![format!("{words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    }
    wrong.extend(longest(name, 63, "bytes").into_iter().map(|it| format!("name part {it}")));
    if !is_key(name) {
        wrong.push(regex(&format!("name part {KEY_WORDS}"), KEY, &["MyName", "my.name", "123-abc"]));
    }
    wrong
}

/// The value of a label.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = longest(text, 63, "bytes");
    if !(text.is_empty() || is_key(text)) {
        let words = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                     start and end with an alphanumeric character";
        wrong.push(regex(words, &format!("({KEY})?"), &["MyValue", "my_value", "12345"]));
    }
    wrong
}

/// What may stand in a URL's path: names of roles.
#[must_use]
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    let mentions = |it: &&str| text.contains(*it);
    ["/", "%"].iter().copied().filter(mentions).map(|it| format!("may not contain '{it}'")).collect()
}

/// A key of a ConfigMap or a Secret.
#[must_use]
pub fn config_key(text: &str) -> Vec<String> {
    let mut wrong = longest(text, 253, "characters");
    if text.is_empty() || !text.bytes().all(|it| is_key_octet(it) || it.is_ascii_alphanumeric()) {
        let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        wrong.push(regex(words, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match text {
        "." | ".." => wrong.push(format!("must not be '{text}'")),
        _ if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// A name of a port (RFC 6335 §5.1).
#[must_use]
pub fn port_name(text: &str) -> Vec<String> {
    let mut wrong = longest(text, 15, "characters");
    let mut refuse = |refused: bool, words: &str| {
        if refused {
            wrong.push(words.to_owned());
        }
    };
    let known = |it: u8| it == b'-' || it.is_ascii_lowercase() || it.is_ascii_digit();
    let charset = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    refuse(text.is_empty() || !text.bytes().all(known), charset);
    refuse(!text.bytes().any(|it| it.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    refuse(text.contains("--"), "must not contain consecutive hyphens");
    refuse(text.starts_with('-') || text.ends_with('-'), "must not begin or end with a hyphen");
    wrong
}

fn subdomain(text: &str, unit: &str) -> Vec<String> {
    let mut wrong = longest(text, 253, unit);
    if !is_subdomain(text) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                     start and end with an alphanumeric character";
        wrong.push(regex(words, SUBDOMAIN, &["example.com"]));
    }
    wrong
}

fn longest(text: &str, most: usize, unit: &str) -> Vec<String> {
    if text.len() > most { vec![format!("must be no more than {most} {unit}")] } else { Vec::new() }
}

fn regex(words: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<_> = examples.iter().map(|it| format!("'{it}', ")).collect();
    format!("{words} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

fn is_label(text: &str) -> bool {
    let ends = |it: Option<u8>| it.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let inner = |it: u8| it == b'-' || it.is_ascii_lowercase() || it.is_ascii_digit();
    ends(text.bytes().next()) && ends(text.bytes().last()) && text.bytes().all(inner)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key(text: &str) -> bool {
    let ends = |it: Option<u8>| it.is_some_and(|it| it.is_ascii_alphanumeric());
    let inner = |it: u8| is_key_octet(it) || it.is_ascii_alphanumeric();
    ends(text.bytes().next()) && ends(text.bytes().last()) && text.bytes().all(inner)
}

fn is_key_octet(octet: u8) -> bool {
    matches!(octet, b'-' | b'_' | b'.')
}
