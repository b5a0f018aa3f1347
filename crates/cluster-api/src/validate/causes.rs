//! The causes of a refusal, in the words of the real API server.
//!
//! Source: `apimachinery/pkg/util/validation/field/errors.go`. Values are printed as Go prints them: that is what clients see.

use serde_json::{Number, Value};

use crate::error::Cause;

/// The value has the right type and is wrong nonetheless.
#[must_use]
pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {}: {detail}", printed(value)))
}

/// An object or a list is wrong as a whole: it is not printed.
#[must_use]
pub fn invalid_whole(field: impl Into<String>, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {detail}"))
}

/// An object or a list is there twice: it is not printed.
#[must_use]
pub fn duplicate_whole(field: impl Into<String>) -> Cause {
    cause("FieldValueDuplicate", field, "Duplicate value".to_owned())
}

/// The same for a value that is printed already.
#[must_use]
pub fn invalid_printed(field: impl Into<String>, value: &str, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {value}: {detail}"))
}

/// The value is a text and wrong.
#[must_use]
pub fn invalid_text(field: impl Into<String>, value: &str, detail: &str) -> Cause {
    cause("FieldValueInvalid", field, format!("Invalid value: {}: {detail}", quoted(value)))
}

/// The value has another JSON type than the schema says.
#[must_use]
pub fn wrong_type(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
    cause("FieldValueTypeInvalid", field, format!("Invalid value: {}: {detail}", printed(value)))
}

/// A field is missing. The detail may be empty.
#[must_use]
pub fn required(field: impl Into<String>, detail: &str) -> Cause {
    cause("FieldValueRequired", field, with_detail("Required value", detail))
}

/// A field is not to be there, or not to change. The detail may be empty.
#[must_use]
pub fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
    cause("FieldValueForbidden", field, with_detail("Forbidden", detail))
}

/// The value is there twice.
#[must_use]
pub fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
    cause("FieldValueDuplicate", field, format!("Duplicate value: {}", printed(value)))
}

/// The value, printed already, is there twice.
#[must_use]
pub fn duplicate_printed(field: impl Into<String>, value: &str) -> Cause {
    cause("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
}

/// The value is none of these.
#[must_use]
pub fn not_supported<'a>(field: impl Into<String>, value: &Value, known: impl IntoIterator<Item = &'a str>) -> Cause {
    let known: Vec<_> = known.into_iter().map(quoted).collect();
    let detail = if known.is_empty() { String::new() } else { format!("supported values: {}", known.join(", ")) };
    cause("FieldValueNotSupported", field, with_detail(&format!("Unsupported value: {}", printed(value)), &detail))
}

/// The text is too long, in octets.
#[must_use]
pub fn too_long(field: impl Into<String>, most: u64) -> Cause {
    cause("FieldValueTooLong", field, format!("Too long: may not be more than {most} {}", counted("byte", most)))
}

/// The list or object has too many elements.
#[must_use]
pub fn too_many(field: impl Into<String>, have: usize, most: u64) -> Cause {
    cause("FieldValueTooMany", field, format!("Too many: {have}: must have at most {most} {}", counted("item", most)))
}

/// The text as Go's `%q` prints it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for it in text.chars() {
        match it {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            it if it.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(it))),
            it if it.is_control() || (it.is_whitespace() && it != ' ') => {
                out.push_str(&format!("\\u{:04x}", u32::from(it)));
            }
            it => out.push(it),
        }
    }
    out.push('"');
    out
}

/// The value as the real one prints it within a message: texts quoted, numbers and booleans plain, all else as JSON.
#[must_use]
pub fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => number_text(number),
        _ => go_json(value),
    }
}

/// A number as Go's `%v` prints it: whole ones of 64 bits as they are, others with an exponent from 10⁶ on and below 10⁻⁴.
#[must_use]
pub fn number_text(number: &Number) -> String {
    if number.is_i64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// JSON as Go writes it: keys sorted, `<`, `>` and `&` escaped.
fn go_json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['<', '>', '&']) {
        return text;
    }
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn counted(word: &str, count: u64) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn with_detail(message: &str, detail: &str) -> String {
    if detail.is_empty() { message.to_owned() } else { format!("{message}: {detail}") }
}

fn cause(reason: &'static str, field: impl Into<String>, message: String) -> Cause {
    Cause { reason, message, field: field.into() }
}
