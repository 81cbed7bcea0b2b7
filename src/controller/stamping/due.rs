//! A run that lacks tokens.

use std::{collections::BTreeMap, time::Instant};

use serde_json::json;
use unixtime::UnixSeconds;

use crate::{
    controller::judging::run_id::RunId,
    tekton::taskrun::{ANNOTATION, TaskRun},
    verify::{
        Report, Verdict,
        prove::time::{OutOfWindow, ToStamp, read_annotation},
    },
};

/// A run that is verified, some of whose steps have no good token yet.
#[derive(Debug)]
pub struct Due {
    /// The run.
    pub id: RunId,
    /// The steps without one.
    pub steps: Vec<ToStamp>,
    /// Good tokens that it has, in base64, by the steps' names.
    pub tokens: BTreeMap<String, String>,
    /// Good tokens that are new, in base64, and the steps that lacked them.
    pub fetched: Vec<(ToStamp, String)>,
    /// The last second of the certificates of all that it lacked when it was judged. It is given up after that.
    pub expires_after: UnixSeconds,
    /// It is not looked at before.
    pub not_before: Instant,
    /// How often its tokens could not be stored because of itself.
    pub failures: u32,
    /// How often it was tried in vain in all, but for times at which the TSA gave no answer: others come first.
    pub setbacks: u32,
}

impl Due {
    /// What a verified TaskRun lacks; `None`: nothing, or it is not verified, so that no token would make it so.
    pub fn of(id: &RunId, object: &TaskRun, report: &Report, at: Instant) -> Option<Self> {
        let proof = report.proof.as_ref().filter(|_| report.verdict == Verdict::Verified)?;
        let there =
            object.metadata.annotations.timestamps.as_ref().and_then(read_annotation).unwrap_or_default();
        let (stamped, lacking): (Vec<_>, Vec<_>) =
            proof.basis.steps().partition(|step| step.time.stamp.is_some());
        let steps: Vec<ToStamp> = lacking.iter().map(|step| step.to_stamp()).collect();
        let expires_after = steps.iter().map(ToStamp::not_after).min()?;
        let tokens = stamped.iter().filter_map(|step| there.get_key_value(&step.name));
        Some(Self {
            id: id.clone(),
            steps,
            tokens: tokens.map(|(step, token)| (step.clone(), token.clone())).collect(),
            fetched: Vec::new(),
            expires_after,
            not_before: at,
            failures: 0,
            setbacks: 0,
        })
    }

    /// Whether it lacks nothing any more, so that its tokens are only to be stored.
    pub fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }

    /// What was done for the same run before it was judged again: tokens of attestations that it still has are not asked for twice, and it
    /// is not tried more often than before.
    pub fn take_over(&mut self, known: Self) {
        for (step, token) in known.fetched {
            let lacking = self.steps.len();
            self.steps.retain(|lacks| *lacks != step);
            if self.steps.len() < lacking {
                self.fetched.push((step, token));
            }
        }
        self.not_before = known.not_before;
        (self.failures, self.setbacks) = (known.failures, known.setbacks);
    }

    /// Forgets the new tokens: those who made them may not count any more.
    pub fn forget_fetched(&mut self) {
        self.steps.extend(std::mem::take(&mut self.fetched).into_iter().map(|(step, _)| step));
    }

    /// The merge patch that stores its tokens. By the UID, so that they never get onto a run that was made again; other changes do not matter,
    /// since a token proves itself.
    pub fn patch(&self) -> String {
        let fetched = self.fetched.iter().map(|(step, token)| (&step.step, token));
        let tokens: BTreeMap<&String, &String> = self.tokens.iter().chain(fetched).collect();
        let tokens = json!(tokens).to_string();
        json!({"metadata": {"uid": self.id.uid, "annotations": {ANNOTATION: tokens}}}).to_string()
    }
}

/// Whether a token proves nothing only because certificates, which were valid until `not_after`, have expired while it was made: by this
/// clock, or by the TSA's, which is right within the skew. The TSA has done nothing wrong then.
pub fn is_too_late(error: &OutOfWindow, not_after: UnixSeconds, now: UnixSeconds) -> bool {
    matches!(error, OutOfWindow::NotValid { at } if now > not_after || *at >= not_after)
}
