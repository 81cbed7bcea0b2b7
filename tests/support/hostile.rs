//! Objects made to cost the verifier as much as can be, of any size: forged ones, and well-signed ones of somebody who holds the
//! key of a step.

#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/objects.rs"]
mod objects;
#[path = "hostile/pipelines.rs"]
mod pipelines;
#[path = "hostile/text.rs"]
mod text;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Map, Value, json};
use svidence::{
    evidence::{
        attestation::{
            Attestation, Covered, Ended, Form, PodName, ResultsFrom, SignedOutcome, declared, hint, key,
        },
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
        tep0089,
    },
    tekton::{result_kind::ResultKind, value::decoded_json},
};
use unixtime::UnixMillis;
use unixtime::UnixSeconds;
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
    /// How many genuine ones are among them, if not all are verified.
    pub(crate) genuine: usize,
    /// Whether it is judged only when the input has ended, as YAML is.
    pub(crate) needs_end: bool,
    /// What the input is given as, if not as it is.
    pub(crate) packed: fn(String) -> Vec<u8>,
    /// The format of the report.
    pub(crate) format: &'static str,
    /// Options that name a file, each with its content, of that size.
    pub(crate) files: fn(usize) -> Vec<(&'static str, String)>,
}

/// Everything that there may be many of.
pub(crate) fn shapes() -> impl Iterator<Item = &'static Shape> {
    [objects::SHAPES, pipelines::SHAPES, text::SHAPES, files::SHAPES].into_iter().flatten()
}

const RUN: &str = "hostile";
const SIGNED: i64 = START + 1000;

/// The CA's certificate as PEM.
pub(crate) fn bundle() -> String {
    x509::pem::encode(&pki::root("example.org").1)
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
    results: Vec<(ResultKind, String, String)>,
    form: Form,
    /// Entries of Tekton's own form, too.
    beside: bool,
}

impl Step {
    fn new(name: &str, results: impl IntoIterator<Item = (ResultKind, String, String)>) -> Self {
        let mut results: Vec<_> = results.into_iter().collect();
        results.sort();
        Self { name: name.to_owned(), results, form: Form::Digests, beside: false }
    }
}

fn task_results(count: usize) -> impl Iterator<Item = (ResultKind, String, String)> {
    (0..count).map(|i| (ResultKind::Task, format!("r{i}"), format!("value {i}")))
}

fn step_results(count: usize) -> impl Iterator<Item = (ResultKind, String, String)> {
    (0..count).map(|i| (ResultKind::Step, format!("r{i}"), format!("value {i}")))
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
        let own: Vec<&str> = of_kind(ResultKind::Step).map(|(_, name, _)| name.as_str()).collect();
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
        let mut hints: Vec<[u8; 3]> = of_kind(ResultKind::Task).map(|(_, name, _)| hint(name)).collect();
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
            program: None,
            started: UnixMillis::new((SIGNED as u64 + index as u64) * 1000),
            duration: std::time::Duration::from_millis(0),
            delay: std::time::Duration::from_millis(0),
            outcome: SignedOutcome { ended: Ended::Exited(0), continued: false },
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
            add(name, raw, if *kind == ResultKind::Task { 1 } else { 4 });
        }
        if step.beside {
            let texts: Vec<(&str, &str)> =
                of_kind(ResultKind::Task).map(|(_, name, raw)| (name.as_str(), raw.as_str())).collect();
            for (key, value) in
                tep0089::entries(&texts, &[], &certificate, &signing, &SystemRandom::new()).unwrap()
            {
                add(&key, &value, 1);
            }
        }
        add(&key(&step.name), &attestation.to_value(), 1);
        let found: Vec<Value> =
            of_kind(ResultKind::Step).map(|(_, name, raw)| status_result(name, raw)).collect();
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
        let place = step
            .results
            .binary_search_by(|(kind, name, _)| (kind, name.as_str()).cmp(&(&ResultKind::Step, own)));
        in_status.insert(result["name"].as_str().unwrap().to_owned(), json!(step.results[place.unwrap()].2));
    }
    let in_status: Vec<Value> =
        in_status.iter().map(|(name, value)| status_result(name, value.as_str().unwrap())).collect();
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {
            "name": RUN, "namespace": "default", "uid": "78322e13-a738-4556-be59-2b2445332751",
            "creationTimestamp": UnixSeconds::new(SIGNED - 10).to_string(),
        },
        "spec": {},
        "status": {
            "podName": format!("{RUN}-pod"), "startTime": UnixSeconds::new(SIGNED - 10).to_string(),
            "completionTime": UnixSeconds::new(SIGNED + 2000).to_string(),
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

fn one_step(results: impl IntoIterator<Item = (ResultKind, String, String)>, task: &[Value]) -> Value {
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

/// A leaf for the genuine run that says an RSA key has signed it.
fn leaf_of_rsa(subject: &str) -> Vec<u8> {
    let plan = leaf_of_run().with(|leaf| leaf.subject = subject.to_owned());
    let spki = sequence(&[
        sequence(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]),
        tlv(3, &[vec![0], Key::new(9).public()].concat()),
    ]);
    let algorithm = sequence(&[oid("1.2.840.113549.1.1.11"), vec![5, 0]]);
    plan.issue_signed(&spki, &algorithm, &|_| vec![0x5b; 1024])
}

fn leaf_of_run() -> Plan {
    Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{RUN}"))
}

/// The genuine run with another certificate of its first step, which the attacker made.
fn with_leaf(change: impl FnOnce(&mut Plan)) -> String {
    with_attestation(|attestation| {
        attestation.leaf = leaf_of_run().with(change).issue(&Key::new(9), &Key::new(7));
    })
}

/// A leaf for the genuine run that the attacker made, with so many extensions.
fn leaf_with_extensions(count: usize) -> Vec<u8> {
    let extensions = (0..count).map(|i| extension(&format!("1.3.{}.{}", i / 128, i % 128), false, &[]));
    leaf_of_run().with(|leaf| leaf.more = extensions.collect()).issue(&Key::new(9), &Key::new(7))
}

fn tekton_signed(count: usize, names: impl Fn(usize) -> String) -> String {
    let (holder, certificate) = leaf();
    let signing = SigningKey::from_pkcs8(&Zeroizing::new(holder.pkcs8())).unwrap();
    // Its manifest is empty, and then any name is as good as another.
    let signature = STANDARD.encode(signing.sign_tep0089(b"", &SystemRandom::new()).unwrap());
    let mut values = vec![
        ("SVID".to_owned(), x509::pem::encode(&certificate)),
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
    Shape {
        name,
        size,
        input,
        objects: ONE,
        is_verified: false,
        genuine: 0,
        needs_end: false,
        packed: String::into_bytes,
        format: "json",
        files: |_| Vec::new(),
    }
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
