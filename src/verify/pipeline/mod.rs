//! Verification of a whole PipelineRun (docs/verify.md "PipelineRuns"): is what its status says what follows from its TaskRuns?
//!
//! Nobody signs a PipelineRun. What it says is held against what its TaskRuns prove: that each one is there and its own
//! ([`runs`]), that what they were given is what others produced ([`given`]), that tasks were skipped for the reason that is
//! stated ([`skips`], [`stated`]), that the steps signed in the order of the tasks, and that its results are theirs ([`results`]).
//! What Tekton Chains attested of it must agree with all that ([`chains`]); where nothing but that is there, it is held against the
//! TaskRuns as far as it goes ([`attested`]).

mod allowance;
#[cfg(test)]
mod as_controller;
mod attested;
mod by_names;
mod cel;
mod chains;
pub(crate) mod child;
mod children;
mod context;
#[cfg(test)]
mod every_allowance;
mod given;
mod results;
mod runs;
mod skips;
mod spec;
mod stated;
mod task;
pub(crate) mod tree;
mod values;
mod whole;

use std::{collections::HashMap, time::Duration};

use unixtime::{UnixMillis, UnixSeconds};

pub use child::Child;
pub use tree::{ParamNode, Pipeline, PipelineResult, RunNode, TaskNode};
pub use whole::{JudgedPipelineRun, Pipelines};

use self::{
    allowance::{Allowance, TOO_MUCH},
    child::Since,
    children::Children,
    task::Task,
    values::Values,
};
use crate::{
    tekton::{
        pipelinerun::{PipelineRun, PipelineSpec},
        value::ResultValue,
    },
    verify::{
        Finding, PipelineFault, Policy, Report, Trust, Verdict,
        facts::Detail,
        findings::{Findings, KEPT},
    },
};

/// Why what differs is not called invalid.
const WHOSE: &str =
    "attestations do not carry whose runs they are of, so what differs may be of another PipelineRun or task";

/// What a PipelineRun is told that had no room, or whose children had none.
const NO_ROOM: &str =
    "there were more runs of pipelines than are kept in memory (256 MiB): verify fewer at a time";

/// The report of a PipelineRun that was not kept until its children were there.
fn not_kept(task_run: String, uid: String, problem: &str) -> Report {
    let mut findings = Findings::default();
    findings.push(fault(Verdict::Unchecked, Detail::NOT_KEPT, problem));
    Report {
        task_run,
        uid,
        verdict: Verdict::Unchecked,
        accepted: false,
        rules: Vec::new(),
        findings,
        notes: Vec::new(),
        proof: None,
        pipeline: Some(Box::default()),
    }
}

/// Judges a PipelineRun by what is known of its children.
pub(crate) fn judge(
    object: &PipelineRun,
    children: &Children,
    allowance: &Allowance,
    (trust, policy): (&Trust, &Policy),
) -> Report {
    let mut findings = Findings::default();
    let mut notes = Vec::new();
    let failed = object.succeeded() == Some("False");
    let by_its_word = object.chains.is_none().then_some(failed);
    let mut pipeline = Pipeline { failed: by_its_word, ..Pipeline::default() };
    if failed {
        notes.push(
            "the PipelineRun failed; what is verified is what its tasks produced before that".to_owned(),
        );
    }
    let mut lacks = Vec::new();
    let by = (children, allowance, trust, policy);
    match (&object.chains, object.succeeded()) {
        (Some(origin), _) => {
            pipeline = attested::judge(object, origin, by, (&mut findings, &mut notes, &mut lacks));
        }
        (None, Some("True" | "False")) => {
            if let Some(spec) = spec::of(object, allowance, &mut findings, &mut notes) {
                let outcome = (&mut findings, &mut notes, &mut lacks);
                pipeline = check_against(object, (spec, false), by, outcome);
            }
        }
        _ => findings.push(fault(Verdict::Absent, Detail::UNFINISHED, "the PipelineRun has not finished")),
    }
    findings.extend(policy.unsuccessful(pipeline.failed));
    if allowance.is_used_up() {
        findings.push(fault(Verdict::Unchecked, Detail::NOT_DERIVED, TOO_MUCH));
    }
    if children.overflowed {
        // Whatever is not there may say otherwise.
        findings.push(fault(Verdict::Unchecked, Detail::NOT_KEPT, NO_ROOM));
    }
    let runs = || pipeline.tasks.iter().flat_map(|task| &task.runs);
    let is_partial = !lacks.is_empty();
    if is_partial {
        findings.extend(partial(object, &pipeline, policy, lacks, &mut notes));
    }
    findings.extend(unsigned(object, &pipeline, policy));
    if findings.is_empty() && runs().next().is_none() {
        let problem = "none of its tasks ran, so there is nothing to check";
        findings.push(fault(Verdict::Unchecked, Detail::NOTHING_CHECKED, problem));
    }
    let is_weak = is_partial || runs().any(|run| run.verdict == Some(Verdict::Weak));
    let worst = findings.iter().map(Finding::verdict).max();
    let verdict = worst.unwrap_or(if is_weak { Verdict::Weak } else { Verdict::Verified });
    // A weak child that is not accepted is a finding.
    let accepted = worst.is_none();
    if !accepted {
        pipeline.results.clear();
    }
    Report {
        task_run: object.full_name(),
        uid: object.metadata.uid.clone(),
        verdict,
        accepted,
        rules: Vec::new(),
        findings,
        notes,
        proof: None,
        pipeline: Some(Box::new(pipeline)),
    }
}

/// What the policy says where Chains must have signed an attestation of it, and that is not known.
fn unsigned(object: &PipelineRun, pipeline: &Pipeline, policy: &Policy) -> Vec<Finding> {
    let Some(file) = policy.file.as_ref().filter(|_| pipeline.chains_signed_by.is_none()) else {
        return Vec::new();
    };
    let names = pipeline.tasks.iter().flat_map(|task| &task.runs).map(|run| run.name.as_str());
    file.unsigned_by_chains(&object.metadata.namespace, names)
}

/// What there is to say of what attestations do not carry: a note where that is accepted.
fn partial(
    object: &PipelineRun,
    pipeline: &Pipeline,
    policy: &Policy,
    lacks: Vec<String>,
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let more = lacks.len().saturating_sub(KEPT);
    let mut text = lacks.into_iter().take(KEPT).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    let names = pipeline.tasks.iter().flat_map(|task| &task.runs).map(|run| run.name.as_str());
    let namespace = &object.metadata.namespace;
    let mut findings: Vec<Finding> =
        policy.file.iter().flat_map(|file| file.wants_whole(namespace, names.clone())).collect();
    if policy.accept_not_carried {
        notes.push(format!("attestations do not carry {text}"));
        return findings;
    }
    let problem = format!(
        "attestations of Tekton Chains do not carry all of it: {text}. The PipelineRun and its TaskRuns themselves do; \
         --accept not-carried accepts what there is"
    );
    findings.push(fault(Verdict::Weak, Detail::PARTIAL, problem));
    findings
}

/// Holds a finished PipelineRun against its children. `is_contested`: which run is of which task is not certain. `lacks`: what
/// attestations do not carry of those.
fn check_against(
    object: &PipelineRun,
    (spec, is_contested): (&PipelineSpec, bool),
    (children, allowance, trust, policy): (&Children, &Allowance, &Trust, &Policy),
    (findings, notes, lacks): (&mut Findings, &mut Vec<String>, &mut Vec<String>),
) -> Pipeline {
    let since = since(object, trust);
    let tasks = runs::find_tasks(object, spec, (children, since), findings);
    let mut by_name: HashMap<&str, Task<'_>> =
        tasks.into_iter().map(|task| (task.task.name.as_str(), task)).collect();
    let counts = given::matrix_counts(&Values::of(object, &by_name, allowance));
    runs::rename(object, &mut by_name, &counts);
    let values = Values::of(object, &by_name, allowance);
    let mut nodes = Vec::with_capacity(by_name.len());
    runs::check_whose(object, since, findings);
    let mut own = Findings::default();
    let ends = ends(&by_name);
    // Those of finally come after all others.
    let others = by_name.values().filter(|task| !task.is_finally);
    let last = others.max_by_key(|task| task.span().map(|(_, end)| end)).map(|task| task.task.name.as_str());
    for (task, _) in spec.all_tasks() {
        let Some(task) = by_name.get(task.name.as_str()) else { continue };
        runs::check(object, task, since, &mut own);
        skips::check(object, task, &values, (&mut own, &mut *notes, &mut *lacks));
        let params = given::check(task, &values, (&mut own, &mut *lacks));
        order(task, &ends, last, trust.clock_skew, &mut own);
        nodes.push(node(task, params));
    }
    check_outcome(object, &by_name, &mut own);
    let results = results::check(object, spec, &values, (&mut own, &mut *notes, &mut *lacks));
    // What may be of another PipelineRun contradicts nothing.
    let is_ownerless = |task: &Task<'_>| task.runs.iter().flatten().any(|run| run.owners.is_empty());
    if is_contested || by_name.values().any(is_ownerless) {
        let is_other;
        (own, is_other) = own.at_most_unchecked();
        notes.extend(is_other.then(|| WHOSE.to_owned()));
    }
    findings.append(own);
    runs::find_strangers(object, &by_name, children, findings, notes);
    let chains_signed_by = chains::signed_by(object, &by_name, &policy.chains_keys, findings, notes);
    lacks.extend(attested::not_carried(object, spec, &values));
    Pipeline { tasks: nodes, results, failed: has_failed(object, &by_name), chains_signed_by }
}

/// Whether it failed. That it succeeded is its own word, and counts only if it is carried of each task that must not fail how that ended.
fn has_failed(object: &PipelineRun, tasks: &HashMap<&str, Task<'_>>) -> Option<bool> {
    let mut tasks = tasks.values().filter(|task| !task.may_fail());
    match (&object.chains, object.succeeded()) {
        // What an attestation does not say of the PipelineRun, its TaskRuns may.
        (Some(_), _) => tasks.any(|task| task.outcome() == Some(false)).then_some(true),
        (None, Some("True")) => (!tasks.any(Task::lacks_outcome)).then_some(false),
        (None, other) => Some(other == Some("False")),
    }
}

/// When it was created, and what clocks may be apart.
fn since(object: &PipelineRun, trust: &Trust) -> Since {
    (object.metadata.creation_timestamp.as_deref().and_then(UnixSeconds::parse), trust.clock_skew)
}

fn node(task: &Task<'_>, params: Vec<Vec<ParamNode>>) -> TaskNode {
    let runs = task.references.iter().zip(&task.runs).zip(params);
    TaskNode {
        name: task.task.name.clone(),
        is_finally: task.is_finally,
        skipped: task.skipped.map(|skipped| skipped.reason.clone()),
        runs: runs
            .map(|((reference, run), params)| RunNode {
                name: reference.name.clone(),
                verdict: run.map(|run| run.verdict),
                params,
            })
            .collect(),
    }
}

/// When a task and all that it needs had signed, and the task that did so last.
type Ends<'a> = HashMap<&'a str, Option<(UnixMillis, &'a str)>>;

/// Of every task: its own end, or, if it did not run or that is not known, the last one of the tasks that it needs.
fn ends<'a>(tasks: &'a HashMap<&'a str, Task<'a>>) -> Ends<'a> {
    let mut ends = Ends::new();
    for &root in tasks.keys() {
        // A list instead of recursion, since somebody may have written a very long chain; `true`: all that it needs is known.
        let mut open = vec![(root, false)];
        while let Some((name, is_ready)) = open.pop() {
            let Some(task) = tasks.get(name) else { continue };
            if is_ready {
                let of_parents = || task.parents().into_iter().filter_map(|parent| *ends.get(parent)?).max();
                let end = task.span().map(|(_, end)| (end, name)).or_else(of_parents);
                ends.insert(name, end);
            } else if !ends.contains_key(name) {
                ends.insert(name, None);
                open.push((name, true));
                if task.span().is_none() {
                    open.extend(task.parents().into_iter().map(|parent| (parent, false)));
                }
            }
        }
    }
    ends
}

/// What a task needs was signed before its first step started, give or take what clocks may be apart.
fn order(
    task: &Task<'_>,
    ends: &Ends<'_>,
    last: Option<&str>,
    clock_skew: Duration,
    findings: &mut Findings,
) {
    let skew = 2 * clock_skew;
    let Some((start, _)) = task.span() else { return };
    let parents = match task.is_finally {
        true => last.into_iter().collect(),
        false => task.parents(),
    };
    for parent in parents {
        let Some((end, parent)) = ends.get(parent).copied().flatten() else { continue };
        if end > start + skew {
            let name = &task.task.name;
            let problem =
                format!("task {name} started before task {parent}, which it depends on, had signed");
            findings.push(fault(Verdict::Invalid, Detail::TASK_ORDER, problem));
        }
    }
}

/// A PipelineRun that succeeded has no task that failed, but for those that may.
fn check_outcome(object: &PipelineRun, tasks: &HashMap<&str, Task<'_>>, findings: &mut Findings) {
    if object.succeeded() != Some("True") {
        return;
    }
    for task in tasks.values() {
        if task.outcome() == Some(false) && !task.may_fail() {
            let problem = format!("it says that it succeeded, but task {} failed", task.task.name);
            findings.push(fault(Verdict::Invalid, Detail::SUCCEEDED, problem));
        }
    }
}

/// Something that is wrong with a PipelineRun.
fn fault(verdict: Verdict, detail: Detail, problem: impl Into<String>) -> Finding {
    Finding::Pipeline(Box::new(PipelineFault {
        problem: problem.into(),
        detail,
        field: None,
        expected: None,
        found: None,
        verdict,
    }))
}

/// The same, with both sides of a comparison and where the second one is.
fn differs(
    detail: Detail,
    problem: String,
    field: String,
    sides: (Option<&ResultValue>, Option<&ResultValue>),
) -> Finding {
    let json = |value: Option<&ResultValue>| value.map(ResultValue::canonical_json);
    Finding::Pipeline(Box::new(PipelineFault {
        problem,
        detail,
        field: Some(field),
        expected: json(sides.0),
        found: json(sides.1),
        verdict: Verdict::Invalid,
    }))
}
