//! What is no JSON, in the words of Go's `encoding/json` (scanner.go).

/// How deep arrays and objects may be nested. Go allows ten times as much, which no file of a step comes near and our stack
/// might not hold.
const MAX_DEPTH: usize = 1000;
const TOO_DEEP: &str = "exceeded max depth";

/// Not JSON, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// It ends too early.
    #[error("unexpected end of JSON input")]
    End,
    /// A byte that cannot stand where it does.
    #[error("invalid character {} {context}", quote_byte(*.byte))]
    Invalid {
        /// The byte.
        byte: u8,
        /// Where it stands.
        context: &'static str,
    },
}

impl SyntaxError {
    /// Whether it may be JSON that Go reads, but is nested deeper than we allow.
    pub fn is_of_depth(&self) -> bool {
        matches!(self, Self::Invalid { context: TOO_DEEP, .. })
    }
}

/// One byte between single quotes. Go takes it for a character.
fn quote_byte(byte: u8) -> String {
    let character = char::from(byte);
    let quoted = match byte {
        b'\'' => r"\'".into(),
        b'\\' => r"\\".into(),
        0x07 => r"\a".into(),
        0x08 => r"\b".into(),
        0x0b => r"\v".into(),
        0x0c => r"\f".into(),
        b'\n' => r"\n".into(),
        b'\r' => r"\r".into(),
        b'\t' => r"\t".into(),
        0..0x20 | 0x7f => format!("\\x{byte:02x}"),
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        _ => character.to_string(),
    };
    format!("'{quoted}'")
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    FirstElement,
    FirstKey,
    Key,
    AfterValue,
    Nothing,
    InString,
    Escape,
    Hex(u8),
    Minus,
    Integer,
    /// After a leading zero, or after the digits of an integer that began with another one.
    IntegerEnd,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Literal(&'static Literal, usize),
}

/// The rest of `true`, `false`, `null`, with what Go says if it is not there.
#[derive(Debug, PartialEq, Eq)]
struct Literal {
    rest: &'static [u8],
    contexts: &'static [&'static str],
}

const TRUE: Literal = Literal {
    rest: b"rue",
    contexts: &[
        "in literal true (expecting 'r')",
        "in literal true (expecting 'u')",
        "in literal true (expecting 'e')",
    ],
};
const FALSE: Literal = Literal {
    rest: b"alse",
    contexts: &[
        "in literal false (expecting 'a')",
        "in literal false (expecting 'l')",
        "in literal false (expecting 's')",
        "in literal false (expecting 'e')",
    ],
};
const NULL: Literal = Literal {
    rest: b"ull",
    contexts: &[
        "in literal null (expecting 'u')",
        "in literal null (expecting 'l')",
        "in literal null (expecting 'l')",
    ],
};

/// What a position is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    ObjectKey,
    ObjectValue,
    Array,
}

struct Check {
    next: Next,
    within: Vec<Within>,
}

impl Check {
    #[expect(clippy::too_many_lines, reason = "one arm for each state and byte, as in Go's table")]
    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        let space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.next = match (self.next, byte) {
            (
                Next::Value
                | Next::FirstElement
                | Next::FirstKey
                | Next::Key
                | Next::AfterValue
                | Next::Nothing,
                _,
            ) if space => {
                if self.next == Next::AfterValue && self.within.is_empty() {
                    Next::Nothing
                } else {
                    self.next
                }
            }
            (Next::FirstElement, b']') => return self.after_value(byte),
            (Next::Value | Next::FirstElement, b'{') => return self.enter(Within::ObjectKey, Next::FirstKey),
            (Next::Value | Next::FirstElement, b'[') => return self.enter(Within::Array, Next::FirstElement),
            (Next::Value | Next::FirstElement, b'"') => Next::InString,
            (Next::Value | Next::FirstElement, b'-') => Next::Minus,
            (Next::Value | Next::FirstElement | Next::Minus, b'0') => Next::IntegerEnd,
            (Next::Value | Next::FirstElement | Next::Minus, b'1'..=b'9') => Next::Integer,
            (Next::Value | Next::FirstElement, b't') => Next::Literal(&TRUE, 0),
            (Next::Value | Next::FirstElement, b'f') => Next::Literal(&FALSE, 0),
            (Next::Value | Next::FirstElement, b'n') => Next::Literal(&NULL, 0),
            (Next::Value | Next::FirstElement, _) => return Err("looking for beginning of value"),
            (Next::FirstKey, b'}') => {
                self.set_within(Within::ObjectValue);
                return self.after_value(byte);
            }
            (Next::FirstKey | Next::Key, b'"') => Next::InString,
            (Next::FirstKey | Next::Key, _) => return Err("looking for beginning of object key string"),
            (Next::AfterValue, _) => return self.after_value(byte),
            (Next::Nothing, _) => return Err("after top-level value"),
            (Next::InString, b'"') => Next::AfterValue,
            (Next::InString, b'\\') => Next::Escape,
            (Next::InString, 0..0x20) => return Err("in string literal"),
            (Next::InString, _) => Next::InString,
            (Next::Escape, b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => Next::InString,
            (Next::Escape, b'u') => Next::Hex(0),
            (Next::Escape, _) => return Err("in string escape code"),
            (Next::Hex(digits), _) if byte.is_ascii_hexdigit() => {
                if digits == 3 {
                    Next::InString
                } else {
                    Next::Hex(digits + 1)
                }
            }
            (Next::Hex(_), _) => return Err("in \\u hexadecimal character escape"),
            (Next::Minus, _) => return Err("in numeric literal"),
            (Next::Integer, b'0'..=b'9') => Next::Integer,
            (Next::Integer | Next::IntegerEnd, b'.') => Next::Point,
            (Next::Integer | Next::IntegerEnd | Next::Fraction, b'e' | b'E') => Next::Exponent,
            (Next::Point | Next::Fraction, b'0'..=b'9') => Next::Fraction,
            (Next::Point, _) => return Err("after decimal point in numeric literal"),
            (Next::Exponent, b'+' | b'-') => Next::ExponentSign,
            (Next::Exponent | Next::ExponentSign | Next::ExponentDigits, b'0'..=b'9') => Next::ExponentDigits,
            (Next::Exponent | Next::ExponentSign, _) => return Err("in exponent of numeric literal"),
            (Next::Integer | Next::IntegerEnd | Next::Fraction | Next::ExponentDigits, _) => {
                self.next = Next::AfterValue;
                return self.step(byte);
            }
            (Next::Literal(literal, at), _) if byte == literal.rest[at] => {
                if at + 1 == literal.rest.len() {
                    Next::AfterValue
                } else {
                    Next::Literal(literal, at + 1)
                }
            }
            (Next::Literal(literal, at), _) => return Err(literal.contexts[at]),
        };
        Ok(())
    }

    fn enter(&mut self, within: Within, next: Next) -> Result<(), &'static str> {
        self.within.push(within);
        if self.within.len() > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        self.next = next;
        Ok(())
    }

    fn set_within(&mut self, within: Within) {
        if let Some(last) = self.within.last_mut() {
            *last = within;
        }
    }

    fn after_value(&mut self, byte: u8) -> Result<(), &'static str> {
        self.next = match (self.within.last(), byte) {
            (None, _) => return Err("after top-level value"),
            (Some(Within::ObjectKey), b':') => {
                self.set_within(Within::ObjectValue);
                Next::Value
            }
            (Some(Within::ObjectValue), b',') => {
                self.set_within(Within::ObjectKey);
                Next::Key
            }
            (Some(Within::Array), b',') => Next::Value,
            (Some(Within::ObjectValue), b'}') | (Some(Within::Array), b']') => {
                self.within.pop();
                Next::AfterValue
            }
            (Some(Within::ObjectKey), _) => return Err("after object key"),
            (Some(Within::ObjectValue), _) => return Err("after object key:value pair"),
            (Some(Within::Array), _) => return Err("after array element"),
        };
        Ok(())
    }
}

/// Go json.checkValid, of a whole text. At its end Go looks what a space would do, and so complains of one.
pub fn check(json: &[u8]) -> Result<(), SyntaxError> {
    let mut check = Check { next: Next::Value, within: Vec::new() };
    for &byte in json.iter().chain(b" ") {
        check.step(byte).map_err(|context| SyntaxError::Invalid { byte, context })?;
    }
    if check.next == Next::Nothing { Ok(()) } else { Err(SyntaxError::End) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_are_gos() {
        for (json, error) in [
            (&b"{}"[..], ""),
            (b" [ 1 , -0.5e+3 , true, false , null, \"\\u00e4\" ] ", ""),
            (b"12", ""),
            (b"", "unexpected end of JSON input"),
            (b"{\"a\":", "unexpected end of JSON input"),
            (b"\"abc", "unexpected end of JSON input"),
            (b"tru", "invalid character ' ' in literal true (expecting 'e')"),
            (b"-", "invalid character ' ' in numeric literal"),
            (b"1.", "invalid character ' ' after decimal point in numeric literal"),
            (b"1e", "invalid character ' ' in exponent of numeric literal"),
            (b"01", "invalid character '1' after top-level value"),
            (b"{} x", "invalid character 'x' after top-level value"),
            (b"{}}", "invalid character '}' after top-level value"),
            (b"[1 2]", "invalid character '2' after array element"),
            (b"[1,]", "invalid character ']' looking for beginning of value"),
            (b"{\"a\" 1}", "invalid character '1' after object key"),
            (b"{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            (b"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            (b"{'a'}", "invalid character '\\'' looking for beginning of object key string"),
            (b"\"\n\"", "invalid character '\\n' in string literal"),
            (b"\"\\x\"", "invalid character 'x' in string escape code"),
            (b"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            (b"\xff", "invalid character 'ÿ' looking for beginning of value"),
            (b"\x07", "invalid character '\\a' looking for beginning of value"),
            (b"\x7f", "invalid character '\\x7f' looking for beginning of value"),
            (b"\x85", "invalid character '\\u0085' looking for beginning of value"),
        ] {
            let said = check(json).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, error, "{}", json.escape_ascii());
        }
        for (depth, error) in [(1000, ""), (1001, "invalid character '[' exceeded max depth")] {
            let json = [vec![b'['; depth], vec![b']'; depth]].concat();
            let said = check(&json).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, error, "depth {depth}");
        }
    }
}
