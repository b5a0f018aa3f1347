//! The domain filter: which names a plug-in cares for, as it tells in the negotiation.
//!
//! It comes in three shapes: the protocol's description says `filters`, external-dns' own code writes `include` and `exclude`,
//! or two regular expressions in their place. None of them means all names.

use lamia_core::name::Fqdn;
use regex::Regex;
use serde::Deserialize;

use crate::error::{ErrorKind, ProviderError};

/// The filter as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterBody {
    #[serde(default, alias = "filters", alias = "Filters")]
    include: Option<Vec<String>>,
    #[serde(default)]
    exclude: Option<Vec<String>>,
    #[serde(default)]
    regex_include: Option<String>,
    #[serde(default)]
    regex_exclude: Option<String>,
}

/// A filter that can be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    include: Vec<String>,
    exclude: Vec<String>,
    matching: Option<Regex>,
    sparing: Option<Regex>,
}

impl Filter {
    /// `null` is a filter, too.
    ///
    /// # Errors
    /// `Protocol` for an expression that can't be read.
    pub(super) fn parse(body: Option<FilterBody>, operation: &str) -> Result<Self, ProviderError> {
        let FilterBody { include, exclude, regex_include, regex_exclude } = body.unwrap_or_default();
        let plain = |texts: Option<Vec<String>>| -> Vec<String> {
            let texts = texts.into_iter().flatten().map(|text| text.trim().trim_end_matches('.').to_ascii_lowercase());
            texts.filter(|text| !text.is_empty()).collect()
        };
        let expression = |text: Option<String>| {
            let text = text.filter(|text| !text.is_empty());
            text.map(|text| Regex::new(&text)).transpose().map_err(|error| {
                let hint =
                    "the webhook's domain filter is a regular expression that can't be read; write it otherwise there";
                ProviderError::new(ErrorKind::Protocol, operation, hint).caused_by(error)
            })
        };
        Ok(Self {
            include: plain(include),
            exclude: plain(exclude),
            matching: expression(regex_include)?,
            sparing: expression(regex_exclude)?,
        })
    }

    /// The domains that it names itself. `.example.org` names none: it is for what is below.
    pub(super) fn named(&self) -> impl Iterator<Item = Fqdn> {
        self.include.iter().filter(|text| !text.starts_with('.')).filter_map(|text| Fqdn::parse(text).ok())
    }

    /// Whether the plug-in cares for this name.
    pub(super) fn lets_pass(&self, name: &Fqdn) -> bool {
        let name = name.as_str();
        if self.matching.is_some() || self.sparing.is_some() {
            let matches = |expression: &Option<Regex>, none| expression.as_ref().map_or(none, |it| it.is_match(name));
            return matches(&self.matching, true) && !matches(&self.sparing, false);
        }
        let covers = |text: &String| match text.strip_prefix('.') {
            Some(_) => name.ends_with(text.as_str()),
            None => name == text || name.strip_suffix(text.as_str()).is_some_and(|rest| rest.ends_with('.')),
        };
        (self.include.is_empty() || self.include.iter().any(covers)) && !self.exclude.iter().any(covers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(serde_json::from_str(text).expect("JSON"), "ask the webhook").expect("a filter")
    }

    #[test]
    fn every_shape_of_filter_is_understood() {
        /// The filter; what it names, what it lets pass, what it stops.
        type Row = (&'static str, Names, Names, Names);
        type Names = &'static [&'static str];
        let table: [Row; 7] = [
            ("null", &[], &["example.org"], &[]),
            ("{}", &[], &["example.org"], &[]),
            (
                r#"{"filters":["example.org"]}"#,
                &["example.org"],
                &["example.org", "a.example.org"],
                &["badexample.org", "org"],
            ),
            (
                r#"{"include":["Example.org.","example.net"],"exclude":["x.example.org"]}"#,
                &["example.org", "example.net"],
                &["example.net", "a.example.org"],
                &["x.example.org", "a.x.example.org"],
            ),
            (r#"{"include":[".example.org"],"exclude":null}"#, &[], &["a.example.org"], &["example.org"]),
            (
                r#"{"regexInclude":"(^|\\.)example\\.(org|net)$"}"#,
                &[],
                &["example.org", "a.example.net"],
                &["example.com"],
            ),
            (
                r#"{"regexInclude":"example\\.org$","regexExclude":"^staging\\."}"#,
                &[],
                &["example.org"],
                &["staging.example.org"],
            ),
        ];
        for (text, named, pass, stop) in table {
            let filter = filter(text);
            let told: Vec<String> = filter.named().map(|name| name.to_string()).collect();
            assert_eq!(told, named, "{text}");
            for (names, passes) in [(pass, true), (stop, false)] {
                for name in names {
                    assert_eq!(filter.lets_pass(&Fqdn::parse(name).expect(name)), passes, "{text}: {name}");
                }
            }
        }
    }

    #[test]
    fn an_expression_that_cant_be_read_is_told() {
        let body = serde_json::from_str(r#"{"regexInclude":"("}"#).expect("JSON");
        assert_eq!(Filter::parse(body, "x").expect_err("broken").kind, ErrorKind::Protocol);
    }
}
