//! The pipeline that was run: `status.pipelineSpec`, held against the object's own inline one.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::{
    tekton::{
        pipelinerun::{
            Param, PipelineRun, PipelineSpec, PipelineTask,
            references::{Replacement, TaskResultPart, in_list, in_text, param_of, places, replaced},
        },
        value::ResultValue,
    },
    verify::{
        Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{allowance::Allowance, differs, fault},
    },
};

/// The pipeline with parameters put in. `None`: it is not there, and nothing can be judged.
pub(crate) fn of<'a>(
    object: &'a PipelineRun,
    allowance: &Allowance,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Option<&'a PipelineSpec> {
    let Some(spec) = &object.status.pipeline_spec else {
        let problem = "status.pipelineSpec is missing, so nothing says which tasks it has";
        findings.push(fault(Verdict::Unchecked, Detail::NO_PIPELINE_SPEC, problem));
        return None;
    };
    match &object.spec.pipeline_spec {
        None => notes.push("its pipeline is claimed: status.pipelineSpec, which nobody signs".to_owned()),
        Some(inline) => compare(object, (inline, spec), allowance, findings),
    }
    has_names(spec, "status.pipelineSpec", findings).then_some(spec)
}

/// Whether every task has a name of its own. `field`: where the pipeline is.
pub(crate) fn has_names(spec: &PipelineSpec, field: &str, findings: &mut Findings) -> bool {
    let mut names: Vec<&str> = spec.all_tasks().map(|(task, _)| task.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) || names.first() == Some(&"") {
        let problem = format!("{field}: a task has no name, or that of another task");
        findings.push(fault(Verdict::Invalid, Detail::PIPELINE_SPEC, problem));
        return false;
    }
    true
}

/// An inline pipeline with what is known of that the controller puts in before any task runs: parameters, or their defaults, and the
/// PipelineRun's own names. What is not known stays.
pub(crate) fn put_in(object: &PipelineRun, inline: &PipelineSpec, allowance: &Allowance) -> PipelineSpec {
    let defaults =
        inline.params.iter().filter_map(|param| Some((param.name.as_str(), param.default.as_ref()?)));
    let given = object.spec.params.iter().map(|param| (param.name.as_str(), &param.value));
    let params = defaults.chain(given).collect();
    let given = Given { params: &params, hidden: HashSet::new(), allowance };
    let of = |expression: &str| {
        let metadata = &object.metadata;
        let name = match expression {
            "context.pipelineRun.name" => &metadata.name,
            "context.pipelineRun.namespace" => &metadata.namespace,
            "context.pipelineRun.uid" => &metadata.uid,
            _ => return given.replacement(expression),
        };
        Replacement::Value(ResultValue::String(name.clone()))
    };
    // Nothing is unknown there, so nothing fails.
    let value = |value: &mut ResultValue| *value = replaced(value, &of).unwrap_or_else(|_| value.clone());
    let text = |text: &mut String| *text = in_text(text, &of).unwrap_or_else(|_| text.clone());
    let list = |list: &mut Vec<String>| *list = in_list(list, &of).unwrap_or_else(|_| list.clone());
    let mut spec = inline.clone();
    for task in spec.tasks.iter_mut().chain(&mut spec.finally) {
        let in_matrix = task.matrix.iter_mut().flat_map(|matrix| {
            matrix.params.iter_mut().chain(matrix.include.iter_mut().flat_map(|include| &mut include.params))
        });
        task.params.iter_mut().chain(in_matrix).for_each(|param| value(&mut param.value));
        for when in &mut task.when {
            text(&mut when.input);
            text(&mut when.cel);
            list(&mut when.values);
        }
        text(&mut task.on_error);
    }
    spec.results.iter_mut().for_each(|result| value(&mut result.value));
    spec
}

/// What the controller puts in (parameters, contexts, workspaces) is the only difference there may be; parameters that the PipelineRun was
/// given are put in here, too.
fn compare(
    object: &PipelineRun,
    (inline, run): (&PipelineSpec, &PipelineSpec),
    allowance: &Allowance,
    findings: &mut Findings,
) {
    let mut other = |field: String| {
        let problem = format!("{field} is not what spec.pipelineSpec and spec.params make of it");
        findings.push(differs(Detail::PIPELINE_SPEC, problem, field, (None, None)));
    };
    let params = object.spec.params.iter().map(|param| (param.name.as_str(), &param.value)).collect();
    let given = Given { params: &params, hidden: HashSet::new(), allowance };
    for (list, inline, run) in
        [("tasks", &inline.tasks, &run.tasks), ("finally", &inline.finally, &run.finally)]
    {
        if inline.len() != run.len() {
            other(format!("status.pipelineSpec.{list}"));
            continue;
        }
        for (i, (inline, run)) in inline.iter().zip(run).enumerate() {
            if !given.is_run_of(inline, run) {
                other(format!("status.pipelineSpec.{list}[{i}]"));
            }
        }
    }
    if !given.all_become(&inline.results, &run.results) {
        other("status.pipelineSpec.results".to_owned());
    }
}

/// Parameters that the PipelineRun was given.
struct Given<'a> {
    /// By name.
    params: &'a HashMap<&'a str, &'a ResultValue>,
    /// Names that mean others.
    hidden: HashSet<&'a str>,
    allowance: &'a Allowance,
}

impl Given<'_> {
    /// What takes the place of an expression; a default, or what is not a parameter, is not known here and stays. So does all that is too
    /// much: what stays fits anything, and the PipelineRun is `unchecked`.
    fn replacement(&self, expression: &str) -> Replacement {
        let value = || {
            let (name, rest) = param_of(expression)?;
            let value = *self.params.get(name).filter(|_| !self.hidden.contains(name))?;
            if !self.allowance.take_copies(1, value) {
                return None;
            }
            match (value, TaskResultPart::parse(rest)?) {
                // Only a text takes the place of its bare name.
                (ResultValue::Array(_) | ResultValue::Object(_), TaskResultPart::Whole) => None,
                (value, part) => part.of(value),
            }
        };
        value().map_or(Replacement::Stays, Replacement::Value)
    }

    fn is_run_of(&self, inline: &PipelineTask, run: &PipelineTask) -> bool {
        let matrices = match (&inline.matrix, &run.matrix) {
            (None, None) => true,
            (Some(inline), Some(run)) => {
                self.all_become(&inline.params, &run.params)
                    && inline.include.len() == run.include.len()
                    && inline
                        .include
                        .iter()
                        .zip(&run.include)
                        .all(|(a, b)| self.all_become(&a.params, &b.params))
            }
            _ => false,
        };
        let whens = inline.when.len() == run.when.len()
            && inline.when.iter().zip(&run.when).all(|(a, b)| {
                a.operator == b.operator
                    && self.becomes(&a.input, &b.input)
                    && self.becomes(&a.cel, &b.cel)
                    && self.list_becomes(&a.values, &b.values)
            });
        let references = match (&inline.task_ref, &run.task_ref) {
            (None, None) => true,
            (Some(inline), Some(run)) => {
                self.becomes(&inline.name, &run.name)
                    && inline.resolver == run.resolver
                    && inline.kind == run.kind
                    && inline.api_version == run.api_version
                    && self.becomes(&inline.bundle, &run.bundle)
            }
            _ => false,
        };
        let own = self.without(&inline.params);
        let tasks = match (&inline.task_spec, &run.task_spec) {
            (None, None) => true,
            (Some(inline), Some(run)) => {
                own.jsons_become(&inline.steps, &run.steps)
                    && own.jsons_become(&inline.sidecars, &run.sidecars)
                    && inline.kind == run.kind
                    && inline.api_version == run.api_version
            }
            _ => false,
        };
        let pipelines = match (&inline.pipeline_spec, &run.pipeline_spec) {
            (None, None) => true,
            (Some(inline), Some(run)) => self.nested_becomes(inline, run),
            _ => false,
        };
        matrices
            && whens
            && references
            && tasks
            && pipelines
            && inline.pipeline_ref == run.pipeline_ref
            && inline.name == run.name
            && inline.run_after == run.run_after
            && inline.retries == run.retries
            && self.becomes(&inline.on_error, &run.on_error)
            && self.all_become(&inline.params, &run.params)
    }

    /// A pipeline in the pipeline: its own parameters hide those of the outer one.
    fn nested_becomes(&self, inline: &Value, run: &Value) -> bool {
        let none = HashMap::new();
        let given = Given { params: &none, hidden: HashSet::new(), allowance: self.allowance };
        given.json_becomes(inline, run)
    }

    /// Without those that a task is given, whose values take their places in its inline steps (Tekton `propagateParams`).
    fn without<'b>(&'b self, given: &'b [Param]) -> Given<'b> {
        let hidden = given.iter().map(|param| param.name.as_str()).collect();
        Given { params: self.params, hidden, allowance: self.allowance }
    }

    fn all_become(&self, inline: &[Param], run: &[Param]) -> bool {
        inline.len() == run.len()
            && inline.iter().zip(run).all(|(a, b)| a.name == b.name && self.value_becomes(&a.value, &b.value))
    }

    fn value_becomes(&self, inline: &ResultValue, run: &ResultValue) -> bool {
        replaced(inline, &|text| self.replacement(text)).is_ok_and(|inline| value_becomes(&inline, run))
    }

    fn list_becomes(&self, inline: &[String], run: &[String]) -> bool {
        in_list(inline, &|text| self.replacement(text)).is_ok_and(|inline| list_becomes(&inline, run))
    }

    fn becomes(&self, inline: &str, run: &str) -> bool {
        in_text(inline, &|text| self.replacement(text)).is_ok_and(|inline| becomes(&inline, run))
    }

    fn jsons_become(&self, inline: &[Value], run: &[Value]) -> bool {
        inline.len() == run.len() && inline.iter().zip(run).all(|(a, b)| self.json_becomes(a, b))
    }

    /// Steps, which are not looked into any further. A list with an item that is nothing but a parameter is not compared.
    fn json_becomes(&self, inline: &Value, run: &Value) -> bool {
        match (inline, run) {
            (Value::String(inline), Value::String(run)) => self.becomes(inline, run),
            (Value::Array(inline), Value::Array(_))
                if inline.iter().filter_map(Value::as_str).any(is_put_in) =>
            {
                true
            }
            (Value::Array(inline), Value::Array(run)) => self.jsons_become(inline, run),
            (Value::Object(inline), Value::Object(run)) => {
                inline.len() == run.len()
                    && inline
                        .iter()
                        .zip(run)
                        .all(|((a, inline), (b, run))| a == b && self.json_becomes(inline, run))
            }
            (inline, run) => inline == run,
        }
    }
}

fn value_becomes(inline: &ResultValue, run: &ResultValue) -> bool {
    match (inline, run) {
        (ResultValue::String(inline), ResultValue::String(run)) => becomes(inline, run),
        // A text that is nothing but a parameter becomes what that is.
        (ResultValue::String(inline), _) => is_put_in(inline),
        (ResultValue::Array(inline), ResultValue::Array(run)) => list_becomes(inline, run),
        (ResultValue::Object(inline), ResultValue::Object(run)) => {
            inline.len() == run.len()
                && inline.iter().zip(run).all(|((a, inline), (b, run))| a == b && becomes(inline, run))
        }
        _ => false,
    }
}

/// A list, in which items that are nothing but a parameter may become several or none. What is between two such items is not compared.
fn list_becomes(inline: &[String], run: &[String]) -> bool {
    let all_become = |inline: &[String], run: &[String]| inline.iter().zip(run).all(|(a, b)| becomes(a, b));
    let Some(first) = inline.iter().position(|item| is_put_in(item)) else {
        return inline.len() == run.len() && all_become(inline, run);
    };
    let behind = inline.iter().rev().take_while(|item| !is_put_in(item)).count();
    run.len() >= first + behind
        && all_become(&inline[..first], run)
        && all_become(&inline[inline.len() - behind..], &run[run.len() - behind..])
}

/// Whether it is nothing but one place that the controller fills before any task runs.
fn is_put_in(text: &str) -> bool {
    place(text).is_some_and(|(before, behind)| before.is_empty() && behind.is_empty())
}

/// Whether a text may become another one: what is between the places that are filled stays, in order.
fn becomes(inline: &str, run: &str) -> bool {
    let Some((before, mut rest)) = place(inline) else { return inline == run };
    let Some(mut run) = run.strip_prefix(before) else { return false };
    while let Some((fixed, behind)) = place(rest) {
        let Some(at) = run.find(fixed) else { return false };
        run = &run[at + fixed.len()..];
        rest = behind;
    }
    run.len() >= rest.len() && run.ends_with(rest)
}

/// What is before and behind the first place that is filled.
fn place(text: &str) -> Option<(&str, &str)> {
    places(text).find_map(|(start, expression)| {
        is_put_in_before(expression).then(|| (&text[..start], &text[start + 2 + expression.len() + 1..]))
    })
}

/// Whether the controller puts something in its place before any task runs.
pub(crate) fn is_put_in_before(expression: &str) -> bool {
    ["params.", "params[", "context.", "workspaces."].iter().any(|prefix| expression.starts_with(prefix))
}
