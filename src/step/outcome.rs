//! How a step ended and what follows from it: the outcome table (contract 3.8; Tekton pkg/entrypoint/entrypointer.go and
//! cmd/entrypoint/main.go).

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
}

/// The step's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What ended the step.
    pub end: End,
    /// `-on_error=continue`.
    pub on_error_continue: bool,
    /// Why collecting or writing what the step produced failed: the last log line. The step fails with 1 then.
    pub failure: Option<String>,
    /// The step was to be signed, was not, and the configuration makes that a failure (design 4.5).
    pub failed_unsigned: bool,
}

impl Outcome {
    /// An outcome with nothing else amiss.
    pub fn new(end: End, on_error_continue: bool) -> Outcome {
        Outcome { end, on_error_continue, failure: None, failed_unsigned: false }
    }

    /// True if the program failed by itself and `onError: continue` lets that pass.
    pub fn continued(&self) -> bool {
        self.on_error_continue
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
            return Some(failure.clone());
        }
        match &self.end {
            End::EarlierStepFailed => Some("Skipping step because a previous step failed".into()),
            End::Cancelled => Some("Step was cancelled".into()),
            End::TimedOut => Some("context deadline exceeded".into()),
            End::WaitFailed(error) | End::NotRun(error) => Some(format!("Error executing command: {error}")),
            End::WhenFalse | End::Exited(_) | End::Signalled(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exit code rule of a step that was to be signed and is not (design 4.5).
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
            let mut outcome = Outcome::new(end, on_error_continue);
            outcome.failed_unsigned = true;
            assert!(!outcome.succeeds(), "{outcome:?}");
            assert_eq!(outcome.exit_status(), status, "{outcome:?}");
            assert_eq!(outcome.entry().map(|(_, value)| value).as_deref(), entry, "{outcome:?}");
            assert_eq!(outcome.exit_code_file().as_deref(), exit_code, "{outcome:?}");
        }
    }
}
