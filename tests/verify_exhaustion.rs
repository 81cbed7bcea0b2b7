//! Objects made to exhaust the verifier: each is judged in a time that grows with its length alone, within bounded memory, and never accepted.

#![cfg(feature = "cli")]

mod support;

use std::{
    path::PathBuf,
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::fleet::{Fleet, everything};
use svidence::{
    devagent::ca::DevCa,
    evidence::{
        attestation::{Attestation, Covered, Form, Kind, hint},
        key::SigningKey,
        leaf::{CompactLeaf, DnsForm, Issuer},
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
        value::decoded_json,
    },
    verify::{Trust, verify, walk::for_each},
};
use zeroize::Zeroizing;

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(Fleet::new)
}

/// How long 4 MB may take. Without optimisation parsing alone takes ten times as long.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
/// Resident memory of this process, all cases together.
const MEMORY: u64 = 1 << 30;

/// Judges a document as `svidence verify -` would, and says how often something was accepted.
fn accepted(document: &str, trust: &Trust) -> usize {
    let mut accepted = 0;
    for_each(&[PathBuf::from("-")], &mut document.as_bytes(), &mut |_, object| {
        if let Ok(object) = object {
            accepted += usize::from(verify(&object, trust, &everything()).accepted);
        }
    });
    accepted
}

/// Judges it in a thread with the stack of a main thread, within its time.
fn judged_in_time(case: &str, document: String) -> Duration {
    let length = document.len();
    let (done, waiting) = mpsc::channel();
    let trust = fleet().trust.clone();
    let start = Instant::now();
    let judging = thread::Builder::new().stack_size(8 << 20).spawn(move || {
        let accepted = accepted(&document, &trust);
        let _ = done.send(accepted);
    });
    let patience = PATIENCE.mul_f64((length as f64 / f64::from(4 << 20)).max(1.0));
    match waiting.recv_timeout(patience) {
        Ok(accepted) => assert_eq!(accepted, 0, "{case}"),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            panic!("{case}: {length} bytes are not judged in {patience:?}")
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{case}: {:?}", judging.unwrap().join()),
    }
    start.elapsed()
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn genuine(label: &str) -> Value {
    fleet().run(label).object.clone()
}

fn push(object: &mut Value, pointer: &str, items: impl IntoIterator<Item = Value>) {
    object.pointer_mut(pointer).unwrap().as_array_mut().unwrap().extend(items);
}

fn edit_message(object: &mut Value, edit: impl FnOnce(&mut Vec<Value>)) {
    let message = object.pointer_mut("/status/steps/0/terminated/message").unwrap();
    let mut entries: Vec<Value> = serde_json::from_str(message.as_str().unwrap()).unwrap();
    edit(&mut entries);
    *message = json!(serde_json::to_string(&entries).unwrap());
}

fn attestation(object: &Value, step: &str) -> Attestation {
    let key = format!("SVIDENCE.{step}.sig");
    let results = object["status"]["results"].as_array().unwrap();
    let entry = results.iter().find(|entry| entry["name"] == *key).unwrap();
    Attestation::from_value(entry["value"].as_str().unwrap()).unwrap()
}

/// Signs an attestation with a certificate of the attacker's own.
fn signed(mut attestation: Attestation, step: &str, ca: &DevCa) -> String {
    let random = SystemRandom::new();
    let id = format!("/ns/{}/taskrun/{}", attestation.namespace, attestation.task_run);
    let svid = ca.issue(&id, &[], fleet().trust.now, 3600, &random).unwrap();
    attestation.leaf = svid.certificate;
    let context = Context {
        trust_domain: "example.org",
        step,
        results: &attestation.results,
        leaf: sha256(&attestation.leaf),
    };
    let message = pre_authentication_encoding(&statement(&attestation, context));
    let key = SigningKey::from_pkcs8(&Zeroizing::new(svid.key.to_vec())).unwrap();
    attestation.signature = key.sign_attestation(&message, &random).unwrap();
    attestation.to_value()
}

/// So many steps, each with this value as its evidence in the results and no message.
fn steps_with(object: &mut Value, count: usize, value: impl Fn(usize, &str) -> String) {
    let names: Vec<String> = (0..count).map(|i| format!("s{i}")).collect();
    let steps: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "terminated": {"exitCode": 0}})).collect();
    object["status"]["steps"] = json!(steps);
    let evidence = names.iter().enumerate().map(|(i, name)| {
        json!({"name": format!("SVIDENCE.{name}.sig"), "type": "string", "value": value(i, name)})
    });
    object["status"]["results"] = evidence.collect();
}

const MANY: usize = 60_000;

fn result(name: String) -> Value {
    json!({"name": name, "type": "string", "value": "x"})
}

#[test]
fn whatever_is_there_many_times_is_judged_in_good_time() {
    type Make = fn(&mut Value);
    let cases: [(&str, &str, Make); 21] = [
        ("results in the status", "digests", |run| {
            push(run, "/status/results", (0..MANY).map(|i| result(format!("r{i}"))))
        }),
        ("results of one name", "digests", |run| {
            push(run, "/status/results", (0..MANY).map(|_| result("digest".into())))
        }),
        ("results, and no message", "digests", |run| {
            push(run, "/status/results", (0..MANY).map(|i| result(format!("r{i}"))));
            for step in run["status"]["steps"].as_array_mut().unwrap() {
                step["terminated"].as_object_mut().unwrap().remove("message");
            }
        }),
        ("evidence of steps that are not there", "digests", |run| {
            push(run, "/status/results", (0..MANY).map(|i| result(format!("SVIDENCE.{i}.sig"))))
        }),
        ("entries of a message", "both", |run| {
            edit_message(run, |entries| {
                entries.extend((0..MANY).map(|i| json!({"key": format!("r{i}"), "value": "x", "type": 1})))
            })
        }),
        ("entries of one key", "both", |run| {
            edit_message(run, |entries| {
                entries.extend((0..MANY).map(|_| json!({"key": "digest", "value": "x", "type": 1})))
            })
        }),
        ("entries that look like signatures", "both", |run| {
            edit_message(run, |entries| {
                entries
                    .extend((0..MANY).map(|i| json!({"key": format!("r{i}.sig"), "value": "x", "type": 1})))
            })
        }),
        ("steps in the status", "digests", |run| {
            push(run, "/status/steps", (0..MANY).map(|i| json!({"name": format!("s{i}")})))
        }),
        ("steps, as many as are looked at", "digests", |run| {
            push(run, "/status/steps", (0..990).map(|i| json!({"name": format!("s{i}")})));
            push(run, "/status/results", (0..MANY).map(|i| result(format!("r{i}"))));
        }),
        ("step results in the status", "digests", |run| {
            let results: Vec<Value> = (0..MANY).map(|i| result(format!("r{i}"))).collect();
            run["status"]["steps"][1]["results"] = json!(results);
        }),
        ("declared results", "digests", |run| {
            push(run, "/status/taskSpec/results", (0..MANY).map(|i| json!({"name": format!("r{i}")})))
        }),
        ("declared results of one name", "digests", |run| {
            push(run, "/status/taskSpec/results", (0..MANY).map(|_| json!({"name": "digest"})))
        }),
        ("mapped results", "digests", |run| {
            push(
                run,
                "/status/taskSpec/results",
                (0..20_000).map(|i| json!({"name": format!("r{i}"), "value": "$(steps.flaky.results.own)"})),
            );
        }),
        ("references within one mapping", "digests", |run| {
            run["status"]["taskSpec"]["results"][4]["value"] = json!("$(steps.".repeat(500_000));
            run["status"]["podName"] = json!("x");
        }),
        ("declared steps", "digests", |run| {
            push(run, "/status/taskSpec/steps", (0..MANY).map(|i| json!({"name": format!("s{i}")})))
        }),
        ("results that a step declares", "digests", |run| {
            let declared: Vec<Value> = (0..MANY).map(|i| json!({"name": format!("r{i}")})).collect();
            run["status"]["taskSpec"]["steps"][1]["results"] = json!(declared);
        }),
        ("artifacts", "artifacts", |run| {
            let artifacts: Vec<Value> = (0..MANY).map(|i| json!({"name": format!("a{}", i % 7)})).collect();
            run["status"]["artifacts"]["outputs"] = json!(artifacts);
            run["status"]["steps"][0]["outputs"] = json!(artifacts);
        }),
        ("conditions", "digests", |run| {
            push(
                run,
                "/status/conditions",
                (0..MANY).map(|_| json!({"type": "Succeeded", "status": "False"})),
            );
            run["status"]["podName"] = json!("x");
        }),
        ("attempts", "digests", |run| {
            let attempts: Vec<Value> = (0..MANY).map(|_| json!({"steps": []})).collect();
            run["status"]["retriesStatus"] = json!(attempts);
        }),
        ("labels", "digests", |run| {
            let labels = (0..MANY).map(|i| (format!("l{i}"), json!("x")));
            run["metadata"]["labels"] = Value::Object(labels.collect());
            run["metadata"]["name"] = json!("other");
        }),
        ("members of a result", "digests", |run| {
            let members = (0..MANY).map(|i| (format!("m{i}"), json!("x")));
            let value = Value::Object(members.collect());
            run["status"]["results"][0] = json!({"name": "commit", "type": "object", "value": value});
        }),
    ];
    for (case, label, make) in cases {
        let mut object = genuine(label);
        make(&mut object);
        let took = judged_in_time(case, object.to_string());
        eprintln!("{case}: {took:?}");
    }
    let peak = peak_memory();
    assert!(peak < MEMORY, "{peak} bytes of memory");
}

#[test]
fn evidence_of_the_attackers_own_is_judged_in_good_time() {
    let random = SystemRandom::new();
    let own = DevCa::new("example.org", fleet().trust.now, &random).unwrap();
    let cas: Vec<DevCa> =
        (0..8).map(|_| DevCa::new("example.org", fleet().trust.now, &random).unwrap()).collect();
    let base = genuine("digests");
    let of = |edit: &dyn Fn(&mut Attestation)| {
        let mut attestation = attestation(&base, "build");
        edit(&mut attestation);
        attestation
    };
    let everywhere = |value: &str| {
        let mut object = base.clone();
        let key = "SVIDENCE.build.sig";
        for entry in object["status"]["results"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .filter(|entry| entry["name"] == key)
        {
            entry["value"] = json!(value);
        }
        edit_message(&mut object, |entries| {
            entries
                .iter_mut()
                .filter(|entry| entry["key"] == key)
                .for_each(|entry| entry["value"] = json!(value));
        });
        object.to_string()
    };
    let covered = |i: usize| Covered {
        kind: Kind::Task,
        name: format!("r{i:06}"),
        set: true,
        digest: [0; 32],
        decoded: None,
    };
    let many_covered = of(&|attestation| attestation.results = (0..50_000).map(covered).collect());
    let with_intermediates = of(&|attestation| {
        attestation.intermediates = cas.iter().map(|ca| ca.certificate().to_vec()).collect()
    });
    let large = |size: usize| of(&|attestation| attestation.intermediates = vec![vec![0x30; size]; 8]);
    let unread = format!("sv1.{}", "A".repeat(10 << 20));
    for (case, document) in [
        ("10 MB that are no attestation", everywhere(&unread)),
        ("10 MB of intermediates", everywhere(&large(1 << 20).to_value())),
        ("50,000 covered results", everywhere(&many_covered.to_value())),
        ("50,000 covered results, well signed", everywhere(&signed(many_covered.clone(), "build", &own))),
        ("many steps, each with a chain", {
            let value = signed(with_intermediates.clone(), "s0", &own);
            let mut object = base.clone();
            steps_with(&mut object, 700, |_, _| value.clone());
            object.to_string()
        }),
        ("many steps, each well signed with a chain", {
            let mut object = base.clone();
            steps_with(&mut object, 700, |_, step| signed(with_intermediates.clone(), step, &own));
            object.to_string()
        }),
    ] {
        eprintln!("{case}: {:?}", judged_in_time(case, document));
    }
}

#[test]
fn hints_are_not_looked_for_anew_in_every_step() {
    let mut object = genuine("hints");
    let mut value = attestation(&object, "build");
    (value.form, value.results) = (Form::Hints, Vec::new());
    value.set_hints = vec![hint("digest")];
    let value = value.to_value();
    steps_with(&mut object, 990, |_, _| value.clone());
    push(&mut object, "/status/results", (0..40_000).map(|i| result(format!("r{i}"))));
    push(&mut object, "/status/results", [result("digest".into())]);
    eprintln!("hints: {:?}", judged_in_time("hints", object.to_string()));
}

#[test]
fn values_signed_in_tep_0089_form_are_checked_in_good_time() {
    // Tekton's signer leaves an empty manifest where a step has results of its own, and then any name is as good as another.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/taskruns/signed-stepresult");
    let mut object: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("taskrun.json")).unwrap()).unwrap();
    let message = object["status"]["steps"][0]["terminated"]["message"].as_str().unwrap();
    let entries: Vec<Value> = serde_json::from_str(message).unwrap();
    let value = |key: &str| entries.iter().find(|entry| entry["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("RESULT_MANIFEST"), "");
    let entry = |key: &str, value: Value| json!({"key": key, "value": value, "type": 1});
    let mut forged: Vec<Value> =
        ["SVID", "RESULT_MANIFEST", "RESULT_MANIFEST.sig"].map(|key| entry(key, value(key))).into();
    for i in 0..MANY / 12 {
        forged.push(entry(&format!("r{i}"), json!("")));
        forged.push(entry(&format!("r{i}.sig"), value("RESULT_MANIFEST.sig")));
    }
    let as_result = |entry: &Value| json!({"name": entry["key"], "type": "string", "value": entry["value"]});
    object["status"]["results"] = forged.iter().map(as_result).collect();
    let message = serde_json::to_string(&forged).unwrap();
    object["status"]["steps"] =
        json!([{"name": "produce", "terminated": {"exitCode": 0, "message": message}}]);
    let bundle = std::fs::read_to_string(folder.join("bundle.pem")).unwrap();
    let trust = Trust { now: 1_795_500_000, ..support::signed::trust(&bundle) };
    let (start, document) = (Instant::now(), object.to_string());
    assert_eq!(accepted(&document, &trust), 1, "it is weak, and nothing more");
    assert!(start.elapsed() < PATIENCE, "{:?} for {} bytes", start.elapsed(), document.len());
}

#[test]
fn nested_and_repeated_documents_are_refused_in_good_time() {
    let laughs: String =
        (1..30).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","))).collect();
    let merged: String = (1..3000).map(|i| format!("a{i}: &a{i}\n  <<: *a{}\n  k{i}: v\n", i - 1)).collect();
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let in_run = |what: &str, value: &str| {
        let mut object = genuine("digests");
        object["metadata"]["annotations"] = json!({"x": "PLACE"});
        let text = object.to_string().replace("\"PLACE\"", value);
        (what.to_owned(), text)
    };
    let mut nested_message = genuine("digests");
    nested_message["status"]["steps"][0]["terminated"]["message"] = json!(deep("[", "]", 1 << 20));
    let mut nested_artifacts = genuine("artifacts");
    edit_message(&mut nested_artifacts, |entries| {
        let entry = entries.iter_mut().find(|entry| entry["type"] == 5).unwrap();
        entry["value"] = json!(deep("[", "]", 1 << 20));
    });
    let mut nested_result = genuine("digests");
    edit_message(&mut nested_result, |entries| {
        let entry = entries.iter_mut().find(|entry| entry["key"] == "digest").unwrap();
        entry["value"] = json!(deep("[", "]", 1 << 20));
    });
    for (case, document) in [
        ("lists in JSON".to_owned(), deep("[", "]", 1 << 20)),
        ("objects in JSON".to_owned(), deep("{\"a\":", "}", 1 << 18)),
        in_run("lists in an annotation", &deep("[", "]", 1 << 20)),
        ("lists in YAML".to_owned(), format!("a: {}", deep("[", "]", 1 << 20))),
        ("blocks in YAML".to_owned(), (0..2000).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
        ("lists in YAML, unclosed".to_owned(), format!("a: {}", "[".repeat(1 << 20))),
        ("aliases".to_owned(), format!("a0: &a0 [x]\n{laughs}")),
        ("merged keys".to_owned(), format!("a0: &a0 {{k: v}}\n{merged}")),
        ("anchors".to_owned(), (0..100_000).map(|i| format!("- &a{i} x\n")).collect()),
        ("documents".to_owned(), "---\na: b\n".repeat(200_000)),
        ("documents in JSON lines".to_owned(), "{}\n".repeat(1 << 20)),
        ("items".to_owned(), format!("{{\"kind\":\"List\",\"items\":[{}]}}", vec!["{}"; 1 << 20].join(","))),
        ("white space".to_owned(), " ".repeat(4 << 20)),
        ("a comment in YAML".to_owned(), format!("a: b {}", "# ".repeat(1 << 20))),
        ("a message".to_owned(), nested_message.to_string()),
        ("a provenance file".to_owned(), nested_artifacts.to_string()),
        ("a result".to_owned(), nested_result.to_string()),
    ] {
        eprintln!("{case}: {:?}", judged_in_time(&case, document));
    }
    let peak = peak_memory();
    assert!(peak < MEMORY, "{peak} bytes of memory");
}

#[test]
fn a_certificate_with_thousands_of_names_is_read_in_good_time() {
    let random = SystemRandom::new();
    let names: Vec<String> = (0..2000).map(|i| format!("n{i}.example.org")).collect();
    let svid =
        fleet().ca.issue("/ns/default/taskrun/digests", &names, fleet().trust.now, 3600, &random).unwrap();
    let base = genuine("digests");
    let mut attestation = attestation(&base, "build");
    attestation.leaf = svid.certificate;
    let mut object = base;
    let value = attestation.to_value();
    steps_with(&mut object, 80, |_, _| value.clone());
    eprintln!("names: {:?}", judged_in_time("names", object.to_string()));
}

#[test]
fn a_leaf_is_rebuilt_and_a_value_decoded_in_good_time() {
    let start = Instant::now();
    let key_id = [1; 20];
    let name = vec![0x30; 1 << 20];
    let svid = &fleet().others[0];
    let issuer = Issuer { name: &name, key_id: &key_id };
    assert_eq!(CompactLeaf::of(&svid.certificate, &svid.spiffe_id, &[], DnsForm::Plain, issuer), None);
    for raw in [
        "[".repeat(4 << 20),
        "{\"a\":".repeat(1 << 20),
        format!("[{}]", vec!["\"x\""; 1 << 20].join(",")),
        format!("\"{}\"", "\\ud800".repeat(1 << 19)),
        format!("{{{}}}", vec!["\"k\":\"v\""; 1 << 19].join(",")),
    ] {
        let _ = decoded_json(&raw);
    }
    assert!(start.elapsed() < 2 * PATIENCE, "{:?}", start.elapsed());
}
