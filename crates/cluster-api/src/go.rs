//! How Go prints values: the real API server's messages contain `%v`, `%#v` and `%T` of decoded JSON.
//!
//! Source: Go's `fmt` package. Numbers without fraction are `int64` there, as the API server decodes them.

use serde_json::{Map, Value};

/// What `encoding/json` calls a value that it can't decode.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `%v`: `map[a:1 b:[x y]]`.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => plain_list(items),
        Value::Object(fields) => {
            let fields = sorted(fields).into_iter().map(|(key, value)| format!("{key}:{}", plain(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

/// `%v` of a list: `[x y]`.
#[must_use]
pub fn plain_list(items: &[Value]) -> String {
    format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" "))
}

/// `%#v`: `map[string]interface {}{"a":1}`.
#[must_use]
pub fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields = sorted(fields).into_iter().map(|(key, value)| format!("{}:{}", quoted(key), syntax(value)));
            format!("map[string]interface {{}}{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Bool(_) | Value::Number(_) => plain(value),
    }
}

/// `%T`: `map[string]interface {}`.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `%q`: the text in quotes, with what does not print escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// JSON as Go's `encoding/json` writes it: keys sorted, and `<`, `>`, `&` escaped.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

/// A JSON string as Go writes it.
#[must_use]
pub fn json_text(text: &str) -> String {
    let plain = Value::from(text).to_string();
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let plain = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    plain.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(&json_text(text)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, field)) in sorted(fields).into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&json_text(key));
                out.push(':');
                write_json(field, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// Go's maps print sorted; ours keep the order of the request where another crate asks serde_json for that.
fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_go_prints_them() {
        let value = json!({"b": [1, "x", null], "a": {"c": true}});
        assert_eq!(plain(&value), "map[a:map[c:true] b:[1 x <nil>]]");
        let long = r#"map[string]interface {}{"a":map[string]interface {}{"c":true}, "b":[]interface {}{1, "x", interface {}(nil)}}"#;
        assert_eq!(syntax(&value), long);
        assert_eq!(type_name(&json!(1)), "int64");
        assert_eq!(type_name(&json!(1.5)), "float64");
        assert_eq!(quoted("a\"\n\u{1}"), r#""a\"\n\x01""#);
    }

    #[test]
    fn json_is_sorted_and_safe_for_html_as_go_writes_it() {
        assert_eq!(json(&json!({"b": "<&>", "a": [1, {}]})), r#"{"a":[1,{}],"b":"\u003c\u0026\u003e"}"#);
    }
}
