//! Objects made to cost the verifier as much as can be, of any size: forged ones, and well-signed ones of somebody who holds the
//! key of a step.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Map, Value, json};
use svidence::{
    evidence::{
        attestation::{
            Attestation, Covered, Ended, Form, Kind, Outcome, PodName, ResultsFrom, declared, hint, key,
        },
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
        tep0089,
        value::decoded_json,
    },
    verify::taskrun::format_time,
};
use zeroize::Zeroizing;

use crate::pki::{self, Key, Plan, START, extension, oid, sequence, tlv};

/// What is measured at one size and at twice that size.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The size, which takes some tenths of a second without optimisation; twice of it has less than 1 MiB mostly, beyond which an
    /// object is read in another way.
    pub(crate) size: usize,
    /// The input of that size.
    pub(crate) input: fn(usize) -> String,
    /// Objects in it.
    pub(crate) objects: fn(usize) -> usize,
    /// Whether all of them are verified.
    pub(crate) is_verified: bool,
    /// Whether it is judged only when the input has ended, as YAML is.
    pub(crate) needs_end: bool,
}

const RUN: &str = "hostile";
const SIGNED: i64 = START + 1000;

/// The CA's certificate as PEM.
pub(crate) fn bundle() -> String {
    tep0089::pem(&pki::root("example.org").1)
}

fn leaf() -> (Key, Vec<u8>) {
    let (ca, _) = pki::root("example.org");
    let key = Key::new(9);
    let certificate = Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{RUN}")).issue(&key, &ca);
    (key, certificate)
}

/// What one step of a well-signed run did.
#[derive(Clone)]
struct Step {
    name: String,
    results: Vec<(Kind, String, String)>,
    form: Form,
    /// Entries of Tekton's own form, too.
    beside: bool,
}

impl Step {
    fn new(name: &str, results: impl IntoIterator<Item = (Kind, String, String)>) -> Step {
        let mut results: Vec<_> = results.into_iter().collect();
        results.sort();
        Step { name: name.to_owned(), results, form: Form::Digests, beside: false }
    }
}

fn task_results(count: usize) -> impl Iterator<Item = (Kind, String, String)> {
    (0..count).map(|i| (Kind::Task, format!("r{i}"), format!("value {i}")))
}

fn step_results(count: usize) -> impl Iterator<Item = (Kind, String, String)> {
    (0..count).map(|i| (Kind::Step, format!("r{i}"), format!("value {i}")))
}

fn status_result(name: &str, value: &str) -> Value {
    json!({"name": name, "type": "string", "value": value})
}

/// A run whose steps signed all that they say they did. `task` are the results that the task declares.
fn signed(steps: &[Step], task: &[Value]) -> Value {
    let (holder, certificate) = leaf();
    let signing = SigningKey::from_pkcs8(&Zeroizing::new(holder.pkcs8())).unwrap();
    let collected = || task.iter().filter(|result| result.get("value").is_none());
    let (mut states, mut in_status, mut declared_steps) = (Vec::new(), Map::new(), Vec::new());
    for (index, step) in steps.iter().enumerate() {
        let of_kind = |kind| step.results.iter().filter(move |(of, ..)| *of == kind);
        let own: Vec<&str> = of_kind(Kind::Step).map(|(_, name, _)| name.as_str()).collect();
        let covered: Vec<Covered> = step
            .results
            .iter()
            .map(|(kind, name, raw)| Covered {
                kind: *kind,
                name: name.clone(),
                set: true,
                digest: sha256(raw.as_bytes()),
                decoded: decoded_json(raw).map(|value| sha256(value.canonical_json().as_bytes())),
            })
            .collect();
        let mut hints: Vec<[u8; 3]> = of_kind(Kind::Task).map(|(_, name, _)| hint(name)).collect();
        hints.sort_unstable();
        let mut attestation = Attestation {
            namespace: "default".into(),
            task_run: RUN.into(),
            task_run_uid: None,
            pod_uid: None,
            pod_name: PodName::Usual,
            step_index: index as u32,
            step_count: steps.len() as u32,
            declared: declared(
                collected().map(|result| result["name"].as_str().unwrap()),
                own.iter().copied(),
            ),
            started: (SIGNED as u64 + index as u64) * 1000,
            duration: 0,
            delay: 0,
            outcome: Outcome { ended: Ended::Exited(0), continued: false },
            tep0089: step.beside,
            results_from: ResultsFrom::TerminationMessage,
            form: step.form,
            set_hints: if step.form == Form::Hints { hints } else { Vec::new() },
            found_hints: Vec::new(),
            results: if step.form == Form::Hints { Vec::new() } else { covered.clone() },
            step_artifacts: None,
            task_artifacts: None,
            leaf: certificate.clone(),
            intermediates: Vec::new(),
            signature: Vec::new(),
        };
        let context = Context {
            trust_domain: "example.org",
            step: &step.name,
            results: &covered,
            leaf: sha256(&certificate),
        };
        let text = pre_authentication_encoding(&statement(&attestation, context));
        attestation.signature = signing.sign_attestation(&text, &SystemRandom::new()).unwrap();
        let mut entries = Vec::new();
        let mut add = |key: &str, value: &str, kind: i64| {
            entries.push(json!({"key": key, "value": value, "type": kind}));
            if kind == 1 {
                in_status.insert(key.to_owned(), json!(value));
            }
        };
        for (kind, name, raw) in &step.results {
            add(name, raw, if *kind == Kind::Task { 1 } else { 4 });
        }
        if step.beside {
            let texts: Vec<(&str, &str)> =
                of_kind(Kind::Task).map(|(_, name, raw)| (name.as_str(), raw.as_str())).collect();
            for (key, value) in
                tep0089::entries(&texts, &[], &certificate, &signing, &SystemRandom::new()).unwrap()
            {
                add(&key, &value, 1);
            }
        }
        add(&key(&step.name), &attestation.to_value(), 1);
        let found: Vec<Value> = of_kind(Kind::Step).map(|(_, name, raw)| status_result(name, raw)).collect();
        states.push(json!({
            "name": step.name, "results": found,
            "terminated": {"exitCode": 0, "message": Value::from(entries).to_string()},
        }));
        let own: Vec<Value> = own.iter().map(|name| json!({"name": name, "type": "string"})).collect();
        declared_steps.push(json!({"name": step.name, "results": own}));
    }
    for result in task {
        // `$(steps.<step>.results.<result>)`: the value is that of the step.
        let Some(mapping) = result["value"].as_str() else { continue };
        let mapped = mapping.trim_start_matches("$(steps.").trim_end_matches(')').split_once(".results.");
        let (step, own) = mapped.unwrap();
        let step = steps.iter().find(|known| known.name == step).unwrap();
        let place =
            step.results.binary_search_by(|(kind, name, _)| (kind, name.as_str()).cmp(&(&Kind::Step, own)));
        in_status.insert(result["name"].as_str().unwrap().to_owned(), json!(step.results[place.unwrap()].2));
    }
    let in_status: Vec<Value> =
        in_status.iter().map(|(name, value)| status_result(name, value.as_str().unwrap())).collect();
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {
            "name": RUN, "namespace": "default", "uid": "78322e13-a738-4556-be59-2b2445332751",
            "creationTimestamp": format_time(SIGNED - 10),
        },
        "spec": {},
        "status": {
            "podName": format!("{RUN}-pod"), "startTime": format_time(SIGNED - 10),
            "completionTime": format_time(SIGNED + 2000),
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "results": in_status, "steps": states, "taskSpec": {"results": task, "steps": declared_steps},
        },
    })
}

fn declare(names: impl IntoIterator<Item = String>) -> Vec<Value> {
    names.into_iter().map(|name| json!({"name": name, "type": "string"})).collect()
}

fn declared_results(count: usize) -> Vec<Value> {
    declare((0..count).map(|i| format!("r{i}")))
}

/// Task results that are taken from the step results of step `one`.
fn mapped_results(count: usize) -> Vec<Value> {
    let mapped =
        |i| json!({"name": format!("m{i}"), "type": "string", "value": format!("$(steps.one.results.r{i})")});
    (0..count).map(mapped).collect()
}

/// A genuine run of three steps with five results.
pub(crate) fn genuine() -> Value {
    let names = ["one", "two", "three"];
    let steps: Vec<Step> =
        names.iter().enumerate().map(|(i, name)| Step::new(name, task_results(i + 3))).collect();
    signed(&steps, &declared_results(5))
}

fn one_step(results: impl IntoIterator<Item = (Kind, String, String)>, task: &[Value]) -> Value {
    signed(&[Step::new("one", results)], task)
}

fn push(object: &mut Value, pointer: &str, items: impl IntoIterator<Item = Value>) {
    object.pointer_mut(pointer).unwrap().as_array_mut().unwrap().extend(items);
}

/// The genuine run, changed.
fn forged(change: impl FnOnce(&mut Value)) -> String {
    let mut object = genuine();
    change(&mut object);
    object.to_string()
}

fn with_message(object: &mut Value, edit: impl FnOnce(&mut Vec<Value>)) {
    let message = object.pointer_mut("/status/steps/0/terminated/message").unwrap();
    let mut entries: Vec<Value> = serde_json::from_str(message.as_str().unwrap()).unwrap();
    edit(&mut entries);
    *message = json!(Value::from(entries).to_string());
}

/// The genuine run, whose first step's attestation is another one.
fn with_attestation(edit: impl FnOnce(&mut Attestation)) -> String {
    forged(|object| {
        let value = attestation_of(object, edit).to_value();
        with_value(object, &value);
    })
}

fn attestation_of(object: &Value, edit: impl FnOnce(&mut Attestation)) -> Attestation {
    let results = object["status"]["results"].as_array().unwrap();
    let entry = results.iter().find(|result| result["name"] == "SVIDENCE.one.sig").unwrap();
    let mut attestation = Attestation::from_value(entry["value"].as_str().unwrap()).unwrap();
    edit(&mut attestation);
    attestation
}

fn with_value(object: &mut Value, value: &str) {
    with_message(object, |entries| {
        entries.iter_mut().find(|entry| entry["key"] == "SVIDENCE.one.sig").unwrap()["value"] = json!(value);
    });
    let results = object["status"]["results"].as_array_mut().unwrap();
    results.iter_mut().find(|result| result["name"] == "SVIDENCE.one.sig").unwrap()["value"] = json!(value);
}

/// So many steps, each with this value as its evidence in the results and no message.
fn steps_with(count: usize, value: impl Fn(&str) -> String) -> String {
    forged(|object| {
        let names: Vec<String> = (0..count).map(|i| format!("s{i}")).collect();
        let states = names.iter().map(|name| json!({"name": name, "terminated": {"exitCode": 0}}));
        object["status"]["steps"] = states.collect();
        let evidence = names.iter().map(|name| status_result(&key(name), &value(name)));
        object["status"]["results"] = evidence.collect();
    })
}

fn own_hints(count: usize, first: usize) -> Vec<[u8; 3]> {
    (0..count).map(|i| ((2 * i + first) as u32).to_be_bytes()[1..].try_into().unwrap()).collect()
}

/// An intermediate of the attacker's own with a key that takes long to check with: RSA of 8192 bits.
fn large_intermediate(number: u8) -> Vec<u8> {
    let modulus = tlv(2, &[vec![0, 0xc1], vec![0x5b; 1022], vec![0x5b | number]].concat());
    let public_key = sequence(&[modulus, vec![2, 3, 1, 0, 1]]);
    let algorithm = sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]);
    let spki = sequence(&[algorithm, tlv(3, &[vec![0], public_key].concat())]);
    Plan::ca("ca", "ca", "example.org").issue_for(&spki, &Key::new(1))
}

/// A leaf for the genuine run that the attacker made, with so many extensions.
fn leaf_with_extensions(count: usize) -> Vec<u8> {
    let extensions = (0..count).map(|i| extension(&format!("1.3.{}.{}", i / 128, i % 128), false, &[]));
    let plan = Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{RUN}"));
    plan.with(|leaf| leaf.more = extensions.collect()).issue(&Key::new(9), &Key::new(7))
}

fn tekton_signed(count: usize, names: impl Fn(usize) -> String) -> String {
    let (holder, certificate) = leaf();
    let signing = SigningKey::from_pkcs8(&Zeroizing::new(holder.pkcs8())).unwrap();
    // Its manifest is empty, and then any name is as good as another.
    let signature = STANDARD.encode(signing.sign_tep0089(b"", &SystemRandom::new()).unwrap());
    let mut values = vec![
        ("SVID".to_owned(), tep0089::pem(&certificate)),
        ("RESULT_MANIFEST".to_owned(), String::new()),
        ("RESULT_MANIFEST.sig".to_owned(), signature.clone()),
    ];
    for i in 0..count {
        let name = names(i);
        values.push((name.clone(), String::new()));
        values.push((format!("{name}.sig"), signature.clone()));
    }
    let entries: Vec<Value> =
        values.iter().map(|(key, value)| json!({"key": key, "value": value, "type": 1})).collect();
    forged(|object| {
        object["status"]["results"] = values.iter().map(|(name, value)| status_result(name, value)).collect();
        object["status"]["steps"] = json!([{
            "name": "one", "terminated": {"exitCode": 0, "message": Value::from(entries).to_string()},
        }]);
    })
}

fn results_only(object: &mut Value) {
    object["spec"] = json!({});
    object["status"] = json!({"results": object["status"]["results"]});
}

fn annotated(value: &str) -> String {
    let object = forged(|object| object["metadata"]["annotations"] = json!({"x": "PLACE"}));
    object.replace("\"PLACE\"", value)
}

const ONE: fn(usize) -> usize = |_| 1;

const fn shape(name: &'static str, size: usize, input: fn(usize) -> String) -> Shape {
    Shape { name, size, input, objects: ONE, is_verified: false, needs_end: false }
}

const fn verified(name: &'static str, size: usize, input: fn(usize) -> String) -> Shape {
    Shape { is_verified: true, ..shape(name, size, input) }
}

const fn yaml(name: &'static str, size: usize, input: fn(usize) -> String) -> Shape {
    Shape { needs_end: true, ..shape(name, size, input) }
}

fn many(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(|i| status_result(&format!("r{i}x"), "x"))
}

/// Everything that an object may hold many of.
pub(crate) const SHAPES: &[Shape] = &[
    // --- well signed ---
    verified("signed results", 1800, |n| one_step(task_results(n), &declared_results(n)).to_string()),
    verified("signed results, found by another step", 1100, |n| {
        let steps = [Step::new("one", task_results(n)), Step::new("two", task_results(n))];
        signed(&steps, &declared_results(n)).to_string()
    }),
    verified("signed results with hints", 2000, |n| {
        // Of two results with one hint nobody could tell which one is meant.
        let mut seen = HashSet::new();
        let results = task_results(2 * n).filter(|(_, name, _)| seen.insert(hint(name))).take(n);
        let step = Step { form: Form::Hints, ..Step::new("one", results) };
        let names = step.results.iter().map(|(_, name, _)| name.clone());
        let task = declare(names);
        signed(&[step], &task).to_string()
    }),
    verified("signed step results, mapped", 1200, |n| {
        one_step(step_results(n), &mapped_results(n)).to_string()
    }),
    verified("signed step results, not mapped", 1800, |n| one_step(step_results(n), &[]).to_string()),
    verified("signed lists", 1300, |n| {
        let results = (0..n).map(|i| (Kind::Task, format!("r{i}"), format!("[\"a{i}\",\"b\"]")));
        let task: Vec<Value> = (0..n).map(|i| json!({"name": format!("r{i}"), "type": "array"})).collect();
        let mut object = one_step(results, &task);
        let in_status = object["status"]["results"].as_array_mut().unwrap();
        for result in in_status.iter_mut().filter(|result| result["value"].as_str().unwrap().starts_with('['))
        {
            result["value"] = serde_json::from_str(result["value"].as_str().unwrap()).unwrap();
            result["type"] = json!("array");
        }
        object.to_string()
    }),
    verified("signed results beside Tekton's signatures", 100, |n| {
        let step = Step { beside: true, ..Step::new("one", task_results(n)) };
        signed(&[step], &declared_results(n)).to_string()
    }),
    verified("signed steps", 100, |n| {
        let steps: Vec<Step> = (0..n).map(|i| Step::new(&format!("s{i}"), [])).collect();
        signed(&steps, &[]).to_string()
    }),
    verified("signed steps of a task with many results", 80, |n| {
        let steps: Vec<Step> = (0..n).map(|i| Step::new(&format!("s{i}"), [])).collect();
        signed(&steps, &declared_results(40 * n)).to_string()
    }),
    shape("signed attempts of a task with many results", 50, |n| {
        let attempt = signed(&[Step::new("one", [])], &declared_results(50 * n));
        forged(|object| {
            object["spec"] = json!({"taskSpec": attempt["status"]["taskSpec"]});
            object["status"] = attempt["status"].clone();
            let mut earlier = attempt["status"].clone();
            earlier.as_object_mut().unwrap().remove("taskSpec");
            object["status"]["retriesStatus"] = vec![earlier; n].into();
        })
    }),
    shape("signed results that a failed run lacks, and conditions", 1900, |n| {
        let mut object = one_step(task_results(n), &declared_results(n));
        object["status"]["conditions"] = (0..n)
            .map(|i| json!({"type": format!("C{i}"), "status": "True"}))
            .chain([json!({"type": "Succeeded", "status": "False"})])
            .collect();
        object["status"]["results"]
            .as_array_mut()
            .unwrap()
            .retain(|result| result["name"] == "SVIDENCE.one.sig");
        object.to_string()
    }),
    shape("signed results, all changed", 1900, |n| {
        let mut object = one_step(task_results(n), &declared_results(n));
        for result in object["status"]["results"].as_array_mut().unwrap() {
            if result["name"] != "SVIDENCE.one.sig" {
                result["value"] = json!("other");
            }
        }
        object.to_string()
    }),
    verified("results alone, of one signed value", 2000, |n| {
        let results = (0..n).map(|i| (Kind::Step, format!("r{i}"), "same".to_owned()));
        let mut object = one_step(results, &[]);
        results_only(&mut object);
        push(&mut object, "/status/results", (0..n).map(|i| status_result(&format!("m{i}"), "same")));
        object.to_string()
    }),
    shape("results alone, beside step results with hints", 2000, |n| {
        let step = Step { form: Form::Hints, ..Step::new("one", []) };
        let mut object = signed(&[step], &[]);
        results_only(&mut object);
        push(&mut object, "/status/results", many(n));
        object.to_string()
    }),
    // --- nobody vouches for it ---
    shape("hints in two lists", 30_000, |n| {
        with_attestation(|attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            (attestation.set_hints, attestation.found_hints) = (own_hints(n, 0), own_hints(n, 1));
            attestation.leaf = vec![0x30, 0];
        })
    }),
    shape("hints of nothing, well signed but for them", 20_000, |n| {
        with_attestation(|attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            attestation.set_hints = own_hints(n, 0);
        })
    }),
    shape("hints in every step", 100, |n| {
        let object = genuine();
        let value = attestation_of(&object, |attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            attestation.set_hints = vec![hint("digest")];
        })
        .to_value();
        let object = steps_with(n, |_| value.clone());
        let mut object: Value = serde_json::from_str(&object).unwrap();
        push(&mut object, "/status/results", many(40 * n));
        object.to_string()
    }),
    shape("covered results", 4000, |n| {
        with_attestation(|attestation| {
            attestation.results = (0..n)
                .map(|i| Covered {
                    kind: Kind::Task,
                    name: format!("r{i:06}"),
                    set: true,
                    digest: [0; 32],
                    decoded: None,
                })
                .collect();
        })
    }),
    shape("intermediates of RSA-8192 in every step", 30, |n| {
        let object = genuine();
        let value = attestation_of(&object, |attestation| {
            attestation.intermediates = (0..8).map(large_intermediate).collect();
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("intermediates that sign each other in every step", 60, |n| {
        let object = genuine();
        let ca = Plan::ca("ca", "ca", "example.org");
        let value = attestation_of(&object, |attestation| {
            attestation.intermediates = (20..28).map(|i| ca.issue(&Key::new(i), &Key::new(47 - i))).collect();
            attestation.leaf = Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{RUN}"))
                .issue(&Key::new(9), &Key::new(20));
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("intermediates that are none", 1 << 17, |n| {
        with_attestation(|attestation| attestation.intermediates = vec![vec![0x30; n / 8]; 8])
    }),
    shape("extensions of certificates", 700, |n| {
        with_attestation(|attestation| attestation.leaf = leaf_with_extensions(n))
    }),
    shape("certificates of 6,000 extensions", 2, |n| {
        let value = attestation_of(&genuine(), |attestation| {
            attestation.leaf = leaf_with_extensions(6000);
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("names in a certificate", 1000, |n| {
        with_attestation(|attestation| {
            let plan = Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{RUN}"));
            let names = (0..n).map(|i| format!("n{i}.example.org")).collect();
            attestation.leaf = plan.with(|leaf| leaf.dns = names).issue(&Key::new(9), &Key::new(7));
        })
    }),
    shape("what is no attestation", 1 << 17, |n| {
        forged(|object| with_value(object, &format!("sv1.{}", "A".repeat(n))))
    }),
    shape("Tekton's signatures, the manifest being empty", 1200, |n| tekton_signed(n, |i| format!("r{i}"))),
    shape("Tekton's signatures of names that end alike", 1000, |n| {
        tekton_signed(n, |i| format!("{}r{i}", "x".repeat(20)))
    }),
    // --- anybody may write it ---
    shape("results in the status", 8000, |n| forged(|run| push(run, "/status/results", many(n)))),
    shape("results of one name", 8000, |n| {
        forged(|run| push(run, "/status/results", (0..n).map(|_| status_result("r0", "x"))))
    }),
    shape("results, and no message", 8000, |n| {
        forged(|run| {
            push(run, "/status/results", many(n));
            for step in run["status"]["steps"].as_array_mut().unwrap() {
                step["terminated"].as_object_mut().unwrap().remove("message");
            }
        })
    }),
    shape("evidence of steps that are not there", 8000, |n| {
        forged(|run| {
            push(run, "/status/results", (0..n).map(|i| status_result(&format!("SVIDENCE.{i}.sig"), "x")))
        })
    }),
    shape("evidence of one step, many times", 300, |n| {
        forged(|run| {
            let value = "x".repeat(10 * n);
            push(run, "/status/results", [status_result("SVIDENCE.one.sig", &value)]);
            push(run, "/status/results", (0..10 * n).map(|_| status_result("SVIDENCE.one.sig", "x")));
        })
    }),
    shape("entries of a message", 8000, |n| {
        forged(|run| {
            with_message(run, |entries| {
                entries.extend((0..n).map(|i| json!({"key": format!("r{i}x"), "value": "x", "type": 1})));
            })
        })
    }),
    shape("entries of one key", 8000, |n| {
        forged(|run| {
            with_message(run, |entries| {
                entries.extend((0..n).map(|_| json!({"key": "r0", "value": "x", "type": 1})));
            })
        })
    }),
    shape("steps in the status", 120, |n| {
        forged(|run| push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("steps, more than are looked at", 8000, |n| {
        forged(|run| push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("steps in the status, and results", 100, |n| {
        forged(|run| {
            push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")})));
            push(run, "/status/results", many(40 * n));
        })
    }),
    shape("step results in the status", 8000, |n| {
        forged(|run| run["status"]["steps"][1]["results"] = many(n).collect())
    }),
    shape("declared results", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", declare((0..n).map(|i| format!("r{i}x")))))
    }),
    shape("declared results of one name", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", declare((0..n).map(|_| "r0".to_owned()))))
    }),
    verified("mapped results", 6000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", mapped_results(n)))
    }),
    verified("references within one mapping", 60_000, |n| {
        forged(|run| {
            let mapping = json!({"name": "m", "value": "$(steps.".repeat(n)});
            push(run, "/status/taskSpec/results", [mapping]);
        })
    }),
    shape("declared steps", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("results that a step declares", 8000, |n| {
        forged(|run| run["status"]["taskSpec"]["steps"][1]["results"] = declared_results(n).into())
    }),
    shape("artifacts", 8000, |n| {
        forged(|run| {
            let artifacts: Vec<Value> = (0..n).map(|i| json!({"name": format!("a{}", i % 7)})).collect();
            run["status"]["artifacts"] = json!({"outputs": artifacts});
            run["status"]["steps"][0]["outputs"] = json!(artifacts);
        })
    }),
    shape("conditions", 10_000, |n| {
        forged(|run| {
            push(run, "/status/conditions", (0..n).map(|_| json!({"type": "Succeeded", "status": "False"})));
        })
    }),
    shape("attempts, more than are looked at", 10_000, |n| {
        forged(|run| run["status"]["retriesStatus"] = vec![json!({"steps": []}); n].into())
    }),
    shape("attempts of a task with many results", 120, |n| {
        forged(|run| {
            run["spec"] = json!({"taskSpec": {"results": declared_results(40 * n), "steps": []}});
            run["status"]["retriesStatus"] = vec![json!({}); n].into();
        })
    }),
    shape("results alone, none of them a step's", 8000, |n| {
        forged(|run| {
            results_only(run);
            push(run, "/status/results", many(n));
        })
    }),
    verified("labels", 20_000, |n| {
        forged(|run| {
            run["metadata"]["labels"] =
                (0..n).map(|i| (format!("l{i}"), json!("x"))).collect::<Map<_, _>>().into();
        })
    }),
    shape("members of a result", 10_000, |n| {
        forged(|run| {
            let members: Map<String, Value> = (0..n).map(|i| (format!("m{i}"), json!("x"))).collect();
            run["status"]["results"][0] = json!({"name": "r0", "type": "object", "value": members});
        })
    }),
    verified("sidecars", 9000, |n| {
        forged(|run| {
            let sidecar = |i| json!({"name": format!("s{i}"), "container": "sidecar", "running": {}});
            run["status"]["sidecars"] = (0..n).map(sidecar).collect();
        })
    }),
    shape("a long UID, and steps of another run", 100, |n| {
        let (name, uid) = ("x".repeat(400 * n), "y".repeat(400 * n));
        let object = steps_with(n, |_| attestation_of(&genuine(), |_| ()).to_value());
        let mut object: Value = serde_json::from_str(&object).unwrap();
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["creationTimestamp"] = json!(name);
        object.to_string()
    }),
    verified("a long annotation of time stamps", 1 << 18, |n| {
        forged(|run| {
            run["metadata"]["annotations"] =
                json!({"svidence.dev/timestamps": json!({"one": "A".repeat(n)}).to_string()});
        })
    }),
    verified("time stamps of steps that are not there", 8000, |n| {
        forged(|run| {
            let stamps: Map<String, Value> = (0..n).map(|i| (format!("s{i}"), json!("AAAA"))).collect();
            run["metadata"]["annotations"] =
                json!({"svidence.dev/timestamps": Value::from(stamps).to_string()});
        })
    }),
    // --- text ---
    shape("lists in a message", 1 << 18, |n| {
        forged(|run| {
            run["status"]["steps"][0]["terminated"]["message"] = json!("[".repeat(n) + &"]".repeat(n))
        })
    }),
    shape("lists in a result", 1 << 18, |n| {
        forged(|run| {
            with_message(run, |entries| entries[0]["value"] = json!("[".repeat(n) + &"]".repeat(n)));
        })
    }),
    shape("lists in an annotation", 1 << 18, |n| annotated(&("[".repeat(n) + &"]".repeat(n)))),
    verified("escapes in an annotation", 1 << 16, |n| annotated(&format!("\"{}\"", "\\u0041".repeat(n)))),
    Shape { objects: |n| n, ..shape("objects on one line", 4000, |n| "{}".repeat(n)) },
    Shape {
        objects: |n| n + 1,
        needs_end: true,
        ..shape("objects on one line that ends with spaces", 2000, |n| {
            format!("{}x{}", "{}".repeat(n), " ".repeat(50 * n))
        })
    },
    Shape { objects: |n| n, ..shape("JSON lines", 4000, |n| "{}\n".repeat(n)) },
    Shape {
        objects: |n| n,
        ..shape("items", 4000, |n| format!("{{\"kind\":\"List\",\"items\":[{}]}}", vec!["{}"; n].join(",")))
    },
    Shape {
        objects: |n| n,
        // A text of more than 1 MiB is looked at again when twice as much is there, or the end.
        needs_end: true,
        ..shape("items of a list with a long version", 2000, |n| {
            let items = vec!["{}"; n].join(",");
            let version = "v".repeat(600 * n);
            format!("{{\"kind\":\"TaskRunList\",\"apiVersion\":\"{version}\",\"items\":[{items}]}}")
        })
    },
    shape("white space", 2 << 20, |n| " ".repeat(n) + "{}"),
    yaml("lists in YAML", 20_000, |n| format!("a: {}{}", "[".repeat(n), "]".repeat(n))),
    yaml("items of a list in YAML", 8000, |n| format!("a: [{}]\n", vec!["x"; n].join(","))),
    yaml("blocks in YAML", 300, |n| (0..n).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
    yaml("members in YAML", 8000, |n| (0..n).map(|i| format!("a{i}: x\n")).collect()),
    yaml("anchors in YAML", 8000, |n| (0..n).map(|i| format!("- &a{i} x\n")).collect()),
    yaml("documents in YAML", 8000, |n| "---\na: b\n".repeat(n)),
    yaml("a comment in YAML", 1 << 18, |n| format!("a: b {}", "# ".repeat(n))),
    yaml("a text in YAML", 1 << 18, |n| format!("a: >\n{}", "  x\n".repeat(n / 4))),
];
