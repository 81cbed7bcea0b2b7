//! Objects without `status.steps`: an archive that holds `status.results`, or a part of it, and no more. What is there is judged;
//! what is signed and not there is told apart from what was changed or removed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
};

use crate::{
    evidence::{
        attestation::{self, Covered, Form},
        sha256,
    },
    tekton::names::pod_names_match,
    tekton::{
        result_kind::ResultKind,
        taskrun::{StatusResult, TaskRun},
        value::ResultValue,
    },
    verify::{
        bind::attempt::Attempt,
        compare::{
            artifacts,
            value::{Declared, Derived, VerifiedResult, fits, may_be_decoded, undecided},
        },
        facts::ResultName,
        finding::Finding,
        findings::Findings,
        prove::step::ProvenStep,
    },
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
    pub(crate) fn of(result: &Derived<'_>) -> Self {
        let item = Item::TaskResult(result.name.to_owned());
        Self { step: result.step.to_owned(), item }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskResult(name) => write!(f, "task/{name}"),
            Self::StepResult(name) => write!(f, "step/{name}"),
            Self::Artifacts => write!(f, "artifacts"),
            Self::Outcome => write!(f, "outcome"),
        }
    }
}

/// What of each step is not in the object, but for task results. `verified` are the results that are there.
pub(crate) fn not_carried(
    object: &TaskRun,
    proven: &[ProvenStep],
    verified: &[VerifiedResult],
) -> Vec<NotCarried> {
    if !object.is_partial() {
        return Vec::new();
    }
    let is_there: HashSet<(&str, &str)> = verified
        .iter()
        .filter_map(|result| Some((result.step.as_str(), result.step_result.as_deref()?)))
        .collect();
    let mut items = Vec::new();
    for step in proven {
        let mut push = |item| items.push(NotCarried { step: step.name.clone(), item });
        for covered in step.covered.iter().filter(|covered| covered.kind == ResultKind::Step) {
            if !is_there.contains(&(step.name.as_str(), covered.name.as_str())) {
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
pub(crate) fn weaknesses(not_carried: &[NotCarried]) -> Findings {
    let results = not_carried.iter().filter_map(|not_carried| match &not_carried.item {
        Item::TaskResult(name) => Some((&not_carried.step, ResultName::task(name))),
        _ => None,
    });
    results.map(|(step, result)| Finding::NotCarried { step: step.clone(), result }).collect()
}

/// Results that are some step's, by the word of the object alone.
#[derive(Default)]
pub(crate) struct Claimed<'a> {
    pub(crate) results: Vec<VerifiedResult>,
    pub(crate) findings: Findings,
    /// Names that need not be explained otherwise.
    pub(crate) names: Vec<&'a str>,
}

/// Without any task, nothing says which task result is taken from which step result: one that has the value of a signed step
/// result may be it. Its name is then claimed (docs/threat-model.md "What is not signed"). `derived` are the names of results
/// that follow from signed ones.
pub(crate) fn step_results<'a>(attempt: &Attempt<'a>, derived: &HashSet<&str>) -> Claimed<'a> {
    let object = attempt.object;
    let mut claimed = Claimed::default();
    if !object.is_partial() || !object.is_without_task() {
        return claimed;
    }
    let mut signed = SignedStepResults::new(attempt.proven);
    for result in &object.status.results {
        let name = result.name.as_str();
        let is_evidence = attestation::is_reserved(name) || attempt.signs_entry(name).is_some();
        // A name that no task can declare is nobody's claim.
        if derived.contains(name) || is_evidence || !attestation::is_result_name(name) {
            continue;
        }
        match signed.claimed_by(result) {
            Some(Ok(found)) => {
                claimed.results.push(found);
                claimed.names.push(name);
            }
            Some(Err(finding)) => {
                claimed.findings.push(finding);
                claimed.names.push(name);
            }
            None => {}
        }
    }
    claimed
}

/// Every signed step result, by the digests that a value of it may have.
struct SignedStepResults<'a> {
    all: Vec<(&'a ProvenStep, &'a Covered)>,
    /// Places in `all` by the digest of the raw value, and by that of the decoded one. Claimed ones are taken off the front.
    by_raw: HashMap<[u8; 32], VecDeque<usize>>,
    by_decoded: HashMap<[u8; 32], VecDeque<usize>>,
    /// Places whose name was claimed already.
    claimed: HashSet<usize>,
    /// The first one that only its message could decide about.
    first_with_hints: Option<usize>,
}

impl<'a> SignedStepResults<'a> {
    fn new(proven: &'a [ProvenStep]) -> Self {
        let covered = proven.iter().flat_map(|step| step.covered.iter().map(move |covered| (step, covered)));
        let all: Vec<_> = covered.filter(|(_, covered)| covered.kind == ResultKind::Step).collect();
        let mut by_raw: HashMap<[u8; 32], VecDeque<usize>> = HashMap::new();
        let mut by_decoded: HashMap<[u8; 32], VecDeque<usize>> = HashMap::new();
        for (i, (_, covered)) in all.iter().enumerate() {
            by_raw.entry(covered.digest).or_default().push_back(i);
            if let Some(decoded) = covered.decoded {
                by_decoded.entry(decoded).or_default().push_back(i);
            }
        }
        let first_with_hints = all.iter().position(|(step, _)| step.attestation.form == Form::Hints);
        SignedStepResults { all, by_raw, by_decoded, claimed: HashSet::new(), first_with_hints }
    }

    /// The first one that has the value and no name yet; an error if that cannot be said. Tekton takes each step result for one
    /// task result, the last one declared so (`pkg/pod/status.go`, `findStepResultsFetchedByTask`).
    fn claimed_by(&mut self, result: &StatusResult) -> Option<Result<VerifiedResult, Finding>> {
        let value = result.decoded()?;
        let canonical = sha256(value.canonical_json().as_bytes());
        // The text itself before what it may have been decoded from, so that each finds its own.
        let text = match &value {
            ResultValue::String(text) => Some(sha256(text.as_bytes())),
            _ => None,
        };
        let claimed = &self.claimed;
        let first = |places: Option<&mut VecDeque<usize>>| {
            let places = places?;
            while places.pop_front_if(|place| claimed.contains(place)).is_some() {}
            places.front().copied()
        };
        let found = text.and_then(|text| first(self.by_raw.get_mut(&text))).or_else(|| {
            let raw = first(self.by_raw.get_mut(&canonical));
            let decoded = first(self.by_decoded.get_mut(&canonical));
            raw.into_iter().chain(decoded).min()
        });
        let found = found.filter(|place| {
            let (step, covered) = self.all[*place];
            let form = step.attestation.form;
            fits(result, None, covered.digest, covered.decoded, form, &Declared::Unknown) == Some(true)
        });
        let Some(place) = found else {
            let (step, covered) = self.all[self.first_with_hints?];
            return Some(Err(undecided(&step.name, &format!("step/{}", covered.name))));
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
pub(crate) fn note(object: &TaskRun, proven: &[ProvenStep], not_carried: &[NotCarried]) -> String {
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
