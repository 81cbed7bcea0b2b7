//! Files that arguments name, where `-` is standard input: for one of them.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    cli::refusal::{Refusal, unchecked, usage},
    io_error,
};

/// Reads the files of one command line.
pub(super) struct Input<'a> {
    stdin: &'a mut (dyn Read + Send),
    /// The argument that standard input is for.
    taken: Option<String>,
}

/// Whether a path stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a path is called in messages.
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

impl<'a> Input<'a> {
    /// `sources` are the TaskRuns that are to be read later.
    pub(super) fn new(stdin: &'a mut (dyn Read + Send), sources: &[PathBuf]) -> Self {
        let taken = sources.iter().any(|source| is_stdin(source)).then(|| "the TaskRuns".to_owned());
        Input { stdin, taken }
    }

    /// The content of the file that `option` names. That it cannot be read is `unchecked`; that standard input is to be two
    /// things, a usage error.
    pub(super) fn bytes(&mut self, option: &str, path: &Path) -> Result<Vec<u8>, Refusal> {
        let unreadable =
            |error: io::Error| unchecked(format!("{option} {}: {}", name(path), io_error::words(&error)));
        if !is_stdin(path) {
            return fs::read(path).map_err(unreadable);
        }
        if let Some(taken) = self.taken.replace(option.to_owned()) {
            return Err(usage(format!(
                "{option} -: standard input is for {taken} already; name a file here"
            )));
        }
        let mut bytes = Vec::new();
        self.stdin.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// The same of a text.
    pub(super) fn text(&mut self, option: &str, path: &Path) -> Result<String, Refusal> {
        let bytes = self.bytes(option, path)?;
        String::from_utf8(bytes)
            .map_err(|_| unchecked(format!("{option} {}: it is not text (UTF-8)", name(path))))
    }

    /// What is left of standard input: for the TaskRuns, if they are on it.
    pub(super) fn stdin(self) -> &'a mut (dyn Read + Send) {
        self.stdin
    }
}
