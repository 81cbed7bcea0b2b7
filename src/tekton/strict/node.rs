//! A document that was read, JSON or YAML, before it is known what it holds; and reading types from it, with errors that say
//! where something stands and what is wrong with it.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Serialize, Serializer,
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess,
        SeqAccess, Unexpected, Visitor, value::StringDeserializer,
    },
};
use serde_json::{Map, Number, Value};

use crate::tekton::strict::case_variant;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The line of its input, from 1; 0 if that is not known, as in JSON.
    pub(crate) line: u64,
    pub(crate) content: Content,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Members in their order; no key appears twice.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// The line that the key stands in; 0 if that is not known.
    pub(crate) line: u64,
    pub(crate) value: Node,
}

/// Why a document is not what was looked for: the place in it, the line if it is known, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    place: String,
    line: u64,
    what: String,
}

impl Node {
    /// The member `key` of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.key == key).map(|member| &member.value)
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.content {
            Content::Object(members) => members,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether lists and objects are nested in more levels.
    pub(crate) fn is_deeper_than(&self, levels: usize) -> bool {
        let below = |node: &Self| levels.checked_sub(1).is_none_or(|levels| node.is_deeper_than(levels));
        match &self.content {
            Content::List(items) => levels == 0 || items.iter().any(below),
            Content::Object(members) => levels == 0 || members.iter().any(|member| below(&member.value)),
            _ => false,
        }
    }

    /// Reads a `T`.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Misfit> {
        T::deserialize(self)
    }

    fn misfit(&self, expected: &dyn fmt::Display) -> Misfit {
        let advice = match &self.content {
            Content::Bool(_) | Content::Number(_) | Content::Null if self.line > 0 => QUOTE,
            _ => "",
        };
        let found = match &self.content {
            Content::Null => "null".to_owned(),
            Content::Bool(value) => value.to_string(),
            Content::Number(number) => format!("the number {number}"),
            Content::Text(text) => format!("the text {}", shortened(text)),
            Content::List(_) => "a list".to_owned(),
            Content::Object(_) => "an object".to_owned(),
        };
        let what = format!("{found} stands where {expected} belongs{advice}");
        Misfit { place: String::new(), line: self.line, what }
    }
}

/// As JSON, without the lines.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            Content::Null => serializer.serialize_unit(),
            Content::Bool(value) => serializer.serialize_bool(*value),
            Content::Number(number) => number.serialize(serializer),
            Content::Text(text) => serializer.serialize_str(text),
            Content::List(items) => serializer.collect_seq(items),
            Content::Object(members) => {
                serializer.collect_map(members.iter().map(|member| (&member.key, &member.value)))
            }
        }
    }
}

/// What to do about a scalar of YAML that should be text.
const QUOTE: &str = "; quote it, or give JSON";

/// A text as it is in a message: quoted, and not all of a long one.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            f.write_str(&self.place)?;
        }
        match (self.line, self.place.is_empty()) {
            (0, true) => {}
            (0, false) => f.write_str(": ")?,
            (line, true) => write!(f, "line {line}: ")?,
            (line, false) => write!(f, " (line {line}): ")?,
        }
        f.write_str(&self.what)
    }
}

impl Misfit {
    /// The same, seen from the object or list that it is in.
    fn within(mut self, step: fmt::Arguments<'_>, line: u64) -> Self {
        let inner = std::mem::take(&mut self.place);
        let separator = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        self.place = format!("{step}{separator}{inner}");
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    fn here(what: String) -> Self {
        Self { place: String::new(), line: 0, what }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::here(what.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Str(text) => format!("the text {}", shortened(text)),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            other => other.to_string(),
        };
        Self::here(format!("{found} stands where {expected} belongs"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::here(format!("{} is none of {}", shortened(found), known.join(", ")))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let there_are = match known {
            [] => String::new(),
            known => format!("; there are {}", known.join(", ")),
        };
        Self::here(format!("there is no field {}{there_are}", shortened(field)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { place: field.to_owned(), line: 0, what: "it is missing".to_owned() }
    }
}

/// Numbers are read as what they are: whole ones as whole ones.
fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Misfit> {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), ..) => visitor.visit_u64(number),
        (_, Some(number), _) => visitor.visit_i64(number),
        (.., Some(number)) => visitor.visit_f64(number),
        _ => Err(Misfit::here("a number without a value".to_owned())),
    }
}

macro_rules! whole_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match &self.content {
                Content::Number(number) if !number.is_f64() => visit_number(number, visitor),
                _ => Err(self.misfit(&"a whole number")),
            }
        }
    )*};
}

macro_rules! text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.content {
                Content::Text(text) => visitor.visit_string(text),
                _ => Err(self.misfit(&"text")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Misfit;

    whole_number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    text! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let line = self.line;
        let is_unquoted =
            line > 0 && matches!(self.content, Content::Null | Content::Bool(_) | Content::Number(_));
        let read = match self.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(value),
            Content::Number(number) => visit_number(&number, visitor),
            Content::Text(text) => visitor.visit_string(text),
            Content::List(items) => visitor.visit_seq(Items { items: items.into_iter(), index: 0 }),
            Content::Object(members) => visitor.visit_map(Members::new(members, &[])),
        };
        read.map_err(|misfit| match misfit.line {
            0 if is_unquoted => Misfit { line, what: misfit.what + QUOTE, ..misfit },
            0 => Misfit { line, ..misfit },
            _ => misfit,
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.content {
            Content::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.misfit(&"true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Number(number) => visit_number(number, visitor),
            _ => Err(self.misfit(&"a number")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.content {
            Content::Null => visitor.visit_unit(),
            _ => Err(self.misfit(&"null")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.content {
            Content::List(items) => visitor.visit_seq(Items { items: items.into_iter(), index: 0 }),
            _ => Err(self.misfit(&"a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let line = self.line;
        match self.content {
            Content::Object(members) => visitor
                .visit_map(Members::new(members, fields))
                .map_err(|misfit| if misfit.line == 0 { Misfit { line, ..misfit } } else { misfit }),
            _ => Err(self.misfit(&"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let line = self.line;
        match self.content {
            Content::Text(text) => {
                let text: StringDeserializer<Misfit> = text.into_deserializer();
                visitor.visit_enum(text).map_err(|misfit| Misfit { line, ..misfit })
            }
            _ => Err(self.misfit(&"text")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}

struct Items {
    items: std::vec::IntoIter<Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let (index, line) = (self.index, item.line);
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|misfit| misfit.within(format_args!("[{index}]"), line))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    members: std::vec::IntoIter<Member>,
    /// Those of the type that is read; none of a map.
    fields: &'static [&'static str],
    value: Option<Member>,
}

impl Members {
    fn new(members: Vec<Member>, fields: &'static [&'static str]) -> Self {
        Self { members: members.into_iter(), fields, value: None }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(mut member) = self.members.next() else { return Ok(None) };
        if let Some(field) = case_variant(&member.key, self.fields) {
            let what = format!(
                "the field {:?} is {field:?} in another case, and Go reads it as that one: two readers see two objects",
                member.key
            );
            return Err(Misfit { place: String::new(), line: member.line, what });
        }
        let (key, line) = (std::mem::take(&mut member.key), member.line);
        let read = seed.deserialize(key.as_str().into_deserializer());
        self.value = Some(Member { key, ..member });
        read.map(Some).map_err(|misfit: Misfit| Misfit { line, ..misfit })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let Some(Member { key, line, value }) = self.value.take() else {
            return Err(Misfit::here("a value without its key".to_owned()));
        };
        seed.deserialize(value).map_err(|misfit| misfit.within(format_args!("{key}"), line))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The first key that appears twice.
pub(crate) fn repeated(members: &[Member]) -> Option<&Member> {
    // Nearly all objects are small, and need no table then.
    if members.len() <= 16 {
        let twice =
            |(i, member): &(usize, &Member)| members[..*i].iter().any(|earlier| earlier.key == member.key);
        return members.iter().enumerate().find(twice).map(|(_, member)| member);
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().find(|member| !seen.insert(member.key.as_str()))
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(number) => Content::Number(number),
            Value::String(text) => Content::Text(text),
            Value::Array(items) => Content::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let member = |(key, value)| Member { key, line: 0, value: Self::from(value) };
                Content::Object(members.into_iter().map(member).collect())
            }
        };
        Self { line: 0, content }
    }
}

impl From<Node> for Value {
    fn from(node: Node) -> Self {
        match node.content {
            Content::Null => Self::Null,
            Content::Bool(value) => value.into(),
            Content::Number(number) => Self::Number(number),
            Content::Text(text) => text.into(),
            Content::List(items) => items.into_iter().map(Self::from).collect(),
            Content::Object(members) => {
                let members = members.into_iter().map(|member| (member.key, Self::from(member.value)));
                Self::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// From JSON, where a key that appears twice in one object is an error.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(|content| Self { line: 0, content })
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Content, E> {
        Number::from_f64(value).map(Content::Number).ok_or_else(|| E::custom("a number that is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Content, A::Error> {
        let mut object = Vec::new();
        while let Some((key, value)) = members.next_entry()? {
            object.push(Member { key, line: 0, value });
        }
        match repeated(&object) {
            Some(member) => {
                Err(A::Error::custom(format_args!("the key {:?} appears twice in one object", member.key)))
            }
            None => Ok(Content::Object(object)),
        }
    }
}
