//! Text inside the quotes of a JSON string, as `encoding/json` writes it.

/// Appends text as Go's encoding/json escapes it inside quotes, HTML characters included (docs/tekton-contract.md 3.12.2).
pub fn escape(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// As [`escape`], for bytes: each one that is not part of UTF-8 becomes the six characters `\ufffd`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        escape(&mut out, chunk.valid());
        chunk.invalid().iter().for_each(|_| out.push_str("\\ufffd"));
    }
    out
}
