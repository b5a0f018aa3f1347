//! The `continue` of a list in pages: which revision, and behind which key the next page begins.
//! Source: `apiserver/pkg/storage/continue.go`.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::store::Key;

const VERSION: &str = "meta.k8s.io/v1";

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: u64,
    start: String,
}

/// The token that leads behind a key.
pub(crate) fn write(revision: u64, last: &Key, in_namespace: bool) -> String {
    let prefix = if in_namespace || last.namespace.is_empty() { String::new() } else { format!("{}/", last.namespace) };
    let token = Token { v: VERSION.to_owned(), rv: revision, start: format!("{prefix}{}\0", last.name) };
    BASE64URL_NOPAD.encode(serde_json::to_string(&token).unwrap_or_default().as_bytes())
}

/// The revision, and namespace and name of the key that the page before ended with. `namespace` is the one that the list is of.
///
/// # Errors
/// 400 for a token that is none of ours.
pub(crate) fn read(token: &str, namespace: Option<&str>) -> Result<(u64, String, String), ApiError> {
    let wrong = |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    let text = BASE64URL_NOPAD.decode(token.trim_end_matches('=').as_bytes());
    let text = text.map_err(|_| wrong("illegal base64 data"))?;
    let token: Token = serde_json::from_slice(&text).map_err(|it| wrong(&it.to_string()))?;
    if token.v != VERSION {
        return Err(wrong("server does not recognize this encoded version"));
    }
    let start = token.start.strip_suffix('\0').unwrap_or(&token.start);
    let (space, name) = match (namespace, start.split_once('/')) {
        (Some(namespace), None) => (namespace, start),
        (None, Some((namespace, name))) => (namespace, name),
        (None, None) => ("", start),
        (Some(_), Some(_)) => return Err(wrong("it is of another list")),
    };
    Ok((token.rv, space.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_behind_its_key() {
        let key = Key::new(&"configmaps".into(), "default", "bb");
        let own = |a: &str, b: &str| Ok((217, a.to_owned(), b.to_owned()));
        let token = write(217, &key, true);
        // As the real one wrote it.
        assert_eq!(token, "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjE3LCJzdGFydCI6ImJiXHUwMDAwIn0");
        assert_eq!(read(&token, Some("default")), own("default", "bb"));
        assert_eq!(read(&write(217, &key, false), None), own("default", "bb"));
        assert_eq!(read(&write(217, &Key::new(&"nodes".into(), "", "n"), false), None), own("", "n"));
        for token in ["abc", "!", "", "e30"] {
            assert_eq!(read(token, None).err().map(|it| it.code), Some(400), "{token}");
        }
    }
}
