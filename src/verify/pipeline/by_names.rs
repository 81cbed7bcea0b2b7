//! The runs of an inline pipeline of which an attestation is there: found by the names that the controller gives them, since which run is
//! of which task is not carried.

use std::collections::{HashMap, HashSet};

use crate::{
    tekton::{
        chains::PipelineRunOrigin,
        pipelinerun::{
            ChildReference, Matrix, PipelineRun, PipelineSpec, PipelineTask, matrix, names, references,
        },
    },
    verify::{
        Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{allowance::Allowance, child::Since, children::Children, fault},
    },
};

/// Runs of one matrix that are looked for in any case: Tekton's own default (`default-max-matrix-combinations-count`).
const MOST_RUNS: usize = 256;

/// Finds them, each for one task, and whether some may be another task's. That the attestation holds others is a finding; `lacks`: of a name that two tasks may give, whose run it is.
pub(crate) fn find(
    object: &PipelineRun,
    origin: &PipelineRunOrigin,
    spec: &PipelineSpec,
    (children, since, allowance): (&Children, Since, &Allowance),
    (findings, lacks): (&mut Findings, &mut Vec<String>),
) -> (Vec<ChildReference>, bool) {
    let held: HashSet<&str> = origin.task_runs.iter().map(String::as_str).collect();
    // An operator may have raised the limit.
    let most = MOST_RUNS.max(held.len() + children.names_of(&object.metadata.uid).count());
    let mut search =
        Search { object, held, places: (children, since), allowance, most, found: HashMap::new() };
    let (mut references, mut is_contested) = (Vec::new(), false);
    // What is called as a task's only run is that. A matrix may have made it only if that task did not run.
    let (of_several, of_one): (Vec<_>, Vec<_>) =
        spec.all_tasks().map(|(task, _)| task).partition(|task| task.matrix.is_some());
    for task in of_one.into_iter().chain(of_several) {
        let (names, contested) = search.runs_of(task);
        if let Some((name, other)) = contested {
            is_contested = true;
            lacks.push(format!("whether {name} is a run of task {other} or of task {}", task.name));
        }
        search.found.extend(names.iter().map(|name| (name.clone(), task.name.as_str())));
        references.extend(names.into_iter().map(|name| ChildReference {
            kind: task.kind_of_runs().to_owned(),
            name,
            pipeline_task_name: task.name.clone(),
            when_expressions: Vec::new(),
        }));
    }
    search.find_others(spec, findings);
    (references, is_contested)
}

/// The names in an attestation and beside it, and which of them are known to be runs of which task.
struct Search<'a> {
    object: &'a PipelineRun,
    held: HashSet<&'a str>,
    places: (&'a Children, Since),
    allowance: &'a Allowance,
    /// Runs of one matrix that are looked for.
    most: usize,
    /// Tasks by the names of their runs.
    found: HashMap<String, &'a str>,
}

impl<'a> Search<'a> {
    /// Names of a task's runs, and one that another task has that would be the next.
    fn runs_of(&self, task: &PipelineTask) -> (Vec<String>, Option<(String, &'a str)>) {
        let (mut most, mut contested): (Vec<String>, _) = (Vec::new(), None);
        let kind = task.kind_of_runs();
        for count in self.counts(task) {
            let names = |first| names::of_first_runs(&self.object.metadata.name, &task.name, count, first);
            // Of a matrix the first ones: names of later ones say nothing without them.
            let mut first = Vec::new();
            let is_one_there =
                self.allowance.take_looks(1) && names(1).iter().all(|name| self.is_there(kind, name));
            let looked_at = if is_one_there { count.min(self.most) } else { 0 };
            if !self.allowance.take_looks(looked_at) {
                break;
            }
            for name in names(looked_at) {
                match self.found.get(&name) {
                    _ if !self.is_there(kind, &name) => break,
                    Some(other) => {
                        contested.get_or_insert((first.len(), name, *other));
                        break;
                    }
                    None => first.push(name),
                }
            }
            if first.len() > most.len() {
                most = first;
            }
        }
        let is_next = |at: usize| at == most.len() && task.matrix.as_ref().and_then(count_runs) != Some(at);
        let contested = contested.filter(|(at, ..)| is_next(*at)).map(|(_, name, other)| (name, other));
        (most, contested)
    }

    fn is_there(&self, kind: &str, name: &str) -> bool {
        let (children, since) = self.places;
        let metadata = &self.object.metadata;
        let full_name = || format!("{}/{name}", metadata.namespace);
        self.held.contains(name) || children.find_own(kind, &full_name(), &metadata.uid, since).is_some()
    }

    /// How many runs a task may have: one, or those of matrices of up to 9, 99, 999 and so on, whose names are cut differently.
    fn counts(&self, task: &PipelineTask) -> Vec<usize> {
        let mut counts = vec![1];
        let mut next: usize = 10;
        while task.matrix.is_some() && next / 10 <= self.most {
            counts.push(next - 1);
            next = next.saturating_mul(10);
        }
        counts
    }

    /// What the attestation holds besides: a later run of a matrix whose first ones are not there, or what no task of the pipeline makes.
    fn find_others(&self, spec: &PipelineSpec, findings: &mut Findings) {
        let pipeline_run = &self.object.metadata.name;
        let mut others: Vec<&str> =
            self.held.iter().copied().filter(|name| !self.found.contains_key(*name)).collect();
        others.sort_unstable();
        let matrices: Vec<&PipelineTask> =
            spec.all_tasks().map(|(task, _)| task).filter(|task| task.matrix.is_some()).collect();
        for name in others {
            // Without room to look for them all they may be anything.
            if !self.allowance.take_looks(1 + matrices.len()) || self.allowance.is_used_up() {
                return;
            }
            let of = matrices.iter().find(|task| names::is_of_several(pipeline_run, &task.name, name));
            let (verdict, problem) = match of {
                Some(task) => (
                    Verdict::Unchecked,
                    format!(
                        "the attestation holds a TaskRun {name}, which may be a run of the matrix of task {}, and not those before it",
                        task.name
                    ),
                ),
                None => (
                    Verdict::Invalid,
                    format!(
                        "the attestation holds a TaskRun {name}, and that is the name of no run of a task of {pipeline_run}"
                    ),
                ),
            };
            findings.push(fault(verdict, Detail::CHILD_NAME, problem));
        }
    }
}

/// How many runs a matrix makes, if that does not depend on results.
fn count_runs(matrix: &Matrix) -> Option<usize> {
    let is_plain = matrix.all_params().all(|param| references::expressions(&param.value).is_empty());
    is_plain.then(|| matrix::count_runs(matrix)).flatten()
}
