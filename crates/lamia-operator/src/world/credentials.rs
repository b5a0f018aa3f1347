//! Which versions of credentials were seen: only a change is news, and a list that is read anew is none. Values are never
//! seen here.

use std::collections::{BTreeMap, BTreeSet};

use lamia_core::host::ObjectKey;

/// The credential Secrets of Lamia's namespace.
#[derive(Default)]
pub(crate) struct Credentials {
    seen: BTreeMap<ObjectKey, Seen>,
    /// The first list tells only what is there: whoever uses a credential reads it by itself.
    is_listed: bool,
}

struct Seen {
    /// Whom it is for.
    label: String,
    version: String,
}

impl Credentials {
    /// The watch shows one. Returns whom it concerns. One that Lamia made (`is_own`) is no news at first sight: who made it
    /// has it.
    pub(crate) fn applied(&mut self, key: &ObjectKey, label: &str, version: &str, is_own: bool) -> BTreeSet<String> {
        let now = Seen { label: label.to_owned(), version: version.to_owned() };
        let before = self.seen.insert(key.clone(), now);
        let is_same = before.as_ref().is_some_and(|before| before.label == label && before.version == version);
        if is_same || !self.is_listed || (is_own && before.is_none()) {
            return BTreeSet::new();
        }
        before.into_iter().map(|before| before.label).chain([label.to_owned()]).collect()
    }

    /// One is gone. Returns whom it concerns.
    pub(crate) fn deleted(&mut self, key: &ObjectKey) -> BTreeSet<String> {
        self.seen.remove(key).into_iter().map(|gone| gone.label).collect()
    }

    /// A list is complete: these are all. Returns whom it concerns that others are gone.
    pub(crate) fn listed(&mut self, present: &BTreeSet<ObjectKey>) -> BTreeSet<String> {
        self.is_listed = true;
        self.seen.extract_if(.., |key, _| !present.contains(key)).map(|(_, gone)| gone.label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("lamia-system", name)
    }

    fn labels<const N: usize>(labels: [&str; N]) -> BTreeSet<String> {
        labels.map(str::to_owned).into()
    }

    #[test]
    fn only_a_change_is_news_and_no_list_that_shows_the_same() {
        let mut credentials = Credentials::default();
        let everybody = || BTreeSet::from([key("dns"), key("acme")]);
        assert_eq!(credentials.applied(&key("dns"), "dnsprovider.a", "1", false), labels([]), "the first list");
        credentials.applied(&key("acme"), "acmeissuer.ca", "2", false);
        assert_eq!(credentials.listed(&everybody()), labels([]));

        assert_eq!(
            credentials.applied(&key("dns"), "dnsprovider.a", "1", false),
            labels([]),
            "a list that is read anew"
        );
        assert_eq!(credentials.applied(&key("dns"), "dnsprovider.a", "3", false), labels(["dnsprovider.a"]));
        assert_eq!(credentials.applied(&key("new"), "dnsprovider.b", "4", false), labels(["dnsprovider.b"]));
        assert_eq!(credentials.applied(&key("made"), "acmeissuer.new", "4", true), labels([]), "Lamia made it");
        assert_eq!(credentials.applied(&key("made"), "acmeissuer.new", "5", true), labels(["acmeissuer.new"]));
        assert_eq!(credentials.deleted(&key("made")), labels(["acmeissuer.new"]));
        let moved = labels(["dnsprovider.a", "dnsprovider.b"]);
        assert_eq!(credentials.applied(&key("dns"), "dnsprovider.b", "5", false), moved, "it is for another one now");

        assert_eq!(credentials.deleted(&key("dns")), labels(["dnsprovider.b"]));
        assert_eq!(credentials.listed(&BTreeSet::from([key("new")])), labels(["acmeissuer.ca"]), "gone, unseen");
    }
}
