//! The pods of `testdata/`, as Tekton's controller made them, run whole: through Tekton's own entrypoint and through ours.

use crate::support;

use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    kubelet::{Container, Images, PodRun, RESULTS_SIDECAR, run},
    peers,
    private::available,
    signed::{judge, reasons, sidecar_log, trust},
    spire::{EntryOptions, Spire, SpireOptions},
    step::OURS,
};
use svidence::{
    standin::{
        agent::DevAgent,
        ca::DevCa,
        taskrun::{RunSpec, StepReport, assemble_from_log},
    },
    verify::{Report, Verdict},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

const PODS: [&str; 10] = [
    "pods/rich-none",
    "pods/rich-sidecarlogs",
    "pods/rich-spire",
    "pods/simple-none",
    "pods/simple-spire",
    "sample/default",
    "sample/injected",
    "sample/sample-pod",
    "sample/spire-keepcancel-compress",
    "sample/spire-sidecar",
];

fn pod(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(format!("{name}.yaml"));
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn signs(pod: &Value) -> bool {
    pod["spec"]["volumes"].as_array().unwrap().iter().any(|volume| volume.get("csi").is_some())
}

/// Path of the SPIFFE ID that the controller registers.
fn spiffe_path(pod: &Value) -> String {
    let (namespace, task_run) =
        (text(pod, "/metadata/namespace"), text(pod, "/metadata/labels/tekton.dev~1taskRun"));
    format!("/ns/{namespace}/taskrun/{task_run}")
}

fn images(entrypoint: &Path, workload_api: &Path) -> Option<Images> {
    Some(Images {
        entrypoint: entrypoint.to_owned(),
        sidecar_log_results: Some(peers::require("tekton-sidecarlogresults")?),
        workload_api: Some(workload_api.to_owned()),
    })
}

/// The entries of a message, none of them evidence, with `T` for times. `None` if it cannot be read.
fn entries(message: &[u8]) -> Option<Vec<Value>> {
    let json = match message.strip_prefix(b"tknz:") {
        None => message.to_owned(),
        Some(text) => miniz_oxide::inflate::decompress_to_vec(&STANDARD_NO_PAD.decode(text).ok()?).ok()?,
    };
    let mut entries: Vec<Value> = serde_json::from_slice(&json).ok()?;
    entries.retain(|entry| {
        let key = entry["key"].as_str().unwrap();
        !(key == "SVID" || key == "RESULT_MANIFEST" || key.ends_with(".sig"))
    });
    for entry in entries.iter_mut().filter(|entry| entry["key"] == "StartedAt") {
        entry["value"] = json!("T");
    }
    Some(entries)
}

/// What is seen of a container, its evidence left out.
fn seen(container: &Container) -> Value {
    let mut output: Vec<&str> = container.stdout.lines().collect();
    if container.name == RESULTS_SIDECAR {
        // It reads the files side by side.
        output.sort_unstable();
    }
    json!({
        "name": container.name,
        "exit code": container.exit_code,
        "output": output,
        "message": entries(&container.written),
    })
}

/// The script that the controller has `place-scripts` write to this path.
fn script(pod: &Value, path: &str) -> String {
    let containers = pod["spec"]["initContainers"].as_array().unwrap();
    let placing = containers.iter().find(|container| container["name"] == "place-scripts").unwrap();
    let (_, after) = text(placing, "/args/1").split_once(&format!("scriptfile=\"{path}\"")).unwrap();
    let encoded = after.split_once("'_EOF_'\n").unwrap().1.split_once('\n').unwrap().0;
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// The inline Task of which the controller made the pod, as far as it is in the pod.
fn task_spec(pod: &Value) -> Value {
    // The types are the author's and no part of a pod.
    let of_type = |name: &str| match name {
        "list" | "images" | "files" => "array",
        "obj" | "meta" => "object",
        _ => "string",
    };
    let declared = |names: &str| -> Value {
        let names = names.split(',').filter(|name| !name.is_empty());
        names.map(|name| json!({"name": name, "type": of_type(name)})).collect()
    };
    let mut results = Value::Null;
    let mut steps = Vec::new();
    for container in pod["spec"]["containers"].as_array().unwrap() {
        let Some(name) = text(container, "/name").strip_prefix("step-") else { continue };
        let args: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        let flag = |flag: &str| args.iter().position(|arg| *arg == flag).map_or("", |at| args[at + 1]);
        results = declared(flag("-results"));
        let mut step = json!({"name": name, "image": text(container, "/image"), "results": declared(flag("-step_results"))});
        for (member, flag) in [("onError", flag("-on_error")), ("timeout", flag("-timeout"))] {
            if !flag.is_empty() {
                step[member] = json!(flag);
            }
        }
        let expressions = flag("--when_expressions");
        if !expressions.is_empty() {
            step["when"] = serde_json::from_str(expressions).unwrap();
        }
        let own = args.iter().position(|arg| *arg == "--").unwrap() + 1;
        match flag("-entrypoint") {
            // The image's, which no task states.
            "" => {}
            command => match command.starts_with("/tekton/scripts/") {
                true => step["script"] = json!(script(pod, command)),
                false => step["command"] = json!([command]),
            },
        }
        step["args"] = json!(args[own..]);
        steps.push(step);
    }
    json!({"results": results, "steps": steps})
}

/// The verdict on the TaskRun that the controller would make of this pod's end.
fn verdict(pod: &Value, ran: &PodRun, created: OffsetDateTime, bundle_pem: &str) -> Report {
    let steps: Vec<StepReport> = ran
        .steps()
        .map(|container| StepReport {
            name: container.name.trim_start_matches("step-").to_owned(),
            message: container.message.clone(),
            exit_code: container.exit_code,
            started: container.started,
            finished: container.finished,
        })
        .collect();
    let spec = RunSpec {
        namespace: text(pod, "/metadata/namespace").to_owned(),
        name: text(pod, "/metadata/labels/tekton.dev~1taskRun").to_owned(),
        uid: text(pod, "/metadata/labels/tekton.dev~1taskRunUID").to_owned(),
        pod_name: text(pod, "/metadata/name").to_owned(),
        created,
        task_spec: task_spec(pod),
    };
    let log = ran.container(RESULTS_SIDECAR).map(|sidecar| sidecar_log(&sidecar.stdout)).unwrap_or_default();
    judge(&assemble_from_log(&spec, &steps, &log), &trust(bundle_pem))
}

/// Steps whose program is not attested, although the pod says what it is.
fn not_attested(pod: &Value, report: &Report) -> Vec<String> {
    let has_command = |name: &str| {
        let containers = pod["spec"]["containers"].as_array().unwrap();
        let step = containers.iter().find(|container| container["name"] == format!("step-{name}")).unwrap();
        step["args"].as_array().unwrap().iter().any(|arg| arg == "-entrypoint")
    };
    let steps = report.proof.iter().flat_map(|proof| proof.basis.steps());
    let expected = |name: &str| if has_command(name) { "attested" } else { "not stated" };
    let wrong = steps.filter(|step| step.program.as_str() != expected(&step.name));
    wrong.map(|step| format!("step {}: its program is {}", step.name, step.program.as_str())).collect()
}

/// The files that `other` lacks or has otherwise.
fn without(files: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut files = files.clone();
    files.retain(|path, content| other.get(path) != Some(content));
    files
}

/// Runs a pod through both entrypoints and compares; where it signs, ours must verify.
fn compare(name: &str, tekton: &Path) -> Result<(), String> {
    let pod = pod(name);
    let random = SystemRandom::new();
    let created = OffsetDateTime::now_utc();
    let now = created.unix_timestamp();
    let ca = DevCa::new("example.org", UnixSeconds::new(now), &random).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let agent = DevAgent::start(&socket).unwrap();
    agent.serve(
        &ca,
        &ca.issue(
            &spiffe_path(&pod),
            &[],
            UnixSeconds::new(now),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap(),
    );
    let (Some(their_images), Some(our_images)) = (images(tekton, &socket), images(OURS.as_ref(), &socket))
    else {
        return Ok(());
    };
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| run(&pod, &their_images));
        let ours = run(&pod, &our_images);
        (theirs.join().unwrap(), ours)
    });
    let mut wrong = Vec::new();
    for (theirs, ours) in theirs.containers.iter().zip(&ours.containers) {
        if seen(theirs) != seen(ours) {
            let stderr = format!("Tekton's stderr: {}\nour stderr: {}", theirs.stderr, ours.stderr);
            wrong.push(format!("Tekton: {:#}\nours: {:#}\n{stderr}", seen(theirs), seen(ours)));
        }
    }
    if theirs.containers.is_empty() || theirs.containers.len() != ours.containers.len() {
        wrong.push(format!("{} and {} containers", theirs.containers.len(), ours.containers.len()));
    }
    let (their_files, mut our_files) = (theirs.files(), ours.files());
    our_files.remove("tekton-internal-bin/svidence.json");
    if their_files != our_files {
        let (only_theirs, only_ours) = (without(&their_files, &our_files), without(&our_files, &their_files));
        wrong.push(format!("files, Tekton: {only_theirs:#?}\nours: {only_ours:#?}"));
    }
    if signs(&pod) {
        let report = verdict(&pod, &ours, created, &ca.bundle_pem());
        if report.verdict != Verdict::Verified {
            let messages: Vec<_> =
                ours.steps().map(|step| String::from_utf8_lossy(&step.message).into_owned()).collect();
            wrong.push(format!("{}\n{messages:#?}", reasons(&report)));
        }
        wrong.extend(not_attested(&pod, &report));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("== {name}\n{}", wrong.join("\n"))) }
}

#[test]
fn every_pod_runs_as_with_tektons_entrypoint_and_verifies_where_it_signs() {
    if !available("every_pod_runs_as_with_tektons_entrypoint_and_verifies_where_it_signs") {
        return;
    }
    let Some(tekton) = peers::require("tekton-entrypoint") else { return };
    // Tekton's looks once a second: the pods are run side by side.
    let wrong: Vec<String> = thread::scope(|scope| {
        let tekton = &tekton;
        let pods: Vec<_> = PODS.iter().map(|name| scope.spawn(move || compare(name, tekton))).collect();
        pods.into_iter().filter_map(|pod| pod.join().unwrap().err()).collect()
    });
    assert!(wrong.is_empty(), "{} of {} pods\n{}", wrong.len(), PODS.len(), wrong.join("\n"));
}

/// Five steps and a sidecar make nine containers with 1365 bytes each. With signing on, Tekton's own messages are cut there, and every
/// result is lost in silence; ours all arrive, attested by a real SPIRE.
#[test]
fn a_pod_of_nine_containers_keeps_its_results_and_verifies() {
    if !available("a_pod_of_nine_containers_keeps_its_results_and_verifies") {
        return;
    }
    let Some(tekton) = peers::require("tekton-entrypoint") else { return };
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    let pod = pod("pods/rich-spire");
    spire.entry(EntryOptions::new(spiffe_path(&pod)));
    thread::sleep(Duration::from_millis(500));
    let created = OffsetDateTime::now_utc();
    let run_by = |entrypoint: &Path| Some(run(&pod, &images(entrypoint, &spire.agent_socket())?));
    let (Some(theirs), Some(ours)) = (run_by(&tekton), run_by(Path::new(OURS))) else { return };
    let values = |ran: &PodRun, step: &str| -> Vec<(String, String)> {
        let message = &ran.container(step).unwrap().message;
        let entries =
            entries(message).unwrap_or_else(|| panic!("{step}: {}", String::from_utf8_lossy(message)));
        let results = entries.iter().filter(|entry| entry["type"] == 1 || entry["type"] == 4);
        results.map(|entry| (text(entry, "/key").to_owned(), text(entry, "/value").to_owned())).collect()
    };
    let expected = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(values(&ours, "step-produce"), expected(&[("version", "1.2.3"), ("sum", "abc123")]));
    let all = expected(&[("version", "1.2.3"), ("stdout", "hello from stdout\n")]);
    for step in ["step-say", "step-may-fail", "step-cel"] {
        assert_eq!(values(&ours, step), all, "{step}");
    }
    for step in ours.steps() {
        assert_eq!(step.message, step.written, "{}: nothing is cut", step.name);
        assert_eq!(step.exit_code, 0, "{}: {}", step.name, step.stderr);
    }
    let report = verdict(&pod, &ours, created, &spire.bundle_pem());
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    assert_eq!(not_attested(&pod, &report), [""; 0]);
    assert_eq!(report.proof.unwrap().results.len(), 2, "results of the task");

    for step in theirs.steps().filter(|step| step.name != "step-scan") {
        assert_eq!(step.exit_code, 0, "{}: Tekton's says nothing of it: {}", step.name, step.stderr);
        assert!(
            entries(&step.written).is_some_and(|entries| !entries.is_empty()),
            "{}: it was there",
            step.name
        );
        assert_eq!(entries(&step.message), None, "{}: and is cut where the kubelet cuts", step.name);
    }
}
