//! What honest runs get, and when it goes.

use serde_json::json;

use crate::{
    cluster_objects::{
        bind, create_pod, namespace, pod, scheduled, set_images, set_phase, set_status, task_run,
    },
    process::{NOTHING, World, of_step},
};

#[test]
fn each_step_of_a_run_is_registered_when_its_pod_has_a_node_and_no_longer_than_it_runs() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    namespace(server, "builds");
    // Before it starts, and afterwards.
    let first = scheduled(server, "builds", "first", &["build", "push"]);
    let controller = world.controller();
    let of_first =
        [of_step(("builds", "first"), &first, "build"), of_step(("builds", "first"), &first, "push")];
    world.wait_for_entries("a run that was there", &controller, &of_first);

    let uid = task_run(server, "default", "second");
    let pod_uid = create_pod(server, "default", &pod("second", &uid, &["only"]));
    set_status(server, "default", "second", &json!({"podName": "second-pod"}));
    let third = scheduled(server, "default", "third", &["a"]);
    let of_third = of_step(("default", "third"), &third, "a");
    let both = [&of_first[..], std::slice::from_ref(&of_third)].concat();
    world.wait_for_entries("a pod without a node has none", &controller, &both);
    bind(server, "default", "second-pod", "node-1");
    let of_second = of_step(("default", "second"), &(uid, pod_uid), "only");
    world.wait_for_entries(
        "it has one",
        &controller,
        &[&both[..], std::slice::from_ref(&of_second)].concat(),
    );

    // The end of a pod, of a TaskRun whose pod goes on, and of both at once.
    set_phase(server, "builds", "first-pod", "Succeeded");
    world.wait_for_entries("a pod has ended", &controller, &[of_second.clone(), of_third.clone()]);
    let ended = json!({"conditions": [{"type": "Succeeded", "status": "False"}], "completionTime": "2026-01-01T00:00:00Z"});
    set_status(server, "default", "second", &ended);
    world.wait_for_entries("a TaskRun has ended", &controller, &[of_third]);
    server.delete("/apis/tekton.dev/v1/namespaces/default/taskruns/third");
    world.wait_for_entries("a TaskRun was deleted", &controller, NOTHING);
    let aliases: Vec<String> = world.entries();
    assert_eq!(
        aliases,
        ["node-1 below /spire/server [k8s_psat:agent_node_name:node-1 k8s_psat:agent_ns:spire] DNS  ttl 0"]
    );
    assert_eq!(controller.end(), Some(0), "told to end");
}

/// A real SPIRE server takes entries with such a selector and name, and each is made when the kubelet has told.
#[test]
fn the_image_of_a_step_is_registered_when_the_kubelet_has_told_it() {
    let program = "ab".repeat(32);
    let keys = json!({"svidence-attest": "image", "svidence-entrypoint-sha256": program});
    let Some(world) = World::start(&keys) else { return };
    let server = &world.server;
    let mut controller = world.controller();
    let (uid, pod_uid) = scheduled(server, "default", "run", &["build", "push"]);
    let (app, tool, other) = ("0a1b2c3d4e5f6071".repeat(4), "1".repeat(64), "2".repeat(64));
    let app = format!("registry.example.org:5000/team/app@sha256:{app}");
    let (tool, other) = (format!("sha256:{tool}"), format!("docker.io/library/x@sha256:{other}"));
    let entry = |step: &str, image_id: &str, start: &str| {
        let pin = &program[..16];
        format!(
            "/ns/default/taskrun/run below node-1 [k8s:container-image:{image_id} k8s:container-name:step-{step} k8s:ns:default \
             k8s:pod-uid:{pod_uid} k8s:sa:default unix:sha256:{program}] DNS x{pin}.i{start}.{step}.{uid}.taskrun.internal ttl 900"
        )
    };
    let start = std::time::Instant::now();
    while world.entries().is_empty() {
        assert!(start.elapsed().as_secs() < 60, "the node's alias is made at once\n{}", controller.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    world.wait_for_entries("no image is known", &controller, NOTHING);
    set_images(server, "default", "run-pod", &[("step-build", &app), ("step-push", "")]);
    let build = entry("build", &app, "0a1b2c3d4e5f6071");
    world.wait_for_entries("one is known", &controller, std::slice::from_ref(&build));
    assert!(!controller.log().contains("\"registered\""), "it lacks one:\n{}", controller.log());
    set_images(server, "default", "run-pod", &[("step-build", &app), ("step-push", &tool)]);
    let push = entry("push", &tool, "1111111111111111");
    world.wait_for_entries("both are known", &controller, &[build.clone(), push]);
    controller.wait_for(&["registered", "\"entries\":2"]);
    // Whoever may change a pod may have another image run in it: the container begins anew.
    set_images(server, "default", "run-pod", &[("step-build", &app), ("step-push", &other)]);
    let push = entry("push", &other, "2222222222222222");
    world.wait_for_entries("another image", &controller, &[build, push]);
    set_phase(server, "default", "run-pod", "Succeeded");
    world.wait_for_entries("the pod has ended", &controller, NOTHING);
    assert_eq!(controller.end(), Some(0), "told to end");
}
