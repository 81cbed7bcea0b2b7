//! A PipelineRun of which an attestation of Tekton Chains is there: completed by its TaskRuns, held against them as any other, and what
//! is not carried is kept apart from what was changed.

use std::collections::{HashMap, HashSet};

use crate::{
    tekton::{
        chains::{ChainsError, PipelineRunOrigin},
        names::may_be_child,
        pipelinerun::{ChildReference, PipelineRun, PipelineSpec},
    },
    verify::{
        Finding, Policy, Trust, Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            Pipeline, RunNode, TaskNode, allowance::Allowance, by_names, chains, check_against, child::Since,
            children::Children, fault, runs, since, skips, spec, task::Task, values::Values,
        },
    },
};

/// Holds the PipelineRun of an attestation against those of its TaskRuns that are there. `lacks`: what is not carried.
pub(crate) fn judge(
    object: &PipelineRun,
    origin: &PipelineRunOrigin,
    by: (&Children, &Allowance, &Trust, &Policy),
    (findings, notes, lacks): (&mut Findings, &mut Vec<String>, &mut Vec<String>),
) -> Pipeline {
    let (children, allowance, trust, _) = by;
    notes.push(format!("it is from Chains' attestation in the format {}", origin.format));
    let mut whole = object.clone();
    // Its start is no earlier, so that nothing which is older passes.
    whole.metadata.creation_timestamp.clone_from(&origin.started);
    let inline = object.spec.pipeline_spec.as_ref();
    whole.status.pipeline_spec = inline.map(|inline| spec::put_in(object, inline, allowance));
    let since = since(&whole, trust);
    let (found, is_contested) = match &whole.status.pipeline_spec {
        Some(spec) => by_names::find(object, origin, spec, (children, since, allowance), (findings, lacks)),
        None => (by_owner(object, origin, (children, since)), false),
    };
    if found.is_empty() {
        findings.push(nothing(origin));
        return Pipeline::default();
    }
    whole.status.child_references = found;
    lacks.push("when it was created, and whether it succeeded".to_owned());
    let Some(spec) = &whole.status.pipeline_spec else {
        lacks.push(
            "the pipeline that spec.pipelineRef names, and with it what its tasks were given, in which order they ran, and its results"
                .to_owned(),
        );
        return without_pipeline(&whole, origin, by, (findings, notes, lacks));
    };
    if !spec::has_names(spec, "spec.pipelineSpec", findings) {
        return Pipeline::default();
    }
    check_against(&whole, (spec, is_contested), by, (findings, notes, lacks))
}

fn nothing(origin: &PipelineRunOrigin) -> Finding {
    let nothing = ChainsError::HoldsNothing { format: origin.format };
    fault(Verdict::Absent, Detail::HOLDS_NOTHING, nothing.to_string())
}

/// The runs of a pipeline that is not there: those in the attestation, and those beside it that say that they belong to it.
fn by_owner(
    object: &PipelineRun,
    origin: &PipelineRunOrigin,
    (children, since): (&Children, Since),
) -> Vec<ChildReference> {
    let namespace = format!("{}/", object.metadata.namespace);
    let beside = children.names_of(&object.metadata.uid).filter_map(|name| name.strip_prefix(&namespace));
    let mut names: Vec<&str> = origin.task_runs.iter().map(String::as_str).chain(beside).collect();
    names.sort_unstable();
    names.dedup();
    let reference = |name: &str| {
        let is_task_run =
            children.find("TaskRun", &format!("{namespace}{name}"), &object.metadata.uid, since).is_some();
        let kind = if is_task_run { "TaskRun" } else { "PipelineRun" };
        ChildReference { kind: kind.to_owned(), name: name.to_owned(), ..ChildReference::default() }
    };
    names.into_iter().map(reference).collect()
}

/// Of a PipelineRun whose pipeline is not there: that its runs count as verified, and are its own.
fn without_pipeline(
    object: &PipelineRun,
    origin: &PipelineRunOrigin,
    (children, _, trust, policy): (&Children, &Allowance, &Trust, &Policy),
    (findings, notes, lacks): (&mut Findings, &mut Vec<String>, &mut Vec<String>),
) -> Pipeline {
    let since = since(object, trust);
    runs::check_whose(object, since, findings);
    let held: HashSet<&str> = origin.task_runs.iter().map(String::as_str).collect();
    let mut tasks = Vec::new();
    for reference in &object.status.child_references {
        let (namespace, name) = (&object.metadata.namespace, &reference.name);
        let run =
            runs::find(children, (&reference.kind, namespace, name), (&object.metadata.uid, since), findings);
        if !may_be_child(&object.metadata.name, name) {
            // Beside it may be what somebody else made.
            let verdict = if held.contains(name.as_str()) { Verdict::Invalid } else { Verdict::Unchecked };
            let problem = format!("{name}: that is the name of no run of {}", object.metadata.name);
            findings.push(fault(verdict, Detail::CHILD_NAME, problem));
        }
        if run.is_some_and(|run| run.owners.is_empty()) {
            lacks.push(format!("that {name} belongs to it"));
        }
        match run {
            Some(run) => runs::check_one(object, name, run, since, findings),
            None => {
                let problem = format!("{name} is not in what was read");
                findings.push(fault(Verdict::Unchecked, Detail::CHILD_MISSING, problem));
            }
        }
        // The controller puts the PipelineRun's name before the task's.
        let task = name.strip_prefix(&object.metadata.name).and_then(|rest| rest.strip_prefix('-'));
        tasks.push(TaskNode {
            name: task.unwrap_or(name).to_owned(),
            is_finally: false,
            skipped: None,
            runs: vec![RunNode {
                name: name.clone(),
                verdict: run.map(|run| run.verdict),
                params: Vec::new(),
            }],
        });
    }
    let chains_signed_by = chains::signed_by(object, &HashMap::new(), &policy.chains_keys, findings, notes);
    Pipeline { tasks, chains_signed_by, ..Pipeline::default() }
}

/// What attestations do not carry of runs: whether they belong to the PipelineRun, what they were given, and whether they succeeded. Of
/// an attestation of the PipelineRun: whether a task that has no run there was skipped.
pub(crate) fn not_carried(object: &PipelineRun, spec: &PipelineSpec, values: &Values<'_>) -> Vec<String> {
    let mut lacks = Vec::new();
    // Of one that failed, tasks may have failed, and of an attestation it is not carried whether it did.
    let says_success = object.succeeded() == Some("True");
    for task in spec.all_tasks().filter_map(|(task, _)| values.tasks.get(task.name.as_str())) {
        let name = &task.task.name;
        if values.is_not_carried(task) && !matches!(skips::allows(&task.task.when, values), Ok(false)) {
            lacks.push(format!("whether task {name} ran"));
        }
        let is_given = !task.task.params.is_empty() || task.task.matrix.is_some();
        for (reference, run) in runs_of(task) {
            if run.owners.is_empty() {
                lacks.push(format!("that {reference} belongs to it"));
            }
            if is_given && !run.has_spec {
                lacks.push(format!("what {reference} was given"));
            }
            if says_success && run.succeeded.is_none() && !task.may_fail() {
                lacks.push(format!("whether {reference} succeeded"));
            }
        }
    }
    lacks
}

fn runs_of<'a>(task: &'a Task<'_>) -> impl Iterator<Item = (&'a str, &'a super::Child)> {
    let references = task.references.iter().map(|reference| reference.name.as_str());
    references.zip(&task.runs).filter_map(|(reference, run)| Some((reference, (*run)?)))
}
