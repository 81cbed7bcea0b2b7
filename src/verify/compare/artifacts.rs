//! Artifacts in the status, given the provenance files that the steps signed.
//!
//! Source of the rule: Tekton `pkg/pod/status.go` (`setStepArtifactsValueFromTerminationMessageRunResult`,
//! `setTaskRunArtifactsFromRunResult`) and `pkg/apis/pipeline/v1/artifact_types.go` (`Artifacts.Merge`).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    evidence::{artifacts::digest, attestation::ResultsFrom},
    tekton::{
        artifacts::{Artifact, ArtifactValue, Artifacts},
        message::entry_type,
        strict,
        taskrun::TaskRun,
    },
    verify::{
        bind::attempt::Attempt, facts::Detail, finding::Finding, findings::Findings, prove::step::ProvenStep,
    },
};

/// Compares `steps[].inputs`, `steps[].outputs` and `status.artifacts` with what was signed.
pub(crate) fn compare(attempt: &Attempt<'_>) -> Findings {
    let task_run = attempt.task_run;
    if task_run.is_partial() {
        return compare_without_steps(task_run, attempt.proven);
    }
    let mut findings = Findings::default();
    let mut merged = Merged::default();
    for step in attempt.proven {
        let evidence = attempt.evidence(step);
        let Some((_, state)) = attempt.state(evidence) else { continue };
        let found = Artifacts { inputs: state.inputs.clone(), outputs: state.outputs.clone() };
        // The conversion to v1beta1 drops which outputs are build outputs (Tekton `pkg/apis/pipeline/v1beta1/taskrun_conversion.go`).
        let may_lack_build_outputs = task_run.is_v1beta1 && !found.outputs.is_empty();
        if step.attestation.results_from == ResultsFrom::SidecarLogs {
            match (found == Artifacts::default(), step.attestation.step_artifacts) {
                (true, Some(_)) => findings.push(not_handed_over(&step.name)),
                (_, signed) if digest(&found) == signed => merged.add(found),
                (_, Some(_)) if may_lack_build_outputs => findings.push(without_build_outputs(&step.name)),
                _ => findings.push(added(format!("status.steps: inputs or outputs of step {}", step.name))),
            }
            continue;
        }
        let Some(entries) = evidence.entries() else {
            if are_signed(step) {
                findings.push(undecided(&step.name));
            } else if found != Artifacts::default() {
                findings.push(added(format!("status.steps: inputs or outputs of step {}", step.name)));
            }
            continue;
        };
        let of_kind = |kind| {
            let entry = entries.iter().find(|entry| entry.kind == kind);
            entry.map(|entry| read_provenance(&entry.value))
        };
        match (of_kind(entry_type::STEP_ARTIFACTS), of_kind(entry_type::TASK_ARTIFACTS)) {
            // Tekton logs an error and keeps nothing of a file that is not of this shape.
            (Some(None), _) | (_, Some(None)) => findings.push(undecided(&step.name)),
            (of_step, of_task) => {
                let of_step = of_step.flatten().unwrap_or_default();
                let is_converted = || may_lack_build_outputs && found == as_converted(&of_step, &found);
                if found != of_step && !is_converted() {
                    findings.push(added(format!("status.steps: inputs or outputs of step {}", step.name)));
                }
                merged.add(of_task.flatten().unwrap_or_default());
                merged.add(of_step);
            }
        }
    }
    let could_not_tell = findings.iter().any(|finding| matches!(finding, Finding::Undecided { .. }));
    let mut found = Merged::default();
    found.add(task_run.status.artifacts.clone().unwrap_or_default());
    // The conversion to v1beta1 drops the task's artifacts.
    let dropped = task_run.is_v1beta1 && task_run.status.artifacts.is_none();
    if !could_not_tell && !dropped && found != merged {
        findings.push(added("status.artifacts".to_owned()));
    }
    findings
}

/// Whether the steps signed any artifacts.
pub(crate) fn are_signed(step: &ProvenStep) -> bool {
    step.attestation.step_artifacts.is_some() || step.attestation.task_artifacts.is_some()
}

/// What is merged of all steps cannot be taken apart again.
fn compare_without_steps(task_run: &TaskRun, proven: &[ProvenStep]) -> Findings {
    match task_run.status.artifacts.as_ref().is_none_or(|artifacts| *artifacts == Artifacts::default()) {
        true => Findings::default(),
        false if proven.iter().any(are_signed) => Finding::undecided(
            Detail::ARTIFACTS_NOT_CARRIED,
            None,
            "status.artifacts cannot be compared: what each step signed is not in the object",
        )
        .into(),
        false => added("status.artifacts".to_owned()).into(),
    }
}

/// A provenance file as the controller reads it; `None` if other readers might read it differently.
fn read_provenance(text: &str) -> Option<Artifacts> {
    strict::from_slice::<Option<Artifacts>>(text.as_bytes()).map(Option::unwrap_or_default)
}

fn added(field: String) -> Finding {
    Finding::Status {
        field,
        problem: "it is not what the steps signed".to_owned(),
        detail: Detail::ARTIFACTS,
    }
}

fn undecided(step: &str) -> Finding {
    let reason = format!(
        "step {step}: its artifacts cannot be compared: the signed provenance file is not in the object, or is not of Tekton's \
         shape"
    );
    Finding::undecided(Detail::ARTIFACTS_NOT_CARRIED, Some(step), reason)
}

fn without_build_outputs(step: &str) -> Finding {
    let reason = format!(
        "step {step}: its artifacts cannot be compared: tekton.dev/v1beta1 does not carry which of the outputs are build outputs; verify the \
         TaskRun of tekton.dev/v1"
    );
    Finding::undecided(Detail::ARTIFACTS_NOT_CARRIED, Some(step), reason)
}

/// What was signed, without the build outputs that were not found to be any.
fn as_converted(signed: &Artifacts, found: &Artifacts) -> Artifacts {
    let mut signed = signed.clone();
    for (signed, found) in signed.outputs.iter_mut().zip(&found.outputs) {
        signed.build_output &= found.build_output;
    }
    signed
}

/// Whether the sidecar looks for a step's artifacts follows from the task, which nobody signs (Tekton `pkg/pod/pod.go`,
/// `artifactPathReferencedInStep`).
fn not_handed_over(step: &str) -> Finding {
    let reason = format!(
        "step {step}: its signed artifacts are not in the status: they were removed, or the results sidecar did not hand \
         them over, as the step does not mention $(step.artifacts.path) or another file could not be read"
    );
    Finding::undecided(Detail::ARTIFACTS_NOT_CARRIED, Some(step), reason)
}

/// Artifacts by name, whatever the order: Tekton merges them over maps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Merged {
    inputs: BTreeMap<String, BTreeSet<ArtifactValue>>,
    /// With whether one of the name is a build output.
    outputs: BTreeMap<String, (bool, BTreeSet<ArtifactValue>)>,
}

impl Merged {
    fn add(&mut self, artifacts: Artifacts) {
        for Artifact { name, values, .. } in artifacts.inputs {
            self.inputs.entry(name).or_default().extend(values);
        }
        for Artifact { name, values, build_output } in artifacts.outputs {
            let (is_build_output, known) = self.outputs.entry(name).or_default();
            *is_build_output |= build_output;
            known.extend(values);
        }
    }
}
