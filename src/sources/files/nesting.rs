//! Where a value in brackets ends.

use memchr::memchr3;

use crate::sources::{
    error::{LARGEST_OBJECT, Rest},
    failure::ReadFailure,
    files::input::Input,
    sink::{Sink, Stopped},
};

/// Where a value in brackets ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BracketEnd {
    /// After so many bytes.
    At(usize),
    /// Not in these bytes.
    Open,
    /// A line ends within a string, which JSON does not have.
    Broken,
}

/// How deep in brackets the bytes so far are.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Goes on over more bytes of a value that starts with a bracket.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> BracketEnd {
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.in_string {
                let Some(found) = memchr3(b'"', b'\\', b'\n', &bytes[at..]) else { return BracketEnd::Open };
                match bytes[at + found] {
                    b'"' => self.in_string = false,
                    b'\\' => self.escaped = true,
                    _ => return BracketEnd::Broken,
                }
                at += found + 1;
            } else {
                match bytes[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return BracketEnd::At(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        BracketEnd::Open
    }
}

/// The length of a value in brackets that the input starts with, `from` bytes on.
pub(crate) fn bracketed(
    input: &mut Input<'_>,
    from: usize,
    sink: &mut dyn Sink,
) -> Result<Result<usize, ReadFailure>, Stopped> {
    let mut nesting = Nesting::default();
    let mut scanned = from;
    loop {
        match nesting.scan(&input.bytes()[scanned..]) {
            BracketEnd::At(length) => return Ok(Ok(scanned + length - from)),
            BracketEnd::Broken => return Ok(Err(ReadFailure::unclosed(input.line()))),
            BracketEnd::Open => scanned = input.bytes().len(),
        }
        if scanned - from > LARGEST_OBJECT {
            return Ok(Err(ReadFailure::TooLarge(Rest::NotRead)));
        }
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => return Ok(Err(ReadFailure::unclosed(input.line()))),
            Err(error) => return Ok(Err(ReadFailure::Read(error))),
        }
    }
}
