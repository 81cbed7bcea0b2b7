//! Some two hundred pods of people who may write whatever they like: every combination of what ties a pod to a TaskRun, right and wrong.
//!
//! They are put into etcd as they are, past what the API server would refuse.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cluster_objects::{namespace, pod},
    process::{World, of_step},
};

/// Whose name or UID something says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Own,
    Victims,
    Nothing,
}

const LABELS: [Says; 3] = [Says::Own, Says::Victims, Says::Nothing];

/// What the owner reference of a pod says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Own,
    Victims,
    OwnNameVictimsUid,
    VictimsNameOwnUid,
    OtherKind,
    OtherGroup,
    NotController,
    None,
}

const OWNERS: [Owner; 8] = [
    Owner::Own,
    Owner::Victims,
    Owner::OwnNameVictimsUid,
    Owner::VictimsNameOwnUid,
    Owner::OtherKind,
    Owner::OtherGroup,
    Owner::NotController,
    Owner::None,
];

/// One claim: where its pod is, and what that says of itself.
#[derive(Clone, Copy, Debug)]
struct Claim {
    namespace: &'static str,
    owner: Owner,
    name: Says,
    uid: Says,
    /// Annotations that claim the rest, and a verdict that is there before the run has ended.
    is_annotated: bool,
}

impl Claim {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (namespace, is_annotated) in [("default", false), ("attacker", false), ("default", true)] {
            for owner in OWNERS {
                for name in LABELS {
                    all.extend(LABELS.map(|uid| Self { namespace, owner, name, uid, is_annotated }));
                }
            }
        }
        all
    }

    /// Whether it claims only what is its own, by everything that counts.
    fn is_honest(&self) -> bool {
        (self.owner, self.name, self.uid) == (Owner::Own, Says::Own, Says::Own)
    }
}

/// A UUID that no other object here has.
fn uuid(kind: u32, number: usize) -> String {
    format!("{kind:08x}-2222-4333-8444-{number:012}")
}

/// A TaskRun and its pod, as they are in etcd.
fn of_tekton(namespace: &str, name: &str, number: usize) -> (Value, Value) {
    let (uid, pod_uid) = (uuid(1, number), uuid(2, number));
    let task_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"timeout": "0s", "taskSpec": {"steps": [{"name": "build", "image": "busybox"}]}},
        "status": {"podName": format!("{name}-pod"), "conditions": [{"type": "Succeeded", "status": "Unknown"}]},
    });
    let mut pod = pod(name, &uid, &["build"]);
    (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
    let metadata = &mut pod["metadata"];
    (metadata["namespace"], metadata["uid"]) = (json!(namespace), json!(pod_uid));
    metadata["creationTimestamp"] = json!("2026-11-01T00:00:00Z");
    (pod["spec"]["nodeName"], pod["spec"]["serviceAccountName"]) = (json!("node-1"), json!("default"));
    pod["status"] = json!({"phase": "Running"});
    (task_run, pod)
}

/// What the controller must register of these.
fn entry((task_run, pod): &(Value, Value), step: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let metadata = &task_run["metadata"];
    let uids = (text(&metadata["uid"]), text(&pod["metadata"]["uid"]));
    of_step((&text(&metadata["namespace"]), &text(&metadata["name"])), &uids, step)
}

/// An attacker's TaskRun, whose status names the pod, and the pod that claims something.
fn claimed(claim: Claim, number: usize, victim: &Value) -> (Value, Value) {
    let name = format!("own-{number}");
    let (mut task_run, mut pod) = of_tekton(claim.namespace, &name, number);
    let (own_uid, uid) = (task_run["metadata"]["uid"].clone(), victim["uid"].clone());
    let says = |says: Says, own: Value, victims: Value| match says {
        Says::Own => own,
        Says::Victims => victims,
        Says::Nothing => Value::Null,
    };
    let metadata = &mut pod["metadata"];
    let labels = [
        ("tekton.dev/taskRun", claim.name, json!(name), victim["name"].clone()),
        ("tekton.dev/taskRunUID", claim.uid, own_uid.clone(), uid.clone()),
    ];
    for (label, who, own, victims) in labels {
        match says(who, own, victims) {
            Value::Null => drop(metadata["labels"].as_object_mut().unwrap().remove(label)),
            value => metadata["labels"][label] = value,
        }
    }
    let owner = &mut metadata["ownerReferences"][0];
    match claim.owner {
        Owner::Own => {}
        Owner::Victims => (owner["name"], owner["uid"]) = (victim["name"].clone(), uid),
        Owner::OwnNameVictimsUid => owner["uid"] = uid,
        Owner::VictimsNameOwnUid => owner["name"] = victim["name"].clone(),
        Owner::OtherKind => owner["kind"] = json!("Job"),
        Owner::OtherGroup => owner["apiVersion"] = json!("example.com/v1"),
        Owner::NotController => owner["controller"] = json!(false),
        Owner::None => metadata["ownerReferences"] = json!([]),
    }
    if claim.is_annotated {
        metadata["annotations"] = json!({
            "tekton.dev/taskRun": victim["name"], "tekton.dev/taskRunUID": victim["uid"], "svidence.dev/verdict": "verified",
        });
        task_run["metadata"]["annotations"] = json!({"svidence.dev/verdict": "{\"verdict\":\"verified\"}"});
    }
    (task_run, pod)
}

/// Names and times at the edges, each beside an honest neighbour; what all of them get.
fn edges(objects: &mut Vec<Value>) -> Vec<String> {
    let mut expected = Vec::new();
    for number in 0..4 {
        let at = 1000 + 10 * number;
        // As long as a label may be; and one that is the same but for the last character.
        let long = format!("{}-{number}", "n".repeat(61));
        let (task_run, mut pod) = of_tekton("default", &long, at);
        // A pod's name that Kubernetes has cut.
        let cut = format!("{}-pod", &long[..59]);
        pod["metadata"]["name"] = json!(format!("{cut}{number}"));
        let mut named = task_run.clone();
        named["status"]["podName"] = pod["metadata"]["name"].clone();
        let mut other = pod.clone();
        let metadata = &mut other["metadata"];
        (metadata["name"], metadata["uid"]) = (json!(format!("{cut}x{number}")), json!(uuid(3, at)));
        expected.push(entry(&(named.clone(), pod.clone()), "build"));
        objects.extend([named, pod, other]);

        // A step's container whose name Kubernetes has cut, and one that only looks like a step's.
        let (task_run, mut pod) = of_tekton("default", &format!("cut-{number}"), at + 1);
        let step = "s".repeat(58);
        pod["spec"]["containers"] = json!([
            {"name": format!("step-{step}"), "image": "busybox"}, {"name": "steps-build", "image": "busybox"},
            {"name": "sidecar-step-build", "image": "busybox"},
        ]);
        expected.push(entry(&(task_run.clone(), pod.clone()), &step));
        objects.extend([task_run, pod]);

        // A retry: the pod of the attempt before is still running.
        let (mut task_run, before) = of_tekton("default", &format!("retried-{number}"), at + 2);
        let mut retry = before.clone();
        let metadata = &mut retry["metadata"];
        metadata["name"] = json!(format!("retried-{number}-pod-retry1"));
        metadata["uid"] = json!(uuid(3, at + 2));
        task_run["status"]["podName"] = metadata["name"].clone();
        expected.push(entry(&(task_run.clone(), retry.clone()), "build"));
        objects.extend([task_run, before, retry]);

        // The TaskRun is gone, or is another one of the same name by now.
        let (_, orphan) = of_tekton("default", &format!("gone-{number}"), at + 3);
        let (mut task_run, pod) = of_tekton("default", &format!("anew-{number}"), at + 4);
        task_run["metadata"]["uid"] = json!(uuid(4, at + 4));
        objects.extend([orphan, task_run, pod]);

        // It has ended long ago, and its pod is still there.
        let (mut task_run, pod) = of_tekton("default", &format!("over-{number}"), at + 5);
        task_run["status"]["conditions"][0]["status"] = json!("True");
        task_run["status"]["completionTime"] = json!("2026-11-01T00:10:00Z");
        objects.extend([task_run, pod]);
    }
    expected
}

#[test]
fn of_two_hundred_pods_that_claim_something_none_gets_an_identity_that_is_not_its_own() {
    let Some(world) = World::start(&json!({})) else { return };
    namespace(&world.server, "attacker");
    let honest = of_tekton("default", "victim", 999);
    let victim = honest.0["metadata"].clone();
    let claims = Claim::all();
    assert!(claims.len() >= 200, "{}", claims.len());
    let mut expected = vec![entry(&honest, "build")];
    let (mut objects, mut refused) = (vec![honest.0, honest.1], 0);
    for (number, claim) in claims.iter().enumerate() {
        let both = claimed(*claim, number, &victim);
        if claim.is_honest() {
            expected.push(entry(&both, "build"));
        } else if claim.name != Says::Nothing {
            refused += 1;
        }
        objects.extend([both.0, both.1]);
    }
    // TaskRuns first: what is missing for some seconds is told, too.
    expected.extend(edges(&mut objects));
    objects.sort_by_key(|object| object["kind"] == "Pod");
    let (before, after) = objects.split_at(objects.len() * 3 / 4);
    world.server.restore(before);
    // Some of them it finds, and some come later.
    let mut controller = world.controller_with(&world.admin(), &["--listen", "127.0.0.1:0"]);
    controller.wait_for(&["the controller has an identity"]);
    world.server.restore(after);
    world.wait_for_entries("the honest ones", &controller, &expected);
    // Of the edges the second long one, the attempt before, the orphan, and the pod of another UID.
    refused += 4 * 4;
    let start = Instant::now();
    loop {
        let (_, metrics) = controller.ask("GET /metrics");
        let of = |line: &str| -> Option<usize> {
            let line = line.strip_prefix("svidence_controller_refused_total{")?;
            line.rsplit_once(' ')?.1.parse().ok()
        };
        let told: usize = metrics.lines().filter_map(of).sum();
        if told == refused {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(90) && told < refused,
            "{told} of {refused} are refused\n{}",
            controller.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
    world.wait_for_entries("nothing more", &controller, &expected);
}
