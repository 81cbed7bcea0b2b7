//! When a step says that it signed, compared with the times in the object and the verifier's clock: how far they may be apart,
//! to the second.

use crate::one_step;
use crate::pki;

use std::time::Duration;

use crate::support::attestation::bare;
use one_step::one_step_of;
use pki::{Key, Plan};
use serde_json::{Value, json};
use svidence::{
    evidence::attestation::Attestation,
    tekton::taskrun::TaskRun,
    verify::{Policy, Trust, Verdict, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use unixtime::{UnixMillis, UnixSeconds};

/// Unix seconds; the step started and signed within the first second after each.
const STARTED: i64 = 1_790_000_000;
const SIGNED: i64 = STARTED + 300;

/// Seconds.
const SKEW: i64 = 10;

fn signed() -> (Value, Vec<u8>) {
    let (ca, workload) = (Key::new(1), Key::new(2));
    let root = Plan::ca("ca", "ca", "example.org").issue(&ca, &ca);
    let leaf = Plan::leaf("spiffe://example.org/ns/default/taskrun/timed")
        .with(|leaf| (leaf.start, leaf.end) = (STARTED - 3600, SIGNED + 3600))
        .issue(&workload, &ca);
    let attestation = Attestation {
        task_run: "timed".into(),
        started: UnixMillis::new(STARTED as u64 * 1000 + 100),
        duration: Duration::from_millis(290_000),
        delay: Duration::from_millis(10_899),
        ..bare(leaf)
    };
    let (mut object, _) = one_step_of(attestation, SIGNED, workload.pkcs8());
    object["metadata"]["creationTimestamp"] = json!(UnixSeconds::new(STARTED - 1).to_string());
    object["status"]["startTime"] = json!(UnixSeconds::new(STARTED - 1).to_string());
    (object, root)
}

/// What is set in the object, the time it is judged at and the time stated with `--at`.
type Times = (Option<(&'static str, &'static str, i64)>, i64, Option<i64>);

#[test]
fn times_may_be_apart_by_the_clock_skew_and_not_a_second_more() {
    let (genuine, root) = signed();
    let created = ("metadata", "creationTimestamp");
    let (started, completed) = (("status", "startTime"), ("status", "completionTime"));
    let field =
        |(part, name): (&'static str, &'static str), time| (Some((part, name, time)), SIGNED + 60, None);
    let cases: [(&str, Times, Option<&str>); 11] = [
        ("created as late as clocks may be apart", field(created, STARTED + SKEW), None),
        ("created later", field(created, STARTED + SKEW + 1), Some("before the TaskRun was created")),
        ("started as late as clocks may be apart", field(started, STARTED + SKEW), None),
        ("started later", field(started, STARTED + SKEW + 1), Some("before the TaskRun started")),
        ("completed as early as clocks may be apart", field(completed, SIGNED - SKEW), None),
        ("completed earlier", field(completed, SIGNED - SKEW - 1), Some("after the TaskRun was completed")),
        ("the verifier's clock is late", (None, SIGNED - SKEW, None), None),
        ("the verifier's clock is later", (None, SIGNED - SKEW - 1, None), Some("in the future")),
        ("the stated time is early", (None, SIGNED + 60, Some(SIGNED - SKEW)), None),
        (
            "the stated time is earlier",
            (None, SIGNED + 60, Some(SIGNED - SKEW - 1)),
            Some("after the time you stated"),
        ),
        ("none differs", (None, SIGNED + 60, None), None),
    ];
    for (case, (changed, now, at), wrong) in cases {
        let mut object = genuine.clone();
        if let Some((part, name, time)) = changed {
            object[part][name] = json!(UnixSeconds::new(time).to_string());
        }
        let trust_domain = TrustDomain::new("example.org").unwrap();
        let trust = Trust {
            bundle: X509Bundle::from_der(trust_domain, &root).unwrap(),
            intermediates: vec![],
            now: UnixSeconds::new(now),
            at: at.map(UnixSeconds::new),
            clock_skew: Duration::from_secs(SKEW.unsigned_abs()),
        };
        let report = verify(&TaskRun::from_value(object).unwrap(), &trust, &Policy::default());
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        match wrong {
            None => assert_eq!(report.verdict, Verdict::Verified, "{case}: {findings:?}"),
            Some(wrong) => {
                assert_eq!(report.verdict, Verdict::Invalid, "{case}: {findings:?}");
                assert!(findings.iter().any(|finding| finding.contains(wrong)), "{case}: {findings:?}");
            }
        }
    }
}
