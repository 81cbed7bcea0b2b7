//! Pods and TaskRuns as Tekton makes them, in a cluster without Tekton.

use serde_json::{Value, json};

use crate::cluster::ApiServer;

/// Makes a namespace with the service account that pods have; admission wants both.
pub(crate) fn namespace(server: &ApiServer, name: &str) {
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
    account(server, name);
}

pub(crate) fn account(server: &ApiServer, namespace: &str) {
    server.create(
        &format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
        &json!({"metadata": {"name": "default"}}),
    );
}

/// A TaskRun that has no pod yet; gives its UID.
pub(crate) fn task_run(server: &ApiServer, namespace: &str, name: &str) -> String {
    let object = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": name},
        "spec": {"timeout": "1h0m0s", "taskSpec": {"steps": [{"name": "build", "image": "busybox"}]}},
    });
    let made = server.create(&format!("/apis/tekton.dev/v1/namespaces/{namespace}/taskruns"), &object);
    made["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// The pod of a TaskRun with these steps, as Tekton would create it.
pub(crate) fn pod(name: &str, uid: &str, steps: &[&str]) -> Value {
    let container = |name: &str| json!({"name": name, "image": "busybox"});
    let steps = steps.iter().map(|step| container(&format!("step-{step}")));
    json!({
        "metadata": {
            "name": format!("{name}-pod"),
            "labels": {"tekton.dev/taskRun": name, "tekton.dev/taskRunUID": uid, "app.kubernetes.io/managed-by": "tekton-pipelines"},
            "ownerReferences": [{
                "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "uid": uid, "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [container("prepare")],
            "containers": steps.chain([container("sidecar-proxy")]).collect::<Vec<_>>(),
        },
    })
}

/// Creates a pod; gives its UID.
pub(crate) fn create_pod(server: &ApiServer, namespace: &str, pod: &Value) -> String {
    let made = server.create(&format!("/api/v1/namespaces/{namespace}/pods"), pod);
    made["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Gives a pod to a node, as the scheduler does.
pub(crate) fn bind(server: &ApiServer, namespace: &str, pod: &str, node: &str) {
    server.create(
        &format!("/api/v1/namespaces/{namespace}/pods/{pod}/binding"),
        &json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }),
    );
}

/// Changes the status of a TaskRun, as Tekton does.
pub(crate) fn set_status(server: &ApiServer, namespace: &str, task_run: &str, status: &Value) {
    let path = format!("/apis/tekton.dev/v1/namespaces/{namespace}/taskruns/{task_run}/status");
    server.patch(&path, json!({"status": status}));
}

/// Changes the phase of a pod, as the kubelet does.
pub(crate) fn set_phase(server: &ApiServer, namespace: &str, pod: &str, phase: &str) {
    server.patch(
        &format!("/api/v1/namespaces/{namespace}/pods/{pod}/status"),
        json!({"status": {"phase": phase}}),
    );
}

/// Says in which images the containers of a pod run, as the kubelet does.
pub(crate) fn set_images(server: &ApiServer, namespace: &str, pod: &str, image_ids: &[(&str, &str)]) {
    let status = |(container, image_id): &(&str, &str)| {
        json!({
            "name": container, "image": "busybox", "imageID": image_id, "ready": true, "restartCount": 0,
            "state": {"running": {}},
        })
    };
    let statuses: Vec<Value> = image_ids.iter().map(status).collect();
    server.patch(
        &format!("/api/v1/namespaces/{namespace}/pods/{pod}/status"),
        json!({"status": {"phase": "Running", "containerStatuses": statuses}}),
    );
}

/// A run whose pod has a node: the UIDs of TaskRun and pod.
pub(crate) fn scheduled(server: &ApiServer, namespace: &str, name: &str, steps: &[&str]) -> (String, String) {
    let uid = task_run(server, namespace, name);
    let pod_uid = create_pod(server, namespace, &pod(name, &uid, steps));
    set_status(server, namespace, name, &json!({"podName": format!("{name}-pod")}));
    bind(server, namespace, &format!("{name}-pod"), "node-1");
    (uid, pod_uid)
}
