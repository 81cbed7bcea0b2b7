//! Entries as ClusterStaticEntry objects, of which a spire-controller-manager would make entries. The definition is a real one; what such a
//! program writes into their status is written by the tests.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cluster_objects::{scheduled, set_images, set_phase},
    process::{Controller, NOTHING, World, of_step},
    rights::{lacking, objects, place, rights, rule, texts},
};

const DEFINITION: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/testdata/spire-controller-manager/clusterstaticentries.yaml"
));
const PATH: &str = "/apis/spire.spiffe.io/v1alpha1/clusterstaticentries";
const AS_OBJECTS: (&str, &str) = ("svidence-registration", "cluster-static-entry");

fn all(world: &World) -> Vec<Value> {
    let (status, text) = world.server.get(PATH);
    assert_eq!(status, 200, "{text}");
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// What counts of an object, as [`World::entries`] shows an entry.
fn shown(object: &Value) -> String {
    let spec = &object["spec"];
    let texts = |member: &str| -> Vec<String> {
        let list = spec.get(member).and_then(Value::as_array);
        list.into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let hint = object["metadata"]["labels"]["svidence.dev/cluster"].as_str().unwrap_or("-");
    let path = |member: &str| {
        let id = spec[member].as_str().unwrap().strip_prefix("spiffe://example.org").unwrap();
        id.replace(&format!("/tekton-node/{hint}/"), "")
    };
    let mut selectors = texts("selectors");
    selectors.sort();
    let ttl = spec["x509SVIDTTL"].as_str().unwrap_or("0s").trim_end_matches('s');
    format!(
        "{} below {} [{}] DNS {} ttl {ttl}",
        path("spiffeID"),
        path("parentID"),
        selectors.join(" "),
        texts("dnsNames").join(",")
    )
}

/// Waits until these are the objects of runs with the cluster's label; gives all of them, aliases of nodes as well.
fn wait_for(world: &World, case: &str, controller: &Controller, expected: &[String]) -> Vec<Value> {
    let mut expected = expected.to_vec();
    expected.sort();
    let start = Instant::now();
    loop {
        let tag = world.tag();
        let is_ours = |object: &&Value| object["metadata"]["labels"]["svidence.dev/cluster"] == tag.as_str();
        let ours: Vec<Value> = all(world).iter().filter(is_ours).cloned().collect();
        let mut lines: Vec<String> =
            ours.iter().map(shown).filter(|line| !line.contains("k8s_psat")).collect();
        lines.sort();
        if lines == expected {
            return ours;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{case}: there are\n{lines:#?}\nnot\n{expected:#?}\n{}",
            controller.log()
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// A cluster that knows such objects, and where the controller's account may keep them.
fn world(data: &Value) -> Option<World> {
    let world = World::start(data)?;
    world.server.define(DEFINITION, &format!("{PATH}?limit=1"));
    let files = ["controller.yaml", "static-entries/static-entries.yaml"];
    for object in files.iter().flat_map(|file| objects(file)).filter(|object| object["kind"] != "Deployment")
    {
        world.server.create(&place(&object), &object);
    }
    Some(world)
}

/// As its account, and with no agent that would give it an identity.
fn controller(world: &World) -> Controller {
    let nowhere = world.server.folder.path().join("nowhere.sock");
    let nowhere = format!("unix://{}", nowhere.display());
    world.controller_at(&nowhere, &world.kubeconfig_of_account("svidence-controller"), &[])
}

#[test]
fn objects_are_kept_like_entries_with_no_right_at_the_spire_server() {
    let keys = json!({AS_OBJECTS.0: AS_OBJECTS.1, "svidence-class-name": "of-ci"});
    let Some(world) = world(&keys) else { return };
    let server = &world.server;
    let mut controller = controller(&world);
    let run = scheduled(server, "default", "run", &["build", "push"]);
    let steps = [of_step(("default", "run"), &run, "build"), of_step(("default", "run"), &run, "push")];
    let made = wait_for(&world, "a run", &controller, &steps);
    controller.wait_for(&["\"registered\"", "\"entries\":2"]);
    assert!(world.entries().is_empty(), "none at the SPIRE server: {:?}", world.entries());
    let tag = world.tag();
    for object in &made {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with(&format!("{tag}.")), "{name}");
        assert_eq!(object["spec"]["hint"], tag.as_str(), "{name}");
        assert_eq!(object["spec"]["className"], "of-ci", "{name}");
        assert!(object["spec"].get("admin").is_none(), "{name}");
    }
    let alias = made.iter().map(shown).find(|line| line.contains("k8s_psat")).unwrap();
    assert_eq!(
        alias,
        "node-1 below /spire/server [k8s_psat:agent_node_name:node-1 k8s_psat:agent_ns:spire] DNS  ttl 0"
    );

    let path_of = |step: &str| format!("{PATH}/{tag}.pod.{}.step-{step}", run.1);

    // Another one that means the same is preferred.
    let masked = json!({"status": {"rendered": true, "masked": true, "set": false}});
    server.patch(&format!("{}/status", path_of("build")), &masked);
    let start = Instant::now();
    while !world.warnings("default").iter().any(|told| told.contains("status.masked")) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{:?}\n{}",
            world.warnings("default"),
            controller.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
    // What somebody else has changed is put right, whatever it is; what is deleted is made again.
    for (case, change) in [
        ("fewer selectors", json!({"selectors": ["k8s:ns:default"]})),
        ("an administrator", json!({"admin": true})),
    ] {
        let before = server.patch(&path_of("build"), json!({"spec": change}));
        let start = Instant::now();
        loop {
            let (_, text) = server.get(&path_of("build"));
            let now: Value = serde_json::from_str(&text).unwrap();
            let first =
                made.iter().find(|object| object["metadata"]["name"] == now["metadata"]["name"]).unwrap();
            if now["spec"] == first["spec"] {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{case}: {before} stays\n{}",
                controller.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
    server.delete(&path_of("push"));
    wait_for(&world, "one was deleted", &controller, &steps);
    let told = world.wait_for_warning("ConfigMap config-spire EntriesDeleted: ");
    assert!(told.contains("1 ClusterStaticEntry objects of svidence were deleted"), "{told}");

    set_phase(server, "default", "run-pod", "Succeeded");
    wait_for(&world, "the pod has ended", &controller, &[]);
    assert!(!controller.log().contains("(403)"), "{}", controller.log());
    assert_eq!(controller.end(), Some(0), "told to end");
}

#[test]
fn objects_of_others_stay_as_they_are() {
    let Some(world) = world(&json!({AS_OBJECTS.0: AS_OBJECTS.1})) else { return };
    let server = &world.server;
    let tag = world.tag();
    let spec = json!({
        "spiffeID": "spiffe://example.org/other", "parentID": "spiffe://example.org/spire/server",
        "selectors": ["k8s_psat:agent_ns:spire"],
    });
    let other = |name: &str, labels: Value, hint: &str| {
        let mut spec = spec.clone();
        spec["hint"] = json!(hint);
        let object = json!({
            "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterStaticEntry",
            "metadata": {"name": name, "labels": labels}, "spec": spec,
        });
        server.create(PATH, &object);
    };
    let run = scheduled(server, "default", "run", &["build", "push"]);
    let taken = format!("{tag}.pod.{}.step-build", run.1);
    other("no-label", json!({}), &tag);
    other(&format!("{tag}.pod.gone.step-a"), json!({}), &tag);
    other("another-name", json!({"svidence.dev/cluster": tag}), &tag);
    other(&format!("{tag}x.pod.gone.step-a"), json!({"svidence.dev/cluster": tag}), &tag);
    other(
        "svidence-ffffffffffff.pod.gone.step-a",
        json!({"svidence.dev/cluster": "svidence-ffffffffffff"}),
        &tag,
    );
    other(&taken, json!({}), &tag);
    // The one that is left from before goes.
    other(&format!("{tag}.pod.gone.step-b"), json!({"svidence.dev/cluster": tag}), "x");
    let others: Vec<Value> = all(&world);
    let controller = controller(&world);
    let start = Instant::now();
    while !world
        .warnings("default")
        .iter()
        .any(|told| told.contains("it is not the controller's, so it stays"))
    {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{:?}\n{}",
            world.warnings("default"),
            controller.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
    set_phase(server, "default", "run-pod", "Succeeded");
    let start = Instant::now();
    loop {
        let left = all(&world);
        let is_other = |object: &&Value| !object["spec"]["selectors"].to_string().contains("agent_node_name");
        let left: Vec<&Value> = left.iter().filter(is_other).collect();
        let expected: Vec<&Value> = others
            .iter()
            .filter(|object| object["metadata"]["name"] != format!("{tag}.pod.gone.step-b"))
            .collect();
        if left == expected {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{left:#?}\n{}", controller.log());
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn nothing_of_the_role_for_objects_can_be_taken_away() {
    let Some(world) = world(&json!({AS_OBJECTS.0: AS_OBJECTS.1})) else { return };
    let server = &world.server;
    let first = controller(&world);
    let run = scheduled(server, "default", "run", &["build", "push"]);
    let steps = ["build", "push"].map(|step| of_step(("default", "run"), &run, step));
    wait_for(&world, "with all of it", &first, &steps);
    drop(first);
    let tag = world.tag();
    let path_of = |step: &str| format!("{PATH}/{tag}.pod.{}.step-{step}", run.1);
    let (_, text) = server.get(&path_of("push"));
    let spec = serde_json::from_str::<Value>(&text).unwrap()["spec"].clone();
    let (account, role) = (objects("controller.yaml"), objects("static-entries/static-entries.yaml"));
    let (_, account) = account.split_last().unwrap();
    let all: Vec<Value> =
        role.iter().filter(|object| object.get("rules").is_some()).flat_map(rights).collect();
    assert_eq!(all.len(), 5, "{all:#?}");
    for (number, right) in all.iter().enumerate() {
        // One is to be made, one to be put right, one to be deleted.
        if server.get(&path_of("push")).0 == 200 {
            server.delete(&path_of("push"));
        }
        server.patch(&path_of("build"), json!({"spec": {"admin": true}}));
        let left = json!({
            "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterStaticEntry", "spec": spec,
            "metadata": {"name": format!("{tag}.pod.gone.step-a"), "labels": {"svidence.dev/cluster": tag}},
        });
        server.try_create(PATH, &left);
        let name = format!("lacks-{number}");
        let mut role = lacking(&role, &format!("{name}-entries"), right);
        for binding in role.iter_mut().filter(|object| object.get("subjects").is_some()) {
            binding["subjects"][0]["name"] = json!(name);
        }
        for object in lacking(account, &name, &Value::Null).iter().chain(&role) {
            server.create(&place(object), object);
        }
        let nowhere = format!("unix://{}/nowhere.sock", server.folder.path().display());
        let mut controller = world.controller_at(&nowhere, &world.kubeconfig_of_account(&name), &[]);
        controller.wait_for(&[&rule(texts(&right["resources"])[0], texts(&right["verbs"])[0])]);
    }
}

/// Whoever may write such objects can put another one in the place of one of ours, at any time.
#[test]
fn one_that_has_taken_the_name_of_ours_is_not_deleted_with_the_run() {
    let Some(world) = world(&json!({AS_OBJECTS.0: AS_OBJECTS.1})) else { return };
    let server = &world.server;
    let run = scheduled(server, "default", "run", &["build", "push"]);
    let steps = [of_step(("default", "run"), &run, "build"), of_step(("default", "run"), &run, "push")];
    let controller = controller(&world);
    let made = wait_for(&world, "a run", &controller, &steps);
    let name = format!("{}.pod.{}.step-build", world.tag(), run.1);
    let mut other = made.iter().find(|object| object["metadata"]["name"] == name.as_str()).unwrap().clone();
    other["metadata"] = json!({"name": name});
    server.delete(&format!("{PATH}/{name}"));
    server.create(PATH, &other);
    set_phase(server, "default", "run-pod", "Succeeded");
    wait_for(&world, "the pod has ended", &controller, &[]);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(server.get(&format!("{PATH}/{name}")).0, 200, "it is not ours\n{}", controller.log());
}

/// What was kept in one place does not stay there when it is kept in the other.
#[test]
fn the_way_to_register_can_be_changed_while_runs_are_running() {
    let Some(world) = world(&json!({})) else { return };
    let server = &world.server;
    let controller = world.controller();
    let run = scheduled(server, "default", "run", &["build"]);
    let step = of_step(("default", "run"), &run, "build");
    world.wait_for_entries("at the server", &controller, std::slice::from_ref(&step));
    world.configure(&json!({AS_OBJECTS.0: AS_OBJECTS.1}));
    wait_for(&world, "as objects", &controller, std::slice::from_ref(&step));
    assert!(world.entries().is_empty(), "not at the server, too: {:?}", world.entries());
    world.configure(&json!({AS_OBJECTS.0: "off"}));
    let other = scheduled(server, "default", "other", &["build"]);
    thread::sleep(Duration::from_millis(500));
    wait_for(&world, "what has entries keeps them", &controller, std::slice::from_ref(&step));
    world.wait_for_entries("nothing new", &controller, NOTHING);
    world.configure(&json!({AS_OBJECTS.0: "pod"}));
    let both = [step, of_step(("default", "other"), &other, "build")];
    world.wait_for_entries("at the server again", &controller, &both);
    assert!(all(&world).is_empty(), "no objects, too: {:?}", all(&world));
}

#[test]
fn an_image_can_be_attested_so_too() {
    let program = "ab".repeat(32);
    let keys = json!({AS_OBJECTS.0: AS_OBJECTS.1, "svidence-attest": "image", "svidence-entrypoint-sha256": program});
    let Some(world) = world(&keys) else { return };
    let controller = controller(&world);
    let (uid, pod_uid) = scheduled(&world.server, "default", "run", &["build"]);
    wait_for(&world, "no image is known", &controller, &[]);
    let image = format!("registry.example.org:5000/app@sha256:{}", "0a1b2c3d4e5f6071".repeat(4));
    set_images(&world.server, "default", "run-pod", &[("step-build", &image)]);
    let pin = &program[..16];
    let expected = format!(
        "/ns/default/taskrun/run below node-1 [k8s:container-image:{image} k8s:container-name:step-build k8s:ns:default \
         k8s:pod-uid:{pod_uid} k8s:sa:default unix:sha256:{program}] DNS x{pin}.i0a1b2c3d4e5f6071.build.{uid}.taskrun.internal ttl 900"
    );
    wait_for(&world, "it is known", &controller, &[expected]);
}

#[test]
fn a_cluster_that_knows_no_such_objects_is_told() {
    let Some(world) = World::start(&json!({AS_OBJECTS.0: AS_OBJECTS.1})) else { return };
    let mut controller = world.controller();
    controller
        .wait_for(&["the ClusterStaticEntry objects cannot be kept", "clusterstaticentries.spire.spiffe.io"]);
}
