//! Forgeries that a program puts together from the material of many genuine runs: entries, certificates, attestations, results, messages and
//! names, cut and pasted at random, and attestations signed with identities that the attacker holds. Whatever is then verified must be
//! true of the run it names, by the measure of what its steps left behind (`support/fleet.rs`).

use crate::support;

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    fleet::{Attacker, Fleet, Genuine, drawing, everything, places, report},
    signed::reasons,
};
use svidence::{
    evidence::{
        attestation::{Attestation, Ended, SignedOutcome},
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    standin::ca::{DevCa, IssuedSvid},
    verify::Verdict,
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;
use zeroize::Zeroizing;

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(Fleet::new)
}

/// One move of the attacker.
#[derive(Debug, Clone)]
enum Edit {
    /// The value of any place in the status comes from the same place of another run.
    PlaceOf(Index, Index),
    /// A step's state comes from another run, with its evidence in the results.
    StepOf(Index, Index),
    /// A step's message comes from another step of this or another run.
    MessageOf(Index, Index, Index),
    /// The value of a result comes from another one, in the status and in all messages.
    ValueOf(Index, Index, Index),
    /// The same in the status alone.
    StatusValueOf(Index, Index, Index),
    /// Two results' values are exchanged everywhere.
    SwapValues(Index, Index),
    /// A result gets another's name.
    Rename(Index, Index),
    /// A result of another run is added, everywhere or in the status alone.
    Add(Index, Index, bool),
    /// A result is dropped, everywhere or in the status alone.
    Drop(Index, bool),
    /// An entry of a message is dropped, repeated, or moved to another step's message.
    DropEntry(Index, Index),
    RepeatEntry(Index, Index),
    MoveEntry(Index, Index, Index),
    /// An entry gets another type.
    Retype(Index, Index, i64),
    /// No step's message is in the object, or none of its results.
    StripMessages(bool),
    StripMessage(Index),
    /// The object holds no steps, as an archive that keeps results alone.
    NoSteps,
    /// No attestation is in the object.
    StripAttestations,
    /// A step is dropped, or two change places.
    DropStep(Index),
    SwapSteps(Index, Index),
    /// Two steps' names are exchanged, with or without their entries' names.
    SwapStepNames(Index, Index, bool),
    /// The object says it is another run, or the other way round: the status of another run.
    NameOf(Index),
    StatusOf(Index),
    /// A declared result takes its value from a step result.
    Map(Index, Index, bool),
    /// Another type is declared.
    Declare(Index, bool, &'static str),
    /// The declaration of the results comes from another run.
    TaskOf(Index, bool),
    NoInlineTask,
    Succeeded(bool),
    Times(bool),
    Retries(usize),
    PodName(Index, usize),
    ExitCode(Index, i64),
    Reason(Index, &'static str),
    V1beta1,
    /// An attestation is signed anew, with an identity that the attacker holds.
    Resign(Index, Index, Twist),
    /// Something that nobody signs.
    Label,
}

/// What is different in an attestation that is signed anew.
#[derive(Debug, Clone)]
enum Twist {
    Nothing,
    CarriesForeignCa,
    Claims(Index),
    Result(Index),
    Outcome,
    AttestsUid,
}

fn index() -> impl Strategy<Value = Index> {
    any::<Index>()
}

fn edit() -> impl Strategy<Value = Edit> {
    let twist = prop_oneof![
        Just(Twist::Nothing),
        Just(Twist::CarriesForeignCa),
        index().prop_map(Twist::Claims),
        index().prop_map(Twist::Result),
        Just(Twist::Outcome),
        Just(Twist::AttestsUid),
    ];
    let reason =
        proptest::sample::select(vec!["", "Completed", "Error", "Skipped", "Continued", "Cancelled"]);
    let kind = proptest::sample::select(vec!["string", "array", "object", ""]);
    prop_oneof![
        (index(), index()).prop_map(|(a, b)| Edit::PlaceOf(a, b)),
        (index(), index()).prop_map(|(a, b)| Edit::StepOf(a, b)),
        (index(), index(), index()).prop_map(|(a, b, c)| Edit::MessageOf(a, b, c)),
        (index(), index(), index()).prop_map(|(a, b, c)| Edit::ValueOf(a, b, c)),
        (index(), index(), index()).prop_map(|(a, b, c)| Edit::StatusValueOf(a, b, c)),
        (index(), index()).prop_map(|(a, b)| Edit::SwapValues(a, b)),
        (index(), index()).prop_map(|(a, b)| Edit::Rename(a, b)),
        (index(), index(), any::<bool>()).prop_map(|(a, b, all)| Edit::Add(a, b, all)),
        (index(), any::<bool>()).prop_map(|(a, all)| Edit::Drop(a, all)),
        (index(), index()).prop_map(|(a, b)| Edit::DropEntry(a, b)),
        (index(), index()).prop_map(|(a, b)| Edit::RepeatEntry(a, b)),
        (index(), index(), index()).prop_map(|(a, b, c)| Edit::MoveEntry(a, b, c)),
        (index(), index(), 0i64..8).prop_map(|(a, b, kind)| Edit::Retype(a, b, kind)),
        any::<bool>().prop_map(Edit::StripMessages),
        index().prop_map(Edit::StripMessage),
        Just(Edit::NoSteps),
        Just(Edit::StripAttestations),
        index().prop_map(Edit::DropStep),
        (index(), index()).prop_map(|(a, b)| Edit::SwapSteps(a, b)),
        (index(), index(), any::<bool>()).prop_map(|(a, b, all)| Edit::SwapStepNames(a, b, all)),
        index().prop_map(Edit::NameOf),
        index().prop_map(Edit::StatusOf),
        (index(), index(), any::<bool>()).prop_map(|(a, b, inline)| Edit::Map(a, b, inline)),
        (index(), any::<bool>(), kind).prop_map(|(a, inline, kind)| Edit::Declare(a, inline, kind)),
        (index(), any::<bool>()).prop_map(|(a, inline)| Edit::TaskOf(a, inline)),
        Just(Edit::NoInlineTask),
        any::<bool>().prop_map(Edit::Succeeded),
        any::<bool>().prop_map(Edit::Times),
        (0usize..3).prop_map(Edit::Retries),
        (index(), 0usize..3).prop_map(|(a, n)| Edit::PodName(a, n)),
        (index(), proptest::sample::select(vec![0, 1, 3, 255])).prop_map(|(a, code)| Edit::ExitCode(a, code)),
        (index(), reason).prop_map(|(a, reason)| Edit::Reason(a, reason)),
        Just(Edit::V1beta1),
        (index(), index(), twist).prop_map(|(a, b, twist)| Edit::Resign(a, b, twist)),
        Just(Edit::Label),
    ]
}

fn list<'a>(object: &'a mut Value, pointer: &str) -> Option<&'a mut Vec<Value>> {
    object.pointer_mut(pointer)?.as_array_mut().filter(|list| !list.is_empty())
}

fn any_of<'a>(list: &'a [Value], at: &Index) -> Option<&'a Value> {
    (!list.is_empty()).then(|| &list[at.index(list.len())])
}

fn name(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// Edits the entries of one step's message.
fn message(state: &mut Value, edit: impl FnOnce(&mut Vec<Value>) -> Option<()>) -> Option<()> {
    let message = state.pointer_mut("/terminated/message")?;
    let mut entries: Vec<Value> = serde_json::from_str(message.as_str()?).ok()?;
    edit(&mut entries)?;
    *message = json!(serde_json::to_string(&entries).unwrap());
    Some(())
}

fn messages(object: &mut Value, mut edit: impl FnMut(&mut Vec<Value>)) -> Option<()> {
    for state in list(object, "/status/steps")? {
        let _ = message(state, |entries| {
            edit(entries);
            Some(())
        });
    }
    Some(())
}

/// Sets a result everywhere, with the text it has in a message.
fn everywhere(object: &mut Value, result: &str, value: &Value) -> Option<()> {
    for found in list(object, "/status/results")?.iter_mut().filter(|found| found["name"] == *result) {
        found["value"] = value["value"].clone();
        found["type"] = value["type"].clone();
    }
    let text = match &value["value"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    messages(object, |entries| {
        for entry in entries.iter_mut().filter(|entry| entry["key"] == *result) {
            entry["value"] = json!(text);
        }
    })
}

fn results(run: &Genuine) -> &[Value] {
    run.object["status"]["results"].as_array().unwrap()
}

fn apply(object: &mut Value, edit: &Edit) -> Option<()> {
    let runs = &fleet().runs;
    match edit {
        Edit::PlaceOf(place, run) => {
            let run = run.get(runs);
            let mut all = Vec::new();
            places(&run.object["status"], "/status", &mut all);
            let path = &all[place.index(all.len())];
            *object.pointer_mut(path)? = run.object.pointer(path)?.clone();
        }
        Edit::StepOf(step, run) => {
            let theirs = run.get(runs);
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            let wanted = states[i]["name"].clone();
            let state =
                theirs.object["status"]["steps"].as_array()?.iter().find(|state| state["name"] == wanted)?;
            states[i] = state.clone();
            let key = format!("SVIDENCE.{}.sig", wanted.as_str()?);
            let evidence = results(theirs).iter().find(|result| result["name"] == *key)?;
            let ours = list(object, "/status/results")?.iter_mut().find(|result| result["name"] == *key)?;
            *ours = evidence.clone();
        }
        Edit::MessageOf(step, run, other) => {
            let other = any_of(run.get(runs).object["status"]["steps"].as_array()?, other)?;
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            states[i]["terminated"]["message"] = other["terminated"]["message"].clone();
        }
        Edit::ValueOf(result, run, other) => {
            let value = any_of(results(run.get(runs)), other)?;
            let ours = list(object, "/status/results")?;
            let result = name(&ours[result.index(ours.len())], "name");
            everywhere(object, &result, value)?;
        }
        Edit::StatusValueOf(result, run, other) => {
            let value = any_of(results(run.get(runs)), other)?;
            let ours = list(object, "/status/results")?;
            let i = result.index(ours.len());
            ours[i]["value"] = value["value"].clone();
            ours[i]["type"] = value["type"].clone();
        }
        Edit::SwapValues(one, other) => {
            let ours = list(object, "/status/results")?;
            let (one, other) = (ours[one.index(ours.len())].clone(), ours[other.index(ours.len())].clone());
            everywhere(object, &name(&one, "name"), &other)?;
            everywhere(object, &name(&other, "name"), &one)?;
        }
        Edit::Rename(one, other) => {
            let ours = list(object, "/status/results")?;
            let from = name(&ours[one.index(ours.len())], "name");
            let to = name(&ours[other.index(ours.len())], "name");
            ours.retain(|result| result["name"] != *to);
            for result in ours.iter_mut().filter(|result| result["name"] == *from) {
                result["name"] = json!(to);
            }
            messages(object, |entries| {
                entries.retain(|entry| entry["key"] != *to);
                for entry in entries.iter_mut().filter(|entry| entry["key"] == *from) {
                    entry["key"] = json!(to);
                }
            })?;
        }
        Edit::Add(run, result, everywhere) => {
            let mut added = any_of(results(run.get(runs)), result)?.clone();
            if results(run.get(runs)).len().is_multiple_of(2) {
                added["name"] = json!("approved");
            }
            let (key, value) = (added["name"].clone(), added["value"].clone());
            list(object, "/status/results")?.push(added);
            if *everywhere && value.is_string() {
                messages(object, |entries| entries.push(json!({"key": key, "value": value, "type": 1})))?;
            }
        }
        Edit::Drop(result, everywhere) => {
            let ours = list(object, "/status/results")?;
            let gone = ours.remove(result.index(ours.len()));
            if *everywhere {
                messages(object, |entries| entries.retain(|entry| entry["key"] != gone["name"]))?;
            }
        }
        Edit::DropEntry(step, at) | Edit::RepeatEntry(step, at) => {
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            message(&mut states[i], |entries| {
                let entry = any_of(entries, at)?.clone();
                match edit {
                    Edit::DropEntry(..) => entries.retain(|other| *other != entry),
                    _ => entries.push(entry),
                }
                Some(())
            })?;
        }
        Edit::MoveEntry(step, at, to) => {
            let states = list(object, "/status/steps")?;
            let (i, j) = (step.index(states.len()), to.index(states.len()));
            let mut moved = Value::Null;
            message(&mut states[i], |entries| {
                moved = entries.remove((!entries.is_empty()).then(|| at.index(entries.len()))?);
                Some(())
            })?;
            message(&mut states[j], |entries| {
                entries.push(moved);
                Some(())
            })?;
        }
        Edit::Retype(step, at, kind) => {
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            message(&mut states[i], |entries| {
                let at = (!entries.is_empty()).then(|| at.index(entries.len()))?;
                entries[at]["type"] = json!(kind);
                Some(())
            })?;
        }
        Edit::StripMessages(results_alone) => {
            if *results_alone {
                let is_ours = |entry: &Value| name(entry, "key").starts_with("SVIDENCE.");
                messages(object, |entries| entries.retain(is_ours))?;
            } else {
                for state in list(object, "/status/steps")? {
                    state.get_mut("terminated")?.as_object_mut()?.remove("message");
                }
            }
        }
        Edit::StripMessage(step) => {
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            states[i].get_mut("terminated")?.as_object_mut()?.remove("message");
        }
        Edit::NoSteps => drop(object["status"].as_object_mut()?.remove("steps")),
        Edit::StripAttestations => {
            let is_ours = |name: String| name.starts_with("SVIDENCE.");
            list(object, "/status/results")?.retain(|result| !is_ours(name(result, "name")));
            messages(object, |entries| entries.retain(|entry| !is_ours(name(entry, "key"))))?;
        }
        Edit::DropStep(step) => {
            let states = list(object, "/status/steps")?;
            let gone = states.remove(step.index(states.len()));
            let key = format!("SVIDENCE.{}.sig", name(&gone, "name"));
            list(object, "/status/results")?.retain(|result| result["name"] != *key);
        }
        Edit::SwapSteps(one, other) => {
            let states = list(object, "/status/steps")?;
            let (one, other) = (one.index(states.len()), other.index(states.len()));
            states.swap(one, other);
        }
        Edit::SwapStepNames(one, other, with_entries) => {
            let states = list(object, "/status/steps")?;
            let (i, j) = (one.index(states.len()), other.index(states.len()));
            let (one, other) = (name(&states[i], "name"), name(&states[j], "name"));
            for (state, name) in [(i, &other), (j, &one)] {
                states[state]["name"] = json!(name);
                states[state]["container"] = json!(format!("step-{name}"));
            }
            if *with_entries {
                let (one, other) = (format!("SVIDENCE.{one}.sig"), format!("SVIDENCE.{other}.sig"));
                let exchanged = |name: &Value| match name.as_str() {
                    Some(name) if name == one => json!(other),
                    Some(name) if name == other => json!(one),
                    _ => name.clone(),
                };
                for result in list(object, "/status/results")? {
                    result["name"] = exchanged(&result["name"]);
                }
                messages(object, |entries| {
                    for entry in entries {
                        entry["key"] = exchanged(&entry["key"]);
                    }
                })?;
            }
        }
        Edit::NameOf(run) => object["metadata"] = run.get(runs).object["metadata"].clone(),
        Edit::StatusOf(run) => object["status"] = run.get(runs).object["status"].clone(),
        Edit::Map(result, step, inline) => {
            let states = list(object, "/status/steps")?;
            let step = states[step.index(states.len())].clone();
            let own = step["results"].as_array().and_then(|own| own.first())?["name"].clone();
            let reference = format!("$(steps.{}.results.{})", name(&step, "name"), own.as_str()?);
            for spec in ["spec", "status"].into_iter().filter(|spec| *inline || *spec == "status") {
                let declared = list(object, &format!("/{spec}/taskSpec/results"))?;
                let i = result.index(declared.len());
                declared[i]["value"] = json!(reference);
            }
        }
        Edit::Declare(result, inline, kind) => {
            for spec in ["spec", "status"].into_iter().filter(|spec| *inline || *spec == "status") {
                let declared = list(object, &format!("/{spec}/taskSpec/results"))?;
                let i = result.index(declared.len());
                declared[i]["type"] = json!(kind);
            }
        }
        Edit::TaskOf(run, inline) => {
            let spec = if *inline { "spec" } else { "status" };
            object[spec]["taskSpec"] = run.get(runs).object[spec]["taskSpec"].clone();
        }
        Edit::NoInlineTask => {
            object["spec"].as_object_mut()?.remove("taskSpec");
        }
        Edit::Succeeded(is) => {
            object["status"]["conditions"] =
                json!([{"type": "Succeeded", "status": if *is { "True" } else { "False" }, "reason": "x"}]);
        }
        Edit::Times(removed) => {
            for (pointer, time) in
                [("startTime", "2020-01-01T00:00:00Z"), ("completionTime", "2099-01-01T00:00:00Z")]
            {
                let status = object["status"].as_object_mut()?;
                match removed {
                    true => status.remove(pointer),
                    false => status.insert(pointer.into(), json!(time)),
                };
            }
            object["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
        }
        Edit::Retries(count) => object["status"]["retriesStatus"] = json!(vec![json!({}); *count]),
        Edit::PodName(run, retry) => {
            let of = name(&run.get(runs).object["metadata"], "name");
            object["status"]["podName"] = json!(match retry {
                0 => format!("{of}-pod"),
                retry => format!("{of}-pod-retry{retry}"),
            });
        }
        Edit::ExitCode(step, code) => {
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            states[i]["terminated"]["exitCode"] = json!(code);
        }
        Edit::Reason(step, reason) => {
            let states = list(object, "/status/steps")?;
            let i = step.index(states.len());
            states[i]["terminationReason"] = json!(reason);
        }
        Edit::V1beta1 => {
            object["apiVersion"] = json!("tekton.dev/v1beta1");
            let status = object["status"].as_object_mut()?;
            let results = status.remove("results")?;
            status.insert("taskResults".into(), results);
            status.remove("artifacts");
        }
        Edit::Resign(step, identity, twist) => resign(object, step, identity.get(identities()), twist)?,
        Edit::Label => object["metadata"]["labels"] = json!({"a": "b"}),
    }
    Some(())
}

/// What the attacker can sign with: other identities of the trust domain, and one that a CA of his own made for the TaskRun.
fn identities() -> &'static [(IssuedSvid, Vec<u8>)] {
    static IDENTITIES: OnceLock<Vec<(IssuedSvid, Vec<u8>)>> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let random = SystemRandom::new();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let copy = |svid: &IssuedSvid| IssuedSvid {
            spiffe_id: svid.spiffe_id.clone(),
            certificate: svid.certificate.clone(),
            key: svid.key.clone(),
        };
        let own = DevCa::new("example.org", UnixSeconds::new(now), &random).unwrap();
        let held = fleet().others.iter().map(|svid| (copy(svid), fleet().ca.certificate().to_vec()));
        let names = fleet().runs.iter().map(|run| name(&run.object["metadata"], "name"));
        let made = names.map(|name| {
            let svid = own
                .issue(
                    &format!("/ns/default/taskrun/{name}"),
                    &[],
                    UnixSeconds::new(now),
                    std::time::Duration::from_secs(3600),
                    &random,
                )
                .unwrap();
            (svid, own.certificate().to_vec())
        });
        held.chain(made).collect()
    })
}

/// A step's attestation, altered and signed anew with an identity of the attacker's, over the results that the message now holds.
fn resign(object: &mut Value, step: &Index, identity: &(IssuedSvid, Vec<u8>), twist: &Twist) -> Option<()> {
    let states = list(object, "/status/steps")?.clone();
    let step = name(&states[step.index(states.len())], "name");
    let key = format!("SVIDENCE.{step}.sig");
    let value =
        list(object, "/status/results")?.iter().find(|result| result["name"] == *key)?["value"].clone();
    let mut attestation = Attestation::from_value(value.as_str()?).ok()?;
    let (svid, ca) = identity;
    attestation.leaf = svid.certificate.clone();
    match twist {
        Twist::Nothing => {}
        Twist::CarriesForeignCa => attestation.intermediates = vec![ca.clone()],
        Twist::Claims(run) => {
            let metadata = &run.get(&fleet().runs).object["metadata"];
            attestation.task_run = name(metadata, "name");
        }
        Twist::Result(at) => {
            if !attestation.results.is_empty() {
                let i = at.index(attestation.results.len());
                attestation.results[i].digest = sha256(b"forged");
                let name = attestation.results[i].name.clone();
                everywhere(object, &name, &json!({"type": "string", "value": "forged"}))?;
            }
        }
        Twist::Outcome => attestation.outcome = SignedOutcome { ended: Ended::Exited(0), continued: false },
        Twist::AttestsUid => attestation.task_run_uid = None,
    }
    let context = Context {
        trust_domain: "example.org",
        step: &step,
        results: &attestation.results,
        leaf: sha256(&attestation.leaf),
    };
    let signed = pre_authentication_encoding(&statement(&attestation, context));
    let key_pair = SigningKey::from_pkcs8(&Zeroizing::new(svid.key.to_vec())).ok()?;
    attestation.signature = key_pair.sign_attestation(&signed, &SystemRandom::new()).ok()?;
    everywhere(object, &key, &json!({"type": "string", "value": attestation.to_value()}))
}

/// Judges one forgery by what its proof says; whether it was accepted.
fn judge(base: &Genuine, edits: &[Edit]) -> Result<bool, String> {
    let mut object = base.object.clone();
    for edit in edits {
        // A move that the object has no place for is none.
        let _ = apply(&mut object, edit);
    }
    let attacker =
        match object["spec"] == base.object["spec"] && object["metadata"] == base.object["metadata"] {
            true => Attacker::StatusWriter,
            false => Attacker::ArchiveWriter,
        };
    let Some(report) = report(&object, &fleet().trust, &everything()) else { return Ok(false) };
    let Some(proof) = &report.proof else { return Ok(false) };
    // What TEP-0089 entries alone say is weak: they bind no names and no run. It must not be called anything else.
    if report.verdict == Verdict::Weak && proof.basis.tep0089_values().is_some() {
        let left = object.to_string().contains("SVIDENCE.");
        return if left { Err(format!("weak beside attestations: {}", reasons(&report))) } else { Ok(false) };
    }
    let mut untruths = fleet().untruths(&object, proof, attacker);
    if object["status"].get("steps").is_none() {
        // Such an object may hold a part of the results, and the report says which part is not there.
        let not_carried: Vec<&String> =
            report.notes.iter().filter(|note| note.contains("signed, but not carried: ")).collect();
        untruths.retain(|untruth| {
            let withheld = untruth.strip_suffix(" is withheld").and_then(|text| text.rsplit_once(": "));
            !withheld.is_some_and(|(_, name)| {
                not_carried.iter().any(|note| note.contains(&format!("task/{name}")))
            })
        });
    }
    if untruths.is_empty() {
        Ok(true)
    } else {
        Err(format!("{attacker:?}, {}: {untruths:?}", reasons(&report)))
    }
}

#[test]
fn whatever_is_put_together_only_the_truth_is_verified() {
    let (accepted, judged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let forgeries = (index(), prop::collection::vec(edit(), 1..6));
    let outcome = TestRunner::new(drawing(1500)).run(&forgeries, |(base, edits)| {
        let base = base.get(&fleet().runs);
        judged.fetch_add(1, Ordering::Relaxed);
        match judge(base, &edits) {
            Ok(is_accepted) => {
                accepted.fetch_add(usize::from(is_accepted), Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(TestCaseError::fail(format!("{}: {error}", base.label))),
        }
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // Without any that is accepted the measure would never have been used.
    let (accepted, judged) = (accepted.into_inner(), judged.into_inner());
    assert!(accepted * 200 > judged, "{accepted} of {judged} were accepted");
    eprintln!("{accepted} of {judged} forgeries left a true TaskRun");
}
