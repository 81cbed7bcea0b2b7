//! One attempt of a TaskRun with what its steps signed, and its parts by their names.

use std::{cell::OnceCell, collections::HashMap};

use x509::Certificate;

use crate::{
    evidence::tep0089,
    tekton::{
        result_kind::ResultKind,
        taskrun::{DeclaredResult, StatusResult, StepState, TaskRun},
    },
    verify::{
        bind::declared_task::DeclaredTask, by_name::ByName, collect::StepEvidence, prove::step::ProvenStep,
    },
};

/// What the stages that follow the proof of each step compare.
pub(crate) struct Attempt<'a> {
    pub(crate) task_run: &'a TaskRun,
    pub(crate) steps: &'a [StepEvidence<'a>],
    pub(crate) proven: &'a [ProvenStep],
    /// The `status` of the condition `Succeeded`.
    pub(crate) succeeded: Option<&'a str>,
    /// Of the status.
    pub(crate) results: ByName<&'a [StatusResult], StatusResult>,
    inline: Option<&'a DeclaredTask<'a>>,
    in_status: Option<&'a DeclaredTask<'a>>,
    by_name: ByName<&'a [StepEvidence<'a>], StepEvidence<'a>>,
    /// For each of `steps` its place in `proven`.
    proof_of: Vec<Option<usize>>,
    /// Steps with TEP-0089 entries, in order, by the names of the task results that they cover.
    signing: OnceCell<HashMap<&'a str, Vec<&'a ProvenStep>>>,
    leaves: OnceCell<HashMap<&'a [u8], &'a Certificate>>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        task_run: &'a TaskRun,
        steps: &'a [StepEvidence<'a>],
        proven: &'a [ProvenStep],
        [inline, in_status]: [Option<&'a DeclaredTask<'a>>; 2],
    ) -> Self {
        let mut proof_of = vec![None; steps.len()];
        for (place, step) in proven.iter().enumerate() {
            if let Some(proof) = proof_of.get_mut(step.place) {
                *proof = Some(place);
            }
        }
        Attempt {
            task_run,
            steps,
            proven,
            succeeded: task_run.succeeded(),
            results: ByName::new(&task_run.status.results, |result| &result.name),
            inline,
            in_status,
            by_name: ByName::new(steps, |evidence| evidence.name),
            proof_of,
            signing: OnceCell::new(),
            leaves: OnceCell::new(),
        }
    }

    /// The tasks that the object holds: inline, and in the status.
    pub(crate) fn tasks(&self) -> impl DoubleEndedIterator<Item = &'a DeclaredTask<'a>> {
        [self.inline, self.in_status].into_iter().flatten()
    }

    /// The task as it is given inline.
    pub(crate) fn inline(&self) -> Option<&'a DeclaredTask<'a>> {
        self.inline
    }

    /// The task as it was run.
    pub(crate) fn in_status(&self) -> Option<&'a DeclaredTask<'a>> {
        self.in_status
    }

    /// The declaration of a task result as the controller looks it up: of `spec.taskSpec`, then of `status.taskSpec`, the last
    /// of a name wins (Tekton `pkg/pod/status.go`, `specResults`).
    pub(crate) fn declared_result(&self, name: &str) -> Option<&'a DeclaredResult> {
        self.tasks().rev().find_map(|task| task.result(name))
    }

    /// The task result that takes step result `result` of `step`: the last one declared so.
    pub(crate) fn mapped_name(&self, step: &str, result: &str) -> Option<&'a str> {
        self.tasks().rev().find_map(|task| task.mapped_name(step, result))
    }

    /// What the object holds of a proven step.
    pub(crate) fn evidence(&self, step: &ProvenStep) -> &'a StepEvidence<'a> {
        &self.steps[step.place]
    }

    /// What the object holds of the step of this name.
    pub(crate) fn evidence_of(&self, name: &str) -> Option<&'a StepEvidence<'a>> {
        self.by_name.places(name).map(|(place, _)| &self.steps[place])
    }

    /// The proof of the step at this place of `steps`.
    pub(crate) fn proof(&self, place: usize) -> Option<&'a ProvenStep> {
        self.proof_of.get(place).copied().flatten().map(|place| &self.proven[place])
    }

    /// The state of a step, and its place in `status.steps`.
    pub(crate) fn state(&self, evidence: &StepEvidence<'_>) -> Option<(usize, &'a StepState)> {
        let index = evidence.index?;
        Some((index, self.task_run.status.steps.as_ref()?.get(index)?))
    }

    /// The last step of whose TEP-0089 entries this may be one.
    pub(crate) fn signs_entry(&self, key: &str) -> Option<&'a ProvenStep> {
        let signing = self.signing.get_or_init(|| {
            let mut signing: HashMap<&str, Vec<&ProvenStep>> = HashMap::new();
            for step in self.proven.iter().filter(|step| step.attestation.tep0089) {
                let names = step.covered.iter().filter(|covered| covered.kind == ResultKind::Task);
                for name in names.map(|covered| covered.name.as_str()).chain([tep0089::MANIFEST]) {
                    signing.entry(name).or_default().push(step);
                }
            }
            signing
        });
        let base = match key {
            tep0089::SVID | tep0089::MANIFEST => tep0089::MANIFEST,
            _ => key.strip_suffix(tep0089::SUFFIX)?,
        };
        signing.get(base)?.iter().rfind(|step| !step.covers(ResultKind::Task, key)).copied()
    }

    /// The certificate of a step, by its DER.
    pub(crate) fn leaf(&self, der: &[u8]) -> Option<&'a Certificate> {
        let leaves = || self.proven.iter().map(|step| (step.leaf.der(), &step.leaf)).collect();
        self.leaves.get_or_init(leaves).get(der).copied()
    }
}
