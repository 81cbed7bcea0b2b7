//! What a task declares, by names.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
};

use crate::{
    evidence::attestation::{self, DECLARED, DeclaredNames},
    tekton::taskrun::{DeclaredResult, DeclaredStep, TaskSpec},
    verify::{by_name::ByName, facts::Detail, finding::Finding, findings::Findings},
};

/// Where a TaskRun holds its task inline.
pub(crate) const INLINE: &str = "spec.taskSpec";

/// Where Tekton's controller keeps the task as it was run.
pub(crate) const IN_STATUS: &str = "status.taskSpec";

/// What a task declares, by names. What follows from it alone is found out once for all attempts of a run.
pub(crate) struct DeclaredTask<'a> {
    pub(crate) field: &'static str,
    pub(crate) spec: &'a TaskSpec,
    pub(crate) results: ByName<&'a [DeclaredResult], DeclaredResult>,
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
    fn new(step: &'a DeclaredStep) -> Self {
        let by_name = by_name(&step.results);
        ResultsOfStep { by_name, digest: OnceCell::new(), repeated: OnceCell::new() }
    }
}

fn by_name(results: &[DeclaredResult]) -> ByName<&[DeclaredResult], DeclaredResult> {
    ByName::new(results, |result| &result.name)
}

impl<'a> DeclaredTask<'a> {
    /// `field`: the path of the task in the object.
    pub(crate) fn new(field: &'static str, spec: &'a TaskSpec) -> Self {
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
    pub(crate) fn result(&self, name: &str) -> Option<&DeclaredResult> {
        self.results.last(name)
    }

    /// The last declaration of a result of the first step of this name.
    pub(crate) fn step_result(&self, step: &str, name: &str) -> Option<&DeclaredResult> {
        let (place, _) = self.steps.places(step)?;
        self.results_of_steps.get(place)?.by_name.last(name)
    }

    /// The task result that takes a step result: the last one declared so.
    pub(crate) fn mapped_name(&self, step: &str, result: &str) -> Option<&'a str> {
        self.mapped.get(&(step, result)).copied()
    }

    /// Names that are none, or appear twice.
    pub(crate) fn own_findings(&self) -> &Findings {
        self.own_findings.get_or_init(|| {
            let mut findings = Findings::default();
            let mut seen = HashSet::with_capacity(self.spec.results.len());
            for (i, result) in self.spec.results.iter().enumerate() {
                let name = result.name.as_str();
                let field = || format!("{}.results[{i}]", self.field);
                if !attestation::is_result_name(name) || attestation::is_reserved(name) {
                    let problem = format!("{name:?} is not the name of a result");
                    findings.push(Finding::status(field(), Detail::RESULT_NAME, problem));
                }
                if !seen.insert(name) {
                    let problem = format!("the result {name} is declared twice");
                    findings.push(Finding::status(field(), Detail::DECLARED_TWICE, problem));
                }
            }
            findings
        })
    }

    /// The digest of the names that the step at this place is told to collect.
    pub(crate) fn digest(&self, place: usize, step: &DeclaredStep) -> [u8; DECLARED] {
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
    pub(crate) fn repeated(&self, place: usize) -> Findings {
        let Some(of_step) = self.results_of_steps.get(place) else { return Findings::default() };
        let repeated = of_step.repeated.get_or_init(|| {
            let results = of_step.by_name.list();
            let mut seen = HashSet::with_capacity(results.len());
            let repeated =
                results.iter().enumerate().filter(|(_, result)| !seen.insert(result.name.as_str()));
            let finding = |(i, result): (usize, &DeclaredResult)| {
                let field = format!("{}.steps[{place}].results[{i}]", self.field);
                Finding::status(
                    field,
                    Detail::DECLARED_TWICE,
                    format!("the result {} is declared twice", result.name),
                )
            };
            repeated.map(finding).collect()
        });
        repeated.clone()
    }
}
