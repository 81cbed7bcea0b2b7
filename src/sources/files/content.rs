//! What an input holds, JSON, JSON lines or YAML, and handing on every document of it.

use super::{compressed::Compression, input::Input, json, yaml};
use crate::{
    sources::{
        error::{LARGEST_OBJECT, Rest},
        failure::ReadFailure,
        files::input::is_space,
        sink::{FoundDocument, Sink, Stopped},
    },
    tekton::unsuitable::Unsuitable,
};

/// What some editors put before UTF-8. kubectl and jq pass over it, too.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Hands on every document of one input.
pub(super) fn split(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let is_decompressed = match input.decompress(sink)? {
        Ok(is_decompressed) => is_decompressed,
        Err(error) => return sink.take(FoundDocument::Failed(ReadFailure::Read(error))),
    };
    if is_decompressed && Compression::of(input.bytes()).is_some() {
        return sink.take(FoundDocument::Failed(ReadFailure::Unsuitable(Unsuitable::CompressedTwice)));
    }
    if let Some(what) = Unsuitable::of_bytes(input.bytes()) {
        return sink.take(FoundDocument::Failed(ReadFailure::Unsuitable(what)));
    }
    if input.bytes().starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    match first(input, sink)? {
        Err(failure) => sink.take(FoundDocument::Failed(failure)),
        Ok(None) => sink.take(FoundDocument::Failed(ReadFailure::Empty)),
        Ok(Some(b'{' | b'[')) => json::split(input, json::Layout::Free, sink),
        Ok(Some(_)) => text(input, sink),
    }
}

/// What starts like no JSON: YAML, JSON lines of which the first is broken, or something else.
fn text(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let by_line = match json::is_behind_broken_line(input, sink)? {
        Ok(by_line) => by_line,
        Err(error) => return sink.take(FoundDocument::Failed(ReadFailure::Read(error))),
    };
    if by_line {
        return json::split(input, json::Layout::LinesOnly, sink);
    }
    let start = input.bytes();
    match Unsuitable::of_text(start).or_else(|| Unsuitable::of_value_alone(start)) {
        Some(what) => sink.take(FoundDocument::Failed(ReadFailure::Unsuitable(what))),
        None => yaml::split(input, sink),
    }
}

/// The first byte that is not white space. Empty lines before it are used; to YAML the blanks in its own line matter.
fn first(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<Result<Option<u8>, ReadFailure>, Stopped> {
    let mut searched = 0;
    loop {
        let bytes = &input.bytes()[searched..];
        if let Some(at) = bytes.iter().position(|byte| !is_space(*byte)) {
            let (first, space) = (bytes[at], &input.bytes()[..searched + at]);
            if !space.contains(&b'\t') {
                let lines = memchr::memrchr(b'\n', space).map_or(0, |end| end + 1);
                input.consume(lines);
            }
            return Ok(Ok(Some(first)));
        }
        searched += bytes.len();
        if searched > LARGEST_OBJECT {
            return Ok(Err(ReadFailure::TooLarge(Rest::NotRead)));
        }
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(ReadFailure::Read(error))),
        }
    }
}
