//! Finding each step's evidence in a TaskRun: the step's own message, else `status.results`.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{by_name::ByName, facts::Detail, findings::Findings};
use crate::{
    evidence::{
        attestation::{self, Attestation, HINT, ResultsFrom, hint},
        tep0089,
    },
    tekton::{
        message::{self, ReadEntry, entry_type},
        result_kind::ResultKind,
        taskrun::{StepState, TaskRun},
        termination::COMPRESSED,
    },
    verify::finding::Finding,
};

/// What one step of the status carries.
#[derive(Debug, Clone)]
pub(crate) struct StepEvidence<'a> {
    /// Its name without `step-`.
    pub(crate) name: &'a str,
    /// Its place in `status.steps`, if there are any.
    pub(crate) index: Option<usize>,
    /// The entries of its termination message by their keys; `None` if the object holds no message of it.
    entries: Option<ByName<Vec<ReadEntry>, ReadEntry>>,
    /// The value of its `SVIDENCE.<step>.sig` entry.
    pub(crate) attestation: Option<String>,
    /// Task results of the status with string values; shared by all steps.
    in_status: Rc<StatusResults<'a>>,
}

/// Task results of the status with string values, as (name, value).
#[derive(Debug, Default)]
struct StatusResults<'a> {
    results: Vec<(&'a str, &'a str)>,
    by_hint: OnceCell<ByHint>,
}

/// Places of results by the hints of their names.
type ByHint = HashMap<[u8; HINT], Vec<usize>>;

fn by_hint<'a>(names: impl Iterator<Item = &'a str>) -> ByHint {
    let mut by_hint = ByHint::new();
    for (place, name) in names.enumerate().filter(|(_, name)| !attestation::is_reserved(name)) {
        by_hint.entry(hint(name)).or_default().push(place);
    }
    by_hint
}

impl<'a> StatusResults<'a> {
    fn evidence(&self) -> HashMap<&'a str, &'a str> {
        // Of two with one name the first, as everywhere.
        self.results.iter().rev().filter(|(name, _)| attestation::is_reserved(name)).copied().collect()
    }
}

/// Whether a text is a step's message, be it a damaged one: a reader that is more lenient must not find in it what was not checked.
pub(crate) fn is_message(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('[') || start.starts_with(COMPRESSED) || text.contains(attestation::KEY_PREFIX)
}

/// A label of DNS, as the names of containers are: with `step-` before it, or cut to that length. Findings and results hold it.
fn is_step_name(name: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    name.len() <= 63
        && is_end(name.bytes().next())
        && is_end(name.bytes().next_back())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// More steps than any pod has containers; bounds the work that an object can cause.
const MOST_STEPS: usize = 1000;

impl<'a> StepEvidence<'a> {
    /// The entries of its termination message; `None` if the object holds no message of it.
    pub(crate) fn entries(&self) -> Option<&[ReadEntry]> {
        self.entries.as_ref().map(ByName::list)
    }

    /// The entries among which every covered result stands, if the object holds them: those of the step's message, where
    /// that is the way the step says it handed its results over.
    pub(crate) fn entries_with_results(&self, attestation: &Attestation) -> Option<&[ReadEntry]> {
        match attestation.results_from {
            ResultsFrom::TerminationMessage => self.entries(),
            ResultsFrom::SidecarLogs => None,
        }
    }

    /// The value of an entry of its message.
    pub(crate) fn value(&self, kind: i64, key: &str) -> Option<&str> {
        let entry = self.entries.as_ref()?.first(key)?;
        (entry.kind == kind).then_some(entry.value.as_str())
    }

    /// The raw value of a result in its message.
    pub(crate) fn raw(&self, kind: ResultKind, name: &str) -> Option<&str> {
        self.value(entry_type::of_result(kind), name)
    }

    /// For each of the hints the first two task results that may be meant, as (name, raw value): of the step's message, where
    /// that is the way the step says it handed its results over, else of the status.
    pub(crate) fn with_hints<'s>(
        &'s self,
        attestation: &Attestation,
        hints: impl Iterator<Item = [u8; HINT]> + 's,
    ) -> impl Iterator<Item = [Option<(&'s str, &'s str)>; 2]> + 's {
        let entries = self.entries_with_results(attestation);
        let in_message = entries.map(|entries| {
            let of_kind = |entry: &&ReadEntry| entry.kind == entry_type::TASK_RESULT;
            let results: Vec<&ReadEntry> = entries.iter().filter(of_kind).collect();
            let by_hint = by_hint(results.iter().map(|entry| entry.key.as_str()));
            (results, by_hint)
        });
        hints.map(move |wanted| {
            let first_two = |by_hint: &ByHint, result: &dyn Fn(usize) -> (&'s str, &'s str)| {
                let places = by_hint.get(&wanted).map(Vec::as_slice).unwrap_or_default();
                [0, 1].map(|nth| places.get(nth).map(|&place| result(place)))
            };
            match &in_message {
                Some((results, by_hint)) => {
                    first_two(by_hint, &|place| (&results[place].key, &results[place].value))
                }
                None => {
                    let results = &self.in_status.results;
                    let by_hint =
                        self.in_status.by_hint.get_or_init(|| by_hint(results.iter().map(|(name, _)| *name)));
                    first_two(by_hint, &|place| results[place])
                }
            }
        })
    }

    /// Task results of the status with string values, as (name, value), without attestations.
    pub(crate) fn task_results_of_status(&self) -> impl Iterator<Item = (&str, &str)> {
        self.in_status.results.iter().copied().filter(|(name, _)| !attestation::is_reserved(name))
    }

    /// Task results in the step's message, as (name, raw value), without attestations.
    pub(crate) fn task_results_of_message(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries().unwrap_or_default().iter();
        let results = entries.filter(|entry| entry.kind == entry_type::TASK_RESULT);
        results
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
            .filter(|(name, _)| !attestation::is_reserved(name))
    }

    /// The path of its message in the object.
    pub(crate) fn message_field(&self) -> String {
        match self.index {
            Some(index) => format!("status.steps[{index}].terminated.message"),
            None => "status.results".to_owned(),
        }
    }

    /// The path in the object of what its results are in.
    pub(crate) fn field_of_results(&self, attestation: &Attestation) -> String {
        match self.entries_with_results(attestation) {
            Some(_) => self.message_field(),
            None => "status.results".to_owned(),
        }
    }
}

/// Which kind of evidence an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EvidenceKind {
    /// At least one entry whose name is reserved for attestations.
    Attestation,
    /// Only entries of Tekton's own signer.
    Tep0089,
    /// None.
    None,
}

/// The evidence of every step in the status, in its order.
pub(crate) fn collect(task_run: &TaskRun) -> Result<Vec<StepEvidence<'_>>, Findings> {
    let (steps, findings) = read(task_run);
    if findings.is_empty() { Ok(steps) } else { Err(findings) }
}

/// What can be read, and what is wrong with the rest.
pub(crate) fn read(task_run: &TaskRun) -> (Vec<StepEvidence<'_>>, Findings) {
    let in_status = Rc::new(StatusResults { results: string_results(task_run), by_hint: OnceCell::new() });
    let evidence = in_status.evidence();
    let states = match &task_run.status.steps {
        Some(states) => check_count(states.len()).map(|()| states),
        None => match from_results(&in_status) {
            Ok(steps) => return (steps, Findings::default()),
            Err(findings) => Err(findings),
        },
    };
    let states = match states {
        Ok(states) => states,
        Err(findings) => return (Vec::new(), findings),
    };
    let mut steps: Vec<StepEvidence<'_>> = Vec::with_capacity(states.len());
    let mut findings = Findings::default();
    let mut names = HashSet::with_capacity(states.len());
    for (i, state) in states.iter().enumerate() {
        let field = |name: &str| format!("status.steps[{i}].{name}");
        let name = state.name.as_str();
        if !is_step_name(name) || !names.insert(name) {
            let problem =
                "the step's name is missing, appears twice or is not one that Kubernetes admits".to_owned();
            findings.push(Finding::Status { field: field("name"), problem, detail: Detail::STEP_NAME });
            continue;
        }
        let container = format!("step-{name}");
        if !state.container.is_empty() && state.container != container {
            let problem = format!("{:?} is not the container of step {name}", state.container);
            findings.push(Finding::Status { field: field("container"), problem, detail: Detail::CONTAINER });
        }
        let entries = entries_of_message(state).unwrap_or_else(|finding| {
            findings.push(finding);
            None
        });
        let mut step =
            StepEvidence { name, index: Some(i), entries, attestation: None, in_status: in_status.clone() };
        let key = attestation::key(name);
        let attestation = match &step.entries {
            Some(_) => step.value(entry_type::TASK_RESULT, &key),
            None => evidence.get(key.as_str()).copied(),
        };
        step.attestation = attestation.map(str::to_owned);
        steps.push(step);
    }
    (steps, findings)
}

/// The entries of a step's message, if it left one.
fn entries_of_message(state: &StepState) -> Result<Option<ByName<Vec<ReadEntry>, ReadEntry>>, Finding> {
    let name = state.name.as_str();
    let text = state.terminated.as_ref().map(|terminated| terminated.message.as_str()).unwrap_or_default();
    // The controller's own words, for example that the pod was deleted, are no message of the step.
    if !is_message(text) {
        return Ok(None);
    }
    if text.trim_start().starts_with(COMPRESSED) {
        let reason = format!(
            "step {name}: its termination message is still compressed: the controller could not read it (cut by the \
             kubelet, more than 128 KiB, or a Tekton without compression) and took no results from it"
        );
        return Err(Finding::undecided(Detail::COMPRESSED_MESSAGE, Some(name), reason));
    }
    let entries = message::parse(text).map_err(|error| {
        let reason = format!(
            "step {name}: its termination message cannot be read ({error}); a message that exceeds its \
             container's share of 12288 bytes is cut by the kubelet and its results are lost"
        );
        Finding::undecided(Detail::UNREADABLE_MESSAGE, Some(name), reason)
    })?;
    Ok(Some(ByName::new(entries, |entry: &ReadEntry| entry.key.as_str())))
}

fn check_count(count: usize) -> Result<(), Findings> {
    if count <= MOST_STEPS {
        return Ok(());
    }
    let reason = format!("the status has {count} steps, more than any pod has containers");
    Err(Finding::undecided(Detail::TOO_MANY_STEPS, None, reason).into())
}

/// The evidence of an object without `status.steps`: each entry tells of a step, and their order is in them.
fn from_results<'a>(in_status: &Rc<StatusResults<'a>>) -> Result<Vec<StepEvidence<'a>>, Findings> {
    let results = in_status.results.iter();
    let entries = results
        .filter_map(|(name, value)| Some((attestation::step_of_key(name)?, value)))
        .filter(|(name, _)| is_step_name(name));
    check_count(entries.clone().count())?;
    // That one appears twice is found when the results are compared.
    let mut names = HashSet::new();
    let evidence = entries.filter(|(name, _)| names.insert(*name)).map(|(name, value)| StepEvidence {
        name,
        index: None,
        entries: None,
        attestation: Some((*value).to_owned()),
        in_status: in_status.clone(),
    });
    Ok(evidence.collect())
}

/// Which kind of evidence the object holds anywhere.
pub(crate) fn kind(task_run: &TaskRun, steps: &[StepEvidence<'_>]) -> EvidenceKind {
    let in_messages =
        steps.iter().filter_map(StepEvidence::entries).flatten().map(|entry| entry.key.as_str());
    let in_status = task_run.status.results.iter().map(|result| result.name.as_str());
    let mut kind = EvidenceKind::None;
    for name in in_messages.chain(in_status) {
        if attestation::is_reserved(name) {
            return EvidenceKind::Attestation;
        }
        if name == tep0089::SVID || name == tep0089::MANIFEST {
            kind = EvidenceKind::Tep0089;
        }
    }
    kind
}

fn string_results(task_run: &TaskRun) -> Vec<(&str, &str)> {
    let results = task_run.status.results.iter();
    results.filter_map(|result| Some((result.name.as_str(), result.value.as_str()?))).collect()
}
