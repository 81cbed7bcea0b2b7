//! The tree of a PipelineRun, as the reports show it.

use serde_json::{Value, json};

use crate::verify::pipeline::{ParamNode, Pipeline, PipelineResult, RunNode, TaskNode};

/// For people: a line for each result, task, run and parameter, with how far it is indented.
pub(super) fn lines(pipeline: &Pipeline) -> Vec<(usize, String)> {
    let mut lines: Vec<_> = pipeline.results.iter().map(|result| (0, result_line(result))).collect();
    for task in &pipeline.tasks {
        lines.push((0, task_line(task)));
        for run in &task.runs {
            lines.push((1, run_line(run)));
            lines.extend(run.params.iter().map(|param| (2, param_line(param))));
        }
    }
    lines
}

fn task_line(task: &TaskNode) -> String {
    let finally = if task.is_finally { " (finally)" } else { "" };
    let skipped = match (&task.skipped, task.runs.is_empty()) {
        (Some(reason), _) => format!(": skipped, {reason}"),
        (None, true) => ": not run".to_owned(),
        (None, false) => String::new(),
    };
    format!("task {}{finally}{skipped}", task.name)
}

fn run_line(run: &RunNode) -> String {
    let verdict = run.verdict.map_or("not in what was read", |verdict| verdict.as_str());
    format!("{}: {verdict}", run.name)
}

fn param_line(param: &ParamNode) -> String {
    format!("parameter {}: {}", param.name, basis(param).join("; "))
}

/// What a parameter's value rests on.
fn basis(param: &ParamNode) -> Vec<&'static str> {
    let mut basis = vec![match param.is_from_results {
        true => "what other tasks attest",
        false => "claimed",
    }];
    basis.extend(param.is_in_program.then_some("in the text of a step whose program is attested"));
    basis
}

/// Name and where it comes from, which the pipeline claims.
pub(super) fn result_name(result: &PipelineResult) -> String {
    format!("{} (claimed to be {})", result.name, result.source)
}

fn result_line(result: &PipelineResult) -> String {
    format!("result {} = {}", result_name(result), result.value.canonical_json())
}

/// `tasks` of the schema.
pub(super) fn tasks(pipeline: &Pipeline) -> Value {
    pipeline.tasks.iter().map(task).collect()
}

fn task(task: &TaskNode) -> Value {
    let mut object = json!({
        "name": task.name,
        "finally": task.is_finally,
        "runs": task.runs.iter().map(run).collect::<Vec<_>>(),
    });
    if let Some(reason) = &task.skipped {
        object["skipped"] = json!(reason);
    }
    object
}

fn run(run: &RunNode) -> Value {
    let params: Vec<Value> = run
        .params
        .iter()
        .map(|param| {
            json!({"name": param.name, "fromResults": param.is_from_results, "inProgram": param.is_in_program})
        })
        .collect();
    let mut object = json!({"name": run.name, "params": params});
    if let Some(verdict) = run.verdict {
        object["verdict"] = json!(verdict.as_str());
    }
    object
}

/// `pipelineResults` of the schema.
pub(super) fn results(pipeline: &Pipeline) -> Value {
    let result = |result: &PipelineResult| {
        json!({
            "name": result.name,
            "source": result.source,
            "type": result.value.type_name(),
            "value": result.value.to_json(),
        })
    };
    pipeline.results.iter().map(result).collect()
}
