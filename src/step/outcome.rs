//! How a step ended and what follows from it: the outcome table (docs/tekton-contract.md 3.8; Tekton
//! pkg/entrypoint/entrypointer.go and cmd/entrypoint/main.go).

use super::args::Args;
use crate::{
    step::output::{artifacts::ArtifactError, beneath::ReadError},
    tekton::termination::TooLarge,
};

/// The exit status of a step whose program a signal killed: Go's -1.
const SIGNALLED: i32 = 255;
/// The exit status of a cancelled step: the number of SIGKILL.
const CANCELLED: i32 = 9;

/// What ended the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An earlier step failed, so this one did not start.
    EarlierStepFailed,
    /// Waiting failed otherwise.
    WaitFailed(String),
    /// The step's when expressions are false.
    WhenFalse,
    /// Cancellation was asked for.
    Cancelled,
    /// The step's timeout passed.
    TimedOut,
    /// The program exited.
    Exited(i32),
    /// A signal killed the program.
    Signalled(i32),
    /// The program was not started, or its output could not be copied.
    NotRun(String),
    /// Whoever debugs the TaskRun decided before the program that it is not to run.
    DebugSkipped,
}

/// In the words of a log line.
impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EarlierStepFailed | Self::WaitFailed(_) => f.write_str("the command did not run"),
            Self::WhenFalse => f.write_str("the command was skipped by its when expressions"),
            Self::Cancelled => f.write_str("the step was cancelled"),
            Self::TimedOut => f.write_str("the step's timeout passed"),
            Self::Exited(0) => f.write_str("the command succeeded"),
            Self::Exited(code) => write!(f, "the command failed with exit code {code}"),
            Self::Signalled(signal) => write!(f, "signal {signal} ended the command"),
            Self::NotRun(_) => f.write_str("the command could not be run"),
            Self::DebugSkipped => f.write_str("the command was skipped by whoever debugs the step"),
        }
    }
}

/// Why collecting or writing what the step produced failed: the last log line. It takes the place of how the step ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A result cannot be read.
    #[error("Error executing command: {0}")]
    Results(ReadError),
    /// The results do not fit.
    #[error(transparent)]
    TooLarge(TooLarge),
    /// Artifacts cannot be read.
    #[error(transparent)]
    Artifacts(ArtifactError),
    /// The termination message cannot be written.
    #[error("Error while writing message: {0}")]
    Message(String),
    /// The post file or `exitCode` cannot be written.
    #[error("{0}")]
    Post(String),
}

/// The step's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What ended the step.
    pub end: End,
    /// `-on_error=continue`.
    pub on_error_continue: bool,
    /// `-breakpoint_on_failure`
    pub breakpoint_on_failure: bool,
    /// What failed after the end. The step fails with 1 then.
    pub failure: Option<Failure>,
    /// The step was to be signed, was not, and the configuration makes that a failure (docs/architecture.md 4.5).
    pub failed_unsigned: bool,
}

impl Outcome {
    /// An outcome with nothing else amiss.
    pub fn new(end: End, args: &Args) -> Self {
        Self {
            end,
            on_error_continue: args.on_error_continue(),
            breakpoint_on_failure: args.breakpoint_on_failure,
            failure: None,
            failed_unsigned: false,
        }
    }

    /// True if the end is one at which a breakpoint on failure takes effect.
    pub fn is_broken(&self) -> bool {
        self.breakpoint_on_failure
            && match self.end {
                End::Exited(code) => code != 0,
                End::Signalled(_) | End::NotRun(_) | End::WaitFailed(_) => true,
                _ => false,
            }
    }

    /// True if the step waits for whoever debugs it before it ends.
    pub fn pauses(&self) -> bool {
        match &self.failure {
            Some(failure) => self.breakpoint_on_failure && matches!(failure, Failure::Results(_)),
            None => self.is_broken() || self.breakpoint_on_failure && self.failed_unsigned,
        }
    }

    /// True if the program failed by itself and `onError: continue` lets that pass.
    pub fn continued(&self) -> bool {
        self.on_error_continue
            && !self.breakpoint_on_failure
            && match self.end {
                End::Exited(code) => code != 0,
                End::Signalled(_) => true,
                _ => false,
            }
    }

    /// True if the steps after this one go on: the post file is written without `.err`.
    pub fn succeeds(&self) -> bool {
        self.failure.is_none()
            && !self.failed_unsigned
            && (matches!(self.end, End::Exited(0) | End::WhenFalse) || self.continued())
    }

    /// What it means for the step that it is not signed, in the words of a log line. `fails`: the configuration makes that a
    /// failure.
    pub fn of_unsigned(&self, fails: bool) -> &'static str {
        match (self.succeeds(), fails) {
            (false, _) => "that fails the step, signed or not",
            (true, true) => {
                "its results are kept, but the step fails because it is not signed: svidence-signing-failure is fail, \
                 the default, which the operator's config-spire can change to report"
            }
            (true, false) => {
                "its results are kept and the step does not fail, since svidence-signing-failure is report"
            }
        }
    }

    /// The internal entry after `StartedAt`: key and value.
    pub fn entry(&self) -> Option<(&'static str, String)> {
        match self.end {
            End::EarlierStepFailed | End::WhenFalse => Some(("Reason", "Skipped".into())),
            End::Cancelled => Some(("Reason", "Cancelled".into())),
            End::TimedOut => Some(("Reason", "TimeoutExceeded".into())),
            // The controller would take it for a failure that was let pass.
            _ if self.failed_unsigned => None,
            End::Exited(code) if self.continued() => Some(("ExitCode", code.to_string())),
            End::Signalled(_) if self.continued() => Some(("ExitCode", "-1".into())),
            _ => None,
        }
    }

    /// The content of the `exitCode` file, if there is to be one.
    pub fn exit_code_file(&self) -> Option<String> {
        match self.end {
            End::Cancelled => Some("killed".into()),
            _ if !self.succeeds() => None,
            End::Exited(code) => Some(code.to_string()),
            End::Signalled(_) => Some("-1".into()),
            End::WhenFalse => Some("0".into()),
            _ => None,
        }
    }

    /// The process's exit status.
    pub fn exit_status(&self) -> i32 {
        if self.failure.is_some() {
            return 1;
        }
        if self.succeeds() {
            return 0;
        }
        match self.end {
            End::Cancelled => CANCELLED,
            End::Exited(code) if code != 0 => code,
            End::Signalled(_) => SIGNALLED,
            _ => 1,
        }
    }

    /// The last log line, if there is one.
    pub fn last_line(&self) -> Option<String> {
        if let Some(failure) = &self.failure {
            return Some(failure.to_string());
        }
        match &self.end {
            End::EarlierStepFailed => Some("Skipping step because a previous step failed".into()),
            End::Cancelled => Some("Step was cancelled".into()),
            End::TimedOut => Some("context deadline exceeded".into()),
            End::DebugSkipped => {
                Some("Skipping execute step script because before step breakpoint fail-continue".into())
            }
            End::WaitFailed(error) | End::NotRun(error) => Some(format!("Error executing command: {error}")),
            End::WhenFalse | End::Exited(_) | End::Signalled(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exit code rule of a step that was to be signed and is not (docs/architecture.md 4.5).
    #[test]
    fn unsigned_steps_fail_with_their_own_code() {
        for (end, on_error_continue, status, entry, exit_code) in [
            (End::Exited(0), false, 1, None, None),
            (End::Exited(7), false, 7, None, None),
            (End::Exited(7), true, 7, None, None),
            (End::Signalled(9), true, 255, None, None),
            (End::Cancelled, true, 9, Some("Cancelled"), Some("killed")),
            (End::TimedOut, false, 1, Some("TimeoutExceeded"), None),
            (End::WhenFalse, false, 1, Some("Skipped"), None),
            (End::NotRun("x".into()), true, 1, None, None),
        ] {
            let on_error = if on_error_continue { "continue" } else { "" };
            let mut outcome = Outcome::new(end, &Args { on_error: on_error.into(), ..Args::default() });
            outcome.failed_unsigned = true;
            assert!(!outcome.succeeds(), "{outcome:?}");
            assert_eq!(outcome.exit_status(), status, "{outcome:?}");
            assert_eq!(outcome.entry().map(|(_, value)| value).as_deref(), entry, "{outcome:?}");
            assert_eq!(outcome.exit_code_file().as_deref(), exit_code, "{outcome:?}");
        }
    }
}
