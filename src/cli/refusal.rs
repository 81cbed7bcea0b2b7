//! Why a command cannot begin, with its exit code.

use super::USAGE_ERROR;
use crate::verify::Verdict;

/// Why a command cannot begin.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) exit_code: u8,
    pub(crate) text: String,
}

impl Refusal {
    /// Whether the arguments are wrong.
    pub(crate) fn is_usage(&self) -> bool {
        self.exit_code == USAGE_ERROR
    }
}

pub(crate) fn usage(text: String) -> Refusal {
    Refusal { exit_code: USAGE_ERROR, text }
}

pub(crate) fn unchecked(text: String) -> Refusal {
    Refusal { exit_code: Verdict::Unchecked.exit_code(), text }
}
