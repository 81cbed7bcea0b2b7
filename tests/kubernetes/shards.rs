//! Parts of a cluster's runs, whose union is the whole.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{admin, cluster::ApiServer, genuine, verify};

#[test]
fn the_union_of_all_shards_is_the_whole() {
    let Some(server) = ApiServer::shared() else { return };
    let kubeconfig = admin(&server);
    let environment = [("KUBECONFIG", kubeconfig.as_str())];
    let uid = |number: usize| format!("{number:08x}-0000-4000-8000-000000000000");
    // Nobody has signed these: a pipeline in a pipeline, with a TaskRun each.
    let run = |kind: &str, name: &str, number: usize, owner: Option<usize>| {
        let owners: Vec<Value> =
            owner.iter().map(|owner| json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "x", "uid": uid(*owner)})).collect();
        json!({
            "apiVersion": "tekton.dev/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "shards", "uid": uid(number), "ownerReferences": owners, "labels": {"test": "shards"}},
            "status": {"conditions": [{"type": "Succeeded", "status": "True"}]},
        })
    };
    let mut objects = genuine("ship");
    for object in &mut objects {
        object["metadata"]["namespace"] = json!("shards");
        object["metadata"]["labels"]["test"] = json!("shards");
    }
    for family in 0..6 {
        let first = 10 * family;
        objects.extend([
            run("PipelineRun", &format!("outer-{family}"), first, None),
            run("PipelineRun", &format!("inner-{family}"), first + 1, Some(first)),
            run("TaskRun", &format!("of-outer-{family}"), first + 2, Some(first)),
            run("TaskRun", &format!("of-inner-{family}"), first + 3, Some(first + 1)),
            run("TaskRun", &format!("alone-{family}"), first + 4, None),
        ]);
    }
    server.restore(&objects);
    for meant in [&["-n", "shards"][..], &["-A", "-l", "test=shards"]] {
        let read = |more: &[&str]| {
            let ran = verify(&environment, &[meant, more].concat());
            let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (lines, ran.err)
        };
        let counted = |lines: Vec<Value>| {
            let mut counted = BTreeMap::<String, usize>::new();
            lines.iter().for_each(|line| *counted.entry(line.to_string()).or_default() += 1);
            counted
        };
        let (whole, err) = read(&[]);
        assert_eq!(whole.len(), objects.len(), "{meant:?}: {err}");
        let mut union = Vec::new();
        for index in 0..3 {
            let (part, err) = read(&["--shard", &format!("{index}/3")]);
            assert!(err.contains(" belong to other shards"), "{meant:?}: {index}: {err}");
            union.extend(part);
        }
        assert_eq!(counted(union), counted(whole), "{meant:?}");
    }
}
