//! Verdicts that others have noted on runs, with the right digest of their evidence: no controller takes their word.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use svidence::controller::judging::ended::EndedRun;

use crate::{
    ended_runs::{
        OWN, claiming, forged, get, noted, path, pipeline_run, signed, unsigned, wait_for_verdict, wait_until,
    },
    process::World,
    support::scripted::{Scripted, response},
};

const VERIFIED: (&str, Option<&str>) = ("verified", None);
const FORGED: (&str, Option<&str>) = ("invalid", Some("result-changed"));
const UNSIGNED: (&str, Option<&str>) = ("absent", Some("no-evidence"));
const LEASE: [&str; 2] = ["--lease", "tekton-pipelines/svidence-controller"];

fn world(more: &Value) -> Option<World> {
    let mut data = json!({"svidence-registration": "off"});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    World::start(&data)
}

/// The same with an annotation that claims that it was verified, as it is.
fn claims(run: Value) -> Value {
    let digest = EndedRun::of(&run).unwrap().evidence;
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    claiming(run, &format!("sha256:{digest}"))
}

fn claim(run: &Value) -> Value {
    json!({"metadata": {"annotations": claims(run.clone())["metadata"]["annotations"]}})
}

#[test]
fn a_verdict_that_was_there_is_looked_at_by_a_controller_that_starts() {
    let Some(world) = world(&json!({"svidence-condition": "true"})) else { return };
    let server = &*world.server;
    let (lies, silent) = (claims(forged(signed(&world, "lies"))), claims(unsigned(signed(&world, "silent"))));
    let mut bad_child = signed(&world, "sink-build");
    let mut sink = pipeline_run("sink", &mut bad_child);
    sink["status"]["results"][0]["value"] = json!("forged");
    let sink = claims(sink);
    // The annotation is right, and the condition is not.
    let honest = signed(&world, "honest");
    let mut boasts = signed(&world, "boasts");
    boasts["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "SvidenceVerified", "status": "False"}));
    server.restore([&lies, &silent, &bad_child, &sink, &honest, &boasts]);
    let controller = world.controller_with(&world.admin(), &OWN);
    let of = (server, &controller);
    wait_for_verdict("it was changed", of, &lies, FORGED);
    wait_for_verdict("it is not signed", of, &silent, UNSIGNED);
    wait_for_verdict("a PipelineRun", of, &sink, ("invalid", Some("pipeline")));
    wait_for_verdict("an honest one", of, &boasts, VERIFIED);
    let before = noted(&wait_for_verdict("an honest one", of, &honest, VERIFIED)).unwrap();
    drop(controller);

    // Nobody is there. One says that it is verified, one has another condition, and one is as it was.
    server.patch(&path(&lies), claim(&get(server, &lies)));
    let mut conditions = get(server, &boasts)["status"]["conditions"].as_array().unwrap().clone();
    conditions.iter_mut().filter(|condition| condition["type"] == "SvidenceVerified").for_each(|condition| {
        condition["status"] = json!("False");
    });
    server.patch(&format!("{}/status", path(&boasts)), json!({"status": {"conditions": conditions}}));
    let mut controller =
        world.controller_with(&world.admin(), &[&OWN[..], &["--listen", "127.0.0.1:0"]].concat());
    let of = (server, &controller);
    wait_for_verdict("claimed while nobody was there", of, &lies, FORGED);
    wait_until("its condition", of, &boasts, |now| {
        now["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|condition| condition["type"] == "SvidenceVerified" && condition["status"] == "True")
    });
    while !controller.ask("GET /metrics").1.contains("svidence_controller_verdict_backlog 0\n") {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(noted(&get(server, &honest)), Some(before), "what is right is left alone");
}

#[test]
fn a_replica_that_takes_over_looks_at_what_it_has_not_judged_itself() {
    let Some(world) = world(&json!({})) else { return };
    let server = &*world.server;
    let replica = || world.controller_with(&world.admin(), &[&OWN[..], &LEASE].concat());
    let (lies, honest) = (forged(signed(&world, "lies")), signed(&world, "honest"));
    server.restore([&lies, &honest]);
    let first = replica();
    let before = noted(&wait_for_verdict("an honest one", (server, &first), &honest, VERIFIED)).unwrap();
    wait_for_verdict("a changed one", (server, &first), &lies, FORGED);
    let mut second = replica();
    second.wait_for(&["the controller has an identity"]);
    // The first one is gone when it is said; the second one sees that, and may not judge yet.
    drop(first);
    server.patch(&path(&lies), claim(&get(server, &lies)));
    second.wait_for(&["this controller is the one that acts"]);
    wait_for_verdict("said in between", (server, &second), &lies, FORGED);
    assert_eq!(noted(&get(server, &honest)), Some(before), "what is right is left alone");
}

/// A real API server does that only if somebody else writes at the very same moment.
#[test]
fn a_run_that_somebody_else_is_changing_is_judged_again() {
    let Some(world) = world(&json!({})) else { return };
    let run = unsigned(signed(&world, "busy"));
    let (state, patches) = (Arc::new(Mutex::new(run)), Arc::new(AtomicUsize::new(0)));
    let (of_server, counted) = (Arc::clone(&state), Arc::clone(&patches));
    let config = json!({
        "metadata": {"name": "config-spire", "namespace": "tekton-pipelines", "uid": "c", "resourceVersion": "1"},
        "data": {"spire-server-addr": world.spire.server_address(), "svidence-registration": "off"},
    });
    let scripted = Scripted::start(Box::new(move |path, _| {
        let list = |items: Value| json!({"metadata": {"resourceVersion": "1"}, "items": items});
        let run = of_server.lock().unwrap().clone();
        let body = match path {
            "/api/v1/namespaces/kube-system" => {
                json!({"metadata": {"uid": "0123abcd-4567-4890-8abc-def012345678"}})
            }
            path if path.contains("watch=") => {
                return response("200 OK", "Content-Type: application/json\r\n", "");
            }
            path if path.contains("/configmaps") => list(json!([config])),
            path if path.ends_with("/taskruns/busy") => {
                // The controller reads it once for each time that it judges it: each second question is the patch.
                if counted.fetch_add(1, Relaxed) == 1 {
                    let status =
                        json!({"kind": "Status", "reason": "Conflict", "message": "it has been modified"});
                    return response(
                        "409 Conflict",
                        "Content-Type: application/json\r\n",
                        &status.to_string(),
                    );
                }
                run
            }
            path if path.contains("/taskruns") => list(json!([run])),
            _ => list(json!([])),
        };
        response("200 OK", "Content-Type: application/json\r\n", &format!("{body}\n"))
    }));
    let cluster = json!({
        "server": format!("https://{}", scripted.address),
        "certificate-authority-data": STANDARD.encode(&scripted.certificate),
    });
    let mut controller =
        world.controller_with(&world.server.kubeconfig("scripted", &cluster, &json!({})), &OWN);
    controller.wait_for(&["\"message\":\"judged\"", "\"name\":\"busy\"", "\"verdict\":\"absent\""]);
    assert!(patches.load(Relaxed) >= 4, "{}", patches.load(Relaxed));
}
