//! A command line that is refused before the step waits for its turn.

use std::collections::HashSet;

use crate::{
    evidence::attestation::{KEY_PREFIX, is_reserved, is_result_name},
    step::{output::declared::DeclaredResults, program::command::CommandError, when::WhenError},
};

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    When(#[from] WhenError),
    #[error(
        "result {name:?}: names that begin with {KEY_PREFIX} are reserved for evidence; rename the result"
    )]
    Reserved { name: String },
    #[error(
        "result {name:?} cannot be signed: its name has other characters than [-A-Za-z0-9_.]; rename the result"
    )]
    Name { name: String },
    #[error("result {name:?} is declared twice, so it cannot be signed; declare it once")]
    Twice { name: String },
}

/// What is signed must be nameable, once, and not pass for evidence.
pub(super) fn signable(declared: &DeclaredResults) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for name in declared.texts() {
        if is_reserved(&name) {
            return Err(Refusal::Reserved { name });
        }
        if !is_result_name(&name) {
            return Err(Refusal::Name { name });
        }
        if !seen.insert(name.clone()) {
            return Err(Refusal::Twice { name });
        }
    }
    Ok(())
}
