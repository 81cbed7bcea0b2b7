//! Where TaskRuns come from: files and folders of JSON or YAML, and standard input, of any size.
//!
//! One thread reads and only splits the input into documents ([`read`], [`json`]); what is in a document is read
//! elsewhere ([`document`]), so that all cores take part. Nothing here holds more than one object.

#[cfg(test)]
mod agreement;
mod document;
mod input;
mod json;
mod list;
mod yaml;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::{
    facts::Detail,
    taskrun::{Inherited, TaskRunError},
};

pub(super) use document::{Document, Failure};
use input::Input;

/// The largest object that is read, bytes. An API server keeps none of more than some 1.5 MB (etcd's limit); what is read
/// takes a multiple of this in memory, at worst.
pub const LARGEST_OBJECT: usize = 16 << 20;

/// Why an input gives no TaskRun.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// As given.
        path: String,
        /// From the operating system.
        error: io::Error,
    },
    /// Neither JSON nor YAML.
    #[error("{path}: not {format}: {error}{rest}")]
    Syntax {
        /// As given, with the number of the object.
        path: String,
        /// JSON or YAML.
        format: &'static str,
        /// With line and column.
        error: String,
        /// What becomes of the rest.
        rest: Rest,
    },
    /// An object that is no TaskRun.
    #[error("{path}: {error}")]
    Object {
        /// As given, with the number of the object.
        path: String,
        /// Why not.
        error: TaskRunError,
    },
    /// More than [`LARGEST_OBJECT`].
    #[error("{path}: the object is larger than {} MiB, more than Kubernetes keeps{rest}", LARGEST_OBJECT >> 20)]
    TooLarge {
        /// As given, with the number of the object.
        path: String,
        /// What becomes of the rest.
        rest: Rest,
    },
    /// A List that is none after all.
    #[error("{path}: its items were taken for those of a List, but {reason}")]
    List {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in it.
    #[error("{path}: there is no object in it")]
    Empty {
        /// As given.
        path: String,
    },
    /// A bug.
    #[error("{path}: checking it panicked, which is a bug in svidence; it is not verified")]
    Panicked {
        /// As given, with the number of the object.
        path: String,
    },
}

impl SourceError {
    /// What is wrong, for programs.
    pub fn detail(&self) -> Detail {
        match self {
            SourceError::Read { .. } => Detail::NOT_READ,
            SourceError::Syntax { .. } => Detail::SYNTAX,
            SourceError::Object { error: TaskRunError::Kind { .. }, .. } => Detail::OTHER_KIND,
            SourceError::Object { error: TaskRunError::NoKind, .. } => Detail::NO_KIND,
            SourceError::Object { error: TaskRunError::Shape(_), .. } => Detail::SHAPE,
            SourceError::TooLarge { .. } => Detail::OBJECT_TOO_LARGE,
            SourceError::List { .. } => Detail::LIST,
            SourceError::Empty { .. } => Detail::EMPTY,
            SourceError::Panicked { .. } => Detail::PANICKED,
        }
    }
}

/// What becomes of the input after something that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It is judged.
    Read,
    /// Nobody can tell where it goes on.
    NotRead,
}

impl std::fmt::Display for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rest::Read => Ok(()),
            Rest::NotRead => f.write_str("; what follows in it is not read"),
        }
    }
}

/// Nobody takes any more documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// What the reader finds, in order.
pub(super) enum Found<'a> {
    /// One JSON document, or what should be one.
    Json {
        /// All of it.
        bytes: &'a [u8],
        /// The line of the input that it starts in, from 1.
        line: u64,
        /// What its list says of it.
        inherited: Option<&'a Inherited>,
    },
    /// A document of YAML, and about how many bytes it came from.
    Yaml(Value, usize),
    /// Something that cannot be read.
    Failed(Failure),
}

/// Takes what the reader finds.
pub(super) trait Sink {
    /// What comes from now on is from this input.
    fn begin(&mut self, path: Arc<str>);
    /// Takes one thing.
    fn take(&mut self, found: Found<'_>) -> Result<(), Stopped>;
    /// The reader may have to wait for more: what was taken should not.
    fn waiting(&mut self) -> Result<(), Stopped>;
    /// So many bytes more were read.
    fn count(&mut self, bytes: usize);
}

/// Hands every document of `path` to `sink`, one at a time: a file of one object, a List, JSON lines or several YAML
/// documents; a folder (its `.json`, `.jsonl`, `.yaml` and `.yml` files, by name, subfolders too); or `-` for `stdin`.
pub(super) fn read(path: &Path, stdin: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), Stopped> {
    if path == Path::new("-") {
        sink.begin("standard input".into());
        return document(&mut Input::new(stdin, true), sink);
    }
    if path.is_dir() {
        return folder(path, stdin, sink);
    }
    sink.begin(path.display().to_string().into());
    match fs::File::open(path) {
        Ok(mut file) => {
            let waits = !file.metadata().is_ok_and(|metadata| metadata.is_file());
            document(&mut Input::new(&mut file, waits), sink)
        }
        Err(error) => sink.take(Found::Failed(Failure::Read(error))),
    }
}

fn folder(path: &Path, stdin: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let listed = || -> io::Result<Vec<PathBuf>> {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        entries.sort();
        Ok(entries)
    };
    let failed = |sink: &mut dyn Sink, path: &Path, error| {
        sink.begin(path.display().to_string().into());
        sink.take(Found::Failed(Failure::Read(error)))
    };
    let entries = match listed() {
        Ok(entries) => entries,
        Err(error) => return failed(sink, path, error),
    };
    for entry in entries {
        let extension = entry.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let is_named_so = ["json", "jsonl", "yaml", "yml"].contains(&extension);
        // A link to a folder may lead round in circles, and a FIFO would be waited for.
        let is_folder = match fs::symlink_metadata(&entry) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) => {
                failed(sink, &entry, error)?;
                continue;
            }
        };
        if is_folder || (is_named_so && entry.metadata().is_ok_and(|target| target.is_file())) {
            read(&entry, stdin, sink)?;
        }
    }
    Ok(())
}

fn document(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    match input.skip_space(sink)? {
        Err(error) => sink.take(Found::Failed(Failure::Read(error))),
        Ok(None) => sink.take(Found::Failed(Failure::Empty)),
        Ok(Some(b'{' | b'[')) => json::split(input, sink),
        Ok(Some(_)) => yaml::split(input, sink),
    }
}
