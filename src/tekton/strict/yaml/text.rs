//! Characters and lines, before anything is parsed.

use std::borrow::Cow;

/// What a line is to the stream that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `---`
    Separator,
    /// `...`
    End,
    /// A line of a document.
    None,
}

/// What the last marker was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// There was none.
    Start,
    /// `---`, so that a document begins.
    Begun,
    /// `...`, after which only `---` begins another one.
    Ended,
}

impl Between {
    /// A marker comes, after a document with or without anything in it.
    pub(crate) fn marker(self, marker: Marker, has_content: bool) -> Result<Self, &'static str> {
        match (marker, self) {
            (Marker::End, _) if !has_content => Err("the end of a document (\"...\") that has no beginning"),
            (Marker::Separator, Self::Begun) if !has_content => {
                Err("an empty document, after which some readers read no more")
            }
            (Marker::End, _) => Ok(Self::Ended),
            _ => Ok(Self::Begun),
        }
    }

    /// A line of a document comes.
    pub(crate) fn content(self) -> Result<(), &'static str> {
        match self {
            Self::Ended => {
                Err("something follows the end of a document (\"...\") and does not begin with \"---\"; \
                kubectl does not read it")
            }
            _ => Ok(()),
        }
    }
}

/// What a line of YAML is. A marker has its line to itself: kubectl splits at no others.
pub(crate) fn marker(line: &[u8]) -> Result<Marker, &'static str> {
    let marker = match line.get(..3) {
        Some(b"---") => Marker::Separator,
        Some(b"...") => Marker::End,
        _ => return Ok(Marker::None),
    };
    let rest = &line[3..];
    match rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
        true => Ok(marker),
        false => {
            Err("\"---\" or \"...\" must be alone on its line; kubectl splits documents at nothing else")
        }
    }
}

/// Whether nothing is in a line but a comment.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

/// The text with `\n` for `\r\n`, or the line and what is wrong in it: each character must be the same to every reader.
pub(crate) fn checked(text: &str) -> Result<Cow<'_, str>, (u64, Cow<'static, str>)> {
    let text = match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => Cow::Owned(text.replace("\r\n", "\n")),
        None => Cow::Borrowed(text),
    };
    // Nearly all text is printable ASCII.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.as_bytes().iter().all(plain) {
        return Ok(text);
    }
    match text.char_indices().find_map(|(at, character)| Some((at, unreadable(character)?))) {
        None => Ok(text),
        Some((at, what)) => {
            let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at]).count();
            Err((u64::try_from(line).unwrap_or_default() + 1, what))
        }
    }
}

/// Why a character is not the same to all.
fn unreadable(character: char) -> Option<Cow<'static, str>> {
    let code = u32::from(character);
    match character {
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\r' => Some(
            format!("U+{code:04X} ends the line for YAML 1.1 readers (kubectl, PyYAML) and not for others")
                .into(),
        ),
        '\u{feff}' => {
            Some("a byte-order mark (U+FEFF), which not all readers skip; save the file without it".into())
        }
        ' '..='~' | '\n' | '\t' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => None,
        _ => Some(format!("U+{code:04X}, a control character, which YAML does not allow").into()),
    }
}
