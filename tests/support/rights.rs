//! The rights of `config/verifier`, given by an API server to an account of its own.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::fs;

use serde_json::{Value, json};

use crate::cluster::ApiServer;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// The objects of a file of config/verifier, in a namespace as kustomize puts them there.
pub fn objects(file: &str, namespace: &str) -> Vec<Value> {
    let path = format!("{}/config/verifier/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let in_namespace = |text: &str| -> Value {
        let mut object: Value = serde_saphyr::from_str(text).unwrap();
        if !object["kind"].as_str().unwrap().starts_with("Cluster") {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" {
                subject["namespace"] = json!(namespace);
            }
        }
        object
    };
    text.split("---\n").map(in_namespace).collect()
}

/// Creates them; the API server must know every field.
pub fn apply(server: &ApiServer, objects: &[Value]) {
    for object in objects {
        let of_namespace = |base: &str, kinds: &str| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap();
            format!("{base}/namespaces/{namespace}/{kinds}")
        };
        let path = match object["kind"].as_str().unwrap() {
            "ServiceAccount" => of_namespace("/api/v1", "serviceaccounts"),
            "Role" => of_namespace(RBAC, "roles"),
            "RoleBinding" => of_namespace(RBAC, "rolebindings"),
            "ClusterRole" => format!("{RBAC}/clusterroles"),
            "ClusterRoleBinding" => format!("{RBAC}/clusterrolebindings"),
            other => panic!("{other}"),
        };
        server.create(&format!("{path}?fieldValidation=Strict"), object);
    }
}

/// Every right that an account's role gives: the objects are the account, the role and the binding.
pub fn rights(objects: &[Value]) -> Vec<(String, String)> {
    let [_, role, _] = objects else { panic!("not an account, a role and a binding") };
    let of_rule = |rule: &Value| {
        let texts = |key: &str| -> Vec<String> {
            rule[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let verbs = texts("verbs");
        let of =
            |resource: &String| verbs.iter().map(|verb| (resource.clone(), verb.clone())).collect::<Vec<_>>();
        texts("resources").iter().flat_map(of).collect::<Vec<_>>()
    };
    role["rules"].as_array().unwrap().iter().flat_map(of_rule).collect()
}

/// The same for an account of another name, without one of these rights.
pub fn lacking(objects: &[Value], name: &str, lacks: Option<usize>) -> Vec<Value> {
    let mut objects = objects.to_vec();
    let left = rights(&objects).into_iter().enumerate().filter(|(number, _)| Some(*number) != lacks);
    let rules = objects[1]["rules"].as_array().unwrap();
    let [Value::Object(first)] = &rules[..] else { panic!("more than one rule: their groups may differ") };
    let group = first["apiGroups"].clone();
    let rule = |(resource, verb)| json!({"apiGroups": group, "resources": [resource], "verbs": [verb]});
    objects[1]["rules"] = left.map(|(_, right)| rule(right)).collect();
    for object in &mut objects {
        object["metadata"]["name"] = json!(name);
    }
    objects[2]["subjects"][0]["name"] = json!(name);
    objects[2]["roleRef"]["name"] = json!(name);
    objects
}
