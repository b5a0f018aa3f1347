//! CEL rules of a definition: their words, their grammar, their cost.

use serde_json::{Map, Value};

use super::cost;
use super::schema::Found;
use crate::error::Cause;
use crate::validate::{causes, compile_cel, undeclared};

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What is wrong with the words of a place's rules.
pub(super) fn words(schema: &Map<String, Value>, field: &str) -> Vec<Cause> {
    let mut wrong = Vec::new();
    for (at, rule) in of(schema).enumerate() {
        let text = |key: &str| rule.get(key).and_then(Value::as_str);
        let place = |key: &str| format!("{field}.x-kubernetes-validations[{at}].{key}");
        let lines = |it: &str| it.trim().contains(['\n', '\r']);
        let (code, message) = (text("rule").unwrap_or_default(), text("message").unwrap_or_default());
        let blank = |it: &str| !it.is_empty() && it.trim().is_empty();
        if code.trim().is_empty() {
            wrong.push(causes::required(place("rule"), "rule is not specified"));
        } else if blank(message) {
            wrong.push(causes::invalid_text(place("message"), message, "must be non-empty if specified"));
        } else if lines(message) {
            wrong.push(causes::invalid_text(place("message"), message, "must not contain line breaks"));
        } else if lines(code) && message.is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            wrong.push(causes::required(place("message"), detail));
        }
        if text("messageExpression").is_some_and(blank) {
            let detail = "messageExpression must be non-empty if specified";
            wrong.push(causes::required(place("messageExpression"), detail));
        }
        if let Some(reason) = text("reason").filter(|it| !REASONS.contains(it)) {
            wrong.push(causes::not_supported(place("reason"), &reason.into(), REASONS));
        }
        let path = text("fieldPath").unwrap_or_default();
        if blank(path) {
            wrong.push(causes::invalid_text(place("fieldPath"), path, "must be non-empty if specified"));
        }
        if !path.is_empty() && !is_path(schema, path) {
            wrong.push(causes::invalid_text(place("fieldPath"), path, "must be a valid path"));
        }
    }
    wrong
}

/// Whether the path (`.a['b']`) leads to a field.
fn is_path(schema: &Map<String, Value>, path: &str) -> bool {
    let (mut at, mut rest) = (Some(schema), path);
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix("['").and_then(|it| it.split_once("']")) {
            Some(found) => found,
            None => {
                let Some(plain) = rest.strip_prefix('.') else { return false };
                plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
            }
        };
        let Some(known) = at else { return false };
        at = match known.get("properties").and_then(Value::as_object) {
            Some(fields) => match fields.get(name) {
                Some(it) => it.as_object(),
                None => return false,
            },
            None => match known.get("additionalProperties").and_then(Value::as_object) {
                Some(other) => Some(other),
                None => return false,
            },
        };
        rest = after;
    }
    true
}

/// What is wrong with the rules found in a schema that is right otherwise.
pub(super) fn check(root: &Map<String, Value>, field: &str, found: &[Found<'_>]) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let mut total = cost::Total::default();
    for it in found {
        let times = cost::times(root, it.field.strip_prefix(field).unwrap_or_default());
        for (at, rule) in of(it.schema).enumerate() {
            let place = |key: &str| format!("{}.x-kubernetes-validations[{at}].{key}", it.field);
            let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().trim();
            match compile_cel(text("rule")) {
                Err(words) => {
                    let detail = format!("compilation failed: {words}");
                    wrong.push(causes::invalid_printed(place("rule"), &printed(rule), &detail));
                }
                Ok(program) => {
                    total.rule(
                        program.expression(),
                        it.schema,
                        times,
                        &place("rule"),
                        "estimated rule cost",
                        &mut wrong,
                    );
                    let references = program.references();
                    wrong.extend(old_value(rule, references.has_variable("oldSelf"), it.no_old.as_deref(), &place));
                    wrong.extend(unknown_names(rule, &references, &place));
                }
            }
            if !text("messageExpression").is_empty() {
                let place = place("messageExpression");
                match compile_cel(text("messageExpression")) {
                    Err(words) => {
                        let detail = format!("messageExpression compilation failed: {words}");
                        wrong.push(causes::invalid_printed(place, &printed(rule), &detail));
                    }
                    Ok(program) => {
                        let name = "estimated messageExpression cost";
                        total.rule(program.expression(), it.schema, 1, &place, name, &mut wrong);
                    }
                }
            }
        }
    }
    wrong.extend(total.exceeded(field));
    wrong
}

fn old_value(rule: &Value, uses: bool, no_old: Option<&str>, place: &dyn Fn(&str) -> String) -> Option<Cause> {
    match (uses, no_old, rule.get("optionalOldSelf")) {
        (true, Some(within), _) => {
            let text = rule.get("rule").and_then(Value::as_str).unwrap_or_default();
            let detail = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
            Some(causes::invalid_text(place("rule"), text, &detail))
        }
        (false, _, Some(given)) => {
            let detail = "may not be set if oldSelf is not used in rule";
            Some(causes::invalid(place("optionalOldSelf"), given, detail))
        }
        _ => None,
    }
}

/// Variables that no rule has.
fn unknown_names(
    rule: &Value,
    references: &kube_cel::cel::parser::ExpressionReferences<'_>,
    place: &dyn Fn(&str) -> String,
) -> Option<Cause> {
    const KNOWN: [&str; 20] = [
        "self",
        "oldSelf",
        "int",
        "uint",
        "double",
        "bool",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "math",
        "sets",
        "base64",
        "format",
        "jsonpatch",
        "lists",
        "strings",
        "optional",
        "ip",
    ];
    let known = |it: &&str| KNOWN.contains(it) || it.starts_with('@') || it.starts_with("__");
    let mut unknown: Vec<_> = references.variables().into_iter().filter(|it| !known(it)).collect();
    unknown.sort_unstable();
    let name = unknown.first()?;
    let text = rule.get("rule").and_then(Value::as_str).unwrap_or_default().trim();
    // Names bound by macros are variables, too.
    let bound = ["all", "exists", "exists_one", "map", "filter", "optMap", "optFlatMap"];
    if bound.iter().any(|it| text.contains(&format!("{it}({name}")) || text.contains(&format!("{it}( {name}"))) {
        return None;
    }
    let at = text.find(*name).unwrap_or_default();
    let detail = format!("compilation failed: {}", undeclared(text, name, at));
    Some(causes::invalid_printed(place("rule"), &printed(rule), &detail))
}

/// A rule as the real one prints it: by its own names of the fields.
fn printed(rule: &Value) -> String {
    let text = |key: &str| rule.get(key).cloned().unwrap_or_else(|| "".into());
    let choice = |key: &str| rule.get(key).cloned().unwrap_or_default();
    let fields = [
        ("Rule", text("rule")),
        ("Message", text("message")),
        ("MessageExpression", text("messageExpression")),
        ("Reason", choice("reason")),
        ("FieldPath", text("fieldPath")),
        ("OptionalOldSelf", choice("optionalOldSelf")),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, it)| format!("\"{name}\":{it}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn of(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
}
