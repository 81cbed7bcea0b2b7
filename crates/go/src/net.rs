//! IP addresses as Go's net/netip reads them, for its words about what is none.

use crate::text::quote_bytes;

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6, with or without a zone.
    V6,
}

/// What is not an address, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ParseAddr({}): {reason}{}", quote_bytes(.text), at_text(.at))]
pub struct IpLiteralError {
    /// What was given.
    pub text: Vec<u8>,
    /// What is wrong with it.
    pub reason: &'static str,
    /// From where on; empty if it is about the whole.
    pub at: Vec<u8>,
}

fn at_text(at: &[u8]) -> String {
    if at.is_empty() { String::new() } else { format!(" (at {})", quote_bytes(at)) }
}

/// A reason, and from where on it applies.
type Wrong<'a> = (&'static str, &'a [u8]);

/// Go netip.ParseAddr.
pub fn family(text: &[u8]) -> Result<Family, IpLiteralError> {
    let read = match text.iter().find(|b| b".:%".contains(b)) {
        Some(b'.') => v4(text).map(|()| Family::V4),
        Some(b':') => v6(text).map(|()| Family::V6),
        Some(_) => Err(("missing IPv6 address", &b""[..])),
        None => Err(("unable to parse IP", &b""[..])),
    };
    read.map_err(|(reason, at)| IpLiteralError { text: text.to_vec(), reason, at: at.to_vec() })
}

/// Four decimal numbers with points between them.
fn v4(text: &[u8]) -> Result<(), Wrong<'_>> {
    let (mut fields, mut value, mut digits) = (0, 0u16, 0);
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(("IPv4 field has octet with leading zero", b""));
                }
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(("IPv4 field has value >255", b""));
                }
            }
            b'.' if digits == 0 || i == text.len() - 1 => {
                return Err(("IPv4 field must have at least one digit", &text[i..]));
            }
            b'.' if fields == 3 => return Err(("IPv4 address too long", b"")),
            b'.' => (fields, value, digits) = (fields + 1, 0, 0),
            _ => return Err(("unexpected character", &text[i..])),
        }
    }
    if fields < 3 { Err(("IPv4 address too short", b"")) } else { Ok(()) }
}

/// Eight groups, or fewer with one `::`; the last two may be an IPv4 address.
fn v6(text: &[u8]) -> Result<(), Wrong<'_>> {
    let mut rest = match text.iter().position(|&b| b == b'%') {
        Some(at) if at + 1 == text.len() => return Err(("zone must be a non-empty string", b"")),
        Some(at) => &text[..at],
        None => text,
    };
    let mut groups = 0;
    let mut gap = false;
    if let Some(after) = rest.strip_prefix(b"::") {
        gap = true;
        rest = after;
        if rest.is_empty() {
            return Ok(());
        }
    }
    while groups < 8 {
        let digits = rest.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(rest.len());
        match digits {
            0 => return Err(("each colon-separated field must have at least one digit", rest)),
            1..=4 => {}
            _ => return Err(("each group must have 4 or less digits", rest)),
        }
        if rest.get(digits) == Some(&b'.') {
            if !gap && groups != 6 {
                return Err(("embedded IPv4 address must replace the final 2 fields of the address", rest));
            }
            if groups > 6 {
                return Err(("too many hex fields to fit an embedded IPv4 at the end of the address", rest));
            }
            v4(rest)?;
            rest = b"";
            groups += 2;
            break;
        }
        groups += 1;
        rest = &rest[digits..];
        rest = match rest {
            [] => break,
            [b':'] => return Err(("colon must be followed by more characters", rest)),
            [b':', after @ ..] => after,
            _ => return Err(("unexpected character, want colon", rest)),
        };
        if let Some(after) = rest.strip_prefix(b":") {
            if gap {
                return Err(("multiple :: in address", rest));
            }
            gap = true;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    match (rest, groups, gap) {
        ([], 8, true) => Err(("the :: must expand to at least one field of zeros", b"")),
        ([], 8, false) | ([], _, true) => Ok(()),
        ([], ..) => Err(("address string too short", b"")),
        _ => Err(("trailing garbage after address", rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, said) in [
            ("::", "V6"),
            ("::1", "V6"),
            ("1::", "V6"),
            ("2001:db8::68", "V6"),
            ("1:2:3:4:5:6:7:8", "V6"),
            ("::ffff:1.2.3.4", "V6"),
            ("1:2:3:4:5:6:1.2.3.4", "V6"),
            ("fe80::1%en0", "V6"),
            ("1.2.3.4", "V4"),
            ("", "ParseAddr(\"\"): unable to parse IP"),
            ("localhost", "ParseAddr(\"localhost\"): unable to parse IP"),
            ("%x", "ParseAddr(\"%x\"): missing IPv6 address"),
            ("::1%", "ParseAddr(\"::1%\"): zone must be a non-empty string"),
            ("1.2.3", "ParseAddr(\"1.2.3\"): IPv4 address too short"),
            ("1.2.3.4.5", "ParseAddr(\"1.2.3.4.5\"): IPv4 address too long"),
            ("1.2.3.256", "ParseAddr(\"1.2.3.256\"): IPv4 field has value >255"),
            ("1.2.03.4", "ParseAddr(\"1.2.03.4\"): IPv4 field has octet with leading zero"),
            ("1..2.3", "ParseAddr(\"1..2.3\"): IPv4 field must have at least one digit (at \".2.3\")"),
            ("1.2.3.", "ParseAddr(\"1.2.3.\"): IPv4 field must have at least one digit (at \".\")"),
            ("1.2.3.x", "ParseAddr(\"1.2.3.x\"): unexpected character (at \"x\")"),
            (":1", "ParseAddr(\":1\"): each colon-separated field must have at least one digit (at \":1\")"),
            ("12345::", "ParseAddr(\"12345::\"): each group must have 4 or less digits (at \"12345::\")"),
            ("1:", "ParseAddr(\"1:\"): colon must be followed by more characters (at \":\")"),
            ("1::2::3", "ParseAddr(\"1::2::3\"): multiple :: in address (at \":3\")"),
            ("1:x", "ParseAddr(\"1:x\"): each colon-separated field must have at least one digit (at \"x\")"),
            ("1:2x", "ParseAddr(\"1:2x\"): unexpected character, want colon (at \"x\")"),
            ("1:2:3", "ParseAddr(\"1:2:3\"): address string too short"),
            (
                "1:2:3:4:5:6:7:8:9",
                "ParseAddr(\"1:2:3:4:5:6:7:8:9\"): trailing garbage after address (at \"9\")",
            ),
            (
                "1:2:3:4::5:6:7:8",
                "ParseAddr(\"1:2:3:4::5:6:7:8\"): the :: must expand to at least one field of zeros",
            ),
            (
                "1:1.2.3.4",
                "ParseAddr(\"1:1.2.3.4\"): embedded IPv4 address must replace the final 2 fields of the address \
                 (at \"1.2.3.4\")",
            ),
        ] {
            let read = family(text.as_bytes());
            let read = read.map_or_else(|error| error.to_string(), |family| format!("{family:?}"));
            assert_eq!(read, said, "{text:?}");
        }
    }
}
