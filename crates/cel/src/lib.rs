//! CEL, for the `cel` field of a step's when expressions (docs/tekton-contract.md 3.6), as cel-go v0.29.2 type-checks and
//! evaluates it in the environment Tekton gives it (pkg/entrypoint/entrypointer.go allowExec): the standard library and its
//! macros, no variables, no extensions.
//!
//! `parser` makes a tree of the text, `checker` finds types and functions, `evaluator` runs the tree. The one table of
//! functions is in `overloads`. All of it is bounded: by cel-go's own limits on the text, and by limits on steps and
//! memory where cel-go has none.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

mod ast;
mod checker;
mod evaluator;
mod lexer;
mod literal;
mod machine;
mod macros;
mod messages;
mod moment;
mod operations;
mod overloads;
mod parser;
pub mod pattern;
mod source;
mod types;
mod value;

use std::{fmt, thread};

use go::zone::Zones;

use crate::{checker::Refused, evaluator::Evaluator, machine::Fault, source::Source, value::Value};

/// cel-go's limits let through trees of some 4,000 nodes one below the other, which take less than 8 MiB without any
/// optimisation (`tests/step/cel.rs` has such trees). Only what is used is taken from the system.
const STACK: usize = 32 << 20;

/// Why a CEL expression has no outcome. Displayed as cel-go and Tekton say it, where they say something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CelError {
    /// It is no CEL: all that is wrong, with lines and marks.
    #[error("{issues}")]
    Syntax {
        /// One error or several, a line each with the lines that mark it.
        issues: String,
    },
    /// Names or types do not fit: all that is wrong, with lines and marks.
    #[error("{issues}")]
    Type {
        /// One error or several, a line each with the lines that mark it.
        issues: String,
    },
    /// It failed when it was evaluated.
    #[error("{reason}")]
    Evaluation {
        /// cel-go's words.
        reason: String,
    },
    /// Its value is neither true nor false.
    #[error("the CEL expression {expression} is not evaluated to a boolean")]
    NotBoolean {
        /// As given.
        expression: String,
    },
    /// It asks for more than a when expression should; cel-go might go on.
    #[error("the CEL expression needs {limit}; make it smaller")]
    TooLarge {
        /// What it would exceed.
        limit: Limit,
    },
    /// The thread it is evaluated in could not be started.
    #[error("the CEL expression was not evaluated: start a thread: {reason}; give the container more memory")]
    NoThread {
        /// The system's reason.
        reason: String,
    },
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Steps of evaluation.
    Steps(u64),
    /// Bytes of memory for texts and lists.
    Bytes(usize),
    /// Steps of type-checking.
    Types,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "more than {steps} steps"),
            Self::Bytes(bytes) => write!(f, "more than {bytes} bytes of memory"),
            Self::Types => f.write_str("types that are too large to compare"),
        }
    }
}

/// Whether the expression is true. `zones` are the time zones that the functions of timestamps know by name. It takes up to a
/// few seconds of one processor and, for texts and lists, up to 64 MiB; what would take more is [`CelError::TooLarge`].
pub fn evaluate(expression: &str, zones: &Zones) -> Result<bool, CelError> {
    evaluate_counted(expression, zones).0
}

/// The same, and how many steps it took to read, check and evaluate the expression: for whoever evaluates many.
pub fn evaluate_counted(expression: &str, zones: &Zones) -> (Result<bool, CelError>, u64) {
    // How much stack the caller has is not known, and a tree within cel-go's limits is deep.
    thread::scope(|scope| {
        let started =
            thread::Builder::new().name("cel".to_owned()).stack_size(STACK).spawn_scoped(scope, || {
                // Each byte is looked at, whatever comes of it.
                let mut steps = expression.len() as u64;
                (evaluate_here(expression, zones, &mut steps), steps)
            });
        match started {
            Ok(thread) => match thread.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(error) => (Err(CelError::NoThread { reason: go::errno::reason(&error) }), 0),
        }
    })
}

fn evaluate_here(expression: &str, zones: &Zones, steps: &mut u64) -> Result<bool, CelError> {
    let source = Source::new(expression);
    let (ast, root) = parser::parse(&source).map_err(|issues| CelError::Syntax { issues })?;
    let meanings = checker::check(&source, &ast, root, steps).map_err(|refused| match refused {
        Refused::Wrong(issues) => CelError::Type { issues },
        Refused::TypesTooLarge => CelError::TooLarge { limit: Limit::Types },
    })?;
    let mut evaluator = Evaluator::new(&ast, &meanings, zones);
    let value = evaluator.evaluate(root);
    *steps += evaluator.steps();
    match value {
        Ok(Value::Bool(value)) => Ok(value),
        Ok(_) => Err(CelError::NotBoolean { expression: expression.to_owned() }),
        Err(Fault::Error(reason)) => Err(CelError::Evaluation { reason }),
        Err(Fault::Stop(error)) => Err(error),
    }
}
