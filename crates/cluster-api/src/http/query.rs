//! The options that a request has in its query, checked as the real one checks them.
//! Source: `apimachinery/pkg/apis/meta/{v1,internalversion}/validation`.

use std::str::FromStr;

use url::form_urlencoded;

use crate::error::{About, ApiError, Cause};
use crate::selector::{Fields, Labels};

/// The parameters of a query, as given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// What to do with fields that the schema does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// The options of everything that writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: FieldValidation,
    pub(crate) force: bool,
}

/// The options of a list or watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
    pub(crate) limit: usize,
    pub(crate) after: String,
    pub(crate) revision: String,
    pub(crate) exact: bool,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Option<u64>,
    pub(crate) initial_events: bool,
}

impl Query {
    pub(crate) fn of(text: &str) -> Self {
        Self { pairs: form_urlencoded::parse(text.as_bytes()).into_owned().collect() }
    }

    /// The first value of a parameter; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Go's query parameters: there and neither `false` nor `0` is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.all(name).next().is_some_and(|it| !it.eq_ignore_ascii_case("false") && it != "0")
    }

    fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |_| ApiError::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"));
        i64::from_str(text).map(Some).map_err(wrong)
    }

    /// The options of a create, update or patch.
    pub(crate) fn write_options(&self, kind: &str, user_agent: &str, apply: bool) -> Result<WriteOptions, ApiError> {
        let mut causes = Vec::new();
        let dry_run: Vec<_> = self.all("dryRun").collect();
        if !dry_run.is_empty() && dry_run != ["All"] {
            causes.push(unsupported("dryRun", &format!("{dry_run:?}"), "\"All\""));
        }
        let manager = self.text("fieldManager");
        if apply && manager.is_empty() {
            causes.push(cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch"));
        }
        if !apply && kind == "PatchOptions" && self.all("force").next().is_some() {
            let message = "Forbidden: may not be specified for non-apply patch";
            causes.push(cause("FieldValueForbidden", "force", message));
        }
        if manager.len() > 128 {
            causes.push(cause("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"));
        }
        let validation = match self.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let known = r#""", "Ignore", "Strict", "Warn""#;
                causes.push(unsupported("fieldValidation", &format!("{other:?}"), known));
                FieldValidation::Warn
            }
        };
        refuse(kind, causes)?;
        let program = user_agent.split('/').next().unwrap_or_default();
        let manager = if manager.is_empty() { program.chars().take(128).collect() } else { manager.to_owned() };
        Ok(WriteOptions { dry_run: !dry_run.is_empty(), manager, validation, force: self.flag("force") })
    }

    /// The options of a list or watch.
    pub(crate) fn list_options(&self, watch: bool) -> Result<ListOptions, ApiError> {
        let watch = watch || self.flag("watch");
        let limit = self.number("limit")?.unwrap_or_default();
        let timeout = self.number("timeoutSeconds")?;
        let labels = Labels::parse(self.text("labelSelector"))?;
        let fields = Fields::parse(self.text("fieldSelector"))?;
        let options = ListOptions {
            labels,
            fields,
            limit: usize::try_from(limit).unwrap_or(0),
            after: self.text("continue").to_owned(),
            revision: self.text("resourceVersion").to_owned(),
            exact: self.text("resourceVersionMatch") == "Exact",
            watch,
            bookmarks: self.flag("allowWatchBookmarks"),
            timeout: timeout.and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0),
            initial_events: self.flag("sendInitialEvents"),
        };
        refuse("ListOptions", self.list_causes(watch))?;
        Ok(options)
    }

    fn list_causes(&self, watch: bool) -> Vec<Cause> {
        let (revision, mode) = (self.text("resourceVersion"), self.text("resourceVersionMatch"));
        let continued = !self.text("continue").is_empty();
        let forbidden =
            |field: &'static str, why: &str| cause("FieldValueForbidden", field, &format!("Forbidden: {why}"));
        let mode_forbidden = |why: &str| vec![forbidden("resourceVersionMatch", why)];
        if self.all("sendInitialEvents").next().is_some() {
            return match (watch, mode) {
                (false, _) => vec![forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")],
                (true, "NotOlderThan") => Vec::new(),
                (true, _) => mode_forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
            };
        }
        match mode {
            "" => Vec::new(),
            _ if watch => {
                mode_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            }
            _ if revision.is_empty() => {
                mode_forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            _ if continued => mode_forbidden("resourceVersionMatch is forbidden when continue is provided"),
            "Exact" if revision == "0" => {
                mode_forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
            "Exact" | "NotOlderThan" => Vec::new(),
            other => {
                let known = r#""Exact", "NotOlderThan", """#;
                vec![unsupported("resourceVersionMatch", &format!("{other:?}"), known)]
            }
        }
    }
}

/// 422 for options that are wrong.
pub(crate) fn refuse(kind: &str, causes: Vec<Cause>) -> Result<(), ApiError> {
    let about = About { group: "meta.k8s.io".to_owned(), kind: kind.to_owned(), name: String::new() };
    if causes.is_empty() { Ok(()) } else { Err(crate::http::errors::invalid(about, causes)) }
}

pub(crate) fn cause(reason: &'static str, field: &str, message: &str) -> Cause {
    Cause { reason, message: message.to_owned(), field: field.to_owned() }
}

pub(crate) fn unsupported(field: &str, value: &str, known: &str) -> Cause {
    let message = format!("Unsupported value: {value}: supported values: {known}");
    Cause { reason: "FieldValueNotSupported", message, field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused_in_the_words_of_the_real_one() {
        let list = |text: &str| Query::of(text).list_options(false).err().map(|it| it.message);
        for (text, expected) in [
            ("limit=x", Some("strconv.ParseInt: parsing \"x\": invalid syntax")),
            (
                "resourceVersionMatch=Exact",
                Some(
                    "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                ),
            ),
            (
                "resourceVersion=1&resourceVersionMatch=Foo",
                Some(
                    "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
                ),
            ),
            ("limit=-1&resourceVersion=0", None),
            ("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", None),
        ] {
            assert_eq!(list(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_manager_is_the_program_unless_it_is_named() {
        let manager = |text: &str| Query::of(text).write_options("CreateOptions", "kubectl/v1.36 (x)", false);
        assert_eq!(manager("").map(|it| it.manager).ok().as_deref(), Some("kubectl"));
        assert_eq!(manager("fieldManager=me").map(|it| it.manager).ok().as_deref(), Some("me"));
        let strict = manager("fieldValidation=Strict&dryRun=All").expect("both are known");
        assert_eq!((strict.validation, strict.dry_run), (FieldValidation::Strict, true));
        assert!(manager("dryRun=x").is_err());
    }
}
