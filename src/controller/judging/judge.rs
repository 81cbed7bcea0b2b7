//! Judging a run: it is read by its name, with what belongs to it, and verified as `svidence verify --from kubernetes` does it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    controller::{
        judging::{backlog::RunId, ended::Ended, verdict::Judged},
        objects::Seen,
        stamping::due::Due,
    },
    sources::{
        error::SourceError,
        kubernetes::{
            by_name::{Read, RunsByName},
            error::KubernetesError,
        },
        run_name::RunName,
    },
    tekton::run::Run,
    verify::{
        Policy, Report, Trust, Verifier,
        pipeline::{Child, Pipelines},
    },
};

/// How far clocks may be apart: what `svidence verify` takes if nothing is said.
pub const CLOCK_SKEW: Duration = Duration::from_secs(10);

/// A run that was judged, as it was then.
#[derive(Debug)]
pub struct Found {
    /// What a verdict rests on.
    pub ended: Ended,
    /// The verdict.
    pub judged: Judged,
    /// What it lacks of time stamps, if it is a TaskRun that is verified.
    pub due: Option<Due>,
}

/// Judges a run. `None`: it is no longer there, or has not ended, or another one has its name.
pub fn judge(
    runs: &mut RunsByName,
    id: &RunId,
    run: RunName,
    trust: &Trust,
    policy: &Policy,
) -> Result<Option<Found>, KubernetesError> {
    let mut hearing = Hearing {
        id,
        verifier: Verifier::new(trust, policy),
        pipelines: Pipelines::default(),
        itself: None,
        outcome: None,
        due: None,
        failed: None,
    };
    runs.read(&id.namespace, run, &mut |read| hearing.hear(read));
    let Hearing { pipelines, itself, mut outcome, due, failed, .. } = hearing;
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(Itself(Some(ended))) = itself else { return Ok(None) };
    pipelines.finish(trust, policy, &mut |of| {
        if of.place {
            outcome = Some(Ok(of.report));
        }
    });
    let judged = match outcome {
        Some(Ok(report)) => Judged::of_report(&report, ended.evidence),
        Some(Err(error)) => Judged::of_unreadable(&error, ended.evidence),
        None => return Ok(None),
    };
    Ok(Some(Found { ended, judged, due }))
}

/// The run that is judged, if it has ended and is the one that is meant.
struct Itself(Option<Ended>);

/// A run, and what belongs to it, as they come.
struct Hearing<'a> {
    id: &'a RunId,
    verifier: Verifier<'a>,
    /// With each, whether it is the one that is judged.
    pipelines: Pipelines<bool>,
    itself: Option<Itself>,
    outcome: Option<Result<Report, SourceError>>,
    due: Option<Due>,
    /// Something could not be read that can be later.
    failed: Option<KubernetesError>,
}

impl Hearing<'_> {
    fn hear(&mut self, (bytes, run): Read<'_>) {
        let is_itself = self.itself.is_none();
        if let Err(SourceError::Kubernetes { error, .. }) = run {
            self.failed.get_or_insert(*error);
            return;
        }
        if is_itself {
            // What is no JSON has no UID, and is not the one that is meant.
            let object: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let Seen { metadata, ended } = Seen::of(&object);
            let is_meant = metadata.uid == self.id.uid;
            self.itself = Some(Itself(ended.filter(|_| is_meant).map(|ended| *ended)));
        }
        let outcome = match run {
            Ok(Run::TaskRun(object)) => {
                let report = self.verifier.verify(&object);
                if let Some(child) = Child::of_task_run(&object, &report).filter(|_| !is_itself) {
                    self.pipelines.child(child);
                }
                if is_itself {
                    self.due = Due::of(self.id, &object, &report, Instant::now());
                }
                Some(Ok(report))
            }
            Ok(Run::PipelineRun(object)) => {
                self.pipelines.pipeline_run(*object, is_itself).map(|judged| Ok(judged.report))
            }
            Err(error) => Some(Err(error)),
        };
        if is_itself {
            self.outcome = outcome;
        }
    }
}
