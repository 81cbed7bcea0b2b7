//! What begins with a backslash (Go regexp/syntax/parse.go, `parsePerlClassEscape`, `parseUnicodeClass`, `parseEscape`).

use super::{Flags, INVALID_RANGE, PatternError, Piece, Reader, build, character, classes, refused};

impl<'a> Reader<'a> {
    /// What begins with a backslash outside of a class.
    pub(super) fn escaped(&mut self, flags: Flags) -> Result<Piece, PatternError> {
        let assertion = match self.rest.as_bytes().get(1) {
            Some(b'A') => "\\A",
            Some(b'z') => "\\z",
            Some(b'b') => "(?-u:\\b)",
            Some(b'B') => "(?-u:\\B)",
            _ => "",
        };
        if !assertion.is_empty() {
            self.take(2);
            return Ok(Piece::new(assertion, 1));
        }
        if let Some((class, weight)) = self.named_class()? {
            let text = if flags.any_case { format!("(?i:{class})") } else { class };
            return Ok(Piece::new(text, weight));
        }
        self.escaped_character().map(|c| character(c, flags))
    }

    /// The text of `\Q...\E`.
    pub(super) fn quoted(&mut self) -> &'a str {
        self.take(2);
        let (text, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        text
    }

    /// `\d`, `\pL` and their like, spelled out.
    pub(super) fn named_class(&mut self) -> Result<Option<(String, u64)>, PatternError> {
        let class = match self.rest.as_bytes().get(1) {
            Some(b'd') => "[0-9]",
            Some(b'D') => "[^0-9]",
            Some(b's') => "[\\t\\n\\f\\r\\x20]",
            Some(b'S') => "[^\\t\\n\\f\\r\\x20]",
            Some(b'w') => "[0-9A-Za-z_]",
            Some(b'W') => "[^0-9A-Za-z_]",
            Some(b'p' | b'P') => return self.unicode_class().map(|class| Some((class, 100))),
            _ => return Ok(None),
        };
        self.take(2);
        Ok(Some((class.to_owned(), 8)))
    }

    fn unicode_class(&mut self) -> Result<String, PatternError> {
        let start = self.rest;
        let mut negated = self.take(2) == "\\P";
        let name = match self.next() {
            Some('{') => {
                let end = self.rest.find('}').ok_or_else(|| refused(INVALID_RANGE, start))?;
                let name = self.take(end);
                self.take(1);
                name
            }
            Some(_) => &self.since(start)[2..],
            None => return Err(refused(INVALID_RANGE, start)),
        };
        let part = self.since(start);
        let plain = name.strip_prefix('^');
        negated ^= plain.is_some();
        let name = plain.unwrap_or(name);
        let known =
            self.properties.iter().find(|(property, _)| *property == name).map(|(_, known)| known.clone());
        let property = known.or_else(|| {
            let mut kinds = classes::kinds(name).iter().map(|kind| format!("{{{kind}={name}}}"));
            kinds.find(|property| build(&format!("\\p{property}")).is_some())
        });
        let property = property.ok_or_else(|| refused(INVALID_RANGE, part))?;
        let class = format!("\\{}{property}", if negated { 'P' } else { 'p' });
        // To find out again would take as long.
        if self.properties.iter().all(|(known, _)| *known != name) {
            self.properties.push((name, property));
        }
        Ok(class)
    }

    /// The character that an escape sequence stands for.
    pub(super) fn escaped_character(&mut self) -> Result<char, PatternError> {
        let start = self.rest;
        self.take(1);
        let Some(c) = self.next() else {
            return Err(refused("trailing backslash at end of expression", ""));
        };
        let value = match c {
            '1'..='7' if !self.rest.starts_with(|c: char| c.is_digit(8)) => None,
            '0'..='7' => {
                let digits = self.rest.bytes().take(2).take_while(|c| matches!(c, b'0'..=b'7')).count();
                u32::from_str_radix(self.take(digits), 8)
                    .map_or(Some(0), Some)
                    .map(|low| (c as u32 - '0' as u32) * 8_u32.pow(digits as u32) + low)
            }
            'x' if self.rest.starts_with('{') => {
                let digits = self.rest[1..].bytes().take_while(u8::is_ascii_hexdigit).count();
                let value = u32::from_str_radix(&self.rest[1..1 + digits], 16).ok();
                self.take(1 + digits);
                let fits = digits == 0 || value.is_some_and(|value| value <= char::MAX as u32);
                let closed = fits && self.rest.starts_with('}');
                self.take(usize::from(closed));
                value.filter(|_| closed)
            }
            'x' => {
                let digits = self.rest.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
                let value = u32::from_str_radix(self.take(digits), 16).ok();
                value.filter(|_| digits == 2)
            }
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        value.and_then(char::from_u32).ok_or_else(|| refused("invalid escape sequence", self.since(start)))
    }
}
