//! What the runs of a task were given: parameters, and the combinations of a matrix.

use std::{borrow::Cow, collections::HashSet};

use crate::{
    tekton::{
        pipelinerun::{
            Matrix, Param,
            matrix::{self, Combination},
            references::{Replacement, TaskResultReference, replaced},
        },
        value::ResultValue,
    },
    verify::{
        Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            ParamNode,
            allowance::TOO_MUCH,
            child::Child,
            context::TaskContext,
            differs, fault,
            spec::is_put_in_before,
            task::Task,
            values::{TaskResult, Underived, Values},
        },
    },
};

/// Compares `spec.params` of every run with what the pipeline says, with attested results put in. Gives the parameters of each run.
pub(crate) fn check(
    task: &Task<'_>,
    values: &Values<'_>,
    (findings, lacks): (&mut Findings, &mut Vec<String>),
) -> Vec<Vec<ParamNode>> {
    let none = || task.references.iter().map(|_| Vec::new()).collect();
    if task.references.is_empty() {
        return none();
    }
    let name = &task.task.name;
    for expression in task.expressions() {
        let Some(reference) = TaskResultReference::parse(expression) else { continue };
        if let TaskResult::None = values.result(&reference) {
            let problem = format!("task {name} ran with $({expression}), and no task produced that result");
            findings.push(fault(Verdict::Invalid, Detail::NO_SUCH_RESULT, problem));
            return none();
        }
    }
    let combinations = match &task.task.matrix {
        None => None,
        Some(matrix) => match combinations(matrix, values) {
            Ok((count, combinations)) if count >= task.references.len() => {
                match fewer(name, task.references.len(), count) {
                    // The attestation may not carry the others.
                    Some(problem) if values.is_partial => lacks.push(problem),
                    Some(problem) => findings.push(fault(Verdict::Unchecked, Detail::MATRIX, problem)),
                    None => {}
                }
                Some(combinations)
            }
            Ok((count, _)) => {
                let runs = task.references.len();
                let problem = format!("task {name}: its matrix makes {count} runs, and it has {runs}");
                findings.push(fault(Verdict::Invalid, Detail::MATRIX, problem));
                return none();
            }
            Err(reason) => {
                let problem = format!(
                    "task {name}: the combinations of its matrix cannot be derived, so the parameters of its runs are not compared: {reason}"
                );
                reason.report(problem, findings, lacks);
                return none();
            }
        },
    };
    let given = Given::new(task, values);
    let runs = task.runs.iter().enumerate();
    runs.map(|(i, run)| match run {
        Some(run) => given.to_run(run, combinations.as_ref().and_then(|all| all.get(i)), (findings, lacks)),
        None => Vec::new(),
    })
    .collect()
}

/// What there is to say of a matrix with fewer runs than it makes. Nothing honest is invalid, and what is missing was not checked.
fn fewer(name: &str, runs: usize, count: usize) -> Option<String> {
    let problem = format!(
        "task {name}: its matrix makes {count} runs, and it has {runs}: an error may have kept the controller from making the others, \
         or they were left out (run the PipelineRun again)"
    );
    (runs < count).then_some(problem)
}

/// How many runs the matrices make of the tasks that ran, by task; `None`: that is not known.
pub(crate) fn matrix_counts(values: &Values<'_>) -> Vec<(String, Option<usize>)> {
    // In the order of their names, so that what is left for the last of them is always the same.
    let mut ran: Vec<_> = values.tasks.iter().filter(|(_, task)| !task.references.is_empty()).collect();
    ran.sort_unstable_by_key(|(name, _)| **name);
    let count = |matrix: &Matrix| matrix::count_runs(&with_results(matrix, values).ok()?);
    let counts = ran.into_iter().filter_map(|(name, task)| {
        let matrix = task.task.matrix.as_ref()?;
        Some(((*name).to_owned(), count(matrix)))
    });
    counts.collect()
}

/// What every run of a task is given.
struct Given<'a> {
    task: &'a str,
    /// Name, value or why that is not known, and whether a result is in it.
    params: Vec<(&'a str, Result<ResultValue, Underived>, bool)>,
    /// Parameters of the matrix into which results are put.
    from_results: HashSet<&'a str>,
}

impl<'a> Given<'a> {
    fn new(task: &'a Task<'_>, values: &Values<'_>) -> Self {
        let context = TaskContext::new(task, values);
        let task = task.task;
        let param = |param: &'a Param| {
            let value = replaced(&param.value, &|text| context.replacement(text));
            let value = value.map_err(|expression| values.unknown(&expression));
            (param.name.as_str(), value, Task::is_from_result(&param.value))
        };
        let of_matrix = task.matrix.iter().flat_map(Matrix::all_params);
        let from_results = of_matrix.filter(|param| Task::is_from_result(&param.value));
        Given {
            task: &task.name,
            params: task.params.iter().map(param).collect(),
            from_results: from_results.map(|param| param.name.as_str()).collect(),
        }
    }

    /// Compares the parameters of one run: by the word of each object that was read of it.
    fn to_run(
        &self,
        run: &Child,
        combination: Option<&Combination>,
        (findings, lacks): (&mut Findings, &mut Vec<String>),
    ) -> Vec<ParamNode> {
        if !run.has_spec {
            return Vec::new();
        }
        for params in &run.also_given {
            self.compare(run, params, combination, (findings, lacks));
        }
        self.compare(run, &run.params, combination, (findings, lacks))
    }

    /// Compares one list of parameters: those of its combination, then those of the task.
    fn compare(
        &self,
        run: &Child,
        params: &[(String, ResultValue)],
        combination: Option<&Combination>,
        (findings, lacks): (&mut Findings, &mut Vec<String>),
    ) -> Vec<ParamNode> {
        let (task, name) = (self.task, run.name.split_once('/').map_or("", |(_, name)| name));
        let count = combination.map_or(0, Combination::len) + self.params.len();
        if params.len() != count {
            let problem = format!(
                "task {task}: {name} has {} parameters, and the pipeline gives it {count}",
                params.len()
            );
            findings.push(differs(Detail::PARAMETER, problem, format!("{name}: spec.params"), (None, None)));
            return Vec::new();
        }
        let of_combination = combination.into_iter().flatten().map(|(name, text)| {
            let value = ResultValue::String(text.clone());
            (name.as_str(), Ok(Cow::Owned(value)), self.from_results.contains(name.as_str()))
        });
        let of_task = self.params.iter().map(|(name, value, is_from_results)| {
            (*name, value.as_ref().map(Cow::Borrowed), *is_from_results)
        });
        let mut nodes = Vec::with_capacity(count);
        for (index, (param, value, is_from_results)) in of_combination.chain(of_task).enumerate() {
            let found = params.get(index).filter(|(found, _)| found == param).map(|(_, value)| value);
            match (value, found) {
                (Ok(value), Some(found)) if *value == *found => {}
                (Ok(value), found) => {
                    let sayer = if is_from_results { "the attested result" } else { "the pipeline" };
                    let problem =
                        format!("task {task}: parameter {param} of {name} is not what {sayer} says");
                    let field = format!("{name}: spec.params[{index}]");
                    findings.push(differs(Detail::PARAMETER, problem, field, (Some(&value), found)));
                }
                (Err(reason), _) => {
                    let problem =
                        format!("task {task}: parameter {param} of {name} cannot be derived: {reason}");
                    reason.report(problem, findings, lacks);
                }
            }
            nodes.push(ParamNode {
                name: param.to_owned(),
                is_from_results,
                is_in_program: run.in_program.contains(param),
            });
        }
        nodes
    }
}

/// How many runs a matrix makes, and its combinations, with results put in.
fn combinations(matrix: &Matrix, values: &Values<'_>) -> Result<(usize, Vec<Combination>), Underived> {
    let matrix = with_results(matrix, values)?;
    if !values.allowance.take(matrix::bytes(&matrix)) {
        return Err(TOO_MUCH.to_owned().into());
    }
    let count = matrix::count_runs(&matrix).zip(matrix::fan_out(&matrix));
    count.ok_or_else(|| "there are more than any controller makes".to_owned().into())
}

/// A matrix with results put in. Nothing else is: statuses of tasks stay as they are there (Tekton `ApplyPipelineTaskStateContext`).
pub(super) fn with_results(matrix: &Matrix, values: &Values<'_>) -> Result<Matrix, Underived> {
    let replacement = |text: &str| match TaskResultReference::parse(text) {
        Some(_) => values.replacement(text),
        None if text.starts_with("context.") || text.contains(".matrix.") => Replacement::Unknown,
        None if values.is_partial && is_put_in_before(text) => Replacement::Unknown,
        None => Replacement::Stays,
    };
    let put_in = |params: &[Param]| -> Result<Vec<Param>, Underived> {
        let one = |param: &Param| {
            let value =
                replaced(&param.value, &replacement).map_err(|expression| values.unknown(&expression))?;
            Ok(Param { name: param.name.clone(), value })
        };
        params.iter().map(one).collect()
    };
    let mut matrix = matrix.clone();
    matrix.params = put_in(&matrix.params)?;
    for include in &mut matrix.include {
        include.params = put_in(&include.params)?;
    }
    Ok(matrix)
}
