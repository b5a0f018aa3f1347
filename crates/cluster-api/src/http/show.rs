//! Objects as they were asked for: whole, as a Table, or by their metadata; as JSON or YAML.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::accept::{Form, Format, Shape};
use crate::http::reply::Reply;
use crate::kinds;
use crate::registry::Served;
use crate::store::Object;
use crate::table::{self, Include};

/// An object to be shown: a stored one, or one that is only said (dry runs, reviews, scales).
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    Stored(Arc<Object>),
    Loose(Value),
}

impl Shown {
    pub(crate) fn value(&self) -> &Value {
        match self {
            Self::Stored(object) => object.value(),
            Self::Loose(value) => value,
        }
    }
}

/// How objects of one kind are shown in one answer.
#[derive(Clone, Debug)]
pub(crate) struct Showing {
    pub(crate) served: Arc<Served>,
    pub(crate) form: Form,
    /// What a Table's rows have besides their cells.
    pub(crate) include: Include,
    pub(crate) now: Duration,
}

impl Showing {
    /// One object.
    pub(crate) fn reply(&self, code: u16, shown: &Shown) -> Reply {
        let mut text = Vec::new();
        self.one(shown, true, &mut text);
        self.finish(code, text)
    }

    /// A list, with this metadata.
    pub(crate) fn list(&self, metadata: &Value, objects: &[Arc<Object>]) -> Reply {
        let mut text = Vec::with_capacity(64 + 1024 * objects.len());
        match self.form.shape {
            Shape::Table => {
                let values: Vec<_> = objects.iter().map(|it| self.presented(it.value())).collect();
                let mut table = self.table(values.iter().map(|it| &**it));
                table["metadata"] = metadata.clone();
                write(&table, &mut text);
            }
            Shape::Metadata => {
                begin("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, &mut text);
                each(objects, &mut text, |object, text| partial(object.value(), text));
            }
            Shape::Whole | Shape::Discovery => self.whole_list(metadata, objects, &mut text),
        }
        self.finish(200, text)
    }

    fn whole_list(&self, metadata: &Value, objects: &[Arc<Object>], text: &mut Vec<u8>) {
        let version = self.served.api_version();
        begin(&self.served.list_kind, version, metadata, text);
        // The items of built-in kinds' lists say neither kind nor version, those of custom resources do.
        let head = self.served.is_custom().then_some((self.served.kind.as_str(), version));
        each(objects, text, |object, text| {
            if kinds::is_converted(&self.served) {
                write(&kinds::without_head(self.presented(object.value()).into_owned()), text);
            } else {
                object.write_json(head, text);
            }
        });
    }

    /// Appends one object; of a Table with its columns or without.
    pub(crate) fn one(&self, shown: &Shown, columns: bool, text: &mut Vec<u8>) {
        match (self.form.shape, shown) {
            (Shape::Table, _) => {
                let mut table = self.table([&*self.presented(shown.value())]);
                if let Some(revision) = shown.value().pointer("/metadata/resourceVersion") {
                    table["metadata"] = json!({"resourceVersion": revision});
                }
                if !columns {
                    table["columnDefinitions"] = json!([]);
                }
                write(&table, text);
            }
            (Shape::Metadata, _) => partial(shown.value(), text),
            (_, Shown::Stored(object)) if !kinds::is_converted(&self.served) => {
                object.write_json(Some((&self.served.kind, self.served.api_version())), text);
            }
            (_, Shown::Stored(object)) => write(&self.presented(object.value()), text),
            (_, Shown::Loose(value)) => write(value, text),
        }
    }

    /// The object in the version that is asked for.
    fn presented<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        kinds::presented(&self.served, value)
    }

    fn table<'a>(&self, values: impl IntoIterator<Item = &'a Value>) -> Value {
        table::render(self.served.columns(), values, self.include, self.now)
    }

    fn finish(&self, code: u16, text: Vec<u8>) -> Reply {
        match self.form.format {
            Format::Json => Reply::new(code, self.form.media_type(), text),
            Format::Yaml => {
                let value: Value = serde_json::from_slice(&text).unwrap_or_default();
                Reply::new(code, self.form.media_type(), serde_saphyr::to_string(&value).unwrap_or_default())
            }
        }
    }
}

/// The head of a list, as far as its first item.
fn begin(kind: &str, version: &str, metadata: &Value, text: &mut Vec<u8>) {
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{metadata},"items":["#);
    text.extend_from_slice(head.as_bytes());
}

/// The items of a list, and its end.
fn each(objects: &[Arc<Object>], text: &mut Vec<u8>, one: impl Fn(&Object, &mut Vec<u8>)) {
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        one(object, text);
    }
    text.extend_from_slice(b"]}");
}

/// An object's metadata alone.
fn partial(value: &Value, text: &mut Vec<u8>) {
    text.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
    match value.get("metadata") {
        Some(metadata) => write(metadata, text),
        None => text.extend_from_slice(b"{}"),
    }
    text.push(b'}');
}

fn write(value: &Value, text: &mut Vec<u8>) {
    // Writing a value with string keys to memory does not fail.
    let _ = serde_json::to_writer(text, value);
}
