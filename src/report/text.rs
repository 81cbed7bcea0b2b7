//! `text`: one line a verified result: TaskRun, result, value as JSON, separated by tabs.

use std::io::{self, Write};

use crate::{
    report::{
        Item, Walk, Writer,
        safe::{Line, escaped_json},
    },
    verify::{Finding, VerifiedResult},
};

pub(super) struct Text;

impl Writer for Text {
    /// Only what was verified, so that a program which reads this reads nothing else.
    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Some((report, proof)) =
            item.outcome.ok().and_then(|report| Some((report, report.proof.as_ref()?)))
        else {
            return Ok(());
        };
        for result in &proof.results {
            let (task_run, name) = (Line(&report.task_run), shown_name(result));
            writeln!(out, "{task_run}\t{}\t{}", Line(&name), escaped_json(&result.value.canonical_json()))?;
        }
        Ok(())
    }

    /// The exit code and standard error tell of it.
    fn missing(&mut self, _: &Walk<'_>, _: &[Finding], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A name that rests on an unsigned mapping is not shown as verified: the step result it comes from is. A type that rests on
/// an unsigned declaration is marked.
fn shown_name(result: &VerifiedResult) -> String {
    let kind = result.value.type_name();
    match (&result.step_result, result.name_is_claimed, result.type_is_claimed) {
        (Some(step_result), true, false) => {
            format!("step {}, result {step_result} (claimed to be {})", result.step, result.name)
        }
        (Some(step_result), true, true) => {
            format!(
                "step {}, result {step_result} (claimed to be {}, of type {kind})",
                result.step, result.name
            )
        }
        (_, _, true) => format!("{} (claimed to be of type {kind})", result.name),
        _ => result.name.clone(),
    }
}
