//! Splitting JSON into documents by their brackets, without reading what is in them.
//!
//! JSON lines are split by line, so that a broken one costs nothing but itself.

use std::io;

use memchr::memchr;
use serde::de::IgnoredAny;

use crate::sources::{
    error::Rest,
    failure::ReadFailure,
    files::{
        input::Input,
        list,
        nesting::{BracketEnd, Nesting},
    },
    sink::{FoundDocument, Sink, Stopped},
};

/// A document of more bytes than this is looked at member by member, as it may be a List of any size.
const MEMBER_BY_MEMBER: usize = 1 << 20;

/// How the documents of an input follow each other, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One may span lines.
    Free,
    /// The first one had a line of its own.
    ByLine,
    /// One could not be read, so that nothing but the lines is left to go by.
    LinesOnly,
}

/// Hands on every document of an input.
pub(super) fn split(input: &mut Input<'_>, layout: Layout, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let mut layout = layout;
    loop {
        let first = match input.skip_space(sink)? {
            Ok(Some(first)) => first,
            Ok(None) => return Ok(()),
            Err(error) => return sink.take(FoundDocument::Failed(ReadFailure::Read(error))),
        };
        let line = match line(input, sink)? {
            Ok(line) => line,
            Err(error) => return sink.take(FoundDocument::Failed(ReadFailure::Read(error))),
        };
        if let Some(length) = line {
            let text = input.text_of_line(length);
            let text = &input.bytes()[..text];
            let end = if layout == Layout::Free { end(text) } else { BracketEnd::Open };
            let whole = match layout {
                Layout::Free => end == BracketEnd::At(text.len()),
                Layout::ByLine => is_bracketed(text),
                Layout::LinesOnly => true,
            };
            let opens = matches!(first, b'{' | b'[');
            if whole || (layout != Layout::Free && !opens) {
                sink.take(FoundDocument::Json { bytes: text, line: input.line(), inherited: None })?;
                input.consume(length);
                if layout == Layout::Free {
                    layout = Layout::ByLine;
                }
                continue;
            }
            // No first line of a longer document, so that it is the first of JSON lines if the next one is whole.
            if !opens || (layout == Layout::Free && !matches!(end, BracketEnd::At(_)) && cannot_go_on(text)) {
                let goes_on = match is_object_behind(input, length, sink)? {
                    Ok(goes_on) => goes_on,
                    Err(error) => return sink.take(FoundDocument::Failed(ReadFailure::Read(error))),
                };
                if goes_on {
                    let failure = ReadFailure::json(&input.bytes()[..length], input.line(), Rest::Read);
                    sink.take(FoundDocument::Failed(failure))?;
                    input.consume(length);
                    layout = Layout::LinesOnly;
                    continue;
                }
            }
            if !opens {
                let failure = ReadFailure::json(&input.bytes()[..length], input.line(), Rest::NotRead);
                return sink.take(FoundDocument::Failed(failure));
            }
        }
        layout = match spanning_lines(input, sink, layout)? {
            Some(layout) => layout,
            None => return Ok(()),
        };
    }
}

/// A document that is not a line. `None`: what follows is not read.
fn spanning_lines(
    input: &mut Input<'_>,
    sink: &mut dyn Sink,
    layout: Layout,
) -> Result<Option<Layout>, Stopped> {
    let rest = if layout == Layout::Free { Rest::NotRead } else { Rest::Read };
    let mut nesting = Nesting::default();
    let mut scanned = 0;
    let found = loop {
        match nesting.scan(&input.bytes()[scanned..]) {
            BracketEnd::At(length) => break Ok(Some(scanned + length)),
            BracketEnd::Broken => break Ok(None),
            BracketEnd::Open => scanned = input.bytes().len(),
        }
        if scanned > MEMBER_BY_MEMBER || layout == Layout::LinesOnly {
            break Err(());
        }
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => break Ok(None),
            Err(error) => {
                sink.take(FoundDocument::Failed(ReadFailure::Read(error)))?;
                return Ok(None);
            }
        }
    };
    match found {
        Ok(Some(length)) => {
            sink.take(FoundDocument::Json {
                bytes: &input.bytes()[..length],
                line: input.line(),
                inherited: None,
            })?;
            input.consume(length);
            Ok(Some(layout))
        }
        Ok(None) => {
            // What cannot be closed: of JSON lines it is this line that is broken, else all the rest.
            let bytes = input.bytes();
            let length = match layout {
                Layout::Free => bytes.len(),
                _ => memchr(b'\n', bytes).unwrap_or(bytes.len()),
            };
            let failure = ReadFailure::json(&bytes[..length], input.line(), rest);
            sink.take(FoundDocument::Failed(failure))?;
            input.consume(length);
            Ok((layout != Layout::Free).then_some(Layout::LinesOnly))
        }
        Err(()) => {
            let failure = match list::members(input, sink)? {
                Ok(()) => return Ok(Some(layout)),
                Err(failure) => failure.with_rest(rest),
            };
            let lost = matches!(failure, ReadFailure::Read(_));
            sink.take(FoundDocument::Failed(failure))?;
            if layout == Layout::Free || lost {
                return Ok(None);
            }
            Ok(skip_line(input, sink)?.then_some(Layout::LinesOnly))
        }
    }
}

/// The length of the line that the input starts with, without its end; `None` if it is longer than what is looked at as one.
fn line(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<io::Result<Option<usize>>, Stopped> {
    loop {
        if let Some(end) = input.newline() {
            return Ok(Ok(Some(end)));
        }
        let searched = input.bytes().len();
        if searched > MEMBER_BY_MEMBER {
            return Ok(Ok(None));
        }
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(Some(searched))),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Uses everything up to the end of the line. `false`: nothing comes after it.
fn skip_line(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<bool, Stopped> {
    loop {
        if let Some(end) = memchr(b'\n', input.bytes()) {
            input.consume(end);
            return Ok(true);
        }
        input.consume(input.bytes().len());
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                sink.take(FoundDocument::Failed(ReadFailure::Read(error)))?;
                return Ok(false);
            }
        }
    }
}

/// Whether no document begins with this line and an object in the next one.
fn cannot_go_on(line: &[u8]) -> bool {
    let with_object = [line, b"\n{"].concat();
    serde_json::from_slice::<IgnoredAny>(&with_object).is_err_and(|error| !error.is_eof())
}

/// Whether the line behind the first `length` bytes and their line's end is a whole object.
fn is_object_behind(
    input: &mut Input<'_>,
    length: usize,
    sink: &mut dyn Sink,
) -> Result<io::Result<bool>, Stopped> {
    let mut ended = false;
    loop {
        let behind = input.bytes().get(length + 1..).unwrap_or_default();
        let line = match memchr(b'\n', behind) {
            Some(end) => Some(&behind[..end]),
            None => Some(behind).filter(|_| ended),
        };
        if let Some(line) = line {
            let line = line.trim_ascii_end();
            return Ok(Ok(line.first() == Some(&b'{') && end(line) == BracketEnd::At(line.len())));
        }
        if behind.first().is_some_and(|first| *first != b'{') || behind.len() > MEMBER_BY_MEMBER {
            return Ok(Ok(false));
        }
        match input.more(sink)? {
            Ok(more) => ended = !more,
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Whether the input, which starts like no JSON, is JSON lines of which the first is broken: the next one is whole. YAML has
/// a bracket there only behind the start of a document, a comment or a key.
pub(super) fn is_behind_broken_line(
    input: &mut Input<'_>,
    sink: &mut dyn Sink,
) -> Result<io::Result<bool>, Stopped> {
    let length = match line(input, sink)? {
        Ok(Some(length)) => length,
        Ok(None) => return Ok(Ok(false)),
        Err(error) => return Ok(Err(error)),
    };
    let first = input.bytes()[..length].trim_ascii_end();
    if first.starts_with(b"---")
        || first.starts_with(b"#")
        || first.starts_with(b"%")
        || first.ends_with(b":")
    {
        return Ok(Ok(false));
    }
    is_object_behind(input, length, sink)
}

fn is_bracketed(text: &[u8]) -> bool {
    matches!((text.first(), text.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')))
}

fn end(text: &[u8]) -> BracketEnd {
    Nesting::default().scan(text)
}
