//! From a pod and its TaskRun to the entries that it gets: honest ones, and those that claim what is not theirs.

use serde_json::{Value, json};
use svidence::{
    controller::{
        config::Configuration,
        objects::{Pod, WatchedTaskRun},
        registration::{
            desired::{Desired, RegistrationRefusal, entries, entries_by_owner},
            difference::{Difference, Kept, Present},
            entry::{ClusterTag, EntryId, Subject, WantedEntry, sort},
        },
        spire::generated::RegistrationEntry,
    },
    workload::id::Attested,
};
use unixtime::UnixSeconds;

const RUN: &str = "11111111-2222-4333-8444-555555555555";
const POD: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const CLUSTER: &str = "0123abcd-4567-4890-8abc-def012345678";
/// When the pod was created.
const CREATED: i64 = 1_764_403_200;

fn tag() -> ClusterTag {
    ClusterTag::of(CLUSTER).unwrap()
}

fn pod() -> Value {
    json!({
        "metadata": {
            "name": "build-7-pod", "namespace": "builds", "uid": POD, "resourceVersion": "5",
            "creationTimestamp": "2025-11-29T08:00:00Z",
            "labels": {"tekton.dev/taskRun": "build-7", "tekton.dev/taskRunUID": RUN},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "x"},
                {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build-7", "uid": RUN, "controller": true},
            ],
        },
        "spec": {
            "nodeName": "node-1", "serviceAccountName": "builder",
            "initContainers": [{"name": "prepare"}],
            "containers": [{"name": "step-build"}, {"name": "step-push"}, {"name": "sidecar-a"}],
        },
        "status": {"phase": "Running"},
    })
}

fn task_run() -> Value {
    json!({
        "metadata": {"name": "build-7", "namespace": "builds", "uid": RUN},
        "spec": {"timeout": "1h0m0s"},
        "status": {"podName": "build-7-pod", "conditions": [{"type": "Succeeded", "status": "Unknown"}]},
    })
}

fn configuration(entries: &[(&str, &str)]) -> Configuration {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Configuration::from_entries(entries).unwrap()
}

fn judged(pod: &Value, task_run: Option<&Value>, now: i64) -> Result<Desired, RegistrationRefusal> {
    judged_as(pod, task_run, &configuration(&[]), now)
}

fn judged_as(
    pod: &Value,
    task_run: Option<&Value>,
    configuration: &Configuration,
    now: i64,
) -> Result<Desired, RegistrationRefusal> {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let task_run: Option<WatchedTaskRun> = task_run.map(|run| serde_json::from_value(run.clone()).unwrap());
    entries(&pod, task_run.as_ref(), configuration, &tag(), UnixSeconds::new(now))
}

fn of(configuration: &Configuration) -> Vec<WantedEntry> {
    match judged_as(&pod(), Some(&task_run()), configuration, CREATED) {
        Ok(Desired::Entries(entries)) => entries,
        other => panic!("{other:?}"),
    }
}

fn shown(entry: &WantedEntry) -> String {
    let selectors: Vec<String> =
        entry.selectors.iter().map(|(kind, value)| format!("{kind}:{value}")).collect();
    format!(
        "{} {} < {} [{}] {}",
        entry.id,
        entry.spiffe_id.path(),
        entry.parent.path(),
        selectors.join(" "),
        entry.dns_name.as_deref().unwrap_or("-")
    )
}

/// What `owner` needs.
const OWNER: [(&str, &str); 3] =
    [("svidence-registration", "owner"), ("svidence-attest", "run"), ("svidence-agent-cluster", "prod")];

/// The value with another one in a place, or without it.
fn with(object: &Value, place: &str, value: Value) -> Value {
    let mut object = object.clone();
    *object.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
    object
}

#[test]
fn what_an_entry_selects_is_what_its_name_says() {
    let tag = "svidence-0123abcd4567";
    let run = "/ns/builds/taskrun/build-7";
    let selectors = format!("k8s:ns:builds k8s:sa:builder k8s:pod-uid:{POD}");
    let (one, two) = ("ab".repeat(32), "0c".repeat(32));
    let step = |name: &str| {
        format!(
            "{tag}.pod.{POD}.step-{name} {run} < /tekton-node/{tag}/node-1 [{selectors} k8s:container-name:step-{name}] \
             {name}.{RUN}.taskrun.internal"
        )
    };
    let program = |name: &str, hash: &str| {
        let pin = &hash[..16];
        format!(
            "{tag}.pod.{POD}.step-{name}.x{pin} {run} < /tekton-node/{tag}/node-1 [{selectors} k8s:container-name:step-{name} \
             unix:sha256:{hash}] x{pin}.{name}.{RUN}.taskrun.internal"
        )
    };
    for (case, keys, expected) in [
        ("by default", vec![], vec![step("build"), step("push")]),
        (
            "the run",
            vec![("svidence-attest", "run")],
            vec![format!(
                "{tag}.pod.{POD}.run {run} < /tekton-node/{tag}/node-1 [{selectors}] {RUN}.taskrun.internal"
            )],
        ),
        (
            "the program",
            vec![("svidence-attest", "executable"), ("svidence-entrypoint-sha256", &one)],
            vec![program("build", &one), program("push", &one)],
        ),
        (
            "two programs",
            vec![("svidence-attest", "executable"), ("svidence-entrypoint-sha256", &format!("{one},{two}"))],
            vec![
                program("build", &one),
                program("build", &two),
                program("push", &one),
                program("push", &two),
            ],
        ),
    ] {
        let entries = of(&configuration(&keys));
        let (alias, steps) = entries.split_first().unwrap();
        assert!(
            shown(alias).ends_with(
                "/tekton-node/svidence-0123abcd4567/node-1 < /spire/server [k8s_psat:agent_ns:spire k8s_psat:agent_node_name:node-1] -"
            ),
            "{case}: {}",
            shown(alias)
        );
        assert_eq!(steps.iter().map(shown).collect::<Vec<_>>(), expected, "{case}");
        for entry in steps {
            let name = entry.dns_name.as_deref().unwrap();
            let read = Attested::from_dns_name(name).unwrap().unwrap();
            assert_eq!(read.dns_name().unwrap(), name, "{case}");
            assert_eq!(entry.svid_ttl.as_secs(), 900, "{case}");
            assert_eq!(entry.expires_at, Some(UnixSeconds::new(CREATED + 3600 + 600)), "{case}");
        }
        for entry in &entries {
            assert!(entry.id.as_str().len() <= 255, "{case}: {}", entry.id);
            let is_of_id = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(entry.id.as_str().chars().all(is_of_id), "{case}: {}", entry.id);
        }
    }
}

/// What the agent's selector is made of, and what the TaskRun's status says: the kubelet's word, and not what the pod's spec names.
#[test]
fn an_image_is_selected_as_soon_as_the_kubelet_has_said_it() {
    let (one, digest, other) = ("ab".repeat(32), "0a1b2c3d4e5f6071".repeat(4), "f".repeat(64));
    let keys = [("svidence-attest", "image"), ("svidence-entrypoint-sha256", one.as_str())];
    let pulled = format!("registry.example.org/app@sha256:{digest}");
    let named =
        |container: &str, image_id: &str| json!({"name": container, "imageID": image_id, "image": "app:1"});
    let spec = with(&pod(), "/spec/containers/0", json!({"name": "step-build", "image": pulled}));
    let selectors = format!("k8s:ns:builds k8s:sa:builder k8s:pod-uid:{POD}");
    let of_image = |name: &str, image_id: &str, start: &str| {
        let pin = &one[..16];
        format!(
            "svidence-0123abcd4567.pod.{POD}.step-{name}.x{pin} /ns/builds/taskrun/build-7 < /tekton-node/svidence-0123abcd4567/node-1 \
             [{selectors} k8s:container-name:step-{name} k8s:container-image:{image_id} unix:sha256:{one}] \
             x{pin}.i{start}.{name}.{RUN}.taskrun.internal"
        )
    };
    let build = of_image("build", &pulled, "0a1b2c3d4e5f6071");
    let bare = format!("sha256:{other}");
    let push = of_image("push", &bare, "ffffffffffffffff");
    for (case, statuses, is_whole, expected) in [
        ("no status yet", json!([]), false, vec![]),
        ("not pulled yet", json!([named("step-build", ""), named("step-push", "")]), false, vec![]),
        ("one of two", json!([named("step-build", &pulled)]), false, vec![build.clone()]),
        (
            "both",
            json!([named("step-push", &bare), named("step-build", &pulled)]),
            true,
            vec![build.clone(), push],
        ),
        ("one of a container that is no step's", json!([named("sidecar-a", &pulled)]), false, vec![]),
        ("one that is no text", json!([{"name": "step-build", "imageID": 7}]), false, vec![]),
    ] {
        let mut pod = spec.clone();
        pod["status"]["containerStatuses"] = statuses;
        let (entries, whole) = match judged_as(&pod, Some(&task_run()), &configuration(&keys), CREATED) {
            Ok(Desired::Entries(entries)) => (entries, true),
            Ok(Desired::SoFar(entries)) => (entries, false),
            other => panic!("{case}: {other:?}"),
        };
        let (alias, steps) = entries.split_first().unwrap();
        assert!(alias.id.as_str().contains(".node."), "{case}: the node's alias is there at once");
        assert_eq!(steps.iter().map(shown).collect::<Vec<_>>(), expected, "{case}");
        assert_eq!(whole, is_whole, "{case}");
    }
    for (case, image_id) in [
        ("a tag alone", "registry.example.org/app:1".to_owned()),
        ("upper case", format!("app@sha256:{}", digest.to_uppercase().replace('1', "A"))),
        ("another algorithm", format!("app@sha512:{digest}{digest}")),
        ("a digit less", format!("app@sha256:{}", &digest[1..])),
        ("a comma and more", format!("{pulled},k8s:ns:other")),
    ] {
        let mut pod = spec.clone();
        pod["status"]["containerStatuses"] = json!([named("step-build", &image_id)]);
        let refused = judged_as(&pod, Some(&task_run()), &configuration(&keys), CREATED);
        let container = "step-build".to_owned();
        assert_eq!(refused, Err(RegistrationRefusal::Image { container, image_id }), "{case}");
    }
    let mut unknown = spec.clone();
    unknown["status"]["containerStatuses"] = json!([named("step-build", &"a".repeat(1025))]);
    let judged = judged_as(&unknown, Some(&task_run()), &configuration(&keys), CREATED);
    assert!(matches!(&judged, Ok(Desired::SoFar(entries)) if entries.len() == 1), "too long: {judged:?}");
    // The others do not look at it.
    let keys = [("svidence-attest", "executable"), ("svidence-entrypoint-sha256", one.as_str())];
    let mut odd = spec;
    odd["status"]["containerStatuses"] = json!([named("step-build", "app:1")]);
    let entries = judged_as(&odd, Some(&task_run()), &configuration(&keys), CREATED).unwrap();
    assert!(matches!(&entries, Desired::Entries(entries) if entries.len() == 3), "{entries:?}");
}

#[test]
fn the_configuration_says_where_agents_are_and_for_how_long() {
    let keys = [
        ("spire-trust-domain", "ci.acme.test"),
        ("spire-node-alias-prefix", "/nodes/"),
        ("svidence-svid-ttl", "5m"),
        ("svidence-agent-namespace", "spire-system"),
        ("svidence-agent-cluster", "prod"),
    ];
    let entries = of(&configuration(&keys));
    assert_eq!(
        entries[0].selectors,
        [
            ("k8s_psat", "agent_ns:spire-system".to_owned()),
            ("k8s_psat", "agent_node_name:node-1".to_owned()),
            ("k8s_psat", "cluster:prod".to_owned()),
        ]
    );
    assert_eq!(entries[0].spiffe_id.to_string(), "spiffe://ci.acme.test/nodes/svidence-0123abcd4567/node-1");
    assert_eq!(entries[1].parent.to_string(), "spiffe://ci.acme.test/nodes/svidence-0123abcd4567/node-1");
    assert_eq!(entries[1].svid_ttl.as_secs(), 300);
}

#[test]
fn names_as_long_as_they_may_be_and_those_that_kubernetes_cuts() {
    // A TaskRun's name of 63 characters, whose pod's name Tekton cuts, and the longest container's name.
    let name = "n".repeat(63);
    let container = format!("step-{}", "s".repeat(58));
    let mut long = with(&pod(), "/metadata/labels/tekton.dev~1taskRun", json!(name));
    long = with(&long, "/metadata/ownerReferences/1/name", json!(name));
    long = with(&long, "/spec/containers/0/name", json!(container));
    long = with(&long, "/spec/nodeName", json!(["n"; 126].join(".")));
    let run = with(&task_run(), "/metadata/name", json!(name));
    let keys = [("svidence-attest", "executable"), ("svidence-entrypoint-sha256", &"ab".repeat(32))];
    let Ok(Desired::Entries(entries)) = judged_as(&long, Some(&run), &configuration(&keys), CREATED) else {
        panic!("not registered")
    };
    assert_eq!(entries.len(), 3);
    for entry in entries {
        assert!(entry.id.as_str().len() <= 255, "{}", entry.id);
    }
}

#[test]
fn nothing_is_registered_before_there_is_a_node_and_after_the_end() {
    let ended = |at: &str| json!({"podName": "build-7-pod", "completionTime": at, "conditions": [{"type": "Succeeded", "status": "False"}]});
    let none = Desired::Nothing;
    let there = || judged(&pod(), Some(&task_run()), CREATED).unwrap();
    for (case, pod, run, now, expected) in [
        ("no node", with(&pod(), "/spec/nodeName", Value::Null), task_run(), CREATED, Desired::NotYet),
        (
            "the TaskRun does not name its pod yet",
            pod(),
            with(&task_run(), "/status", Value::Null),
            CREATED,
            Desired::NotYet,
        ),
        (
            "the pod has succeeded",
            with(&pod(), "/status/phase", json!("Succeeded")),
            task_run(),
            CREATED,
            none.clone(),
        ),
        (
            "the pod has failed",
            with(&pod(), "/status/phase", json!("Failed")),
            task_run(),
            CREATED,
            none.clone(),
        ),
        (
            "the TaskRun was cancelled, and its steps are signing",
            pod(),
            with(&task_run(), "/status", ended("2025-11-29T08:00:00Z")),
            CREATED + 29,
            there(),
        ),
        (
            "they have had their time",
            pod(),
            with(&task_run(), "/status", ended("2025-11-29T08:00:00Z")),
            CREATED + 30,
            none.clone(),
        ),
        ("nobody knows when", pod(), with(&task_run(), "/status", ended("soon")), CREATED, none.clone()),
        ("within the timeout", pod(), task_run(), CREATED + 4199, there()),
        ("long after the timeout", pod(), task_run(), CREATED + 4200, none.clone()),
        ("without a status", with(&pod(), "/status", Value::Null), task_run(), CREATED, there()),
    ] {
        assert_eq!(judged(&pod, Some(&run), now), Ok(expected), "{case}");
    }
    let unlimited = with(&task_run(), "/spec/timeout", json!("0s"));
    let Ok(Desired::Entries(entries)) = judged(&pod(), Some(&unlimited), CREATED + 1_000_000) else {
        panic!("without a timeout")
    };
    assert!(entries.iter().all(|entry| entry.expires_at.is_none()));
}

#[test]
fn a_pod_that_claims_what_is_not_its_own_gets_nothing() {
    const OTHER: &str = "99999999-2222-4333-8444-555555555555";
    let owner = "/metadata/ownerReferences/1";
    let label = "/metadata/labels/tekton.dev~1taskRun";
    let second = json!([
        {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build-7", "uid": RUN, "controller": true},
        {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build-8", "uid": OTHER, "controller": true},
    ]);
    let not_of_task_run = "its controller is";
    let cases: Vec<(&str, Value, Option<Value>, &str)> = vec![
        (
            "a label alone",
            with(&pod(), "/metadata/ownerReferences", json!([])),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "no owner references",
            with(&pod(), "/metadata/ownerReferences", Value::Null),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "an owner that is no controller",
            with(&pod(), &format!("{owner}/controller"), json!(false)),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "a text for true",
            with(&pod(), &format!("{owner}/controller"), json!("true")),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "two controllers",
            with(&pod(), "/metadata/ownerReferences", second),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "another kind",
            with(&pod(), &format!("{owner}/kind"), json!("Job")),
            Some(task_run()),
            "its controller is the Job build-7",
        ),
        (
            "another case of the kind",
            with(&pod(), &format!("{owner}/kind"), json!("taskrun")),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "another group",
            with(&pod(), &format!("{owner}/apiVersion"), json!("evil.dev/v1")),
            Some(task_run()),
            not_of_task_run,
        ),
        (
            "a group that begins so",
            with(&pod(), &format!("{owner}/apiVersion"), json!("tekton.dev.evil/v1")),
            Some(task_run()),
            not_of_task_run,
        ),
        ("no TaskRun", pod(), None, "is not in its namespace"),
        (
            "of another namespace",
            pod(),
            Some(with(&task_run(), "/metadata/namespace", json!("prod"))),
            "is not in its namespace",
        ),
        (
            "the TaskRun of another name",
            pod(),
            Some(with(&task_run(), "/metadata/name", json!("build-8"))),
            "is not in its namespace",
        ),
        (
            "an earlier run of the same name",
            with(&pod(), &format!("{owner}/uid"), json!(OTHER)),
            Some(task_run()),
            "with the UID 99999999",
        ),
        (
            "a later run of the same name",
            pod(),
            Some(with(&task_run(), "/metadata/uid", json!(OTHER))),
            "has the UID 99999999",
        ),
        (
            "the label of another run",
            with(&pod(), label, json!("build-8")),
            Some(task_run()),
            "its label tekton.dev/taskRun is \"build-8\"",
        ),
        (
            "another case of it",
            with(&pod(), label, json!("Build-7")),
            Some(task_run()),
            "its label tekton.dev/taskRun is",
        ),
        (
            "no label",
            with(&pod(), label, Value::Null),
            Some(task_run()),
            "its label tekton.dev/taskRun is \"\"",
        ),
        (
            "the label of another UID",
            with(&pod(), &format!("{label}UID"), json!(OTHER)),
            Some(task_run()),
            "its label tekton.dev/taskRunUID is",
        ),
        (
            "no label of the UID",
            with(&pod(), &format!("{label}UID"), Value::Null),
            Some(task_run()),
            "its label tekton.dev/taskRunUID is",
        ),
        (
            "another pod",
            with(&pod(), "/metadata/name", json!("build-7-pod-2")),
            Some(task_run()),
            "the pod of the TaskRun build-7 is build-7-pod",
        ),
        (
            "the pod of an earlier attempt",
            pod(),
            Some(with(&task_run(), "/status/podName", json!("build-7-pod-retry1"))),
            "is build-7-pod-retry1",
        ),
        (
            "no step",
            with(&pod(), "/spec/containers", json!([{"name": "sidecar-a"}])),
            Some(task_run()),
            "no container of a step",
        ),
        (
            "a step among what comes before",
            with(
                &with(&pod(), "/spec/containers", json!([{"name": "a"}])),
                "/spec/initContainers",
                json!([{"name": "step-a"}]),
            ),
            Some(task_run()),
            "no container of a step",
        ),
        (
            "a step whose name is not a label",
            with(&pod(), "/spec/containers/0/name", json!("step-a.b")),
            Some(task_run()),
            "does not attest a run",
        ),
        (
            "a step without a name",
            with(&pod(), "/spec/containers/0/name", json!("step-")),
            Some(task_run()),
            "does not attest a run",
        ),
        (
            "a name with a slash",
            with(&with(&pod(), &format!("{owner}/name"), json!("a/b")), label, json!("a/b")),
            Some(with(&task_run(), "/metadata/name", json!("a/b"))),
            "cannot be part of a SPIFFE ID",
        ),
        (
            "a pod's UID with a dot",
            with(&pod(), "/metadata/uid", json!("x.step-build")),
            Some(task_run()),
            "is not a UUID",
        ),
        (
            "a node with a slash",
            with(&pod(), "/spec/nodeName", json!("../server")),
            Some(task_run()),
            "the name of its node",
        ),
    ];
    for (case, pod, run, says) in &cases {
        match judged(pod, run.as_ref(), CREATED) {
            Err(refusal) => {
                assert!(refusal.to_string().contains(says), "{case}: {says:?} is not in: {refusal}")
            }
            other => panic!("{case}: {other:?}"),
        }
    }
    // What is tried above is refused for that alone.
    assert!(matches!(judged(&pod(), Some(&task_run()), CREATED), Ok(Desired::Entries(_))));
}

#[test]
fn a_run_that_is_registered_by_owner_is_so_from_its_beginning_to_its_end() {
    let configuration = configuration(&OWNER);
    let run = with(&task_run(), "/status", json!({"startTime": "2025-11-29T08:00:00Z"}));
    let judged = |run: &Value, now: i64| {
        let run: WatchedTaskRun = serde_json::from_value(run.clone()).unwrap();
        entries_by_owner(&run, &configuration, &tag(), UnixSeconds::new(now))
    };
    let Ok(Desired::Entries(entries)) = judged(&run, CREATED) else { panic!("not registered") };
    assert_eq!(
        entries.iter().map(shown).collect::<Vec<_>>(),
        [
            "svidence-0123abcd4567.nodes /tekton-node/svidence-0123abcd4567/_all < /spire/server [k8s_psat:agent_ns:spire k8s_psat:cluster:prod] -"
                .to_owned(),
            format!(
                "svidence-0123abcd4567.taskrun.{RUN}.run /ns/builds/taskrun/build-7 < /tekton-node/svidence-0123abcd4567/_all [k8s:ns:builds \
                 k8s:pod-owner-uid:TaskRun:{RUN}] {RUN}.taskrun.internal"
            )
        ]
    );
    assert_eq!(tag().subject_of(&entries[1].id), Some(Subject::TaskRun(RUN.to_owned())));
    let ended = |at: &str| {
        let conditions = json!([{"type": "Succeeded", "status": "True"}]);
        let status =
            json!({"startTime": "2025-11-29T08:00:00Z", "completionTime": at, "conditions": conditions});
        with(&run, "/status", status)
    };
    let waits = with(&run, "/status", Value::Null);
    let retried = with(&run, "/status/startTime", json!("2025-11-29T11:00:00Z"));
    for (case, run, now, is_there) in [
        ("it has just ended", ended("2025-11-29T08:00:00Z"), CREATED + 29, true),
        ("it has ended", ended("2025-11-29T08:00:00Z"), CREATED + 30, false),
        ("it says that it will have ended", ended("2999-01-01T00:00:00Z"), CREATED + 4199, true),
        ("and that no longer than its timeout", ended("2999-01-01T00:00:00Z"), CREATED + 4200, false),
        ("within its timeout", run.clone(), CREATED + 4199, true),
        ("beyond it", run.clone(), CREATED + 4200, false),
        ("it waits to be started, for days", waits, CREATED + 1_000_000, true),
        ("an attempt that began later", retried.clone(), CREATED + 3 * 3600 + 4199, true),
        ("beyond that one's timeout", retried, CREATED + 3 * 3600 + 4200, false),
    ] {
        let found = matches!(judged(&run, now), Ok(Desired::Entries(_)));
        assert_eq!(found, is_there, "{case}");
    }
    assert!(judged(&with(&run, "/metadata/uid", json!("x")), CREATED).is_err(), "a UID that is not one");
}

/// One SPIRE server may serve several clusters: whose agent has an alias is offered all entries below it.
#[test]
fn entries_of_two_clusters_share_no_parent_and_no_id() {
    let other = ClusterTag::of("ffffffff-4567-4890-8abc-def012345678").unwrap();
    let pod: Pod = serde_json::from_value(pod()).unwrap();
    let run: WatchedTaskRun = serde_json::from_value(task_run()).unwrap();
    type Judge<'a> = &'a dyn Fn(&ClusterTag) -> Result<Desired, RegistrationRefusal>;
    let by_pod =
        |tag: &ClusterTag| entries(&pod, Some(&run), &configuration(&[]), tag, UnixSeconds::new(CREATED));
    let by_owner =
        |tag: &ClusterTag| entries_by_owner(&run, &configuration(&OWNER), tag, UnixSeconds::new(CREATED));
    let cases: [(&str, Judge<'_>); 2] = [("by pod", &by_pod), ("by owner", &by_owner)];
    for (case, judged) in cases {
        let of = |tag: &ClusterTag| match judged(tag) {
            Ok(Desired::Entries(entries)) => entries,
            other => panic!("{case}: {other:?}"),
        };
        let (ours, theirs) = (of(&tag()), of(&other));
        assert_eq!(ours.len(), theirs.len(), "{case}");
        for ours in &ours {
            for theirs in &theirs {
                assert_ne!(ours.id, theirs.id, "{case}");
                let is_alias = ours.parent.path() == "/spire/server";
                assert!(is_alias || ours.parent != theirs.parent, "{case}: {}", ours.parent);
                assert!(ours.spiffe_id != theirs.spiffe_id || !is_alias, "{case}: {}", ours.spiffe_id);
            }
        }
    }
}

#[test]
fn what_is_longer_than_a_name_may_be_is_not_kept() {
    let long = "a".repeat(254);
    let owner = "/metadata/ownerReferences/1";
    for place in ["apiVersion", "kind", "name", "uid"] {
        let text = if place == "uid" { "a".repeat(65) } else { long.clone() };
        let pod: Pod =
            serde_json::from_value(with(&pod(), &format!("{owner}/{place}"), json!(text))).unwrap();
        assert_eq!(pod.owner, None, "{place}");
    }
    let run: WatchedTaskRun =
        serde_json::from_value(with(&task_run(), "/status/podName", json!(long))).unwrap();
    assert_eq!(run.pod, None, "status.podName");
    let longest = with(&task_run(), "/status/podName", json!("a".repeat(253)));
    let run: WatchedTaskRun = serde_json::from_value(longest).unwrap();
    assert_eq!(run.pod.map(|pod| pod.len()), Some(253), "the longest name");
}

#[test]
fn an_odd_object_is_read_and_gets_nothing() {
    for odd in [json!(null), json!(5), json!([]), json!({"metadata": 1, "spec": [], "status": "x"})] {
        let pod: Pod = serde_json::from_value(odd.clone()).unwrap();
        let run: WatchedTaskRun = serde_json::from_value(odd.clone()).unwrap();
        let judged = entries(&pod, Some(&run), &configuration(&[]), &tag(), UnixSeconds::new(CREATED));
        assert!(judged.is_err(), "{odd}: {judged:?}");
    }
}

/// Changes an entry.
type Change = Box<dyn Fn(&mut RegistrationEntry)>;

#[test]
fn only_what_differs_changes_and_only_what_is_ours() {
    let tag = tag();
    let desired = of(&configuration(&[]));
    let wire = |entry: &WantedEntry| entry.to_wire(&tag);
    let all: Present = desired.iter().map(|entry| (entry.id.clone(), Kept::of(wire(entry)))).collect();
    let difference = |present: &Present, desired: &[WantedEntry]| {
        let mut difference = Difference::default();
        difference.add(&Subject::Pod(POD.to_owned()), desired, present, &tag);
        // Another pod of the same node and its alias.
        difference.add(&Subject::Pod("other".to_owned()), &desired[..desired.len().min(1)], present, &tag);
        let ids = |entries: &[_]| entries.iter().map(EntryId::of).collect::<Vec<_>>();
        (ids(&difference.create), ids(&difference.update), difference.delete)
    };
    let ids: Vec<EntryId> = desired.iter().map(|entry| entry.id.clone()).collect();
    assert_eq!(difference(&Present::new(), &desired), (ids.clone(), vec![], vec![]), "nothing is there");
    assert_eq!(difference(&all, &desired), (vec![], vec![], vec![]), "all is there");
    assert_eq!(difference(&all, &[]), (vec![], vec![], ids[1..].to_vec()), "the alias is nobody's");
    let mut changes: Vec<(&str, Change)> = vec![
        ("admin", Box::new(|entry| entry.admin = true)),
        ("downstream", Box::new(|entry| entry.downstream = true)),
        ("TTL", Box::new(|entry| entry.x509_svid_ttl = 1)),
        ("expiry", Box::new(|entry| entry.expires_at += 1)),
        ("DNS name", Box::new(|entry| entry.dns_names.push("x".into()))),
        ("selector", Box::new(|entry| drop(entry.selectors.pop()))),
        ("parent", Box::new(|entry| entry.parent_id = None)),
        ("federation", Box::new(|entry| entry.federates_with.push("x".into()))),
    ];
    for (case, change) in &mut changes {
        let (mut present, mut entry) = (all.clone(), wire(&desired[1]));
        change(&mut entry);
        present.insert(ids[1].clone(), Kept::of(entry));
        assert_eq!(difference(&present, &desired), (vec![], vec![ids[1].clone()], vec![]), "{case}");
    }
    let mut turned = wire(&desired[1]);
    turned.selectors.reverse();
    sort(&mut turned);
    assert_eq!(turned, wire(&desired[1]), "the order of selectors says nothing");

    let ours = wire(&desired[1]);
    assert!(tag.is_ours(&ours));
    for (case, id, hint) in [
        ("of another cluster", "svidence-ffffffffffff.pod.a.step-b", "svidence-ffffffffffff"),
        ("another hint", ours.id.as_str(), "mine"),
        ("no hint", ours.id.as_str(), ""),
        ("an ID of somebody else's", "11111111-2222-4333-8444-555555555555", ours.hint.as_str()),
        ("one that begins so", "svidence-0123abcd4567x.pod.a.step-b", ours.hint.as_str()),
    ] {
        let mut entry = ours.clone();
        (entry.id, entry.hint) = (id.to_owned(), hint.to_owned());
        assert!(!tag.is_ours(&entry), "{case}");
    }
}
