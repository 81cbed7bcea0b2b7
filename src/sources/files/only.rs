//! Which files of a folder are meant: those with the endings of TaskRuns, or those that `--only` says.

use std::{ffi::OsStr, path::PathBuf, str::FromStr};

use crate::sources::{
    files::endings::{COMPRESSED_ENDINGS, ENDINGS},
    not_read::NotRead,
};

/// Endings of what is packed in a way that is not read.
const PACKED_ENDINGS: [(&str, &str); 13] = [
    (".tar", "tar"),
    (".tgz", "tar"),
    (".tar.gz", "tar"),
    (".tar.zst", "tar"),
    (".zip", "zip"),
    (".bz2", "bzip2"),
    (".xz", "xz"),
    (".7z", "7z"),
    (".lz4", "lz4"),
    (".br", "brotli"),
    (".lzma", "lzma"),
    (".z", "compress"),
    (".rar", "rar"),
];

/// What is to be read: files, folders, and `-` for standard input.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// As given.
    pub paths: &'a [PathBuf],
    /// Names of the files that are meant in folders; none: those with the endings of TaskRuns, and no others should be there.
    pub only: &'a [NamePattern],
}

impl<'a> From<&'a [PathBuf]> for Sources<'a> {
    fn from(paths: &'a [PathBuf]) -> Self {
        Sources { paths, only: &[] }
    }
}

impl<'a, const N: usize> From<&'a [PathBuf; N]> for Sources<'a> {
    fn from(paths: &'a [PathBuf; N]) -> Self {
        Sources::from(&paths[..])
    }
}

/// Whether a file of a folder is meant.
pub(super) enum Meant {
    Yes,
    /// Somebody said so.
    No,
    /// Nobody said so: it may hold TaskRuns.
    Unknown(NotRead),
}

impl Sources<'_> {
    /// Whether `--only` leaves a file of this name out.
    pub(super) fn leaves_out(&self, name: &OsStr) -> bool {
        !self.only.is_empty() && !self.only.iter().any(|pattern| pattern.0.matches(&name.to_string_lossy()))
    }

    /// Whether a file of this name is read where it lies in a folder.
    pub fn reads(&self, name: &OsStr) -> bool {
        matches!(self.means(name), Meant::Yes)
    }

    /// Whether a file of this name is meant.
    pub(super) fn means(&self, name: &OsStr) -> Meant {
        if !self.only.is_empty() {
            return if self.leaves_out(name) { Meant::No } else { Meant::Yes };
        }
        let name = name.to_string_lossy().to_ascii_lowercase();
        let without = COMPRESSED_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        if ENDINGS.iter().any(|ending| without.ends_with(ending)) {
            return Meant::Yes;
        }
        let packed = PACKED_ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        Meant::Unknown(packed.map_or(NotRead::Ending, |(_, packed)| NotRead::Packed(packed)))
    }
}

/// A pattern for the names of files: `*` for any characters, `?` for one, `[a-z]` for one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(glob::Pattern);

/// Why a text is not a pattern for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamePatternError {
    /// It has a slash.
    #[error(
        "it is compared with the names of files, which have no slash; to read one folder alone, give that folder"
    )]
    Slash,
    /// It has braces.
    #[error("braces mean nothing in it; give --only once for each pattern")]
    Braces,
    /// It is empty.
    #[error("it is empty, so it fits no name")]
    Empty,
    /// It is malformed.
    #[error("it is not a pattern such as '*.json': {0}")]
    Malformed(&'static str),
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        match text {
            "" => Err(NamePatternError::Empty),
            _ if text.contains('/') => Err(NamePatternError::Slash),
            _ if text.contains(['{', '}']) => Err(NamePatternError::Braces),
            _ => glob::Pattern::new(text)
                .map(NamePattern)
                .map_err(|error| NamePatternError::Malformed(error.msg)),
        }
    }
}
