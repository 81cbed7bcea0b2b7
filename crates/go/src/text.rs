//! Texts as Go's standard library writes and reads them: quoted strings, bytes that are not UTF-8.
//!
//! Users and scripts search logs for these; they are part of "equal to Tekton".

use std::{ffi::OsStr, fmt::Write as _, os::unix::ffi::OsStrExt};

/// Go's `%q` of a string: strconv.Quote.
pub fn quote(text: &OsStr) -> String {
    quote_bytes(text.as_bytes())
}

/// As [`quote`], for bytes.
pub fn quote_bytes(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            quote_char(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn quote_char(out: &mut String, c: char) {
    match c {
        '"' | '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c < ' ' || c == '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if printable(c) => out.push(c),
        c if u32::from(c) < 0x1_0000 => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
    }
}

/// Go's strconv.IsPrint for one character. Rust has the same table behind `escape_debug`, which leaves combining
/// characters alone unless they come first.
fn printable(c: char) -> bool {
    let text = ['a', c].iter().collect::<String>();
    text.escape_debug().nth(1) != Some('\\') || c == '\'' || c == '"' || c == '\\'
}

/// Bytes as text, as Go reads them: each byte that is not part of UTF-8 becomes one U+FFFD (Rust's own lossy conversion
/// makes one of several). True if there were any.
pub fn utf8(bytes: &[u8]) -> (String, bool) {
    let (mut out, mut changed) = (String::with_capacity(bytes.len()), false);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for _ in chunk.invalid() {
            out.push(char::REPLACEMENT_CHARACTER);
            changed = true;
        }
    }
    (out, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (raw, quoted) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x00\x07\x7f\xff", r#""\x00\a\x7f\xff""#),
            ("é'\u{301}\u{feff}\u{a0}\u{e000}".as_bytes(), "\"é'\u{301}\\ufeff\\u00a0\\ue000\""),
            (b"\xe2\x80", r#""\xe2\x80""#),
        ] {
            assert_eq!(quote(OsStr::from_bytes(raw)), quoted, "quoting {raw:?}");
        }
    }
}
