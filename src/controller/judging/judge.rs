//! Judging a run: it is read by its name, with what belongs to it, and verified as `svidence verify --from kubernetes` does it.

use std::time::{Duration, Instant};

use serde_json::Value;
use unixtime::UnixSeconds;

use crate::{
    controller::{
        judging::{
            annotation::Noted,
            ended::{EndedRun, Mark},
            run_id::RunId,
            verdict::Judged,
        },
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
/// How long a run, with all that belongs to it, may be read: whoever can make TaskRuns can make many that belong to one PipelineRun.
const LONGEST: Duration = Duration::from_secs(30);

/// A run that was judged, as it was then.
#[derive(Debug)]
pub struct Found {
    /// What a verdict rests on.
    pub ended: EndedRun,
    /// The verdict.
    pub judged: Judged,
    /// What it lacks of time stamps, if it is a TaskRun that is verified.
    pub due: Option<Due>,
}

impl Found {
    /// Whether it is as it was then, with the verdict that it has again.
    pub fn is_as(&self, mark: Mark) -> bool {
        let Self { ended, judged, .. } = self;
        ended.mark == mark
            && ended.noted.as_ref().is_some_and(|noted| noted.says(judged.verdict, judged.finding))
    }

    /// Whether the verdict that is noted on it is the one that it deserved when that was noted, as it says: `judged` is of that
    /// time. So what only the clock has changed since does not count.
    pub fn stands(&self, at: UnixSeconds, with_condition: bool) -> bool {
        let Self { ended, judged, .. } = self;
        let is_noted = |noted: &Noted| noted.at() == Some(at) && noted.says(judged.verdict, judged.finding);
        let is_set = |status: &String| !with_condition || status == judged.condition_status();
        ended.noted.as_ref().is_some_and(is_noted) && ended.condition.as_ref().is_none_or(is_set)
    }
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
    runs.read(&id.namespace, run, LONGEST, &mut |read| hearing.hear(read));
    let Hearing { pipelines, itself, mut outcome, due, failed, .. } = hearing;
    let ended = match (failed, itself) {
        // It would be no faster the next time.
        (Some(late @ SourceError::Kubernetes { .. }), Some(Itself(Some(ended)))) if is_too_long(&late) => {
            let judged = Judged::of_unreadable(&late, ended.evidence);
            return Ok(Some(Found { ended, judged, due: None }));
        }
        (Some(SourceError::Kubernetes { error, .. }), _) => return Err(*error),
        (_, Some(Itself(Some(ended)))) => ended,
        _ => return Ok(None),
    };
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

fn is_too_long(error: &SourceError) -> bool {
    matches!(error, SourceError::Kubernetes { error, .. } if matches!(**error, KubernetesError::TooLong { .. }))
}

/// The run that is judged, if it has ended and is the one that is meant.
struct Itself(Option<EndedRun>);

/// A run, and what belongs to it, as they come.
struct Hearing<'a> {
    id: &'a RunId,
    verifier: Verifier<'a>,
    /// With each, whether it is the one that is judged.
    pipelines: Pipelines<bool>,
    itself: Option<Itself>,
    outcome: Option<Result<Report, SourceError>>,
    due: Option<Due>,
    /// Something was not read.
    failed: Option<SourceError>,
}

impl Hearing<'_> {
    fn hear(&mut self, (bytes, run): Read<'_>) {
        let is_itself = self.itself.is_none();
        if let Err(error @ SourceError::Kubernetes { .. }) = run {
            self.failed.get_or_insert(error);
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
