//! Objects that hold only a part of a TaskRun: results without steps, a part of the results, earlier attempts.

#![cfg(feature = "cli")]

mod support;

use serde_json::{Value, json};
use support::signed::{Cluster, judge, judge_with, reasons, trust};
use svidence::{
    devagent::taskrun::{RunSpec, assemble, retried},
    verify::{Policy, Verdict},
};

/// The TaskRun of two steps with everything that an archive may leave out; its results alone.
fn results_alone(cluster: &Cluster, evidence: &str, containers: &str) -> Value {
    let configuration = [("svidence-evidence", evidence), ("svidence-containers", containers)];
    let pod = cluster.pod(&["one", "two"], &configuration);
    let step = |i: usize| pod.step(i).signed(&cluster.agent.address()).results(&["a", "b", "list"]);
    let script = r#"printf v >$RESULTS/a; printf w >$RESULTS/b; printf '["x"]' >$RESULTS/list; printf o >$STEP_RESULTS/own"#;
    let one = step(0).step_results(&["own"]).script(script).run();
    let two = step(1).run();
    let spec = cluster.spec(json!({
        "results": [
            {"name": "a", "type": "string"}, {"name": "b", "type": "string"}, {"name": "list", "type": "array"},
            {"name": "mapped", "type": "string", "value": "$(steps.one.results.own)"},
        ],
        "steps": [{"name": "one", "results": [{"name": "own", "type": "string"}]}, {"name": "two"}],
    }));
    let mut object = assemble(&spec, &[one.report, two.report]);
    object["spec"] = json!({});
    object["status"] = json!({"results": object["status"]["results"]});
    object
}

fn results(object: &mut Value) -> &mut Vec<Value> {
    object["status"]["results"].as_array_mut().unwrap()
}

fn remove(object: &mut Value, name: &str) {
    results(object).retain(|result| result["name"] != name);
}

fn set(object: &mut Value, name: &str, value: Value) {
    results(object).iter_mut().find(|result| result["name"] == name).unwrap()["value"] = value;
}

#[test]
fn what_is_not_carried_is_told_apart_from_what_was_changed() {
    let cluster = Cluster::new("part");
    let succeeded = json!([{"type": "Succeeded", "status": "True"}]);
    let failed = json!([{"type": "Succeeded", "status": "False"}]);
    type Alteration<'a> = Box<dyn Fn(&mut Value) + 'a>;
    let of = |alter: fn(&mut Value)| -> Alteration<'_> { Box::new(alter) };
    let all = ["outcome", "outcome"];
    // What is done, the verdict with digests, what is not carried then, the verdict with hints.
    let cases: Vec<(&str, Alteration<'_>, Verdict, Vec<&str>, Verdict)> = vec![
        ("nothing", of(|_| {}), Verdict::Verified, all.to_vec(), Verdict::Verified),
        (
            "a result left out",
            of(|run| remove(run, "a")),
            Verdict::Weak,
            vec!["outcome", "outcome", "task/a"],
            Verdict::Unchecked,
        ),
        (
            "a result with its digest left out",
            of(|run| remove(run, "list")),
            Verdict::Weak,
            vec!["outcome", "outcome", "task/list"],
            Verdict::Weak,
        ),
        (
            "the mapped result left out",
            of(|run| remove(run, "mapped")),
            Verdict::Verified,
            vec!["outcome", "outcome", "step/own"],
            Verdict::Verified,
        ),
        (
            "a TEP-0089 entry left out",
            of(|run| remove(run, "a.sig")),
            Verdict::Verified,
            all.to_vec(),
            Verdict::Verified,
        ),
        (
            "the SVID left out",
            of(|run| remove(run, "SVID")),
            Verdict::Verified,
            all.to_vec(),
            Verdict::Verified,
        ),
        ("a value", of(|run| set(run, "a", json!("forged"))), Verdict::Invalid, vec![], Verdict::Unchecked),
        ("a list", of(|run| set(run, "list", json!(["y"]))), Verdict::Invalid, vec![], Verdict::Unchecked),
        (
            "two values swapped",
            of(|run| {
                set(run, "a", json!("w"));
                set(run, "b", json!("v"));
            }),
            Verdict::Invalid,
            vec![],
            Verdict::Unchecked,
        ),
        (
            "a result added",
            of(|run| results(run).push(json!({"name": "approved", "type": "string", "value": "yes"}))),
            Verdict::Invalid,
            vec![],
            Verdict::Unchecked,
        ),
        (
            "a result twice",
            of(|run| {
                let copy = results(run)[0].clone();
                results(run).push(copy);
            }),
            Verdict::Invalid,
            vec![],
            Verdict::Invalid,
        ),
        (
            "the first step's evidence left out",
            of(|run| remove(run, "SVIDENCE.one.sig")),
            Verdict::Invalid,
            vec![],
            Verdict::Invalid,
        ),
        (
            "the last step's evidence left out, of a success",
            Box::new(|run| {
                run["status"]["conditions"] = succeeded.clone();
                remove(run, "SVIDENCE.two.sig");
            }),
            Verdict::Invalid,
            vec![],
            Verdict::Invalid,
        ),
        (
            "the last step's evidence left out, of a failure",
            Box::new(|run| {
                run["status"]["conditions"] = failed.clone();
                remove(run, "SVIDENCE.two.sig");
            }),
            Verdict::Absent,
            vec![],
            Verdict::Absent,
        ),
        (
            "a step's evidence under another name",
            of(|run| {
                let copy =
                    results(run).iter().find(|result| result["name"] == "SVIDENCE.one.sig").unwrap().clone();
                results(run).push(copy);
                results(run).last_mut().unwrap()["name"] = json!("SVIDENCE.three.sig");
            }),
            Verdict::Invalid,
            vec![],
            Verdict::Unchecked,
        ),
        ("no evidence", of(|run| results(run).truncate(0)), Verdict::Absent, vec![], Verdict::Absent),
        (
            "steps that are none",
            of(|run| run["status"]["steps"] = json!([])),
            Verdict::Absent,
            vec![],
            Verdict::Absent,
        ),
        (
            "a run that has not finished",
            of(|run| run["status"]["conditions"] = json!([{"type": "Succeeded", "status": "Unknown"}])),
            Verdict::Absent,
            vec![],
            Verdict::Absent,
        ),
        (
            "artifacts nobody signed",
            of(|run| run["status"]["artifacts"] = json!({"outputs": [{"name": "image"}]})),
            Verdict::Invalid,
            vec![],
            Verdict::Invalid,
        ),
    ];
    for (form, evidence) in [("both", "both"), ("digests", "attestation"), ("hints", "attestation")] {
        // So many containers that no other form fits.
        let containers = if form == "hints" { 12..=30 } else { 1..=1 };
        let mut objects = containers.rev().map(|count| results_alone(&cluster, evidence, &count.to_string()));
        let genuine = objects.find(|object| !object.to_string().contains("unsigned: ")).unwrap();
        let trust = trust(&cluster.ca.bundle_pem());
        for (case, alter, with_digests, not_carried, with_hints) in &cases {
            let mut object = genuine.clone();
            if case.contains("TEP-0089") || case.contains("SVID left") {
                if form != "both" {
                    continue;
                }
                assert!(object.to_string().contains("\"a.sig\""), "{case}: TEP-0089 entries are there");
            }
            alter(&mut object);
            let report = judge(&object, &trust);
            let expected = if form == "hints" { with_hints } else { with_digests };
            assert_eq!(report.verdict, *expected, "{case} ({form}): {}", reasons(&report));
            let accepting = Policy { accept_not_carried: true, ..Policy::default() };
            let report = judge_with(&object, &trust, &accepting);
            let good = matches!(expected, Verdict::Verified | Verdict::Weak);
            assert_eq!(report.accepted, good, "{case} ({form}), accepted: {}", reasons(&report));
            let Some(proof) = report.proof.filter(|_| form != "hints") else { continue };
            let mut items: Vec<String> =
                proof.not_carried.iter().map(|other| other.item.to_string()).collect();
            items.sort();
            assert_eq!(items, *not_carried, "{case} ({form})");
            assert!(
                proof.is_partial && report.notes.iter().any(|note| note.contains("partial")),
                "{case} ({form})"
            );
        }
    }
}

#[test]
fn a_demanded_result_that_is_not_carried_is_absent_and_a_claimed_name_meets_no_demand() {
    let cluster = Cluster::new("part");
    let mut object = results_alone(&cluster, "attestation", "1");
    remove(&mut object, "b");
    let accepting = Policy { accept_not_carried: true, ..Policy::default() };
    for (name, verdict) in [("a", Verdict::Weak), ("b", Verdict::Absent), ("mapped", Verdict::Absent)] {
        let policy = Policy { demanded: vec![name.into()], ..accepting.clone() };
        let report = judge_with(&object, &trust(&cluster.ca.bundle_pem()), &policy);
        assert_eq!((report.verdict, report.accepted), (verdict, name == "a"), "{name}: {}", reasons(&report));
    }
    let report = judge_with(&object, &trust(&cluster.ca.bundle_pem()), &accepting);
    let claimed = |name: &str| {
        let results = &report.proof.as_ref().unwrap().results;
        let result = results.iter().find(|result| result.name == name).unwrap();
        (result.name_is_claimed, result.type_is_claimed)
    };
    assert_eq!(
        [claimed("a"), claimed("list"), claimed("mapped")],
        [(false, false), (false, true), (true, false)]
    );
}

/// One attempt of a TaskRun: what its pod of this name leaves behind.
fn attempt(cluster: &Cluster, pod_name: &str, script: &str) -> Value {
    let mut pod = cluster.pod(&["one"], &[]);
    pod.name = pod_name.to_owned();
    let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]);
    let outcome = step.script(script).run();
    let task = json!({"results": [{"name": "a", "type": "string"}], "steps": [{"name": "one"}]});
    let spec = RunSpec { pod_name: pod_name.to_owned(), ..cluster.spec(task) };
    assemble(&spec, &[outcome.report])
}

#[test]
fn earlier_attempts_are_judged_as_the_taskruns_they_were() {
    let cluster = Cluster::new("again");
    let failing = "printf no >$RESULTS/a; exit 1";
    let attempts = [
        attempt(&cluster, "again-pod", failing),
        attempt(&cluster, "again-pod-retry1", failing),
        attempt(&cluster, "again-pod-retry2", "printf yes >$RESULTS/a"),
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
        let mut object = attempt(&cluster, "node-17", "printf v >$RESULTS/a");
        object["status"]["podName"] = json!(["again-pod", "again-pod-retry1"][i]);
        object
    });
    attempts[0]["status"]["conditions"][0]["status"] = json!("False");
    let strict = svidence::verify::Trust { clock_skew: 0, ..trust(&cluster.ca.bundle_pem()) };
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
