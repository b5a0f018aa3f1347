//! XML as Route 53's requests have it: elements and texts, no attributes but the name space.

use std::fmt::Write as _;

/// The name space of all requests and answers.
pub(super) const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// One element.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a document whose root has Route 53's name space; says what is wrong.
    pub(super) fn parse(document: &str) -> Result<Self, String> {
        let mut rest = document.trim_start();
        if let Some(after) = rest.strip_prefix("<?xml") {
            rest = after.split_once("?>").ok_or("an open declaration")?.1.trim_start();
        }
        let (root, rest) = element(rest, Some(NAMESPACE))?;
        if rest.trim().is_empty() { Ok(root) } else { Err(format!("more than one root: {rest}")) }
    }

    /// The children, each of which must be one of `names`, and none of `once` there twice.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), String> {
        for child in &self.children {
            if !names.contains(&child.name.as_str()) {
                return Err(format!("{} may not have a {}", self.name, child.name));
            }
        }
        Ok(())
    }

    /// The one child of this name.
    pub(super) fn one(&self, name: &str) -> Result<&Self, String> {
        let mut of_name = self.children.iter().filter(|child| child.name == name);
        match (of_name.next(), of_name.next()) {
            (Some(child), None) => Ok(child),
            _ => Err(format!("{} must have one {name}", self.name)),
        }
    }

    /// All children, which must all be of this name, and at least one.
    pub(super) fn all(&self, name: &str) -> Result<&[Self], String> {
        self.only(&[name])?;
        if self.children.is_empty() { Err(format!("{} is empty", self.name)) } else { Ok(&self.children) }
    }
}

fn element<'x>(text: &'x str, namespace: Option<&str>) -> Result<(Element, &'x str), String> {
    let (tag, mut rest) = text
        .strip_prefix('<')
        .and_then(|text| text.split_once('>'))
        .ok_or_else(|| format!("no element: {text:.40}"))?;
    let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let name = match (tag.split_once(' '), namespace) {
        (Some((name, attribute)), Some(namespace)) if attribute.trim() == format!("xmlns=\"{namespace}\"") => name,
        (None, None) => tag,
        _ => return Err(format!("the element <{tag}> has no or another name space")),
    };
    let mut found = Element { name: name.to_owned(), ..Element::default() };
    if empty {
        return Ok((found, rest));
    }
    loop {
        let (before, from) = rest.split_once('<').ok_or("an open element")?;
        found.text.push_str(&unescape(before)?);
        rest = &rest[rest.len() - from.len() - 1..];
        if let Some(after) = from.strip_prefix('/') {
            let (closed, after) = after.split_once('>').ok_or("an open tag")?;
            return if closed == name { Ok((found, after)) } else { Err(format!("<{name}> is closed by </{closed}>")) };
        }
        let (child, after) = element(rest, None)?;
        found.children.push(child);
        rest = after;
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';').ok_or("an open entity")?;
        plain.push_str(before);
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("the entity &{other};")),
        });
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}

/// A text as XML carries it.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => drop(write!(escaped, "{other}")),
        }
        escaped
    })
}
