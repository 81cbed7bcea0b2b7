//! One of several parts of a source, for a machine of its own (docs/verify.md "Shards").
//!
//! A family is never divided: a PipelineRun is judged by its TaskRuns. [`kin`] says what a run tells about its family; [`mod@families`] knows
//! all of a source, after it was read once.

mod families;
mod kin;

use std::{fmt, num::NonZeroU64, str::FromStr};

pub use families::{Families, Membership, families};
pub use kin::Kin;

/// One of `of` parts of a source, `index` from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: NonZeroU64,
}

/// Why a text is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not two whole numbers.
    #[error(
        "it must be I/N, two whole numbers: part I, counted from 0, of N; for example 0/4, 1/4, 2/4 and 3/4"
    )]
    Form,
    /// A part that there is not.
    #[error("there is no part {index} of {of}: they are counted from 0 to {}", of.get() - 1)]
    NoSuchPart {
        /// As given.
        index: u64,
        /// As given.
        of: NonZeroU64,
    },
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| ShardError::Form),
            false => Err(ShardError::Form),
        };
        let (index, of) = text.split_once('/').ok_or(ShardError::Form)?;
        let (index, of) = (number(index)?, NonZeroU64::new(number(of)?).ok_or(ShardError::Form)?);
        match index < of.get() {
            true => Ok(Self { index, of }),
            false => Err(ShardError::NoSuchPart { index, of }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// Whether the family with this root is in it.
    fn has(self, root: &str) -> bool {
        number(root) % self.of == self.index
    }
}

/// The first 8 bytes of a text's SHA-256, as a number (docs/verify.md "Shards"): the same everywhere and for ever.
fn number(text: &str) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte))
}
