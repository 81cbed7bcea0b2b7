//! Many TaskRuns: the same answers in the same order whatever the number of workers, and nobody's evidence for another's.

use std::{
    fs::File,
    io::{Cursor, Read as _, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::{
    sources::{
        error::SourceError,
        source::Source,
        walk::{Event, WalkProgress, walk},
    },
    standin::ca::DevCa,
    tekton::{run::Run, taskrun::TaskRun},
    verify::{Policy, Report, Verdict, Verifier, verify},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

use crate::support;

use support::{
    corpus::{Shape, task_run},
    signed::{reasons, trust},
};

const THREE_STEPS: Shape = Shape { steps: 3, results: 5, beside: false };
const BESIDE: Shape = Shape { steps: 1, results: 5, beside: true };

fn ca() -> DevCa {
    DevCa::new(
        "example.org",
        UnixSeconds::new(OffsetDateTime::now_utc().unix_timestamp() - 60),
        &SystemRandom::new(),
    )
    .unwrap()
}

fn corpus(ca: &DevCa, count: usize, shape: Shape) -> Vec<Value> {
    let created = OffsetDateTime::now_utc() - time::Duration::seconds(30);
    (0..count).map(|number| task_run(ca, number, shape, created).object).collect()
}

#[test]
fn the_corpus_is_genuine() {
    let ca = ca();
    for shape in [THREE_STEPS, BESIDE] {
        for object in corpus(&ca, 2, shape) {
            let report =
                verify(&TaskRun::from_value(object).unwrap(), &trust(&ca.bundle_pem()), &Policy::default());
            assert_eq!(report.verdict, Verdict::Verified, "{shape:?}: {}", reasons(&report));
        }
    }
}

/// What the walk tells of the input, as lines: the verdicts and errors in order.
fn walked(input: &str, jobs: usize, ca: &DevCa) -> Vec<String> {
    let (trust, policy) = (trust(&ca.bundle_pem()), Policy::default());
    told(input, jobs, || {
        let mut verifier = Verifier::new(&trust, &policy);
        move |object: TaskRun| {
            let report = verifier.verify(&object);
            format!("{} {}", report.verdict.as_str(), report.task_run)
        }
    })
}

/// The same with nothing verified: the names of the TaskRuns that were read.
fn names(input: &str, jobs: usize) -> Vec<String> {
    told(input, jobs, || |object: TaskRun| object.metadata.name)
}

fn told<J: FnMut(TaskRun) -> String>(input: &str, jobs: usize, judge: impl Fn() -> J + Sync) -> Vec<String> {
    let mut told = Vec::new();
    walk(
        Source::files(&[PathBuf::from("-")], &mut Cursor::new(input.as_bytes().to_vec())),
        NonZeroUsize::new(jobs).unwrap(),
        &WalkProgress::default(),
        || {
            let mut judge = judge();
            move |run| judge(task_run_of(run))
        },
        &mut |event: Event<'_, String>| match event {
            Event::Object { outcome: Ok(said), .. } => told.push(said),
            Event::Object { outcome: Err(error), .. } => told.push(error.to_string()),
            Event::Waiting | Event::WaitingFor(_) | Event::Settled => {}
        },
    );
    told
}

fn task_run_of(run: Run) -> TaskRun {
    match run {
        Run::TaskRun(object) => object,
        Run::PipelineRun(object) => panic!("{} is not a TaskRun", object.full_name()),
    }
}

fn altered(object: &Value) -> Value {
    let mut object = object.clone();
    object["status"]["results"][0]["value"] = json!("sha256:0");
    object
}

#[test]
fn answers_come_in_the_order_of_the_input() {
    let ca = ca();
    let objects = corpus(&ca, 60, THREE_STEPS);
    let mut lines = String::new();
    let mut expected = Vec::new();
    for (number, object) in objects.iter().cycle().take(300).enumerate() {
        let name = format!("default/{}", object["metadata"]["name"].as_str().unwrap());
        if number % 7 == 3 {
            lines.push_str(&format!("{}\n", altered(object)));
            expected.push(format!("invalid {name}"));
        } else {
            lines.push_str(&format!("{object}\n"));
            expected.push(format!("verified {name}"));
        }
    }
    for jobs in [1, 2, 5] {
        assert_eq!(walked(&lines, jobs, &ca), expected, "{jobs} workers");
    }
}

#[test]
fn what_cannot_be_read_is_named_and_costs_nothing_else() {
    let ca = ca();
    let objects = corpus(&ca, 3, THREE_STEPS);
    let [a, b, c] = [0, 1, 2].map(|number| objects[number].to_string());
    let [ra, rb, rc] = [0, 1, 2].map(|number| format!("build-app-{number:06}"));
    let pretty = |number: usize| format!("{:#}", objects[number]);
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(17 << 20));
    let many = |object: &str| vec![object; 200].join(",");
    let unclosed = &a[..a.len() - 1];
    let unclosed_string = &a[..a.find("build-app").unwrap()];
    for (case, input, expected) in [
        (
            "a line that is no JSON",
            format!("{a}\nnot JSON\n{c}\n"),
            vec![
                &*ra,
                "(object 2, line 2): not JSON: a word that is not true, false or null at line 2 column 2",
                &rc,
            ],
        ),
        (
            "a line with a wrong comma",
            format!("{a}\n{{\"a\":1,}}\n{c}\n"),
            vec![&*ra, "(object 2, line 2): not JSON: a comma too many at line 2 column 8", &rc],
        ),
        ("a line cut short", format!("{a}\n{unclosed}\n{c}\n"), vec![&*ra, "(object 2", &rc]),
        (
            "a line cut short in a text",
            format!("{a}\n{unclosed_string}\n{c}\n{b}"),
            vec![&*ra, "(object 2", &rc, &rb],
        ),
        (
            "the first line cut short in a text",
            format!("{unclosed_string}\n{a}\n{c}\n"),
            vec!["not JSON: ", &*ra, &rc],
        ),
        (
            "the first line cut short behind a value",
            format!("{unclosed}\n{a}\n{c}"),
            vec!["not JSON: ", &*ra, &rc],
        ),
        ("the first line cut short in a key", format!("{{\"a\":1,\"b\n{a}\n"), vec!["not JSON: ", &*ra]),
        ("the first line closed too often", format!("{a}}}\n{b}\n{c}\n"), vec![&*ra, "not JSON: ", &rb, &rc]),
        (
            "a first line that lost its beginning",
            format!("{}\n{a}\n{c}\n", &b[40..]),
            vec!["not JSON: ", &*ra, &rc],
        ),
        ("a first line of text", format!("not JSON\n{a}\n{c}\n"), vec!["not JSON: ", &*ra, &rc]),
        (
            "a first line that says what went wrong",
            format!("Warning: deprecated\n{a}\n{c}\n"),
            vec!["a message instead of TaskRuns: Warning", &*ra, &rc],
        ),
        (
            "the first line cut short where an object may follow: nobody can tell",
            format!("{{\"items\":[\n{a}\n{c}\n"),
            vec!["what follows in it is not read"],
        ),
        (
            "an object of many lines that is broken",
            format!("{{\n\"kind\": \"cut\n\"x\": 1\n}}\n{a}\n"),
            vec!["what follows in it is not read"],
        ),
        ("empty lines", format!("\n{a}\n\n\n{c}\n\n"), vec![&*ra, &rc]),
        ("carriage returns", format!("{a}\r\n{c}\r\n"), vec![&*ra, &rc]),
        ("one behind the other", format!("{a}{c} {b}"), vec![&*ra, &rc, &rb]),
        ("indented after lines", format!("{a}\n{}\n{c}", pretty(1)), vec![&*ra, &rb, &rc]),
        ("indented", format!("{}\n{}\n", pretty(0), pretty(1)), vec![&*ra, &rb]),
        (
            "indented, with rubbish in between",
            format!("{}\nrubbish\n{}\n", pretty(0), pretty(1)),
            vec![&*ra, "a value is missing at line"],
        ),
        (
            "the rest is said not to be read",
            format!("{}\nrubbish\n{}\n", pretty(0), pretty(1)),
            vec![&*ra, "what follows in it is not read"],
        ),
        (
            "a large object among lines",
            format!("{a}\n{large}\n{c}\n"),
            vec![&*ra, "(object 2): the object is larger than 16 MiB", &rc],
        ),
        (
            "the same at the start of a file",
            format!("{large}\n{c}\n"),
            vec!["larger than 16 MiB, more than Kubernetes keeps; what follows in it is not read"],
        ),
        (
            "a key twice",
            format!(
                "{a}\n{}\n{c}\n",
                b.replacen("{\"apiVersion\"", "{\"kind\":\"TaskRun\",\"apiVersion\"", 1)
            ),
            vec![&*ra, "the key \"kind\" appears twice", &rc],
        ),
        ("a large List", format!("{{\"kind\":\"List\",\"items\":[{}]}}", many(&a)), vec![&*ra; 200]),
        (
            "a large List whose kind comes last",
            format!("{{\"items\":[{}],\"kind\":\"List\"}} {b}", many(&a)),
            [vec![&*ra; 200], vec![&*rb]].concat(),
        ),
        (
            "a large List that is none",
            format!("{{\"items\":[{}],\"kind\":\"Pod\"}}", many(&a)),
            [vec![&*ra; 200], vec!["its kind is \"Pod\""]].concat(),
        ),
        (
            "a large List with items twice",
            format!("{{\"kind\":\"List\",\"items\":[{}],\"items\":[{c}]}}", many(&a)),
            [vec![&*ra; 200], vec![&*rc], vec!["\"items\" appears twice"]].concat(),
        ),
        (
            "a large List with Items",
            format!("{{\"kind\":\"List\",\"items\":[{}],\"Items\":[{c}]}}", many(&a)),
            [vec![&*ra; 200], vec!["\"Items\" is written in another case"]].concat(),
        ),
        (
            "a small List with Items",
            format!("{{\"kind\":\"List\",\"items\":[{a}],\"Items\":[{c}]}}"),
            vec!["\"Items\" is written in another case"],
        ),
        (
            "a large List cut short",
            format!("{{\"kind\":\"List\",\"items\":[{},{unclosed}", many(&a)),
            [vec![&*ra; 200], vec!["does not end; what follows in it is not read"]].concat(),
        ),
        (
            "a large List that ends with a comma",
            format!("{{\"kind\":\"List\",\"items\":[{},]}}", many(&a)),
            [vec![&*ra; 200], vec!["expected a value at line 1; what follows in it is not read"]].concat(),
        ),
        (
            "a bad item of a large List",
            format!("{{\"kind\":\"List\",\"items\":[{},{{\"a\" 1}},{b}]}}", many(&a)),
            [vec![&*ra; 200], vec!["(object 201): not JSON: "], vec![&*rb]].concat(),
        ),
        (
            "a TaskRun with items is no List",
            a.replacen("{\"apiVersion\"", &format!("{{\"items\":[{c}],\"apiVersion\""), 1),
            vec![&*ra],
        ),
    ] {
        for jobs in [1, 3] {
            let told = names(&input, jobs);
            assert_eq!(told.len(), expected.len(), "{case}: {told:#?}");
            for (told, expected) in told.iter().zip(&expected) {
                assert!(told.contains(expected), "{case}: {told:?} does not say {expected:?}");
            }
        }
    }
}

#[test]
fn items_of_a_list_may_leave_out_what_it_says_before_them() {
    let ca = ca();
    let mut item = corpus(&ca, 1, THREE_STEPS).remove(0);
    item.as_object_mut().unwrap().remove("kind");
    item.as_object_mut().unwrap().remove("apiVersion");
    let item = item.to_string();
    let said = "\"apiVersion\":\"tekton.dev/v1\",\"kind\":\"TaskRunList\"";
    for count in [1, 200] {
        let items = format!("\"items\":[{}]", vec![item.as_str(); count].join(","));
        let told = names(&format!("{{{said},{items}}}"), 2);
        assert_eq!(told, vec!["build-app-000000"; count], "before {count} items");
        let told = names(&format!("{{{},{items}}}", said.replace("TaskRunList", "List")), 2);
        assert!(told.iter().all(|told| told.contains("no kind")), "a mere List of {count}: {told:?}");
    }
}

#[test]
fn a_panic_is_no_verdict() {
    let ca = ca();
    let lines: String = corpus(&ca, 4, BESIDE).iter().map(|object| format!("{object}\n")).collect();
    let (trust, policy) = (trust(&ca.bundle_pem()), Policy::default());
    let calls = AtomicUsize::new(0);
    let mut told: Vec<Result<Report, SourceError>> = Vec::new();
    let sources = [PathBuf::from("-")];
    let mut stdin = Cursor::new(lines.clone().into_bytes());
    let judge = || {
        |run: Run| {
            let object = task_run_of(run);
            assert!(calls.fetch_add(1, Ordering::SeqCst) != 1, "a judge that fails");
            verify(&object, &trust, &policy)
        }
    };
    let progress = WalkProgress::default();
    let jobs = NonZeroUsize::MIN;
    walk(Source::files(&sources, &mut stdin), jobs, &progress, judge, &mut |event| {
        if let Event::Object { outcome, .. } = event {
            told.push(outcome);
        }
    });
    let verdicts: Vec<bool> = told.iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true, true]);
    assert!(matches!(&told[1], Err(SourceError::Panicked { path }) if path.contains("(object 2, line 2)")));
    assert_eq!(progress.bytes(), lines.len() as u64);
}

#[test]
fn a_verifier_that_has_seen_much_says_what_a_fresh_one_says() {
    let ca = ca();
    let other = DevCa::new(
        "example.org",
        UnixSeconds::new(OffsetDateTime::now_utc().unix_timestamp() - 60),
        &SystemRandom::new(),
    )
    .unwrap();
    let genuine = corpus(&ca, 3, THREE_STEPS);
    let beside = corpus(&ca, 2, BESIDE);
    let foreign = corpus(&other, 3, THREE_STEPS);
    let message =
        |object: &Value, step: usize| object["status"]["steps"][step]["terminated"]["message"].clone();
    let mut cases: Vec<(String, Value)> = Vec::new();
    for (name, objects) in [("genuine", &genuine), ("beside", &beside), ("foreign", &foreign)] {
        for (number, object) in objects.iter().enumerate() {
            cases.push((format!("{name} {number}"), object.clone()));
            cases.push((format!("{name} {number}, altered"), altered(object)));
        }
    }
    // What was remembered of one run is offered for another: the same certificate under another name, a step's evidence moved.
    for step in 0..3 {
        let mut moved = genuine[1].clone();
        moved["status"]["steps"][step]["terminated"]["message"] = message(&genuine[0], step);
        cases.push((format!("step {step} of another run"), moved));
        let mut moved = genuine[0].clone();
        moved["status"]["steps"][step]["terminated"]["message"] = message(&foreign[0], step);
        cases.push((format!("step {step} of another authority"), moved));
    }
    let mut renamed = genuine[0].clone();
    renamed["metadata"]["name"] = json!("build-app-000001");
    cases.push(("another name for a known certificate".into(), renamed));
    let mut later = genuine[0].clone();
    later["metadata"]["creationTimestamp"] = json!("2099-01-01T00:00:00Z");
    cases.push(("created later".into(), later));
    let (trust, policy) = (trust(&ca.bundle_pem()), Policy::default());
    let mut verifier = Verifier::new(&trust, &policy);
    let mut verified = 0;
    for round in 0..3 {
        for (case, object) in cases.iter().chain(cases.iter().rev()) {
            let object = TaskRun::from_value(object.clone()).unwrap();
            let (known, fresh) = (verifier.verify(&object), verify(&object, &trust, &policy));
            assert_eq!(format!("{known:?}"), format!("{fresh:?}"), "{case}, round {round}");
            assert_eq!(known.verdict == Verdict::Verified, is_genuine(case), "{case}: {}", reasons(&known));
            verified += usize::from(known.verdict == Verdict::Verified);
        }
    }
    assert_eq!(verified, 3 * 2 * 5);
}

fn is_genuine(case: &str) -> bool {
    (case.starts_with("genuine") || case.starts_with("beside")) && !case.contains("altered")
}

#[test]
fn a_progress_bar_is_drawn_on_a_terminal_only() {
    let ca = ca();
    let lines: Vec<String> = corpus(&ca, 4, THREE_STEPS).iter().map(|object| format!("{object}\n")).collect();
    let bundle = support::signed::file(&ca.bundle_pem());
    for (case, on_terminal, pause) in
        [("a terminal", true, 400), ("a terminal, soon done", true, 0), ("a pipe", false, 400)]
    {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command
            .args(["verify", "-", "--trust-domain", "example.org", "--color", "never", "--bundle"])
            .arg(bundle.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(if on_terminal { Stdio::from(pty.slave) } else { Stdio::piped() });
        let mut child = command.spawn().unwrap();
        // The parent's copy of the terminal's other end goes with it.
        drop(command);
        let mut stdin = child.stdin.take().unwrap();
        for line in &lines {
            std::thread::sleep(Duration::from_millis(pause));
            stdin.write_all(line.as_bytes()).unwrap();
        }
        drop(stdin);
        let mut said = Vec::new();
        match child.stderr.take() {
            Some(mut pipe) => pipe.read_to_end(&mut said).map(drop).unwrap(),
            // A terminal whose other end is closed gives an error instead of an end.
            None => drop(File::from(pty.master).read_to_end(&mut said)),
        }
        assert!(child.wait().unwrap().success(), "{case}");
        let said = String::from_utf8(said).unwrap().replace("\r\n", "\n");
        let drawn = said.contains("TaskRuns, ");
        assert_eq!(drawn, on_terminal && pause > 0, "{case}: {said:?}");
        // What a terminal shows: the last of what is drawn over.
        let shown: Vec<&str> = said.lines().map(|line| line.rsplit("\r\x1b[K").next().unwrap()).collect();
        let verdicts = shown.iter().filter(|line| line.starts_with("verified  default/build-app-")).count();
        let others: Vec<&&str> =
            shown.iter().filter(|line| !line.is_empty() && !line.starts_with("verified  ")).collect();
        assert_eq!((verdicts, others), (4, vec![&"4 TaskRuns: 4 verified; exit code 0"]), "{case}: {said:?}");
    }
}
