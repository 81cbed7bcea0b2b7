//! Result values as Tekton's controller decodes them, and their canonical forms.
//!
//! Source of the rule: Tekton `pkg/apis/pipeline/v1/param_types.go` (`ParamValue.UnmarshalJSON`) and
//! `pkg/spire/verify.go` (`getResultValue`).

use std::collections::BTreeMap;

use super::canonical;

/// A result as Tekton's status holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultValue {
    /// `type: string`.
    String(String),
    /// `type: array`.
    Array(Vec<String>),
    /// `type: object`.
    Object(BTreeMap<String, String>),
}

impl ResultValue {
    /// The `type` of the value in a TaskRun's status.
    pub fn type_name(&self) -> &'static str {
        match self {
            ResultValue::String(_) => "string",
            ResultValue::Array(_) => "array",
            ResultValue::Object(_) => "object",
        }
    }

    /// The text that Tekton's signer hashes (`getResultValue`): not injective, so only for the TEP-0089 form.
    pub fn tep0089_text(&self) -> String {
        match self {
            ResultValue::String(text) => text.clone(),
            ResultValue::Array(items) => items.join(","),
            ResultValue::Object(members) => {
                let parts: Vec<&str> = members.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]).collect();
                parts.join(",")
            }
        }
    }

    /// The value as canonical JSON (RFC 8785).
    pub fn canonical_json(&self) -> String {
        let mut out = String::new();
        match self {
            ResultValue::String(text) => canonical::string(&mut out, text),
            ResultValue::Array(items) => {
                canonical::array(&mut out, items, |out, item| canonical::string(out, item))
            }
            ResultValue::Object(members) => {
                canonical::object(&mut out, members.iter().map(|(k, v)| (k.as_str(), canonical::quoted(v))));
            }
        }
        out
    }
}

/// Decodes the raw text of a result; never fails (contract 4.1).
pub fn decode(raw: &str) -> ResultValue {
    let decoded = match raw.as_bytes().first() {
        Some(b'[') => Parser::new(raw).whole(Parser::list).map(ResultValue::Array),
        Some(b'{') => Parser::new(raw).whole(Parser::object).map(ResultValue::Object),
        _ => None,
    };
    decoded.unwrap_or_else(|| {
        let text = Parser::new(raw).whole(Parser::text);
        ResultValue::String(text.unwrap_or_else(|| raw.to_owned()))
    })
}

/// The decoded value where it is not simply the raw text: an array, an object, a quoted string or `null`.
///
/// For these the controller may keep only the decoded value, so that the raw text is lost.
pub fn decoded_json(raw: &str) -> Option<ResultValue> {
    if Parser::new(raw).whole(Parser::text).is_some() {
        return Some(decode(raw));
    }
    match decode(raw) {
        ResultValue::String(_) => None,
        value => Some(value),
    }
}

/// Reads the few JSON shapes that matter, with the rules of Go's `encoding/json`: a lone surrogate becomes U+FFFD, `null`
/// is the empty string, the last of two equal keys wins, and anything else (numbers, nesting) makes the whole no JSON.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn new(rest: &'a str) -> Self {
        Parser { rest }
    }

    fn whole<T>(mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.space();
        let value = parse(&mut self)?;
        self.space();
        self.rest.is_empty().then_some(value)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn text(&mut self) -> Option<String> {
        if self.eat("null") { Some(String::new()) } else { self.string() }
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let mut items = Vec::new();
        self.members("[", "]", |parser| {
            items.push(parser.text()?);
            Some(())
        })?;
        Some(items)
    }

    fn object(&mut self) -> Option<BTreeMap<String, String>> {
        let mut members = BTreeMap::new();
        self.members("{", "}", |parser| {
            let key = parser.string()?;
            if !parser.eat(":") {
                return None;
            }
            members.insert(key, parser.text()?);
            Some(())
        })?;
        Some(members)
    }

    fn members(
        &mut self,
        open: &str,
        close: &str,
        mut member: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        if !self.eat(open) {
            return None;
        }
        if self.eat(close) {
            return Some(());
        }
        loop {
            member(self)?;
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.eat("\"") {
            return None;
        }
        let mut text = String::new();
        loop {
            let end = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            text.push_str(&self.rest[..end]);
            let (stop, rest) = self.rest[end..].split_at(1);
            self.rest = rest;
            match stop {
                "\"" => return Some(text),
                "\\" => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let escaped = chars.next()?;
        self.rest = chars.as_str();
        Some(match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or('\u{fffd}'));
        }
        let after_high = self.rest;
        if let Some(rest) = self.rest.strip_prefix("\\u") {
            self.rest = rest;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
        }
        // Go replaces only the first of the two and reads the second escape again.
        self.rest = after_high;
        Some('\u{fffd}')
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }
}
