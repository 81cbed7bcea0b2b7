//! Finding each step's evidence in a TaskRun: the step's own message, else `status.results`.

use std::{cell::OnceCell, collections::HashMap, rc::Rc};

use super::{
    facts::Detail,
    message::{self, Entry, entry_type},
    taskrun::TaskRun,
    verdict::Finding,
};
use crate::evidence::{
    attestation::{self, Attestation, HINT, ResultsFrom, hint},
    tep0089,
};

/// What a compressed message begins with (Tekton `pkg/termination`).
const COMPRESSED: &str = "tknz:";

/// What one step of the status carries.
#[derive(Debug, Clone)]
pub(crate) struct StepEvidence {
    /// Its name without `step-`.
    pub(crate) name: String,
    /// Its place in `status.steps`, if there are any.
    pub(crate) index: Option<usize>,
    /// The entries of its termination message; `None` if the object holds no message of it.
    pub(crate) entries: Option<Vec<Entry>>,
    /// The value of its `SVIDENCE.<step>.sig` entry.
    pub(crate) attestation: Option<String>,
    /// Task results of the status with string values; shared by all steps.
    in_status: Rc<StatusResults>,
}

/// Task results of the status with string values, shared by all steps.
#[derive(Debug, Default)]
struct StatusResults {
    results: Vec<(String, String)>,
    by_hint: OnceCell<HashMap<[u8; HINT], Vec<usize>>>,
}

impl StatusResults {
    fn evidence(&self) -> HashMap<&str, &str> {
        let results = self.results.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Of two with one name the first, as everywhere.
        results.rev().filter(|(name, _)| attestation::is_reserved(name)).collect()
    }

    /// Results whose name has this hint; hashed once for all steps.
    fn with_hint(&self, wanted: [u8; HINT]) -> impl Iterator<Item = (&str, &str)> {
        let by_hint = self.by_hint.get_or_init(|| {
            let mut by_hint: HashMap<[u8; HINT], Vec<usize>> = HashMap::new();
            let results = self.results.iter().enumerate();
            for (i, (name, _)) in results.filter(|(_, (name, _))| !attestation::is_reserved(name)) {
                by_hint.entry(hint(name)).or_default().push(i);
            }
            by_hint
        });
        let places = by_hint.get(&wanted).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|i| (self.results[*i].0.as_str(), self.results[*i].1.as_str()))
    }
}

/// Whether a text is a step's message, be it a damaged one: a reader that is more lenient must not find in it what was not checked.
pub(super) fn is_message(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('[') || start.starts_with(COMPRESSED) || text.contains(attestation::KEY_PREFIX)
}

/// More steps than any pod has containers; bounds the work that an object can cause.
const MOST_STEPS: usize = 1000;

impl StepEvidence {
    /// The entries among which every covered result stands, if the object holds them: those of the step's message, where
    /// that is the way the step says it handed its results over.
    pub(crate) fn entries_with_results(&self, attestation: &Attestation) -> Option<&[Entry]> {
        match attestation.results_from {
            ResultsFrom::TerminationMessage => self.entries.as_deref(),
            ResultsFrom::SidecarLogs => None,
        }
    }

    /// For each of the hints the task results that may be meant, as (name, raw value): of the step's message, where that is the
    /// way the step says it handed its results over, else of the status.
    pub(crate) fn with_hints(
        &self,
        attestation: &Attestation,
        hints: &[[u8; HINT]],
    ) -> Vec<Vec<(&str, &str)>> {
        if self.entries_with_results(attestation).is_none() {
            return hints.iter().map(|wanted| self.in_status.with_hint(*wanted).take(2).collect()).collect();
        }
        let mut by_hint: HashMap<[u8; HINT], Vec<(&str, &str)>> = HashMap::new();
        for (name, raw) in self.task_results_of_message().filter(|_| !hints.is_empty()) {
            by_hint.entry(hint(name)).or_default().push((name, raw));
        }
        hints.iter().map(|wanted| by_hint.get(wanted).cloned().unwrap_or_default()).collect()
    }

    /// Task results of the status with string values, as (name, value), without attestations.
    pub(crate) fn task_results_of_status(&self) -> impl Iterator<Item = (&str, &str)> {
        let results = self.in_status.results.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        results.filter(|(name, _)| !attestation::is_reserved(name))
    }

    /// Task results in the step's message, as (name, raw value), without attestations.
    pub(crate) fn task_results_of_message(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries.iter().flatten();
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

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().flatten().find(|entry| entry.kind == entry_type::TASK_RESULT && entry.key == key)
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
pub(crate) fn collect(object: &TaskRun) -> Result<Vec<StepEvidence>, Vec<Finding>> {
    let (steps, findings) = read(object);
    if findings.is_empty() { Ok(steps) } else { Err(findings) }
}

/// What can be read, and what is wrong with the rest.
pub(crate) fn read(object: &TaskRun) -> (Vec<StepEvidence>, Vec<Finding>) {
    let in_status = Rc::new(StatusResults { results: string_results(object), by_hint: OnceCell::new() });
    let evidence = in_status.evidence();
    let states = match &object.status.steps {
        Some(states) => check_count(states.len()).map(|()| states),
        None => match from_results(&in_status) {
            Ok(steps) => return (steps, Vec::new()),
            Err(findings) => Err(findings),
        },
    };
    let states = match states {
        Ok(states) => states,
        Err(findings) => return (Vec::new(), findings),
    };
    let mut steps: Vec<StepEvidence> = Vec::new();
    let mut findings = Vec::new();
    for (i, state) in states.iter().enumerate() {
        let field = |name: &str| format!("status.steps[{i}].{name}");
        let name = state.name.clone();
        if name.is_empty() || steps.iter().any(|earlier| earlier.name == name) {
            let problem = "the step's name is missing or stands twice".to_owned();
            findings.push(Finding::Status { field: field("name"), problem, detail: Detail::STEP_NAME });
            continue;
        }
        let container = format!("step-{name}");
        if !state.container.is_empty() && state.container != container {
            let problem = format!("{:?} is not the container of step {name}", state.container);
            findings.push(Finding::Status { field: field("container"), problem, detail: Detail::CONTAINER });
        }
        let text =
            state.terminated.as_ref().map(|terminated| terminated.message.as_str()).unwrap_or_default();
        let entries = match text {
            // The controller's own words, for example that the pod was deleted, are no message of the step.
            text if !is_message(text) => None,
            text if text.trim_start().starts_with(COMPRESSED) => {
                let reason = format!(
                    "step {name}: its termination message is still compressed: the controller could not read it (cut by the \
                     kubelet, more than 128 KiB, or a Tekton without compression) and took no results from it"
                );
                findings.push(Finding::undecided(Detail::COMPRESSED_MESSAGE, Some(&name), reason));
                None
            }
            text => match message::parse(text) {
                Ok(entries) => Some(entries),
                Err(error) => {
                    let reason = format!(
                        "step {name}: its termination message cannot be read ({error}); a message that exceeds its \
                         container's share of 12288 bytes is cut by the kubelet and its results are lost"
                    );
                    findings.push(Finding::undecided(Detail::UNREADABLE_MESSAGE, Some(&name), reason));
                    None
                }
            },
        };
        let mut step =
            StepEvidence { name, index: Some(i), entries, attestation: None, in_status: in_status.clone() };
        let key = attestation::key(&step.name);
        step.attestation = match &step.entries {
            Some(_) => step.entry(&key).map(|entry| entry.value.clone()),
            None => evidence.get(key.as_str()).map(|value| (*value).to_owned()),
        };
        steps.push(step);
    }
    (steps, findings)
}

fn check_count(count: usize) -> Result<(), Vec<Finding>> {
    let reason = format!("the status has {count} steps, more than any pod has containers");
    if count > MOST_STEPS {
        Err(vec![Finding::undecided(Detail::TOO_MANY_STEPS, None, reason)])
    } else {
        Ok(())
    }
}

/// The evidence of an object without `status.steps`: each entry tells of a step, and their order is in them.
fn from_results(in_status: &Rc<StatusResults>) -> Result<Vec<StepEvidence>, Vec<Finding>> {
    let entries =
        in_status.results.iter().filter_map(|(name, value)| Some((attestation::step_of_key(name)?, value)));
    check_count(entries.clone().count())?;
    let mut steps: Vec<StepEvidence> = Vec::new();
    for (name, value) in entries {
        // That it stands twice is found when the results are compared.
        if steps.iter().all(|step| step.name != name) {
            let (name, attestation) = (name.to_owned(), Some(value.clone()));
            steps.push(StepEvidence {
                name,
                index: None,
                entries: None,
                attestation,
                in_status: in_status.clone(),
            });
        }
    }
    Ok(steps)
}

/// Which kind of evidence the object holds anywhere.
pub(crate) fn kind(object: &TaskRun, steps: &[StepEvidence]) -> EvidenceKind {
    let in_messages =
        steps.iter().flat_map(|step| step.entries.iter().flatten()).map(|entry| entry.key.as_str());
    let in_status = object.status.results.iter().map(|result| result.name.as_str());
    let names: Vec<&str> = in_messages.chain(in_status).collect();
    if names.iter().any(|name| attestation::is_reserved(name)) {
        EvidenceKind::Attestation
    } else if names.iter().any(|name| *name == tep0089::SVID || *name == tep0089::MANIFEST) {
        EvidenceKind::Tep0089
    } else {
        EvidenceKind::None
    }
}

fn string_results(object: &TaskRun) -> Vec<(String, String)> {
    let results = object.status.results.iter();
    results.filter_map(|result| Some((result.name.clone(), result.value.as_str()?.to_owned()))).collect()
}
