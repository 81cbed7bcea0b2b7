//! Finding each step's evidence in a TaskRun: the step's own message, else `status.results`.

use std::rc::Rc;

use super::{
    message::{self, Entry, entry_type},
    taskrun::TaskRun,
    verdict::Finding,
};
use crate::evidence::{
    attestation::{self, Attestation, ResultsFrom},
    tep0089,
};

/// What a compressed message begins with (Tekton `pkg/termination`).
const COMPRESSED: &str = "tknz:";

/// What one step of the status carries.
#[derive(Debug, Clone)]
pub(crate) struct StepEvidence {
    /// Its name without `step-`.
    pub(crate) name: String,
    /// The entries of its termination message; `None` if the object holds no message of it.
    pub(crate) entries: Option<Vec<Entry>>,
    /// The value of its `SVIDENCE.<step>.sig` entry.
    pub(crate) attestation: Option<String>,
    /// Task results of the status with string values; shared by all steps.
    in_status: Rc<[(String, String)]>,
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

    /// Task results among which those are that the attestation covers, as (name, raw value), without attestations.
    pub(crate) fn task_results(&self, attestation: &Attestation) -> Vec<(&str, &str)> {
        match self.entries_with_results(attestation) {
            Some(_) => self.task_results_of_message().collect(),
            None => self.task_results_of_status().collect(),
        }
    }

    /// Task results of the status with string values, as (name, value), without attestations.
    pub(crate) fn task_results_of_status(&self) -> impl Iterator<Item = (&str, &str)> {
        let results = self.in_status.iter().map(|(name, value)| (name.as_str(), value.as_str()));
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
    let in_status: Rc<[(String, String)]> = string_results(object).into();
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
            findings.push(Finding::Status { field: field("name"), problem });
            continue;
        }
        let container = format!("step-{name}");
        if !state.container.is_empty() && state.container != container {
            let problem = format!("{:?} is not the container of step {name}", state.container);
            findings.push(Finding::Status { field: field("container"), problem });
        }
        let text =
            state.terminated.as_ref().map(|terminated| terminated.message.as_str()).unwrap_or_default();
        let entries = match text {
            // The controller's own words, for example that the pod was deleted, are no message of the step.
            text if !text.starts_with('[') && !text.starts_with(COMPRESSED) => None,
            text if text.starts_with(COMPRESSED) => {
                findings.push(Finding::Undecided {
                    reason: format!(
                        "step {name}: its termination message is still compressed: the controller could not read it (cut by \
                         the kubelet, more than 128 KiB, or a Tekton without compression) and took no results from it"
                    ),
                });
                None
            }
            text => match message::parse(text) {
                Ok(entries) => Some(entries),
                Err(error) => {
                    findings.push(Finding::Undecided {
                        reason: format!(
                            "step {name}: its termination message cannot be read ({error}); a message that exceeds its \
                             container's share of 12288 bytes is cut by the kubelet and its results are lost"
                        ),
                    });
                    None
                }
            },
        };
        let mut step = StepEvidence { name, entries, attestation: None, in_status: in_status.clone() };
        let key = attestation::key(&step.name);
        step.attestation = match &step.entries {
            Some(_) => step.entry(&key).map(|entry| entry.value.clone()),
            None => in_status.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone()),
        };
        steps.push(step);
    }
    (steps, findings)
}

fn check_count(count: usize) -> Result<(), Vec<Finding>> {
    let reason = format!("the status has {count} steps, more than any pod has containers");
    if count > MOST_STEPS { Err(vec![Finding::Undecided { reason }]) } else { Ok(()) }
}

/// The evidence of an object without `status.steps`: each entry tells of a step, and their order is in them.
fn from_results(in_status: &Rc<[(String, String)]>) -> Result<Vec<StepEvidence>, Vec<Finding>> {
    let entries = in_status.iter().filter_map(|(name, value)| Some((attestation::step_of_key(name)?, value)));
    check_count(entries.clone().count())?;
    let mut steps: Vec<StepEvidence> = Vec::new();
    for (name, value) in entries {
        // That it stands twice is found when the results are compared.
        if steps.iter().all(|step| step.name != name) {
            let (name, attestation) = (name.to_owned(), Some(value.clone()));
            steps.push(StepEvidence { name, entries: None, attestation, in_status: in_status.clone() });
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
