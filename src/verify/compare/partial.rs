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
            value::{DeclaredType, Derived, VerifiedResult, fits, may_be_decoded, undecided},
        },
        facts::{Detail, ResultName},
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
    pub item: NotCarriedItem,
}

/// What may not be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCarriedItem {
    /// A result of the task.
    TaskResult(String),
    /// A result of the step.
    StepResult(String),
    /// The artifacts of the step.
    Artifacts,
    /// Exit code and reason; the signed outcome is known all the same.
    Outcome,
    /// When the TaskRun was created, where no certificate attests which run it is.
    Creation,
}

impl NotCarried {
    pub(crate) fn of(result: &Derived<'_>) -> Self {
        let item = NotCarriedItem::TaskResult(result.name.to_owned());
        Self { step: result.step.to_owned(), item }
    }
}

impl fmt::Display for NotCarriedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskResult(name) => write!(f, "task/{name}"),
            Self::StepResult(name) => write!(f, "step/{name}"),
            Self::Artifacts => write!(f, "artifacts"),
            Self::Outcome => write!(f, "outcome"),
            Self::Creation => write!(f, "creation"),
        }
    }
}

/// What of each step is not in the object, but for task results. `verified` are the results that are there, `found` step
/// results by step and name.
pub(crate) fn find_not_carried(
    task_run: &TaskRun,
    proven: &[ProvenStep],
    verified: &[VerifiedResult],
    found: &HashSet<(&str, &str)>,
) -> Vec<NotCarried> {
    if !task_run.is_partial() {
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
            let name = (step.name.as_str(), covered.name.as_str());
            if !is_there.contains(&name) && !found.contains(&name) {
                push(NotCarriedItem::StepResult(covered.name.clone()));
            }
        }
        if artifacts::are_signed(step) {
            push(NotCarriedItem::Artifacts);
        }
        push(NotCarriedItem::Outcome);
        let is_told_apart = task_run.metadata.creation_timestamp.is_some() || step.attested.is_some();
        if task_run.is_from_results_of_chains() && !is_told_apart {
            push(NotCarriedItem::Creation);
        }
    }
    items
}

/// Step results that an object holds without their steps.
#[derive(Default)]
pub(crate) struct UnnamedStepResults<'a> {
    /// Those that a step signed, by step and name.
    pub(crate) found: HashSet<(&'a str, &'a str)>,
    pub(crate) findings: Findings,
}

/// Holds step results of which only names are carried (Chains' `slsa/v2alpha4`) against what the steps signed: each must be some
/// step's. They are in the order of the steps, and those of one name are told apart by that alone.
pub(crate) fn find_unnamed_step_results<'a>(attempt: &Attempt<'a>) -> UnnamedStepResults<'a> {
    let mut unnamed = UnnamedStepResults::default();
    let Some(origin) = attempt.task_run.chains.as_ref() else { return unnamed };
    let mut signed: HashMap<&str, VecDeque<(&ProvenStep, &Covered)>> = HashMap::new();
    for step in attempt.proven {
        for covered in step.covered.iter().filter(|covered| covered.kind == ResultKind::Step) {
            signed.entry(&covered.name).or_default().push_back((step, covered));
        }
    }
    let mut wrong = HashSet::new();
    // Steps whose results may be the ones that were looked for, or not.
    let mut undecided_about: HashMap<&str, &str> = HashMap::new();
    for result in origin.step_results.iter() {
        let name = result.name.as_str();
        if wrong.contains(name) {
            continue;
        }
        let of_name = signed.entry(name).or_default();
        let first = of_name.front().copied();
        // One that fits no longer, or not at all, is passed over once.
        let mut finding = match (undecided_about.get(name), first) {
            (Some(step), _) => undecided(step, &format!("step/{name}")),
            (None, Some((step, _))) => {
                wrong_step_result(name, &format!("is not the one that step {} signed", step.name))
            }
            (None, None) => wrong_step_result(name, "was added: no step signed it"),
        };
        let found = loop {
            let Some((step, covered)) = of_name.pop_front() else { break None };
            let form = step.attestation.form;
            match fits(result, None, covered.digest, covered.decoded, form, &DeclaredType::Unknown) {
                Some(true) => break Some((step, covered)),
                Some(false) => {}
                None => {
                    undecided_about.insert(name, &step.name);
                    finding = undecided(&step.name, &format!("step/{name}"));
                }
            }
        };
        match found {
            Some((step, covered)) => {
                unnamed.found.insert((&step.name, &covered.name));
            }
            None => {
                wrong.insert(name);
                unnamed.findings.push(finding);
            }
        }
    }
    unnamed
}

fn wrong_step_result(name: &str, problem: &str) -> Finding {
    let problem = format!("the step result {name} {problem}");
    Finding::status(format!("byproducts[stepResults/{name}]"), Detail::IN_STEP_RESULTS, problem)
}

/// Results of the task that were left out, or dropped by somebody who dropped `status.steps` first: nothing tells which. And that an
/// older run of the same name cannot be told apart.
pub(crate) fn weaknesses(not_carried: &[NotCarried]) -> Findings {
    let weakness = |not_carried: &NotCarried| {
        let step = not_carried.step.clone();
        match &not_carried.item {
            NotCarriedItem::TaskResult(name) => {
                Some(Finding::NotCarried { step, result: ResultName::task(name) })
            }
            NotCarriedItem::Creation => Some(Finding::CreationNotCarried { step }),
            _ => None,
        }
    };
    not_carried.iter().filter_map(weakness).collect()
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
pub(crate) fn find_claimed<'a>(attempt: &Attempt<'a>, derived: &HashSet<&str>) -> Claimed<'a> {
    let task_run = attempt.task_run;
    let mut claimed = Claimed::default();
    if !task_run.is_partial() || !task_run.is_without_task() {
        return claimed;
    }
    let mut signed = SignedStepResults::new(attempt.proven);
    for result in &task_run.status.results {
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
            fits(result, None, covered.digest, covered.decoded, form, &DeclaredType::Unknown) == Some(true)
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
pub(crate) fn note(task_run: &TaskRun, proven: &[ProvenStep], not_carried: &[NotCarried]) -> String {
    let others: Vec<String> = not_carried
        .iter()
        .filter(|not_carried| !matches!(not_carried.item, NotCarriedItem::Outcome | NotCarriedItem::Creation))
        .map(|not_carried| format!("{} of step {}", not_carried.item, not_carried.step))
        .collect();
    let results = match others.is_empty() {
        true => "every signed result is in it".to_owned(),
        false => format!("signed, but not carried: {}", others.join(", ")),
    };
    let signed = proven.len();
    let count = proven.first().map_or(0, |step| step.attestation.step_count);
    let attempt = match (task_run.attempt_number(), attempt_of(task_run, proven)) {
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
fn attempt_of(task_run: &TaskRun, proven: &[ProvenStep]) -> Option<u32> {
    let pod = proven.iter().find_map(|step| step.attestation.pod_name.resolve(&step.attestation.task_run))?;
    pod_names_match(&task_run.metadata.name, &pod)
}
