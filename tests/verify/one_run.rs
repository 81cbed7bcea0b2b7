//! The steps of a TaskRun ran in one pod, one after the other. Each is signed as its own identity signs it, so only what the steps say
//! of the run tells that they do not belong together: such attestations come from a second pod of the same name, or from a stolen key.

use crate::support;

use std::time::Duration;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    attestation::bare,
    signed::{self, judge, reasons},
};
use svidence::{
    evidence::{
        attestation::{self, Attestation, Ended, PodName, ResultsFrom, SignedOutcome},
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    standin::ca::DevCa,
    verify::{Trust, Verdict},
};
use unixtime::{UnixMillis, UnixSeconds};

const STEPS: [&str; 3] = ["one", "two", "three"];

/// When the first step started.
const STARTED: i64 = 1_795_500_000;

fn authority() -> DevCa {
    DevCa::new("example.org", UnixSeconds::new(STARTED - 60), &SystemRandom::new()).unwrap()
}

fn trust(ca: &DevCa) -> Trust {
    let clock_skew = Duration::from_secs(10);
    Trust { now: UnixSeconds::new(STARTED + 200), clock_skew, ..signed::trust(&ca.bundle_pem()) }
}

/// What the three steps of `run` sign, each a second after the one before it.
fn honest() -> [Attestation; 3] {
    let started = u64::try_from(STARTED).unwrap() * 1000;
    [0, 1, 2].map(|place| Attestation {
        pod_uid: Some([7; 16]),
        step_index: place,
        step_count: 3,
        started: UnixMillis::new(started + u64::from(place) * 1000),
        duration: Duration::from_millis(10),
        ..bare(Vec::new())
    })
}

/// The TaskRun of which the steps say that, each signed with an identity of the TaskRun's; the steps `left_out` left nothing.
fn task_run(ca: &DevCa, steps: &[Attestation; 3], left_out: &[usize]) -> Value {
    let random = SystemRandom::new();
    let (mut states, mut results) = (Vec::new(), Vec::new());
    for (place, step) in steps.iter().enumerate() {
        let name = STEPS[place];
        let mut state =
            json!({"name": name, "container": format!("step-{name}"), "terminated": {"exitCode": 0}});
        if !left_out.contains(&place) {
            let issued = UnixSeconds::new(STARTED);
            let svid = ca.issue("/ns/default/taskrun/run", &[], issued, Duration::from_secs(3600), &random);
            let svid = svid.unwrap();
            let mut step = Attestation { leaf: svid.certificate.clone(), ..step.clone() };
            let leaf = sha256(&svid.certificate);
            let context = Context { trust_domain: "example.org", step: name, results: &[], leaf };
            let text = pre_authentication_encoding(&statement(&step, context));
            step.signature =
                SigningKey::from_pkcs8(&svid.key).unwrap().sign_attestation(&text, &random).unwrap();
            let (key, value) = (attestation::key(name), step.to_value());
            let exit_code = if step.outcome.ended == Ended::Exited(0) { 0 } else { 1 };
            state["terminated"]["exitCode"] = json!(exit_code);
            state["terminated"]["message"] =
                json!(json!([{"key": key, "value": value, "type": 1}]).to_string());
            results.push(json!({"name": key, "type": "string", "value": value}));
        }
        states.push(state);
    }
    let created = UnixSeconds::new(STARTED - 1).to_string();
    let task = json!({"steps": STEPS.map(|name| json!({"name": name}))});
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {
            "name": "run", "namespace": "default", "uid": "78322e13-a738-4556-be59-2b2445332751",
            "creationTimestamp": created,
        },
        "spec": {"taskSpec": task},
        "status": {
            "taskSpec": task,
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "podName": "run-pod", "startTime": created, "completionTime": UnixSeconds::new(STARTED + 100).to_string(),
            "results": results, "steps": states,
        },
    })
}

type Change = fn(&mut [Attestation; 3]);

/// Moves a step's start so that it is that long before the signature of the step before it.
fn overlap(steps: &mut [Attestation; 3], place: usize, milliseconds: u64) {
    let ended = steps[place - 1].started.get() + 10;
    steps[place].started = UnixMillis::new(ended - milliseconds);
}

#[test]
fn all_steps_say_the_same_of_their_run() {
    let ca = authority();
    let cases: [(&str, Change, Verdict, &str); 15] = [
        ("nothing", |_| {}, Verdict::Verified, ""),
        (
            "a step of a second pod of this name",
            |steps| steps[1].pod_uid = Some([8; 16]),
            Verdict::Invalid,
            "the pod's UID is 07070707-0707-0707-0707-070707070707 in step one and 08080808-0808-0808-0808-080808080808 in step two",
        ),
        (
            "no step knows its pod",
            |steps| steps.iter_mut().for_each(|step| step.pod_uid = None),
            Verdict::Verified,
            "",
        ),
        (
            "one step does not know its pod",
            |steps| steps[1].pod_uid = None,
            Verdict::Unchecked,
            "the pod's UID is 07070707-0707-0707-0707-070707070707 in step one and not known in step two",
        ),
        (
            "a step of a pod of another name",
            |steps| steps[2].pod_name = PodName::Named("other".to_owned()),
            Verdict::Invalid,
            "the pod's name is run-pod in step one and other in step three",
        ),
        (
            "one step does not know its pod's name",
            |steps| steps[2].pod_name = PodName::Unknown,
            Verdict::Unchecked,
            "the pod's name is run-pod in step one and not known in step three",
        ),
        (
            "a step of a pod with more steps",
            |steps| steps[1].step_count = 4,
            Verdict::Invalid,
            "the number of steps is 3 in step one and 4 in step two",
        ),
        (
            "a step that hands its results over in another way",
            |steps| steps[1].results_from = ResultsFrom::SidecarLogs,
            Verdict::Invalid,
            "the way of results is",
        ),
        (
            "a step in the place of another one",
            |steps| steps[1].step_index = 2,
            Verdict::Invalid,
            "step two: the step's position is 1 in the TaskRun, but the evidence says 2",
        ),
        (
            "a step starts as late before the signature as clocks may differ",
            |steps| overlap(steps, 1, 10_000),
            Verdict::Verified,
            "",
        ),
        (
            "a step starts earlier than that",
            |steps| overlap(steps, 1, 10_001),
            Verdict::Invalid,
            "step one signed after the next signed step had started",
        ),
        (
            "the last step starts earlier than that",
            |steps| overlap(steps, 2, 10_001),
            Verdict::Invalid,
            "step two signed after the next signed step had started",
        ),
        (
            "a step that signed after a failure",
            |steps| steps[0].outcome = SignedOutcome { ended: Ended::Exited(1), continued: false },
            Verdict::Invalid,
            "step two signed although an earlier step had signed a failure",
        ),
        (
            "a failure after which the others run",
            |steps| steps[0].outcome = SignedOutcome { ended: Ended::Exited(1), continued: true },
            Verdict::Verified,
            "",
        ),
        (
            "more steps than the object has",
            |steps| steps.iter_mut().for_each(|step| step.step_count = 4),
            Verdict::Invalid,
            "the number of steps is 3 in the TaskRun, but the evidence says 4",
        ),
    ];
    let trust = trust(&ca);
    for (case, change, verdict, told) in cases {
        let mut steps = honest();
        change(&mut steps);
        let report = judge(&task_run(&ca, &steps, &[]), &trust);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains(told), "{case}: {}", reasons(&report));
    }
}

/// Without `status.steps` only the places that are signed tell which steps there were.
#[test]
fn without_steps_in_the_object_the_signed_places_tell_which_there_were() {
    let ca = authority();
    let cases: [(&str, Change, &[usize], Verdict, &str); 6] = [
        ("nothing", |_| {}, &[], Verdict::Verified, ""),
        ("the step in the middle is missing", |_| {}, &[1], Verdict::Invalid, "number 1"),
        (
            "the last step is missing",
            |_| {},
            &[2],
            Verdict::Absent,
            "step number 2 (from 0) was ended before it could sign",
        ),
        (
            "two steps in one place",
            |steps| steps[1].step_index = 0,
            &[],
            Verdict::Invalid,
            "claims the place 0, which another step signed for",
        ),
        (
            "two steps in the last place",
            |steps| steps[1].step_index = 2,
            &[],
            Verdict::Invalid,
            "claims the place 2, which another step signed for",
        ),
        (
            "a step that signed after a failure",
            |steps| steps[1].outcome = SignedOutcome { ended: Ended::Exited(1), continued: false },
            &[],
            Verdict::Invalid,
            "step three signed although an earlier step had signed a failure",
        ),
    ];
    let trust = trust(&ca);
    for (case, change, left_out, verdict, told) in cases {
        let mut steps = honest();
        change(&mut steps);
        let mut object = task_run(&ca, &steps, left_out);
        object["status"].as_object_mut().unwrap().retain(|field, _| field == "results");
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains(told), "{case}: {}", reasons(&report));
    }
}

/// Artifacts are merged into one list in the status, and without steps nothing says which step signed which.
#[test]
fn without_steps_in_the_object_signed_artifacts_are_not_compared() {
    let ca = authority();
    for (case, signs, verdict) in
        [("signed", true, Verdict::Unchecked), ("not signed", false, Verdict::Invalid)]
    {
        let mut steps = honest();
        if signs {
            steps[1].step_artifacts = Some([1; 32]);
        }
        let mut object = task_run(&ca, &steps, &[]);
        object["status"].as_object_mut().unwrap().retain(|field, _| field == "results");
        object["status"]["artifacts"] = json!({"outputs": [{"name": "image"}]});
        let report = judge(&object, &trust(&ca));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains("status.artifacts"), "{case}: {}", reasons(&report));
    }
}
