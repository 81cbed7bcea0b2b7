//! Objects that hold only a part of a TaskRun: results without steps, a part of the results.

use crate::support;

use serde_json::{Value, json};
use support::signed::{Cluster, judge, judge_with, reasons, trust};
use svidence::{
    standin::taskrun::assemble,
    verify::{Policy, PolicyFile, Verdict},
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
    let accepting = Policy { accept_not_carried: true, ..Policy::default() };
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
            "evidence of more steps than a pod has containers",
            of(|run| {
                let more =
                    |i| json!({"name": format!("SVIDENCE.s{i}.sig"), "type": "string", "value": "sv1.x"});
                results(run).extend((0..1001).map(more));
            }),
            Verdict::Unchecked,
            vec![],
            Verdict::Unchecked,
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
    let accepting = |demanded| Policy { demanded, accept_not_carried: true, ..Policy::default() };
    for (name, verdict) in [("a", Verdict::Weak), ("b", Verdict::Absent), ("mapped", Verdict::Absent)] {
        let policy = accepting(vec![name.into()]);
        let report = judge_with(&object, &trust(&cluster.ca.bundle_pem()), &policy);
        assert_eq!((report.verdict, report.accepted), (verdict, name == "a"), "{name}: {}", reasons(&report));
    }
    let report = judge_with(&object, &trust(&cluster.ca.bundle_pem()), &accepting(vec![]));
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

#[test]
fn a_claimed_name_is_one_that_a_task_can_declare() {
    let cluster = Cluster::new("part");
    let genuine = results_alone(&cluster, "attestation", "1");
    for (name, verdict) in [
        ("mapped", Verdict::Verified),
        ("x)\tdefault/part\tdigest", Verdict::Invalid),
        ("a b", Verdict::Invalid),
        ("", Verdict::Invalid),
    ] {
        let mut object = genuine.clone();
        results(&mut object).iter_mut().find(|result| result["name"] == "mapped").unwrap()["name"] =
            json!(name);
        let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
        assert_eq!(report.verdict, verdict, "{name:?}: {}", reasons(&report));
    }
    // One step result is one task result.
    let mut object = genuine;
    let mut second = results(&mut object).iter().find(|result| result["name"] == "mapped").unwrap().clone();
    second["name"] = json!("approved");
    results(&mut object).push(second);
    let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
}

#[test]
fn results_alone_do_not_hide_that_the_taskrun_failed_nor_which_attempt_it_is() {
    let cluster = Cluster::new("again");
    let trust = trust(&cluster.ca.bundle_pem());
    for (pod_name, script, failed, of_attempt) in [
        ("again-pod", "printf no >$RESULTS/a; exit 1", true, "it is of attempt 0, and nothing says"),
        ("again-pod-retry1", "printf yes >$RESULTS/a", false, "it is of attempt 1, and nothing says"),
        ("node-17", "printf yes >$RESULTS/a", false, "nothing says of which attempt it is"),
    ] {
        let mut object = cluster.attempt(pod_name, script);
        object["status"] = json!({"results": object["status"]["results"]});
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{pod_name}: {}", reasons(&report));
        let is_noted = |text: &str| report.notes.iter().any(|note| note.contains(text));
        assert_eq!(
            is_noted("the TaskRun failed, as step one signed"),
            failed,
            "{pod_name}: {:?}",
            report.notes
        );
        assert!(is_noted(of_attempt), "{pod_name}: {:?}", report.notes);
        let rules = json!([{"namespace": "default", "taskRun": "again"}]);
        let file = json!({"version": 1, "expires": "2999-01-01T00:00:00Z", "rules": rules}).to_string();
        let policy = Policy { file: Some(PolicyFile::parse(&file).unwrap()), ..Policy::default() };
        let expected = if failed { Verdict::Invalid } else { Verdict::Verified };
        assert_eq!(
            judge_with(&object, &trust, &policy).verdict,
            expected,
            "{pod_name}: a policy without failures"
        );
        // With the condition the object tells it itself.
        object["status"]["conditions"] = json!([{"type": "Succeeded", "status": "True"}]);
        let expected = if failed { Verdict::Invalid } else { Verdict::Verified };
        assert_eq!(judge(&object, &trust).verdict, expected, "{pod_name}");
    }
}

/// The stricter of rule and command line wins, and a rule may vouch for a name that is only claimed.
#[test]
fn policies_hold_for_results_alone() {
    let cluster = Cluster::new("part");
    let whole = results_alone(&cluster, "attestation", "1");
    let mut lacking = whole.clone();
    remove(&mut lacking, "b");
    let mapped = |from: &str, step_result: &str| json!({"results": [{"name": "mapped", "from": from, "stepResult": step_result}]});
    for (case, object, rule, accept_not_carried, verdict, accepted) in [
        ("all is there", &whole, json!({}), false, Verdict::Verified, true),
        ("neither accepts", &lacking, json!({}), false, Verdict::Weak, false),
        ("only the command line accepts", &lacking, json!({}), true, Verdict::Weak, false),
        ("only the rule accepts", &lacking, json!({"notCarried": true}), false, Verdict::Weak, false),
        ("both accept", &lacking, json!({"notCarried": true}), true, Verdict::Weak, true),
        (
            "a demanded result is not carried",
            &lacking,
            json!({"notCarried": true, "results": [{"name": "b"}]}),
            true,
            Verdict::Absent,
            false,
        ),
        ("a claimed name", &whole, json!({"results": [{"name": "mapped"}]}), false, Verdict::Absent, false),
        ("a name that the rule vouches for", &whole, mapped("one", "own"), false, Verdict::Verified, true),
        ("another step's result", &whole, mapped("two", "own"), false, Verdict::Absent, false),
        ("another result of the step", &whole, mapped("one", "other"), false, Verdict::Absent, false),
    ] {
        let mut rule = rule;
        rule["namespace"] = json!("default");
        rule["taskRun"] = json!("part");
        let file = json!({"version": 1, "expires": "2999-01-01T00:00:00Z", "rules": [rule]}).to_string();
        let file = Some(PolicyFile::parse(&file).unwrap());
        let policy = Policy { accept_not_carried, file, ..Policy::default() };
        let report = judge_with(object, &trust(&cluster.ca.bundle_pem()), &policy);
        assert_eq!((report.verdict, report.accepted), (verdict, accepted), "{case}: {}", reasons(&report));
    }
}
