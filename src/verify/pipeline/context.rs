//! What the controller knows of a task when it makes its runs: `$(context.pipelineTask.retries)`, `$(tasks.<task>.matrix.length)` and
//! `$(tasks.<task>.matrix.<result>.length)` (Tekton `pkg/reconciler/pipelinerun/resources/apply.go`, `ApplyPipelineTaskContexts`).
//!
//! They are put into parameters only. In a matrix, which has been fanned out by then, they are not derived.

use std::collections::HashMap;

use crate::{
    tekton::{
        pipelinerun::{
            Matrix,
            matrix::count_runs,
            references::{Replacement, expressions, length_of},
        },
        value::ResultValue,
    },
    verify::pipeline::{allowance::Allowance, task::Task, values::Values},
};

/// What takes the place of expressions in the parameters of one task.
pub(crate) struct TaskContext<'a> {
    values: &'a Values<'a>,
    /// Numbers as texts; `None`: it is put in, and is not known here.
    numbers: HashMap<String, Option<String>>,
}

impl<'a> TaskContext<'a> {
    pub(crate) fn new(task: &Task<'_>, values: &'a Values<'a>) -> Self {
        let mut numbers = HashMap::new();
        numbers.insert("context.pipelineTask.retries".to_owned(), Some(task.task.retries.to_string()));
        for param in &task.task.params {
            // Of one parameter the first such expression counts, and all parameters get what it stands for.
            let Some((producer, result)) = expressions(&param.value).into_iter().find_map(length_of) else {
                continue;
            };
            let Some(of) = values.tasks.get(producer) else { continue };
            // Only tasks that are not of finally are looked at, with no results put into their matrices.
            if !of.is_finally {
                let may_count = |matrix: &&Matrix| values.allowance.take_looks(items(matrix));
                let count = of.task.matrix.as_ref().filter(may_count).and_then(count_runs);
                numbers
                    .insert(format!("tasks.{producer}.matrix.length"), count.map(|count| count.to_string()));
            }
            if let Some(result) = result {
                // One that it does not wait for may have had fewer runs by then.
                let has_ended = task.parents().contains(&producer) || task.is_finally && !of.is_finally;
                let is_known = has_ended && !values.is_not_carried(of) && !of.is_partial();
                let count = is_known.then(|| with_result(of, result, values.allowance)).flatten();
                let of_result = format!("tasks.{producer}.matrix.{result}.length");
                numbers.insert(of_result, count.map(|count| count.to_string()));
            }
        }
        Self { values, numbers }
    }

    /// What takes the place of an expression in a parameter.
    pub(crate) fn replacement(&self, expression: &str) -> Replacement {
        match self.numbers.get(expression) {
            Some(Some(number)) => Replacement::Value(ResultValue::String(number.clone())),
            Some(None) => Replacement::Unknown,
            None => self.values.replacement(expression),
        }
    }
}

/// How many texts a matrix is made of.
fn items(matrix: &Matrix) -> usize {
    let texts = |value: &ResultValue| match value {
        ResultValue::Array(items) => items.len(),
        _ => 1,
    };
    matrix.all_params().map(|param| texts(&param.value)).sum()
}

/// How many runs of a task have a result.
fn with_result(task: &Task<'_>, result: &str, allowance: &Allowance) -> Option<usize> {
    let results = task.runs.iter().flatten().filter_map(|run| run.proven.as_ref());
    if !allowance.take_looks(results.map(|proven| 1 + proven.results.len()).sum()) {
        return None;
    }
    task.runs.iter().try_fold(0, |count, run| {
        let proven = run.as_ref()?.proven.as_ref()?;
        Some(count + usize::from(proven.result(result).is_some()))
    })
}
