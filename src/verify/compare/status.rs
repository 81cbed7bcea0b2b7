//! What the status must be, given what the steps signed: Tekton's merge and decoding rules, compared item by item.
//!
//! Source of the rule: Tekton `pkg/pod/status.go` (`filterResults`, `createTaskResultsFromStepResults`,
//! `removeDuplicateResults`) and `pkg/reconciler/taskrun` (`validateTaskRunResults`).

use std::collections::{HashMap, HashSet};

use crate::{
    evidence::{
        attestation::{self, Attestation, Ended, ResultsFrom},
        sha256,
    },
    tekton::{
        message::entry_type,
        result_kind::ResultKind,
        taskrun::{DeclaredResult, StatusResult},
        value::ResultValue,
    },
    verify::{
        bind::{attempt::Attempt, declared_task::DeclaredTask},
        compare::{
            artifacts, declared,
            image::{self, AttestedImage},
            outcomes,
            partial::{self, NotCarried},
            program::{self, AttestedProgram},
            tep0089::InStatus,
            value::{DeclaredType, Derived, VerifiedResult, decode_as, fits, may_be_decoded, undecided},
        },
        facts::{Detail, ResultName},
        finding::Finding,
        findings::Findings,
        prove::step::ProvenStep,
        verdict::{ChangedResult, Thing, unsigned_step_result},
    },
};

/// What a status that agrees with the evidence holds.
pub(crate) struct Compared {
    pub(crate) results: Vec<VerifiedResult>,
    /// What is signed and not in a partial object.
    pub(crate) not_carried: Vec<NotCarried>,
    pub(crate) notes: Vec<String>,
    /// For each proven step whether what it ran is attested.
    pub(crate) programs: Vec<AttestedProgram>,
    /// For each proven step whether the image that it ran in is attested.
    pub(crate) images: Vec<AttestedImage>,
}

/// Compares the status with what the steps signed.
pub(crate) fn compare(attempt: &Attempt<'_>) -> Result<Compared, Findings> {
    let (task_run, proven) = (attempt.task_run, attempt.proven);
    if attempt.succeeded == Some("False") && task_run.status.results.is_empty() {
        let reason = "the TaskRun failed, and its status holds no results";
        return Err(Finding::no_evidence(Detail::FAILED_WITHOUT_RESULTS, reason).into());
    }
    let mut findings = outcomes::compare(attempt);
    findings.append(declared::compare_declared_names(attempt));
    let (programs, contradicted) = program::compare(attempt);
    findings.append(contradicted);
    let (images, contradicted) = image::compare(attempt);
    findings.append(contradicted);
    findings.append(compare_step_results(attempt));
    let unnamed = partial::find_unnamed_step_results(attempt);
    findings.append(unnamed.findings);
    findings.append(artifacts::compare(attempt));
    let (derived, hidden) = merge(derive(attempt));
    let mut verified = Vec::with_capacity(derived.len());
    let mut not_carried = Vec::new();
    for result in &derived {
        match compare_task_result(attempt, result) {
            _ if task_run.is_partial() && attempt.results.places(result.name).is_none() => {
                not_carried.push(NotCarried::of(result));
            }
            Ok(result) => verified.push(result),
            Err(finding) => findings.push(finding),
        }
    }
    let mut names: HashSet<&str> = derived.iter().map(|derived| derived.name).collect();
    let claimed = partial::find_claimed(attempt, &names);
    names.extend(&claimed.names);
    findings.append(find_added_results(attempt, &names));
    findings.append(claimed.findings);
    verified.extend(claimed.results);
    let mut notes = hidden;
    notes.extend(find_removed_by_steps(proven));
    notes.extend(find_unmapped(attempt));
    not_carried.extend(partial::find_not_carried(task_run, proven, &verified, &unnamed.found));
    if findings.is_empty() {
        Ok(Compared { results: verified, not_carried, notes, programs, images })
    } else {
        Err(findings)
    }
}

/// `status.steps[].results` against the covered step results.
fn compare_step_results(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    for step in attempt.proven {
        let evidence = attempt.evidence(step);
        let Some((index, state)) = attempt.state(evidence) else { continue };
        let mut found_so_far = HashSet::new();
        for (i, found) in state.results.iter().enumerate() {
            let field = || format!("status.steps[{index}].results[{i}]");
            let label = || format!("step/{}", found.name);
            let covered = step.covered(ResultKind::Step, &found.name);
            let Some(covered) = covered.filter(|_| found_so_far.insert(found.name.as_str())) else {
                let thing = unsigned_step_result(&found.name).in_field(field());
                findings.push(Finding::ResultAdded { step: step.name.clone(), thing });
                continue;
            };
            let raw = evidence.raw(ResultKind::Step, &found.name);
            let declared = declared_step_type(attempt, &step.name, &found.name);
            let form = step.attestation.form;
            match fits(found, raw, covered.digest, covered.decoded, form, &declared) {
                Some(true) => {}
                Some(false) => {
                    let (signed, found_digest) = sides(found, covered.digest, covered.decoded);
                    findings.push(Finding::ResultChanged {
                        step: step.name.clone(),
                        changed: Box::new(ChangedResult {
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
        let expected = step.covered.iter().filter(|covered| covered.kind == ResultKind::Step);
        for covered in expected.filter(|covered| !found_so_far.contains(covered.name.as_str())) {
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
fn derive<'a>(attempt: &Attempt<'a>) -> Vec<Derived<'a>> {
    let mut derived = Vec::new();
    let last_in_log = last_in_log(attempt.proven);
    for step in attempt.proven {
        let evidence = attempt.evidence(step);
        let of_kind = |kind| step.covered.iter().filter(move |covered| covered.kind == kind);
        let task_results = of_kind(ResultKind::Task)
            .filter(|covered| last_in_log.is_none_or(|last| last.covers(ResultKind::Task, &covered.name)))
            .map(|covered| (covered, covered.name.as_str(), None));
        let mapped = of_kind(ResultKind::Step).filter_map(|covered| {
            let name = attempt.mapped_name(&step.name, &covered.name)?;
            Some((covered, name, Some(covered.name.as_str())))
        });
        for (covered, name, step_result) in task_results.chain(mapped) {
            derived.push(Derived {
                raw: evidence.raw(covered.kind, &covered.name),
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
fn find_removed_by_steps(proven: &[ProvenStep]) -> Vec<String> {
    let Some(last) = last_in_log(proven) else { return Vec::new() };
    let results = proven.iter().flat_map(|step| step.covered.iter().map(move |covered| (step, covered)));
    results
        .filter(|(_, covered)| {
            covered.kind == ResultKind::Task && !last.covers(ResultKind::Task, &covered.name)
        })
        .map(|(step, covered)| {
            format!("result {} of step {} was removed by a later step", covered.name, step.name)
        })
        .collect()
}

/// Signed step results that no declared result takes: a mapping in the status may have been removed.
fn find_unmapped(attempt: &Attempt<'_>) -> Vec<String> {
    if attempt.task_run.is_without_task() {
        return Vec::new();
    }
    let step_results = attempt.proven.iter().flat_map(|step| {
        step.covered.iter().filter(|c| c.kind == ResultKind::Step).map(move |covered| (step, covered))
    });
    step_results
        .filter(|(step, covered)| attempt.mapped_name(&step.name, &covered.name).is_none())
        .map(|(step, covered)| {
            format!("step {}, result {} is signed and no task result", step.name, covered.name)
        })
        .collect()
}

/// The last of a name wins; what it hides is named.
fn merge(derived: Vec<Derived<'_>>) -> (Vec<Derived<'_>>, Vec<String>) {
    let mut merged: Vec<Derived<'_>> = Vec::with_capacity(derived.len());
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(derived.len());
    let mut hidden = Vec::new();
    for result in derived {
        let place = *places.entry(result.name).or_insert(merged.len());
        match merged.get_mut(place) {
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
                        "result {}: between the steps {} and {} something other than a step changed it",
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
fn compare_task_result(attempt: &Attempt<'_>, derived: &Derived<'_>) -> Result<VerifiedResult, Finding> {
    // A mapped result keeps the type that its step declares.
    let declared = match derived.step_result {
        Some(step_result) => declared_step_type(attempt, derived.step, step_result),
        None if attempt.task_run.is_without_task() => DeclaredType::Unknown,
        None => DeclaredType::As(attempt.declared_result(derived.name).map(DeclaredResult::declared_type)),
    };
    let places = attempt.results.places(derived.name).filter(|(first, last)| first == last);
    let Some((place, _)) = places else {
        return Err(missing(attempt, derived, &declared));
    };
    let result = &attempt.results.list()[place];
    let changed = || {
        let (signed, found) = sides(result, derived.digest, derived.decoded);
        Finding::ResultChanged {
            step: derived.step.to_owned(),
            changed: Box::new(ChangedResult {
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
        None => return Err(undecided(derived.step, &derived.label())),
    }
    let value = result.decoded().ok_or_else(changed)?;
    let may_be_decoded = may_be_decoded(&value, derived.raw, derived.digest);
    let name_is_inline = is_declared_inline(attempt, |task| task.result(derived.name));
    let type_is_inline = match derived.step_result {
        None => name_is_inline,
        Some(result) => is_declared_inline(attempt, |task| task.step_result(derived.step, result)),
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

/// A derived result that is not in `status.results`.
fn missing(attempt: &Attempt<'_>, derived: &Derived<'_>, declared: &DeclaredType<'_>) -> Finding {
    let (step, label) = (derived.step, derived.label());
    match left_out_by_controller(attempt, derived, declared) {
        Some(why) => Finding::undecided(
            Detail::LEFT_OUT,
            Some(step),
            format!(
                "step {step}: the signed result {label} is not in status.results, as Tekton leaves one out {why}"
            ),
        ),
        None => Finding::ResultMissing {
            step: step.to_owned(),
            thing: Thing::new(Detail::IN_STATUS_RESULTS, format!("{label} in status.results"))
                .with_result(ResultName::task(derived.name))
                .with_signed(derived.digest)
                .in_field("status.results".to_owned()),
        },
    }
}

/// Whether the inline task declares a result exactly as the one in the status does.
fn is_declared_inline<'a>(
    attempt: &Attempt<'a>,
    declared: impl Fn(&'a DeclaredTask<'a>) -> Option<&'a DeclaredResult>,
) -> bool {
    let inline = attempt.inline().and_then(&declared);
    inline.is_some() && inline == attempt.in_status().and_then(declared)
}

/// Why Tekton may have left out a result. It fails a TaskRun whose results are not of their declared types, and leaves those out
/// (`validateTaskRunResults`); it fails one with too long a line in the log, and reads no further (`extractResultsFromLogs`).
fn left_out_by_controller(
    attempt: &Attempt<'_>,
    derived: &Derived<'_>,
    decoded_as: &DeclaredType<'_>,
) -> Option<&'static str> {
    if attempt.succeeded != Some("False") {
        return None;
    }
    let declared = attempt.declared_result(derived.name).map(DeclaredResult::declared_type);
    let is_of_another_type = declared.is_some_and(|declared| match (derived.raw, decoded_as) {
        (Some(raw), DeclaredType::As(kind)) => decode_as(raw, *kind).type_name() != declared,
        // Without the message it cannot be said of which type the value was.
        _ => true,
    });
    match derived.results_from {
        _ if is_of_another_type => Some("that is not of its declared type; nobody signs that type"),
        ResultsFrom::SidecarLogs => Some("where a line of the log is longer than max-result-size"),
        ResultsFrom::TerminationMessage => None,
    }
}

/// Results in the status that no step signed; `derived` are the names of those that follow from signed ones.
fn find_added_results(attempt: &Attempt<'_>, derived: &HashSet<&str>) -> Findings {
    let mut findings = Findings::default();
    let is_missing = |key: &str| attempt.results.places(key).is_none();
    for step in attempt.proven {
        let key = attestation::key(&step.name);
        if is_missing(&key) {
            findings.push(evidence_missing(step, &key));
        }
        findings.extend(
            written_tep0089_entries(attempt, step)
                .filter(|key| is_missing(key))
                .map(|key| evidence_missing(step, key)),
        );
    }
    let in_status = InStatus::new(attempt);
    let mut seen = HashSet::with_capacity(attempt.results.list().len());
    for (i, result) in attempt.results.list().iter().enumerate() {
        let name = result.name.as_str();
        let stands = seen.insert(name)
            && match expected_evidence(attempt, name) {
                // A list of names that is the one name `null` is decoded like any other value.
                Some(Expected::Value(value)) => {
                    let declared = attempt.declared_result(name).map(DeclaredResult::declared_type);
                    result.decoded() == Some(decode_as(value, declared))
                }
                Some(Expected::Signature) => {
                    // A later step may have changed what the entry was made for.
                    let is_cut_off = attempt.task_run.is_partial() && !in_status.is_whole(result);
                    if !is_cut_off && !in_status.stands(result) {
                        findings.push(undecided(name, "of its TEP-0089 entries"));
                    }
                    true
                }
                None => derived.contains(name),
            };
        if !stands {
            findings.push(Finding::Status {
                field: format!("status.results[{i}]"),
                problem: format!("the result {name} was added or altered: it follows from no signed step"),
                detail: Detail::UNSIGNED_RESULT,
            });
        }
    }
    findings
}

fn evidence_missing(step: &ProvenStep, key: &str) -> Finding {
    let thing = Thing::new(Detail::EVIDENCE_ENTRY, format!("{key} in status.results"));
    Finding::ResultMissing { step: step.name.clone(), thing: thing.in_field("status.results".to_owned()) }
}

/// SHA-256 of the signed value and of a value of the status that does not fit it, in the form in which that one is there.
fn sides(found: &StatusResult, digest: [u8; 32], decoded: Option<[u8; 32]>) -> ([u8; 32], Option<[u8; 32]>) {
    match found.decoded() {
        Some(ResultValue::String(text)) => (digest, Some(sha256(text.as_bytes()))),
        Some(value) => (decoded.unwrap_or(digest), Some(sha256(value.canonical_json().as_bytes()))),
        None => (digest, None),
    }
}

/// Every TEP-0089 entry that is in a step's message.
fn written_tep0089_entries<'a>(attempt: &Attempt<'a>, step: &'a ProvenStep) -> impl Iterator<Item = &'a str> {
    let entries = attempt.evidence(step).entries().filter(|_| step.attestation.tep0089);
    let keys = entries.unwrap_or_default().iter().map(|entry| entry.key.as_str());
    keys.filter(|key| step.is_tep0089_entry(key) && !step.covers(ResultKind::Task, key))
}

/// What an evidence entry in `status.results` must be.
enum Expected<'a> {
    /// The value that the last step wrote.
    Value(&'a str),
    /// Its message is not in the object: whatever its signature fits.
    Signature,
}

fn expected_evidence<'a>(attempt: &Attempt<'a>, name: &str) -> Option<Expected<'a>> {
    if let Some(step) = attestation::step_of_key(name) {
        return attempt.evidence_of(step)?.attestation.as_deref().map(Expected::Value);
    }
    let evidence = attempt.evidence(attempt.signs_entry(name)?);
    match evidence.entries() {
        None => Some(Expected::Signature),
        Some(_) => evidence.value(entry_type::TASK_RESULT, name).map(Expected::Value),
    }
}

fn declared_step_type<'a>(attempt: &Attempt<'a>, step: &str, result: &str) -> DeclaredType<'a> {
    // What a StepAction declares is in the status alone.
    let Some(task) = attempt.in_status() else { return DeclaredType::Unknown };
    // Unlike a task's results, a step's get no default type: without one the controller decodes the value.
    DeclaredType::As(task.step_result(step, result).map(|declared| declared.kind.as_str()))
}
