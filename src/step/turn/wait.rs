//! Waiting for the step's turn (docs/tekton-contract.md 3.2; Tekton cmd/entrypoint/waiter.go).

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::Instant,
};

use go::{errno::path_error, text::quote};
use nix::sys::signal::Signal;

use crate::step::program::{
    events::{FALLBACK, LoopEvents},
    sys,
};

/// Why a step's turn did not come.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// An earlier step failed: its post file is `<file>.err`.
    #[error("error file present, bail and skip the step")]
    EarlierStepFailed,
    /// The file cannot be looked at, for another reason than that it does not exist.
    #[error("waiting for {}: {}", quote(.file.as_os_str()), path_error("stat", .file, .error))]
    Stat {
        /// The awaited file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A signal came that ends a Go program.
    #[error(transparent)]
    Signalled(#[from] DeadlySignal),
}

/// A signal that ends a Go program which nobody made handle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ended by signal {signal} while waiting")]
pub struct DeadlySignal {
    /// Its number.
    pub signal: i32,
    /// Whether it kills (SIGTERM, SIGINT, SIGHUP) or makes a Go program dump its state and exit with 2.
    pub kills: bool,
}

/// Waits for each of the comma-separated files in order. Empty elements are no-ops. `in_spite_of_failure`: an earlier step
/// that failed is waited for as one that did not (a breakpoint on failure, docs/tekton-contract.md 3.2).
pub fn for_files(
    events: &LoopEvents,
    list: &OsStr,
    content: bool,
    in_spite_of_failure: bool,
) -> Result<(), WaitError> {
    for file in split_list(list).filter(|file| !file.is_empty()) {
        match for_file(events, Path::new(&file), content) {
            Err(WaitError::EarlierStepFailed) if in_spite_of_failure => {}
            waited => waited?,
        }
    }
    // A signal that came before the program starts is ours, not the program's.
    Ok(refuse_deadly(events, &events.woken().signals)?)
}

/// Waits for one file.
pub fn for_file(events: &LoopEvents, file: &Path, content: bool) -> Result<(), WaitError> {
    // A file that is there already needs no watch, which would have to be retired.
    if there(file, content)? {
        return Ok(());
    }
    let waited = watch_for(events, file, content);
    events.unwatch();
    waited
}

fn watch_for(events: &LoopEvents, file: &Path, content: bool) -> Result<(), WaitError> {
    loop {
        // The watch comes before the look, so that no change between the two is missed.
        events.watch(file, content);
        if there(file, content)? {
            return Ok(());
        }
        let woken = events.wait(&[], None, true);
        refuse_deadly(events, &woken.signals)?;
    }
}

/// Gives whoever has just made a file up to [`FALLBACK`] to write to it. `echo 1 >file` makes it first and writes then; Tekton,
/// which looks once a second, hardly ever sees it in between, but we are woken then. A file that stays empty counts as it is.
pub fn for_writer(events: &LoopEvents, file: &Path) -> Result<(), DeadlySignal> {
    let deadline = Instant::now() + FALLBACK;
    loop {
        events.watch(file, true);
        if !fs::metadata(file).is_ok_and(|found| found.len() == 0) || Instant::now() >= deadline {
            events.unwatch();
            return Ok(());
        }
        let woken = events.wait(&[], Some(deadline), false);
        refuse_deadly(events, &woken.signals)?;
    }
}

/// One look at a file and its `.err` sibling. The plain file is tested first: if both exist the step runs.
pub fn there(file: &Path, content: bool) -> Result<bool, WaitError> {
    match fs::metadata(file) {
        Ok(found) if !content || found.len() > 0 => return Ok(true),
        Ok(_) => {}
        // Not io::ErrorKind::NotFound alone, to be plain: Go's os.IsNotExist is ENOENT and nothing else.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => {}
        Err(error) => return Err(WaitError::Stat { file: file.to_owned(), error }),
    }
    let mut failed = file.as_os_str().to_owned();
    failed.push(".err");
    match fs::metadata(failed) {
        Ok(_) => Err(WaitError::EarlierStepFailed),
        Err(_) => Ok(false),
    }
}

/// Go's strings.Split(list, ",").
pub fn split_list(list: &OsStr) -> impl Iterator<Item = OsString> {
    list.as_bytes().split(|&b| b == b',').map(|part| OsString::from_vec(part.to_vec()))
}

/// What Go's runtime does with a signal nobody asked for (Go runtime/sigtab_linux_generic.go; docs/tekton-contract.md 3.7.3).
fn refuse_deadly(events: &LoopEvents, signals: &[i32]) -> Result<(), DeadlySignal> {
    const KILLING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    const DUMPING: [Signal; 9] = [
        Signal::SIGQUIT,
        Signal::SIGABRT,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGSEGV,
        Signal::SIGSTKFLT,
        Signal::SIGSYS,
    ];
    for &signal in signals.iter().filter(|&&signal| !events.was_ignored(signal)) {
        let is = |known: &Signal| sys::number(*known) == signal;
        if KILLING.iter().any(is) {
            return Err(DeadlySignal { signal, kills: true });
        }
        if DUMPING.iter().any(is) {
            return Err(DeadlySignal { signal, kills: false });
        }
    }
    Ok(())
}
