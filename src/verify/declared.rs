//! What the task declares, in the status and inline, against what the steps were told to collect.

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashMap, HashSet},
};

use super::{
    attempt::Attempt, by_name::ByName, facts::Detail, findings::Findings, step::ProvenStep, verdict::Finding,
};
use crate::{
    evidence::attestation::{self, DECLARED, DeclaredNames, Kind, step_name},
    tekton::taskrun::{DeclaredResult, DeclaredStep, TaskSpec},
};

/// Where a TaskRun holds its task inline.
pub(super) const INLINE: &str = "spec.taskSpec";
/// Where Tekton's controller keeps the task as it was run.
pub(super) const IN_STATUS: &str = "status.taskSpec";

/// What a task declares, by names. What follows from it alone is found out once for all attempts of a run.
pub(super) struct DeclaredTask<'a> {
    field: &'static str,
    spec: &'a TaskSpec,
    results: ByName<&'a [DeclaredResult], DeclaredResult>,
    steps: ByName<&'a [DeclaredStep], DeclaredStep>,
    /// One for each of `steps`.
    results_of_steps: Vec<ResultsOfStep<'a>>,
    /// Names of results by the step and step result that they are taken from; of several the last one.
    mapped: HashMap<(&'a str, &'a str), &'a str>,
    own_findings: OnceCell<Findings>,
    collected: OnceCell<DeclaredNames>,
    /// What a step without results of its own is told to collect.
    without_step_results: OnceCell<[u8; DECLARED]>,
}

/// The results that one step declares.
struct ResultsOfStep<'a> {
    by_name: ByName<&'a [DeclaredResult], DeclaredResult>,
    /// What a step is told to collect under this task.
    digest: OnceCell<[u8; DECLARED]>,
    repeated: OnceCell<Findings>,
}

impl<'a> ResultsOfStep<'a> {
    fn new(step: &'a DeclaredStep) -> ResultsOfStep<'a> {
        let by_name = by_name(&step.results);
        ResultsOfStep { by_name, digest: OnceCell::new(), repeated: OnceCell::new() }
    }
}

fn by_name(results: &[DeclaredResult]) -> ByName<&[DeclaredResult], DeclaredResult> {
    ByName::new(results, |result| &result.name)
}

impl<'a> DeclaredTask<'a> {
    /// `field`: the path of the task in the object.
    pub(super) fn new(field: &'static str, spec: &'a TaskSpec) -> DeclaredTask<'a> {
        DeclaredTask {
            field,
            spec,
            results: by_name(&spec.results),
            steps: ByName::new(&spec.steps, |step| &step.name),
            results_of_steps: spec.steps.iter().map(ResultsOfStep::new).collect(),
            mapped: spec
                .results
                .iter()
                .filter_map(|declared| Some((declared.mapping()?, declared.name.as_str())))
                .collect(),
            own_findings: OnceCell::new(),
            collected: OnceCell::new(),
            without_step_results: OnceCell::new(),
        }
    }

    /// The last declaration of a result.
    pub(super) fn result(&self, name: &str) -> Option<&DeclaredResult> {
        self.results.last(name)
    }

    /// The last declaration of a result of the first step of this name.
    pub(super) fn step_result(&self, step: &str, name: &str) -> Option<&DeclaredResult> {
        let (place, _) = self.steps.places(step)?;
        self.results_of_steps.get(place)?.by_name.last(name)
    }

    /// The task result that takes a step result: the last one declared so.
    pub(super) fn mapped_name(&self, step: &str, result: &str) -> Option<&'a str> {
        self.mapped.get(&(step, result)).copied()
    }

    /// Names that are none, or stand twice.
    fn own_findings(&self) -> &Findings {
        self.own_findings.get_or_init(|| {
            let mut findings = Findings::default();
            let mut seen = HashSet::with_capacity(self.spec.results.len());
            for (i, result) in self.spec.results.iter().enumerate() {
                let name = result.name.as_str();
                let field = || format!("{}.results[{i}]", self.field);
                if !attestation::is_result_name(name) || attestation::is_reserved(name) {
                    let problem = format!("{name:?} is not the name of a result");
                    findings.push(status(field(), Detail::RESULT_NAME, problem));
                }
                if !seen.insert(name) {
                    let problem = format!("the result {name} is declared twice");
                    findings.push(status(field(), Detail::DECLARED_TWICE, problem));
                }
            }
            findings
        })
    }

    /// The digest of the names that the step at this place is told to collect.
    fn digest(&self, place: usize, step: &DeclaredStep) -> [u8; DECLARED] {
        let collected = self.collected.get_or_init(|| {
            let collected = self.spec.results.iter().filter(|result| result.value.is_none());
            DeclaredNames::new(collected.map(|result| result.name.as_str()))
        });
        if step.results.is_empty() {
            return *self.without_step_results.get_or_init(|| collected.with_step_results([]));
        }
        let digest =
            || collected.with_step_results(step.results.iter().map(|declared| declared.name.as_str()));
        match self.results_of_steps.get(place) {
            Some(of_step) => *of_step.digest.get_or_init(digest),
            None => digest(),
        }
    }

    /// Results that the step at this place declares twice.
    fn repeated(&self, place: usize) -> Findings {
        let Some(of_step) = self.results_of_steps.get(place) else { return Findings::default() };
        let repeated = of_step.repeated.get_or_init(|| {
            let results = of_step.by_name.list();
            let mut seen = HashSet::with_capacity(results.len());
            let repeated =
                results.iter().enumerate().filter(|(_, result)| !seen.insert(result.name.as_str()));
            let finding = |(i, result): (usize, &DeclaredResult)| {
                let field = format!("{}.steps[{place}].results[{i}]", self.field);
                status(field, Detail::DECLARED_TWICE, format!("the result {} is declared twice", result.name))
            };
            repeated.map(finding).collect()
        });
        repeated.clone()
    }
}

fn status(field: String, detail: Detail, problem: String) -> Finding {
    Finding::Status { field, problem, detail }
}

/// The names that each step was told to collect are those that the task declares, in the status and inline.
pub(super) fn declared_names(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    for task in attempt.tasks() {
        findings.append(declared_in(task, attempt.proven));
    }
    // An archive that keeps results alone does not keep the task either: then what it declares is claimed at most.
    if attempt.object.status.task_spec.is_none() && !attempt.object.is_partial() {
        let reason =
            "status.taskSpec is missing: what the task declares cannot be compared with what was signed";
        findings.push(Finding::undecided(Detail::NO_TASK_SPEC, None, reason));
    }
    findings
}

fn declared_in(task: &DeclaredTask<'_>, proven: &[ProvenStep]) -> Findings {
    let mut findings = task.own_findings().clone();
    let field = task.field;
    // A name that is collected from a file is never mapped: the value would be replaced.
    let collected = proven.iter().flat_map(|step| &step.covered).filter(|covered| covered.kind == Kind::Task);
    let elsewhere: BTreeSet<usize> = collected
        .filter_map(|covered| task.results.places(&covered.name))
        .flat_map(|(first, last)| [first, last])
        .filter(|&place| task.spec.results[place].value.is_some())
        .collect();
    for place in elsewhere {
        let name = &task.spec.results[place].name;
        let problem = format!("the signed result {name} is declared as another step's");
        findings.push(status(format!("{field}.results[{place}]"), Detail::DECLARED_ELSEWHERE, problem));
    }
    let steps = task.spec.steps.len();
    if let Some(step) = proven.first()
        && usize::try_from(step.attestation.step_count).ok() != Some(steps)
    {
        let problem = format!("it declares {steps} steps, but signed are {}", step.attestation.step_count);
        findings.push(status(format!("{field}.steps"), Detail::STEP_COUNT, problem));
    }
    for step in proven {
        let place = step.attestation.step_index as usize;
        let declared_step = task.spec.steps.get(place).filter(|declared| {
            step_name(&format!("step-{}", declared.name)) == step.name
                || (declared.name.is_empty() && step.name == format!("unnamed-{place}"))
        });
        let Some(declared_step) = declared_step else {
            let problem = format!("the signed step {} is not there", step.name);
            findings.push(status(format!("{field}.steps[{place}]"), Detail::STEP_NOT_DECLARED, problem));
            continue;
        };
        // The inline task of a StepAction does not say what that declares.
        if field == INLINE && declared_step.step_action.is_some() && declared_step.results.is_empty() {
            continue;
        }
        findings.append(task.repeated(place));
        if task.digest(place, declared_step) != step.attestation.declared {
            let problem =
                format!("its declared results are not those that step {} was told to collect", step.name);
            findings.push(status(field.to_owned(), Detail::DECLARED_RESULTS, problem));
        }
    }
    findings
}
