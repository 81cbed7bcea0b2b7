//! Compressed bytes.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// A member of gzip.
pub fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A frame of Zstandard, with its checksum.
pub fn zstd(content: impl AsRef<[u8]>) -> Vec<u8> {
    compress_to_vec(content.as_ref(), CompressionLevel::Fastest)
}
