//! The text between scalars: nothing may be there but what every reader takes for the same structure.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use granit_parser::ScalarStyle;

type Refused = Result<(), Cow<'static, str>>;

/// Looks at the text from scalar to scalar.
pub(crate) struct Gaps<'a> {
    text: &'a str,
    /// After the last scalar.
    at: usize,
    /// Brackets that are open.
    depth: usize,
    /// The names of anchors so far.
    anchors: HashSet<&'a str>,
}

impl<'a> Gaps<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Gaps { text, at: 0, depth: 0, anchors: HashSet::new() }
    }

    /// A bracket opens there.
    pub(crate) fn flow_start(&mut self, start: usize) -> Refused {
        self.gap(start, false)
    }

    /// A scalar is there.
    pub(crate) fn scalar(&mut self, range: Range<usize>, style: ScalarStyle) -> Refused {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        self.gap(range.start, is_block)?;
        self.at = range.end;
        if range.is_empty() && self.depth > 0 {
            return Err("a value in brackets is missing".into());
        }
        let raw = &self.text[range];
        if is_block { block(raw) } else { continued(raw) }
    }

    /// An alias is there.
    pub(crate) fn alias(&mut self, range: Range<usize>) -> Refused {
        self.gap(range.start, false)?;
        self.at = range.end;
        let after = self.text.as_bytes().get(range.end);
        let is_plain = self.text[range].strip_prefix('*').is_some_and(|name| name.bytes().all(is_name));
        match is_plain && matches!(after, None | Some(b' ' | b'\n' | b',' | b']' | b'}')) {
            true => Ok(()),
            false => Err("an alias (*) with an unusual name".into()),
        }
    }

    /// The text ends.
    pub(crate) fn end(&mut self) -> Refused {
        self.gap(self.text.len(), false)
    }

    fn gap(&mut self, end: usize, before_block: bool) -> Refused {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let Some(gap) = bytes.get(start..end) else {
            return Err("something that svidence does not read".into());
        };
        self.at = end;
        let mut at = 0;
        let mut headers = 0;
        while let Some(&byte) = gap.get(at) {
            let before = (start + at).checked_sub(1).map(|before| bytes[before]);
            let after = bytes.get(start + at + 1).copied();
            at += 1;
            match byte {
                b' ' => {}
                b'\n' if self.depth > 0 && !matches!(after, Some(b' ' | b'\n')) => {
                    return Err("brackets go on in a line that is not indented".into());
                }
                b'\n' => {}
                b'#' if matches!(before, None | Some(b' ' | b'\n')) => {
                    at += memchr::memchr(b'\n', &gap[at..]).unwrap_or(gap.len() - at);
                }
                b':' if at == 1 && before.is_some() && matches!(after, Some(b' ' | b'\n') | None) => {}
                b'-' if self.depth == 0
                    && matches!(before, None | Some(b' ' | b'\n'))
                    && matches!(after, Some(b' ' | b'\n') | None) => {}
                b',' | b']' | b'}' if self.depth > 0 => {
                    if byte == b',' && !matches!(after, Some(b' ' | b'\n')) {
                        return Err("a comma without a blank after it".into());
                    }
                    if byte != b',' {
                        self.depth -= 1;
                    }
                }
                b'[' | b'{' => self.depth += 1,
                b'|' | b'>' if before_block && before == Some(b' ') => {
                    headers += 1;
                    let line = memchr::memchr(b'\n', &gap[at..]).unwrap_or(gap.len() - at);
                    header(&gap[at..at + line])?;
                    at += line;
                }
                b'&' if before == Some(b' ') => at += self.anchor(start + at, &gap[at..])?,
                _ => return Err(refused(byte, after).into()),
            }
        }
        if before_block && headers != 1 {
            return Err("a block of text whose beginning is unclear".into());
        }
        Ok(())
    }

    /// The length of an anchor's name, which begins at `start` of the text and `rest`.
    fn anchor(&mut self, start: usize, rest: &[u8]) -> Result<usize, Cow<'static, str>> {
        let name = rest.iter().take_while(|byte| is_name(**byte)).count();
        if name == 0 || !matches!(rest.get(name), Some(b' ' | b'\n')) {
            return Err("an anchor (&) with an unusual name".into());
        }
        if !self.anchors.insert(&self.text[start..start + name]) {
            return Err("an anchor (&) whose name appears twice".into());
        }
        Ok(name)
    }
}

/// What is wrong with a byte that not all readers take for the same structure.
fn refused(byte: u8, after: Option<u8>) -> &'static str {
    match byte {
        b':' if after != Some(b'\t') => "a colon that is not between its key and a blank",
        b'\t' | b':' => "a tab outside of quotes; readers differ on what it is",
        b'?' => "a complex key (?), which kubectl and others read otherwise",
        b'!' => "a tag (!); leave it out, or give JSON",
        b'%' => "a directive (%); leave it out",
        _ => "punctuation that not all readers read the same; write it in the usual way, or give JSON",
    }
}

/// What all readers take for a part of an anchor's name.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What follows `|` or `>` in its line.
fn header(rest: &[u8]) -> Refused {
    let is_plain = match rest.trim_ascii_end() {
        [] => true,
        [one] => matches!(one, b'1'..=b'9' | b'+' | b'-'),
        [digit, chomping] => digit.is_ascii_digit() && *digit != b'0' && matches!(chomping, b'+' | b'-'),
        _ => false,
    };
    match is_plain && !rest.contains(&b'\t') {
        true => Ok(()),
        false => Err("an unusual start of a block of text".into()),
    }
}

/// A block of text: lines of nothing but blanks are where readers differ.
fn block(raw: &str) -> Refused {
    match raw.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        true => Err("a tab at the start of a line; readers differ on what it is".into()),
        false => Ok(()),
    }
}

/// A scalar that goes on in further lines.
fn continued(raw: &str) -> Refused {
    if memchr::memchr(b'\n', raw.as_bytes()).is_none() {
        return Ok(());
    }
    for (i, line) in raw.split('\n').enumerate() {
        let content = line.trim_matches([' ', '\t']);
        let (lead, trail) = match content.is_empty() {
            true => (line, ""),
            false => line.split_at(line.find(content).unwrap_or_default()),
        };
        if lead.contains('\t') || trail[content.len().min(trail.len())..].contains('\t') {
            return Err("a tab at the start or end of a line; readers differ on what it is".into());
        }
        if i > 0 && !content.is_empty() && lead.is_empty() {
            return Err("a text goes on in a line that is not indented".into());
        }
    }
    Ok(())
}
