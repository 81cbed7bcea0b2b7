//! Whose result it is: the two kinds that Tekton knows (docs/tekton-contract.md 3.10).

/// Task result or step result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultKind {
    /// From `/tekton/results`, type 1 in the message.
    Task,
    /// From the step's own directory, type 4.
    Step,
}

impl ResultKind {
    /// `task` or `step`, as in a subject's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Step => "step",
        }
    }
}
