//! `labelSelector=a=b,c in (d,e),!f`, and the `LabelSelector` object.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::{bad, labels_of};
use crate::error::ApiError;
use crate::validate::causes::{invalid_text, quoted};
use crate::validate::names;

/// A label selector: all of its requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, it) in self.requirements.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let values = it.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            let (key, one) = (&it.key, it.values.len() == 1);
            match it.operator {
                Operator::In if one => write!(f, "{comma}{key}={values}"),
                Operator::In => write!(f, "{comma}{key} in ({values})"),
                Operator::NotIn if one => write!(f, "{comma}{key}!={values}"),
                Operator::NotIn => write!(f, "{comma}{key} notin ({values})"),
                Operator::Exists => write!(f, "{comma}{key}"),
                Operator::Missing => write!(f, "{comma}!{key}"),
                Operator::Greater => write!(f, "{comma}{key}>{values}"),
                Operator::Less => write!(f, "{comma}{key}<{values}"),
            }?;
        }
        Ok(())
    }
}

impl Labels {
    /// Reads one; the empty text selects everything.
    ///
    /// # Errors
    /// 400 with the real one's words.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut requirements = Parser { tokens: tokens(text), at: 0 }.all().map_err(bad)?;
        requirements.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Self { requirements })
    }

    /// Reads the object that workloads have (`matchLabels`, `matchExpressions`). What can't be read selects nothing, as no selector
    /// does.
    #[must_use]
    pub fn read(selector: &Value) -> Option<Self> {
        let selector = selector.as_object()?;
        let list = |it: Option<&Value>| it.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let values = BTreeSet::from([value.as_str()?.to_owned()]);
            requirements.push(Requirement { key: key.clone(), operator: Operator::In, values });
        }
        for expression in list(selector.get("matchExpressions")) {
            let operator = match expression.get("operator")?.as_str()? {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::Missing,
                _ => return None,
            };
            let values = list(expression.get("values")).iter().filter_map(Value::as_str).map(str::to_owned).collect();
            requirements.push(Requirement { key: expression.get("key")?.as_str()?.to_owned(), operator, values });
        }
        Some(Self { requirements })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the object is selected.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = labels_of(object);
        self.requirements
            .iter()
            .all(|it| it.holds(labels.and_then(|labels| labels.get(&it.key)).and_then(Value::as_str)))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = || value.is_some_and(|it| self.values.contains(it));
        let number = |it: &str| it.parse::<i64>().ok();
        let bound = || self.values.first().and_then(|it| number(it));
        match self.operator {
            Operator::In => among(),
            Operator::NotIn => !among(),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Greater => value.and_then(number).zip(bound()).is_some_and(|(it, bound)| it > bound),
            Operator::Less => value.and_then(number).zip(bound()).is_some_and(|(it, bound)| it < bound),
        }
    }

    fn checked(self) -> Result<Self, String> {
        let mut wrong = Vec::new();
        if let Some(words) = key_fault(&self.key) {
            wrong.push(format!("key: {words}"));
        }
        for (at, value) in self.values.iter().enumerate() {
            let ordered = matches!(self.operator, Operator::Greater | Operator::Less);
            if ordered && value.parse::<i64>().is_err() {
                let words = "for 'Gt', 'Lt' operators, the value must be an integer";
                wrong.push(format!("values[{at}]: Invalid value: {}: {words}", quoted(value)));
            }
            let faults = names::label_value(value);
            if !faults.is_empty() {
                let field = format!("values[{at}][{}]", self.key);
                wrong.push(format!("{field}: {}", invalid_text("", value, &faults.join("; ")).message));
            }
        }
        match wrong.as_slice() {
            [] => Ok(self),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}

fn key_fault(key: &str) -> Option<String> {
    let faults = names::label_key(key);
    (!faults.is_empty()).then(|| invalid_text("", key, &faults.join("; ")).message)
}

/// A token is its text; identifiers are told from operators by it, except that `in` and `notin` are both.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Symbol(&'static str),
    Word(String),
    Broken(String),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Symbol(text) => text,
            Self::Word(text) | Self::Broken(text) => text,
            Self::End => "",
        }
    }

    fn is_word(&self) -> bool {
        matches!(self, Self::Word(_))
    }
}

const SYMBOLS: [&str; 9] = [")", ",", "!", "==", "=", ">", "<", "!=", "("];

/// The text's tokens, the last of them [`Token::End`]. A NUL ends the text, as it does for the real one.
fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), text.split('\0').next().unwrap_or_default());
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let special = |it: char| "=!(),><".contains(it);
        let Some(first) = rest.chars().next() else { break };
        let length = if special(first) {
            let run = rest.find(|it| !special(it)).unwrap_or(rest.len());
            let longest = |it: &&&str| rest.starts_with(**it);
            match SYMBOLS.iter().filter(longest).max_by_key(|it| it.len()) {
                Some(symbol) => {
                    tokens.push(Token::Symbol(symbol));
                    symbol.len()
                }
                None => {
                    let run = rest.get(..run).unwrap_or_default();
                    tokens.push(Token::Broken(format!("error expected: keyword found '{run}'")));
                    run.len()
                }
            }
        } else {
            let end = rest.find(|it: char| special(it) || " \t\r\n".contains(it)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest.get(..end).unwrap_or_default().to_owned()));
            end
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn all(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Symbol("!") => {}
                other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
            }
            let requirement = self.requirement().map_err(|words| format!("unable to parse requirement: {words}"))?;
            requirements.push(requirement);
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => {
                    let next = self.peek();
                    if !(next.is_word() || *next == Token::Symbol("!")) {
                        return Err(format!("found '{}', expected: identifier after ','", next.text()));
                    }
                }
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.take();
        let missing = token == Token::Symbol("!");
        if missing {
            token = self.take();
        }
        let Token::Word(key) = token else { return Err(format!("found '{}', expected: identifier", token.text())) };
        if let Some(words) = key_fault(&key) {
            return Err(format!("<nil>: {words}"));
        }
        let (operator, values) = if missing {
            (Operator::Missing, BTreeSet::new())
        } else if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            (Operator::Exists, BTreeSet::new())
        } else {
            self.restriction()?
        };
        Requirement { key, operator, values }.checked()
    }

    fn restriction(&mut self) -> Result<(Operator, BTreeSet<String>), String> {
        let token = self.take();
        let operator = match token.text() {
            "in" => return Ok((Operator::In, self.values()?)),
            "notin" => return Ok((Operator::NotIn, self.values()?)),
            "=" | "==" => Operator::In,
            "!=" => Operator::NotIn,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok((operator, BTreeSet::from([String::new()])));
        }
        match self.take() {
            Token::Word(value) => Ok((operator, BTreeSet::from([value]))),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let first = self.peek().clone();
        match first {
            Token::Symbol(")") => {
                self.take();
                Ok(BTreeSet::from([String::new()]))
            }
            Token::Word(_) | Token::Symbol(",") => {
                let values = self.list()?;
                let closed = self.take() == Token::Symbol(")");
                if closed { Ok(values) } else { Err(format!("found '{}', expected: ')'", first.text())) }
            }
            other => Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
    }

    fn list(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                Token::Word(value) => {
                    values.insert(value);
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() || *self.peek() == Token::Symbol(",") {
                        values.insert(String::new());
                    }
                    if *self.peek() == Token::Symbol(")") {
                        values.insert(String::new());
                        return Ok(values);
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }
}
