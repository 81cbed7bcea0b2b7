//! What is kept of a TaskRun that may belong to a PipelineRun: its verdict, what it proves, and what its PipelineRun says about it.

use std::collections::HashSet;

use serde_json::Value;
use unixtime::{UnixMillis, UnixSeconds};

use crate::{
    tekton::{
        pipelinerun::references::{in_one, param_of},
        taskrun::{DeclaredStep, TaskRun},
        value::ResultValue,
    },
    verify::{AttestedProgram, Proof, Report, Verdict},
};

/// A run that belongs to a PipelineRun, as far as it is needed to judge that.
#[derive(Debug, Clone)]
pub struct Child {
    /// `TaskRun` or `PipelineRun`.
    pub(crate) kind: &'static str,
    /// `<namespace>/<name>`; of a verified TaskRun attested by its steps' certificates.
    pub(crate) name: String,
    /// UIDs of the PipelineRun that it says it belongs to: by its owner, and by its label. Some of Chains' formats do not carry it.
    pub(crate) owners: Vec<String>,
    /// When it was created.
    pub(crate) created: Option<UnixSeconds>,
    pub(crate) verdict: Verdict,
    pub(crate) accepted: bool,
    /// `True` or `False` of its condition.
    pub(crate) succeeded: Option<bool>,
    /// The reason of its condition.
    pub(crate) reason: String,
    /// `spec.params`, which nobody signs.
    pub(crate) params: Vec<(String, ResultValue)>,
    /// Those of them whose value is in the text of a step that is signed.
    pub(crate) in_program: HashSet<String>,
    /// Whether what it was given is carried: some of Chains' formats leave it out.
    pub(crate) has_spec: bool,
    /// Whether results may be missing that its steps signed, as Chains' formats leave some out.
    pub(crate) is_partial: bool,
    /// What it proves; `None` if it does not count as verified.
    pub(crate) proven: Option<Proven>,
}

/// What a verified run proves: of a PipelineRun the results that its TaskRuns attest, whose names are claimed.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    pub(crate) results: Vec<(String, ResultValue)>,
    /// Start of its first step and the last signature; `None` if no step signed a time.
    pub(crate) span: Option<(UnixMillis, UnixMillis)>,
}

impl Child {
    /// `None`: the TaskRun belongs to no PipelineRun. Of one from an attestation that may not be known.
    pub fn of_task_run(task_run: &TaskRun, report: &Report) -> Option<Self> {
        let metadata = &task_run.metadata;
        let by_owner = metadata.owner_references.iter().filter(|owner| owner.kind == "PipelineRun");
        let owners: Vec<String> =
            by_owner.map(|owner| owner.uid.clone()).chain(metadata.labels.pipeline_run_uid.clone()).collect();
        if owners.is_empty() && task_run.chains.is_none() {
            return None;
        }
        let proof = report.proof.as_ref();
        let conditions = &task_run.status.conditions;
        let succeeded = conditions.iter().find(|condition| condition.kind == "Succeeded");
        let params = read_params(&task_run.spec.params.0);
        let in_program = proof.map(|proof| in_program(task_run, proof, &params)).unwrap_or_default();
        Some(Self {
            kind: "TaskRun",
            name: report.task_run.clone(),
            owners,
            created: metadata.creation_timestamp.as_deref().and_then(UnixSeconds::parse),
            verdict: report.verdict,
            accepted: report.accepted,
            succeeded: succeeded.and_then(|condition| match condition.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            }),
            reason: succeeded.map(|condition| condition.reason.clone()).unwrap_or_default(),
            params,
            in_program,
            has_spec: task_run.chains.as_ref().is_none_or(|origin| origin.has_spec()),
            is_partial: task_run.chains.as_ref().is_some_and(|origin| !origin.is_whole),
            proven: proof.map(Proven::of),
        })
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let value = |value: &ResultValue| match value {
            ResultValue::String(text) => text.len() + 32,
            ResultValue::Array(items) => items.iter().map(|item| item.len() + 32).sum(),
            ResultValue::Object(members) => {
                members.iter().map(|(key, text)| key.len() + text.len() + 64).sum()
            }
        };
        let results = self.proven.iter().flat_map(|proven| &proven.results);
        let values = self.params.iter().chain(results).map(|(name, of)| name.len() + value(of) + 64);
        let owners = self.owners.iter().map(|owner| owner.len() + self.name.len() + 128);
        512 + 2 * self.name.len() + owners.sum::<usize>() + values.sum::<usize>()
    }
}

impl Proven {
    fn of(proof: &Proof) -> Self {
        let results =
            proof.results.iter().map(|result| (result.name.clone(), result.value.clone())).collect();
        let started = proof.basis.steps().map(|step| step.started()).min();
        let signed = proof.basis.steps().map(|step| step.signed()).max();
        Self { results, span: started.zip(signed) }
    }

    pub(crate) fn result(&self, name: &str) -> Option<&ResultValue> {
        self.results.iter().find(|(result, _)| result == name).map(|(_, value)| value)
    }
}

/// Parameters of Tekton's shape; others are left out, so that they are missing where a PipelineRun says they must be.
fn read_params(list: &Value) -> Vec<(String, ResultValue)> {
    let param = |param: &Value| {
        let name = param.get("name")?.as_str()?;
        Some((name.to_owned(), ResultValue::from_json(param.get("value")?)?))
    };
    list.as_array().into_iter().flatten().filter_map(param).collect()
}

/// Parameters that the object's own task names in the script, command or arguments of a step whose program is attested.
fn in_program(task_run: &TaskRun, proof: &Proof, params: &[(String, ResultValue)]) -> HashSet<String> {
    let Some(task) = &task_run.spec.task_spec else { return HashSet::new() };
    let with_program =
        proof.basis.steps().filter(|step| matches!(step.program, AttestedProgram::Program { .. }));
    let with_program: HashSet<&str> = with_program.map(|step| step.name.as_str()).collect();
    let is_attested = |step: &DeclaredStep| with_program.contains(step.name.as_str());
    let attested = task.steps.iter().filter(|step| is_attested(step));
    let texts =
        attested.flat_map(|step| std::iter::once(&step.script).chain(&step.command).chain(&step.args));
    let used: HashSet<&str> =
        texts.flat_map(|text| in_one(text)).filter_map(param_of).map(|(name, _)| name).collect();
    let used = params.iter().map(|(name, _)| name).filter(|name| used.contains(name.as_str()));
    used.cloned().collect()
}
