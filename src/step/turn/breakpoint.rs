//! Pauses for whoever debugs a TaskRun: before a step's command, and after it failed (docs/tekton-contract.md 3.3, 3.9; Tekton
//! pkg/entrypoint/entrypointer.go). The scripts that end a pause are the controller's, in `/tekton/debug/scripts`.

use std::{
    ffi::OsStr,
    num::IntErrorKind,
    path::{Path, PathBuf},
};

use go::text::{quote, utf8};

use crate::step::{
    log,
    output::beneath::{self, FileContent, ReadError},
    program::events::LoopEvents,
    turn::wait::{self, DeadlySignal, WaitError},
};

/// What was decided before the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Continue,
    /// Do not run it; the step fails.
    Skip,
}

/// Why the file that ends a pause holds no exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ExitCodeError {
    #[error("breakpoint postfile {} not found", .0.display())]
    NotFound(PathBuf),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("strconv.Atoi: parsing {}: {problem}", quote(OsStr::new(.text)))]
    Number { text: String, problem: &'static str },
}

/// Pauses until somebody decides. `Err`: a signal came that ends the process.
pub fn before_step(events: &LoopEvents, post_file: &Path) -> Result<Decision, DeadlySignal> {
    log::line(
        "debug before step breakpoint has taken effect, waiting for user's decision:\n\
         1) continue, use cmd: /tekton/debug/scripts/debug-beforestep-continue\n\
         2) fail-continue, use cmd: /tekton/debug/scripts/debug-beforestep-fail-continue",
    );
    let file = beside(post_file, ".beforestepexit");
    match wait::for_file(events, &file, false) {
        Ok(()) => Ok(Decision::Continue),
        Err(WaitError::Signalled(signal)) => Err(signal),
        Err(_) => {
            log::line(&format!(
                "error occurred while waiting for {} : before step breakpoint error file, user decided to skip the current \
                 step execution",
                file.display()
            ));
            Ok(Decision::Skip)
        }
    }
}

/// Pauses until somebody decides with which exit code the step ends. What cannot be read counts as 0, so that the later
/// steps run. `Err`: a signal came that ends the process.
pub fn on_failure(events: &LoopEvents, post_file: &Path) -> Result<i32, DeadlySignal> {
    log::line(
        "debug onFailure breakpoint has taken effect, waiting for user's decision:\n\
         1) continue, use cmd: /tekton/debug/scripts/debug-continue\n\
         2) fail-continue, use cmd: /tekton/debug/scripts/debug-fail-continue",
    );
    let file = beside(post_file, ".breakpointexit");
    match wait::for_file(events, &file, false) {
        Ok(()) => wait::for_writer(events, &file)?,
        Err(WaitError::Signalled(signal)) => return Err(signal),
        Err(error) => {
            log::line(&format!("error occurred while waiting for {} : {error}", file.display()));
        }
    }
    let (code, error) = exit_code(&file);
    if let Some(error) = error {
        log::line(&format!("error occurred while reading breakpoint exit code : {error}"));
    }
    Ok(code)
}

fn beside(post_file: &Path, suffix: &str) -> PathBuf {
    let mut name = post_file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The number in the file, as Go's Atoi reads it: out of range it is the nearest one.
fn exit_code(file: &Path) -> (i32, Option<ExitCodeError>) {
    /// More than any number has digits.
    const LIMIT: usize = 4096;
    let (folder, name) = match (file.parent(), file.file_name()) {
        (Some(folder), Some(name)) => (folder, Path::new(name)),
        _ => (Path::new(""), file),
    };
    let content = match beneath::read(folder, name, LIMIT) {
        Ok(Some(FileContent::Whole(content))) => content,
        Ok(Some(FileContent::TooLarge)) => Vec::new(),
        Ok(None) => return (0, Some(ExitCodeError::NotFound(file.to_owned()))),
        Err(error) => return (0, Some(error.at(file).into())),
    };
    let text = utf8(content.strip_suffix(b"\n").unwrap_or(&content)).0;
    log::line(&format!("Breakpoint exiting with exit code {text}"));
    let (number, problem) = match text.parse::<i64>() {
        Ok(number) => (number, None),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => (i64::MAX, Some("value out of range")),
            IntErrorKind::NegOverflow => (i64::MIN, Some("value out of range")),
            _ => (0, Some("invalid syntax")),
        },
    };
    let status = i32::try_from(number.rem_euclid(256)).unwrap_or(0);
    (status, problem.map(|problem| ExitCodeError::Number { text, problem }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_as_tekton_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.breakpointexit");
        assert!(matches!(exit_code(&file), (0, Some(ExitCodeError::NotFound(_)))));
        for (content, code, fails) in [
            ("0", 0, false),
            ("1\n", 1, false),
            ("+7", 7, false),
            ("-1", 255, false),
            ("300", 44, false),
            ("", 0, true),
            ("1\n\n", 0, true),
            (" 1", 0, true),
            ("99999999999999999999", 255, true),
            ("-99999999999999999999", 0, true),
        ] {
            std::fs::write(&file, content).unwrap();
            let (read, error) = exit_code(&file);
            assert_eq!((read, error.is_some()), (code, fails), "{content:?}: {error:?}");
        }
    }
}
