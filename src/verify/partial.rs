//! Objects without `status.steps`: an archive that holds `status.results`, or a part of it, and no more. What is there is judged;
//! what is signed and not there is told apart from what was changed or removed.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use crate::{
    evidence::{
        attestation::{self, Covered, Form, Kind},
        sha256,
        value::ResultValue,
    },
    workload::select::pod_names_match,
};

use super::{
    artifacts,
    facts::ResultName,
    status::{self, Declared, Derived, VerifiedResult, fits, may_be_decoded},
    step::ProvenStep,
    taskrun::{StatusResult, TaskRun},
    verdict::Finding,
};

/// Something that a step signed and that a partial object does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCarried {
    /// The step that signed it.
    pub step: String,
    /// What it is.
    pub item: Item,
}

/// What may not be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A result of the task.
    TaskResult(String),
    /// A result of the step.
    StepResult(String),
    /// The artifacts of the step.
    Artifacts,
    /// Exit code and reason; the signed outcome is known all the same.
    Outcome,
}

impl NotCarried {
    pub(super) fn of(result: &Derived<'_>) -> NotCarried {
        let item = Item::TaskResult(result.name.to_owned());
        NotCarried { step: result.step.to_owned(), item }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::TaskResult(name) => write!(f, "task/{name}"),
            Item::StepResult(name) => write!(f, "step/{name}"),
            Item::Artifacts => write!(f, "artifacts"),
            Item::Outcome => write!(f, "outcome"),
        }
    }
}

/// What of each step is not in the object, but for task results. `verified` are the results that are there.
pub(super) fn not_carried(
    object: &TaskRun,
    proven: &[ProvenStep],
    verified: &[VerifiedResult],
) -> Vec<NotCarried> {
    if !object.is_partial() {
        return Vec::new();
    }
    let mut items = Vec::new();
    for step in proven {
        let mut push = |item| items.push(NotCarried { step: step.name.clone(), item });
        for covered in step.covered.iter().filter(|covered| covered.kind == Kind::Step) {
            let is_there = verified.iter().any(|result| {
                result.step == step.name && result.step_result.as_deref() == Some(&covered.name)
            });
            if !is_there {
                push(Item::StepResult(covered.name.clone()));
            }
        }
        if artifacts::are_signed(step) {
            push(Item::Artifacts);
        }
        push(Item::Outcome);
    }
    items
}

/// Results of the task that were left out, or dropped by somebody who dropped `status.steps` first: nothing tells which.
pub(super) fn weaknesses(not_carried: &[NotCarried]) -> Vec<Finding> {
    let results = not_carried.iter().filter_map(|not_carried| match &not_carried.item {
        Item::TaskResult(name) => Some((&not_carried.step, ResultName::task(name))),
        _ => None,
    });
    results.map(|(step, result)| Finding::NotCarried { step: step.clone(), result }).collect()
}

/// Results that are some step's, by the word of the object alone.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) results: Vec<VerifiedResult>,
    pub(super) findings: Vec<Finding>,
    undecided: Vec<String>,
}

impl Claimed {
    /// The names that need not be explained otherwise.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let found = self.results.iter().map(|result| &*result.name);
        found.chain(self.undecided.iter().map(String::as_str))
    }
}

/// Without any task, nothing says which task result is taken from which step result: one that has the value of a signed step
/// result may be it. Its name is then claimed (design 7).
pub(super) fn step_results(
    object: &TaskRun,
    proven: &[ProvenStep],
    is_derived: impl Fn(&str) -> bool,
) -> Claimed {
    let mut claimed = Claimed::default();
    if !object.is_partial() || !object.is_without_task() {
        return claimed;
    }
    let mut signed = SignedStepResults::new(proven);
    for result in &object.status.results {
        let name = result.name.as_str();
        let is_evidence = attestation::is_reserved(name)
            || proven.iter().any(|step| step.attestation.tep0089 && step.is_tep0089_entry(name));
        // A name that no task can declare is nobody's claim.
        if is_derived(name) || is_evidence || !attestation::is_result_name(name) {
            continue;
        }
        match signed.claimed_by(result) {
            Some(Ok(found)) => claimed.results.push(found),
            Some(Err(finding)) => {
                claimed.findings.push(finding);
                claimed.undecided.push(name.to_owned());
            }
            None => {}
        }
    }
    claimed
}

/// Every signed step result, by the digests that a value of it may have.
struct SignedStepResults<'a> {
    all: Vec<(&'a ProvenStep, &'a Covered)>,
    /// Places in `all`.
    by_digest: HashMap<[u8; 32], Vec<usize>>,
    /// Places whose name was claimed already.
    claimed: HashSet<usize>,
}

impl<'a> SignedStepResults<'a> {
    fn new(proven: &'a [ProvenStep]) -> SignedStepResults<'a> {
        let covered = proven.iter().flat_map(|step| step.covered.iter().map(move |covered| (step, covered)));
        let all: Vec<_> = covered.filter(|(_, covered)| covered.kind == Kind::Step).collect();
        let mut by_digest: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (i, (_, covered)) in all.iter().enumerate() {
            for digest in [Some(covered.digest), covered.decoded].into_iter().flatten() {
                by_digest.entry(digest).or_default().push(i);
            }
        }
        SignedStepResults { all, by_digest, claimed: HashSet::new() }
    }

    /// The first one that has the value and no name yet; an error if that cannot be said. Tekton takes each step result for one
    /// task result, the last one declared so (`pkg/pod/status.go`, `findStepResultsFetchedByTask`).
    fn claimed_by(&mut self, result: &StatusResult) -> Option<Result<VerifiedResult, Finding>> {
        let value = result.decoded()?;
        // The text itself before what it may have been decoded from, so that each finds its own.
        let text = match &value {
            ResultValue::String(text) => Some(sha256(text.as_bytes())),
            _ => None,
        };
        let digests = text.into_iter().chain([sha256(value.canonical_json().as_bytes())]);
        let places = digests.flat_map(|digest| self.by_digest.get(&digest).into_iter().flatten());
        let found = places.copied().filter(|place| !self.claimed.contains(place)).find(|place| {
            let (step, covered) = self.all[*place];
            let form = step.attestation.form;
            fits(result, None, covered.digest, covered.decoded, form, &Declared::Unknown) == Some(true)
        });
        let Some(place) = found else {
            let (step, covered) = self.all.iter().find(|(step, _)| step.attestation.form == Form::Hints)?;
            return Some(Err(status::undecided(&step.name, &format!("step/{}", covered.name))));
        };
        self.claimed.insert(place);
        let (step, covered) = self.all[place];
        Some(Ok(VerifiedResult {
            name: result.name.clone(),
            type_is_claimed: may_be_decoded(&value, None, covered.digest),
            value,
            step: step.name.clone(),
            step_result: Some(covered.name.clone()),
            set: covered.set,
            digest: covered.digest,
            name_is_claimed: true,
        }))
    }
}

/// What a reader of the report must know of such an object.
pub(super) fn note(object: &TaskRun, proven: &[ProvenStep], not_carried: &[NotCarried]) -> String {
    let others: Vec<String> = not_carried
        .iter()
        .filter(|not_carried| not_carried.item != Item::Outcome)
        .map(|not_carried| format!("{} of step {}", not_carried.item, not_carried.step))
        .collect();
    let results = match others.is_empty() {
        true => "every signed result is in it".to_owned(),
        false => format!("signed, but not carried: {}", others.join(", ")),
    };
    let signed = proven.len();
    let count = proven.first().map_or(0, |step| step.attestation.step_count);
    let attempt = match (object.attempt_number(), attempt_of(object, proven)) {
        (Some(_), _) => String::new(),
        (None, Some(number)) => {
            format!("; it is of attempt {number}, and nothing says whether another one followed")
        }
        (None, None) => "; nothing says of which attempt it is".to_owned(),
    };
    format!(
        "the object is partial: it holds no status.steps, so the signed outcomes ({signed} of {count} steps) are not compared; \
         {results}{attempt}"
    )
}

/// The attempt that the pod's signed name tells.
fn attempt_of(object: &TaskRun, proven: &[ProvenStep]) -> Option<u32> {
    let pod = proven.iter().find_map(|step| step.attestation.pod_name.resolve(&step.attestation.task_run))?;
    pod_names_match(&object.metadata.name, &pod)
}
