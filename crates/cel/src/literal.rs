//! The values of literals (cel-go parser/unescape.go, parser.go VisitInt and its neighbours).

/// The content of a string or bytes literal: quotes and prefix gone, escapes undone. The lexer has checked its form.
pub(super) fn unescape(literal: &str, bytes: bool) -> Result<Vec<u8>, &'static str> {
    // However a file ends its lines, the value has line feeds.
    let text = literal.replace("\r\n", "\n").replace('\r', "\n");
    let unprefixed = text.strip_prefix(['r', 'R']);
    let raw = unprefixed.is_some();
    let text = unprefixed.unwrap_or(&text);
    let quotes =
        if text.len() >= 6 && (text.starts_with("\"\"\"") || text.starts_with("'''")) { 3 } else { 1 };
    let content = &text[quotes..text.len() - quotes];
    if raw {
        return Ok(content.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(content.len());
    let mut letters = content.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (base, digits, first) = match letters.next() {
            Some('a') => (0, 0, 7),
            Some('b') => (0, 0, 8),
            Some('f') => (0, 0, 12),
            Some('n') => (0, 0, 10),
            Some('r') => (0, 0, 13),
            Some('t') => (0, 0, 9),
            Some('v') => (0, 0, 11),
            Some('x' | 'X') => (16, 2, 0),
            Some('u') if !bytes => (16, 4, 0),
            Some('U') if !bytes => (16, 8, 0),
            Some(c @ '0'..='3') => (8, 2, c as u32 - '0' as u32),
            Some(c @ ('\\' | '\'' | '"' | '`' | '?')) => (0, 0, c as u32),
            _ => return Err("unable to unescape string"),
        };
        let mut value = first;
        for _ in 0..digits {
            let digit = letters.next().and_then(|c| c.to_digit(base)).ok_or("unable to unescape string")?;
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        if bytes {
            // Two hexadecimal or three octal digits, the first up to 3: one byte.
            out.push(value as u8);
        } else {
            let c = char::from_u32(value).ok_or("invalid unicode code point")?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(out)
}

/// Digits in the base their prefix says, after an optional minus.
fn based(text: &str) -> (&str, u32) {
    text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16))
}

/// An int literal; `negative` if a minus belongs to it.
pub(super) fn int(text: &str, negative: bool) -> Option<i64> {
    let (digits, base) = based(text);
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// A uint literal with its `u`.
pub(super) fn uint(text: &str) -> Option<u64> {
    let (digits, base) = based(text.trim_end_matches(['u', 'U']));
    u64::from_str_radix(digits, base).ok()
}

/// A double literal; too large a number is none.
pub(super) fn double(text: &str, negative: bool) -> Option<f64> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(if negative { -value } else { value })
}
