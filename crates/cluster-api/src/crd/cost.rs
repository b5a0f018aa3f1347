//! What a CEL rule may cost at most, judged before it is ever asked.
//!
//! The rules are Kubernetes' (`apiserver/pkg/cel/common/schemas.go`, cel-go's `checker/cost.go`): sizes come from `maxLength`, `maxItems` and
//! `maxProperties`; where there is none, from what fits into a request of 3 MB. A rule may cost ten million, all rules of a schema a
//! hundred million. This estimate follows the same shape with coarser numbers, and lets pass what exceeds a limit by less than twice: what the real
//! one refuses as "more than 100x" is refused here; between, the two may differ.

use std::collections::HashMap;

use kube_cel::cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue};
use kube_cel::cel::parser::Expression;
use serde_json::{Map, Value};

use crate::error::Cause;
use crate::validate::causes;

const PER_RULE: u64 = 10_000_000;
const PER_SCHEMA: u64 = 100_000_000;
/// So close to the limit the estimate is not good enough to refuse by.
const LENIENCE: u64 = 2;
const REQUEST: u64 = 3 * 1024 * 1024;
const DEEPEST: usize = 512;

/// The sum over a schema.
#[derive(Default)]
pub(super) struct Total {
    sum: u64,
    most: Vec<(u64, String)>,
}

impl Total {
    /// Adds a rule of this schema, asked at most so many times an object.
    pub(super) fn rule(
        &mut self,
        expression: &Expression,
        schema: &Map<String, Value>,
        times: u64,
        place: &str,
        name: &str,
        wrong: &mut Vec<Cause>,
    ) {
        let mut names = HashMap::new();
        let own = Value::Object(schema.clone());
        names.insert("self".to_owned(), Some(&own));
        names.insert("oldSelf".to_owned(), Some(&own));
        let cost = Estimate { names }.of(&expression.expr, 0).cost.saturating_mul(times);
        if cost > PER_RULE.saturating_mul(LENIENCE) {
            wrong.push(causes::forbidden(place, &words(name, cost, PER_RULE)));
        }
        self.sum = self.sum.saturating_add(cost);
        self.most.push((cost, place.to_owned()));
    }

    /// What is wrong with the sum.
    pub(super) fn exceeded(mut self, field: &str) -> Vec<Cause> {
        if self.sum <= PER_SCHEMA.saturating_mul(LENIENCE) {
            return Vec::new();
        }
        self.most.sort_by_key(|it| std::cmp::Reverse(it.0));
        let contributors = self.most.iter().take(4).filter(|it| it.0 > PER_RULE / 10);
        let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        let mut wrong: Vec<_> = contributors.map(|it| causes::forbidden(it.1.as_str(), detail)).collect();
        let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        wrong.push(causes::forbidden(field, &words(name, self.sum, PER_SCHEMA)));
        wrong
    }
}

fn words(name: &str, cost: u64, limit: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        it if it > 100.0 => "more than 100x".to_owned(),
        it if it < 1.5 => format!("{it:.6}x"),
        it => format!("{it:.1}x"),
    };
    format!(
        "{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength \
         where arrays, maps, and strings are declared)"
    )
}

/// How often the place at this path (`.properties[a].items`) can be in an object: the product of the bounds above it; where one of them is
/// missing, as often as its smallest value fits into a request.
pub(super) fn times(root: &Map<String, Value>, path: &str) -> u64 {
    let (mut at, mut rest, mut times) = (Some(root), path, Some(1_u64));
    while let Some(schema) = at {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let (step, after, most) = if let Some(after) = rest.strip_prefix(".items") {
            (schema.get("items"), after, bound("maxItems"))
        } else if let Some(after) = rest.strip_prefix(".additionalProperties") {
            (schema.get("additionalProperties"), after, bound("maxProperties"))
        } else if let Some((name, after)) = rest.strip_prefix(".properties[").and_then(|it| it.split_once(']')) {
            (schema.get("properties").and_then(|it| it.get(name)), after, Some(1))
        } else {
            let own = Value::Object(schema.clone());
            return times.unwrap_or_else(|| REQUEST / (smallest(Some(&own)) + 1));
        };
        times = times.zip(most).map(|(times, most)| times.saturating_mul(most));
        (at, rest) = (step.and_then(Value::as_object), after);
    }
    times.unwrap_or(REQUEST)
}

/// How many elements there can be.
fn count(schema: &Map<String, Value>, key: &str, element: Option<&Value>) -> u64 {
    let given = schema.get(key).and_then(Value::as_u64);
    let separators = if key == "maxItems" { 1 } else { 6 };
    given.unwrap_or_else(|| (REQUEST - 2) / (smallest(element) + separators))
}

/// The smallest text of a value.
fn smallest(schema: Option<&Value>) -> u64 {
    let Some(schema) = schema else { return 1 };
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "boolean" => 4,
        "integer" | "number" => 1,
        "object" => {
            let required =
                schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let field = |it: &str| it.len() as u64 + 4 + smallest(schema.get("properties").and_then(|all| all.get(it)));
            2 + required.map(field).sum::<u64>()
        }
        _ => 2,
    }
}

/// How long a value can be: characters of a text, elements of a list or map.
fn size(schema: Option<&Value>) -> u64 {
    let Some(map) = schema.and_then(Value::as_object) else { return 1 };
    match map.get("type").and_then(Value::as_str).unwrap_or_default() {
        "array" => count(map, "maxItems", map.get("items")),
        "object" => count(map, "maxProperties", map.get("additionalProperties")),
        "string" => text_size(map),
        "" => REQUEST - 2,
        _ => 1,
    }
}

fn text_size(schema: &Map<String, Value>) -> u64 {
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
        return most.saturating_mul(4);
    }
    let choices = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match schema.get("format").and_then(Value::as_str) {
        Some("duration" | "date" | "date-time") => 32,
        _ if !choices.is_empty() => {
            choices.iter().filter_map(Value::as_str).map(|it| it.len() as u64).max().unwrap_or(1)
        }
        _ => REQUEST - 2,
    }
}

/// Functions that cost more for a longer text.
const BY_LENGTH: [&str; 22] = [
    "url",
    "isURL",
    "ip",
    "isIP",
    "cidr",
    "isCIDR",
    "quantity",
    "isQuantity",
    "semver",
    "isSemver",
    "split",
    "replace",
    "join",
    "lowerAscii",
    "upperAscii",
    "trim",
    "substring",
    "charAt",
    "isSorted",
    "sum",
    "min",
    "max",
];

/// What an expression costs, what it looks like, how long it is.
#[derive(Clone, Copy)]
struct Part<'a> {
    cost: u64,
    schema: Option<&'a Value>,
    size: u64,
}

struct Estimate<'a> {
    names: HashMap<String, Option<&'a Value>>,
}

impl<'a> Estimate<'a> {
    fn of(&mut self, expr: &Expr, depth: usize) -> Part<'a> {
        let plain = |cost: u64| Part { cost, schema: None, size: 1 };
        if depth > DEEPEST {
            return plain(u64::MAX);
        }
        match expr {
            Expr::Unspecified => plain(0),
            Expr::Literal(LiteralValue::String(text)) => Part { size: text.inner().len() as u64, ..plain(0) },
            Expr::Literal(_) => plain(0),
            Expr::Ident(name) => {
                let schema = self.names.get(name).copied().flatten();
                Part { cost: 1, schema, size: size(schema) }
            }
            Expr::Select(select) => {
                let of = self.of(&select.operand.expr, depth + 1);
                let schema = of.schema.and_then(|it| field(it, &select.field));
                Part { cost: of.cost.saturating_add(1), schema, size: size(schema) }
            }
            Expr::List(list) => {
                let parts = list.elements.iter().map(|it| self.of(&it.expr, depth + 1).cost);
                let cost = parts.fold(10, u64::saturating_add);
                Part { size: list.elements.len() as u64, ..plain(cost) }
            }
            Expr::Map(map) => plain(self.entries(map.entries.iter().map(|it| &it.expr), depth)),
            Expr::Struct(it) => plain(self.entries(it.entries.iter().map(|it| &it.expr), depth)),
            Expr::Call(call) => {
                self.call(&call.func_name, call.target.as_deref().map(|it| &it.expr), &call.args, depth)
            }
            Expr::Comprehension(it) => self.comprehension(it, depth),
        }
    }

    fn entries<'b>(&mut self, entries: impl Iterator<Item = &'b EntryExpr>, depth: usize) -> u64 {
        entries.fold(30, |sum, it| {
            let parts = match it {
                EntryExpr::StructField(it) => self.of(&it.value.expr, depth + 1).cost,
                EntryExpr::MapEntry(it) => {
                    self.of(&it.key.expr, depth + 1).cost.saturating_add(self.of(&it.value.expr, depth + 1).cost)
                }
            };
            sum.saturating_add(parts)
        })
    }

    fn call(&mut self, name: &str, target: Option<&Expr>, args: &[kube_cel::cel::IdedExpr], depth: usize) -> Part<'a> {
        let mut parts: Vec<_> = target.into_iter().map(|it| self.of(it, depth + 1)).collect();
        parts.extend(args.iter().map(|it| self.of(&it.expr, depth + 1)));
        let mut sum = parts.iter().fold(0_u64, |sum, it| sum.saturating_add(it.cost));
        if name == "_?_:_" {
            // Only one of the branches is taken.
            sum -= parts.iter().skip(1).map(|it| it.cost).min().unwrap_or_default().min(sum);
        }
        let (first, second) = (parts.first().copied(), parts.get(1).copied());
        let range = || match args.first().map(|it| &it.expr) {
            Some(Expr::Literal(LiteralValue::Int(end))) => u64::try_from(*end.inner()).unwrap_or(0),
            // How long the list is, nobody knows before it is made.
            _ => u64::MAX,
        };
        let length = |it: Option<Part<'_>>| it.map_or(1, |it| it.size);
        let tenth = |it: u64| it.div_ceil(10);
        let own = match name {
            "_?_:_" | "_&&_" | "_||_" | "@not_strictly_false" => 0,
            "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => tenth(length(first).min(length(second))),
            "_+_" => tenth(length(first).saturating_add(length(second))),
            "@in" => length(second),
            "matches" | "find" | "findAll" => tenth(length(first)).saturating_mul(length(second).div_ceil(4)),
            "contains" | "indexOf" | "lastIndexOf" => tenth(length(first)).saturating_mul(tenth(length(second)).max(1)),
            "startsWith" | "endsWith" => tenth(length(second)),
            "range" => range(),
            "size" | "type" | "has" => 1,
            it if BY_LENGTH.contains(&it) => 1 + tenth(length(first)),
            _ => 1,
        };
        let schema = match name {
            "_[_]" => {
                first.and_then(|it| it.schema).and_then(|it| it.get("items").or_else(|| it.get("additionalProperties")))
            }
            "_?_:_" => second.and_then(|it| it.schema),
            _ => None,
        };
        let long = match name {
            "_[_]" => size(schema),
            "_+_" => length(first).saturating_add(length(second)),
            "range" => range(),
            // How long the text of a number is, nobody knows there.
            "string" if first.is_some_and(|it| it.size == 1) => u64::MAX,
            "split" | "replace" | "lowerAscii" | "upperAscii" | "trim" | "substring" | "string" | "findAll"
            | "find" | "join" => length(first),
            _ => 1,
        };
        Part { cost: sum.saturating_add(own), schema, size: long }
    }

    fn comprehension(&mut self, it: &ComprehensionExpr, depth: usize) -> Part<'a> {
        let range = self.of(&it.iter_range.expr, depth + 1);
        let element = range.schema.and_then(|it| it.get("items"));
        let before = self.names.insert(it.iter_var.clone(), element);
        let mut each = |expr: &Expr| self.of(expr, depth + 1).cost;
        let loops = each(&it.loop_cond.expr).saturating_add(each(&it.loop_step.expr)).saturating_mul(range.size);
        let ends = each(&it.accu_init.expr).saturating_add(each(&it.result.expr));
        match before {
            Some(before) => self.names.insert(it.iter_var.clone(), before),
            None => self.names.remove(&it.iter_var),
        };
        let cost = range.cost.saturating_add(loops).saturating_add(ends).saturating_add(1);
        Part { cost, schema: None, size: range.size }
    }
}

/// The field that a rule calls so.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = schema.get("properties").and_then(Value::as_object);
    match fields {
        Some(fields) => fields.get(name),
        None => schema.get("additionalProperties"),
    }
}
