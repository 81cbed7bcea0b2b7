//! What the status must be, given what the steps signed: Tekton's merge and decoding rules, compared item by item.
//!
//! Source of the rule: Tekton `pkg/pod/status.go` (`filterResults`, `createTaskResultsFromStepResults`,
//! `removeDuplicateResults`) and `pkg/reconciler/taskrun` (`validateTaskRunResults`).

use std::collections::HashSet;

use crate::evidence::{
    attestation::{self, Attestation, Ended, Form, Kind, ResultsFrom},
    sha256,
    value::{self, ResultValue},
};

use super::{
    artifacts,
    collect::StepEvidence,
    declared,
    facts::{Detail, ResultName},
    message::entry_type,
    outcomes,
    partial::{self, NotCarried},
    step::ProvenStep,
    taskrun::{DeclaredResult, StatusResult, TaskRun, TaskSpec},
    tep0089,
    verdict::{Changed, Finding, Thing},
};

/// A result of the status that follows from a signed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedResult {
    /// Name in `status.results`.
    pub name: String,
    /// Its value.
    pub value: ResultValue,
    /// SHA-256 of the text that the step wrote for it.
    pub digest: [u8; 32],
    /// The step that set it, or if none did, the last one that found it so.
    pub step: String,
    /// The step result it is taken from, if the task maps one.
    pub step_result: Option<String>,
    /// Whether that step set it.
    pub set: bool,
    /// Whether its name, of a mapped result, rests on `status.taskSpec` alone, which nobody signs.
    pub name_is_claimed: bool,
    /// Whether its type does, of a value that may be read in more than one way.
    pub type_is_claimed: bool,
}

impl VerifiedResult {
    /// Whether it has this name, and not only by the word of a task that nobody signs.
    pub fn has_name(&self, name: &str) -> bool {
        self.name == name && !self.name_is_claimed
    }
}

/// The type by which the controller reads a value.
pub(super) enum Declared<'a> {
    /// As the object's task declares it; `None`: it does not.
    As(Option<&'a str>),
    /// The object holds no task.
    Unknown,
}

/// One candidate for a task result, in the order in which Tekton's controller meets them.
pub(super) struct Derived<'a> {
    pub(super) name: &'a str,
    pub(super) step: &'a str,
    pub(super) step_result: Option<&'a str>,
    digest: [u8; 32],
    decoded: Option<[u8; 32]>,
    raw: Option<&'a str>,
    form: Form,
    results_from: ResultsFrom,
    set: bool,
}

/// What a status that agrees with the evidence holds.
pub(crate) struct Compared {
    pub(crate) results: Vec<VerifiedResult>,
    /// What is signed and not in a partial object.
    pub(crate) not_carried: Vec<NotCarried>,
    pub(crate) notes: Vec<String>,
}

/// Compares the status with what the steps signed.
pub(crate) fn compare(
    object: &TaskRun,
    steps: &[StepEvidence],
    proven: &[ProvenStep],
) -> Result<Compared, Vec<Finding>> {
    if object.succeeded() == Some("False") && object.status.results.is_empty() {
        let reason = "the TaskRun failed, and its status holds no results".to_owned();
        return Err(vec![Finding::no_evidence(Detail::FAILED_WITHOUT_RESULTS, reason)]);
    }
    let mut findings = outcomes::compare(object, steps, proven);
    findings.extend(declared::declared_names(object, proven));
    findings.extend(step_results(object, steps, proven));
    findings.extend(artifacts::compare(object, steps, proven));
    let (derived, hidden) = merge(derive(object, steps, proven));
    let mut verified = Vec::new();
    let mut not_carried = Vec::new();
    for result in &derived {
        let is_there = object.status.results.iter().any(|found| found.name == result.name);
        match task_result(object, result) {
            _ if object.is_partial() && !is_there => not_carried.push(NotCarried::of(result)),
            Ok(result) => verified.push(result),
            Err(finding) => findings.push(finding),
        }
    }
    let claimed = partial::step_results(object, proven, |name| derived.iter().any(|d| d.name == name));
    let names: Vec<&str> = derived.iter().map(|derived| derived.name).chain(claimed.names()).collect();
    findings.extend(added_results(object, &names, proven, steps));
    findings.extend(claimed.findings);
    verified.extend(claimed.results);
    let mut notes = hidden;
    notes.extend(removed_by_steps(proven));
    notes.extend(unmapped(object, proven));
    not_carried.extend(partial::not_carried(object, proven, &verified));
    if findings.is_empty() { Ok(Compared { results: verified, not_carried, notes }) } else { Err(findings) }
}

/// `status.steps[].results` against the covered step results.
fn step_results(object: &TaskRun, steps: &[StepEvidence], proven: &[ProvenStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for step in proven {
        let Some((index, state)) = object.status.indexed_step(&step.name) else { continue };
        let mut expected =
            step.covered.iter().filter(|covered| covered.kind == Kind::Step).collect::<Vec<_>>();
        for (i, found) in state.results.iter().enumerate() {
            let field = || format!("status.steps[{index}].results[{i}]");
            let label = || format!("step/{}", found.name);
            let Some(position) = expected.iter().position(|covered| covered.name == found.name) else {
                let thing = unsigned_step_result(&found.name).in_field(field());
                findings.push(Finding::ResultAdded { step: step.name.clone(), thing });
                continue;
            };
            let covered = expected.swap_remove(position);
            let raw = raw_of(steps, &step.name, Kind::Step, &found.name);
            let declared = declared_step_type(object, &step.name, &found.name);
            let form = step.attestation.form;
            match fits(found, raw, covered.digest, covered.decoded, form, &declared) {
                Some(true) => {}
                Some(false) => {
                    let (signed, found_digest) = sides(found, covered.digest, covered.decoded);
                    findings.push(Finding::ResultChanged {
                        step: step.name.clone(),
                        changed: Box::new(Changed {
                            result: ResultName::step(&found.name),
                            detail: Detail::IN_STEP_RESULTS,
                            signed: Some(signed),
                            found: found_digest,
                            field: field(),
                        }),
                    });
                }
                None => findings.push(undecided(&step.name, &label())),
            }
        }
        for covered in expected {
            let text = format!("step/{} in the status", covered.name);
            let thing = Thing::new(Detail::IN_STEP_RESULTS, text)
                .with_result(ResultName::step(&covered.name))
                .with_signed(covered.digest)
                .in_field(format!("status.steps[{index}].results"));
            findings.push(Finding::ResultMissing { step: step.name.clone(), thing });
        }
    }
    findings
}

/// Every task result that the steps signed, in the order of Tekton's controller.
fn derive<'a>(object: &'a TaskRun, steps: &'a [StepEvidence], proven: &'a [ProvenStep]) -> Vec<Derived<'a>> {
    let mut derived = Vec::new();
    let last_in_log = last_in_log(proven);
    for step in proven {
        let of_kind = |kind| step.covered.iter().filter(move |covered| covered.kind == kind);
        let task_results = of_kind(Kind::Task)
            .filter(|covered| last_in_log.is_none_or(|last| last.covers(Kind::Task, &covered.name)))
            .map(|covered| (covered, covered.name.as_str(), None));
        let mapped = of_kind(Kind::Step).filter_map(|covered| {
            let name = mapped_name(object, &step.name, &covered.name)?;
            Some((covered, name, Some(covered.name.as_str())))
        });
        for (covered, name, step_result) in task_results.chain(mapped) {
            derived.push(Derived {
                raw: raw_of(steps, &step.name, covered.kind, &covered.name),
                name,
                step: &step.name,
                step_result,
                digest: covered.digest,
                decoded: covered.decoded,
                form: step.attestation.form,
                results_from: step.attestation.results_from,
                set: covered.set,
            });
        }
    }
    derived
}

/// The step after which the results sidecar reads the files: what it did not find, the sidecar does not find either.
fn last_in_log(proven: &[ProvenStep]) -> Option<&ProvenStep> {
    proven.iter().rfind(|step| {
        let Attestation { results_from, outcome, .. } = &step.attestation;
        *results_from == ResultsFrom::SidecarLogs && outcome.ended != Ended::Skipped
    })
}

/// Results whose file a later step removed before the results sidecar read it.
fn removed_by_steps(proven: &[ProvenStep]) -> Vec<String> {
    let Some(last) = last_in_log(proven) else { return Vec::new() };
    let results = proven.iter().flat_map(|step| step.covered.iter().map(move |covered| (step, covered)));
    results
        .filter(|(_, covered)| covered.kind == Kind::Task && !last.covers(Kind::Task, &covered.name))
        .map(|(step, covered)| {
            format!("result {} of step {} was removed by a later step", covered.name, step.name)
        })
        .collect()
}

/// Signed step results that no declared result takes: a mapping in the status may have been removed.
fn unmapped(object: &TaskRun, proven: &[ProvenStep]) -> Vec<String> {
    if object.is_without_task() {
        return Vec::new();
    }
    let step_results = proven.iter().flat_map(|step| {
        step.covered.iter().filter(|c| c.kind == Kind::Step).map(move |covered| (step, covered))
    });
    step_results
        .filter(|(step, covered)| mapped_name(object, &step.name, &covered.name).is_none())
        .map(|(step, covered)| {
            format!("step {}, result {} is signed and no task result", step.name, covered.name)
        })
        .collect()
}

/// The task result that takes step result `result` of `step`: the last one declared so.
fn mapped_name<'a>(object: &'a TaskRun, step: &str, result: &str) -> Option<&'a str> {
    let specs = [&object.spec.task_spec, &object.status.task_spec];
    let mut declared = specs.into_iter().flatten().flat_map(|spec| &spec.results);
    declared
        .rfind(|declared| declared.mapping() == Some((step, result)))
        .map(|declared| declared.name.as_str())
}

/// The last of a name wins; what it hides is named.
fn merge(derived: Vec<Derived<'_>>) -> (Vec<Derived<'_>>, Vec<String>) {
    let mut merged: Vec<Derived<'_>> = Vec::new();
    let mut hidden = Vec::new();
    for result in derived {
        match merged.iter_mut().find(|earlier| earlier.name == result.name) {
            // A later step found the same value: it was set by the earlier one.
            Some(earlier) if earlier.digest == result.digest && !result.set => {}
            Some(earlier) => {
                if earlier.digest != result.digest {
                    hidden.push(format!(
                        "result {} of step {} is hidden by the one of step {}",
                        earlier.name, earlier.step, result.step
                    ));
                }
                if earlier.digest != result.digest && !result.set {
                    hidden.push(format!(
                        "result {}: between the steps {} and {} something that is no step changed it",
                        result.name, earlier.step, result.step
                    ));
                }
                *earlier = result;
            }
            None => merged.push(result),
        }
    }
    (merged, hidden)
}

/// One derived result against `status.results`.
fn task_result(object: &TaskRun, derived: &Derived<'_>) -> Result<VerifiedResult, Finding> {
    let label = || match derived.step_result {
        Some(step_result) => format!("task/{} (step result {step_result})", derived.name),
        None => format!("task/{}", derived.name),
    };
    // A mapped result keeps the type that its step declares.
    let declared = match derived.step_result {
        Some(step_result) => declared_step_type(object, derived.step, step_result),
        None if object.is_without_task() => Declared::Unknown,
        None => Declared::As(object.declared_result(derived.name).map(DeclaredResult::declared_type)),
    };
    let mut found =
        object.status.results.iter().enumerate().filter(|(_, result)| result.name == derived.name);
    let (Some((place, result)), None) = (found.next(), found.next()) else {
        return Err(match left_out_by_controller(object, derived, &declared) {
            Some(why) => Finding::undecided(
                Detail::LEFT_OUT,
                Some(derived.step),
                format!(
                    "step {}: the signed result {} is not in status.results, as Tekton leaves one out {why}",
                    derived.step,
                    label()
                ),
            ),
            None => Finding::ResultMissing {
                step: derived.step.to_owned(),
                thing: Thing::new(Detail::IN_STATUS_RESULTS, format!("{} in status.results", label()))
                    .with_result(ResultName::task(derived.name))
                    .with_signed(derived.digest)
                    .in_field("status.results".to_owned()),
            },
        });
    };
    let changed = || {
        let (signed, found) = sides(result, derived.digest, derived.decoded);
        Finding::ResultChanged {
            step: derived.step.to_owned(),
            changed: Box::new(Changed {
                result: ResultName::task(derived.name),
                detail: Detail::IN_STATUS_RESULTS,
                signed: Some(signed),
                found,
                field: format!("status.results[{place}]"),
            }),
        }
    };
    match fits(result, derived.raw, derived.digest, derived.decoded, derived.form, &declared) {
        Some(true) => {}
        Some(false) => return Err(changed()),
        None => return Err(undecided(derived.step, &label())),
    }
    let value = result.decoded().ok_or_else(changed)?;
    let may_be_decoded = may_be_decoded(&value, derived.raw, derived.digest);
    let (inline, in_status) = (object.spec.task_spec.as_ref(), object.status.task_spec.as_ref());
    let name_is_inline = inline.is_some_and(|spec| same_task_result(spec, in_status, derived.name));
    let type_is_inline = match derived.step_result {
        None => name_is_inline,
        Some(result) => inline.is_some_and(|spec| same_step_result(spec, in_status, derived.step, result)),
    };
    Ok(VerifiedResult {
        name: derived.name.to_owned(),
        value,
        digest: derived.digest,
        step: derived.step.to_owned(),
        step_result: derived.step_result.map(str::to_owned),
        set: derived.set,
        name_is_claimed: derived.step_result.is_some() && !name_is_inline,
        type_is_claimed: may_be_decoded && !type_is_inline,
    })
}

/// Whether a value that fits its digest may be read in more than one way.
pub(super) fn may_be_decoded(value: &ResultValue, raw: Option<&str>, digest: [u8; 32]) -> bool {
    match (raw, value) {
        (Some(raw), _) => value::decoded_json(raw).is_some(),
        (None, ResultValue::String(text)) if sha256(text.as_bytes()) == digest => {
            value::decoded_json(text).is_some()
        }
        (None, _) => true,
    }
}

/// Whether the inline task declares a result exactly as the one in the status does.
fn same_task_result<'a>(inline: &'a TaskSpec, in_status: Option<&'a TaskSpec>, name: &str) -> bool {
    let declared = |spec: &'a TaskSpec| spec.results.iter().rfind(|result| result.name == name);
    let inline = declared(inline);
    inline.is_some() && inline == in_status.and_then(declared)
}

/// The same of a step's result.
fn same_step_result<'a>(
    inline: &'a TaskSpec,
    in_status: Option<&'a TaskSpec>,
    step: &str,
    name: &str,
) -> bool {
    let declared = |spec: &'a TaskSpec| {
        let step = spec.steps.iter().find(|declared| declared.name == step)?;
        step.results.iter().rfind(|result| result.name == name)
    };
    let inline = declared(inline);
    inline.is_some() && inline == in_status.and_then(declared)
}

/// Why Tekton may have left out a result. It fails a TaskRun whose results are not of their declared types, and leaves those out
/// (`validateTaskRunResults`); it fails one with too long a line in the log, and reads no further (`extractResultsFromLogs`).
fn left_out_by_controller(
    object: &TaskRun,
    derived: &Derived<'_>,
    decoded_as: &Declared<'_>,
) -> Option<&'static str> {
    if object.succeeded() != Some("False") {
        return None;
    }
    let declared = object.declared_result(derived.name).map(DeclaredResult::declared_type);
    let is_of_another_type = declared.is_some_and(|declared| match (derived.raw, decoded_as) {
        (Some(raw), Declared::As(kind)) => decode_as(raw, *kind).type_name() != declared,
        // Without the message it cannot be said of which type the value was.
        _ => true,
    });
    match derived.results_from {
        _ if is_of_another_type => Some("that is not of its declared type; nobody signs that type"),
        ResultsFrom::SidecarLogs => Some("where a line of the log is longer than max-result-size"),
        ResultsFrom::TerminationMessage => None,
    }
}

/// A value of the status against a signed raw value: `None` if that cannot be said without the step's message.
pub(super) fn fits(
    found: &StatusResult,
    raw: Option<&str>,
    digest: [u8; 32],
    decoded: Option<[u8; 32]>,
    form: Form,
    declared: &Declared<'_>,
) -> Option<bool> {
    let Some(value) = found.decoded() else { return Some(false) };
    let reads_as_value = |raw: &str| match declared {
        Declared::As(kind) => decode_as(raw, *kind) == value,
        Declared::Unknown => [None, Some("string")].iter().any(|kind| decode_as(raw, *kind) == value),
    };
    if let Some(raw) = raw {
        return Some(sha256(raw.as_bytes()) == digest && reads_as_value(raw));
    }
    if let ResultValue::String(text) = &value
        && sha256(text.as_bytes()) == digest
    {
        // It is the raw value, so its type decides as if the message were there.
        return Some(reads_as_value(text));
    }
    // What is declared as a string keeps its raw text; else the controller keeps the decoded value, if there is one.
    if matches!(declared, Declared::As(Some("string"))) {
        return Some(false);
    }
    // The raw text may have been canonical, too.
    let canonical = Some(sha256(value.canonical_json().as_bytes()));
    let fits = canonical == decoded || canonical == Some(digest);
    // With hints the digest of the decoded value is not carried, and the raw text is gone with the message.
    if fits || form == Form::Digests { Some(fits) } else { None }
}

pub(super) fn undecided(step: &str, result: &str) -> Finding {
    let reason = format!(
        "step {step}: result {result} cannot be compared: no termination message with it is in the object, and the step's \
         attestation is in the short form; get the object with its steps' messages, if they ever held results (not with \
         results-from: sidecar-logs)"
    );
    Finding::undecided(Detail::MESSAGE_NOT_CARRIED, Some(step), reason)
}

/// A raw result value as the controller writes it to the status under its declared type.
pub(super) fn decode_as(raw: &str, declared: Option<&str>) -> ResultValue {
    match declared {
        Some("string") => ResultValue::String(raw.to_owned()),
        _ => value::decode(raw),
    }
}

/// Results in the status that no step signed.
fn added_results(
    object: &TaskRun,
    derived: &[&str],
    proven: &[ProvenStep],
    steps: &[StepEvidence],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names: HashSet<&str> = object.status.results.iter().map(|result| result.name.as_str()).collect();
    let derived: HashSet<&str> = derived.iter().copied().collect();
    for step in proven {
        let key = attestation::key(&step.name);
        if !names.contains(key.as_str()) {
            findings.push(evidence_missing(step.name.clone(), &key));
        }
    }
    for (step, key) in written_tep0089_entries(proven, steps) {
        if !names.contains(key.as_str()) {
            findings.push(evidence_missing(step, &key));
        }
    }
    let mut seen = HashSet::with_capacity(names.len());
    for (i, result) in object.status.results.iter().enumerate() {
        let name = result.name.as_str();
        let repeated = !seen.insert(name);
        let stands = match expected_evidence(name, proven, steps).filter(|_| !repeated) {
            // A list of names that is the one name `null` is decoded like any other value.
            Some(Expected::Value(value)) => {
                let declared = object.declared_result(name).map(DeclaredResult::declared_type);
                result.decoded() == Some(decode_as(&value, declared))
            }
            Some(Expected::Signature) => {
                // A later step may have changed what the entry was made for.
                let is_cut_off = object.is_partial() && !tep0089::is_whole_in_status(object, result);
                if !is_cut_off && !tep0089::stands_in_status(object, proven, result) {
                    findings.push(undecided(name, "of its TEP-0089 entries"));
                }
                true
            }
            None => derived.contains(name),
        };
        if repeated || !stands {
            findings.push(Finding::Status {
                field: format!("status.results[{i}]"),
                problem: format!("the result {name} was added or altered: it follows from no signed step"),
                detail: Detail::UNSIGNED_RESULT,
            });
        }
    }
    findings
}

/// A step result in the status that its step did not sign.
pub(super) fn unsigned_step_result(name: &str) -> Box<Thing> {
    Thing::new(Detail::IN_STEP_RESULTS, format!("the step result {name} in the status"))
        .with_result(ResultName::step(name))
}

fn evidence_missing(step: String, key: &str) -> Finding {
    let thing = Thing::new(Detail::EVIDENCE_ENTRY, format!("{key} in status.results"));
    Finding::ResultMissing { step, thing: thing.in_field("status.results".to_owned()) }
}

/// SHA-256 of the signed value and of a value of the status that does not fit it, in the form in which that one is there.
fn sides(found: &StatusResult, digest: [u8; 32], decoded: Option<[u8; 32]>) -> ([u8; 32], Option<[u8; 32]>) {
    match found.decoded() {
        Some(ResultValue::String(text)) => (digest, Some(sha256(text.as_bytes()))),
        Some(value) => (decoded.unwrap_or(digest), Some(sha256(value.canonical_json().as_bytes()))),
        None => (digest, None),
    }
}

/// Every TEP-0089 entry that stands in a step's message, with its step.
fn written_tep0089_entries(proven: &[ProvenStep], steps: &[StepEvidence]) -> Vec<(String, String)> {
    let signing = proven.iter().filter(|step| step.attestation.tep0089);
    let entries = signing.flat_map(|step| {
        let evidence = steps.iter().find(|evidence| evidence.name == step.name);
        evidence
            .into_iter()
            .flat_map(|evidence| evidence.entries.iter().flatten())
            .map(move |entry| (step, entry))
    });
    entries
        .filter(|(step, entry)| step.is_tep0089_entry(&entry.key) && !step.covers(Kind::Task, &entry.key))
        .map(|(step, entry)| (step.name.clone(), entry.key.clone()))
        .collect()
}

/// What an evidence entry in `status.results` must be.
enum Expected {
    /// The value that the last step wrote.
    Value(String),
    /// Its message is not in the object: whatever its signature fits.
    Signature,
}

fn expected_evidence(name: &str, proven: &[ProvenStep], steps: &[StepEvidence]) -> Option<Expected> {
    if let Some(step) = attestation::step_of_key(name) {
        let evidence = steps.iter().find(|evidence| evidence.name == step)?;
        return evidence.attestation.clone().map(Expected::Value);
    }
    let last = proven.iter().rfind(|step| {
        step.attestation.tep0089 && step.is_tep0089_entry(name) && !step.covers(Kind::Task, name)
    })?;
    let evidence = steps.iter().find(|evidence| evidence.name == last.name)?;
    let Some(entries) = &evidence.entries else { return Some(Expected::Signature) };
    let written = entries.iter().find(|entry| entry.kind == entry_type::TASK_RESULT && entry.key == name);
    written.map(|entry| Expected::Value(entry.value.clone()))
}

pub(super) fn raw_of<'a>(steps: &'a [StepEvidence], step: &str, kind: Kind, name: &str) -> Option<&'a str> {
    let kind = match kind {
        Kind::Task => entry_type::TASK_RESULT,
        Kind::Step => entry_type::STEP_RESULT,
    };
    let entries = steps.iter().find(|evidence| evidence.name == step)?.entries.as_ref()?;
    entries.iter().find(|entry| entry.kind == kind && entry.key == name).map(|entry| entry.value.as_str())
}

fn declared_step_type<'a>(object: &'a TaskRun, step: &str, result: &str) -> Declared<'a> {
    // What a StepAction declares is in the status alone.
    let Some(spec) = &object.status.task_spec else { return Declared::Unknown };
    let declared = spec.steps.iter().find(|declared| declared.name == step);
    let result = declared.and_then(|step| step.results.iter().rfind(|declared| declared.name == result));
    // Unlike a task's results, a step's get no default type: without one the controller decodes the value.
    Declared::As(result.map(|declared| declared.kind.as_str()))
}
