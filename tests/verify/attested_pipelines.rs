//! PipelineRuns of which Tekton Chains' attestation is there: each format is held against the TaskRuns that are in it or beside it, what it
//! does not carry is told apart from what was changed, and nothing is verified beyond that.

use crate::support;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};
use support::{
    chains::{self, Chains, PipelineFormat},
    command::{Ran, svidence},
    signed::{Cluster, file},
};

fn folder(name: &str) -> String {
    format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn json_of(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder(path)).unwrap()).unwrap()
}

/// A PipelineRun of a real cluster and its TaskRuns (`testdata/pipelineruns`), and how Chains attests it.
#[derive(Clone)]
struct Whole {
    pipeline_run: Value,
    task_runs: Vec<Value>,
}

impl Whole {
    fn read(name: &str) -> Self {
        let pipeline_run = json_of(&format!("pipelineruns/{name}/pipelinerun.json"));
        let list = json_of(&format!("pipelineruns/{name}/taskruns.json"));
        Self { pipeline_run, task_runs: list["items"].as_array().unwrap().clone() }
    }

    fn task_run(&mut self, name: &str) -> &mut Value {
        self.task_runs.iter_mut().find(|run| run["metadata"]["name"] == name).unwrap()
    }

    fn without(&mut self, name: &str) {
        self.task_runs.retain(|run| run["metadata"]["name"] != name);
    }

    fn spec(&mut self) -> &mut Value {
        &mut self.pipeline_run["spec"]
    }

    fn tasks(&mut self) -> &mut Value {
        &mut self.pipeline_run["spec"]["pipelineSpec"]["tasks"]
    }

    fn results(&mut self) -> &mut Vec<Value> {
        self.pipeline_run["status"]["results"].as_array_mut().unwrap()
    }

    fn attested(&self, format: PipelineFormat) -> Value {
        chains::of_pipeline_run(format, &self.pipeline_run, &self.task_runs.iter().collect::<Vec<_>>())
    }
}

fn verify(documents: &[Value], more: &[&str]) -> Ran {
    let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
    let bundle = folder("pipelineruns/ship/bundle.pem");
    let trust =
        ["--trust-domain=example.org", "--at=2026-11-28T09:08:30Z", "--bundle", &bundle, "-o", "json"];
    svidence(&[&["verify", "-"], &trust[..], more].concat(), &lines)
}

/// The last line in the report, which is the PipelineRun's.
fn judged(documents: &[Value], more: &[&str]) -> Value {
    let ran = verify(documents, more);
    let last = ran.out.lines().last().unwrap_or_else(|| panic!("nothing was judged: {}", ran.err));
    serde_json::from_str(last).unwrap()
}

fn details(line: &Value) -> BTreeSet<&str> {
    let findings = line["findings"].as_array().into_iter().flatten();
    findings.map(|finding| finding["detail"].as_str().unwrap_or("none")).collect()
}

fn results(line: &Value) -> Vec<&str> {
    let results = line["pipelineResults"].as_array().into_iter().flatten();
    results.map(|result| result["name"].as_str().unwrap()).collect()
}

fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    list.as_array_mut().unwrap().iter_mut().find(|item| item["name"] == name).unwrap()
}

const ACCEPTING: [&str; 4] = ["--accept", "not-carried", "-n", "default"];

/// One that each of the formats makes of a genuine run, what is given beside it, and what is not carried then.
#[test]
fn each_format_is_judged_as_far_as_it_goes() {
    let ship = Whole::read("ship");
    let (v2alpha3, v2alpha4) =
        (ship.attested(PipelineFormat::V2alpha3), ship.attested(PipelineFormat::V2alpha4));
    let with = |pipeline_run: &Value, beside: Vec<Value>| [vec![pipeline_run.clone()], beside].concat();
    let objects = ship.task_runs.clone();
    let of_task_runs: Vec<Value> = objects.iter().map(chains::v2alpha3).collect();
    let labelled: Vec<Value> = objects.iter().map(chains::v2alpha3_tekton).collect();
    let names: Vec<&str> =
        objects.iter().flat_map(|run| ["--taskrun", run["metadata"]["name"].as_str().unwrap()]).collect();
    let by_reference = {
        let mut ship = ship.clone();
        ship.pipeline_run["spec"] = json!({"pipelineRef": {"name": "ship"}});
        ship.attested(PipelineFormat::Tekton)
    };
    let with_default = {
        let mut ship = ship.clone();
        ship.spec().as_object_mut().unwrap().remove("params");
        ship.spec()["pipelineSpec"]["params"][0]["default"] = json!("https://example.org/app.git");
        ship.attested(PipelineFormat::Tekton)
    };
    let without_report = {
        let mut ship = ship.clone();
        ship.without("ship-report");
        ship.attested(PipelineFormat::Tekton)
    };
    let without_build = {
        let mut ship = ship.clone();
        ship.without("ship-build");
        ship.attested(PipelineFormat::Tekton)
    };
    let all = ["digest", "images"];
    let named = ["--pipelinerun", "ship"];
    type Case<'a> = (&'a str, Vec<Value>, &'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    // Name, what is given, arguments, results, what is said not to be carried, and what is not said.
    let cases: &[Case<'_>] = &[
        (
            "slsa-tekton",
            vec![ship.attested(PipelineFormat::Tekton)],
            &[],
            &all,
            &["when it was created"],
            &["whether task", "belongs", "given"],
        ),
        ("slsa-tekton, a default", vec![with_default], &[], &all, &["when it was created"], &["not known"]),
        (
            "deep inspection",
            vec![ship.attested(PipelineFormat::Deep)],
            &[],
            &all,
            &["what ship-deploy was given"],
            &["belongs"],
        ),
        (
            "slsa/v2alpha4, TaskRuns beside it",
            with(&v2alpha4, objects.clone()),
            &[],
            &all,
            &["when it was created"],
            &["belongs", "given"],
        ),
        (
            "slsa/v2alpha3, TaskRuns beside it",
            with(&v2alpha3, objects.clone()),
            &named,
            &all,
            &["when it was created"],
            &["belongs", "given"],
        ),
        (
            "slsa/v2alpha4, attestations beside it",
            with(&v2alpha4, of_task_runs),
            &names,
            &all,
            &["that ship-build belongs to it"],
            &["given"],
        ),
        (
            "slsa/v2alpha4, attestations with labels beside it",
            with(&v2alpha4, labelled),
            &names,
            &all,
            &["when it was created"],
            &["belongs", "given"],
        ),
        (
            "slsa-tekton, by reference",
            vec![by_reference],
            &[],
            &[],
            &["the pipeline that spec.pipelineRef names"],
            &["whether task"],
        ),
        (
            "slsa-tekton, a task has no run",
            vec![without_report],
            &[],
            &all,
            &["whether task report ran"],
            &["task notify-branch"],
        ),
        (
            "slsa-tekton, the task that others need has no run",
            vec![without_build],
            &[],
            &[],
            &[
                "whether task build ran",
                "result digest of the PipelineRun cannot be derived",
                "whether its when expressions let it run",
            ],
            &[],
        ),
    ];
    for (case, documents, more, results_of, said, not_said) in cases {
        let plain = judged(documents, &[&["-n", "default"], *more].concat());
        assert_eq!(plain["pipelineRun"], "default/ship", "{case}: {plain}");
        assert_eq!(
            (&plain["verdict"], &plain["accepted"]),
            (&json!("weak"), &json!(false)),
            "{case}: {plain}"
        );
        assert!(details(&plain).contains("partial"), "{case}: {plain}");
        assert_eq!(results(&plain), [""; 0], "{case}: {plain}");
        let accepted = judged(documents, &[&ACCEPTING, *more].concat());
        assert_eq!(
            (&accepted["verdict"], &accepted["accepted"]),
            (&json!("weak"), &json!(true)),
            "{case}: {accepted}"
        );
        assert_eq!(results(&accepted), *results_of, "{case}: {accepted}");
        for (line, list) in [(&plain, "findings"), (&accepted, "notes")] {
            let text = line[list].to_string();
            assert!(said.iter().all(|words| text.contains(words)), "{case}, {list}: {text}");
            assert!(!not_said.iter().any(|words| text.contains(words)), "{case}, {list}: {text}");
        }
    }
}

/// Attestations of TaskRuns, with the PipelineRun itself beside them.
#[test]
fn attestations_of_taskruns_do_not_say_whose_they_are() {
    let ship = Whole::read("ship");
    let attested: Vec<Value> = ship.task_runs.iter().map(chains::v2alpha3).collect();
    let documents = [vec![ship.pipeline_run.clone()], attested].concat();
    let names =
        ship.task_runs.iter().flat_map(|run| ["--taskrun", run["metadata"]["name"].as_str().unwrap()]);
    let more: Vec<&str> = ACCEPTING.into_iter().chain(names).collect();
    let line = judged(&documents, &more);
    assert!(line["notes"].to_string().contains("that ship-build belongs to it"), "{line}");
    assert!(!line["notes"].to_string().contains("when it was created"), "{line}");
    // Neither do they say how a task ended, which is what the last one was given.
    assert_eq!(
        (&line["verdict"], details(&line)),
        (&json!("unchecked"), BTreeSet::from(["not-derived"])),
        "{line}"
    );
    assert!(line["findings"].to_string().contains("$(tasks.deploy.status) is not known"), "{line}");
}

/// What is said of a run by its object counts, whatever attestation of it is beside that, and in whatever order they come.
#[test]
fn an_attestation_hides_nothing_of_the_object_beside_it() {
    let ship = Whole::read("ship");
    let beside: Vec<Value> = vec![ship.attested(PipelineFormat::Deep)];
    let labelled: Vec<Value> = ship.task_runs.iter().map(chains::v2alpha3_tekton).collect();
    let names =
        ship.task_runs.iter().flat_map(|run| ["--taskrun", run["metadata"]["name"].as_str().unwrap()]);
    let more: Vec<&str> = ACCEPTING.into_iter().chain(names).collect();
    let other = json!("00000000-0000-4000-8000-000000000000");
    type Case<'a> = (&'a str, Box<dyn Fn(&mut Whole)>, &'a str);
    let cases: [Case<'_>; 4] = [
        ("genuine", Box::new(|_| {}), ""),
        (
            "a parameter",
            Box::new(|w| w.task_run("ship-deploy")["spec"]["params"][0]["value"] = json!("sha256:666")),
            "parameter",
        ),
        (
            "the outcome",
            Box::new(|w| named_condition(w.task_run("ship-scan-1"))["status"] = json!("False")),
            "succeeded",
        ),
        (
            "the owner",
            Box::new(move |w| {
                w.task_run("ship-deploy")["metadata"]["ownerReferences"][0]["uid"] = other.clone()
            }),
            "child-owner",
        ),
    ];
    for (case, change, detail) in &cases {
        let mut whole = ship.clone();
        change(&mut whole);
        let objects = [vec![whole.pipeline_run.clone()], whole.task_runs].concat();
        let orders = [
            ("alone", objects.clone()),
            ("deep inspection after it", [objects.clone(), beside.clone()].concat()),
            ("deep inspection before it", [beside.clone(), objects.clone()].concat()),
            ("attestations after it", [objects.clone(), labelled.clone()].concat()),
            ("attestations before it", [labelled.clone(), objects].concat()),
        ];
        for (order, documents) in orders {
            let ran = verify(&documents, &more);
            let place = documents.iter().position(|document| document["kind"] == "PipelineRun").unwrap() + 1;
            let mut lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let is_object =
                |line: &Value| line.get("pipelineRun").is_some() && line["place"]["line"] == json!(place);
            let line = lines.find(is_object).unwrap_or_else(|| panic!("{case}, {order}: {}", ran.err));
            match detail.is_empty() {
                true => assert_eq!(line["accepted"], json!(true), "{case}, {order}: {line}"),
                false => assert_eq!(line["verdict"], json!("invalid"), "{case}, {order}: {line}"),
            }
            assert!(detail.is_empty() || details(&line).contains(detail), "{case}, {order}: {line}");
        }
    }
}

/// What holds too little to be judged says what would keep more, and what to give beside it.
#[test]
fn what_holds_nothing_says_what_to_do() {
    let ship = Whole::read("ship");
    let mut other = ship.clone();
    other.pipeline_run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    let of_other = [vec![other.attested(PipelineFormat::V2alpha4)], ship.task_runs.clone()].concat();
    let cases: &[(&str, Vec<Value>, &[&str], &str)] = &[
        ("slsa/v2alpha4", vec![ship.attested(PipelineFormat::V2alpha4)], &["-n", "default"], "beside it"),
        (
            "slsa/v2alpha3",
            vec![ship.attested(PipelineFormat::V2alpha3)],
            &["-n", "default", "--pipelinerun", "ship"],
            "beside it",
        ),
        (
            "slsa/v2alpha3, unnamed",
            vec![ship.attested(PipelineFormat::V2alpha3)],
            &["-n", "default"],
            "--pipelinerun",
        ),
        ("slsa/v2alpha4, no namespace", vec![ship.attested(PipelineFormat::V2alpha4)], &[], "--namespace"),
        ("slsa/v2alpha4, TaskRuns of another run beside it", of_other, &["-n", "default"], "beside it"),
    ];
    for (case, documents, more, words) in cases {
        let line = judged(documents, &[*more, &["--accept", "not-carried"]].concat());
        assert_eq!(
            (&line["verdict"], &line["accepted"]),
            (&json!("absent"), &json!(false)),
            "{case}: {line}"
        );
        let text = line["findings"].to_string();
        assert!(details(&line).contains("holds-nothing"), "{case}: {line}");
        for words in [words, "builddefinition.buildtype", "artifacts.pipelinerun.enable-deep-inspection"] {
            assert!(text.contains(words), "{case}: {text}");
        }
    }
}

type Change = fn(&mut Whole);

/// What is done before Chains attests it, the verdict that follows in each format, and the detail that says why.
const FORGERIES: &[(&str, Change, &[PipelineFormat], &str)] = {
    use PipelineFormat::{Deep, Tekton, V2alpha4};
    &[
        (
            "a result of the PipelineRun",
            |w| w.results()[0]["value"] = json!("sha256:666"),
            &[Tekton, Deep, V2alpha4],
            "pipeline-result",
        ),
        (
            "a result of the PipelineRun that no pipeline declares",
            |w| w.results().push(json!({"name": "approved", "value": "yes"})),
            &[Tekton, Deep, V2alpha4],
            "pipeline-result",
        ),
        (
            "where a result of the PipelineRun comes from",
            |w| w.spec()["pipelineSpec"]["results"][0]["value"] = json!("$(tasks.deploy.results.deployed)"),
            &[Tekton, Deep, V2alpha4],
            "pipeline-result",
        ),
        (
            "a result of a task",
            |w| {
                named(&mut w.task_run("ship-build")["status"]["results"], "digest")["value"] =
                    json!("sha256:666")
            },
            &[Tekton, Deep, V2alpha4],
            "child-verdict",
        ),
        (
            "the evidence of one task in another",
            |w| {
                let status = w.task_run("ship-scan-1")["status"].clone();
                w.task_run("ship-scan-0")["status"] = status;
            },
            &[Tekton, Deep, V2alpha4],
            "child-verdict",
        ),
        (
            "a task of another PipelineRun, under this one's name",
            |w| {
                let mut other = Whole::read("failed-results").task_run("release-build").clone();
                other["metadata"]["name"] = json!("ship-build");
                w.without("ship-build");
                w.task_runs.push(other);
            },
            &[Tekton, Deep],
            "child-verdict",
        ),
        (
            "a task of another PipelineRun, under its own name",
            |w| w.task_runs.push(Whole::read("failed-results").task_run("release-build").clone()),
            &[Tekton, Deep],
            "child-name",
        ),
        (
            "a task that says that it belongs to another PipelineRun",
            |w| {
                let other = json!("00000000-0000-4000-8000-000000000000");
                w.task_run("ship-deploy")["metadata"]["ownerReferences"][0]["uid"] = other;
            },
            &[Tekton],
            "child-owner",
        ),
        (
            "the UID of the PipelineRun",
            |w| w.pipeline_run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000"),
            &[Tekton],
            "child-owner",
        ),
        (
            "what a task was given",
            |w| w.task_run("ship-deploy")["spec"]["params"][0]["value"] = json!("sha256:666"),
            &[Tekton, V2alpha4],
            "parameter",
        ),
        (
            "a parameter of the PipelineRun",
            |w| w.spec()["params"][0]["value"] = json!("https://example.org/evil.git"),
            &[Tekton, V2alpha4],
            "parameter",
        ),
        (
            "when a task runs",
            |w| named(w.tasks(), "deploy")["when"][0]["values"] = json!(["release"]),
            &[Tekton, Deep, V2alpha4],
            "when",
        ),
        (
            "a matrix that makes fewer runs",
            |w| named(w.tasks(), "scan")["matrix"]["params"][0]["value"] = json!(["app"]),
            &[Tekton, Deep, V2alpha4],
            "matrix",
        ),
        (
            "a result that no task produced",
            |w| named(w.tasks(), "deploy")["params"][0]["value"] = json!("$(tasks.build.results.other)"),
            &[Tekton, V2alpha4],
            "no-such-result",
        ),
        (
            "the order of the tasks",
            |w| named(w.tasks(), "build")["runAfter"] = json!(["deploy"]),
            &[Tekton, V2alpha4],
            "task-order",
        ),
        (
            "two tasks of one name",
            |w| {
                let build = named(w.tasks(), "build").clone();
                w.tasks().as_array_mut().unwrap().push(build);
            },
            &[Tekton, Deep, V2alpha4],
            "pipeline-spec",
        ),
    ]
};

#[test]
fn what_was_altered_before_chains_attested_it_is_invalid() {
    for (case, change, formats, detail) in FORGERIES {
        for format in *formats {
            let mut whole = Whole::read("ship");
            change(&mut whole);
            // Of a format without TaskRuns they are beside it.
            let beside =
                if *format == PipelineFormat::V2alpha4 { whole.task_runs.clone() } else { Vec::new() };
            let documents = [vec![whole.attested(*format)], beside].concat();
            let line = judged(
                &documents,
                &[&ACCEPTING[..], &["--pipelinerun", "ship", "--clock-skew", "0"]].concat(),
            );
            assert_eq!(
                (&line["verdict"], &line["accepted"]),
                (&json!("invalid"), &json!(false)),
                "{case}, {format:?}: {line}"
            );
            assert!(details(&line).contains(detail), "{case}, {format:?}: {line}");
            assert_eq!(results(&line), [""; 0], "{case}, {format:?}: {line}");
        }
    }
}

/// The controller sets the start anew if it crashed before it wrote it, so a late one is no contradiction.
#[test]
fn a_start_after_its_tasks_is_unchecked() {
    let mut ship = Whole::read("ship");
    ship.pipeline_run["status"]["startTime"] = json!("2026-11-28T09:08:50Z");
    let line =
        judged(&[ship.attested(PipelineFormat::Tekton)], &[&ACCEPTING[..], &["--clock-skew", "0"]].concat());
    assert_eq!(
        (&line["verdict"], details(&line)),
        (&json!("unchecked"), BTreeSet::from(["before-creation"])),
        "{line}"
    );
}

#[test]
fn what_the_attestation_says_of_several_pipelineruns_is_not_read() {
    let ship = Whole::read("ship");
    let mut statement = ship.attested(PipelineFormat::Deep);
    statement["predicate"]["runDetails"]["byproducts"][0]["name"] = json!("pipelineRunResults/other/digest");
    let line = judged(&[statement], &ACCEPTING);
    assert_eq!(
        (&line["verdict"], details(&line)),
        (&json!("unchecked"), BTreeSet::from(["shape"])),
        "{line}"
    );
    let tekton = ship.attested(PipelineFormat::Tekton);
    for (more, detail) in [(["-n", "other"], "other-run"), (["--pipelinerun", "other"], "other-run")] {
        let line = judged(std::slice::from_ref(&tekton), &more);
        assert_eq!(
            (&line["verdict"], details(&line)),
            (&json!("unchecked"), BTreeSet::from([detail])),
            "{line}"
        );
    }
    // Of several names it takes the one that those of its TaskRuns begin with.
    let mut unnamed = ship.clone();
    unnamed.results().clear();
    let several = ["--pipelinerun", "sh", "--pipelinerun", "ship", "--pipelinerun", "ship-build"];
    let line = judged(&[unnamed.attested(PipelineFormat::Deep)], &[&ACCEPTING[..], &several].concat());
    assert_eq!(line["pipelineRun"], "default/ship", "{line}");
}

#[test]
fn the_signature_and_the_policy_are_looked_at() {
    let ship = Whole::read("ship");
    let chains = Chains::new();
    let key = file(&chains.pem());
    let key = ["--chains-key", key.path().to_str().unwrap()];
    let good = chains.envelope(&ship.attested(PipelineFormat::Tekton));
    let other = Chains::new().envelope(&ship.attested(PipelineFormat::Tekton));
    let mut altered = good.clone();
    altered["signatures"][0]["sig"] = json!("AAAA");
    let statement = ship.attested(PipelineFormat::Tekton);
    let cases = [
        ("signed", &good, "weak", ""),
        ("by another key", &other, "unchecked", "chains-key"),
        ("altered", &altered, "invalid", "chains-signature"),
        ("in no envelope", &statement, "unchecked", "chains-signature"),
    ];
    for (case, document, verdict, detail) in cases {
        let line = judged(std::slice::from_ref(document), &[&ACCEPTING[..], &key].concat());
        assert_eq!(line["verdict"], verdict, "{case}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}: {line}");
        assert_eq!(line["chainsSignedBy"].is_string(), detail.is_empty(), "{case}: {line}");
    }
    let policy = |rule: Value| {
        let mut rule = rule;
        let more = [
            ("namespace", json!("*")),
            ("taskRun", json!("*")),
            ("time", json!(["asserted"])),
            ("failures", json!("any")),
        ];
        rule.as_object_mut().unwrap().extend(more.map(|(key, value)| (key.to_owned(), value)));
        file(&json!({"version": 1, "expires": "2999-01-01T00:00:00Z", "rules": [rule]}).to_string())
    };
    let cases = [
        ("all of it", json!({}), true, "not-carried"),
        ("what is carried", json!({"notCarried": true}), true, ""),
        ("signed", json!({"notCarried": true, "chains": "signed"}), true, ""),
        ("signed, without a key", json!({"notCarried": true, "chains": "signed"}), false, "chains"),
    ];
    for (case, rule, with_key, detail) in cases {
        let policy = policy(rule);
        let policy = ["--policy", policy.path().to_str().unwrap()];
        let key = if with_key { &key[..] } else { &[] };
        let line = judged(std::slice::from_ref(&good), &[&ACCEPTING[..], &policy, key].concat());
        assert_eq!(line["verdict"], "weak", "{case}: {line}");
        assert_eq!(line["accepted"], detail.is_empty(), "{case}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}: {line}");
    }
    // Nobody says whether it succeeded, but TaskRuns may say that it did not.
    let demanded = [&ACCEPTING[..], &["--require-success"]].concat();
    let line = judged(std::slice::from_ref(&good), &demanded);
    assert_eq!((&line["verdict"], details(&line)), (&json!("weak"), BTreeSet::from(["failures"])), "{line}");
}

#[test]
fn a_task_that_failed_fails_it() {
    let mut ship = Whole::read("ship");
    let judged_as = |ship: &Whole, more: &[&str]| {
        judged(&[ship.attested(PipelineFormat::Tekton)], &[&ACCEPTING[..], more].concat())
    };
    let line = judged_as(&ship, &[]);
    assert_eq!((&line["accepted"], line.get("failed")), (&json!(true), None), "not known: {line}");
    named_condition(ship.task_run("ship-scan-1"))["status"] = json!("False");
    let line = judged_as(&ship, &[]);
    assert_eq!((&line["accepted"], &line["failed"]), (&json!(true), &json!(true)), "{line}");
    let line = judged_as(&ship, &["--require-success"]);
    assert_eq!(
        (&line["verdict"], details(&line)),
        (&json!("invalid"), BTreeSet::from(["child-verdict", "failures"])),
        "{line}"
    );
    // It may fail, and then the others decide.
    named(ship.tasks(), "scan")["onError"] = json!("continue");
    let line = judged_as(&ship, &[]);
    assert_eq!((&line["accepted"], line.get("failed")), (&json!(true), None), "{line}");
}

/// Of a pipeline that is not there the runs still have to be its own.
#[test]
fn by_reference_the_runs_must_be_its_own() {
    use PipelineFormat::{Deep, Tekton, V2alpha4};
    let without = |statement: &mut Value, key: &str| {
        statement["predicate"]["runDetails"]["metadata"].as_object_mut().unwrap().remove(key);
    };
    let nothing = |_: &mut Whole| {};
    let renamed = |w: &mut Whole| w.pipeline_run["metadata"]["name"] = json!("release-prod");
    let ownerless = |w: &mut Whole| {
        for run in &mut w.task_runs {
            run["metadata"].as_object_mut().unwrap().remove("ownerReferences");
            run["metadata"]["labels"].as_object_mut().unwrap().remove("tekton.dev/pipelineRunUID");
        }
    };
    type Case<'a> = (&'a str, PipelineFormat, &'a dyn Fn(&mut Whole), &'a str, &'a str, &'a str);
    // Name, format, what is done before and what is left out after, verdict and detail.
    let cases: [Case<'_>; 10] = [
        ("genuine", Tekton, &nothing, "", "weak", ""),
        ("genuine", Deep, &nothing, "", "weak", ""),
        ("genuine", V2alpha4, &nothing, "", "weak", ""),
        ("another name", Deep, &renamed, "", "invalid", "child-name"),
        ("another name, by the label", V2alpha4, &renamed, "", "invalid", "child-owner"),
        ("no start", Tekton, &nothing, "startedOn", "unchecked", "no-creation-time"),
        ("no start", V2alpha4, &nothing, "startedOn", "unchecked", "no-creation-time"),
        ("no UID, no owners", Tekton, &ownerless, "invocationId", "unchecked", "child-owner"),
        (
            "another UID",
            Tekton,
            &|w| w.pipeline_run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000"),
            "",
            "invalid",
            "child-owner",
        ),
        ("no owners", Tekton, &ownerless, "", "weak", ""),
    ];
    for (case, format, change, key, verdict, detail) in cases {
        let mut whole = Whole::read("ship");
        whole.pipeline_run["spec"] = json!({"pipelineRef": {"name": "ship"}});
        change(&mut whole);
        let mut statement = whole.attested(format);
        without(&mut statement, key);
        let beside = if format == V2alpha4 { whole.task_runs.clone() } else { Vec::new() };
        let line = judged(&[vec![statement], beside].concat(), &ACCEPTING);
        assert_eq!(line["verdict"], json!(verdict), "{case}, {format:?}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}, {format:?}: {line}");
        let says_so = line["notes"].to_string().contains("that ship-build belongs to it");
        assert_eq!(says_so, case.contains("no owners"), "{case}, {format:?}: {line}");
    }
}

/// What cannot be derived of the PipelineRun itself is not accepted of an attestation either; what only attestations lack is, however
/// much there is of it.
#[test]
fn only_what_attestations_do_not_carry_is_accepted() {
    let cel = |text: &str| json!([{"cel": text}]);
    let many: Vec<Value> = (0..70).map(|i| json!({"cel": format!("{i} == {i}")})).collect();
    let bound = json!({"input": "$(workspaces.w.bound)", "operator": "in", "values": ["true"]});
    // Name, when expressions of a task, the verdict of the PipelineRun and of its attestation.
    let cases = [
        ("CEL that is true", cel("'a' == 'a'"), "verified", "weak"),
        ("CEL that is false", cel("'a' == 'b'"), "invalid", "invalid"),
        ("a function that CEL does not have", cel("undefined(1)"), "unchecked", "unchecked"),
        (
            "another time zone",
            cel("timestamp('2026-01-01T00:00:00Z').getHours('Europe/Berlin') == 1"),
            "unchecked",
            "unchecked",
        ),
        (
            "too many",
            Value::from([many, vec![json!({"cel": "'a' == 'b'"})]].concat()),
            "unchecked",
            "unchecked",
        ),
        ("what is put in before", json!([bound]), "", "weak"),
        (
            "what is put in before, and what is false",
            json!([bound, {"input": "a", "operator": "in", "values": ["b"]}]),
            "",
            "invalid",
        ),
    ];
    for (case, when, of_object, of_attestation) in cases {
        let mut ship = Whole::read("ship");
        for spec in ["/spec/pipelineSpec/tasks", "/status/pipelineSpec/tasks"] {
            named(ship.pipeline_run.pointer_mut(spec).unwrap(), "deploy")["when"] = when.clone();
        }
        for reference in ship.pipeline_run["status"]["childReferences"].as_array_mut().unwrap() {
            reference.as_object_mut().unwrap().remove("whenExpressions");
        }
        if !of_object.is_empty() {
            let objects = [vec![ship.pipeline_run.clone()], ship.task_runs.clone()].concat();
            let line = judged(&objects, &[]);
            assert_eq!(line["verdict"], json!(of_object), "{case}: {line}");
        }
        let line = judged(&[ship.attested(PipelineFormat::Tekton)], &ACCEPTING);
        let is_accepted = of_attestation == "weak";
        assert_eq!(
            (&line["verdict"], &line["accepted"]),
            (&json!(of_attestation), &json!(is_accepted)),
            "{case}: {line}"
        );
    }
    for count in [15, 25] {
        let mut ship = Whole::read("ship");
        let list = |value: &str| -> Vec<Value> {
            (0..count).map(|i| json!({"name": format!("w{i}"), "value": value})).collect()
        };
        let add = |params: &mut Value, more: Vec<Value>| params.as_array_mut().unwrap().extend(more);
        add(&mut named(ship.tasks(), "deploy")["params"], list("$(workspaces.w.bound)"));
        add(&mut ship.task_run("ship-deploy")["spec"]["params"], list("true"));
        let line = judged(&[ship.attested(PipelineFormat::Tekton)], &ACCEPTING);
        assert_eq!((&line["verdict"], &line["accepted"]), (&json!("weak"), &json!(true)), "{count}: {line}");
        assert!(line["notes"].to_string().contains("$(workspaces.w.bound) is not known"), "{count}: {line}");
    }
}

/// A run without evidence.
fn unsigned(like: &Value, name: &str, number: usize) -> Value {
    let mut run = like.clone();
    run["metadata"]["name"] = json!(name);
    run["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{number:012}"));
    run["status"] = json!({"conditions": like["status"]["conditions"]});
    run
}

/// Which run is of which task is known by names alone, and what two tasks could have called so contradicts neither.
#[test]
fn honest_names_are_not_invalid() {
    let with_plain_tasks = || {
        let mut ship = Whole::read("ship");
        let scan = named(ship.tasks(), "scan");
        let plain = |number: usize| {
            let mut plain = scan.clone();
            plain.as_object_mut().unwrap().remove("matrix");
            plain["name"] = json!(format!("scan-{number}"));
            plain["params"] =
                json!([{"name": "image", "value": format!("$(tasks.build.results.images[{number}])")}]);
            plain
        };
        let plain = [plain(0), plain(1)];
        scan["when"] =
            json!([{"input": "$(tasks.build.results.meta.branch)", "operator": "in", "values": ["release"]}]);
        named(ship.tasks(), "deploy")["runAfter"] = json!(["scan-0", "scan-1"]);
        ship.tasks().as_array_mut().unwrap().extend(plain);
        ship
    };
    let with_altered_result = || {
        let mut ship = with_plain_tasks();
        ship.results()[0]["value"] = json!("sha256:666");
        ship
    };
    let with_another = || {
        let mut ship = Whole::read("ship");
        let task = json!({"name": "scan-2", "taskSpec": {"steps": [{"name": "s", "image": "x"}]}});
        ship.tasks().as_array_mut().unwrap().push(task);
        let mut run = unsigned(ship.task_run("ship-scan-0"), "ship-scan-2", 2);
        run["spec"].as_object_mut().unwrap().remove("params");
        ship.task_runs.push(run);
        ship
    };
    let with_many = |count: usize| {
        let mut ship = Whole::read("ship");
        let images: Vec<String> = (0..count).map(|i| format!("i{i}")).collect();
        named(ship.tasks(), "scan")["matrix"]["params"][0]["value"] = json!(images);
        let like = ship.task_run("ship-scan-0").clone();
        ship.task_runs.extend((2..count).map(|i| unsigned(&like, &format!("ship-scan-{i}"), i)));
        ship
    };
    let without_the_first = || {
        let mut ship = Whole::read("ship");
        ship.without("ship-scan-0");
        ship
    };
    // Name, what is attested, verdict, a detail, and one that there must not be.
    let cases = [
        ("tasks that are called as a matrix' runs", with_plain_tasks(), "weak", "", "child-name"),
        (
            "the same, and a result that differs",
            with_altered_result(),
            "unchecked",
            "pipeline-result",
            "when",
        ),
        ("a task that is called as a later run", with_another(), "absent", "child-verdict", "matrix"),
        ("more runs than are the default", with_many(300), "absent", "child-verdict", "child-name"),
        ("the first run of a matrix is not there", without_the_first(), "unchecked", "child-name", "matrix"),
    ];
    for (case, ship, verdict, detail, other) in cases {
        let images_differ = case.starts_with("more runs");
        let line = judged(&[ship.attested(PipelineFormat::Tekton)], &ACCEPTING);
        if images_differ {
            assert!(!details(&line).contains(other), "{case}: {line}");
            continue;
        }
        assert_eq!(line["verdict"], json!(verdict), "{case}: {line}");
        assert_eq!(line["accepted"], json!(verdict == "weak"), "{case}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}: {line}");
        assert!(!details(&line).contains(other), "{case}: {line}");
    }
}

/// Attestations that do not say whose they are may be of an earlier run of the same name.
#[test]
fn an_earlier_run_of_the_name_contradicts_nothing() {
    let ship = Whole::read("ship");
    let attested: Vec<Value> = ship.task_runs.iter().map(chains::v2alpha3).collect();
    let names =
        ship.task_runs.iter().flat_map(|run| ["--taskrun", run["metadata"]["name"].as_str().unwrap()]);
    let names: Vec<&str> = ACCEPTING.into_iter().chain(names).collect();
    let mut again = ship.clone();
    again.results()[0]["value"] = json!("sha256:666");
    // As long as it is not later, it may be a forgery, and it may be another run.
    let altered = again.pipeline_run.clone();
    again.pipeline_run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    again.pipeline_run["metadata"]["creationTimestamp"] = json!("2026-11-28T10:07:37Z");
    again.pipeline_run["status"]["startTime"] = json!("2026-11-28T10:07:37Z");
    let cases = [
        ("genuine", ship.attested(PipelineFormat::V2alpha4), "weak", ""),
        ("a later one", again.pipeline_run.clone(), "unchecked", "child-missing"),
        ("a later one, attested", again.attested(PipelineFormat::V2alpha4), "absent", "holds-nothing"),
        ("another result", altered, "unchecked", "pipeline-result"),
    ];
    for (case, pipeline_run, verdict, detail) in cases {
        let line = judged(&[vec![pipeline_run], attested.clone()].concat(), &names);
        assert_eq!(line["verdict"], json!(verdict), "{case}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}: {line}");
        assert!(!details(&line).contains("before-creation"), "{case}: {line}");
    }
    // Two attestations for which one name is stated: one of them is another PipelineRun's.
    let mut other = ship.clone();
    other.pipeline_run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    other.results()[0]["value"] = json!("sha256:666");
    let documents = [vec![other.attested(PipelineFormat::V2alpha3)], attested].concat();
    let line = judged(&documents, &[&names[..], &["--pipelinerun", "ship"]].concat());
    assert_eq!(line["verdict"], json!("unchecked"), "{line}");
}

/// A name that is stated fits those of the TaskRuns, and that none is stated is noted.
#[test]
fn a_stated_name_that_fits_nothing_is_another_run() {
    let mut ship = Whole::read("ship");
    ship.results().clear();
    let statement = ship.attested(PipelineFormat::Deep);
    let judged = |more: &[&str]| judged(std::slice::from_ref(&statement), &[&ACCEPTING[..], more].concat());
    let line = judged(&["--pipelinerun", "ship"]);
    assert_eq!((&line["pipelineRun"], &line["accepted"]), (&json!("default/ship"), &json!(true)), "{line}");
    for more in [&["--pipelinerun", "shipp"][..], &["--pipelinerun", "shipp", "--pipelinerun", "release"]] {
        let line = judged(more);
        assert_eq!(
            (&line["verdict"], details(&line)),
            (&json!("unchecked"), BTreeSet::from(["other-run"])),
            "{more:?}: {line}"
        );
        assert!(line["findings"].to_string().contains("--pipelinerun shipp"), "{more:?}: {line}");
    }
    let line = judged(&[]);
    assert!(line["notes"].to_string().contains("say --pipelinerun NAME"), "{line}");
}

/// A PipelineRun that says that it succeeded, of whose TaskRuns only attestations are there that do not say how they ended.
#[test]
fn that_it_succeeded_is_not_believed_where_outcomes_are_not_carried() {
    let mut ship = Whole::read("ship");
    // The last task was given how another one ended, which is not what this is about.
    for spec in ["/spec/pipelineSpec", "/status/pipelineSpec"] {
        let spec = ship.pipeline_run.pointer_mut(spec).unwrap();
        without_status(&mut named(&mut spec["finally"], "report")["params"]);
    }
    without_status(&mut ship.task_run("ship-report")["spec"]["params"]);
    let attested: Vec<Value> = ship.task_runs.iter().map(chains::v2alpha3_tekton).collect();
    let names =
        ship.task_runs.iter().flat_map(|run| ["--taskrun", run["metadata"]["name"].as_str().unwrap()]);
    let more: Vec<&str> = ACCEPTING.into_iter().chain(names).collect();
    let documents = [vec![ship.pipeline_run.clone()], attested].concat();
    let line = judged(&documents, &more);
    assert_eq!((&line["verdict"], &line["accepted"]), (&json!("weak"), &json!(true)), "{line}");
    assert!(line["notes"].to_string().contains("whether ship-scan-1 succeeded"), "{line}");
    assert_eq!(line.get("failed"), None, "{line}");
    let line = judged(&documents, &["-n", "default"]);
    assert_eq!(line["accepted"], json!(false), "no flag: {line}");
    let line = judged(&documents, &[&more[..], &["--require-success"]].concat());
    assert_eq!((&line["verdict"], details(&line)), (&json!("weak"), BTreeSet::from(["failures"])), "{line}");
    // With the objects it is known.
    let line =
        judged(&[vec![ship.pipeline_run.clone()], ship.task_runs.clone()].concat(), &["--require-success"]);
    assert_eq!((&line["verdict"], &line["failed"]), (&json!("verified"), &json!(false)), "{line}");
}

#[test]
fn a_failure_that_a_step_signed_counts_where_the_condition_is_not_carried() {
    let cluster = Cluster::new("once-only");
    let bundle = file(&cluster.ca.bundle_pem());
    let uid = "00000000-0000-4000-8000-000000000000";
    let more = ["--trust-domain=example.org", "-o", "json", "--taskrun", "once-only", "--bundle"];
    let more = [&["verify", "-"], &ACCEPTING[..], &more, &[bundle.path().to_str().unwrap()]].concat();
    for (script, verdict) in [("printf v >$RESULTS/a", "weak"), ("printf v >$RESULTS/a; exit 3", "invalid")] {
        let mut run = cluster.attempt("once-only-pod", script);
        run["metadata"]["labels"] =
            json!({"tekton.dev/pipelineRunUID": uid, "tekton.dev/pipelineRun": "once"});
        let pipeline = json!({"tasks": [{"name": "only", "taskSpec": run["spec"]["taskSpec"]}]});
        let pipeline_run = json!({
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {
                "name": "once", "namespace": "default", "uid": uid,
                "creationTimestamp": run["metadata"]["creationTimestamp"],
            },
            "spec": {"pipelineSpec": pipeline},
            "status": {
                "conditions": [{"type": "Succeeded", "status": "True"}],
                "pipelineSpec": pipeline,
                "childReferences": [{"kind": "TaskRun", "name": "once-only", "pipelineTaskName": "only"}],
            },
        });
        let ran = svidence(&more, format!("{pipeline_run}\n{}\n", chains::v2alpha3_tekton(&run)));
        let line: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
        assert_eq!(line["verdict"], json!(verdict), "{script}: {line}{}", ran.err);
        assert_eq!(details(&line).contains("succeeded"), verdict == "invalid", "{script}: {line}");
    }
}

fn without_status(params: &mut Value) {
    params.as_array_mut().unwrap().retain(|param| param["name"] != "status");
}

fn named_condition(run: &mut Value) -> &mut Value {
    let conditions = run["status"]["conditions"].as_array_mut().unwrap();
    conditions.iter_mut().find(|condition| condition["type"] == "Succeeded").unwrap()
}

#[test]
fn commands_about_taskruns_take_those_in_it() {
    let ship = Whole::read("ship");
    let ran = svidence(&["inspect", "-", "-o", "json"], ship.attested(PipelineFormat::Tekton).to_string());
    assert_eq!((ran.code, ran.out.lines().count()), (0, ship.task_runs.len()), "{}{}", ran.out, ran.err);
}

/// Every attestation of a PipelineRun that a real Chains made, by the run that it is about.
#[test]
fn real_attestations_are_judged_as_far_as_they_go() {
    let bundle = folder("chains/real/bundle.pem");
    let of_runs = folder("chains/constructed/bundle.pem");
    let cases: &[(&str, &str, &str, &str, &[&str])] = &[
        ("real/pipe-v2alpha4", &bundle, "2026-11-22T07:00:10Z", "absent", &["holds-nothing"]),
        // The TaskRun in it has only Tekton's own evidence, which is verified in messages that this format does not carry.
        ("real/pipe-v2alpha4-deep", &bundle, "2026-11-22T07:00:10Z", "absent", &["child-verdict", "partial"]),
        ("constructed/pipe-v2alpha4-tekton", &of_runs, "2026-11-22T06:41:30Z", "weak", &["partial"]),
    ];
    for (name, bundle, at, verdict, expected) in cases {
        let key = folder(&format!("chains/{}/key.pub", name.split('/').next().unwrap()));
        let trust =
            ["--trust-domain=example.org", "--bundle", bundle, "--at", at, "--chains-key", &key, "-n", "ci"];
        let envelope = fs::read_to_string(folder(&format!("chains/{name}/envelope.json"))).unwrap();
        let ran = svidence(
            &[&["verify", "-", "-o", "json", "--accept", "tep-0089"], &trust[..]].concat(),
            &envelope,
        );
        let line: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&line["pipelineRun"], &line["verdict"]),
            (&json!("ci/pipe"), &json!(verdict)),
            "{name}: {line}"
        );
        assert_eq!(details(&line), expected.iter().copied().collect(), "{name}: {line}");
    }
    // The model that the other tests use makes what the real Chains made.
    for (name, format) in
        [("pipe-v2alpha4", PipelineFormat::V2alpha4), ("pipe-v2alpha4-deep", PipelineFormat::Deep)]
    {
        let run = json_of(&format!("chains/real/{name}/run.json"));
        let predicate = json_of(&format!("chains/real/{name}/payload.json"))["predicate"].take();
        let model = chains::by_products_of_pipeline_run(format, &run, &[]);
        let by_products = predicate["runDetails"]["byproducts"].as_array().unwrap();
        assert_eq!(by_products[..model.len()], model, "{name}");
        assert_eq!(predicate["buildDefinition"]["externalParameters"]["runSpec"], run["spec"], "{name}");
        assert_eq!(predicate["runDetails"]["metadata"]["invocationId"], run["metadata"]["uid"], "{name}");
        assert_eq!(predicate["runDetails"]["metadata"]["startedOn"], run["status"]["startTime"], "{name}");
        assert!(Path::new(&folder(&format!("chains/real/{name}/envelope.json"))).exists());
    }
}
