//! A number that tells one status or spec from another, computed as it is serialized: no text, no tree of values.
//!
//! It does not see the order of fields, fields that are null, and `lastTransitionTime`. What is read from the API server and what is about
//! to be written come out alike where they say the same, whichever types they were read through. It is not for anything that must withstand
//! intent: a change that goes unseen costs a repair, nothing else.

use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::sync::LazyLock;

use foldhash::quality::FixedState;
use serde::ser::{self, Impossible, Serialize, SerializeMap as _, SerializeSeq as _};

/// The field that says since when, which is no news by itself.
const UNSEEN: &str = "lastTransitionTime";
static UNSEEN_KEY: LazyLock<u64> = LazyLock::new(|| of(Sort::Text, UNSEEN));

/// The fingerprint of a value.
pub(crate) fn fingerprint<T: Serialize + ?Sized>(status: &T) -> u64 {
    status.serialize(Printer).ok().flatten().unwrap_or_default()
}

/// What kind of value was hashed, lest a text be taken for a number.
#[derive(Clone, Copy, Hash)]
enum Sort {
    Truth,
    Integer,
    Fraction,
    Text,
    List,
    Fields,
}

fn of(sort: Sort, value: impl Hash) -> u64 {
    FixedState::default().hash_one((sort, value))
}

/// Serializes to a number; to none where JSON has `null`.
struct Printer;

/// A value that is no JSON: keys that are no texts. Ours have none.
#[derive(Debug)]
struct NoJson;

impl fmt::Display for NoJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no JSON")
    }
}

impl std::error::Error for NoJson {}

impl ser::Error for NoJson {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Print = Result<Option<u64>, NoJson>;

/// The values of a list, in order.
struct List(Vec<u64>);

/// The fields of an object, in any order.
#[derive(Default)]
struct Fields {
    key: u64,
    count: usize,
    sum: u64,
    /// The variant that holds them, where there is one.
    variant: Option<&'static str>,
}

impl Fields {
    fn add(&mut self, key: u64, value: Option<u64>) {
        if let Some(value) = value {
            self.count += 1;
            self.sum = self.sum.wrapping_add(of(Sort::Fields, (key, value)));
        }
    }

    fn print(self) -> Print {
        let fields = of(Sort::Fields, (self.count, self.sum));
        Ok(Some(self.variant.map_or(fields, |name| variant(name, fields))))
    }
}

/// An object with one field.
fn variant(name: &str, value: u64) -> u64 {
    let mut fields = Fields::default();
    fields.add(of(Sort::Text, name), Some(value));
    of(Sort::Fields, (fields.count, fields.sum))
}

macro_rules! integers {
    ($($name:ident: $kind:ty),*) => {
        $(fn $name(self, value: $kind) -> Print {
            Ok(Some(of(Sort::Integer, i128::from(value))))
        })*
    };
}

impl ser::Serializer for Printer {
    type Ok = Option<u64>;
    type Error = NoJson;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = Impossible<Option<u64>, NoJson>;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    integers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Print {
        Ok(Some(of(Sort::Truth, value)))
    }

    fn serialize_f32(self, value: f32) -> Print {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Print {
        Ok(Some(of(Sort::Fraction, value.to_bits())))
    }

    fn serialize_char(self, value: char) -> Print {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Print {
        Ok(Some(of(Sort::Text, value)))
    }

    fn serialize_bytes(self, value: &[u8]) -> Print {
        value.serialize(self)
    }

    fn serialize_none(self) -> Print {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Print {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Print {
        Ok(None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Print {
        Ok(None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Print {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Print {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Print {
        Ok(value.serialize(self)?.map(|value| variant(name, value)))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List, NoJson> {
        Ok(List(Vec::with_capacity(length.unwrap_or_default())))
    }

    fn serialize_tuple(self, length: usize) -> Result<List, NoJson> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List, NoJson> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NoJson> {
        Err(NoJson)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields, NoJson> {
        Ok(Fields::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, NoJson> {
        Ok(Fields::default())
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, name: &'static str, _: usize) -> Result<Fields, NoJson> {
        Ok(Fields { variant: Some(name), ..Fields::default() })
    }
}

impl ser::SerializeSeq for List {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.0.push(value.serialize(Printer)?.unwrap_or_default());
        Ok(())
    }

    fn end(self) -> Print {
        Ok(Some(of(Sort::List, self.0)))
    }
}

impl ser::SerializeTuple for List {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Print {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for List {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.serialize_element(value)
    }

    fn end(self) -> Print {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeMap for Fields {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoJson> {
        self.key = key.serialize(Printer)?.ok_or(NoJson)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        if self.key != *UNSEEN_KEY {
            self.add(self.key, value.serialize(Printer)?);
        }
        Ok(())
    }

    fn end(self) -> Print {
        self.print()
    }
}

impl ser::SerializeStruct for Fields {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NoJson> {
        // Before it is serialized: a time becomes a text by much work.
        if name == UNSEEN { Ok(()) } else { self.serialize_entry(name, value) }
    }

    fn end(self) -> Print {
        self.print()
    }
}

impl ser::SerializeStructVariant for Fields {
    type Ok = Option<u64>;
    type Error = NoJson;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NoJson> {
        ser::SerializeStruct::serialize_field(self, name, value)
    }

    fn end(self) -> Print {
        self.print()
    }
}

#[cfg(test)]
mod tests {
    use lamia_api::host::SecuredHostStatus;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_fingerprint_sees_what_a_reader_would_call_different() {
        let one =
            json!({"a": 1, "b": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let same = json!({"b": [{"lastTransitionTime": "2027-01-01T00:00:00Z", "status": "True", "type": "Ready"}], "a": 1, "c": null});
        assert_eq!(fingerprint(&one), fingerprint(&same));
        for other in [
            json!({"a": 2, "b": one["b"]}),
            json!({"a": "1", "b": one["b"]}),
            json!({"a": 1, "b": []}),
            json!({"b": 1, "a": one["b"]}),
            json!({"a": 1}),
            json!([]),
            json!({}),
            Value::Null,
        ] {
            assert_ne!(fingerprint(&one), fingerprint(&other), "{other}");
        }
    }

    #[test]
    fn a_status_and_its_json_have_the_same() {
        let json = json!({
            "observedGeneration": 3, "host": "shop.example.org", "addresses": ["192.0.2.1"], "zone": null,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Ready", "message": "all is well",
                "lastTransitionTime": "2027-01-15T08:00:00Z", "observedGeneration": 3,
            }],
            "certificate": {"sha256": "ab", "notAfter": "2027-02-15T08:00:00Z"},
        });
        let status: SecuredHostStatus = serde_json::from_value(json).expect("a status");
        assert_eq!(fingerprint(&status), fingerprint(&serde_json::to_value(&status).expect("JSON")));
    }
}
