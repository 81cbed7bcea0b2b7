//! Compressed inputs, told by their first bytes and read as they come: nothing is held but the decoder's window.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// How many first bytes tell a compression.
pub(super) const MAGIC: usize = 4;

/// A compression that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952, of any number of members.
    Gzip,
    /// RFC 8878, of any number of frames, without a dictionary.
    Zstandard,
}

impl Compression {
    /// By the first [`MAGIC`] bytes of an input (RFC 1952 2.3.1, RFC 8878 3.1).
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstandard),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstandard => "zstd",
        }
    }

    /// What is in `compressed`, to its very end: damage, a missing end and anything behind the end are errors.
    pub(super) fn decompressed<'a>(self, compressed: impl Read + 'a) -> Box<dyn Read + 'a> {
        let compressed = BufReader::new(compressed);
        match self {
            Self::Gzip => Box::new(Worded { reader: MultiGzDecoder::new(compressed), compression: self }),
            Self::Zstandard => Box::new(Worded { reader: Frames::new(compressed), compression: self }),
        }
    }
}

/// Says what is wrong with compressed data in words of its own.
struct Worded<R> {
    reader: R,
    compression: Compression,
}

impl<R: Read> Read for Worded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into).map_err(|error| {
            let name = self.compression.name();
            match error.kind() {
                // The system's own, or a signal's.
                _ if error.raw_os_error().is_some() => error,
                io::ErrorKind::Interrupted => error,
                kind @ io::ErrorKind::UnexpectedEof => {
                    io::Error::new(kind, format!("the {name} data is cut short"))
                }
                kind => io::Error::new(
                    kind,
                    format!("the {name} data is damaged, or something else follows its end"),
                ),
            }
        })
    }
}

/// Frames of Zstandard, one behind the other. `ruzstd` reads one, and leaves its checksum to whoever calls it.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_within: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), is_within: false }
    }

    /// Begins the next frame. `false`: there is none.
    fn next(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(as_io(error)),
            }
        }
        Ok(false)
    }

    fn check(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            Some(stated) if self.decoder.get_calculated_checksum() != Some(stated) => {
                Err(io::ErrorKind::InvalidData.into())
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within {
                if !self.next()? {
                    return Ok(0);
                }
                self.is_within = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let block = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, block).map_err(as_io)?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.check()?;
            self.is_within = false;
        }
    }
}

/// The error of reading that is behind it, if one is.
fn as_io(error: FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<io::Error>() {
            return match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            };
        }
        cause = one.source();
    }
    io::ErrorKind::InvalidData.into()
}
