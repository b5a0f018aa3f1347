//! Whether values are what the schema says: types, bounds, patterns, formats, combinations.
//!
//! Faults, their words and which of several alternatives is blamed are those of `kube-openapi/pkg/validation/validate`. An unchanged
//! part of an updated object is not held against it ("ratcheting", `apiextensions-apiserver/pkg/apiserver/validation/ratcheting.go`).

use serde_json::{Number, Value};

use super::causes::{self, number_text, quoted};
use super::checks::{Bound, Checks};
use super::correlate::Old;
use super::formats::Format;
use super::path::{Path, Step};
use crate::error::Cause;
use crate::schema::{Schema, Type};

/// What was found, and how much of it fitted: of several alternatives the one that fits most is blamed.
#[derive(Default)]
pub(super) struct Found {
    pub(super) causes: Vec<Cause>,
    fits: usize,
}

impl Found {
    fn merge(&mut self, other: Self) {
        self.causes.extend(other.causes);
        self.fits += other.fits;
    }

    fn is_valid(&self) -> bool {
        self.causes.is_empty()
    }
}

/// Checks a value and all below it. What is unchanged is not looked at: nothing is held against it, and how much of it fits counts only
/// among alternatives, which have no past.
pub(super) fn check(value: &Value, old: Old<'_>, schema: &Schema, path: &Path<'_>) -> Found {
    if old.is_same(value) { Found::default() } else { one(value, old, schema, path) }
}

fn one(value: &Value, old: Old<'_>, schema: &Schema, path: &Path<'_>) -> Found {
    let checks = schema.checks();
    let mut found = Found::default();
    if !checks.types.is_empty() || checks.format.is_some() {
        found.merge(kind(value, schema, checks, path));
        found.fits += 1;
    }
    if value.is_null() {
        found.causes.extend(choice(value, checks, path));
        return found;
    }
    found.merge(combinations(value, checks, path));
    found.fits += 1;
    match value {
        Value::String(it) => {
            found.causes.extend(text(it, checks, path));
            found.fits += 1;
        }
        Value::Number(it) => {
            numbers(it, checks, path, &mut found.causes);
            found.fits += 2;
        }
        Value::Array(list) => {
            found.merge(elements(list, old, schema, path));
            found.fits += 2;
        }
        Value::Object(_) => {
            found.merge(fields(value, old, schema, path));
            found.fits += 1;
        }
        _ => {}
    }
    found.causes.extend(choice(value, checks, path));
    found.fits += 2;
    found
}

fn kind(value: &Value, schema: &Schema, checks: &Checks, path: &Path<'_>) -> Found {
    let name = type_name(value);
    let fits = |it: &Type| match (it, value) {
        (Type::Integer, Value::Number(number)) => is_whole(number),
        (Type::Number, Value::Number(_)) => true,
        (it, _) => it.word() == name,
    };
    let fits = checks.types.iter().any(fits);
    let format = checks.format.as_ref();
    let ok = match value {
        Value::Null => schema.nullable || checks.types.is_empty(),
        // A list passes for a text with a format: so it does with the real one.
        Value::String(_) | Value::Array(_) => fits || format.is_some_and(Format::is_of_texts),
        _ => fits,
    };
    if ok {
        return Found { causes: Vec::new(), fits: 1 };
    }
    if let (Some(format), Value::Bool(_) | Value::Number(_) | Value::Object(_)) = (format, value) {
        return Found { causes: vec![other_format(value, format.name(), path)], fits: 0 };
    }
    let wanted: Vec<_> = checks.types.iter().map(|it| it.word()).collect();
    let detail = format!("{} in body must be of type {}: {}", path.dotted(), wanted.join(","), quoted(name));
    Found { causes: vec![causes::wrong_type(field(path), &name.into(), &detail)], fits: 0 }
}

/// Where a format is asked for, it is said which one was found.
fn other_format(value: &Value, wanted: &str, path: &Path<'_>) -> Cause {
    let found = match value {
        Value::Number(it) if it.is_i64() => "int64",
        Value::Number(_) => "float64",
        _ => "",
    };
    let detail = format!("{} in body must be of type {wanted}: {}", path.dotted(), quoted(found));
    causes::wrong_type(field(path), &found.into(), &detail)
}

fn text(value: &str, checks: &Checks, path: &Path<'_>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let length = value.chars().count() as u64;
    let body = |words: String| causes::invalid_text(field(path), value, &format!("{} in body {words}", path.dotted()));
    if let Some(most) = checks.length.1.filter(|most| length > *most) {
        wrong.push(causes::too_long(field(path), most));
    } else if let Some(least) = checks.length.0.filter(|least| length < *least) {
        wrong.push(body(format!("should be at least {least} chars long")));
    } else if let Some((pattern, regex)) = &checks.pattern
        && !regex.is_match(value)
    {
        wrong.push(body(format!("should match '{pattern}'")));
    }
    if let Some(format) = checks.format.as_ref().filter(|it| it.is_of_texts() && !it.takes(value)) {
        let detail = format!("{} in body must be of type {}: {}", path.dotted(), format.name(), quoted(value));
        wrong.push(causes::wrong_type(field(path), &value.into(), &detail));
    }
    wrong
}

fn numbers(value: &Number, checks: &Checks, path: &Path<'_>, wrong: &mut Vec<Cause>) {
    let number = value.as_f64().unwrap_or_default();
    if checks.types == [Type::Integer] && !in_range(value, checks) {
        let format =
            checks.format.as_ref().map_or("(default format)".to_owned(), |it| format!("with format {}", it.name()));
        let detail = format!("Checked value must be of type integer {format} in {}", path.dotted());
        wrong.push(causes::invalid_text("<nil>", "", &detail));
    }
    let mut body = |words: String| {
        let detail = format!("{} in body {words}", path.dotted());
        wrong.push(causes::invalid(field(path), &Value::Number(value.clone()), &detail));
    };
    if let Some(factor) = checks.multiple_of.filter(|it| (number / it).fract() != 0.0) {
        body(format!("should be a multiple of {}", plain(factor)));
    }
    let beyond = |bound: &Bound, over: f64| over > 0.0 || (bound.exclusive && over == 0.0);
    if let Some(it) = checks.minimum.filter(|it| beyond(it, it.value - number)) {
        let or_equal = if it.exclusive { "" } else { " or equal to" };
        body(format!("should be greater than{or_equal} {}", plain(it.value)));
    }
    if let Some(it) = checks.maximum.filter(|it| beyond(it, number - it.value)) {
        let or_equal = if it.exclusive { "" } else { " or equal to" };
        body(format!("should be less than{or_equal} {}", plain(it.value)));
    }
}

/// Whether a whole number fits its format; 64 bits without one.
fn in_range(value: &Number, checks: &Checks) -> bool {
    let (least, most) = checks.format.as_ref().and_then(Format::range).unwrap_or((i64::MIN, i64::MAX));
    let whole = || value.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < 9.2e18);
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 64 bits")]
    let number = value.as_i64().or_else(|| whole().map(|it| it as i64));
    number.is_some_and(|it| (least..=most).contains(&it))
}

fn elements(list: &[Value], old: Old<'_>, schema: &Schema, path: &Path<'_>) -> Found {
    let checks = schema.checks();
    let mut found = Found { fits: 1, ..Found::default() };
    if let Some(items) = schema.items.as_deref() {
        for (at, value) in list.iter().enumerate() {
            found.merge(check(value, old.element(value, schema), items, &path.then(Step::Index(at))));
        }
    }
    let size = list.len() as u64;
    if let Some(least) = checks.items.0.filter(|least| size < *least) {
        let detail = format!("{} in body should have at least {least} items", path.dotted());
        found.causes.push(causes::invalid(field(path), &size.into(), &detail));
    }
    if let Some(most) = checks.items.1.filter(|most| size > *most) {
        found.causes.push(causes::too_many(field(path), list.len(), most));
    }
    found
}

fn fields(value: &Value, old: Old<'_>, schema: &Schema, path: &Path<'_>) -> Found {
    let mut found = Found::default();
    let Some(object) = value.as_object() else { return found };
    let checks = schema.checks();
    let size = object.len() as u64;
    if let Some(least) = checks.properties.0.filter(|least| size < *least) {
        let detail = format!("{} in body should have at least {least} properties", path.dotted());
        found.causes.push(causes::invalid(field(path), &size.into(), &detail));
    }
    if let Some(most) = checks.properties.1.filter(|most| size > *most) {
        found.causes.push(causes::too_many(field(path), object.len(), most));
    }
    for (name, value) in object {
        // Everything every object has is checked apart.
        let is_type = path.is_root() && matches!(name.as_str(), "apiVersion" | "kind");
        let old = if is_type { Old::UNKNOWN } else { old.field(name) };
        if let Some(known) = schema.properties.get(name) {
            found.merge(check(value, old, known, &path.then(Step::Field(name))));
        } else if let Some(other) = schema.additional.as_deref() {
            found.merge(check(value, old, other, &path.then(Step::Key(name))));
        }
    }
    if schema.embedded && !path.is_root() {
        for name in ["apiVersion", "kind"] {
            if object.get(name).and_then(Value::as_str).unwrap_or_default().is_empty() {
                found.causes.push(causes::required(path.then(Step::Field(name)).dotted(), ""));
            }
        }
    }
    for name in checks.required.iter().filter(|it| !object.contains_key(*it)) {
        found.causes.push(causes::required(path.then(Step::Field(name)).dotted(), ""));
    }
    found
}

fn combinations(value: &Value, checks: &Checks, path: &Path<'_>) -> Found {
    let mut found = Found { fits: 1, ..Found::default() };
    let refuse = |found: &mut Found, words: &str| {
        let detail = format!("{} must {words}", quoted(&path.dotted()));
        found.causes.push(causes::invalid_text("<nil>", "", &detail));
    };
    let try_all =
        |schemas: &[Schema]| -> Vec<Found> { schemas.iter().map(|it| one(value, Old::UNKNOWN, it, path)).collect() };
    if !checks.any_of.is_empty() {
        let tried = try_all(&checks.any_of);
        if !tried.iter().any(Found::is_valid) {
            refuse(&mut found, "validate at least one schema (anyOf)");
        }
        found.merge(chosen(tried));
    }
    if !checks.one_of.is_empty() {
        let tried = try_all(&checks.one_of);
        match tried.iter().filter(|it| it.is_valid()).count() {
            1 => found.merge(chosen(tried)),
            0 => {
                refuse(&mut found, "validate one and only one schema (oneOf). Found none valid");
                found.merge(chosen(tried));
            }
            many => {
                refuse(
                    &mut found,
                    &format!("validate one and only one schema (oneOf). Found {many} valid alternatives"),
                );
            }
        }
    }
    if !checks.all_of.is_empty() {
        let tried = try_all(&checks.all_of);
        let valid = tried.iter().filter(|it| it.is_valid()).count();
        let all = tried.len();
        tried.into_iter().for_each(|it| found.merge(it));
        if valid != all {
            let none = if valid == 0 { ". None validated" } else { "" };
            refuse(&mut found, &format!("validate all the schemas (allOf){none}"));
        }
    }
    if checks.not.as_deref().is_some_and(|it| one(value, Old::UNKNOWN, it, path).is_valid()) {
        refuse(&mut found, "not validate the schema (not)");
    }
    found
}

/// The first that is valid, else the first of those that fit most.
fn chosen(tried: Vec<Found>) -> Found {
    let mut best: Option<Found> = None;
    for it in tried {
        if it.is_valid() {
            return it;
        }
        if best.as_ref().is_none_or(|best| it.fits > best.fits) {
            best = Some(it);
        }
    }
    best.unwrap_or_default()
}

fn choice(value: &Value, checks: &Checks, path: &Path<'_>) -> Option<Cause> {
    if checks.choices.is_empty() || checks.choices.iter().any(|it| is_same(it, value)) {
        return None;
    }
    let known: Vec<_> =
        checks.choices.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned)).collect();
    Some(causes::not_supported(field(path), value, known.iter().map(String::as_str)))
}

/// `1` and `1.0` are one number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.as_f64().is_some_and(|it| it.fract() == 0.0 && it.abs() <= 9_007_199_254_740_991.0)
}

fn field(path: &Path<'_>) -> String {
    if path.is_root() { "<nil>".to_owned() } else { path.dotted() }
}

fn plain(number: f64) -> String {
    Number::from_f64(number).map_or_else(String::new, |it| number_text(&it))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
