//! config/controller: a real API server takes it, it is enough, and nothing of it can be taken away.

use std::fs;

use serde_json::{Value, json};

use crate::{
    cluster_objects::scheduled,
    process::{World, of_step},
};

/// Those of a file of config/controller.
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
        other => panic!("{other}"),
    };
    format!("{version}{}/{kinds}?fieldValidation=Strict", namespace.unwrap_or_default())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Each right of a role by itself.
fn rights(role: &Value) -> Vec<Value> {
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
fn lacking(objects: &[Value], name: &str, lacking: &Value) -> Vec<Value> {
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

#[test]
fn its_role_is_enough_and_nothing_of_it_can_be_taken_away() {
    // What is wrong with the configuration is told by an event.
    let Some(world) = World::start(&json!({"svidence-attest": "nothing"})) else { return };
    let objects = objects("controller.yaml");
    let (deployment, objects) = objects.split_last().unwrap();
    let create = |object: &Value| world.server.create(&place(object), object);
    objects.iter().for_each(|object| drop(create(object)));
    create(deployment);
    let run = scheduled(&world.server, "default", "run", &["a"]);
    let lease = ["--lease", "tekton-pipelines/svidence-controller"];
    let mut controller = world.controller_with(&world.kubeconfig_of_account("svidence-controller"), &lease);
    world.wait_for_warning("ConfigMap config-spire InvalidConfiguration: ");
    world.configure(&json!({"svidence-attest": null}));
    world.wait_for_entries("with all of it", &controller, &[of_step(("default", "run"), &run, "a")]);
    controller.wait_for(&["registered"]);
    assert!(!controller.log().contains("(403)"), "{}", controller.log());
    drop(controller);

    let all: Vec<Value> =
        objects.iter().filter(|object| object.get("rules").is_some()).flat_map(rights).collect();
    assert_eq!(all.len(), 11, "{all:#?}");
    world.configure(&json!({"svidence-attest": "nothing"}));
    for (number, right) in all.iter().enumerate() {
        let name = format!("lacks-{number}");
        lacking(objects, &name, right).iter().for_each(|object| drop(create(object)));
        // Another one holds it, or held it.
        let lease_path =
            "/apis/coordination.k8s.io/v1/namespaces/tekton-pipelines/leases/svidence-controller";
        if world.server.get(lease_path).0 == 200 {
            world.server.delete(lease_path);
        }
        let mut controller = world.controller_with(&world.kubeconfig_of_account(&name), &lease);
        let verb = texts(&right["verbs"])[0];
        let resource = texts(&right["resources"])[0];
        let rule = format!("resources: [\\\"{resource}\\\"], verbs: [\\\"{verb}\\\"]");
        controller.wait_for(&[&rule]);
    }
}
