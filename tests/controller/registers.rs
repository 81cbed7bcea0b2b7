//! What honest runs get, and when it goes.

use serde_json::json;

use crate::{
    cluster_objects::{bind, create_pod, namespace, pod, scheduled, set_phase, set_status, task_run},
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
