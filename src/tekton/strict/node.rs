//! A document that was read, JSON or YAML, before it is known what it holds; and reading types from it, with errors that say
//! where something stands and what is wrong with it.

mod deserializer;
mod misfit;

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Serialize, Serializer,
    de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

pub(crate) use self::misfit::Misfit;

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
