//! The part of JSONPath that print columns are written in: `.spec.hosts[0]`, `.status.conditions[?(@.type=="Ready")].status`.
//!
//! Source: `client-go/util/jsonpath`, of which this has fields, indices, `[*]`, quoted fields and filters by comparison.

use std::cmp::Ordering;

use serde_json::Value;

/// A path into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where { path: Path, compare: Option<(Compare, Value)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

const COMPARES: [(&str, Compare); 6] = [
    ("==", Compare::Equal),
    ("!=", Compare::Unequal),
    ("<=", Compare::AtMost),
    (">=", Compare::AtLeast),
    ("<", Compare::Less),
    (">", Compare::Greater),
];

impl Path {
    /// Reads one; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(inner) = rest.strip_prefix('[') { bracket(inner)? } else { field(rest)? };
            steps.extend(step);
            rest = after;
        }
        Some(Self { steps })
    }

    /// The first thing there.
    #[must_use]
    pub fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        let mut found = vec![object];
        for step in &self.steps {
            found = found.into_iter().flat_map(|it| step.within(it)).collect();
        }
        found.into_iter().next()
    }
}

impl Step {
    fn within<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::All => children(value),
            Self::Index(at) => {
                let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
                let from_end = i64::try_from(list.len()).ok().and_then(|length| at.checked_add(length));
                let at = if *at < 0 { from_end } else { Some(*at) };
                at.and_then(|at| list.get(usize::try_from(at).ok()?)).into_iter().collect()
            }
            Self::Where { path, compare } => {
                let holds = |it: &&Value| match (path.first(it), compare) {
                    (Some(found), Some((compare, wanted))) => compare.holds(found, wanted),
                    (found, None) => found.is_some(),
                    (None, Some(_)) => false,
                };
                children(value).into_iter().filter(holds).collect()
            }
        }
    }
}

impl Compare {
    fn holds(self, one: &Value, other: &Value) -> bool {
        let order = match (one, other) {
            (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
            (Value::Number(one), Value::Number(other)) => {
                one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other))
            }
            (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
            _ => None,
        };
        order.is_some_and(|order| match self {
            Self::Equal => order == Ordering::Equal,
            Self::Unequal => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::AtMost => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::AtLeast => order != Ordering::Less,
        })
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

/// `.name`, where a backslash keeps a dot within the name.
fn field(text: &str) -> Option<(Option<Step>, &str)> {
    let text = text.strip_prefix('.').unwrap_or(text);
    let (mut name, mut escaped, mut end) = (String::new(), false, text.len());
    for (at, it) in text.char_indices() {
        match it {
            _ if escaped => {
                name.push(it);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => {
                end = at;
                break;
            }
            it => name.push(it),
        }
    }
    let rest = text.get(end..)?;
    if name.is_empty() && rest.starts_with('.') {
        return None;
    }
    let step = match name.as_str() {
        "" => None,
        "*" => Some(Step::All),
        _ => Some(Step::Field(name)),
    };
    Some((step, rest))
}

/// What stands between brackets; the text begins after the first.
fn bracket(text: &str) -> Option<(Option<Step>, &str)> {
    let (mut quote, mut depth, mut end) = (None, 0, None);
    for (at, it) in text.char_indices() {
        match (quote, it) {
            (Some(open), it) if open == it => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(it),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => {
                end = Some(at);
                break;
            }
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    let (inner, rest) = text.split_at_checked(end?)?;
    let (inner, rest) = (inner.trim(), rest.strip_prefix(']')?);
    let step = if inner == "*" {
        Step::All
    } else if let Some(name) = unquoted(inner) {
        Step::Field(name.to_owned())
    } else if let Some(filter) = inner.strip_prefix("?(").and_then(|it| it.strip_suffix(')')) {
        condition(filter)?
    } else {
        Step::Index(inner.parse().ok()?)
    };
    Some((Some(step), rest))
}

/// `@.type=="Ready"`, or `@.type` for "there is one".
fn condition(text: &str) -> Option<Step> {
    let found = COMPARES.iter().filter_map(|(sign, it)| Some((text.find(sign)?, *sign, *it))).min_by_key(|it| it.0);
    let path = |text: &str| Path::parse(text.trim().strip_prefix('@')?);
    let Some((at, sign, compare)) = found else { return Some(Step::Where { path: path(text)?, compare: None }) };
    let (left, right) = text.split_at_checked(at)?;
    let right = right.strip_prefix(sign)?.trim();
    let wanted = match unquoted(right) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(right).ok()?,
    };
    Some(Step::Where { path: path(left)?, compare: Some((compare, wanted)) })
}

fn unquoted(text: &str) -> Option<&str> {
    let within = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    within('\'').or_else(|| within('"'))
}

/// A value in a column of texts: texts plain, lists and objects as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(it) => it.clone(),
        it => it.to_string(),
    }
}
