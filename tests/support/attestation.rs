//! An attestation that says as little as can be.

use svidence::evidence::attestation::{
    Attestation, Ended, Form, PodName, ResultsFrom, SignedOutcome, declared,
};
use unixtime::UnixMillis;

/// Of the one step of TaskRun `run` in the namespace `default`, which ended well and has no results; not signed yet.
pub(crate) fn bare(leaf: Vec<u8>) -> Attestation {
    Attestation {
        namespace: "default".into(),
        task_run: "run".into(),
        task_run_uid: None,
        pod_uid: None,
        pod_name: PodName::Usual,
        step_index: 0,
        step_count: 1,
        declared: declared([], []),
        program: None,
        started: UnixMillis::new(0),
        duration: std::time::Duration::from_millis(0),
        delay: std::time::Duration::from_millis(0),
        outcome: SignedOutcome { ended: Ended::Exited(0), continued: false },
        tep0089: false,
        results_from: ResultsFrom::TerminationMessage,
        form: Form::Digests,
        set_hints: Vec::new(),
        found_hints: Vec::new(),
        results: Vec::new(),
        step_artifacts: None,
        task_artifacts: None,
        leaf,
        intermediates: Vec::new(),
        signature: Vec::new(),
    }
}
