//! Text from an object, made safe for terminals, URIs and XML.

use std::{borrow::Cow, fmt};

/// Characters that move the cursor, reorder text or hide it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a text may hold such characters: most texts are printable ASCII.
fn may_be_unsafe(text: &str) -> bool {
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// JSON in which such characters are escaped; it means the same, as they are inside strings only.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    if !may_be_unsafe(json) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match is_unsafe(c) {
            true => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Text from an object, safe to print on a terminal.
pub(crate) struct Line<'a>(pub(crate) &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !may_be_unsafe(self.0) {
            return f.write_str(self.0);
        }
        for c in self.0.chars() {
            match is_unsafe(c) {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Text inside an XML element or attribute. What XML 1.0 cannot hold at all (section 2.2) is escaped as in [`Line`].
pub(super) struct Xml<'a>(pub(super) &'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => write!(f, "{}", c.escape_default())?,
                c if is_unsafe(c) => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A path as reference of RFC 3986: a `file` URI if it is absolute, else relative.
pub(super) fn file_uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let parts: Vec<String> = path.split('/').map(uri_part).collect();
    format!("{scheme}{}", parts.join("/"))
}

/// One part of a URI's path, or its fragment: all but unreserved characters are percent-encoded (RFC 3986 2.1, 2.3).
pub(super) fn uri_part(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
