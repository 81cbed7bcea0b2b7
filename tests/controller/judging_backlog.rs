//! Which runs the controller judges, and when again: objects as a watch tells them, and what has become of each. No input or output.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svidence::{
    controller::{
        judging::{backlog::Backlog, ended::EndedRun, run_id::RunId},
        objects::Seen,
    },
    sources::{kubernetes::follow::Told, run_name::RunKind},
};
use unixtime::UnixSeconds;

use RunKind::{PipelineRun, TaskRun};

/// Long enough for whatever comes later.
const LATER: Duration = Duration::from_secs(60);

fn run(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-of-{name}")},
        "spec": {"params": []},
        "status": {"conditions": [{"type": "Succeeded", "status": "True"}], "results": []},
    })
}

/// A TaskRun of the PipelineRun `ship`.
fn child(name: &str) -> Value {
    let mut child = run("default", name);
    child["metadata"]["ownerReferences"] =
        json!([{"kind": "PipelineRun", "name": "ship", "uid": "uid-of-ship"}]);
    child
}

fn seen(object: &Value) -> Seen {
    Seen::of(object)
}

fn ended(object: &Value) -> EndedRun {
    EndedRun::of(object).unwrap()
}

/// The same with a verdict on what it is.
fn noted(mut object: Value) -> Value {
    let evidence: String = ended(&object).evidence.iter().map(|byte| format!("{byte:02x}")).collect();
    let verdict = json!({"verdict": "verified", "time": "2026-11-22T05:30:00Z", "evidence": format!("sha256:{evidence}")});
    object["metadata"]["annotations"] = json!({"svidence.dev/verdict": verdict.to_string()});
    object
}

struct Work {
    backlog: Backlog,
    at: Instant,
}

impl Work {
    fn new() -> Self {
        Self { backlog: Backlog::default(), at: Instant::now() }
    }

    fn tell(&mut self, kind: RunKind, told: Told<Seen>, acts: bool) {
        self.at += Duration::from_millis(1);
        self.backlog.take(kind, &None, told, acts, self.at);
    }

    fn changed(&mut self, kind: RunKind, object: &Value) {
        self.tell(kind, Told::Changed(seen(object)), true);
    }

    /// Judges all that is to be judged, as it is then; gives their names in the order in which they were.
    fn judge_all(&mut self, objects: &[&Value]) -> Vec<String> {
        let mut judged = Vec::new();
        loop {
            self.at += LATER;
            let Some((id, _)) = self.backlog.next(self.at) else { return judged };
            let object = objects.iter().find(|object| object["metadata"]["name"] == *id.name).unwrap();
            let began = self.at;
            self.at += Duration::from_millis(1);
            self.backlog.done(&id, &ended(object), false, began, self.at);
            judged.push(id.name.clone());
            assert!(judged.len() < 50, "without an end: {judged:?}");
        }
    }
}

#[test]
fn what_a_verdict_depends_on_is_in_its_evidence() {
    let object = noted(child("build"));
    let before = ended(&object);
    assert!(before.noted.is_some());
    let cases: &[(&str, &str, Value, bool)] = &[
        ("its UID", "/metadata/uid", json!("other"), true),
        ("when it was created", "/metadata/creationTimestamp", json!("2026-11-22T05:30:00Z"), true),
        (
            "time stamps",
            "/metadata/annotations/svidence.dev~1timestamps",
            json!("{\"build\": \"MII=\"}"),
            true,
        ),
        (
            "what Chains attested",
            "/metadata/annotations/chains.tekton.dev~1signature-taskrun-x",
            json!("e30="),
            true,
        ),
        ("which PipelineRun it is of", "/metadata/labels/tekton.dev~1pipelineRunUID", json!("uid"), true),
        ("its owner's UID", "/metadata/ownerReferences/0/uid", json!("other"), true),
        ("its owner's kind", "/metadata/ownerReferences/0/kind", json!("Job"), true),
        ("what was asked for", "/spec/params", json!([{"name": "a", "value": "b"}]), true),
        ("a result", "/status/results", json!([{"name": "a", "value": "b"}]), true),
        ("how it ended", "/status/conditions/0/status", json!("False"), true),
        (
            "a condition of a shape that is not Tekton's",
            "/status/conditions/1",
            json!({"type": "Other", "status": 5}),
            true,
        ),
        (
            "the condition that has the verdict",
            "/status/conditions/1",
            json!({"type": "SvidenceVerified", "status": "True"}),
            false,
        ),
        ("another annotation", "/metadata/annotations/note", json!("x"), false),
        ("another label", "/metadata/labels/team", json!("x"), false),
        ("its version", "/metadata/resourceVersion", json!("7"), false),
        ("who wrote what", "/metadata/managedFields", json!([{"manager": "kubectl"}]), false),
        ("a finalizer", "/metadata/finalizers", json!(["chains.tekton.dev"]), false),
    ];
    for (case, place, value, counts) in cases {
        let mut changed = object.clone();
        set(&mut changed, place, value);
        let after = ended(&changed);
        assert_eq!(after.evidence != before.evidence, *counts, "{case}");
        assert_eq!(after.noted.is_none(), *counts, "{case}: the verdict is of what it was before");
    }
}

/// Anybody who may create a run chooses these texts, and the API server does not check their length.
#[test]
fn no_more_is_kept_of_a_run_than_it_can_rightly_say() {
    let long = "x".repeat(100_000);
    let mut object = child("build");
    object["metadata"]["ownerReferences"] = json!([
        {"kind": "PipelineRun", "name": long, "uid": "uid-of-ship"},
        {"kind": "PipelineRun", "name": "ship", "uid": "uid-of-ship"},
        {"kind": "PipelineRun", "name": "ship", "uid": long},
    ]);
    object["metadata"]["labels"] = json!({"tekton.dev/pipelineRunUID": "uid-of-another"});
    set(&mut object, "/status/conditions/1", &json!({"type": "SvidenceVerified", "status": long}));
    let ended = ended(&object);
    assert_eq!(ended.pipeline_runs, ["uid-of-another", "uid-of-ship"]);
    assert_eq!(ended.condition.as_deref(), Some(""), "it is none that ours has");
}

#[test]
fn runs_without_room_for_time_stamps_come_by_when_their_certificates_expire() {
    let mut work = Work::new();
    let id = |number: i64| {
        let run = run("default", &format!("run-{number}"));
        RunId::of(TaskRun, &seen(&run))
    };
    for number in 0..10_000 {
        assert_eq!(work.backlog.lacks_time_stamps(UnixSeconds::new(20_000 - number), id(number)), None);
    }
    assert_eq!(work.backlog.lacks_time_stamps(UnixSeconds::new(1), id(10_000)), Some(id(0)));
    assert_eq!(work.backlog.next_unstamped(), Some((UnixSeconds::new(1), id(10_000))));
    assert_eq!(work.backlog.next_unstamped(), Some((UnixSeconds::new(10_001), id(9_999))));
    assert!(work.backlog.has_unstamped());
}

/// Puts a value at a place, with all that leads to it.
fn set(object: &mut Value, place: &str, value: &Value) {
    let mut at = object;
    for member in place.split('/').skip(1) {
        let name = member.replace("~1", "/");
        at = match (at.is_array(), name.parse::<usize>()) {
            (true, Ok(index)) => {
                let all = at.as_array_mut().unwrap();
                if index == all.len() {
                    all.push(Value::Null);
                }
                &mut all[index]
            }
            _ => &mut at[name.as_str()],
        };
    }
    *at = value.clone();
}

/// What a TaskRun was when it was judged first, what it has been since, and which runs are judged again.
type Case<'a> = (&'a str, Option<&'a Value>, &'a [&'a Value], &'a [&'a str]);

#[test]
fn a_pipeline_run_is_judged_again_after_what_belongs_to_it() {
    let ship = run("default", "ship");
    let honest = child("build");
    let mut by_label = run("default", "build");
    by_label["metadata"]["labels"] =
        json!({"tekton.dev/pipelineRun": "ship", "tekton.dev/pipelineRunUID": "uid-of-ship"});
    let mut running = honest.clone();
    running["status"]["conditions"][0]["status"] = json!("Unknown");
    let mut forged = honest.clone();
    forged["status"]["results"] = json!([{"name": "digest", "value": "forged"}]);
    let nobodys = run("default", "build");
    let of_another = {
        let mut child = honest.clone();
        child["metadata"]["ownerReferences"][0]["uid"] = json!("uid-of-another");
        child
    };
    let both: &[&str] = &["build", "ship"];
    let cases: &[Case<'_>] = &[
        ("nothing has changed", Some(&honest), &[&honest], &[]),
        ("it is another one now", Some(&honest), &[&forged], both),
        ("it went on, and ended again as it was", Some(&honest), &[&running, &honest], both),
        ("it went on, and ended otherwise", Some(&honest), &[&running, &forged], both),
        ("it belongs to it by its labels", Some(&by_label), &[&running, &by_label], both),
        ("it belongs to it no longer", Some(&honest), &[&nobodys], both),
        ("it belongs to it from now on", Some(&nobodys), &[&by_label], both),
        ("it came later", None, &[&honest], both),
        ("it is another one's", Some(&of_another), &[&running, &of_another], &["build"]),
    ];
    for (case, before, later, expected) in cases {
        let mut work = Work::new();
        work.changed(PipelineRun, &ship);
        if let Some(before) = before {
            work.changed(TaskRun, before);
            let mut first = work.judge_all(&[&ship, before]);
            first.sort();
            assert_eq!(first, ["build", "ship"], "{case}: each once, whichever is first");
        } else {
            assert_eq!(work.judge_all(&[&ship]), ["ship"], "{case}");
        }
        for object in *later {
            work.changed(TaskRun, object);
        }
        let last = later.last().unwrap();
        assert_eq!(work.judge_all(&[&ship, last]), *expected, "{case}");
        // What was told of the PipelineRun before it is its turn changes nothing.
        work.changed(TaskRun, last);
        work.changed(PipelineRun, &ship);
        assert_eq!(work.judge_all(&[&ship, last]), [""; 0], "{case}: at rest");
    }
}

#[test]
fn owners_that_lead_round_in_a_circle_come_to_an_end() {
    let mut work = Work::new();
    let of = |name: &str, owner: &str| {
        let mut object = run("default", name);
        object["metadata"]["ownerReferences"] =
            json!([{"kind": "PipelineRun", "name": owner, "uid": format!("uid-of-{owner}")}]);
        object
    };
    let (one, two) = (of("one", "two"), of("two", "one"));
    [&one, &two].iter().for_each(|object| work.changed(PipelineRun, object));
    work.judge_all(&[&one, &two]);
    let mut changed = one.clone();
    changed["spec"] = json!({"timeout": "1h"});
    work.changed(PipelineRun, &changed);
    assert!(work.judge_all(&[&changed, &two]).len() < 20);
}

/// Whoever may patch a run can note a verdict on it.
#[test]
fn a_verdict_of_somebody_else_is_looked_at_by_whoever_judges() {
    let (mine, other, none) =
        (noted(run("default", "mine")), noted(run("default", "other")), run("default", "none"));
    let all = || Told::all([&mine, &other, &none].map(seen).to_vec());
    // One that begins to judge when it starts.
    let mut work = Work::new();
    work.tell(TaskRun, all(), true);
    assert_eq!(work.backlog.count(), 3, "at the start");
    for _ in 0..3 {
        let (id, open) = work.backlog.next(work.at).unwrap();
        assert_eq!(open.may_stand.is_some(), id.name != "none", "{}", id.name);
        let object = [&mine, &other, &none].into_iter().find(|run| run["metadata"]["name"] == *id.name);
        work.backlog.done(&id, &ended(object.unwrap()), true, work.at, work.at);
    }
    work.tell(TaskRun, all(), true);
    assert_eq!(work.backlog.count(), 0, "once");
    // Written before its eyes: it does not stand, whenever it says that it was noted.
    let claimed = noted(run("default", "none"));
    work.changed(TaskRun, &claimed);
    work.at += LATER;
    let (id, open) = work.backlog.next(work.at).unwrap();
    assert_eq!((id.name.as_str(), open.may_stand), ("none", None));

    // One that waits, and takes over.
    let mut work = Work::new();
    work.tell(TaskRun, all(), false);
    assert_eq!(work.backlog.count(), 1, "the other replica judges");
    work.tell(TaskRun, Told::Changed(seen(&claimed)), false);
    assert_eq!(work.backlog.count(), 0, "it has");
    work.tell(TaskRun, Told::Gone(seen(&other)), false);
    for round in 0..2 {
        work.backlog.act(work.at);
        assert_eq!(work.backlog.count(), 2, "{round}: it has judged none of them itself");
        // Neither a change of something else nor another list makes them right.
        work.tell(TaskRun, Told::Changed(seen(&mine)), true);
        work.tell(TaskRun, Told::all([&mine, &claimed].map(seen).to_vec()), true);
        assert_eq!(work.backlog.count(), 2, "{round}: they are still to be judged");
    }
    work.at += LATER;
    let mut names: Vec<String> = Vec::new();
    while let Some((id, open)) = work.backlog.next(work.at) {
        assert_eq!(open.may_stand, UnixSeconds::parse("2026-11-22T05:30:00Z"), "{}", id.name);
        let object = [&mine, &claimed].into_iter().find(|run| run["metadata"]["name"] == *id.name).unwrap();
        work.backlog.done(&id, &ended(object), true, work.at, work.at);
        names.push(id.name.clone());
    }
    names.sort();
    assert_eq!(names, ["mine", "none"]);
    work.backlog.act(work.at);
    assert_eq!(work.backlog.count(), 0, "now it has");
}

/// Whoever may create TaskRuns in one namespace can create many, and such that take long.
#[test]
fn namespaces_take_turns_by_the_time_that_theirs_take() {
    let mut work = Work::new();
    for number in 0..1000 {
        work.changed(TaskRun, &run("greedy", &format!("greedy-{number}")));
    }
    for number in 0..10 {
        work.changed(TaskRun, &run("modest", &format!("modest-{number}")));
    }
    let (mut at, mut greedy, mut modest) = (work.at, 0, 0);
    while modest < 10 {
        let (id, open) = work.backlog.next(at).unwrap();
        let (count, took) = match id.namespace.as_str() {
            "greedy" => (&mut greedy, Duration::from_secs(30)),
            _ => (&mut modest, Duration::from_millis(10)),
        };
        *count += 1;
        at += took;
        let object = run(&id.namespace, &id.name);
        assert!(open.since <= at);
        work.backlog.done(&id, &ended(&object), false, at, at);
        work.backlog.took(&id.namespace, took, at);
        assert!(greedy <= 2, "{modest} of 10 after {greedy} that took 30 s each");
    }
    // Where nobody else waits, nobody is waited for.
    assert_eq!(work.backlog.next(at).unwrap().0.namespace, "greedy");
}
