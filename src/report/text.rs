//! `text`: one line a verified result: run, result, value as JSON, separated by tabs. A PipelineRun's name has that word before it.

use std::io::{self, Write};

use crate::{
    report::{
        Item, Walk, Writer, pipeline,
        safe::{Line, escaped_json},
    },
    verify::{Finding, VerifiedResult},
};

pub(super) struct Text;

impl Writer for Text {
    /// Only what was verified, so that a program which reads this reads nothing else.
    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Ok(report) = item.outcome else { return Ok(()) };
        let of_steps = report.proof.iter().flat_map(|proof| &proof.results);
        let of_steps = of_steps.map(|result| (shown_name(result), &result.value));
        let of_tasks = report.pipeline.iter().filter(|_| report.accepted).flat_map(|tree| &tree.results);
        let of_tasks = of_tasks.map(|result| (pipeline::result_name(result), &result.value));
        let run = report.title();
        of_steps.chain(of_tasks).try_for_each(|(name, value)| {
            writeln!(out, "{}\t{}\t{}", Line(&run), Line(&name), escaped_json(&value.canonical_json()))
        })
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
