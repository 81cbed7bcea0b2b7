//! Objects of people who may create pods and write labels, owner references and statuses as they like.

use serde_json::{Value, json};

use crate::{
    cluster_objects::{bind, create_pod, namespace, pod, scheduled, set_status, task_run},
    process::{NOTHING, World, of_step},
};

#[test]
fn no_pod_gets_an_identity_that_is_not_its_own() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    namespace(server, "attacker");
    let honest = scheduled(server, "default", "honest", &["build"]);
    let (uid, _) = &honest;
    let attackers = task_run(server, "attacker", "own");
    let named = |mut pod: Value, name: &str| {
        pod["metadata"]["name"] = json!(name);
        pod
    };
    let label = |mut pod: Value, label: &str, value: &str| {
        pod["metadata"]["labels"][label] = json!(value);
        pod
    };
    let mut without_owner = named(pod("honest", uid, &["build"]), "label-alone");
    without_owner["metadata"]["ownerReferences"] = json!([]);
    let mut of_job = named(pod("honest", uid, &["build"]), "of-a-job");
    of_job["metadata"]["ownerReferences"][0]["kind"] = json!("Job");
    let mut annotated = named(pod("own", &attackers, &["build"]), "annotated");
    annotated["metadata"]["annotations"] =
        json!({"svidence.dev/taskRun": "honest", "tekton.dev/taskRun": "honest"});
    // The API server takes a megabyte for a name; of that nothing is kept.
    let mut large = named(pod("honest", uid, &["build"]), "large");
    large["metadata"]["ownerReferences"][0]["name"] = json!("a".repeat(1 << 20));
    let cases: Vec<(&str, &str, Value, &str)> = vec![
        ("default", "large", large, "its controller is missing"),
        ("default", "label-alone", without_owner, "its controller is missing"),
        ("default", "of-a-job", of_job, "its controller is the Job honest"),
        (
            "default",
            "second",
            named(pod("honest", uid, &["build"]), "second"),
            "the pod of the TaskRun honest is honest-pod",
        ),
        (
            "attacker",
            "elsewhere",
            named(pod("honest", uid, &["build"]), "elsewhere"),
            "the TaskRun honest that it says it belongs to is not in its namespace",
        ),
        (
            "attacker",
            "other-uid",
            named(label(pod("own", uid, &["build"]), "x", "y"), "other-uid"),
            "but the one in its namespace has the UID",
        ),
        (
            "attacker",
            "other-label",
            label(named(pod("own", &attackers, &["build"]), "other-label"), "tekton.dev/taskRun", "honest"),
            "its label tekton.dev/taskRun is \"honest\"",
        ),
        (
            "attacker",
            "uid-label",
            label(named(pod("own", &attackers, &["build"]), "uid-label"), "tekton.dev/taskRunUID", uid),
            "its label tekton.dev/taskRunUID is",
        ),
        ("attacker", "annotated", annotated, "the pod of the TaskRun own is own-pod"),
    ];
    set_status(server, "attacker", "own", &json!({"podName": "own-pod"}));
    for (namespace, name, pod, _) in &cases {
        create_pod(server, namespace, pod);
        bind(server, namespace, name, "node-1");
    }
    let controller = world.controller();
    let expected = [of_step(("default", "honest"), &honest, "build")];
    world.wait_for_entries("the honest one", &controller, &expected);
    // Each is told to whoever looks at the pod, once it has lasted.
    let mut warned = Vec::new();
    for _ in 0..600 {
        warned = [world.warnings("default"), world.warnings("attacker")].concat();
        if warned.len() >= cases.len() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for (_, name, _, says) in &cases {
        let start = format!("Pod {name} NotRegistered: it gets no identity: ");
        let told: Vec<&String> = warned.iter().filter(|warning| warning.starts_with(&start)).collect();
        assert_eq!(told.len(), 1, "{name}: {warned:#?}\n{}", controller.log());
        assert!(told[0].contains(says), "{name}: {says:?} is not in: {}", told[0]);
    }
    world.wait_for_entries("nothing more", &controller, &expected);
}

/// Tekton itself makes a pod anew that somebody has deleted; the entries of the old one must not serve it.
#[test]
fn a_pod_that_takes_the_place_of_another_gets_entries_of_its_own() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    let (uid, first) = scheduled(server, "default", "again", &["build"]);
    let controller = world.controller();
    let of = |pod_uid: &String| of_step(("default", "again"), &(uid.clone(), pod_uid.clone()), "build");
    world.wait_for_entries("the first", &controller, &[of(&first)]);
    server.delete("/api/v1/namespaces/default/pods/again-pod");
    let second = create_pod(server, "default", &pod("again", &uid, &["build"]));
    bind(server, "default", "again-pod", "node-1");
    world.wait_for_entries("the second", &controller, &[of(&second)]);
    // The TaskRun deleted, and another one of its name.
    server.delete("/apis/tekton.dev/v1/namespaces/default/taskruns/again");
    world.wait_for_entries("deleted", &controller, NOTHING);
    let later = task_run(server, "default", "again");
    set_status(server, "default", "again", &json!({"podName": "again-pod"}));
    assert_ne!(later, uid);
    std::thread::sleep(std::time::Duration::from_secs(1));
    world.wait_for_entries("the pod is the earlier one's", &controller, NOTHING);
}

#[test]
fn a_retry_is_registered_by_its_own_pod() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    let (uid, first) = scheduled(server, "default", "retried", &["build"]);
    let controller = world.controller();
    let of = |pod_uid: &String| of_step(("default", "retried"), &(uid.clone(), pod_uid.clone()), "build");
    world.wait_for_entries("the first attempt", &controller, &[of(&first)]);
    // As Tekton does it: the status begins from nothing.
    crate::cluster_objects::set_phase(server, "default", "retried-pod", "Failed");
    set_status(server, "default", "retried", &json!({"podName": ""}));
    let mut retry = pod("retried", &uid, &["build"]);
    retry["metadata"]["name"] = json!("retried-pod-retry1");
    let second = create_pod(server, "default", &retry);
    set_status(server, "default", "retried", &json!({"podName": "retried-pod-retry1"}));
    bind(server, "default", "retried-pod-retry1", "node-1");
    world.wait_for_entries("the second attempt", &controller, &[of(&second)]);
}
