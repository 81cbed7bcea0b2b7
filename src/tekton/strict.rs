//! Typed reading of JSON in one pass, with the rules that otherwise need the whole document as a value: no key appears twice
//! in one object, wherever it is, and where a type with fields is read, none is a case variant of one of them.
//!
//! And no list stands where Tekton has an object: serde would read its items as the fields in order, Go refuses it.
//!
//! [`Strict`] wraps a deserializer and looks at every key on its way to the type that is read, and at everything that the
//! type ignores. It only says yes or no: whoever gets a no reads a [`Node`](crate::tekton::strict::node::Node), which words the reason. The
//! fields are those that the type itself names, there as here.

pub(crate) mod json;
pub(crate) mod node;
pub mod parser_words;
pub mod yaml;

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};

/// Reads a `T` from the bytes of exactly one JSON document. `None`: it breaks a rule, or is no `T`.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(document: &'de [u8]) -> Option<T> {
    // Looked at as a whole it is UTF-8 sooner than text by text.
    let document = std::str::from_utf8(document).ok()?;
    let mut json = serde_json::Deserializer::from_str(document);
    let value = T::deserialize(Strict { inner: &mut json }).ok()?;
    json.end().ok()?;
    Some(value)
}

/// The field that Go's JSON reader takes a key for although it is written otherwise: it folds case, and two letters beyond
/// ASCII with it (`encoding/json`, `foldName`).
pub(crate) fn case_variant(key: &str, fields: &[&'static str]) -> Option<&'static str> {
    if fields.contains(&key) {
        return None;
    }
    let folded = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    let is_variant = |field: &&&str| match key.is_ascii() {
        true => key.eq_ignore_ascii_case(field),
        false => key.chars().map(folded).eq(field.chars().map(folded)),
    };
    fields.iter().find(is_variant).copied()
}

struct Strict<D> {
    inner: D,
}

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(Watch { visitor, fields: None })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit
        deserialize_seq deserialize_map deserialize_identifier
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, Watch { visitor, fields: None })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, Watch { visitor, fields: None })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Watch { visitor, fields: None })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, Watch { visitor, fields: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Watch { visitor, fields: Some(fields) })
    }

    /// An enum's content could not be watched.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, D::Error> {
        Err(D::Error::custom("an enum"))
    }

    /// What the type ignores is looked through all the same.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(Watch { visitor: IgnoredAny, fields: None })?;
        visitor.visit_unit()
    }
}

/// Hands everything on to the visitor, with what is inside wrapped again.
struct Watch<V> {
    visitor: V,
    /// Those of the type that is read, if it has fields.
    fields: Option<&'static [&'static str]>,
}

macro_rules! hand_on {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    hand_on! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict { inner })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict { inner })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        if self.fields.is_some() {
            return Err(A::Error::invalid_type(Unexpected::Seq, &"an object"));
        }
        self.visitor.visit_seq(Items { inner })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let fields = self.fields.unwrap_or_default();
        self.visitor.visit_map(Members { inner, fields, seen_fields: 0, seen: Seen::default() })
    }
}

struct Items<A> {
    inner: A,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Seed { seed })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Members<'de, A> {
    inner: A,
    fields: &'static [&'static str],
    /// A bit for each of `fields` that was there.
    seen_fields: u64,
    /// The other keys.
    seen: Seen<'de>,
}

impl<A> Members<'_, A> {
    /// The bit of a field; none of a key that is not a field, or one of the fields for which there are no more bits.
    fn bit(&self, key: &str) -> Option<u64> {
        let place = self.fields.iter().position(|field| *field == key)?;
        1u64.checked_shl(u32::try_from(place).ok()?)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.inner.next_key::<Key<'de>>()? else { return Ok(None) };
        let bit = self.bit(&key);
        if bit.is_none() && case_variant(&key, self.fields).is_some() {
            return Err(A::Error::custom("a case variant"));
        }
        let read = match &key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(StrDeserializer::new(key)),
        };
        let is_new = match bit {
            Some(bit) => self.seen_fields & bit == 0,
            None => self.seen.insert(key),
        };
        self.seen_fields |= bit.unwrap_or_default();
        if !is_new {
            return Err(A::Error::custom("a key that appears twice"));
        }
        read.map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Seed { seed })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Seed<S> {
    seed: S,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Strict { inner })
    }
}

/// A key, as it is in the document if it needs no unescaping.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The keys of one object so far.
#[derive(Default)]
struct Seen<'de> {
    first: Vec<Cow<'de, str>>,
    rest: HashSet<Cow<'de, str>>,
}

/// Objects with more keys than this pay for a hash table instead of comparing each with each.
const FEW: usize = 24;

impl<'de> Seen<'de> {
    /// `false`: it was there already.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.first.contains(&key) {
            return false;
        }
        if self.first.len() < FEW {
            self.first.push(key);
            return true;
        }
        self.rest.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
    struct Step {
        name: String,
        #[serde(default)]
        inner: Vec<Self>,
    }

    #[test]
    fn a_document_that_readers_may_read_differently_is_not_read() {
        let many = |repeated: &str| {
            let keys: Vec<String> = (0..40).map(|i| format!("\"k{i}\":{i}")).collect();
            format!("{{\"name\":\"a\",{},{repeated}:1}}", keys.join(","))
        };
        for (case, document, is_read) in [
            ("its fields", r#"{"name":"a","inner":[{"name":"b"}]}"#.to_owned(), true),
            ("more than its fields", r#"{"name":"a","more":{"x":[{"y":1}]}}"#.to_owned(), true),
            (
                "one key in two objects",
                r#"{"name":"a","more":{"name":1},"x":[{"y":1},{"y":2}]}"#.to_owned(),
                true,
            ),
            ("a field twice", r#"{"name":"a","name":"a"}"#.to_owned(), false),
            ("a field twice, escaped", r#"{"name":"a","n\u0061me":"a"}"#.to_owned(), false),
            (
                "a field twice, further in",
                r#"{"name":"a","inner":[{"name":"b","name":"b"}]}"#.to_owned(),
                false,
            ),
            ("another key twice", r#"{"name":"a","x":1,"x":1}"#.to_owned(), false),
            ("a key twice in what is ignored", r#"{"name":"a","x":[{"y":{"z":1,"z":1}}]}"#.to_owned(), false),
            ("a field in another case", r#"{"name":"a","Inner":[]}"#.to_owned(), false),
            ("a field in another case, alone", r#"{"NAME":"a"}"#.to_owned(), false),
            ("what is ignored, in another case", r#"{"name":"a","x":{"Name":1,"name":1}}"#.to_owned(), true),
            ("a list for an object", r#"["a"]"#.to_owned(), false),
            ("many keys", many("\"k40\""), true),
            ("one of the first of many keys twice", many("\"k0\""), false),
            ("one of the last of many keys twice", many("\"k39\""), false),
            ("something behind it", r#"{"name":"a"} {}"#.to_owned(), false),
        ] {
            assert_eq!(from_slice::<Step>(document.as_bytes()).is_some(), is_read, "{case}: {document}");
        }
        assert_eq!(from_slice::<Step>(b"{\"name\":\"\xff\"}"), None, "not UTF-8");
    }

    /// The two letters beyond ASCII are those that Go takes for `s` and `k`.
    #[test]
    fn a_field_in_another_case_is_the_one_that_go_takes_it_for() {
        for (key, field) in [
            ("taskspec", Some("taskSpec")),
            ("TASK\u{17f}PEC", Some("taskSpec")),
            ("tas\u{212a}Spec", Some("taskSpec")),
            ("taskSpec", None),
            ("task-spec", None),
            ("t\u{e4}skSpec", None),
            ("", None),
        ] {
            assert_eq!(case_variant(key, &["name", "taskSpec"]), field, "{key:?}");
        }
    }
}
