//! config/controller: a real API server takes it, it is enough, and nothing of it can be taken away.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cluster::ApiServer,
    cluster_objects::scheduled,
    ended_runs::{OWN, forged, path, pipeline_run, signed, unsigned, wait_for_verdict, wait_until},
    process::{World, of_step},
};

/// The objects of a file of config/controller.
pub(crate) fn objects(file: &str) -> Vec<Value> {
    let path = format!("{}/config/controller/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// Where objects of a kind are created.
pub(crate) fn place(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().map(|name| format!("/namespaces/{name}"));
    let (version, kinds) = match object["kind"].as_str().unwrap() {
        "ServiceAccount" => ("/api/v1", "serviceaccounts"),
        "Deployment" => ("/apis/apps/v1", "deployments"),
        "ClusterRole" => ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
        "ClusterRoleBinding" => ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
        "Role" => ("/apis/rbac.authorization.k8s.io/v1", "roles"),
        "RoleBinding" => ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
        "ValidatingAdmissionPolicy" => {
            ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies")
        }
        "ValidatingAdmissionPolicyBinding" => {
            ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings")
        }
        other => panic!("{other}"),
    };
    format!("{version}{}/{kinds}?fieldValidation=Strict", namespace.unwrap_or_default())
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Each right of a role by itself.
pub(crate) fn rights(role: &Value) -> Vec<Value> {
    let rights = |rule: &Value| -> Vec<Value> {
        let one = |resource: &str, verb: &str| {
            let mut right = rule.clone();
            (right["resources"], right["verbs"]) = (json!([resource]), json!([verb]));
            right
        };
        let of = |resource: &&str| {
            texts(&rule["verbs"]).into_iter().map(|verb| one(resource, verb)).collect::<Vec<_>>()
        };
        texts(&rule["resources"]).iter().flat_map(of).collect()
    };
    role["rules"].as_array().unwrap().iter().flat_map(rights).collect()
}

/// The objects for another account, one of whose rights is missing.
pub(crate) fn lacking(objects: &[Value], name: &str, lacking: &Value) -> Vec<Value> {
    let mut objects = objects.to_vec();
    for object in &mut objects {
        object["metadata"]["name"] = json!(name);
        if object.get("rules").is_some() {
            let left: Vec<Value> = rights(object).into_iter().filter(|right| right != lacking).collect();
            object["rules"] = json!(left);
        }
        if object.get("roleRef").is_some() {
            object["roleRef"]["name"] = json!(name);
            object["subjects"][0]["name"] = json!(name);
        }
    }
    objects
}

/// Applies a file of config/controller.
fn apply(world: &World, file: &str) {
    objects(file).iter().for_each(|object| drop(world.server.create(&place(object), object)));
}

#[test]
fn its_role_is_enough_and_nothing_of_it_can_be_taken_away() {
    // What is wrong with the configuration is told by an event.
    let Some(world) = World::start(&json!({"svidence-attest": "nothing"})) else { return };
    let server = &*world.server;
    apply(&world, "controller.yaml");
    let mut child = signed(&world, "ship-build");
    let ship = unsigned_pipeline_run(&mut child);
    let account = world.kubeconfig_of_account("svidence-controller");
    let lease = ["--lease", "tekton-pipelines/svidence-controller"];
    let arguments = [&OWN[..], &lease].concat();
    let mut controller = world.controller_with(&account, &arguments);
    world.wait_for_warning("ConfigMap config-spire InvalidConfiguration: ");
    world.configure(&json!({"svidence-attest": null}));
    let run = scheduled(server, "default", "run", &["a"]);
    world.wait_for_entries("with all of it", &controller, &[of_step(("default", "run"), &run, "a")]);
    server.restore([&child, &ship]);
    wait_for_verdict("with all of it", (server, &controller), &child, ("absent", Some("no-evidence")));
    wait_for_verdict("with all of it", (server, &controller), &ship, ("unchecked", Some("pipeline")));
    controller.wait_for(&["registered"]);
    assert!(!controller.log().contains("(403)"), "{}", controller.log());
    // The status of runs is another right.
    world.configure(&json!({"svidence-condition": "true"}));
    forget(server, [&child, &ship]);
    for resource in ["taskruns", "pipelineruns"] {
        controller.wait_for(&[&rule(&format!("{resource}/status"), "patch")]);
    }
    apply(&world, "condition.yaml");
    for run in [&child, &ship] {
        let has_condition = |now: &Value| now["status"]["conditions"].as_array().unwrap().len() == 2;
        wait_until("with condition.yaml", (server, &controller), run, has_condition);
    }
    drop(controller);

    let objects = objects("controller.yaml");
    let (_, objects) = objects.split_last().unwrap();
    let all: Vec<Value> =
        objects.iter().filter(|object| object.get("rules").is_some()).flat_map(rights).collect();
    assert_eq!(all.len(), 17, "{all:#?}");
    world.configure(&json!({"svidence-condition": null}));
    for (number, right) in all.iter().enumerate() {
        let name = format!("lacks-{number}");
        lacking(objects, &name, right).iter().for_each(|object| drop(server.create(&place(object), object)));
        // Another one holds it, or held it.
        let lease_path =
            "/apis/coordination.k8s.io/v1/namespaces/tekton-pipelines/leases/svidence-controller";
        if server.get(lease_path).0 == 200 {
            server.delete(lease_path);
        }
        forget(server, [&child, &ship]);
        let mut controller = world.controller_with(&world.kubeconfig_of_account(&name), &arguments);
        controller.wait_for(&[&rule(texts(&right["resources"])[0], texts(&right["verbs"])[0])]);
    }
}

/// What a refusal says is missing.
pub(crate) fn rule(resource: &str, verb: &str) -> String {
    format!("resources: [\\\"{resource}\\\"], verbs: [\\\"{verb}\\\"]")
}

/// A PipelineRun whose TaskRun has signed nothing.
fn unsigned_pipeline_run(child: &mut Value) -> Value {
    *child = unsigned(child.clone());
    pipeline_run("ship", child)
}

/// Takes verdicts away, so that they are made again.
fn forget<'a>(server: &ApiServer, runs: impl IntoIterator<Item = &'a Value>) {
    let nothing = json!({"metadata": {"annotations": {"svidence.dev/verdict": null}}});
    runs.into_iter().for_each(|run| drop(server.patch(&path(run), &nothing)));
}

#[test]
fn the_policy_lets_nobody_but_the_controller_note_a_verdict() {
    let Some(world) = World::start(&json!({"svidence-registration": "off"})) else { return };
    let server = &*world.server;
    apply(&world, "controller.yaml");
    apply(&world, "policy.yaml");
    let honest = signed(&world, "honest");
    let created = |annotations: Value| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": "preset", "annotations": annotations}, "spec": honest["spec"],
        })
    };
    let claim = json!({"svidence.dev/verdict": "{\"verdict\":\"verified\"}"});
    // A policy is in force by and by.
    let start = Instant::now();
    let runs = "/apis/tekton.dev/v1/namespaces/default/taskruns";
    let refused = loop {
        let (status, text) = server.try_create(&format!("{runs}?dryRun=All"), &created(claim.clone()));
        if status != 201 {
            break (status, text);
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the policy is never in force");
        thread::sleep(Duration::from_millis(100));
    };
    let is_refused = |case: &str, (status, text): &(u16, String)| {
        assert!(*status == 422 && text.contains("by svidence controller alone"), "{case}: {status} {text}");
    };
    is_refused("it is created with one", &refused);
    server.create(runs, &created(Value::Null));
    server.delete(&format!("{runs}/preset"));
    server.create(runs, &created(json!({"other": "text"})));

    server.restore([&honest]);
    let controller = world.controller_with(&world.kubeconfig_of_account("svidence-controller"), &OWN);
    let of = (server, &controller);
    wait_for_verdict("the controller may", of, &honest, ("verified", None));
    for (case, annotations) in [
        ("it is changed", claim),
        ("it is taken away", json!({"svidence.dev/verdict": null})),
        ("all of them are", Value::Null),
    ] {
        let patch = json!({"metadata": {"annotations": annotations}});
        is_refused(case, &server.try_patch(&path(&honest), &patch));
    }
    // Tekton, Chains and Results write others, and the status.
    server
        .patch(&path(&honest), json!({"metadata": {"annotations": {"other": "text"}, "labels": {"a": "b"}}}));
    let changed = json!({"status": {"results": forged(honest.clone())["status"]["results"]}});
    server.patch(&format!("{}/status", path(&honest)), changed);
    wait_for_verdict("the controller may again", of, &honest, ("invalid", Some("result-changed")));
}
