//! Members of a run's JSON as Go writes them: what may be `null` or missing, and the values of results.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// A text, a list of texts or an object of texts, as Tekton writes the value of a result.
pub(crate) fn result_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text, a list of texts or an object of texts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Value, E> {
            Ok(text.into())
        }

        fn visit_string<E>(self, text: String) -> Result<Value, E> {
            Ok(text.into())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element::<String>()? {
                list.push(item.into());
            }
            Ok(Value::Array(list))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
            let mut object = Map::new();
            while let Some((key, value)) = members.next_entry::<String, String>()? {
                object.insert(key, value.into());
            }
            Ok(Value::Object(object))
        }
    }
    deserializer.deserialize_any(Texts)
}

/// The same, where it may be missing.
pub(super) fn optional_result_value<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    struct Maybe;
    impl<'de> Visitor<'de> for Maybe {
        type Value = Option<Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text, a list of texts or an object of texts")
        }

        fn visit_none<E>(self) -> Result<Option<Value>, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Option<Value>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
            result_value(deserializer).map(Some)
        }
    }
    deserializer.deserialize_option(Maybe)
}

/// Where it stands it is a text: `null` is not the same as nothing.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}
