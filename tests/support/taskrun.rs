//! TaskRuns for tests, assembled by the same code that serves the demo.

use serde_json::Value;
use svidence::standin::taskrun::{RunSpec, StepReport};
use time::{Duration, OffsetDateTime};

/// 2026-11-22 05:30:09 UTC and some seconds.
pub fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_325_409).unwrap() + Duration::seconds(seconds)
}

/// TaskRun `name` of namespace `default`, created at [`at`]`(0)`.
pub fn spec(name: &str, task_spec: Value) -> RunSpec {
    RunSpec {
        namespace: "default".into(),
        name: name.into(),
        uid: "78322e13-a738-4556-be59-2b2445332751".into(),
        pod_name: format!("{name}-pod"),
        created: at(0),
        task_spec,
    }
}

/// A step that ran from [`at`]`(5)` to [`at`]`(6)`.
pub fn step(name: &str, message: &str, exit_code: i32) -> StepReport {
    StepReport {
        name: name.into(),
        message: message.as_bytes().to_vec(),
        exit_code,
        started: at(5),
        finished: at(6),
    }
}
