//! JSON as RFC 8785 writes it, as far as evidence needs it: strings, arrays and objects of these.

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    escaped(out, text);
    out.push('"');
}

/// Appends `text` as it is inside a JSON string.
pub(crate) fn escaped(out: &mut String, text: &str) {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Hardly any is; that is found out faster by looking at all bytes than by stopping at one.
    if !text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
        return out.push_str(text);
    }
    let mut rest = text;
    // What is escaped is ASCII, so the text may be split there.
    while let Some(at) = rest.bytes().position(is_escaped) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x8 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0xc => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            other => out.push_str(&format!("\\u{other:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    string(&mut out, text);
    out
}

/// Appends `items` as a JSON array, each written by `item`.
pub(crate) fn array<T>(out: &mut String, items: &[T], item: impl Fn(&mut String, &T)) {
    out.push('[');
    for (i, value) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

/// Appends an object of members that are JSON already, sorted by the UTF-16 code units of their keys.
pub(crate) fn object<'a>(out: &mut String, members: impl Iterator<Item = (&'a str, String)>) {
    let mut members: Vec<(&str, String)> = members.collect();
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (i, (key, value)) in members.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

/// An object that is appended member by member, in the order of their keys.
pub(crate) struct CanonicalObject<'a> {
    out: &'a mut String,
    last: Option<&'static str>,
}

impl<'a> CanonicalObject<'a> {
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        CanonicalObject { out, last: None }
    }

    /// Where the value of the next member goes. Its key is behind those before it and needs no escaping.
    pub(crate) fn member(&mut self, key: &'static str) -> &mut String {
        debug_assert!(self.last.is_none_or(|last| last < key), "{key} is not behind {:?}", self.last);
        self.out.push_str(if self.last.is_some() { ",\"" } else { "\"" });
        self.out.push_str(key);
        self.out.push_str("\":");
        self.last = Some(key);
        self.out
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }
}
