//! JSON as Go's `encoding/json` reads it (scanner.go, decode.go): a lone surrogate becomes U+FFFD, `null` leaves a field
//! empty, member names match without regard to case, and of repeated ones the last counts.

mod escape;
pub mod syntax;

pub use escape::{escape, escape_bytes};

pub use crate::json::syntax::SyntaxError;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object's members in their order.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// What Go calls a value of this kind in its errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// Reads one value and nothing else. Each byte that is not part of UTF-8 is read as U+FFFD.
pub fn parse(text: &[u8]) -> Result<Json, SyntaxError> {
    syntax::check(text)?;
    let mut readable = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        readable.push_str(chunk.valid());
        readable.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Parser::new(&readable).whole(Parser::value).ok_or(SyntaxError::End)
}

/// Reads JSON from the start of a text. `None`: there is something else.
pub struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// At the start of this text.
    pub fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    /// What `parse` reads, if only white space is around it.
    pub fn whole<T>(mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = parse(&mut self)?;
        self.next_byte().is_none().then_some(value)
    }

    /// The next byte that is not white space; it stays where it is.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next_byte() == Some(byte)).then(|| self.at += 1)
    }

    /// Any value. How deep it is nested was checked before.
    fn value(&mut self) -> Option<Json> {
        match self.next_byte()? {
            b'"' => self.string().map(Json::Text),
            b'[' => {
                let mut items = Vec::new();
                self.list(|parser| {
                    items.push(parser.value()?);
                    Some(())
                })?;
                Some(Json::List(items))
            }
            b'{' => {
                let mut members = Vec::new();
                self.object(|parser, key| {
                    members.push((key, parser.value()?));
                    Some(())
                })?;
                Some(Json::Object(members))
            }
            b't' => self.literal("true").map(|()| Json::Bool(true)),
            b'f' => self.literal("false").map(|()| Json::Bool(false)),
            b'n' => self.literal("null").map(|()| Json::Null),
            _ => self.number().map(Json::Number),
        }
    }

    /// A string or `null`, which counts as empty.
    pub fn text(&mut self) -> Option<String> {
        match self.next_byte() {
            Some(b'n') => self.literal("null").map(|()| String::new()),
            _ => self.string(),
        }
    }

    /// A list whose items `item` reads.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.eat(b'[')?;
        if self.eat(b']').is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.eat(b']').is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    /// An object whose members' values `member` reads.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, String) -> Option<()>) -> Option<()> {
        self.eat(b'{')?;
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.eat(b':')?;
            member(self, key)?;
            if self.eat(b'}').is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.text[self.at..].starts_with(literal).then(|| self.at += literal.len())
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(self.text[start..self.at].to_owned())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn digits(&mut self) -> Option<()> {
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }

    fn string(&mut self) -> Option<String> {
        self.eat(b'"')?;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            text.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Some(text),
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let escaped = self.byte()?;
        self.at += 1;
        Some(match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or('\u{fffd}'));
        }
        let after_high = self.at;
        if self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low)
                && let Some(both) = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            {
                return Some(both);
            }
        }
        // Go replaces only the first of the two and reads the second escape again.
        self.at = after_high;
        Some('\u{fffd}')
    }

    fn hex4(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..4 {
            number = number * 16 + char::from(self.byte()?).to_digit(16)?;
            self.at += 1;
        }
        Some(number)
    }
}

/// A value of another kind than the field it is for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into Go {} of type {expected}", if .field.is_empty() { "value".to_owned() } else { format!("struct field {}", .field) })]
pub struct TypeError {
    /// The kind that was found.
    pub found: &'static str,
    /// The innermost struct and the path to the field, `WhenExpression.values` for example; empty outside of any.
    pub field: String,
    /// The Go type.
    pub expected: &'static str,
}

/// Reading fields of Go structs.
impl Json {
    fn mismatch(&self, field: &str, expected: &'static str) -> TypeError {
        TypeError { found: self.kind(), field: field.to_owned(), expected }
    }

    /// A Go `string`; `null` is the empty one.
    pub fn as_text(&self, field: &str) -> Result<String, TypeError> {
        match self {
            Self::Null => Ok(String::new()),
            Self::Text(text) => Ok(text.clone()),
            other => Err(other.mismatch(field, "string")),
        }
    }

    /// A Go `bool`; `null` is false.
    pub fn as_bool(&self, field: &str) -> Result<bool, TypeError> {
        match self {
            Self::Null => Ok(false),
            Self::Bool(is) => Ok(*is),
            other => Err(other.mismatch(field, "bool")),
        }
    }

    /// A Go slice, or `None` for `null`.
    pub fn as_list<T, E: From<TypeError>>(
        &self,
        field: &str,
        expected: &'static str,
        item: impl Fn(&Self) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, E> {
        match self {
            Self::Null => Ok(None),
            Self::List(items) => items.iter().map(item).collect::<Result<_, _>>().map(Some),
            other => Err(other.mismatch(field, expected).into()),
        }
    }

    /// A Go struct's or map's members; `null` has none.
    pub fn as_members(&self, field: &str, expected: &'static str) -> Result<&[(String, Self)], TypeError> {
        match self {
            Self::Null => Ok(&[]),
            Self::Object(members) => Ok(members),
            other => Err(other.mismatch(field, expected)),
        }
    }
}

/// True if Go takes a member of this name for the struct's field: ASCII letters count in any case, with the two that are
/// one of them in another case.
pub fn is_field(name: &str, field: &str) -> bool {
    let folded = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(folded).eq(field.chars().map(folded))
}

/// The member for a struct's field of a list or map type; the last one counts.
pub fn member<'a>(members: &'a [(String, Json)], field: &str) -> &'a Json {
    members.iter().rev().find(|(name, _)| is_field(name, field)).map_or(&Json::Null, |(_, value)| value)
}

/// The same for a string or a switch, which `null` leaves as an earlier member has set it.
pub fn scalar<'a>(members: &'a [(String, Json)], field: &str) -> &'a Json {
    let mut set = members.iter().rev().filter(|(_, value)| *value != Json::Null);
    set.find(|(name, _)| is_field(name, field)).map_or(&Json::Null, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_as_go_reads_them() {
        for (json, text) in [
            (&br#""a\"\\\/\b\f\n\r\t""#[..], "a\"\\/\u{8}\u{c}\n\r\t"),
            (br#""\u00e4\ud83d\ude00""#, "ä\u{1f600}"),
            (br#""\ud83d""#, "\u{fffd}"),
            (br#""\ud83d\u0041""#, "\u{fffd}A"),
            (br#""\ude00\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (b"\"\xe2\x80x\xff\"", "\u{fffd}\u{fffd}x\u{fffd}"),
        ] {
            assert_eq!(parse(json), Ok(Json::Text(text.into())), "{}", json.escape_ascii());
        }
        for json in ["x", "\"", "[1", "{\"a\"}", "20 x"] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
            assert_eq!(Parser::new(json).whole(Parser::value), None, "{json}");
        }
        let deepest = ["[".repeat(1000), "]".repeat(1000)].concat();
        assert!(parse(deepest.as_bytes()).is_ok());
    }

    #[test]
    fn members_as_go_finds_them() {
        let Ok(Json::Object(members)) = parse(br#"{"input":"a","INPUT":"b","\u017ftep":"c","other":1}"#)
        else {
            panic!("not an object")
        };
        assert_eq!(member(&members, "input"), &Json::Text("b".into()));
        assert_eq!(member(&members, "step"), &Json::Text("c".into()));
        assert_eq!(member(&members, "none"), &Json::Null);
        let Ok(Json::Object(members)) = parse(br#"{"a":"x","a":null}"#) else { panic!("not an object") };
        assert_eq!(member(&members, "a"), &Json::Null);
        assert_eq!(scalar(&members, "a"), &Json::Text("x".into()));
    }
}
