//! The access key in a Secret: AWS' shared credentials file, one profile of it.

use std::collections::BTreeMap;

use crate::error::{ErrorKind, ProviderError};
use crate::secret::Secret;

/// An access key. No `Debug`.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    /// Of temporary credentials.
    pub(super) token: Option<String>,
}

type Profile<'f> = BTreeMap<String, &'f str>;

/// Reads the profile `[default]`, or the only one.
///
/// # Errors
/// `Invalid`, saying what is missing; no part of the file is shown.
pub(super) fn parse(file: &Secret) -> Result<Keys, ProviderError> {
    let text = file.expose_text().ok_or_else(|| refused("the credential is no text; check the Secret".into()))?;
    let profiles = profiles(text)?;
    let profile = match (profiles.get("default"), profiles.len()) {
        (Some(profile), _) => profile,
        (None, 1) => profiles.values().next().ok_or_else(no_profile)?,
        (None, 0) => return Err(no_profile()),
        (None, _) => return Err(refused("the credentials file has several profiles, and none is [default]".into())),
    };
    let key = |name: &str| profile.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned());
    let needed = |name: &str| {
        let missing =
            || refused(format!("the credentials file has no {name} in its profile; write both keys into the Secret"));
        key(name).ok_or_else(missing)
    };
    let keys = Keys {
        id: needed("aws_access_key_id")?,
        secret: needed("aws_secret_access_key")?,
        token: key("aws_session_token"),
    };
    let printable = |text: &str| text.bytes().all(|octet| octet.is_ascii_graphic());
    if [&keys.id, &keys.secret].into_iter().chain(&keys.token).all(|text| printable(text)) {
        Ok(keys)
    } else {
        Err(refused("a key in the credentials file has characters that no key has; check the Secret".into()))
    }
}

/// The file's sections. What stands before the first is of none.
fn profiles(text: &str) -> Result<BTreeMap<&str, Profile<'_>>, ProviderError> {
    let mut profiles: BTreeMap<&str, Profile<'_>> = BTreeMap::new();
    let mut current = None;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name.trim()) {
            profiles.entry(name).or_default();
            current = Some(name);
            continue;
        }
        let broken =
            || refused(format!("line {} of the credentials file is neither [profile] nor key = value", number + 1));
        let (key, value) = line.split_once('=').ok_or_else(broken)?;
        let name = current.ok_or_else(no_profile)?;
        profiles.entry(name).or_default().insert(key.trim().to_ascii_lowercase(), value.trim());
    }
    Ok(profiles)
}

fn no_profile() -> ProviderError {
    refused("the credentials file has no profile; it must begin with the line [default]".into())
}

fn refused(hint: String) -> ProviderError {
    ProviderError::new(ErrorKind::Invalid, "read the AWS credential", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Keys, ProviderError> {
        parse(&Secret::new(text))
    }

    #[test]
    fn the_default_profile_is_taken_else_the_only_one() {
        let keys = read(
            "# a comment\n[other]\naws_access_key_id=no\n\n[default]\naws_access_key_id = AKIA1\n\
             AWS_SECRET_ACCESS_KEY = a/b+c=\n",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&*keys.id, &*keys.secret, keys.token), ("AKIA1", "a/b+c=", None));
        let keys =
            read("[lamia]\r\naws_access_key_id=AKIA2\r\naws_secret_access_key=s\r\naws_session_token=t==\r\n; end")
                .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&*keys.id, keys.token.as_deref()), ("AKIA2", Some("t==")));
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_of_the_file_is_shown() {
        for (file, words) in [
            ("", "no profile"),
            ("aws_access_key_id=AKIA", "no profile"),
            ("[default]\naws_access_key_id=AKIA", "no aws_secret_access_key"),
            ("[default]\naws_secret_access_key=sesame", "no aws_access_key_id"),
            ("[default]\naws_access_key_id=\naws_secret_access_key=sesame", "no aws_access_key_id"),
            ("[a]\naws_access_key_id=A\n[b]\naws_access_key_id=B", "several profiles"),
            ("[default]\nsesame", "line 2"),
            ("[default]\naws_access_key_id=AK IA\naws_secret_access_key=sesame", "characters"),
            ("{\"AccessKeyId\": \"sesame\"}", "neither [profile]"),
        ] {
            let error = read(file).err().unwrap_or_else(|| panic!("{file} was read"));
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.hint.contains(words), "{file:?}: {}", error.hint);
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
        assert!(parse(&Secret::new([0xff, 0xfe])).is_err());
    }
}
