//! Retried TaskRuns: histories as Tekton's controller writes them, and histories that it never wrote.

use crate::support;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::signed::{Cluster, judge, judge_with, reasons, trust};
use svidence::{
    evidence::{
        attestation::Attestation,
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    standin::taskrun::retried,
    verify::{Policy, Trust, Verdict},
};
use unixtime::UnixSeconds;
use zeroize::Zeroizing;

fn results(object: &mut Value) -> &mut Vec<Value> {
    object["status"]["results"].as_array_mut().unwrap()
}

#[test]
fn earlier_attempts_are_judged_as_the_taskruns_they_were() {
    let cluster = Cluster::new("again");
    let failing = "printf no >$RESULTS/a; exit 1";
    let attempts = [
        cluster.attempt("again-pod", failing),
        cluster.attempt("again-pod-retry1", failing),
        cluster.attempt("again-pod-retry2", "printf yes >$RESULTS/a"),
    ];
    let genuine = retried(&attempts);
    let trust = trust(&cluster.ca.bundle_pem());
    let report = judge(&genuine, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    assert!(report.notes.is_empty(), "nothing is amiss: {:?}", report.notes);
    type Alteration = fn(&mut Value);
    let alterations: [(&str, Alteration, Verdict, &str); 11] = [
        (
            "an earlier result",
            |status| status["retriesStatus"][1]["results"][1]["value"] = json!("yes"),
            Verdict::Invalid,
            "attempt 1 (status.retriesStatus[1])",
        ),
        (
            "an earlier exit code",
            |status| status["retriesStatus"][0]["steps"][0]["terminated"]["exitCode"] = json!(0),
            Verdict::Invalid,
            "attempt 0 (status.retriesStatus[0])",
        ),
        (
            "an earlier failure passed off as a success",
            |status| status["retriesStatus"][0]["conditions"][0]["status"] = json!("True"),
            Verdict::Invalid,
            "attempt 0",
        ),
        (
            "two earlier attempts swapped",
            |status| status["retriesStatus"].as_array_mut().unwrap().swap(0, 1),
            Verdict::Invalid,
            "attempt 0",
        ),
        (
            "an earlier attempt in the place of the last",
            |status| {
                let earlier = status["retriesStatus"][0].clone();
                let last = std::mem::replace(status, earlier);
                status["retriesStatus"] = last["retriesStatus"].clone();
            },
            Verdict::Invalid,
            "the attempt is number 2 in the TaskRun",
        ),
        (
            "the last attempt's steps in an earlier one",
            |status| status["retriesStatus"][0]["steps"] = status["steps"].clone(),
            Verdict::Invalid,
            "attempt 0",
        ),
        (
            "an attempt left out",
            |status| {
                status["retriesStatus"].as_array_mut().unwrap().remove(1);
            },
            Verdict::Invalid,
            "the attempt is number 1 in the TaskRun",
        ),
        (
            "an attempt added",
            |status| status["retriesStatus"].as_array_mut().unwrap().push(json!({})),
            Verdict::Invalid,
            "the attempt is number 3 in the TaskRun",
        ),
        (
            "a field in another case",
            |status| status["retriesStatus"][0]["Results"] = json!([]),
            Verdict::Unchecked,
            "status.retriesStatus[0]",
        ),
        (
            "an earlier attempt's evidence removed",
            |status| {
                status["retriesStatus"][0]["results"] = json!([]);
                status["retriesStatus"][0]["steps"][0]["terminated"]["message"] = json!("");
            },
            Verdict::Verified,
            "",
        ),
        (
            "an earlier attempt of which nothing is left",
            |status| status["retriesStatus"][1] = json!({}),
            Verdict::Verified,
            "",
        ),
    ];
    for (case, alter, verdict, told) in alterations {
        let mut altered = genuine.clone();
        alter(&mut altered["status"]);
        let report = judge(&altered, &trust);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains(told), "{case}: {}", reasons(&report));
        let is_noted = report.notes.iter().any(|note| note.contains("is not verified"));
        assert!(is_noted || verdict != Verdict::Verified, "{case}: {:?}", report.notes);
    }
}

/// With the node's network a pod does not know its name; the steps' times still tell the attempts apart.
#[test]
fn attempts_that_do_not_know_their_pods_name_follow_each_other() {
    let cluster = Cluster::new("again");
    let mut attempts = [0, 1].map(|i| {
        let mut object = cluster.attempt("node-17", "printf v >$RESULTS/a");
        object["status"]["podName"] = json!(["again-pod", "again-pod-retry1"][i]);
        object
    });
    attempts[0]["status"]["conditions"][0]["status"] = json!("False");
    let strict = Trust { clock_skew: std::time::Duration::from_secs(0), ..trust(&cluster.ca.bundle_pem()) };
    let judge = |attempts: &[Value; 2]| {
        let mut object = retried(attempts);
        // Whole seconds, which the attestations exceed.
        for status in ["/status", "/status/retriesStatus/0"] {
            object.pointer_mut(status).unwrap()["completionTime"] = Value::Null;
        }
        judge(&object, &strict)
    };
    let now = |report: &svidence::verify::Report| reasons(report);
    let report = judge(&attempts);
    assert_eq!(report.verdict, Verdict::Verified, "{}", now(&report));
    attempts.swap(0, 1);
    let report = judge(&attempts);
    assert!(now(&report).contains("attempt 0 signed after attempt 1 had started"), "{}", now(&report));
}

/// The same attempt, signed anew as having run in the pod of this UID: the test's pods do not show theirs.
fn in_pod(object: &Value, pod_uid: [u8; 16], cluster: &Cluster) -> Value {
    let key = "SVIDENCE.one.sig";
    let mut object = object.clone();
    let entry = results(&mut object).iter().find(|result| result["name"] == key).unwrap().clone();
    let mut attestation = Attestation::from_value(entry["value"].as_str().unwrap()).unwrap();
    let (random, now) = (SystemRandom::new(), cluster.created.unix_timestamp());
    let svid = cluster
        .ca
        .issue(
            "/ns/default/taskrun/again",
            &[],
            UnixSeconds::new(now),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap();
    (attestation.pod_uid, attestation.leaf) = (Some(pod_uid), svid.certificate);
    let context = Context {
        trust_domain: "example.org",
        step: "one",
        results: &attestation.results,
        leaf: sha256(&attestation.leaf),
    };
    let signed = pre_authentication_encoding(&statement(&attestation, context));
    let signer = SigningKey::from_pkcs8(&Zeroizing::new(svid.key.to_vec())).unwrap();
    attestation.signature = signer.sign_attestation(&signed, &random).unwrap();
    let in_results = results(&mut object).iter_mut().find(|result| result["name"] == key).unwrap();
    in_results["value"] = json!(attestation.to_value());
    let message = object.pointer_mut("/status/steps/0/terminated/message").unwrap();
    *message =
        json!(message.as_str().unwrap().replace(entry["value"].as_str().unwrap(), &attestation.to_value()));
    object
}

/// They follow each other within what clocks may differ, so only the pod's UID tells that one of them appears twice.
#[test]
fn one_pod_is_not_two_attempts_with_another_one_between_them() {
    let cluster = Cluster::new("again");
    let configuration = [("svidence-evidence", "attestation")];
    let attempts: [Value; 3] = std::array::from_fn(|place| {
        let mut object = cluster.attempt_of("node-17", &["printf v >$RESULTS/a"], &configuration);
        object["status"]["podName"] = json!(["again-pod", "again-pod-retry1", "again-pod-retry2"][place]);
        object["status"]["conditions"][0]["status"] = json!(if place == 2 { "True" } else { "False" });
        object
    });
    for (pods, told) in [
        ([1, 2, 3], None),
        ([1, 1, 2], Some("the attempts 0 and 1 ran in one pod")),
        ([1, 2, 1], Some("the attempts 0 and 2 ran in one pod")),
    ] {
        let attempts: [Value; 3] = std::array::from_fn(|i| in_pod(&attempts[i], [pods[i]; 16], &cluster));
        let report = judge(&retried(&attempts), &trust(&cluster.ca.bundle_pem()));
        let expected = if told.is_some() { Verdict::Invalid } else { Verdict::Verified };
        assert_eq!(report.verdict, expected, "{pods:?}: {}", reasons(&report));
        assert!(reasons(&report).contains(told.unwrap_or_default()), "{pods:?}: {}", reasons(&report));
    }
}

const FAILING: &str = "printf no >$RESULTS/a; exit 1";
const GOOD: &str = "printf yes >$RESULTS/a";

/// What the controller leaves of an attempt that follows `before` and never starts (`retryTaskRun` and `failTaskRun` of
/// Tekton's `pkg/reconciler/taskrun`): `podName`, times and results are emptied, steps are kept. `pod` is the name of a pod that
/// was made and not scheduled.
fn never_ran(before: &Value, pod: Option<&str>, reason: &str) -> Value {
    let mut attempt = before.clone();
    let status = attempt["status"].as_object_mut().unwrap();
    status.remove("results");
    status.remove("podName");
    if let Some(pod) = pod {
        status.insert("podName".into(), json!(pod));
    }
    let now = status["startTime"].clone();
    status.insert("completionTime".into(), now);
    status.insert(
        "conditions".into(),
        json!([{"type": "Succeeded", "status": "False", "reason": reason, "message": "no luck"}]),
    );
    attempt
}

/// The controller's words for a step that it ended itself (`terminateStepsInPod`).
fn ended_by_controller(attempt: &mut Value, step: usize, pod: &str) {
    let state = &mut attempt["status"]["steps"][step];
    let name = state["name"].as_str().unwrap().to_owned();
    *state = json!({
        "name": name, "container": format!("step-{name}"), "terminationReason": "TaskRunTimeout",
        "terminated": {
            "exitCode": 1, "reason": "TaskRunTimeout",
            "message": format!("Step {name} terminated as pod {pod} is terminated"),
        },
    });
}

/// The object as `tekton.dev/v1beta1` has it.
fn in_v1beta1(mut object: Value) -> Value {
    object["apiVersion"] = json!("tekton.dev/v1beta1");
    let status = object["status"].as_object_mut().unwrap();
    let rename = |status: &mut serde_json::Map<String, Value>| {
        if let Some(results) = status.remove("results") {
            status.insert("taskResults".into(), results);
        }
    };
    rename(status);
    for attempt in status.get_mut("retriesStatus").and_then(Value::as_array_mut).into_iter().flatten() {
        rename(attempt.as_object_mut().unwrap());
    }
    object
}

/// The pods' names of the attempts of TaskRun `again`.
const PODS: [&str; 4] = ["again-pod", "again-pod-retry1", "again-pod-retry2", "again-pod-retry3"];

#[test]
fn an_attempt_that_never_started_shows_the_steps_of_the_one_before() {
    let cluster = Cluster::new("again");
    let failed = cluster.attempt(PODS[0], FAILING);
    let [good1, good2, good3] = [1, 2, 3].map(|number| cluster.attempt(PODS[number], GOOD));
    let timeout = "TaskRunTimeout";
    let unscheduled = |before: &Value, number: usize| never_ran(before, Some(PODS[number]), timeout);
    let without_pod = |before: &Value| never_ran(before, None, "ExceededResourceQuota");

    // A first attempt whose pod was never scheduled has no steps at all.
    let mut no_steps = unscheduled(&failed, 0);
    no_steps["status"].as_object_mut().unwrap().remove("steps");
    let mut no_image = unscheduled(&failed, 0);
    ended_by_controller(&mut no_image, 0, PODS[0]);
    // Its node died, and nobody ended its step; so the controller did when the next attempt timed out.
    let mut node_died = never_ran(&failed, Some(PODS[0]), "Failed");
    node_died["status"]["steps"][0] = json!({
        "name": "one", "container": "step-one", "running": {"startedAt": "2026-11-28T08:00:00Z"},
    });
    let mut after_node_died = unscheduled(&node_died, 1);
    ended_by_controller(&mut after_node_died, 0, PODS[1]);
    let mut half = cluster.attempt_of(PODS[0], &[GOOD, FAILING], &[]);
    half["status"].as_object_mut().unwrap().remove("results");
    half["status"]["conditions"][0]["status"] = json!("False");
    ended_by_controller(&mut half, 1, PODS[0]);
    let whole = cluster.attempt_of(PODS[2], &[GOOD, GOOD], &[]);
    let mut waiting = without_pod(&failed);
    waiting["status"]["conditions"] =
        json!([{"type": "Succeeded", "status": "Unknown", "reason": "ToBeRetried"}]);

    let once = unscheduled(&failed, 1);
    let histories: [(&str, Vec<Value>, Verdict, &str); 14] = [
        (
            "never scheduled",
            vec![failed.clone(), once.clone(), good2.clone()],
            Verdict::Verified,
            "attempt 1 never ran",
        ),
        (
            "no pod",
            vec![failed.clone(), without_pod(&failed), good2.clone()],
            Verdict::Verified,
            "attempt 1 never ran",
        ),
        (
            "twice",
            vec![failed.clone(), once.clone(), unscheduled(&once, 2), good3.clone()],
            Verdict::Verified,
            "attempt 2 never ran",
        ),
        (
            "no pod twice",
            vec![failed.clone(), without_pod(&failed), without_pod(&failed), good3],
            Verdict::Verified,
            "attempt 2 never ran",
        ),
        (
            "the first one, without steps",
            vec![no_steps.clone(), good1.clone()],
            Verdict::Verified,
            "attempt 0 is not",
        ),
        (
            "the first one's image cannot be pulled",
            vec![no_image, good1.clone()],
            Verdict::Verified,
            "attempt 0 is not",
        ),
        (
            "after one whose node died",
            vec![node_died, after_node_died, good2.clone()],
            Verdict::Verified,
            "attempt 1 never ran",
        ),
        (
            "after one that timed out between its steps",
            vec![half.clone(), unscheduled(&half, 1), whole],
            Verdict::Verified,
            "attempt 1 never ran",
        ),
        (
            "the last one, never scheduled",
            vec![failed.clone(), once.clone()],
            Verdict::Absent,
            "its last attempt (number 1",
        ),
        (
            "the last one, no pod",
            vec![failed.clone(), without_pod(&failed)],
            Verdict::Absent,
            "its last attempt (number 1",
        ),
        (
            "the last two",
            vec![failed.clone(), once.clone(), unscheduled(&once, 2)],
            Verdict::Absent,
            "its last attempt (number 2",
        ),
        (
            "cancelled before the next pod was made",
            vec![failed.clone(), never_ran(&failed, None, "TaskRunCancelled")],
            Verdict::Absent,
            "its last attempt (number 1",
        ),
        ("waiting for the next attempt", vec![failed.clone(), waiting], Verdict::Absent, "has not finished"),
        ("the only one", vec![no_steps], Verdict::Absent, "no step signed anything"),
    ];
    let trust = trust(&cluster.ca.bundle_pem());
    for (case, attempts, verdict, told) in histories {
        let object = retried(&attempts);
        for object in [in_v1beta1(object.clone()), object] {
            let case = format!("{case}, {}", object["apiVersion"]);
            let report = judge(&object, &trust);
            assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
            let said = format!("{}; {}", reasons(&report), report.notes.join("; "));
            assert!(said.contains(told), "{case}: {said}");
        }
    }
}

/// Nobody signs how many attempts there were: what is left of each must fit its place.
#[test]
fn no_history_that_tekton_never_wrote_is_verified() {
    let cluster = Cluster::new("again");
    let failed = cluster.attempt(PODS[0], FAILING);
    let unscheduled = never_ran(&failed, Some(PODS[1]), "TaskRunTimeout");
    let genuine = retried(&[failed.clone(), unscheduled.clone(), cluster.attempt(PODS[2], GOOD)]);
    let trust = trust(&cluster.ca.bundle_pem());
    assert_eq!(judge(&genuine, &trust).verdict, Verdict::Verified);
    type Alteration<'a> = &'a dyn Fn(&mut Value);
    let shown = |earlier: &Value, status: &mut Value| {
        let history = status["retriesStatus"].take();
        *status = earlier["status"].clone();
        status["retriesStatus"] = history;
    };
    let attempts = |status: &mut Value, change: &dyn Fn(&mut Vec<Value>)| {
        change(status["retriesStatus"].as_array_mut().unwrap());
    };
    let succeeded = || json!([{"type": "Succeeded", "status": "True"}]);
    let forgeries: [(&str, Alteration<'_>, Verdict); 14] = [
        ("the first attempt as the last", &|status| shown(&failed, status), Verdict::Invalid),
        (
            "the same as a success",
            &|status| {
                shown(&failed, status);
                status["conditions"] = succeeded();
            },
            Verdict::Invalid,
        ),
        (
            "the first attempt as the last, as if it had not run",
            &|status| {
                shown(&unscheduled, status);
                status["podName"] = json!(PODS[2]);
            },
            Verdict::Absent,
        ),
        (
            "the same as a success",
            &|status| {
                shown(&unscheduled, status);
                status["podName"] = json!(PODS[2]);
                status["conditions"] = succeeded();
            },
            Verdict::Invalid,
        ),
        (
            "the same with its results",
            &|status| {
                shown(&unscheduled, status);
                status["podName"] = json!(PODS[2]);
                status["results"] = failed["status"]["results"].clone();
            },
            Verdict::Invalid,
        ),
        (
            "without the one that ran",
            &|status| attempts(status, &|all| drop(all.remove(0))),
            Verdict::Invalid,
        ),
        (
            "without the one that never ran",
            &|status| attempts(status, &|all| drop(all.remove(1))),
            Verdict::Invalid,
        ),
        ("swapped", &|status| attempts(status, &|all| all.swap(0, 1)), Verdict::Invalid),
        (
            "the first one twice",
            &|status| attempts(status, &|all| all.insert(0, all[0].clone())),
            Verdict::Invalid,
        ),
        (
            "the one that never ran twice",
            &|status| attempts(status, &|all| all.insert(1, all[1].clone())),
            Verdict::Invalid,
        ),
        (
            "one that never ran and succeeded",
            &|status| attempts(status, &|all| all[1]["conditions"] = succeeded()),
            Verdict::Invalid,
        ),
        (
            "one that never ran and has results",
            &|status| attempts(status, &|all| all[1]["results"] = all[0]["results"].clone()),
            Verdict::Invalid,
        ),
        (
            "one that never ran in the pod of the first",
            &|status| attempts(status, &|all| all[1]["podName"] = json!(PODS[0])),
            Verdict::Invalid,
        ),
        (
            "one that never ran and ended otherwise",
            &|status| attempts(status, &|all| all[1]["steps"][0]["terminated"]["exitCode"] = json!(0)),
            Verdict::Invalid,
        ),
    ];
    for (case, alter, verdict) in forgeries {
        let mut altered = genuine.clone();
        alter(&mut altered["status"]);
        let report = judge(&altered, &trust);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
}

/// A step that the controller ended while it waited for its next pod has left nothing, whatever the attempt says.
#[test]
fn an_attempt_whose_step_left_something_ran() {
    let cluster = Cluster::new("again");
    let failed = cluster.attempt(PODS[0], FAILING);
    let good = cluster.attempt(PODS[2], GOOD);
    let mut node_died = never_ran(&failed, Some(PODS[0]), "Failed");
    node_died["status"]["steps"][0] = json!({
        "name": "one", "container": "step-one", "running": {"startedAt": "2026-11-28T08:00:00Z"},
    });
    let mut unscheduled = never_ran(&node_died, Some(PODS[1]), "TaskRunTimeout");
    ended_by_controller(&mut unscheduled, 0, PODS[1]);
    let message = failed["status"]["steps"][0]["terminated"]["message"].clone();
    let left = json!([{"name": "a", "type": "string", "value": "v"}]);
    for (case, member, value) in [
        ("nothing", "/name", json!("one")),
        ("a message", "/terminated/message", message),
        ("a result", "/results", left.clone()),
        ("an input", "/inputs", json!([{"name": "a"}])),
        ("an output", "/outputs", json!([{"name": "a"}])),
    ] {
        let mut attempt = unscheduled.clone();
        let step = &mut attempt["status"]["steps"][0];
        match member.strip_prefix("/terminated/") {
            Some(member) => step["terminated"][member] = value,
            None => step[&member[1..]] = value,
        }
        let report =
            judge(&retried(&[node_died.clone(), attempt, good.clone()]), &trust(&cluster.ca.bundle_pem()));
        let never = report.notes.iter().any(|note| note.contains("attempt 1 never ran"));
        assert_eq!(never, case == "nothing", "{case}: {}; {:?}", reasons(&report), report.notes);
    }
}

/// `testdata/attacks`: it was called invalid.
#[test]
fn a_retry_whose_pod_was_never_scheduled_does_not_make_the_taskrun_invalid() {
    let object = serde_json::from_str(include_str!("../../testdata/attacks/retry-good.json")).unwrap();
    let now = UnixSeconds::parse("2026-11-28T08:30:00Z").unwrap();
    let trust = Trust { now, ..trust(include_str!("../../testdata/attacks/retry-good.pem")) };
    let report = judge_with(&object, &trust, &Policy { accept_unproven_time: true, ..Policy::default() });
    assert!(report.accepted, "{}", reasons(&report));
    assert!(report.notes.iter().any(|note| note.contains("attempt 1 never ran")), "{:?}", report.notes);
}
