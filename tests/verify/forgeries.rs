//! What somebody who may write a TaskRun's status can try, and that none of it is verified.
//!
//! The genuine TaskRuns come from the real entrypoint; the Workload API is the embedded one, since the forgeries do not
//! depend on who issued the identity (`spire_sign.rs` has the real one).

use crate::support;

use std::sync::OnceLock;

use proptest::prelude::*;
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::signed::{Cluster, judge, judge_with, reasons, trust};
use svidence::{
    evidence::{
        attestation::{Attestation, Form},
        sha256,
    },
    standin::{ca::DevCa, taskrun::assemble},
    tekton::taskrun::TaskRun,
    verify::{Detail, Policy, Side, Trust, Verdict},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

/// One TaskRun with everything in it, under one form of evidence.
struct Genuine {
    form: &'static str,
    object: Value,
    trust: Trust,
}

/// The same TaskRun with digests and TEP-0089 entries, with digests, and with hints.
fn genuine() -> &'static [Genuine] {
    static GENUINE: OnceLock<Vec<Genuine>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        [
            ("both", &[("svidence-containers", "1")][..]),
            ("digests", &[("svidence-containers", "1"), ("svidence-evidence", "attestation")]),
            ("hints", &[("svidence-containers", "14")]),
        ]
        .into_iter()
        .map(|(form, configuration)| run(form, configuration))
        .collect()
    })
}

fn run(form: &'static str, configuration: &[(&str, &str)]) -> Genuine {
    let cluster = Cluster::new("forge");
    let pod = cluster.pod(&["build", "flaky", "report"], configuration);
    let results = ["digest", "commit", "images", "text"];
    let steps = [
        pod.step(0)
            .results(&results)
            .script("printf sha256:0123 >$RESULTS/digest; printf main >$RESULTS/commit"),
        pod.step(1)
            .results(&results)
            .step_results(&["own"])
            .flags(&["-on_error", "continue"])
            .script("printf mine >$STEP_RESULTS/own; exit 3"),
        pod.step(2)
            .results(&results)
            .script("printf '[\"a\", \"b\"]' >$RESULTS/images; printf a,b >$RESULTS/text"),
    ];
    let reports: Vec<_> = steps
        .into_iter()
        .map(|step| {
            let outcome = step.signed(&cluster.agent.address()).run();
            assert_eq!(outcome.output.status.code(), Some(0), "{form}: {}", outcome.stderr());
            outcome.report
        })
        .collect();
    let spec = cluster.spec(json!({
        "results": [
            {"name": "digest", "type": "string"}, {"name": "commit", "type": "string"},
            {"name": "images", "type": "array"}, {"name": "text", "type": "string"},
            {"name": "from-step", "type": "string", "value": "$(steps.flaky.results.own)"},
        ],
        "steps": [
            {"name": "build"}, {"name": "flaky", "results": [{"name": "own", "type": "string"}]}, {"name": "report"},
        ],
    }));
    Genuine { form, object: assemble(&spec, &reports), trust: trust(&cluster.ca.bundle_pem()) }
}

#[test]
fn the_genuine_taskruns_are_verified() {
    for Genuine { form, object, trust } in genuine() {
        let report = judge(object, trust);
        assert_eq!(report.verdict, Verdict::Verified, "{form}: {}", reasons(&report));
        let proof = report.proof.unwrap();
        let mut shown: Vec<String> = proof
            .results
            .iter()
            .map(|r| {
                format!(
                    "{}={} ({}{})",
                    r.name,
                    r.value.canonical_json(),
                    r.step,
                    if r.set { "" } else { ", found" }
                )
            })
            .collect();
        shown.sort();
        let expected = [
            r#"commit="main" (build)"#,
            r#"digest="sha256:0123" (build)"#,
            r#"from-step="mine" (flaky)"#,
            r#"images=["a","b"] (report)"#,
            r#"text="a,b" (report)"#,
        ];
        assert_eq!(shown, expected, "{form}");
        assert!(!proof.run_bound_by_certificate, "{form}: the certificate does not name the run");
    }
    let form = |i: usize| attestation(&genuine()[i].object, "report");
    assert!(form(0).tep0089 && form(0).form == Form::Digests, "{:?}", form(0));
    assert!(!form(1).tep0089 && form(1).form == Form::Digests, "{:?}", form(1));
    assert!(!form(2).tep0089 && form(2).form == Form::Hints, "{:?}", form(2));
}

fn attestation(object: &Value, step: &str) -> Attestation {
    let key = format!("SVIDENCE.{step}.sig");
    let mut object = object.clone();
    let value = find(&mut object["status"]["results"], "name", &key)["value"].as_str().unwrap().to_owned();
    Attestation::from_value(&value).unwrap()
}

fn find<'a>(list: &'a mut Value, member: &str, name: &str) -> &'a mut Value {
    list.as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|entry| entry[member] == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

fn result<'a>(run: &'a mut Value, name: &str) -> &'a mut Value {
    find(&mut run["status"]["results"], "name", name)
}

fn step<'a>(run: &'a mut Value, name: &str) -> &'a mut Value {
    find(&mut run["status"]["steps"], "name", name)
}

/// Edits the entries of one step's message, or of all.
fn messages(run: &mut Value, step: Option<&str>, edit: impl Fn(&mut Vec<Value>)) {
    for state in run["status"]["steps"].as_array_mut().unwrap() {
        if step.is_some_and(|step| state["name"] != step) {
            continue;
        }
        let message = &mut state["terminated"]["message"];
        let mut entries: Vec<Value> = serde_json::from_str(message.as_str().unwrap()).unwrap();
        edit(&mut entries);
        *message = json!(serde_json::to_string(&entries).unwrap());
    }
}

fn set(entries: &mut [Value], key: &str, value: &Value) {
    for entry in entries.iter_mut().filter(|entry| entry["key"] == key) {
        entry["value"] = value.clone();
    }
}

fn remove(list: &mut Value, member: &str, name: &str) {
    list.as_array_mut().unwrap().retain(|entry| entry[member] != name);
}

fn everywhere(run: &mut Value, name: &str, value: &str) {
    result(run, name)["value"] = json!(value);
    messages(run, None, |entries| set(entries, name, &json!(value)));
}

fn swap_attestations(run: &mut Value, one: &str, two: &str) {
    let keys = [format!("SVIDENCE.{one}.sig"), format!("SVIDENCE.{two}.sig")];
    let values = [result(run, &keys[0])["value"].clone(), result(run, &keys[1])["value"].clone()];
    result(run, &keys[0])["value"] = values[1].clone();
    result(run, &keys[1])["value"] = values[0].clone();
    messages(run, Some(one), |entries| set(entries, &keys[0], &values[1]));
    messages(run, Some(two), |entries| set(entries, &keys[1], &values[0]));
}

type Alteration = fn(&mut Value);

const FORGERIES: &[(&str, Alteration)] = &[
    ("a value in the status", |run| result(run, "digest")["value"] = json!("sha256:bad")),
    ("a value everywhere", |run| everywhere(run, "digest", "sha256:bad")),
    ("two values swapped everywhere (F1)", |run| {
        everywhere(run, "digest", "main");
        messages(run, None, |entries| set(entries, "commit", &json!("sha256:0123")));
        result(run, "commit")["value"] = json!("sha256:0123");
    }),
    ("two names swapped in the status", |run| {
        result(run, "digest")["name"] = json!("x");
        result(run, "commit")["name"] = json!("digest");
        result(run, "x")["name"] = json!("commit");
    }),
    ("an array cut differently (F2)", |run| {
        result(run, "images")["value"] = json!(["a,b"]);
        messages(run, None, |entries| set(entries, "images", &json!("[\"a,b\"]")));
    }),
    ("an array becomes a string (F3)", |run| {
        *result(run, "images") = json!({"name": "images", "type": "string", "value": "a,b"});
        messages(run, None, |entries| set(entries, "images", &json!("a,b")));
    }),
    ("a string becomes an object (F4)", |run| {
        *result(run, "text") = json!({"name": "text", "type": "object", "value": {"a": "b"}});
        messages(run, None, |entries| set(entries, "text", &json!("{\"a\":\"b\"}")));
    }),
    ("the same JSON written differently", |run| {
        messages(run, None, |entries| set(entries, "images", &json!("[\"a\",\"b\"]")));
    }),
    ("replay into a later run of the name (F5)", |run| {
        run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        run["metadata"]["creationTimestamp"] = json!("2099-01-01T00:00:00Z");
    }),
    ("replay into another run", |run| run["metadata"]["name"] = json!("other")),
    ("replay into another namespace", |run| run["metadata"]["namespace"] = json!("other")),
    ("no creation time", |run| run["metadata"]["creationTimestamp"] = Value::Null),
    ("a result dropped everywhere (F6)", |run| {
        remove(&mut run["status"]["results"], "name", "commit");
        messages(run, None, |entries| entries.retain(|entry| entry["key"] != "commit"));
    }),
    ("a result dropped from the status", |run| remove(&mut run["status"]["results"], "name", "commit")),
    ("a result added everywhere (F7)", |run| {
        let added = json!({"name": "approved", "type": "string", "value": "yes"});
        run["status"]["results"].as_array_mut().unwrap().push(added);
        messages(run, None, |entries| entries.push(json!({"key": "approved", "value": "yes", "type": 1})));
    }),
    ("a result added to the status", |run| {
        let added = json!({"name": "approved", "type": "string", "value": "yes"});
        run["status"]["results"].as_array_mut().unwrap().push(added);
    }),
    ("a result that looks like a signature", |run| {
        let added = json!({"name": "evil.sig", "type": "string", "value": "yes"});
        run["status"]["results"].as_array_mut().unwrap().push(added);
        messages(run, Some("build"), |entries| {
            entries.push(json!({"key": "evil.sig", "value": "yes", "type": 1}))
        });
    }),
    ("the same result twice", |run| {
        let copy = result(run, "digest").clone();
        run["status"]["results"].as_array_mut().unwrap().push(copy);
    }),
    ("a key twice in a message", |run| {
        messages(run, Some("build"), |entries| {
            entries.push(json!({"key": "digest", "value": "x", "type": 1}))
        });
    }),
    ("an entry of an unknown type", |run| {
        messages(run, Some("build"), |entries| entries.push(json!({"key": "x", "value": "x", "type": 10})));
    }),
    ("artifacts nobody signed", |run| {
        messages(run, Some("build"), |entries| {
            entries.push(json!({"key": "/p.json", "value": "{}", "type": 5}))
        });
    }),
    ("a task result relabelled as a step result", |run| {
        messages(run, Some("build"), |entries| {
            entries
                .iter_mut()
                .filter(|entry| entry["key"] == "digest")
                .for_each(|entry| entry["type"] = json!(4));
        });
    }),
    ("a step result changed in the status", |run| step(run, "flaky")["results"][0]["value"] = json!("yours")),
    ("a step result dropped from the status", |run| step(run, "flaky")["results"] = json!([])),
    ("a step result added", |run| {
        step(run, "build")["results"] = json!([{"name": "x", "type": "string", "value": "y"}]);
    }),
    ("a mapped result changed", |run| result(run, "from-step")["value"] = json!("yours")),
    ("a declared name passed off as a mapped one", |run| {
        let mapped = json!({"name": "digest", "type": "string", "value": "$(steps.flaky.results.own)"});
        run["status"]["taskSpec"]["results"][0] = mapped;
        result(run, "digest")["value"] = json!("mine");
    }),
    ("two steps' attestations swapped", |run| swap_attestations(run, "build", "report")),
    ("two steps relabelled", |run| {
        step(run, "build")["name"] = json!("x");
        step(run, "report")["name"] = json!("build");
        step(run, "x")["name"] = json!("report");
    }),
    ("steps in another order", |run| run["status"]["steps"].as_array_mut().unwrap().reverse()),
    ("a step removed", |run| remove(&mut run["status"]["steps"], "name", "flaky")),
    ("a step added", |run| {
        let mut copy = step(run, "build").clone();
        copy["name"] = json!("extra");
        copy["container"] = json!("step-extra");
        run["status"]["steps"].as_array_mut().unwrap().push(copy);
    }),
    ("one step's evidence removed", |run| {
        remove(&mut run["status"]["results"], "name", "SVIDENCE.build.sig");
        messages(run, Some("build"), |entries| entries.retain(|entry| entry["key"] != "SVIDENCE.build.sig"));
    }),
    ("one step's evidence removed from the status", |run| {
        remove(&mut run["status"]["results"], "name", "SVIDENCE.build.sig");
    }),
    ("another step's attestation as one's own", |run| {
        let copy = attestation(run, "report").to_value();
        result(run, "SVIDENCE.build.sig")["value"] = json!(copy);
        messages(run, Some("build"), |entries| set(entries, "SVIDENCE.build.sig", &json!(copy)));
    }),
    ("a second attestation in a message", |run| {
        let copy =
            json!({"key": "SVIDENCE.report.sig", "value": attestation(run, "report").to_value(), "type": 1});
        messages(run, Some("build"), |entries| entries.push(copy.clone()));
    }),
    ("an exit code", |run| step(run, "flaky")["terminated"]["exitCode"] = json!(0)),
    ("a failure that was not continued", |run| step(run, "flaky")["terminationReason"] = json!("Error")),
    ("a step said to be skipped", |run| step(run, "build")["terminationReason"] = json!("Skipped")),
    ("another pod", |run| run["status"]["podName"] = json!("other-pod")),
    ("another attempt", |run| run["status"]["retriesStatus"] = json!([{}])),
    ("an earlier completion", |run| run["status"]["completionTime"] = json!("2020-01-01T00:00:00Z")),
    ("a message cut short", |run| {
        let message = &mut run["status"]["steps"][0]["terminated"]["message"];
        let text = message.as_str().unwrap();
        *message = json!(text[..text.len() - 9]);
    }),
    ("results taken out of the messages and left in the status", |run| {
        messages(run, None, |entries| {
            entries.retain(|entry| entry["key"].as_str().unwrap().starts_with("SVIDENCE."))
        });
    }),
    ("evidence stripped, results kept", |run| {
        let is_evidence = |name: &Value| name.as_str().unwrap().starts_with("SVIDENCE.");
        run["status"]["results"].as_array_mut().unwrap().retain(|entry| !is_evidence(&entry["name"]));
        messages(run, None, |entries| entries.retain(|entry| !is_evidence(&entry["key"])));
    }),
    ("a signed result declared again as another step's", |run| {
        let again = json!({"name": "digest", "type": "string", "value": "$(steps.flaky.results.own)"});
        for spec in ["spec", "status"] {
            run[spec]["taskSpec"]["results"].as_array_mut().unwrap().push(again.clone());
        }
        result(run, "digest")["value"] = json!("mine");
    }),
    ("a mapped name with line breaks", |run| {
        let name = "x)\t\"\"\ndefault/forge\tdigest\t\"sha256:evil\"";
        run["status"]["taskSpec"]["results"][4]["name"] = json!(name);
        result(run, "from-step")["name"] = json!(name);
    }),
    ("a mapped name of evidence", |run| {
        run["status"]["taskSpec"]["results"][4]["name"] = json!("SVIDENCE.x.sig");
        result(run, "from-step")["name"] = json!("SVIDENCE.x.sig");
    }),
    ("artifacts of a step", |run| {
        let made = json!([{"name": "img", "buildOutput": true, "values": [{"uri": "pkg:evil", "digest": {"sha256": "00"}}]}]);
        step(run, "build")["outputs"] = made;
    }),
    ("artifacts of the task", |run| {
        run["status"]["artifacts"] = json!({"outputs": [{"name": "img", "values": [{"uri": "pkg:evil"}]}]});
    }),
    ("a result dropped under the pretext of its type", |run| {
        run["status"]["conditions"][0]["status"] = json!("False");
        run["status"]["taskSpec"]["results"][0]["type"] = json!("array");
        remove(&mut run["status"]["results"], "name", "digest");
    }),
    ("no task in the status", |run| {
        run["status"].as_object_mut().unwrap().remove("taskSpec");
    }),
    ("a step result relabelled by its inline task", |run| {
        run["spec"]["taskSpec"]["results"][4]["name"] = json!("digest");
    }),
    ("fields in another case beside the real ones", |run| {
        run["status"]["Results"] = json!([{"name": "digest", "type": "string", "value": "sha256:evil"}]);
    }),
    ("a field in a case that only Go folds", |run| {
        run["status"]["re\u{17f}ults"] =
            json!([{"name": "digest", "type": "string", "value": "sha256:evil"}]);
    }),
    ("results where only v1beta1 has them", |run| {
        let results = run["status"].as_object_mut().unwrap().remove("results").unwrap();
        run["status"]["taskResults"] = results;
    }),
    ("a second list of results, where v1beta1 has them", |run| {
        run["status"]["taskResults"] = json!([{"name": "digest", "type": "string", "value": "sha256:evil"}]);
    }),
    ("v1beta1 with results where only v1 has them", |run| {
        run["apiVersion"] = json!("tekton.dev/v1beta1");
    }),
    ("a damaged message that a lenient reader still reads", |run| {
        let message = &mut run["status"]["steps"][0]["terminated"]["message"];
        *message = json!(format!(" {}", message.as_str().unwrap().replace("sha256:0123", "sha256:evil")));
    }),
    ("a message that begins with another character", |run| {
        let message = &mut run["status"]["steps"][0]["terminated"]["message"];
        *message = json!(format!("x{}", message.as_str().unwrap()));
    }),
    ("a task that declares one step more", |run| {
        let steps = run["status"]["taskSpec"]["steps"].as_array_mut().unwrap();
        steps.push(json!({"name": "extra"}));
    }),
    ("an internal entry in a message", |run| {
        messages(run, Some("build"), |entries| {
            entries.push(json!({"key": "ExitCode", "value": "0", "type": 3}))
        });
    }),
    ("an invented name for an attempt", |run| run["status"]["retriesStatus"] = json!([{}, {}])),
    ("a run that has not finished", |run| run["status"]["conditions"][0]["status"] = json!("Unknown")),
    ("no steps", |run| run["status"]["steps"] = json!([])),
];

#[test]
fn no_forgery_is_verified() {
    for Genuine { form, object, trust } in genuine() {
        for (case, alter) in FORGERIES {
            let mut altered = object.clone();
            alter(&mut altered);
            assert_ne!(&altered, object, "{case} ({form}): nothing was altered");
            let Ok(_) = TaskRun::from_value(altered.clone()) else { continue };
            let everything = Policy {
                accept_tep0089: true,
                accept_unproven_time: true,
                accept_not_carried: true,
                ..Policy::default()
            };
            let report = judge_with(&altered, trust, &everything);
            assert!(
                matches!(report.verdict, Verdict::Invalid | Verdict::Absent | Verdict::Unchecked)
                    || (report.verdict == Verdict::Weak && *case == "evidence stripped, results kept")
                    // Without TEP-0089 entries nothing of theirs can be altered.
                    || altered == *object,
                "{case} ({form}): {}",
                reasons(&report)
            );
            let strict = judge(&altered, trust);
            assert!(!strict.accepted && strict.proof.is_none(), "{case} ({form}): {}", reasons(&strict));
        }
    }
}

#[test]
fn each_contradiction_is_named() {
    let cases: [(&str, Alteration, &[&str]); 12] = [
        (
            "a result without evidence in the status",
            |run| {
                let added = json!({"name": "approved", "type": "string", "value": "yes"});
                run["status"]["results"].as_array_mut().unwrap().push(added);
            },
            &["[status]", "the result approved was added"],
        ),
        (
            "a result without evidence in a message",
            |run| {
                messages(run, Some("build"), |entries| {
                    entries.push(json!({"key": "x", "value": "y", "type": 1}))
                });
            },
            &["[result-added]", "step build: the result x"],
        ),
        (
            "a step result without evidence in a message",
            |run| {
                messages(run, Some("build"), |entries| {
                    entries.push(json!({"key": "x", "value": "y", "type": 4}))
                });
            },
            &["[result-added]", "step build: the step result x"],
        ),
        (
            "a step of a name that Kubernetes does not admit",
            |run| step(run, "build")["name"] = json!("build it"),
            &["[status]", "the step's name is missing, appears twice or is not one that Kubernetes admits"],
        ),
        (
            "more steps than a pod has containers",
            |run| {
                let steps: Vec<Value> = (0..1001).map(|i| json!({"name": format!("s{i}")})).collect();
                run["status"]["steps"] = json!(steps);
            },
            &["[undecided]", "the status has 1001 steps, more than any pod has containers"],
        ),
        (
            "evidence without its result in the status",
            |run| remove(&mut run["status"]["results"], "name", "commit"),
            &["[result-missing]", "task/commit in status.results"],
        ),
        (
            "evidence without its result in a message",
            |run| messages(run, Some("build"), |entries| entries.retain(|entry| entry["key"] != "commit")),
            &["[result-missing]", "step build"],
        ),
        (
            "a changed result in the status",
            |run| result(run, "digest")["value"] = json!("bad"),
            &["[result-changed]", "task/digest in status.results"],
        ),
        (
            "a wrong order of steps",
            |run| run["status"]["steps"].as_array_mut().unwrap().swap(0, 1),
            &["[differs]", "step flaky: the step's position is 0 in the TaskRun, but the evidence says 1"],
        ),
        (
            "a missing step",
            |run| remove(&mut run["status"]["steps"], "name", "flaky"),
            &["[differs]", "the number of steps is 2 in the TaskRun, but the evidence says 3"],
        ),
        (
            "a missing step's evidence",
            |run| {
                remove(&mut run["status"]["results"], "name", "SVIDENCE.flaky.sig");
                messages(run, Some("flaky"), |entries| {
                    entries.retain(|entry| entry["key"] != "SVIDENCE.flaky.sig");
                });
            },
            &["[uncovered]", "step flaky has no attestation"],
        ),
        (
            "a message that the controller could not decompress",
            |run| step(run, "build")["terminated"]["message"] = json!("tknz:S0ktLlGyUlAqS8wpTVWqBQA"),
            &["[undecided]", "step build: its termination message is still compressed"],
        ),
    ];
    for Genuine { form, object, trust } in genuine() {
        for (case, alter, told) in cases {
            let mut altered = object.clone();
            alter(&mut altered);
            let reasons = reasons(&judge(&altered, trust));
            assert!(told.iter().all(|told| reasons.contains(told)), "{case} ({form}): {reasons}");
        }
    }
}

/// Of every signature another one follows that is as good to ECDSA: two forms of evidence of one step would be two proofs.
#[test]
fn the_other_form_of_a_signature_is_refused() {
    for Genuine { form, object, trust } in genuine() {
        let mut other = attestation(object, "build");
        let (r, s) = p256::ecdsa::Signature::from_slice(&other.signature).unwrap().split_scalars();
        let flipped = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        assert_eq!(flipped.normalize_s().to_bytes().as_slice(), other.signature, "{form}");
        other.signature = flipped.to_bytes().to_vec();
        let value = json!(other.to_value());
        let mut altered = object.clone();
        result(&mut altered, "SVIDENCE.build.sig")["value"] = value.clone();
        messages(&mut altered, Some("build"), |entries| set(entries, "SVIDENCE.build.sig", &value));
        let report = judge(&altered, trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{form}: {}", reasons(&report));
        assert!(reasons(&report).contains("[signature]"), "{form}: {}", reasons(&report));
    }
}

/// Both sides of a changed result are told as digests of the form that is in the status.
#[test]
fn the_digests_of_a_changed_result_are_of_what_was_signed_and_of_what_is_there() {
    let Genuine { object, trust, .. } = &genuine()[1];
    for (name, value, signed, found) in [
        ("digest", json!("bad"), "sha256:0123", "bad"),
        ("images", json!(["a", "x"]), r#"["a","b"]"#, r#"["a","x"]"#),
    ] {
        let mut altered = object.clone();
        result(&mut altered, name)["value"] = value;
        let report = judge(&altered, trust);
        let changed = report.findings.iter().find(|finding| finding.code() == "result-changed");
        let facts = changed.unwrap_or_else(|| panic!("{name}: {}", reasons(&report))).facts();
        let side = |text: &str| Some(Side::Digest(sha256(text.as_bytes())));
        assert_eq!((facts.expected, facts.found), (side(signed), side(found)), "{name}");
    }
}

/// Of a compact certificate only what the authority signed can be rebuilt: another serial number is not what it signed.
#[test]
fn an_altered_compact_certificate_is_called_altered_evidence() {
    for Genuine { form, object, trust } in genuine() {
        let mut other = attestation(object, "build");
        assert_ne!(other.leaf[0], 0x30, "{form}: it is compact");
        // The last byte of the serial number.
        other.leaf[20] ^= 1;
        let value = json!(other.to_value());
        let mut altered = object.clone();
        result(&mut altered, "SVIDENCE.build.sig")["value"] = value.clone();
        messages(&mut altered, Some("build"), |entries| set(entries, "SVIDENCE.build.sig", &value));
        let report = judge(&altered, trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{form}: {}", reasons(&report));
        let facts = report.findings.iter().map(|finding| (finding.code(), finding.facts().detail));
        let altered = ("signature", Some(Detail::ATTESTATION_ALTERED));
        assert!(facts.clone().any(|facts| facts == altered), "{form}: {}", reasons(&report));
    }
}

/// The controller fails a TaskRun with a result of another type than declared, and leaves the result out.
#[test]
fn a_result_that_tekton_leaves_out_is_no_contradiction() {
    let cluster = Cluster::new("typed");
    for (kind, failed, messages, verdict) in [
        ("array", true, true, Verdict::Unchecked),
        ("array", true, false, Verdict::Unchecked),
        ("array", false, true, Verdict::Invalid),
        ("string", true, true, Verdict::Invalid),
    ] {
        let configuration = [("svidence-evidence", "attestation"), ("svidence-containers", "1")];
        let pod = cluster.pod(&["one"], &configuration);
        let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]);
        let report = step.script("printf text >$RESULTS/a").run().report;
        let task = json!({"results": [{"name": "a", "type": kind}], "steps": [{"name": "one"}]});
        let mut object = assemble(&cluster.spec(task), &[report]);
        remove(&mut object["status"]["results"], "name", "a");
        object["status"]["conditions"][0]["status"] = json!(if failed { "False" } else { "True" });
        if !messages {
            step_state(&mut object).as_object_mut().unwrap().remove("message");
        }
        let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
        let case = format!("{kind}, failed: {failed}, messages: {messages}");
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        let told = reasons(&report).contains("Tekton leaves one out that is not of its declared type");
        assert_eq!(told, verdict == Verdict::Unchecked, "{case}: {}", reasons(&report));
    }
}

fn step_state(run: &mut Value) -> &mut Value {
    &mut run["status"]["steps"][0]["terminated"]
}

#[test]
fn another_trust_domain_or_authority_does_not_verify() {
    let Genuine { object, .. } = &genuine()[1];
    let random = SystemRandom::new();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let stranger = DevCa::new("example.org", UnixSeconds::new(now), &random).unwrap();
    let report = judge(object, &trust(&stranger.bundle_pem()));
    // The key ID tells that the issuer is not in the bundle: nothing can be said about the signature.
    assert_eq!(report.verdict, Verdict::Unchecked, "{}", reasons(&report));
    let forged = run_with_stranger(object, &stranger);
    let report = judge(&forged, &genuine()[1].trust);
    assert_ne!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

/// The attestation of `build` with a leaf of another CA carried as DER.
fn run_with_stranger(object: &Value, stranger: &DevCa) -> Value {
    let random = SystemRandom::new();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let svid = stranger
        .issue(
            "/ns/default/taskrun/forge",
            &[],
            UnixSeconds::new(now),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap();
    let mut forged = attestation(object, "build");
    forged.leaf = svid.certificate.clone();
    forged.intermediates = vec![stranger.certificate().to_vec()];
    let mut object = object.clone();
    result(&mut object, "SVIDENCE.build.sig")["value"] = json!(forged.to_value());
    messages(&mut object, Some("build"), |entries| {
        set(entries, "SVIDENCE.build.sig", &json!(forged.to_value()))
    });
    object
}

#[test]
fn a_demanded_result_that_is_not_there_is_absent() {
    for Genuine { form, object, trust } in genuine() {
        for (name, verdict) in
            [("digest", Verdict::Verified), ("sbom", Verdict::Absent), ("", Verdict::Absent)]
        {
            let policy = Policy { demanded: vec![name.into()], ..Policy::default() };
            let report = judge_with(object, trust, &policy);
            assert_eq!(report.verdict, verdict, "{name} ({form}): {}", reasons(&report));
            assert_eq!(report.proof.is_some(), verdict == Verdict::Verified, "{name} ({form})");
        }
    }
}

#[test]
fn an_invented_name_does_not_meet_a_demand() {
    for Genuine { form, object, trust } in genuine() {
        let mut altered = object.clone();
        altered["spec"].as_object_mut().unwrap().remove("taskSpec");
        altered["status"]["taskSpec"]["results"][4]["name"] = json!("approved");
        result(&mut altered, "from-step")["name"] = json!("approved");
        let policy = Policy { demanded: vec!["approved".into()], ..Policy::default() };
        let report = judge_with(&altered, trust, &policy);
        assert_eq!(report.verdict, Verdict::Absent, "{form}: {}", reasons(&report));
    }
}

#[test]
fn types_that_rest_on_the_status_are_claimed() {
    for Genuine { form, object, trust } in genuine() {
        let mut without_inline = object.clone();
        without_inline["spec"].as_object_mut().unwrap().remove("taskSpec");
        let report = judge(&without_inline, trust);
        let proof = report.proof.unwrap_or_else(|| panic!("{form}"));
        let claimed: Vec<&str> = proof
            .results
            .iter()
            .filter(|r| r.name_is_claimed || r.type_is_claimed)
            .map(|r| r.name.as_str())
            .collect();
        assert_eq!(claimed.len(), 2, "{form}: {claimed:?}");
        assert!(claimed.contains(&"images") && claimed.contains(&"from-step"), "{form}: {claimed:?}");
    }
}

#[test]
fn without_messages_a_declared_type_decides_what_a_value_may_be() {
    let removed: Alteration = |run| {
        for step in run["status"]["steps"].as_array_mut().unwrap() {
            step["terminated"].as_object_mut().unwrap().remove("message");
        }
    };
    let evidence_alone: Alteration = |run| {
        messages(run, None, |entries| {
            entries.retain(|entry| entry["key"].as_str().unwrap().starts_with("SVIDENCE."))
        })
    };
    for Genuine { form, object, trust } in genuine() {
        for (case, strip) in [("removed", removed), ("evidence alone", evidence_alone)] {
            let mut retyped = object.clone();
            strip(&mut retyped);
            *result(&mut retyped, "images") =
                json!({"name": "images", "type": "string", "value": "[\"a\", \"b\"]"});
            let report = judge(&retyped, trust);
            assert_eq!(report.verdict, Verdict::Invalid, "{form}, {case}: {}", reasons(&report));
        }
    }
}

#[test]
fn an_object_made_to_exhaust_the_verifier_is_judged_quickly() {
    let Genuine { object, trust, .. } = &genuine()[2];
    let start = std::time::Instant::now();
    let mut many_steps = object.clone();
    let steps: Vec<Value> = (0..20_000).map(|i| json!({"name": format!("s{i}")})).collect();
    many_steps["status"]["steps"] = json!(steps);
    let mut many_results = object.clone();
    let results: Vec<Value> =
        (0..20_000).map(|i| json!({"key": format!("r{i}"), "value": "x", "type": 1})).collect();
    messages(&mut many_results, Some("build"), |entries| entries.extend(results.iter().cloned()));
    for (case, object) in [("many steps", many_steps), ("many results", many_results)] {
        assert_ne!(judge(&object, trust).verdict, Verdict::Verified, "{case}");
    }
    let mut attestation = attestation(object, "build");
    attestation.intermediates = vec![vec![0x30, 0]; 9];
    assert!(
        Attestation::from_value(&attestation.to_value()).is_err(),
        "more intermediates than any chain has"
    );
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn expired_certificates_are_weak_unless_a_time_is_stated() {
    for Genuine { form, object, trust } in genuine() {
        let later = Trust { now: trust.now + std::time::Duration::from_secs(2 * 3600), ..trust.clone() };
        let report = judge(object, &later);
        assert_eq!(report.verdict, Verdict::Weak, "{form}: {}", reasons(&report));
        assert!(report.proof.is_none(), "{form}");
        let accepting = Policy { accept_unproven_time: true, ..Policy::default() };
        assert!(judge_with(object, &later, &accepting).proof.is_some(), "{form}");
        let stated = Trust { at: Some(trust.now), ..later.clone() };
        assert_eq!(judge(object, &stated).verdict, Verdict::Verified, "{form}");
        let too_early = Trust { at: Some(trust.now - std::time::Duration::from_secs(3600)), ..later };
        assert_eq!(
            judge(object, &too_early).verdict,
            Verdict::Invalid,
            "{form}: signed after the stated time"
        );
        let behind = Trust { now: trust.now - std::time::Duration::from_secs(3600), ..trust.clone() };
        assert_eq!(judge(object, &behind).verdict, Verdict::Invalid, "{form}: signed in the future");
    }
}

#[test]
fn results_in_the_status_alone_are_verified_where_they_suffice() {
    for Genuine { form, object, trust } in genuine() {
        let mut stripped = object.clone();
        for step in stripped["status"]["steps"].as_array_mut().unwrap() {
            step["terminated"].as_object_mut().unwrap().remove("message");
        }
        let report = judge(&stripped, trust);
        let expected = match *form {
            // The raw text of a list is gone; its hint form carries the raw digest only.
            "hints" => Verdict::Unchecked,
            _ => Verdict::Verified,
        };
        assert_eq!(report.verdict, expected, "{form}: {}", reasons(&report));
        let mut altered = stripped.clone();
        result(&mut altered, "digest")["value"] = json!("sha256:bad");
        assert_ne!(judge(&altered, trust).verdict, Verdict::Verified, "{form}, altered");
    }
}

#[test]
fn every_truncation_and_bit_flip_of_an_attestation_is_refused() {
    for Genuine { form, object, trust } in genuine() {
        let genuine = attestation(object, "build").to_value();
        let refused = |value: String, case: String| {
            let mut altered = object.clone();
            result(&mut altered, "SVIDENCE.build.sig")["value"] = json!(value);
            messages(&mut altered, Some("build"), |entries| {
                set(entries, "SVIDENCE.build.sig", &json!(value))
            });
            let report = judge(&altered, trust);
            assert!(
                matches!(report.verdict, Verdict::Invalid | Verdict::Unchecked | Verdict::Absent),
                "{case} ({form}): {}",
                reasons(&report)
            );
        };
        for length in 0..genuine.len() {
            refused(genuine[..length].to_owned(), format!("cut at {length}"));
        }
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let bytes = URL_SAFE_NO_PAD.decode(&genuine[4..]).unwrap();
        for i in 0..bytes.len() {
            // All bits of one form; of the others one of each byte.
            for bit in (0..8).filter(|bit| *form == "digests" || i % 8 == *bit) {
                let mut flipped = bytes.clone();
                flipped[i] ^= 1 << bit;
                refused(format!("sv1.{}", URL_SAFE_NO_PAD.encode(flipped)), format!("bit {bit} of byte {i}"));
            }
        }
        refused(format!("{genuine}="), "padded".into());
        refused(genuine.replacen("sv1.", "sv2.", 1), "another version".into());
    }
}

/// Every place below `status` whose change must not go unnoticed, as a JSON pointer.
fn guarded(object: &Value) -> Vec<String> {
    fn walk(value: &Value, path: String, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| walk(value, format!("{path}/{key}"), out))
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| walk(v, format!("{path}/{i}"), out))
            }
            _ => out.push(path),
        }
    }
    let mut out = Vec::new();
    for (part, value) in object["status"].as_object().unwrap() {
        if part == "results" || part == "steps" {
            walk(value, format!("/status/{part}"), &mut out);
        }
    }
    // Nobody signs these (docs/threat-model.md "What is not signed").
    let unsigned = ["containerID", "imageID", "startedAt", "finishedAt", "reason", "container", "provenance"];
    out.retain(|path| !unsigned.iter().any(|name| path.ends_with(name)));
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_single_change_in_results_or_steps_is_verified(form in 0usize..3, place in any::<prop::sample::Index>(), text in "[ -~]{0,12}") {
        let Genuine { object, trust, .. } = &genuine()[form];
        let places = guarded(object);
        let path = place.get(&places);
        let mut altered = object.clone();
        let value = altered.pointer_mut(path).unwrap();
        let replacement = if value.is_number() { json!(text.len() + 300) } else { json!(text) };
        prop_assume!(*value != replacement);
        // Without its message a step is judged by what the status holds of it.
        prop_assume!(!path.ends_with("message") || text.starts_with('['));
        // An absent reason is what older Tekton versions write.
        prop_assume!(!(path.ends_with("terminationReason") && matches!(text.as_str(), "" | "Completed" | "Error")));
        *value = replacement;
        let verdict = svidence::tekton::taskrun::TaskRun::from_value(altered)
            .map(|object| svidence::verify::verify(&object, trust, &Policy::default()).verdict);
        let ordinary_reason = path.ends_with("terminationReason") && !path.contains("/1/");
        prop_assert!(ordinary_reason || verdict != Ok(Verdict::Verified), "{path} = {text:?}");
    }
}

/// Readers of the object differ in which of several they take, so neither may be passed off as the other.
#[test]
fn a_taskrun_has_not_both_succeeded_and_failed() {
    let Genuine { object, trust, .. } = &genuine()[1];
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    for (conditions, verdict) in [
        (vec![condition("Succeeded", "True"), condition("Succeeded", "False")], Verdict::Unchecked),
        (vec![condition("Succeeded", "False"), condition("Succeeded", "True")], Verdict::Unchecked),
        (vec![condition("Other", "False"), condition("Succeeded", "True")], Verdict::Verified),
    ] {
        let mut object = object.clone();
        object["status"]["conditions"] = json!(conditions);
        let report = judge(&object, trust);
        assert_eq!(report.verdict, verdict, "{conditions:?}: {}", reasons(&report));
    }
}
