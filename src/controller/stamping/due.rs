//! A run that lacks tokens.

use std::{collections::BTreeMap, time::Instant};

use serde_json::json;
use unixtime::UnixSeconds;

use crate::{
    controller::judging::run_id::RunId,
    tekton::taskrun::{ANNOTATION, TaskRun},
    verify::{
        Report, Verdict,
        prove::time::{ToStamp, read_annotation},
    },
};

/// A run that is verified, some of whose steps have no good token yet.
#[derive(Debug)]
pub struct Due {
    /// The run.
    pub id: RunId,
    /// The steps without one.
    pub steps: Vec<ToStamp>,
    /// Tokens that are good, in base64, by the steps' names.
    pub tokens: BTreeMap<String, String>,
    /// How many of these are new.
    pub fetched: usize,
    /// It is not looked at before.
    pub not_before: Instant,
    /// How often it has failed because of itself.
    pub failures: u32,
}

impl Due {
    /// What a verified TaskRun lacks; `None`: nothing, or it is not verified, so that no token would make it so.
    pub fn of(id: &RunId, object: &TaskRun, report: &Report, at: Instant) -> Option<Self> {
        let proof = report.proof.as_ref().filter(|_| report.verdict == Verdict::Verified)?;
        let there =
            object.metadata.annotations.timestamps.as_ref().and_then(read_annotation).unwrap_or_default();
        let (stamped, lacking): (Vec<_>, Vec<_>) =
            proof.basis.steps().partition(|step| step.time.stamp.is_some());
        if lacking.is_empty() {
            return None;
        }
        let tokens = stamped.iter().filter_map(|step| there.get_key_value(&step.name));
        Some(Self {
            id: id.clone(),
            steps: lacking.iter().map(|step| step.to_stamp()).collect(),
            tokens: tokens.map(|(step, token)| (step.clone(), token.clone())).collect(),
            fetched: 0,
            not_before: at,
            failures: 0,
        })
    }

    /// The last second in which all that it lacks can be had; `None`: it lacks nothing.
    pub fn not_after(&self) -> Option<UnixSeconds> {
        self.steps.iter().map(ToStamp::not_after).min()
    }

    /// The merge patch that stores its tokens. By the UID, so that they never get onto a run that was made again; other changes do not matter,
    /// since a token proves itself.
    pub fn patch(&self) -> String {
        let tokens = json!(self.tokens).to_string();
        json!({"metadata": {"uid": self.id.uid, "annotations": {ANNOTATION: tokens}}}).to_string()
    }
}
