//! What earlier steps left takes the place of references to it, in the environment, the when expressions and the command
//! (docs/tekton-contract.md 3.4, 3.5; Tekton pkg/entrypoint/entrypointer.go applyStepResultSubstitutions,
//! applyStepArtifactSubstitutions).
//!
//! As in Tekton, what cannot be substituted ends the substitution, is logged, and the step runs with what was replaced so far.
//! Only an index outside of an array fails the step, where Tekton panics (docs/architecture.md 4.7).

use std::{
    cell::Cell,
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use go::filepath::join;
use nix::errno::Errno;

use super::{log, roots::Roots, when::WhenExpression};
use crate::{
    step::{
        output::beneath::{self, FileContent, ReadError},
        program::environment::Environment,
    },
    tekton::references,
};

mod artifacts;
mod results;

/// The largest file of an earlier step that is read. Tekton's own limit for a result is 1.5 MiB (`max-result-size`), and the
/// kernel takes no argument above 128 KiB.
const LARGEST: usize = 2 * 1024 * 1024;
/// The most bytes that are put together in all, which takes some tenths of a second.
const MOST_WORK: usize = 128 * 1024 * 1024;

/// What may hold references.
pub struct Subjects<'a> {
    /// The environment of the program.
    pub environment: &'a mut Environment,
    /// Its when expressions.
    pub when: &'a mut [WhenExpression],
    /// Its command with all arguments.
    pub command: &'a mut Vec<OsString>,
}

/// An index outside of an array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "index out of range [{index}] with length {length} in {reference}: the earlier step's result has fewer elements"
)]
pub struct OutOfRange {
    /// The index; what is too large for a number is the largest one.
    pub index: u64,
    /// How many elements the result has.
    pub length: usize,
    /// The whole reference.
    pub reference: String,
}

/// Replaces all references to results, then those to artifacts.
pub fn apply(subjects: &mut Subjects<'_>, roots: &Roots) -> Result<(), OutOfRange> {
    let earlier = Earlier { roots, work: Cell::new(0) };
    match results::apply(subjects, &earlier) {
        Ok(()) => {}
        Err(results::ResultReferenceError::OutOfRange(error)) => return Err(error),
        Err(error) => log::error("Error while substituting step results:", &error.to_string()),
    }
    if let Err(error) = artifacts::apply(subjects, &earlier) {
        log::error("Error while substituting step artifacts:", &error.to_string());
    }
    Ok(())
}

/// Why what earlier steps left cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum EarlierError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("read {}: larger than {LARGEST} bytes; a file that is referred to must be smaller", .path.display())]
    TooLarge { path: PathBuf },
    #[error("the references would make a text of more than {LARGEST} bytes; refer to smaller results")]
    TooLong,
    #[error("the references make too much text; use fewer references or smaller results")]
    TooMuch,
}

/// What earlier steps left, and how much of it was used: they must not keep this step busy.
struct Earlier<'a> {
    roots: &'a Roots,
    /// Bytes that were put together.
    work: Cell<usize>,
}

impl Earlier<'_> {
    /// Reads a file of an earlier step's metadata directory. That step's code may have put anything there, so nothing that
    /// leads elsewhere is followed.
    fn read(&self, step: &[u8], folder: &str, name: &[u8]) -> Result<Vec<u8>, EarlierError> {
        let container = [b"step-", step].concat();
        let link = join(&[self.roots.steps().as_os_str(), &OsString::from_vec(container)]);
        let name = OsString::from_vec(name.to_vec());
        let path = join(&[link.as_os_str(), folder.as_ref(), &name]);
        let metadata = fs::read_link(&link).unwrap_or(link);
        let (mount, below) = beneath::mount_of(&metadata, folder);
        let below = join(&[below.as_os_str(), &name]);
        let missing = || ReadError::System { operation: "open", path: path.clone(), errno: Errno::ENOENT };
        match beneath::read(&mount, &below, LARGEST) {
            Ok(Some(FileContent::Whole(content))) => Ok(content),
            Ok(Some(FileContent::TooLarge)) => Err(EarlierError::TooLarge { path }),
            Ok(None) => Err(missing().into()),
            Err(error) => Err(error.at(&path).into()),
        }
    }

    /// Go's strings.ReplaceAll, within bounds.
    fn replace_all(&self, text: &[u8], what: &[u8], with: &[u8]) -> Result<Vec<u8>, EarlierError> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = references::find(rest, what) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(with);
            rest = &rest[at + what.len()..];
            if out.len() > LARGEST {
                return Err(EarlierError::TooLong);
            }
        }
        out.extend_from_slice(rest);
        self.spend(out.len())?;
        Ok(out)
    }

    /// Notes that this many bytes are put together.
    fn spend(&self, bytes: usize) -> Result<(), EarlierError> {
        let work = self.work.get().saturating_add(bytes);
        self.work.set(work);
        if work > MOST_WORK { Err(EarlierError::TooMuch) } else { Ok(()) }
    }
}

/// A script that Tekton's controller placed: the whole command is a file directly in `/tekton/scripts`.
fn is_script(command: &[OsString], roots: &Roots) -> bool {
    let [script] = command else { return false };
    let bytes = script.as_bytes();
    let Some(end) = bytes.iter().rposition(|&b| b == b'/') else { return false };
    join(&[OsString::from_vec(bytes[..=end].to_vec()).as_os_str()]) == Path::new(&roots.scripts())
}
