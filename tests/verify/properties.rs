//! Properties of the verifier over genuine TaskRuns of every kind (`support/fleet.rs`): what carries evidence cannot be changed unnoticed,
//! what carries none can be changed freely, and whatever a proof says is true of the run it names, however the object was pieced
//! together.

use crate::support;

use std::{path::PathBuf, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use support::{
    fleet::{Attacker, Fleet, Genuine, drawing, everything, is_evidence, places, report},
    signed::reasons,
};
use svidence::{
    evidence::attestation::{Attestation, Form},
    sources::{source::Source, walk::for_each},
    verify::{Policy, Trust, Verdict, verify},
};

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(Fleet::new)
}

#[test]
fn the_genuine_taskruns_are_verified_and_what_is_said_of_them_is_true() {
    for run in &fleet().runs {
        let report = report(&run.object, &fleet().trust, &Policy::default()).unwrap();
        assert_eq!(report.verdict, Verdict::Verified, "{}: {}", run.label, reasons(&report));
        let untruths = fleet().untruths(&run.object, &report.proof.unwrap(), Attacker::StatusWriter);
        assert!(untruths.is_empty(), "{}: {untruths:?}", run.label);
    }
    let form = |label: &str| {
        let results = fleet().run(label).object["status"]["results"].as_array().unwrap();
        let is_attestation = |entry: &&Value| entry["name"].as_str().unwrap().starts_with("SVIDENCE.");
        let entry = results.iter().rfind(is_attestation).unwrap();
        let attestation = Attestation::from_value(entry["value"].as_str().unwrap()).unwrap();
        (attestation.form, attestation.tep0089, attestation.task_run_uid.is_some())
    };
    for (label, expected) in [
        ("both", (Form::Digests, true, false)),
        ("digests", (Form::Digests, false, false)),
        ("hints", (Form::Hints, false, false)),
        ("sidecar-logs", (Form::Digests, false, false)),
        ("first of its name", (Form::Digests, false, true)),
    ] {
        assert_eq!(form(label), expected, "{label}");
    }
}

/// What a change at a place of the object may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It carries evidence: a changed one is never accepted.
    Guarded,
    /// It carries none: however it is changed, the verdict is never `invalid`.
    Free,
    /// Nobody signs it, but what is signed may contradict it.
    Either,
}
use Class::{Either, Free, Guarded};

/// Every place of a TaskRun, the first pattern that fits counts: `*` is one segment, a final `**` any number of them or none, and messages are opened as
/// the lists they are. Derived from docs/evidence.md (sections 1, 3 to 5, 7, 9) and docs/threat-model.md ("What is not signed").
const PLACES: &[(&str, Class, &str)] = &[
    ("/apiVersion", Either, "v1beta1 is read as well; anything else is no TaskRun"),
    ("/kind", Guarded, "anything else is no TaskRun"),
    ("/metadata", Guarded, "names the run"),
    ("/metadata/name", Guarded, "signed as run.taskRun"),
    ("/metadata/namespace", Guarded, "signed as run.namespace"),
    ("/metadata/uid", Either, "signed where a certificate attests it, see below"),
    ("/metadata/creationTimestamp", Either, "an older run's evidence contradicts a later one"),
    ("/metadata/**", Free, "labels, annotations and what the API server writes"),
    ("/spec/taskSpec/results/*/name", Guarded, "signed as declared"),
    ("/spec/taskSpec/results/*/type", Either, "nobody signs types; claimed unless it is the status's"),
    ("/spec/taskSpec/results/*/value", Either, "nobody signs mappings; claimed unless it is the status's"),
    ("/spec/taskSpec/results/*/properties/**", Free, "properties of an object"),
    ("/spec/taskSpec/results", Either, "without it the status's counts, claimed"),
    ("/spec/taskSpec/results/*", Guarded, "signed as declared"),
    ("/spec/taskSpec/steps/*/name", Guarded, "signed as the step's name"),
    ("/spec/taskSpec/steps/*/results/*/name", Guarded, "signed as declared"),
    ("/spec/taskSpec/steps/*/results/*/type", Either, "nobody signs types"),
    ("/spec/taskSpec/steps/*/results/**", Either, "signed as declared, but a StepAction's are not inline"),
    ("/spec/taskSpec/steps/*/image", Free, "nobody signs it"),
    ("/spec/taskSpec/steps/*/script", Free, "what the status says is compared"),
    ("/spec/taskSpec/steps", Guarded, "each signed step must be there"),
    ("/spec/taskSpec/steps/*", Guarded, "each signed step must be there"),
    ("/spec/taskSpec", Either, "without it the status's counts, claimed"),
    ("/spec/**", Either, "a TaskRun without spec is none; the rest is free"),
    ("/status/podName", Guarded, "signed as pod.name"),
    ("/status/startTime", Either, "unsigned, bounds the signed times"),
    ("/status/completionTime", Either, "unsigned, bounds the signed times"),
    ("/status/conditions/*/status", Either, "a TaskRun may fail although its steps did not"),
    ("/status/conditions/*/type", Guarded, "without Succeeded it has not finished"),
    ("/status/conditions/*/message", Free, "text of the controller"),
    ("/status/conditions/*/reason", Free, "text of the controller"),
    ("/status/conditions/*/lastTransitionTime", Free, "nobody signs it"),
    ("/status/conditions", Guarded, "without Succeeded it has not finished"),
    ("/status/conditions/*", Guarded, "without Succeeded it has not finished"),
    ("/status/provenance/**", Free, "nobody signs it"),
    ("/status/results/**", Guarded, "follows from what is signed"),
    ("/status/artifacts/inputs/*/buildOutput", Either, "Tekton forgets it"),
    ("/status/artifacts/**", Guarded, "signed as artifacts"),
    ("/status/retriesStatus", Guarded, "their number is signed with the pod's name"),
    ("/status/retriesStatus/*", Guarded, "their number is signed with the pod's name"),
    ("/status/retriesStatus/**", Either, "an earlier attempt has evidence of its own"),
    ("/status/steps/*/imageID", Free, "nobody signs it"),
    ("/status/steps/*/provenance/**", Free, "nobody signs it"),
    (
        "/status/steps/*/terminationReason",
        Either,
        "absent in older versions of Tekton; ordinary ones are the runtime's word",
    ),
    ("/status/steps/*/terminated/containerID", Free, "nobody signs it"),
    ("/status/steps/*/terminated/startedAt", Free, "nobody signs it"),
    ("/status/steps/*/terminated/finishedAt", Free, "nobody signs it"),
    ("/status/steps/*/terminated/reason", Free, "the runtime's word"),
    ("/status/steps/*/terminated/exitCode", Guarded, "signed as outcome"),
    ("/status/steps/*/terminated/message/**", Guarded, "the evidence and what it covers"),
    ("/status/steps/*/terminated", Guarded, "signed as outcome"),
    ("/status/steps/*/container", Guarded, "the step's name"),
    ("/status/steps/*/name", Guarded, "signed as step.name"),
    ("/status/steps/*/results/**", Guarded, "signed step results"),
    ("/status/steps/*/inputs/**", Guarded, "signed as artifacts"),
    ("/status/steps/*/outputs/**", Guarded, "signed as artifacts"),
    ("/status/steps", Guarded, "signed as step.index and step.count"),
    ("/status/steps/*", Guarded, "signed as step.index and step.count"),
    ("/status/taskSpec/results/*/name", Guarded, "signed as declared"),
    ("/status/taskSpec/results/*/type", Either, "nobody signs types"),
    ("/status/taskSpec/results/*/value", Either, "nobody signs mappings"),
    ("/status/taskSpec/results/*/properties/**", Free, "properties of an object"),
    ("/status/taskSpec/results/**", Guarded, "signed as declared"),
    ("/status/taskSpec/steps/*/image", Free, "nobody signs it"),
    ("/status/taskSpec/steps/*/results/*/type", Either, "nobody signs types"),
    ("/status/taskSpec/steps/**", Guarded, "signed as declared, as the step's name and as its program"),
    ("/status/taskSpec/**", Guarded, "without it declared cannot be compared"),
    ("/status", Guarded, "holds all evidence"),
];

/// Changes of guarded places that say the same, or that Tekton itself makes.
const HARMLESS: &[(&str, &[Change], &str)] = &[
    ("/status/podName", &[Emptied, Removed, Renamed], "nothing contradicts the signed name"),
    ("/status/steps/*/container", &[Emptied, Removed, Renamed], "the name says it"),
    ("/status/steps/*/terminated/exitCode", &[Removed, Renamed], "absent, it is 0 as Go reads it"),
    ("/status/steps", &[Nulled, Removed, Renamed], "not carried: the results hold the evidence"),
    ("/status/results/*", &[Swapped], "results are found by name"),
    ("/status/steps/*/results/*", &[Swapped], "results are found by name"),
    ("/status/steps/*/terminated/message/*", &[Swapped], "entries are found by key"),
    ("/status/taskSpec/results/*", &[Swapped], "results are declared by name"),
    ("/spec/taskSpec/results/*", &[Swapped], "results are declared by name"),
    ("/status/taskSpec/steps/*/results/*", &[Swapped], "results are declared by name"),
    (
        "/status/taskSpec/steps/*/command",
        &[Emptied, Nulled, Removed, Renamed],
        "the image's command, which the object does not state: the program is not attested then",
    ),
    ("/status/taskSpec/steps/*/command/*", &[Emptied, Dropped], "as above"),
    ("/status/artifacts/*/*", &[Duplicated, Swapped], "Tekton merges artifacts by name"),
    ("/status/artifacts/*/*/values/*", &[Duplicated, Swapped], "Tekton merges values"),
    ("/status/conditions/*", &[Duplicated], "the first one counts, here as for knative"),
    ("/status/retriesStatus/*", &[Altered, Retyped, Nulled, Emptied, Swapped], "only their number is signed"),
    (
        "/status/steps/*/terminated",
        &[Emptied],
        "as if the message were not carried; the exit code is 0 as Go reads it",
    ),
    (
        "/status/steps/*/terminated/message",
        &[Emptied, Removed, Renamed],
        "not carried: the status holds all that is judged",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Another value of the same type.
    Altered,
    /// The empty text, list or object.
    Emptied,
    /// A value of another type.
    Retyped,
    Nulled,
    /// The member is gone.
    Removed,
    /// The member has another name.
    Renamed,
    /// The list's item is gone.
    Dropped,
    /// It appears twice.
    Duplicated,
    /// It and the next one have changed places.
    Swapped,
}
use Change::{Altered, Dropped, Duplicated, Emptied, Nulled, Removed, Renamed, Retyped, Swapped};

fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some(one), Some(segment)) if one == "*" || one == segment => {}
            _ => return false,
        }
    }
}

fn class(run: &Genuine, path: &str) -> Class {
    if path == "/metadata/uid" && run.attests_uid {
        return Guarded;
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        // A step that an earlier one's failure kept from running signs nothing.
        ["spec" | "status", "taskSpec", "steps", i, ..] | ["status", "steps", i, ..]
            if !run.signed(i.parse().unwrap()) =>
        {
            return Either;
        }
        // What another step's result is called is nobody's to sign: it is claimed.
        [spec @ ("spec" | "status"), "taskSpec", "results", i, ..]
            if run.object[spec]["taskSpec"]["results"][i.parse::<usize>().unwrap()]
                .get("value")
                .is_some() =>
        {
            return Either;
        }
        _ => {}
    }
    let found = PLACES.iter().find(|(pattern, ..)| fits(pattern, path));
    found.unwrap_or_else(|| panic!("{}: {path} is in no class", run.label)).1
}

/// The object with each message as the list it is.
fn opened(object: &Value) -> Value {
    let mut opened = object.clone();
    for step in opened["status"]["steps"].as_array_mut().unwrap() {
        if let Some(message) = step.pointer_mut("/terminated/message")
            && let Some(text) = message.as_str()
            && let Ok(entries) = serde_json::from_str::<Value>(text)
        {
            *message = entries;
        }
    }
    opened
}

/// The inverse of [`opened`].
fn closed(mut opened: Value) -> Value {
    for step in opened.pointer_mut("/status/steps").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(message) = step.pointer_mut("/terminated/message")
            && (message.is_array() || message.is_object())
        {
            *message = Value::String(message.to_string());
        }
    }
    opened
}

/// The object with one change at one place; `None` if there is no such change, or it changes nothing.
fn changed(opened: &Value, path: &str, change: Change) -> Option<Value> {
    let nothing = [json!(null), json!(""), json!([]), json!({})];
    if nothing.contains(opened.pointer(path)?) && matches!(change, Nulled | Removed | Renamed) {
        return None;
    }
    let mut object = opened.clone();
    let (parent, last) = path.rsplit_once('/')?;
    match change {
        Altered | Emptied | Retyped | Nulled => {
            let value = object.pointer_mut(path)?;
            let new = match (change, &*value) {
                (Altered, Value::String(text)) => json!(format!("{text}x")),
                (Altered, Value::Number(number)) => json!(number.as_i64()? + 1),
                (Altered, Value::Bool(is)) => json!(!is),
                (Emptied, Value::String(_)) => json!(""),
                (Emptied, Value::Array(_)) => json!([]),
                (Emptied, Value::Object(_)) => json!({}),
                (Retyped, Value::String(text)) => json!([text]),
                (Retyped, Value::Number(number)) => json!(number.to_string()),
                (Retyped, Value::Array(items)) => json!({"0": items}),
                (Retyped, Value::Object(members)) => json!([members]),
                (Nulled, _) => Value::Null,
                _ => return None,
            };
            *value = new;
        }
        Removed | Renamed => {
            let members = object.pointer_mut(parent)?.as_object_mut()?;
            let name = last.replace("~1", "/").replace("~0", "~");
            let value = members.remove(&name)?;
            if change == Renamed {
                members.insert(format!("{name}X"), value);
            }
        }
        Dropped | Duplicated | Swapped => {
            let items = object.pointer_mut(parent)?.as_array_mut()?;
            let i: usize = last.parse().ok()?;
            match change {
                Dropped => drop(items.remove(i)),
                Duplicated => items.push(items[i].clone()),
                _ if i + 1 < items.len() => items.swap(i, i + 1),
                _ => return None,
            }
        }
    }
    (object != *opened).then_some(object)
}

fn is_harmless(opened: &Value, path: &str, change: Change) -> bool {
    if HARMLESS.iter().any(|(place, changes, _)| fits(place, path) && changes.contains(&change)) {
        return true;
    }
    let Some((entries, i)) = path.split_once("/terminated/message/") else { return false };
    let entries = opened.pointer(&format!("{entries}/terminated/message")).and_then(Value::as_array).unwrap();
    let is_result = |entry: &Value| {
        [1, 4].map(Value::from).contains(&entry["type"]) && !is_evidence(entry["key"].as_str().unwrap())
    };
    match i.split_once('/') {
        // An artifact entry is told by its type; its key is its file's path.
        Some((i, "key")) if matches!(change, Altered | Emptied) => {
            entries[i.parse::<usize>().unwrap()]["type"].as_i64() > Some(4)
        }
        // A message that holds evidence alone is what results from the sidecar's log leave.
        None if change == Dropped => {
            is_result(&entries[i.parse::<usize>().unwrap()])
                && entries.iter().filter(|entry| is_result(entry)).count() == 1
        }
        _ => false,
    }
}

const CHANGES: [Change; 9] =
    [Altered, Emptied, Retyped, Nulled, Removed, Renamed, Dropped, Duplicated, Swapped];

#[test]
fn every_single_change_has_the_effect_of_its_place() {
    let mut wrong = Vec::new();
    let mut judged = [0; 3];
    for run in &fleet().runs {
        let opened = opened(&run.object);
        let mut all = Vec::new();
        places(&opened, "", &mut all);
        for path in &all {
            let class = class(run, path);
            for change in CHANGES {
                let Some(altered) = changed(&opened, path, change) else { continue };
                let altered = closed(altered);
                judged[class as usize] += 1;
                let report = report(&altered, &fleet().trust, &everything());
                let said = report.as_ref().map_or("no TaskRun".to_owned(), reasons);
                let case = || format!("{}: {path} {change:?}: {said}", run.label);
                let harmless = is_harmless(&opened, path, change);
                match (class, report) {
                    (Guarded, Some(report)) if report.accepted && !harmless => wrong.push(case()),
                    (Free, Some(report)) if report.verdict == Verdict::Invalid => wrong.push(case()),
                    (_, Some(report)) => {
                        let proof = report.proof.iter();
                        let attacker = Attacker::ArchiveWriter;
                        let untruths = proof.flat_map(|proof| fleet().untruths(&altered, proof, attacker));
                        wrong.extend(untruths.map(|untruth| format!("{}: {untruth}", case())));
                    }
                    (_, None) => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {judged:?} changes:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged.iter().all(|count| *count > 300), "places of every class were changed: {judged:?}");
}

/// Flips one bit of a text, of whatever it holds.
fn with_a_bit_flipped(text: &str, place: Index, bit: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if !bytes.is_empty() {
        let i = place.index(bytes.len());
        bytes[i] ^= 1 << bit;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The places of guarded texts, messages as the text they are.
fn guarded_texts(run: &Genuine) -> Vec<String> {
    let mut all = Vec::new();
    places(&run.object, "", &mut all);
    all.retain(|path| run.object.pointer(path).unwrap().is_string() && class(run, path) == Guarded);
    all
}

proptest! {
    #![proptest_config(drawing(800))]

    #[test]
    fn no_flipped_bit_of_a_guarded_text_is_accepted(run in any::<Index>(), place in any::<Index>(), at in any::<Index>(), bit in 0usize..8) {
        let run = run.get(&fleet().runs);
        let texts = guarded_texts(run);
        let path = place.get(&texts);
        let mut altered = run.object.clone();
        let text = altered.pointer_mut(path).unwrap();
        let flipped = with_a_bit_flipped(text.as_str().unwrap(), at, bit);
        *text = json!(flipped);
        // \u003c and \u003C are one character; an artifact entry's key is not evidence.
        let keys_aside = |object: &Value| {
            let mut object = opened(object);
            for step in object["status"]["steps"].as_array_mut().unwrap() {
                for entry in step.pointer_mut("/terminated/message").and_then(Value::as_array_mut).into_iter().flatten() {
                    if entry["type"].as_i64() > Some(4) {
                        entry["key"] = Value::Null;
                    }
                }
            }
            object
        };
        prop_assume!(keys_aside(&altered) != keys_aside(&run.object));
        if let Some(report) = report(&altered, &fleet().trust, &everything()) {
            prop_assert!(!report.accepted, "{}: {path} = {flipped:?}: {}", run.label, reasons(&report));
        }
    }

    #[test]
    fn no_flipped_bit_of_an_attestation_is_accepted(run in any::<Index>(), step in any::<Index>(), at in any::<Index>(), bit in 0usize..8) {
        let run = run.get(&fleet().runs);
        let names = signed_steps(run);
        let step = step.get(&names);
        let mut bytes = URL_SAFE_NO_PAD.decode(&attestation_of(run, step)[4..]).unwrap();
        let i = at.index(bytes.len());
        bytes[i] ^= 1 << bit;
        let mut altered = run.object.clone();
        everywhere(&mut altered, &format!("SVIDENCE.{step}.sig"), &json!(format!("sv1.{}", URL_SAFE_NO_PAD.encode(bytes))));
        let report = report(&altered, &fleet().trust, &everything()).unwrap();
        prop_assert!(!report.accepted, "{}: bit {bit} of byte {i} of {step}: {}", run.label, reasons(&report));
    }
}

fn signed_steps(run: &Genuine) -> Vec<String> {
    let states = run.object["status"]["steps"].as_array().unwrap().iter().enumerate();
    states
        .filter(|(i, _)| run.signed(*i))
        .map(|(_, state)| state["name"].as_str().unwrap().to_owned())
        .collect()
}

fn attestation_of(run: &Genuine, step: &str) -> String {
    let key = format!("SVIDENCE.{step}.sig");
    let results = run.object["status"]["results"].as_array().unwrap();
    results.iter().find(|entry| entry["name"] == *key).unwrap()["value"].as_str().unwrap().to_owned()
}

/// Sets a result in the status and in every message that has it.
fn everywhere(object: &mut Value, name: &str, value: &Value) {
    for result in items(object, "/status/results").filter(|result| result["name"] == name) {
        result["value"] = value.clone();
    }
    edit_messages(object, |entries| {
        for entry in entries.iter_mut().filter(|entry| entry["key"] == name) {
            entry["value"] = match value {
                Value::String(_) => value.clone(),
                other => json!(other.to_string()),
            };
        }
    });
}

/// The items of the list at this place, if there is one.
fn items<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

fn edit_messages(object: &mut Value, mut edit: impl FnMut(&mut Vec<Value>)) {
    for step in items(object, "/status/steps") {
        let Some(message) = step.pointer_mut("/terminated/message") else { continue };
        let Some(Ok(mut entries)) = message.as_str().map(serde_json::from_str::<Vec<Value>>) else {
            continue;
        };
        edit(&mut entries);
        *message = json!(serde_json::to_string(&entries).unwrap());
    }
}

/// One change where no evidence is.
#[derive(Debug, Clone)]
enum Freely {
    Label(String, String),
    Free(Index, Change),
    Unknown(Index, String, i64),
    ManagedFields,
    PodIps,
}

fn freely() -> impl Strategy<Value = Freely> {
    prop_oneof![
        ("[a-z./-]{1,12}", "\\PC{0,12}").prop_map(|(key, value)| Freely::Label(key, value)),
        (any::<Index>(), proptest::sample::select(vec![Altered, Emptied, Retyped, Nulled, Removed]))
            .prop_map(|(place, change)| Freely::Free(place, change)),
        (any::<Index>(), "[a-z]{3,8}Unknown", any::<i64>())
            .prop_map(|(place, name, value)| Freely::Unknown(place, name, value)),
        Just(Freely::ManagedFields),
        Just(Freely::PodIps),
    ]
}

fn change_freely(run: &Genuine, object: &mut Value, change: &Freely) {
    match change {
        Freely::Label(key, value) => {
            for kind in ["labels", "annotations"] {
                let members = object["metadata"].as_object_mut().unwrap();
                let members = members.entry(kind).or_insert_with(|| json!({}));
                if let Some(members) = members.as_object_mut() {
                    members.insert(key.clone(), json!(value));
                }
            }
        }
        Freely::Free(place, change) => {
            let mut all = Vec::new();
            places(&run.object, "", &mut all);
            all.retain(|path| class(run, path) == Free);
            if let Some(altered) = changed(object, &all[place.index(all.len())], *change) {
                *object = altered;
            }
        }
        Freely::Unknown(place, name, value) => {
            let mut all = vec![String::new()];
            places(object, "", &mut all);
            all.retain(|path| object.pointer(path).unwrap().is_object() && !path.contains("digest"));
            // The values of results are theirs, and so are an artifact's digests.
            all.retain(|path| !path.ends_with("/value"));
            let members = object.pointer_mut(&all[place.index(all.len())]).unwrap().as_object_mut().unwrap();
            members.insert(name.clone(), json!({"name": value, "list": [value, null, true, 1.5e300]}));
        }
        Freely::ManagedFields => {
            object["metadata"]["managedFields"] =
                json!([{"manager": "controller", "fieldsV1": {"f:status": {".": {}, "f:Results": {}}}}]);
        }
        Freely::PodIps => object["status"]["podIPs"] = json!([{"ip": "10.0.0.1"}]),
    }
}

/// The same document in other words.
#[derive(Debug, Clone, Copy)]
enum Writing {
    Compact,
    Indented,
    Reversed,
    SpacedOut,
    Escaped,
    Yaml,
    List,
}

const WRITINGS: [Writing; 7] = [
    Writing::Compact,
    Writing::Indented,
    Writing::Reversed,
    Writing::SpacedOut,
    Writing::Escaped,
    Writing::Yaml,
    Writing::List,
];

fn written(object: &Value, writing: Writing) -> String {
    fn reversed(value: &Value, space: &str, out: &mut String) {
        let list = |open: char, close: char, items: Vec<String>, out: &mut String| {
            out.push(open);
            out.push_str(space);
            out.push_str(&items.join(&format!("{space},{space}")));
            out.push(close);
        };
        match value {
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    let mut text = format!("{}{space}:{space}", Value::String(key.clone()));
                    reversed(value, space, &mut text);
                    text
                };
                list('{', '}', members.iter().rev().map(member).collect(), out);
            }
            Value::Array(items) => {
                let item = |value: &Value| {
                    let mut text = String::new();
                    reversed(value, space, &mut text);
                    text
                };
                list('[', ']', items.iter().map(item).collect(), out);
            }
            scalar => out.push_str(&scalar.to_string()),
        }
    }
    let mut text = String::new();
    match writing {
        Writing::Compact => text = object.to_string(),
        Writing::Indented => text = serde_json::to_string_pretty(object).unwrap(),
        Writing::Reversed => reversed(object, "", &mut text),
        Writing::SpacedOut => reversed(object, " \r\n\t", &mut text),
        Writing::Escaped => {
            // Every letter inside strings as \uXXXX; a letter after a backslash is an escape already.
            let (mut inside, mut escaping) = (false, false);
            for c in object.to_string().chars() {
                match c {
                    '"' if !escaping => inside = !inside,
                    c if inside && !escaping && c.is_ascii_uppercase() => {
                        text.push_str(&format!("\\u{:04X}", u32::from(c)));
                        continue;
                    }
                    _ => {}
                }
                escaping = inside && c == '\\' && !escaping;
                text.push(c);
            }
        }
        Writing::Yaml => text = serde_saphyr::to_string(object).unwrap(),
        Writing::List => text = json!({"apiVersion": "v1", "kind": "List", "items": [object]}).to_string(),
    }
    text
}

/// The verdicts on a document, as `svidence verify -` would read it.
fn verdicts(document: &str, trust: &Trust) -> Vec<Result<(Verdict, String), String>> {
    let mut verdicts = Vec::new();
    for_each(Source::files(&[PathBuf::from("-")], &mut document.as_bytes()), &mut |_, object| {
        verdicts.push(match object {
            Ok(object) => {
                let report = verify(&object, trust, &Policy::default());
                Ok((report.verdict, reasons(&report)))
            }
            Err(error) => Err(error.to_string()),
        });
    });
    verdicts
}

#[test]
fn the_same_document_in_other_words_is_verified() {
    for run in &fleet().runs {
        for writing in WRITINGS {
            let verdicts = verdicts(&written(&run.object, writing), &fleet().trust);
            let verified = matches!(verdicts.as_slice(), [Ok((Verdict::Verified, _))]);
            assert!(verified, "{}, {writing:?}: {verdicts:?}", run.label);
        }
    }
}

#[test]
fn numbers_written_otherwise_are_the_same_or_unreadable() {
    for number in
        ["3", "3.0", "3e0", "30E-1", "0003", "+3", "0x3", "3.5", "1e400", "-0", "99999999999999999999"]
    {
        let genuine = fleet().run("failed");
        let document =
            genuine.object.to_string().replace("\"exitCode\":3", &format!("\"exitCode\":{number}"));
        for verdict in verdicts(&document, &fleet().trust) {
            match (number, verdict) {
                ("3", verdict) => assert!(matches!(verdict, Ok((Verdict::Verified, _))), "{verdict:?}"),
                ("-0", Ok((verdict, said))) => assert_eq!(verdict, Verdict::Invalid, "{number}: {said}"),
                (_, Ok((Verdict::Invalid, said))) => panic!("{number}: {said}"),
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(drawing(400))]

    #[test]
    fn what_carries_no_evidence_never_makes_a_genuine_one_invalid(
        run in any::<Index>(),
        changes in prop::collection::vec(freely(), 1..5),
        writing in proptest::sample::select(WRITINGS.to_vec()),
    ) {
        let run = run.get(&fleet().runs);
        let mut object = run.object.clone();
        for change in &changes {
            change_freely(run, &mut object, change);
        }
        for verdict in verdicts(&written(&object, writing), &fleet().trust) {
            let is_invalid = matches!(verdict, Ok((Verdict::Invalid, _)));
            prop_assert!(!is_invalid, "{}: {changes:?}, {writing:?}: {verdict:?}", run.label);
        }
    }
}
