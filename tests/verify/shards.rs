//! `--shard I/N`: parts of a source, each for a machine of its own, whose union is the whole.

use crate::support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    chains::{self, PipelineFormat},
    command::{Ran, path, svidence, verify},
    corpus::{self, Shape},
    packed::gzip,
    scripted::{Scripted, response},
};
use svidence::{
    evidence::sha256,
    sources::{
        shard::{Kin, Membership, families},
        source::Source,
    },
    standin::ca::DevCa,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use unixtime::UnixSeconds;

/// When everything in the corpus can be verified.
const AT: &str = "2026-11-28T09:08:30Z";

/// Runs of all kinds, and the bundle that they are signed under.
struct Corpus {
    folder: tempfile::TempDir,
    objects: Vec<Value>,
}

fn uid(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

fn genuine(name: &str) -> Vec<Value> {
    let read = |file: &str| -> Value {
        let path = format!("{}/testdata/pipelineruns/{name}/{file}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let Value::Array(mut objects) = read("taskruns")["items"].take() else { panic!("{name}: no List") };
    objects.push(read("pipelinerun"));
    objects
}

/// A pipeline whose one task is a pipeline of one task: the PipelineRuns `build` and `build-app`, and the TaskRun with this number.
fn nested(ca: &DevCa, number: usize, created: OffsetDateTime) -> [Value; 3] {
    let (outer, inner) = (uid(2 * number + 1), uid(2 * number));
    let mut task_run = corpus::task_run(ca, number, SMALL, created).object;
    task_run["metadata"]["labels"] = json!({"tekton.dev/pipelineRunUID": inner});
    let task = format!("{number:06}");
    let result = format!("$(tasks.{task}.results.result-0)");
    let of_task = json!({"tasks": [{"name": task}], "results": [{"name": "r", "value": result}]});
    let pipeline_run = |name: &str, uid: &str, owners: Value, spec: &Value, child: Value, results: Value| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {
                "name": name, "namespace": "default", "uid": uid, "ownerReferences": owners,
                "creationTimestamp": "2026-11-28T08:00:00Z",
            },
            "spec": {"pipelineSpec": spec},
            "status": {
                "conditions": [{"type": "Succeeded", "status": "True"}], "pipelineSpec": spec, "childReferences": [child],
                "results": results,
            },
        })
    };
    let child =
        |kind: &str, name: String, task: &str| json!({"kind": kind, "name": name, "pipelineTaskName": task});
    let results = task_run["status"]["results"].as_array().unwrap();
    let value = &results.iter().find(|result| result["name"] == "result-0").unwrap()["value"];
    let inner_run = pipeline_run(
        "build-app",
        &inner,
        json!([{"kind": "PipelineRun", "uid": outer}]),
        &of_task,
        child("TaskRun", format!("build-app-{task}"), &task),
        json!([{"name": "r", "value": value}]),
    );
    let spec = json!({"tasks": [{"name": "app", "pipelineSpec": of_task}]});
    let of_inner = child("PipelineRun", "build-app".to_owned(), "app");
    let outer_run = pipeline_run("build", &outer, json!([]), &spec, of_inner, json!(null));
    [task_run, inner_run, outer_run]
}

const SMALL: Shape = Shape { steps: 1, results: 1, beside: false };

impl Corpus {
    fn new() -> Self {
        let created = OffsetDateTime::parse("2026-11-28T09:05:00Z", &Rfc3339).unwrap();
        let ca =
            DevCa::new("example.org", UnixSeconds::new(created.unix_timestamp() - 60), &SystemRandom::new())
                .unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("demo.pem"), ca.bundle_pem()).unwrap();
        let mut objects = [genuine("ship"), genuine("failed-results")].concat();
        (0..5).for_each(|number| objects.extend(nested(&ca, 100 + number, created)));
        let alone = |number: usize| corpus::task_run(&ca, number, SMALL, created).object;
        // Owned by one that is not there, too, and that it names first.
        let mut of_two = nested(&ca, 105, created);
        let owner = of_two[1]["metadata"]["ownerReferences"][0].clone();
        of_two[1]["metadata"]["ownerReferences"] = json!([{"kind": "PipelineRun", "uid": uid(600)}, owner]);
        // One of another name with the same UID, and no owner.
        let mut ownerless = of_two[1].clone();
        ownerless["metadata"]["ownerReferences"] = json!([]);
        ownerless["metadata"]["name"] = json!("ownerless");
        objects.extend(of_two);
        objects.push(ownerless);
        objects.extend((1..20).map(alone));
        objects.extend(odd(&objects, [alone(21), alone(22), alone(23), alone(24), alone(25)]));
        // Children before and after what they belong to, and far from it.
        let (first, second) = objects.split_at(objects.len() / 2);
        let mixed = first.iter().rev().zip(second).flat_map(|(one, two)| [one.clone(), two.clone()]);
        let mixed: Vec<Value> = mixed.collect();
        Self { folder, objects: mixed }
    }

    fn verify(&self, source: &Path, more: &[&str]) -> Ran {
        let ship = format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR"));
        let demo = self.folder.path().join("demo.pem").display().to_string();
        let trust =
            ["--trust-domain=example.org", "--bundle", &ship, "--bundle", &demo, "--at", AT, "-o", "json"];
        svidence(&[&["verify", source.to_str().unwrap()][..], &trust, more].concat(), "")
    }
}

/// Runs that are not as Tekton leaves them.
fn odd(objects: &[Value], [no_uid, altered, unfinished, by_owner, torn]: [Value; 5]) -> Vec<Value> {
    let with = |mut object: Value, pointer: &str, value: Value| {
        let (of, name) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(of).unwrap()[name] = value;
        object
    };
    let find = |name: &str| objects.iter().find(|object| object["metadata"]["name"] == name).unwrap().clone();
    let ship = find("ship");
    let of_ship = ship["metadata"]["uid"].clone();
    let owner = json!([{"kind": "PipelineRun", "uid": of_ship}]);
    // Its TaskRuns are those of another one.
    let copy = with(ship.clone(), "/metadata/uid", json!(uid(1)));
    let in_circle = |object: Value, own: usize, other: usize| {
        let owner = json!([{"kind": "PipelineRun", "uid": uid(other)}]);
        with(with(object, "/metadata/uid", json!(uid(own))), "/metadata/ownerReferences", owner)
    };
    vec![
        with(no_uid, "/metadata/uid", json!("")),
        with(altered, "/status/results/0/value", json!("other")),
        with(unfinished, "/status/conditions/0/status", json!("Unknown")),
        with(by_owner, "/metadata/ownerReferences", owner.clone()),
        with(
            with(torn, "/metadata/ownerReferences", owner),
            "/metadata/labels",
            json!({"tekton.dev/pipelineRunUID": uid(200)}),
        ),
        copy,
        // It makes the copy one of another family, after the names of its TaskRuns were let go.
        in_circle(find("build-app"), 0, 1),
        in_circle(find("build"), 500, 501),
        in_circle(find("build-app"), 501, 502),
        in_circle(ship, 502, 500),
    ]
}

/// The lines of a report about runs, with how often each is there, and the others.
fn lines(ran: &Ran) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let (mut runs, mut others) = (BTreeMap::new(), BTreeSet::new());
    for line in ran.out.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        if object["taskRun"].is_null() && object["pipelineRun"].is_null() {
            others.insert(line.to_owned());
        } else {
            *runs.entry(line.to_owned()).or_default() += 1;
        }
    }
    (runs, others)
}

/// The smallest UID of a PipelineRun in the family of the TaskRun in a line, if it is of a genuine or a nested one.
fn root(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    let name = line["taskRun"].as_str()?.strip_prefix("default/")?;
    let number = name.strip_prefix("build-app-").and_then(|number| number.parse::<usize>().ok());
    match number {
        Some(number) => (number >= 100).then(|| uid(2 * number)),
        None => name.starts_with("ship-").then(|| "d50d30d7-e374-471c-adb5-e624861d22cd".to_owned()),
    }
}

#[test]
fn the_union_of_all_shards_is_the_whole() {
    let corpus = Corpus::new();
    let at = |name: &str| corpus.folder.path().join(name);
    let text: String = corpus.objects.iter().map(|object| format!("{object}\n")).collect();
    let broken = "{\"kind\": \"TaskRun\", \"metadata\": \n";
    fs::write(at("lines.jsonl"), format!("{text}{broken}")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let (list, rest) = corpus.objects.split_at(corpus.objects.len() / 3);
    let (yaml, packed) = rest.split_at(rest.len() / 2);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": list});
    fs::write(at("folder/list.json"), serde_json::to_string_pretty(&list).unwrap()).unwrap();
    let yaml: String =
        yaml.iter().map(|object| format!("---\n{}\n", serde_saphyr::to_string(object).unwrap())).collect();
    fs::write(at("folder/some.yaml"), yaml).unwrap();
    let packed: String = packed.iter().map(|object| format!("{object}\n")).collect();
    fs::write(at("folder/rest.jsonl.gz"), gzip(packed.as_bytes())).unwrap();
    for (source, failures) in [("lines.jsonl", 1), ("folder", 0)] {
        let whole = corpus.verify(&at(source), &[]);
        let (all, unread) = lines(&whole);
        assert_eq!(all.values().sum::<usize>(), corpus.objects.len(), "{source}: {}", whole.err);
        assert_eq!(unread.len(), failures, "{source}: {}", whole.err);
        let verified =
            all.keys().filter(|line| line.contains("\"pipelineRun\"") && line.contains("\"accepted\":true"));
        // Of the PipelineRun with two owners and the two outside of it, one.
        assert_eq!(verified.count(), 2 + 5 * 2 + 1, "{source}: {}", whole.err);
        for count in [1, 2, 3, 7, 1000_u64] {
            let mut union = BTreeMap::new();
            let mut not_empty = 0_u64;
            for index in (0..count).filter(|index| count < 1000 || index % 50 == 0) {
                let ran = corpus.verify(&at(source), &["--shard", &format!("{index}/{count}")]);
                let case = format!("{source}: {index}/{count}: {}", ran.err);
                let (own, others) = lines(&ran);
                assert_eq!(others, unread, "{case}");
                let left = corpus.objects.len() - own.values().sum::<usize>();
                assert_eq!(
                    ran.err.contains(&format!("{left} runs belong to other shards\n")),
                    left > 1,
                    "{case}"
                );
                not_empty += u64::from(!own.is_empty());
                if own.is_empty() && unread.is_empty() {
                    assert_eq!(ran.code, 0, "{case}");
                }
                for root in own.keys().filter_map(|line| root(line)) {
                    assert_eq!(part_of(&root, count), index, "{case}: {root}");
                }
                for (line, times) in own {
                    *union.entry(line).or_default() += times;
                }
            }
            match count {
                1000 => assert!(union.iter().all(|(line, times)| all[line] == *times), "{source}: 1000"),
                _ => {
                    assert!(not_empty > count / 2, "{source}: {count}");
                    assert_eq!(union, all, "{source}: {count}");
                }
            }
        }
    }
}

/// The part of `count` that a run with this UID is in, as the document says it.
fn part_of(uid: &str, count: u64) -> u64 {
    u64::from_be_bytes(sha256(uid.as_bytes())[..8].try_into().unwrap()) % count
}

/// The demo's TaskRun as one of a PipelineRun in this part of two.
fn demo(part: u64, is_finished: bool) -> Value {
    let mut object: Value = serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap();
    // That is not signed.
    let uid = (0..).map(uid).find(|uid| part_of(uid, 2) == part).unwrap();
    object["metadata"]["labels"] = json!({"tekton.dev/pipelineRunUID": uid});
    if !is_finished {
        object["status"] = json!({"conditions": [{"type": "Succeeded", "status": "Unknown"}]});
    }
    object
}

#[test]
fn what_is_demanded_of_all_is_not_demanded_of_each_shard() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("runs.jsonl");
    let policy = folder.path().join("policy.yaml");
    let rules = |min: u64| {
        format!(
            "version: 1\nexpires: 2099-01-01T00:00:00Z\nrules:\n- {{namespace: default, taskRun: 'build-*', min: {min}, time: [valid-now]}}\n"
        )
    };
    let policy = policy.to_str().unwrap();
    type Row<'a> = (&'a str, Vec<Value>, Vec<&'a str>, u64, [i32; 2], &'a str);
    let (here, running, beside) = (demo(0, true), demo(0, false), demo(1, false));
    let (mut alone, mut twice) = (here.clone(), here.clone());
    alone["status"] = json!({"results": here["status"]["results"]});
    let conditions = [("Succeeded", "Unknown"), ("Succeeded", "True")];
    twice["status"]["conditions"] =
        conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status})).collect();
    let rows: Vec<Row<'_>> = vec![
        ("an empty shard", vec![here.clone()], vec![], 0, [0, 0], ""),
        ("no run at all", vec![], vec![], 0, [3, 3], "no TaskRun found"),
        ("no run at all, which is accepted", vec![], vec!["--allow-empty"], 0, [0, 0], ""),
        ("a demand", vec![here.clone()], vec!["--require-result=build-app:digest"], 0, [0, 0], ""),
        (
            "a demand that nothing meets",
            vec![here.clone()],
            vec!["--require-result=x:digest"],
            0,
            [2, 2],
            "x:digest",
        ),
        ("a result that each must have", vec![here.clone()], vec!["--require-result=none"], 0, [2, 0], ""),
        ("a policy", vec![here.clone()], vec!["--policy", policy], 1, [0, 0], ""),
        ("a policy that wants more", vec![here.clone()], vec!["--policy", policy], 2, [2, 2], "only 1 is"),
        ("nothing finished here", vec![beside.clone(), here], vec!["--finished"], 0, [0, 0], ""),
        (
            "nothing finished anywhere",
            vec![beside.clone(), running.clone()],
            vec!["--finished"],
            0,
            [3, 3],
            "no TaskRun has finished",
        ),
        ("results alone", vec![alone.clone()], vec!["--finished"], 0, [0, 0], ""),
        ("said twice", vec![twice], vec!["--finished"], 0, [3, 0], ""),
        (
            "results alone that may be demanded",
            vec![alone],
            vec!["--finished", "--require-result=build-app:digest"],
            0,
            [0, 0],
            "",
        ),
        (
            "nothing finished, and nothing here",
            vec![beside],
            vec!["--finished"],
            0,
            [3, 3],
            "no TaskRun has finished",
        ),
        ("what runs is judged", vec![running], vec![], 0, [2, 0], ""),
    ];
    for (case, objects, more, min, codes, says) in rows {
        let text: String = objects.iter().map(|object| format!("{object}\n")).collect();
        fs::write(
            &source,
            if text.is_empty() { "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[]}" } else { &text },
        )
        .unwrap();
        fs::write(policy, rules(min)).unwrap();
        for (index, code) in codes.into_iter().enumerate() {
            let shard = format!("--shard={index}/2");
            let ran = verify(&[source.to_str().unwrap()], &[&[shard.as_str()], &more[..]].concat(), "");
            assert_eq!(ran.code, code, "{case}: {shard}: {}", ran.err);
            assert!(ran.err.contains(says), "{case}: {shard}: {}", ran.err);
        }
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    let (file, fifo) = (path("taskrun.json"), fifo.display().to_string());
    let of_results = ["--from=results", "--results-api=https://127.0.0.1:1", "--parent=a"];
    let cases: &[(&str, &str, Vec<&str>, &str)] = &[
        (
            "standard input",
            "0/2",
            vec!["-"],
            "standard input can be read only once; write it to a file first",
        ),
        ("a pipe", "0/2", vec![&fifo], "can be read only once"),
        ("a run by name", "0/2", [&of_results[..], &["taskrun/x"]].concat(), "are asked for by name"),
        (
            "a run by name, awaited",
            "0/2",
            vec!["--from=kubernetes", "--wait=1m", "taskrun/x"],
            "are asked for by name",
        ),
        ("a watch", "0/2", vec!["--from=kubernetes", "--watch"], "--watch has no end"),
        ("counted from 1", "2/2", vec![&file], "there is no part 2 of 2: they are counted from 0 to 1"),
        ("none", "0/0", vec![&file], "it must be I/N"),
        ("one number", "1", vec![&file], "it must be I/N"),
        ("a sign", "+1/2", vec![&file], "it must be I/N"),
        ("an empty one", "/2", vec![&file], "it must be I/N"),
        ("too many", "0/99999999999999999999", vec![&file], "it must be I/N"),
    ];
    for (case, shard, more, says) in cases {
        let ran = verify(more, &["--shard", shard], "");
        assert_eq!(ran.code, 64, "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
    }
}

/// An archive that gets a pipeline in a pipeline between the two readings, which no real one does at will.
#[test]
fn a_source_that_changes_while_it_is_read_is_unchecked() {
    let inner = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {
            "name": "inner", "namespace": "a", "uid": uid(1), "ownerReferences": [{"kind": "PipelineRun", "uid": uid(0)}],
        },
    });
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let value = STANDARD.encode(inner.to_string());
    let record = json!({"name": "a/results/b/records/c", "uid": "1", "data": {"type": "tekton.dev/v1.PipelineRun", "value": value}});
    let server = Scripted::start(Box::new(move |path, _| {
        let of_pipeline_runs_alone = !path.contains("TASK_RUN");
        let body = match (path.contains("/summary?"), of_pipeline_runs_alone) {
            (true, true) => json!({"summary": [{"total": 0}]}),
            (true, false) => json!({"summary": [{"total": 1}]}),
            (false, true) => json!({}),
            (false, false) => json!({"records": [record]}),
        };
        response("200 OK", "", &body.to_string())
    }));
    let folder = tempfile::tempdir().unwrap();
    let ca: PathBuf = folder.path().join("ca.pem");
    fs::write(&ca, &server.certificate).unwrap();
    let (address, ca) = (format!("https://{}", server.address), ca.display().to_string());
    for shard in ["0/2", "1/2"] {
        let from = ["--from=results", "--results-api", &address, "--parent=a", "--ca-file", &ca];
        let ran = verify(&from, &["--shard", shard, "-o", "json"], "");
        assert!(
            ran.code == 3 && ran.out.contains("\"changed-meanwhile\""),
            "{shard}: {}\n{}",
            ran.err,
            ran.out
        );
        assert!(ran.err.contains("not there when the source was first read"), "{shard}: {}", ran.err);
    }
}

/// A PipelineRun that names no PipelineRun of its own, and turns out to be of the shard of one that says it belongs to it: what it calls its
/// own was let go by then, so that any TaskRun may be one of them.
#[test]
fn the_taskruns_of_a_pipelinerun_that_another_draws_into_its_shard_are_kept() {
    // By UID the outer one is of part 1, and the inner one, whose UID is smaller, of part 0.
    let of_part = |part: u64, from: usize| (from..).find(|&number| part_of(&uid(number), 2) == part).unwrap();
    let inner = of_part(0, 0);
    let outer = of_part(1, inner + 1);
    let pipeline_run = |name: &str, uid: &str, owners: Value, children: Value| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": name, "namespace": "a", "uid": uid, "ownerReferences": owners},
            "status": {
                "conditions": [{"type": "Succeeded", "status": "True"}],
                "childReferences": children,
            },
        })
    };
    let task_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "outer-task", "namespace": "a", "uid": uid(of_part(1, outer + 1))},
        "status": {"conditions": [{"type": "Succeeded", "status": "True"}]},
    });
    let child = json!([{"kind": "TaskRun", "name": "outer-task", "pipelineTaskName": "task"}]);
    let outer_run = pipeline_run("outer", &uid(outer), json!([]), child);
    let drawn = json!([{"kind": "PipelineRun", "uid": uid(outer)}]);
    let belonging = pipeline_run("inner", &uid(inner), drawn, json!([]));
    let stranger = pipeline_run("inner", &uid(inner), json!([]), json!([]));
    for (case, inner, expected) in
        [("drawn in", belonging, Membership::Beside), ("on its own", stranger, Membership::Elsewhere)]
    {
        let lines = format!("{outer_run}\n{inner}\n");
        let (mut input, paths) = (Cursor::new(lines.into_bytes()), [PathBuf::from("-")]);
        let shard = "0/2".parse().unwrap();
        let families = families(shard, Source::files(&paths[..], &mut input), NonZeroUsize::MIN);
        let kin = Kin::glance(task_run.to_string().as_bytes()).unwrap();
        assert_eq!(families.membership(&kin), expected, "{case}");
    }
}

/// Nothing in either says that they belong together but their names.
#[test]
fn an_attested_pipelinerun_is_judged_with_its_taskruns_in_one_shard() {
    let mut runs = genuine("ship");
    let mut pipeline_run = runs.pop().unwrap();
    let of = |pipeline_run: &Value, runs: &[Value]| {
        let runs: Vec<&Value> = runs.iter().collect();
        chains::of_pipeline_run(PipelineFormat::V2alpha4, pipeline_run, &runs)
    };
    let honest = of(&pipeline_run, &runs);
    let results = pipeline_run["status"]["results"].as_array_mut().unwrap();
    let digest = results.iter_mut().find(|result| result["name"] == "digest").unwrap();
    digest["value"] = json!("sha256:6666");
    let forged = of(&pipeline_run, &runs);
    let names: Vec<String> =
        runs.iter().map(|run| format!("--taskrun={}", run["metadata"]["name"].as_str().unwrap())).collect();
    let task_runs: Vec<Value> = runs.iter().map(chains::v2alpha3).collect();
    let bundle = format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR"));
    for (case, attestation, expected) in [("honest", honest, "weak"), ("forged", forged, "unchecked")] {
        let lines: String =
            task_runs.iter().chain([&attestation]).map(|document| format!("{document}\n")).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("attestations.jsonl").display().to_string();
        fs::write(&file, lines).unwrap();
        let judged = |shard: &str| {
            let mut arguments = vec!["verify", &file, "--trust-domain=example.org", "-n", "default"];
            arguments.extend([
                "--at",
                AT,
                "--bundle",
                &bundle,
                "--accept=not-carried",
                "-o",
                "json",
                "--allow-empty",
            ]);
            arguments.extend(["--pipelinerun", "ship"]);
            arguments.extend(names.iter().map(String::as_str));
            if !shard.is_empty() {
                arguments.extend(["--shard", shard]);
            }
            svidence(&arguments, "")
        };
        let whole = lines_of_all(&[judged("")]);
        let of_run = whole.keys().find(|line| line.contains("\"pipelineRun\":\"default/ship\"")).unwrap();
        let line: Value = serde_json::from_str(of_run).unwrap();
        assert_eq!(line["verdict"], expected, "{case}: {of_run}");
        for count in [2, 3, 5] {
            let parts: Vec<Ran> = (0..count).map(|part| judged(&format!("{part}/{count}"))).collect();
            assert_eq!(lines_of_all(&parts), whole, "{case}: in {count} parts");
        }
    }
}

fn lines_of_all(parts: &[Ran]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for part in parts {
        for (line, times) in lines(part).0 {
            *all.entry(line).or_default() += times;
        }
    }
    all
}
