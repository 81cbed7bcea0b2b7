//! Reading types from a [`Node`].

use serde::{
    Deserializer,
    de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::StringDeserializer},
};
use serde_json::Number;

use super::{
    Content, Member, Node,
    misfit::{Misfit, QUOTE},
};
use crate::tekton::strict::case_variant;

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
