//! The bytes of one input, as many at a time as are looked at.

use std::{
    io::{self, Cursor, Read},
    mem,
};

use memchr::{memchr, memchr_iter};

use crate::sources::{
    files::compressed::{Compression, MAGIC},
    sink::{Sink, Stopped},
};

/// Bytes that are asked for at a time.
const PIECE: usize = 128 << 10;

/// What was read and not used yet, and where the rest comes from.
pub(super) struct Input<'a> {
    reader: Box<dyn Read + 'a>,
    waits: bool,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
    line: u64,
    /// So many bytes of what is there hold no line's end: a line of many objects is searched once.
    no_newline: usize,
    /// Where the text of the line ends, if that was looked for.
    text: Option<usize>,
}

impl<'a> Input<'a> {
    /// `waits`: it is a pipe or the like, of which more may come later.
    pub(super) fn new(reader: &'a mut dyn Read, waits: bool) -> Self {
        Input {
            reader: Box::new(reader),
            waits,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            line: 1,
            no_newline: 0,
            text: None,
        }
    }

    /// Goes on with what is in the input, if it is compressed; `false` if it is not. What is there then, is enough to tell
    /// what it is by its first bytes.
    pub(super) fn decompress(&mut self, sink: &mut dyn Sink) -> Result<io::Result<bool>, Stopped> {
        if let Err(error) = self.fill(MAGIC, sink)? {
            return Ok(Err(error));
        }
        let Some(compression) = Compression::of(self.bytes()) else { return Ok(Ok(false)) };
        let start = mem::take(&mut self.buffer);
        let rest = mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = compression.decompressed(Cursor::new(start).chain(rest));
        self.ended = false;
        Ok(self.fill(MAGIC, sink)?.map(|()| true))
    }

    /// Reads until so many bytes are there, if the input has them.
    fn fill(&mut self, bytes: usize, sink: &mut dyn Sink) -> Result<io::Result<()>, Stopped> {
        while self.bytes().len() < bytes {
            match self.more(sink)? {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Where the line ends, if its end is there.
    pub(super) fn newline(&mut self) -> Option<usize> {
        let known = self.no_newline;
        let found = memchr(b'\n', &self.bytes()[known..]).map(|further| known + further);
        self.no_newline = found.unwrap_or(self.bytes().len());
        found
    }

    /// The length of the line's text, without the white space at its end; the line has `length` bytes.
    pub(super) fn text_of_line(&mut self, length: usize) -> usize {
        let text = self.text.unwrap_or_else(|| self.bytes()[..length].trim_ascii_end().len());
        self.text = Some(text);
        text
    }

    /// The line that it starts in, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads more. `false`: there is no more.
    pub(super) fn more(&mut self, sink: &mut dyn Sink) -> Result<io::Result<bool>, Stopped> {
        if self.ended {
            return Ok(Ok(false));
        }
        if self.waits {
            sink.waiting()?;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + PIECE, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        Ok(read.map(|read| {
            sink.count(read);
            self.ended = read == 0;
            read > 0
        }))
    }

    /// Uses the first bytes.
    pub(super) fn consume(&mut self, bytes: usize) {
        let used = &self.buffer[self.start..self.start + bytes];
        self.line += u64::try_from(memchr_iter(b'\n', used).count()).unwrap_or_default();
        self.start += bytes;
        self.no_newline = self.no_newline.saturating_sub(bytes);
        self.text = self.text.and_then(|text| text.checked_sub(bytes)).filter(|text| *text > 0);
    }

    /// Uses the white space that comes first; gives the byte after it.
    pub(super) fn skip_space(&mut self, sink: &mut dyn Sink) -> Result<io::Result<Option<u8>>, Stopped> {
        loop {
            let bytes = self.bytes();
            let space = bytes.iter().take_while(|byte| is_space(**byte)).count();
            let next = bytes.get(space).copied();
            self.consume(space);
            if next.is_some() {
                return Ok(Ok(next));
            }
            match self.more(sink)? {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(None)),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// White space to JSON.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
