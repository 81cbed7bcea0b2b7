//! JSON as Go's `encoding/json` reads it (scanner.go, decode.go): a lone surrogate becomes U+FFFD, `null` leaves a field
//! empty, member names match without regard to case, and of repeated ones the last counts.

/// How deep arrays and objects may be nested. Go allows ten times as much, which no file of a step comes near and our stack
/// might not hold.
const DEEPEST: usize = 1000;

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
    List(Vec<Json>),
    /// An object's members in their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What Go calls a value of this kind in its errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "bool",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::List(_) => "array",
            Json::Object(_) => "object",
        }
    }
}

/// Why a text is not JSON, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// It ends too early.
    #[error("unexpected end of JSON input")]
    End,
    /// A byte that may not stand there.
    #[error("invalid character {} {context}", quoted(*.byte))]
    Invalid {
        /// The byte.
        byte: u8,
        /// Where it stands.
        context: &'static str,
    },
    /// Nested too deeply.
    #[error("exceeded max depth")]
    TooDeep,
}

/// Go names a byte as the character with that number, in single quotes.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x7f..=0xa0 | 0xad | ..0x20 => format!("'\\x{byte:02x}'"),
        byte => format!("'{}'", char::from(byte)),
    }
}

/// Reads one value and nothing else.
pub fn parse(text: &str) -> Result<Json, SyntaxError> {
    Parser::new(text).whole(|parser| parser.value(0))
}

/// Reads JSON from the start of a text.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    /// What `parse` reads, if only white space is around it.
    pub(super) fn whole<T>(
        mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        let value = parse(&mut self)?;
        match self.next_byte() {
            None => Ok(value),
            Some(byte) => Err(SyntaxError::Invalid { byte, context: "after top-level value" }),
        }
    }

    /// The next byte that is not white space; it stays where it is.
    fn next_byte(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    fn invalid(&mut self, context: &'static str) -> SyntaxError {
        match self.next_byte() {
            Some(byte) => SyntaxError::Invalid { byte, context },
            None => SyntaxError::End,
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.next_byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        if depth > DEEPEST {
            return Err(SyntaxError::TooDeep);
        }
        match self.next_byte() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'[') => {
                let mut items = Vec::new();
                self.list(|parser| {
                    items.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::List(items))
            }
            Some(b'{') => {
                let mut members = Vec::new();
                self.object(|parser, key| {
                    members.push((key, parser.value(depth + 1)?));
                    Ok(())
                })?;
                Ok(Json::Object(members))
            }
            Some(b't') => self.literal("true").map(|()| Json::Bool(true)),
            Some(b'f') => self.literal("false").map(|()| Json::Bool(false)),
            Some(b'n') => self.literal("null").map(|()| Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    /// A string or `null`, which counts as empty.
    pub(super) fn text(&mut self) -> Result<String, SyntaxError> {
        match self.next_byte() {
            Some(b'n') => self.literal("null").map(|()| String::new()),
            _ => self.string(),
        }
    }

    /// A list whose items `item` reads.
    pub(super) fn list(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        if !self.eat(b'[') {
            return Err(self.invalid("looking for beginning of value"));
        }
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.invalid("after array element"));
            }
        }
    }

    /// An object whose members' values `member` reads.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, String) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        if !self.eat(b'{') {
            return Err(self.invalid("looking for beginning of value"));
        }
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.next_byte() != Some(b'"') {
                return Err(self.invalid("looking for beginning of object key string"));
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err(self.invalid("after object key"));
            }
            member(self, key)?;
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.invalid("after object key:value pair"));
            }
        }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), SyntaxError> {
        for expected in literal.bytes() {
            match self.text.as_bytes().get(self.at) {
                None => return Err(SyntaxError::End),
                Some(&byte) if byte != expected => {
                    let context = match literal {
                        "true" => "in literal true",
                        "false" => "in literal false",
                        _ => "in literal null",
                    };
                    return Err(SyntaxError::Invalid { byte, context });
                }
                Some(_) => self.at += 1,
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits("in exponent of numeric literal")?;
        }
        Ok(self.text[start..self.at].to_owned())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn digits(&mut self, context: &'static str) -> Result<(), SyntaxError> {
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        match (digits, self.byte()) {
            (0, Some(byte)) => Err(SyntaxError::Invalid { byte, context }),
            (0, None) => Err(SyntaxError::End),
            _ => Ok(()),
        }
    }

    pub(super) fn string(&mut self) -> Result<String, SyntaxError> {
        if !self.eat(b'"') {
            return Err(self.invalid("looking for beginning of value"));
        }
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').ok_or(SyntaxError::End)?;
            text.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(text),
                b'\\' => text.push(self.escape()?),
                byte => return Err(SyntaxError::Invalid { byte, context: "in string literal" }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let escaped = self.byte().ok_or(SyntaxError::End)?;
        self.at += 1;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            byte => return Err(SyntaxError::Invalid { byte, context: "in string escape code" }),
        })
    }

    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or('\u{fffd}'));
        }
        let after_high = self.at;
        if self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low)
                && let Some(both) = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            {
                return Ok(both);
            }
        }
        // Go replaces only the first of the two and reads the second escape again.
        self.at = after_high;
        Ok('\u{fffd}')
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.byte().ok_or(SyntaxError::End)?;
            let context = "in \\u hexadecimal character escape";
            let digit = char::from(byte).to_digit(16).ok_or(SyntaxError::Invalid { byte, context })?;
            number = number * 16 + digit;
            self.at += 1;
        }
        Ok(number)
    }
}

/// A value of another kind than the field it is for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into {}Go value of type {expected}", if .field.is_empty() { String::new() } else { format!("{} of ", .field) })]
pub struct TypeError {
    /// The kind that was found.
    pub found: &'static str,
    /// The field, `values` for example; empty outside of any.
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
            Json::Null => Ok(String::new()),
            Json::Text(text) => Ok(text.clone()),
            other => Err(other.mismatch(field, "string")),
        }
    }

    /// A Go `bool`; `null` is false.
    pub fn as_bool(&self, field: &str) -> Result<bool, TypeError> {
        match self {
            Json::Null => Ok(false),
            Json::Bool(is) => Ok(*is),
            other => Err(other.mismatch(field, "bool")),
        }
    }

    /// A Go slice, or `None` for `null`.
    pub fn as_list<T, E: From<TypeError>>(
        &self,
        field: &str,
        expected: &'static str,
        item: impl Fn(&Json) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, E> {
        match self {
            Json::Null => Ok(None),
            Json::List(items) => items.iter().map(item).collect::<Result<_, _>>().map(Some),
            other => Err(other.mismatch(field, expected).into()),
        }
    }

    /// A Go struct's or map's members; `null` has none.
    pub fn as_members(&self, field: &str, expected: &'static str) -> Result<&[(String, Json)], TypeError> {
        match self {
            Json::Null => Ok(&[]),
            Json::Object(members) => Ok(members),
            other => Err(other.mismatch(field, expected)),
        }
    }
}

/// The member for a struct's field: names are compared without regard to case, the last one counts.
pub fn member<'a>(members: &'a [(String, Json)], field: &str) -> &'a Json {
    let folded = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    let is = |name: &str| name.chars().map(folded).eq(field.chars().map(folded));
    members.iter().rev().find(|(name, _)| is(name)).map_or(&Json::Null, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_as_go_says_them() {
        for (text, error) in [
            ("", "unexpected end of JSON input"),
            ("  ", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("[1,", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u00g0\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("nul!", "invalid character '!' in literal null"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("é", "invalid character 'Ã' looking for beginning of value"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error, "reading {text:?}");
        }
        let deep = "[".repeat(20_000);
        assert_eq!(parse(&deep), Err(SyntaxError::TooDeep));
    }

    #[test]
    fn members_as_go_finds_them() {
        let Ok(Json::Object(members)) = parse(r#"{"input":"a","INPUT":"b","\u017ftep":"c","other":1}"#)
        else {
            panic!("not an object")
        };
        assert_eq!(member(&members, "input"), &Json::Text("b".into()));
        assert_eq!(member(&members, "step"), &Json::Text("c".into()));
        assert_eq!(member(&members, "none"), &Json::Null);
    }
}
