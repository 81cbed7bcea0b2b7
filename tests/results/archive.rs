//! Verifying what Tekton Results has archived: against its real API server on PostgreSQL.

use crate::results;
use crate::support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use results::{
    database::Trouble,
    kubernetes::{LOCAL, NOBODY, READER, State},
    server::{AUTH, PLAIN, Results, TLS},
};
use serde_json::{Value, json};
use support::{
    command::{Ran, path, svidence},
    fleet::Fleet,
    scripted::{Scripted, response},
};

pub(crate) const TASK_RUN: &str = "tekton.dev/v1.TaskRun";
const PIPELINE_RUN: &str = "tekton.dev/v1.PipelineRun";

/// What a walk is to say.
struct Expected<'a> {
    code: i32,
    /// Verdicts in the report, with the number of each.
    verdicts: &'a [(&'a str, usize)],
    /// What standard error says.
    says: &'a [&'a str],
}

/// How many objects of the report have this verdict.
fn verdicts(ran: &Ran, verdict: &str) -> usize {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["place"].is_object() && line["verdict"] == verdict).count()
}

fn check(case: &str, ran: &Ran, expected: &Expected<'_>) {
    let shown = || {
        let lines: Vec<&str> = ran.err.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("{case}\n{end}\n{}", ran.out.chars().take(2000).collect::<String>())
    };
    assert_eq!(ran.code, expected.code, "{}", shown());
    for (verdict, count) in expected.verdicts {
        assert_eq!(verdicts(ran, verdict), *count, "{verdict}: {}", shown());
    }
    for says in expected.says {
        assert!(ran.err.contains(says), "it does not say {says:?}: {}", shown());
    }
}

/// Arguments of `svidence verify --from results`.
pub(crate) fn args(results: &Results, bundle: &str, address: &str, more: &[&str]) -> Vec<String> {
    let from = ["verify", "--from", "results", "--results-api", address, "--ca-file", &results.ca_file()];
    let trust = ["--trust-domain", "example.org", "--bundle", bundle, "-o", "json"];
    from.iter().chain(&trust).chain(more).map(ToString::to_string).collect()
}

/// Runs it beside the servers.
fn verify(results: &Results, bundle: &str, address: &str, more: &[&str]) -> Ran {
    let args = args(results, bundle, address, more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    results.network.inside(|| svidence(&args, ""))
}

fn addresses() -> [String; 4] {
    [
        format!("grpcs://127.0.0.1:{TLS}"),
        format!("https://localhost:{TLS}"),
        format!("grpc://127.0.0.1:{PLAIN}"),
        format!("http://127.0.0.1:{PLAIN}"),
    ]
}

/// One of each kind, without TLS, which takes long where nothing is optimised.
fn plain() -> [String; 2] {
    [format!("grpc://127.0.0.1:{PLAIN}"), format!("http://127.0.0.1:{PLAIN}")]
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let file = folder.join(name);
    fs::write(&file, content).unwrap();
    file.to_str().unwrap().to_owned()
}

fn demo() -> Value {
    serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap()
}

#[test]
fn what_is_archived_is_judged_over_grpc_and_rest() {
    let Some(results) = Results::start(false) else { return };
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().unwrap();
    let bundle = write(folder.path(), "bundle.pem", fleet.ca.bundle_pem());
    let (one, two) = (&fleet.run("both").object, &fleet.run("digests").object);
    let mut forged = one.clone();
    forged["metadata"]["name"] = json!("forged");
    let mut unfinished = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun"});
    unfinished["metadata"] =
        json!({"name": "running", "namespace": "default", "creationTimestamp": "2026-11-22T05:00:00Z"});
    let records = [
        ("default/results/r1/records/one", TASK_RUN, one),
        ("default/results/r1/records/two", TASK_RUN, two),
        ("default/results/r2/records/forged", TASK_RUN, &forged),
        ("default/results/r2/records/running", TASK_RUN, &unfinished),
        ("team-b/results/r3/records/filed-elsewhere", TASK_RUN, one),
        ("team-c/results/r4/records/text", TASK_RUN, &json!("a text")),
        ("team-c/results/r4/records/another", "tekton.dev/v1.CustomRun", &json!({"kind": "CustomRun"})),
    ];
    for (record, kind, object) in records {
        results.store(record, kind, object);
    }
    let mut old = two.clone();
    old["apiVersion"] = json!("tekton.dev/v1beta1");
    let members = old["status"].as_object_mut().unwrap();
    let own = members.remove("results").unwrap();
    members.insert("taskResults".to_owned(), own);
    results.store("old/results/r5/records/of-v1beta1", "tekton.dev/v1beta1.TaskRun", &old);
    let (of_one, of_two) = (format!("taskrun/{}", name(one)), format!("taskrun/{}", name(two)));
    let completed = two["status"]["completionTime"].as_str().unwrap();
    type Case<'a> = (&'a str, Vec<&'a str>, Expected<'a>);
    let cases: Vec<Case<'_>> = vec![
        (
            "a namespace",
            vec!["--parent", "default"],
            Expected {
                code: 1,
                verdicts: &[("verified", 2), ("invalid", 1), ("absent", 1)],
                says: &["default/forged"],
            },
        ),
        (
            "all namespaces",
            vec!["--parent", "-"],
            Expected {
                code: 1,
                verdicts: &[("verified", 4), ("invalid", 1), ("absent", 1), ("unchecked", 1)],
                says: &["team-c/results/r4/records/text"],
            },
        ),
        (
            "a record of v1beta1",
            vec!["--parent", "old", "--verbose"],
            Expected { code: 0, verdicts: &[("verified", 1)], says: &["filed under old"] },
        ),
        (
            "runs by name",
            vec!["--parent", "default", &of_one, &of_two],
            Expected { code: 0, verdicts: &[("verified", 2)], says: &[] },
        ),
        (
            "a name that is not there",
            vec!["--parent", "default", &of_one, "taskrun/nowhere"],
            Expected {
                code: 2,
                verdicts: &[("verified", 1)],
                says: &["taskrun/nowhere", "not in the archive"],
            },
        ),
        (
            "a name that is only there as another namespace's",
            vec!["--parent", "team-b", "-v", &of_one],
            Expected {
                code: 2,
                verdicts: &[("verified", 1)],
                says: &["not in the archive", "filed under team-b"],
            },
        ),
        (
            "a namespace of nothing",
            vec!["--parent", "nowhere"],
            Expected { code: 3, verdicts: &[("verified", 0)], says: &["no TaskRun found"] },
        ),
        (
            "a namespace of nothing, which is accepted",
            vec!["--parent", "nowhere", "--allow-empty"],
            Expected { code: 0, verdicts: &[("verified", 0)], says: &[] },
        ),
        (
            "completed since long ago",
            vec!["--parent", "default", "--since", "2001-01-01T00:00:00Z"],
            Expected { code: 1, verdicts: &[("verified", 2), ("invalid", 1), ("absent", 0)], says: &[] },
        ),
        (
            "completed since a time in the future",
            vec!["--parent", "default", "--since", "2101-01-01T00:00:00+02:00"],
            Expected { code: 3, verdicts: &[("verified", 0)], says: &["no TaskRun found"] },
        ),
        (
            "completed until long ago",
            vec!["--parent", "default", "--until", "2001-01-01T00:00:00Z"],
            Expected { code: 3, verdicts: &[("verified", 0)], says: &["no TaskRun found"] },
        ),
        (
            "completed since the second in which one was",
            vec!["--parent", "default", "--since", completed, &of_two],
            Expected { code: 0, verdicts: &[("verified", 1)], says: &[] },
        ),
        (
            "completed before the second in which one was",
            vec!["--parent", "default", "--until", completed, &of_two],
            Expected { code: 2, verdicts: &[("verified", 0)], says: &["not in the archive"] },
        ),
        (
            "what has not finished is left out",
            vec!["--parent", "default", "--finished"],
            Expected { code: 1, verdicts: &[("verified", 2), ("absent", 0)], says: &["default/running"] },
        ),
    ];
    for address in addresses() {
        for (case, more, expected) in &cases {
            check(&format!("{address}: {case}"), &verify(&results, &bundle, &address, more), expected);
        }
    }
}

/// Genuine runs of a real cluster, and what they come with.
#[test]
fn pipelineruns_come_with_what_belongs_to_them() {
    let Some(results) = Results::start(false) else { return };
    let folder = format!("{}/testdata/pipelineruns/ship", env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(format!("{folder}/{file}")).unwrap()).unwrap()
    };
    let whole = read("pipelinerun.json");
    results.store("default/results/ship/records/ship", PIPELINE_RUN, &whole);
    for task_run in read("taskruns.json")["items"].as_array().unwrap() {
        results.store(&format!("default/results/ship/records/{}", name(task_run)), TASK_RUN, task_run);
    }
    // A pipeline in a pipeline, with one task each. Nobody has signed them.
    let run = |kind: &str, name: &str, of: &str| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "nested", "labels": {"tekton.dev/pipelineRun": of}},
            "status": {"completionTime": "2026-11-28T10:00:00Z"},
        })
    };
    let nested = [
        (PIPELINE_RUN, run("PipelineRun", "outer", "")),
        (TASK_RUN, run("TaskRun", "outer-first", "outer")),
        (PIPELINE_RUN, run("PipelineRun", "outer-inner", "outer")),
        (TASK_RUN, run("TaskRun", "outer-inner-second", "outer-inner")),
        (TASK_RUN, run("TaskRun", "of-another", "another")),
    ];
    for (kind, object) in &nested {
        results.store(&format!("nested/results/outer/records/{}", name(object)), kind, object);
    }
    let mut old = whole.clone();
    old["apiVersion"] = json!("tekton.dev/v1beta1");
    let status = old["status"].as_object_mut().unwrap();
    let own = status.remove("results").unwrap();
    status.insert("pipelineResults".to_owned(), own);
    results.store("old/results/ship/records/ship", "tekton.dev/v1beta1.PipelineRun", &old);
    let bundle = format!("{folder}/bundle.pem");
    let good = |verified| Expected { code: 0, verdicts: verified, says: &[] };
    type Case<'a> = (&'a str, &'a [&'a str], Expected<'a>);
    let cases: &[Case<'_>] = &[
        ("all of a namespace", &["--parent", "default"], good(&[("verified", 6)])),
        ("one by name", &["--parent", "default", "pipelinerun/ship"], good(&[("verified", 6)])),
        (
            "one by a short name, in all namespaces",
            &["--parent", "-", "pr/ship"],
            // One of v1beta1 is filed under another namespace.
            good(&[("verified", 7)]),
        ),
        (
            "one, and a TaskRun of it",
            &["--parent", "default", "taskrun/ship-build", "pipelinerun/ship"],
            good(&[("verified", 6)]),
        ),
        ("a TaskRun of it alone", &["--parent", "default", "taskrun/ship-build"], good(&[("verified", 1)])),
        (
            "one that began before the time that is asked for",
            &["--parent", "default", "--since", "2026-11-28T09:07:50Z"],
            good(&[("verified", 6)]),
        ),
        (
            "one that ended after the time that is asked for",
            &["--parent", "default", "--until", "2026-11-28T09:07:46Z"],
            good(&[("verified", 3)]),
        ),
        (
            "one by name, of some time",
            &["--parent", "default", "--since", "2026-11-28T09:07:50Z", "pipelinerun/ship"],
            good(&[("verified", 6)]),
        ),
        (
            "one by name, of another time",
            &["--parent", "default", "--until", "2026-11-28T09:07:46Z", "pipelinerun/ship"],
            Expected {
                code: 2,
                verdicts: &[("verified", 0)],
                says: &["pipelinerun/ship", "was not completed within the time"],
            },
        ),
        (
            "the name of a TaskRun",
            &["--parent", "default", "pipelinerun/ship-build"],
            Expected {
                code: 2,
                verdicts: &[("verified", 0)],
                says: &["pipelinerun/ship-build", "not in the archive"],
            },
        ),
        (
            "nested ones",
            &["--parent", "nested", "pipelinerun/outer"],
            Expected {
                code: 2,
                verdicts: &[("absent", 4)],
                says: &[
                    "nested/outer",
                    "nested/outer-first",
                    "nested/outer-inner",
                    "nested/outer-inner-second",
                ],
            },
        ),
    ];
    let at = ["--at", "2026-11-28T09:08:30Z"];
    for address in addresses() {
        for (case, more, expected) in cases {
            let ran = verify(&results, &bundle, &address, &[&at, *more].concat());
            check(&format!("{address}: {case}"), &ran, expected);
            assert!(!ran.err.contains("of-another"), "{address}: {case}: {}", ran.err);
        }
    }
    // What commands about TaskRuns make of it.
    let address = format!("grpc://127.0.0.1:{PLAIN}");
    let inspect = |run: &str| {
        let from = ["--from", "results", "--results-api", &address, "--parent", "default", "-o", "json", run];
        results.network.inside(|| svidence(&[&["inspect"], &from[..]].concat(), ""))
    };
    let ran = inspect("pipelinerun/ship");
    assert_eq!((ran.code, ran.out.lines().count()), (0, 5), "{}", ran.err);
    let ran = inspect("pipelinerun/nowhere");
    assert!(ran.code == 3 && ran.err.contains("pipelinerun/nowhere is not in the archive"), "{}", ran.err);
    results.database.sql("delete from records where name = 'ship-scan-1'");
    let ran = verify(&results, &bundle, &address, &[&at[..], &["--parent", "default", "pr/ship"]].concat());
    let says = &["its TaskRun ship-scan-1 is not in what was read"][..];
    let verdicts = &[("verified", 4), ("unchecked", 1)][..];
    check("a child that the archive lost", &ran, &Expected { code: 3, verdicts, says });
}

/// A TaskRun of so many bytes more.
pub(crate) fn padded(bytes: usize) -> Value {
    let mut object = demo();
    object["metadata"]["annotations"] = json!({"padding": "x".repeat(bytes)});
    object
}

#[test]
fn an_archive_of_many_pages_and_of_large_records_is_read_whole() {
    let Some(results) = Results::start(false) else { return };
    let bundle = path("bundle.pem");
    results.store("default/results/r/records/one", TASK_RUN, &demo());
    results.multiply("default", 1100);
    // As large as the server takes them, base64 on its way in; more of them than it sends at once.
    for record in 0..35 {
        results.store(&format!("large/results/r/records/large-{record}"), TASK_RUN, &padded(3_100_000));
    }
    for address in plain() {
        for (case, parent, count) in [("pages", "default", 1100), ("large records", "large", 35)] {
            let ran = verify(&results, &bundle, &address, &["--parent", parent]);
            let expected = Expected { code: 0, verdicts: &[("verified", count)], says: &[] };
            check(&format!("{address}: {case}"), &ran, &expected);
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_archive() {
    let Some(results) = Results::start(false) else { return };
    let bundle = path("bundle.pem");
    // All that may wait waits with the fewer ones, too.
    for (parent, times) in [("few", 4000), ("many", 8000)] {
        results.store(&format!("{parent}/results/r/records/one"), TASK_RUN, &padded(3000));
        results.multiply(parent, times);
    }
    for address in plain() {
        let peak = |parent: &str, count: usize| {
            let args = args(&results, &bundle, &address, &["--parent", parent]);
            let (records, peak) = results.network.inside(|| peak_memory(&args));
            assert_eq!(records, count, "{address}: {parent}");
            peak
        };
        let (few, many) = (peak("few", 4000), peak("many", 8000));
        assert!(many < few + few / 6, "{address}: {many} bytes for 8000 records, {few} for 4000");
    }
}

/// How many lines `svidence` prints, and the most memory that it takes meanwhile, bytes.
fn peak_memory(args: &[String]) -> (usize, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut count, mut peak) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        line.unwrap();
        count += 1;
        if count % 100 == 0 {
            // Nothing is there any more once it has ended.
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let now = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
            peak = peak.max(now.map_or(0, |now| now.parse::<u64>().unwrap() << 10));
        }
    }
    assert!(child.wait().unwrap().success());
    (count, peak)
}

#[test]
fn a_database_that_fails_never_looks_like_a_small_archive() {
    let Some(mut results) = Results::start(false) else { return };
    let bundle = path("bundle.pem");
    let object = padded(3000);
    results.store("default/results/r/records/one", TASK_RUN, &object);
    results.multiply("default", 1200);
    let first_page = 1000 * u64::try_from(object.to_string().len()).unwrap();
    let all = ["--parent", "default"];
    let one = ["--parent", "default", "taskrun/nowhere"];
    let good = || Expected { code: 0, verdicts: &[("verified", 1200)], says: &[] };
    for address in plain() {
        // A row is some 200 bytes more than its object.
        for (case, after) in [("first", first_page / 3), ("second", first_page * 11 / 10)] {
            results.database.trouble(Trouble::Cut { after, times: 1 });
            let ran = verify(&results, &bundle, &address, &all);
            check(&format!("{address}: cut once in the {case} page"), &ran, &good());
            assert_eq!(results.database.cuts_left(), 0, "{address}: not cut in the {case} page");
        }
        results.database.trouble(Trouble::Cut { after: 1 << 20, times: u32::MAX });
        let ran = verify(&results, &bundle, &address, &all);
        let case = format!("{address}: cut in the first page, then away");
        let says = &["does not say how many records there are"][..];
        check(&case, &ran, &Expected { code: 3, verdicts: &[], says });
        assert!(verdicts(&ran, "verified") < 1000, "{case}");
        results.database.trouble(Trouble::Hang);
        let ran = verify(&results, &bundle, &address, &[&all[..], &["--request-timeout", "3"]].concat());
        let says = &["it did not answer within 3 s"][..];
        check(&format!("{address}: hangs"), &ran, &Expected { code: 3, verdicts: &[("verified", 0)], says });
        results.database.trouble(Trouble::None);
        results.database.stop();
        for (case, args) in [("stopped", &all[..]), ("stopped, a name", &one)] {
            let ran = verify(&results, &bundle, &address, args);
            let case = format!("{address}: {case}");
            let says = &["does not say how many records there are"][..];
            check(&case, &ran, &Expected { code: 3, verdicts: &[("verified", 0)], says });
            assert!(!ran.err.contains("not in the archive"), "{case}: {}", ran.err);
        }
        results.database.resume();
        let ran = verify(&results, &bundle, &address, &all);
        check(&format!("{address}: back"), &ran, &good());
    }
}

#[test]
fn who_asks_is_told_what_is_missing_and_the_token_is_never_shown() {
    let Some(results) = Results::start(true) else { return };
    let kubernetes = results.kubernetes.as_ref().unwrap();
    let bundle = path("bundle.pem");
    results.store("default/results/r/records/one", TASK_RUN, &demo());
    let folder = tempfile::tempdir().unwrap();
    let tokens =
        [("reader", READER), ("local", LOCAL), ("nobody", NOBODY), ("unknown", "who.knows.this-one")];
    let file = |name: &str| {
        let token = tokens.iter().find(|(other, _)| *other == name).map_or("", |(_, token)| token);
        // With a line's end, as editors leave it.
        write(folder.path(), name, format!("{token}\n"))
    };
    let (reader, local, nobody, unknown) = (file("reader"), file("local"), file("nobody"), file("unknown"));
    let (empty, two_lines) = (write(folder.path(), "empty", "\n"), write(folder.path(), "two", "one\ntwo\n"));
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let good = Expected { code: 0, verdicts: &[("verified", 1)], says: &[] };
    let refused = |says: &'static [&'static str]| Expected { code: 3, verdicts: &[("verified", 0)], says };
    type Case<'a> = (&'a str, State, Vec<&'a str>, Expected<'a>);
    let everywhere = ["--parent", "-"];
    let there = ["--parent", "default"];
    let cases: Vec<Case<'_>> = vec![
        ("a reader", State::Answers, [&there[..], &["--token-file", &reader]].concat(), good),
        (
            "a reader everywhere",
            State::Answers,
            [&everywhere[..], &["--token-file", &reader]].concat(),
            Expected { code: 0, verdicts: &[("verified", 1)], says: &[] },
        ),
        (
            "a reader of one namespace",
            State::Answers,
            [&there[..], &["--token-file", &local]].concat(),
            Expected { code: 0, verdicts: &[("verified", 1)], says: &[] },
        ),
        (
            "a reader of one namespace, everywhere",
            State::Answers,
            [&everywhere[..], &["--token-file", &local]].concat(),
            refused(&["permission denied", "in all namespaces, by a ClusterRoleBinding", "-A"]),
        ),
        (
            "one without a right",
            State::Answers,
            [&there[..], &["--token-file", &nobody]].concat(),
            refused(&[
                "permission denied",
                "get and list records",
                "results.tekton.dev",
                "namespace default",
            ]),
        ),
        (
            "an unknown token",
            State::Answers,
            [&there[..], &["--token-file", &unknown]].concat(),
            refused(&["permission denied", "unknown or has expired"]),
        ),
        (
            "no token",
            State::Answers,
            there.to_vec(),
            refused(&["it wants a token, and none was given", "--token-file"]),
        ),
        (
            "an empty token file",
            State::Answers,
            [&there[..], &["--token-file", &empty]].concat(),
            refused(&["is of no use: it is empty"]),
        ),
        (
            "a file with more than a token",
            State::Answers,
            [&there[..], &["--token-file", &two_lines]].concat(),
            refused(&["is of no use: it holds more than a token"]),
        ),
        (
            "a token file that is not there",
            State::Answers,
            [&there[..], &["--token-file", &missing]].concat(),
            refused(&["is of no use: it cannot be read: No such file"]),
        ),
        (
            "in place of another",
            State::Answers,
            [
                &there[..],
                &["--token-file", &reader, "--as", "auditor", "--as-group", "auditors", "--as-uid", "1"],
            ]
            .concat(),
            Expected { code: 0, verdicts: &[("verified", 1)], says: &[] },
        ),
        (
            "in place of one who has no right",
            State::Answers,
            [&there[..], &["--token-file", &reader, "--as", "somebody"]].concat(),
            refused(&["doesn't have permission to impersonate 'users'", "the right to impersonate"]),
        ),
        (
            "in place of another, without that right",
            State::Answers,
            [&there[..], &["--token-file", &local, "--as", "auditor"]].concat(),
            refused(&["doesn't have permission to impersonate 'users'"]),
        ),
        (
            "Kubernetes is away",
            State::Away,
            [&there[..], &["--token-file", &reader]].concat(),
            refused(&["permission denied", "if it cannot ask Kubernetes"]),
        ),
        (
            "Kubernetes hangs",
            State::Hangs,
            [&there[..], &["--token-file", &reader, "--request-timeout", "3"]].concat(),
            refused(&["it did not answer within 3 s"]),
        ),
    ];
    for address in [format!("grpcs://127.0.0.1:{AUTH}"), format!("https://127.0.0.1:{AUTH}")] {
        for (case, state, more, expected) in &cases {
            kubernetes.set(*state);
            let report = folder.path().join("report.html");
            let html = format!("html={}", report.display());
            let more = [more, &["-v", "-o", &html][..]].concat();
            let ran = verify(&results, &bundle, &address, &more);
            check(&format!("{address}: {case}"), &ran, expected);
            let report = fs::read_to_string(report).unwrap_or_default();
            for (_, token) in tokens {
                let is_shown = [&ran.out, &ran.err, &report].iter().any(|text| text.contains(token));
                assert!(!is_shown, "{address}: {case}: the token is shown");
            }
        }
    }
}

/// Answers that a real server does not give: an ingress before it may, or somebody else in its place.
/// A page of records that hold nothing.
fn records(uids: &[&str], next: &str) -> String {
    let record = |uid: &&str| json!({"name": format!("a/results/b/records/{uid}"), "uid": uid, "data": {"value": "e30="}});
    json!({"records": uids.iter().map(record).collect::<Vec<_>>(), "next_page_token": next}).to_string()
}

#[test]
fn what_is_not_the_api_is_told_apart() {
    let bundle = path("bundle.pem");
    let folder = tempfile::tempdir().unwrap();
    let token = "who.knows.this-one";
    let token_file = write(folder.path(), "token", token);
    let one = r#"{"summary":[{"total":1}]}"#;
    let is_summary = |path: &str| path.contains("/summary?");
    type Script = Box<dyn Fn(&str, &str) -> String + Send + Sync>;
    let cases: Vec<(&str, Script, &[&str])> = vec![
        (
            "a page for people",
            Box::new(|_, _| response("200 OK", "", "<html>")),
            &["is not the API of Tekton Results"],
        ),
        ("another server", Box::new(|_, _| response("404 Not Found", "", "no")), &["HTTP status 404"]),
        (
            "a redirect",
            Box::new(|_, _| response("302 Found", "Location: https://login.example.org/\r\n", "")),
            &["it sends on to https://login.example.org/, which is not followed"],
        ),
        (
            "the headers in an error",
            Box::new(|_, headers| {
                let message = headers.replace("\r\n", " ");
                response(
                    "500 Internal Server Error",
                    "",
                    &json!({"code": 13, "message": message}).to_string(),
                )
            }),
            &["Bearer (the token)"],
        ),
        (
            "pages in a circle",
            Box::new(move |path, _| {
                let page = r#"{"records":[{"name":"a/results/b/records/c","uid":"1","data":{"value":"e30="}}],"next_page_token":"x"}"#;
                response("200 OK", "", if is_summary(path) { one } else { page })
            }),
            &["lead back to themselves"],
        ),
        (
            "records too large at any size",
            Box::new(move |path, _| match is_summary(path) {
                true => response("200 OK", "", one),
                false => response(
                    "429 Too Many Requests",
                    "",
                    r#"{"code":8,"message":"grpc: received message larger than max (121471858 vs. 104857600)"}"#,
                ),
            }),
            &["the next 5 records are too large to be read together"],
        ),
        (
            "a page that is cut",
            Box::new(move |path, _| match is_summary(path) {
                true => response("200 OK", "", one),
                false => response("200 OK", "", r#"{"records":[{"name":"a"#)
                    .replace("Content-Length: 22", "Content-Length: 99"),
            }),
            &["the connection was lost"],
        ),
        (
            "fewer than are counted, twice",
            Box::new(move |path, _| response("200 OK", "", if is_summary(path) { one } else { "{}" })),
            &["hands out only 0"],
        ),
        (
            "pages that lead to each other",
            Box::new(move |path, _| {
                let (uid, next) = match (path.contains("page_token=x"), path.contains("page_token=y")) {
                    (true, _) => ("2", "y"),
                    (_, true) => ("3", "x"),
                    _ => ("1", "x"),
                };
                let page = records(&[uid], next);
                response("200 OK", "", if is_summary(path) { one } else { &page })
            }),
            &["lead back to themselves"],
        ),
        (
            "a record with the token as its name",
            Box::new(move |path, headers| {
                let header = headers.lines().find(|line| line.to_lowercase().starts_with("authorization"));
                let page = json!({"records": [{"name": header.unwrap_or_default(), "uid": "1", "data": {"value": "e30="}}]});
                let page = page.to_string();
                response("200 OK", "", if is_summary(path) { one } else { &page })
            }),
            &["is not named as records are"],
        ),
        (
            "a page that is cut, then too large, then smaller, and an end that is cut",
            Box::new(move |path, _| {
                static ASKED: AtomicUsize = AtomicUsize::new(0);
                if is_summary(path) {
                    return response("200 OK", "", r#"{"summary":[{"total":4}]}"#);
                }
                if path.contains("page_token=t") {
                    return response("200 OK", "", &records(&["3"], ""));
                }
                match ASKED.fetch_add(1, Relaxed) {
                    0 => {
                        let page = records(&["1", "2", "3"], "");
                        let cut = page.trim_end_matches(|c| c != ',').trim_end_matches(',');
                        response("200 OK", "Content-Type: application/json\r\n", cut).replace(
                            &format!("Content-Length: {}", cut.len()),
                            &format!("Content-Length: {}", page.len()),
                        )
                    }
                    1 => response(
                        "429 Too Many Requests",
                        "",
                        r#"{"code":8,"message":"grpc: received message larger than max (2 vs. 1)"}"#,
                    ),
                    _ => response("200 OK", "", &records(&["1", "2"], "t")),
                }
            }),
            &["hands out only 3"],
        ),
        (
            "too many requests",
            Box::new(|_, _| response("429 Too Many Requests", "", "slowly")),
            &["HTTP status 429"],
        ),
    ];
    for (case, script, says) in cases {
        let server = Scripted::start(script);
        let ca = write(folder.path(), "ca.pem", &server.certificate);
        let address = format!("https://{}", server.address);
        let ran = svidence(
            &[
                &[
                    "verify",
                    "--from",
                    "results",
                    "--results-api",
                    &address,
                    "--parent",
                    "a",
                    "--ca-file",
                    &ca,
                ][..],
                &[
                    "--token-file",
                    &token_file,
                    "--trust-domain",
                    "example.org",
                    "--bundle",
                    &bundle,
                    "-o",
                    "json",
                ],
            ]
            .concat(),
            "",
        );
        check(case, &ran, &Expected { code: 3, verdicts: &[("verified", 0)], says });
        assert!(
            !ran.err.contains(token) && !ran.out.contains(token),
            "{case}: the token is shown: {}",
            ran.err
        );
    }
}

/// Kubernetes replaces a pod's token while the pod runs.
#[test]
fn the_token_is_read_for_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = write(folder.path(), "token", "the.first.one");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (file, seen_by_server) = (token_file.clone(), Arc::clone(&seen));
    let server = Scripted::start(Box::new(move |path, headers| {
        let header = headers.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        seen_by_server.lock().unwrap().push(header.unwrap_or("none").to_owned());
        fs::write(&file, "the.second.one\n").unwrap();
        let is_summary = path.contains("/summary?");
        response("200 OK", "", if is_summary { r#"{"summary":[{"total":0}]}"# } else { "{}" })
    }));
    let (bundle, ca) = (path("bundle.pem"), write(folder.path(), "ca.pem", &server.certificate));
    let address = format!("https://{}", server.address);
    let from = ["verify", "--from", "results", "--results-api", &address, "--parent", "a", "--ca-file", &ca];
    let trust = ["--token-file", &token_file, "--trust-domain", "example.org", "--bundle", &bundle];
    let ran = svidence(&[&from[..], &trust, &["--allow-empty"]].concat(), "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(*seen.lock().unwrap(), ["the.first.one", "the.second.one"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let bundle = path("bundle.pem");
    let folder = tempfile::tempdir().unwrap();
    let token = write(folder.path(), "token", "t");
    let api = ["--results-api", "https://127.0.0.1:1"];
    for (case, args, says) in [
        ("no address", vec!["--parent", "a"], "--results-api"),
        ("no parent", api.to_vec(), "--parent"),
        (
            "plain elsewhere",
            vec!["--results-api", "http://example.org", "--parent", "a"],
            "it is not encrypted",
        ),
        (
            "plain gRPC elsewhere",
            vec!["--results-api", "grpc://10.0.0.1:8080", "--parent", "a"],
            "use grpcs://",
        ),
        (
            "a token in plain",
            vec!["--results-api", "grpc://127.0.0.1:8080", "--parent", "a", "--token-file", &token],
            "is not encrypted",
        ),
        (
            "another scheme",
            vec!["--results-api", "ftp://example.org", "--parent", "a"],
            "neither grpcs:// nor https://",
        ),
        ("a password", vec!["--results-api", "https://u:p@example.org", "--parent", "a"], "--token-file"),
        (
            "a path over gRPC",
            vec!["--results-api", "grpcs://example.org/a", "--parent", "a"],
            "it has a path",
        ),
        ("a quote in the parent", [&api[..], &["--parent", "a'b"]].concat(), "it is a namespace"),
        (
            "a quote in a name",
            [&api[..], &["--parent", "a", "taskrun/a'b"]].concat(),
            "not a name that Kubernetes admits",
        ),
        (
            "a percent sign in a name",
            [&api[..], &["--parent", "a", "taskrun/a%"]].concat(),
            "Kubernetes admits",
        ),
        ("a file", [&api[..], &["--parent", "a", "run.json"]].concat(), "taskrun/NAME"),
        ("a time that is none", [&api[..], &["--parent", "a", "--since", "yesterday"]].concat(), "RFC 3339"),
        (
            "a window of nothing",
            [
                &api[..],
                &["--parent", "a", "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"],
            ]
            .concat(),
            "--until",
        ),
        ("a group of nobody", [&api[..], &["--parent", "a", "--as-group", "g"]].concat(), "--as"),
    ] {
        let trust = ["--trust-domain", "example.org", "--bundle", &bundle];
        let ran = svidence(&[&["verify", "--from", "results"], &args[..], &trust].concat(), "");
        assert_eq!(ran.code, 64, "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
    }
}

/// A proxy that answers the first request with this, and tells what was asked for and what was said through it.
fn proxy(answer: &'static str) -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = std::thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        socket.write_all(answer.as_bytes()).unwrap();
        let mut said = vec![0; 4096];
        let length = socket.read(&mut said).unwrap_or_default();
        said.truncate(length);
        (String::from_utf8(request).unwrap(), said)
    });
    (address, asked)
}

#[test]
fn a_proxy_is_asked_to_connect() {
    let bundle = path("bundle.pem");
    let folder = tempfile::tempdir().unwrap();
    let ca = write(folder.path(), "ca.pem", support::tls::loopback().1);
    let run = |scheme: &str, variables: &[(&str, &str)]| {
        let mut verify = Command::new(env!("CARGO_BIN_EXE_svidence"));
        let address = format!("{scheme}://results.invalid:8443");
        verify.args(["verify", "--from", "results", "--results-api", &address, "--parent", "a"]);
        verify.args(["--trust-domain", "example.org", "--bundle", &bundle, "--request-timeout", "5"]);
        verify.args(["--ca-file", &ca]);
        for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "HTTP_PROXY"] {
            verify.env_remove(name);
        }
        let output = verify.envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // A server that is not there, so what is said through the proxy has no answer.
    let cases = [
        ("it connects", "HTTP/1.1 200 Connection established\r\n\r\n", "http://", true, ["", ""]),
        ("with a password", "HTTP/1.0 200 OK\r\nA: b\r\n\r\n", "http://u:hidden@", true, ["", ""]),
        (
            "it refuses",
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "http://",
            false,
            ["does not connect to results.invalid:8443 (403)", "does not connect (403)"],
        ),
        (
            "it wants a password",
            "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n",
            "http://u:hidden@",
            false,
            ["wants another user and password (407)"; 2],
        ),
        (
            "it is no proxy",
            "220 mail.example.org\r\n\r\n",
            "http://",
            false,
            ["does not answer as a proxy", "cannot be reached"],
        ),
    ];
    for (place, scheme) in ["grpcs", "https"].into_iter().enumerate() {
        for (case, answer, before, is_used, says) in cases {
            let case = format!("{scheme}: {case}");
            let (address, asked) = proxy(answer);
            let (code, err) = run(scheme, &[("HTTPS_PROXY", &format!("{before}{address}"))]);
            let (request, said) = asked.join().unwrap();
            assert_eq!(code, Some(3), "{case}: {err}");
            assert!(err.contains(says[place]) && !err.contains("hidden"), "{case}: {err}");
            assert!(request.starts_with("CONNECT results.invalid:8443 HTTP/1.1\r\n"), "{case}: {request}");
            let credential = "Proxy-Authorization: Basic dTpoaWRkZW4=\r\n";
            assert_eq!(request.contains(credential), before.contains('@'), "{case}: {request}");
            // A handshake of TLS (RFC 8446 5.1) that names the server.
            let is_tls = said.first() == Some(&22) && said.windows(15).any(|part| part == b"results.invalid");
            assert_eq!(is_tls, is_used, "{case}: {said:?}");
        }
    }
    let (away, no_ports) = (("HTTPS_PROXY", "http://u:hidden@127.0.0.1:1"), ("NO_PROXY", "invalid:443"));
    for (case, variables, code, says) in [
        ("a host that needs none", [away, ("NO_PROXY", ".invalid,invalid")], 3, None),
        ("all hosts", [away, ("no_proxy", "*")], 3, None),
        (
            "for plain HTTP",
            [("HTTP_PROXY", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")],
            3,
            None,
        ),
        ("another port", [away, no_ports], 3, Some(["the proxy 127.0.0.1:1 cannot be used"; 2])),
        (
            "a proxy of https",
            [("HTTPS_PROXY", "https://u:hidden@127.0.0.1:1"), ("NO_PROXY", "")],
            3,
            Some(["is not one of http://", "the proxy 127.0.0.1:1 cannot be used"]),
        ),
        (
            "SOCKS",
            [("HTTPS_PROXY", "socks5://u:hidden@127.0.0.1:1"), no_ports],
            64,
            Some(["HTTPS_PROXY, which leads there, cannot be used: only proxies of http:// and https://"; 2]),
        ),
    ] {
        for (place, scheme) in ["grpcs", "https"].into_iter().enumerate() {
            let (ended, err) = run(scheme, &variables);
            assert_eq!(ended, Some(code), "{scheme}: {case}: {err}");
            assert!(!err.contains("hidden"), "{scheme}: {case}: {err}");
            match says {
                Some(says) => assert!(err.contains(says[place]), "{scheme}: {case}: {err}"),
                None => assert!(!err.contains("proxy"), "{scheme}: {case}: {err}"),
            }
        }
    }
}
