//! CEL in when expressions of a pipeline, as the controller evaluates it: the standard library, no variables
//! (Tekton `pkg/reconciler/pipelinerun/resources/pipelinerunresolution.go`, `EvaluateCEL`).

use std::{cell::RefCell, collections::HashMap};

use go::zone::Zones;

use super::allowance::{Allowance, TOO_MANY_STEPS};

/// Expressions that are evaluated of one PipelineRun, each in a thread of its own; what they may take together is the family's [`Allowance`].
const MOST: usize = 64;

/// What expressions come to, each evaluated once.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    known: RefCell<HashMap<String, Result<bool, String>>>,
}

impl Evaluated {
    /// Whether it is true; `Err`: why that is not known. Of time zones only UTC is, which is the controller's own.
    pub(crate) fn is_true(&self, expression: &str, allowance: &Allowance) -> Result<bool, String> {
        let mut known = self.known.borrow_mut();
        if let Some(outcome) = known.get(expression) {
            return outcome.clone();
        }
        if known.len() >= MOST {
            return Err(format!("there are more than {MOST} expressions in CEL"));
        }
        if !allowance.has_steps() {
            return Err(TOO_MANY_STEPS.to_owned());
        }
        let (outcome, steps) = cel::evaluate_counted(expression, &Zones::none());
        allowance.take_steps(steps);
        let outcome = outcome.map_err(|error| format!("CEL cannot be evaluated: {error}"));
        known.insert(expression.to_owned(), outcome.clone());
        outcome
    }
}
