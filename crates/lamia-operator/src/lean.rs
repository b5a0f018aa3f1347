//! Objects read without their `managedFields`: who owns which field is a third of an object's text, and as trees most of what reading it
//! costs and takes, only to be thrown away.
//!
//! An API server leaves them out of nothing, metadata included. So they are passed over while an object is read, whatever its type:
//!
//! ```text
//! Deserializer ──► Visitor ──► Fields of the object ──"metadata"──► Deserializer ──► Visitor ──► Fields of the metadata ──"managedFields"──► ∅
//! ```

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// An object without its `managedFields`.
#[derive(Clone, Debug)]
pub(crate) struct Lean<K>(pub(crate) K);

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        K::deserialize(Within { place: Place::Object, inner: from }).map(Self)
    }
}

impl<K: Resource> Resource for Lean<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(kind: &K::DynamicType) -> Cow<'_, str> {
        K::kind(kind)
    }

    fn group(kind: &K::DynamicType) -> Cow<'_, str> {
        K::group(kind)
    }

    fn version(kind: &K::DynamicType) -> Cow<'_, str> {
        K::version(kind)
    }

    fn api_version(kind: &K::DynamicType) -> Cow<'_, str> {
        K::api_version(kind)
    }

    fn plural(kind: &K::DynamicType) -> Cow<'_, str> {
        K::plural(kind)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn url_path(kind: &K::DynamicType, namespace: Option<&str>) -> String {
        K::url_path(kind, namespace)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

/// Where something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Object,
    Metadata,
}

/// A part of serde's machinery that knows where it is.
struct Within<T> {
    place: Place,
    inner: T,
}

macro_rules! as_it_is {
    ($($name:ident)*) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$name(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Within<D> {
    type Error = D::Error;

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Within { place: self.place, inner: visitor })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Within { place: self.place, inner: visitor })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Within { place: self.place, inner: visitor })
    }

    // An object and its metadata are neither of these.
    as_it_is! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_seq deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Fields { place: self.place, at_metadata: false, map })
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Within { place: self.place, inner: from })
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(seq)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Within<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Within { place: self.place, inner: from })
    }
}

/// A field's name.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object, or of its metadata.
struct Fields<A> {
    place: Place,
    /// Whether the value that comes next is the object's metadata.
    at_metadata: bool,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        while let Some(Name(name)) = self.map.next_key()? {
            if self.place == Place::Metadata && name == "managedFields" {
                self.map.next_value::<IgnoredAny>()?;
                continue;
            }
            self.at_metadata = self.place == Place::Object && name == "metadata";
            return seed.deserialize(name.into_deserializer()).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        if self.at_metadata {
            self.map.next_value_seed(Within { place: Place::Metadata, inner: seed })
        } else {
            self.map.next_value_seed(seed)
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::core::{DynamicObject, PartialObjectMeta, WatchEvent};
    use lamia_api::SecuredHost;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    /// An object with everything that makes reading hard: managed fields, and the same name elsewhere.
    fn host() -> Value {
        json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {
                "name": "shop", "namespace": "shop", "uid": "1", "labels": {"managedFields": "kept", "a\"b": "c"},
                "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:host": {}}}}],
                "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "it", "uid": "2"}],
            },
            "spec": {"host": "shop.example.org"},
        })
    }

    /// Reads an object with and without; says that the two differ in nothing but their managed fields.
    fn read<K: DeserializeOwned + Serialize + Resource>(object: &Value) -> K {
        let text = object.to_string();
        let mut whole: K = serde_json::from_str(&text).expect("an object");
        assert!(whole.meta_mut().managed_fields.take().is_some(), "{text}");
        let Lean(lean) = serde_json::from_str::<Lean<K>>(&text).expect("the same object");
        let json = |object: &K| serde_json::to_value(object).expect("JSON");
        assert_eq!(json(&lean), json(&whole));
        lean
    }

    #[test]
    fn an_object_of_any_type_is_read_as_it_is_but_for_its_managed_fields() {
        let lean: SecuredHost = read(&host());
        assert_eq!(lean.metadata.labels.expect("labels").len(), 2);
        read::<DynamicObject>(&host());
        read::<PartialObjectMeta<SecuredHost>>(&host());
        let secret = json!({"metadata": host()["metadata"], "data": {"managedFields": "eA==", "metadata": "eA=="}});
        let lean: Secret = read(&secret);
        assert_eq!(lean.data.expect("data").len(), 2);
    }

    #[test]
    fn an_object_within_a_watch_event_is_read_alike_whatever_comes_first() {
        for text in [
            format!(r#"{{"type": "ADDED", "object": {}}}"#, host()),
            format!(r#"{{"object": {}, "type": "ADDED"}}"#, host()),
        ] {
            let event: WatchEvent<Lean<SecuredHost>> = serde_json::from_str(&text).expect("an event");
            let WatchEvent::Added(Lean(lean)) = event else { panic!("{event:?}") };
            assert_eq!((lean.metadata.name.as_deref(), lean.metadata.managed_fields), (Some("shop"), None));
        }
    }

    #[test]
    fn what_is_no_object_is_refused_in_the_same_words() {
        for text in
            ["[]", "3", r#"{"metadata": 3}"#, r#"{"metadata": {"name": 3}}"#, r#"{"metadata": {"managedFields": ["#]
        {
            let whole = serde_json::from_str::<Secret>(text).expect_err("no Secret");
            let lean = serde_json::from_str::<Lean<Secret>>(text).expect_err("no Secret");
            assert_eq!(lean.to_string(), whole.to_string(), "{text}");
        }
    }
}
