//! What is kept of a TaskRun that may belong to a PipelineRun: its verdict, what it proves, and what its PipelineRun says about it.

use std::{
    collections::{HashMap, HashSet},
    mem,
    time::Duration,
};

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

/// When a PipelineRun was created, if that is known, and what clocks may be apart.
pub(crate) type Since = (Option<UnixSeconds>, Duration);

/// So many different lists of parameters are kept of the objects of one name.
const MOST_GIVEN: usize = 8;

/// A run that belongs to a PipelineRun, as far as it is needed to judge that.
#[derive(Debug, Clone)]
pub struct Child {
    /// `TaskRun` or `PipelineRun`.
    pub(crate) kind: &'static str,
    /// `<namespace>/<name>`; of a verified TaskRun attested by its steps' certificates.
    pub(crate) name: String,
    /// Its UID; empty where an attestation does not carry it.
    pub(crate) uid: String,
    /// UIDs of the PipelineRun that it says it belongs to: by its owner, and by its label. Some of Chains' formats do not carry it.
    pub(crate) owners: Vec<String>,
    /// Name of that PipelineRun, by its label.
    pub(crate) pipeline_run: Option<String>,
    /// When it was created.
    pub(crate) created: Option<UnixSeconds>,
    pub(crate) verdict: Verdict,
    pub(crate) accepted: bool,
    /// `True` or `False` of its condition; where that is not carried, `Some(false)` if a step signed a failure.
    pub(crate) succeeded: Option<bool>,
    /// The reason of its condition.
    pub(crate) reason: String,
    /// `spec.params`, which nobody signs.
    pub(crate) params: Vec<(String, ResultValue)>,
    /// The same of other objects of this name, if that is something else.
    pub(crate) also_given: Vec<Vec<(String, ResultValue)>>,
    /// Those of them whose value is in the text of a step that is signed.
    pub(crate) in_program: HashSet<String>,
    /// Whether what it was given is carried: some of Chains' formats leave it out.
    pub(crate) has_spec: bool,
    /// Whether results may be missing that its steps signed, as Chains' formats leave some out.
    pub(crate) is_partial: bool,
    /// Whether objects of this name say different things of it.
    pub(crate) differs: bool,
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
            uid: metadata.uid.clone(),
            owners,
            pipeline_run: metadata.labels.pipeline_run.clone(),
            created: metadata.creation_timestamp.as_deref().and_then(UnixSeconds::parse),
            verdict: report.verdict,
            accepted: report.accepted,
            succeeded: match succeeded.map(|condition| condition.status.as_str()) {
                Some("True") => Some(true),
                Some("False") => Some(false),
                Some(_) => None,
                // All of its steps may have succeeded and it not, but not the other way round.
                None => proof.filter(|proof| proof.failed).map(|_| false),
            },
            reason: succeeded.map(|condition| condition.reason.clone()).unwrap_or_default(),
            params,
            also_given: Vec::new(),
            in_program,
            has_spec: task_run.chains.as_ref().is_none_or(|origin| origin.has_spec()),
            is_partial: task_run.chains.as_ref().is_some_and(|origin| !origin.is_whole),
            differs: false,
            proven: proof.map(Proven::of),
        })
    }

    /// How little it counts.
    pub(crate) fn rank(&self) -> (bool, Verdict) {
        (!self.accepted, self.verdict)
    }

    /// Whether it was created or started before the PipelineRun was created.
    pub(crate) fn is_older(&self, (created, clock_skew): Since) -> bool {
        let started = self.proven.as_ref().and_then(|proven| proven.span).map(|(start, _)| start.seconds());
        let is_before = |time: Option<UnixSeconds>| {
            time.zip(created).is_some_and(|(time, created)| time + clock_skew < created)
        };
        is_before(self.created) || is_before(started)
    }

    /// Whether both carry something of the run, and it is not the same.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        let is_other_outcome = self.succeeded.zip(other.succeeded).is_some_and(|(own, other)| own != other);
        let is_other_time = self.created.zip(other.created).is_some_and(|(own, other)| own != other);
        let names = self.pipeline_run.as_ref().zip(other.pipeline_run.as_ref());
        let is_given_other = self.has_spec && other.has_spec && self.params != other.params;
        let proven = self.proven.as_ref().zip(other.proven.as_ref());
        is_other_outcome
            || is_other_time
            || is_given_other
            || names.is_some_and(|(own, other)| own != other)
            || proven.is_some_and(|(own, other)| own.contradicts(other))
    }

    /// Takes up what another object says of it. The worst verdict counts, and whichever carries more gives the facts, so that an
    /// attestation hides nothing of what the object beside it says.
    pub(crate) fn merge(&mut self, mut other: Self) {
        let differs = self.differs || other.differs || self.contradicts(&other);
        let fullness = |child: &Self| (child.has_spec, !child.is_partial, child.created.is_some());
        if fullness(&other) > fullness(self) {
            mem::swap(self, &mut other);
        }
        (self.accepted, self.verdict) = match other.rank() > self.rank() {
            true => (other.accepted, other.verdict),
            false => (self.accepted, self.verdict),
        };
        self.succeeded = match (self.succeeded, other.succeeded) {
            (Some(own), Some(other)) => Some(own && other),
            (own, other) => own.or(other),
        };
        if self.reason.is_empty() {
            self.reason = other.reason;
        }
        if self.has_spec && other.has_spec {
            for given in other.also_given.into_iter().chain([other.params]) {
                // Whoever differs is not accepted in any case, so a few are enough to say how.
                let is_new = given != self.params && !self.also_given.contains(&given);
                if is_new && self.also_given.len() < MOST_GIVEN {
                    self.also_given.push(given);
                }
            }
        }
        self.created = self.created.into_iter().chain(other.created).min();
        if self.proven.is_none() {
            (self.proven, self.is_partial) = (other.proven, other.is_partial);
        }
        self.pipeline_run = self.pipeline_run.take().or(other.pipeline_run);
        for owner in other.owners {
            if !self.owners.contains(&owner) {
                self.owners.push(owner);
            }
        }
        self.differs = differs;
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

    /// Whether both hold a result or a time, and it is not the same.
    fn contradicts(&self, other: &Self) -> bool {
        let others: HashMap<&str, &ResultValue> =
            other.results.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let is_other = |(name, value): &(String, ResultValue)| {
            others.get(name.as_str()).is_some_and(|other| *other != value)
        };
        self.results.iter().any(is_other)
            || self.span.zip(other.span).is_some_and(|(own, other)| own != other)
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
