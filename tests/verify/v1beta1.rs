//! What Tekton's own conversion makes of a run of v1 for whoever asks for v1beta1 is judged like the run itself.

use serde_json::Value;

use crate::{
    pipelines::{FORGERIES, Whole, details, read, try_judged},
    support::{command::svidence, fleet::Fleet, peers, readers::Reader},
};

/// Each object as it is in v1beta1, in the same order.
fn converted(tekton: &mut Reader, objects: &[Value]) -> Vec<Value> {
    let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
    let made: Vec<Value> =
        tekton.answers("v1beta1", &texts).into_iter().map(|object| object.unwrap()).collect();
    assert!(made.iter().all(|object| object["apiVersion"] == "tekton.dev/v1beta1"));
    made
}

fn whole(tekton: &mut Reader, whole: &Whole) -> Whole {
    let objects: Vec<Value> = std::iter::once(&whole.pipeline_run).chain(&whole.task_runs).cloned().collect();
    let mut made = converted(tekton, &objects).into_iter();
    Whole { pipeline_run: made.next().unwrap(), task_runs: made.collect() }
}

/// Forgeries that the conversion itself undoes, as v1beta1 has no field for what they add.
const LOST: &[&str] = &["a child of a pipeline in the pipeline is a TaskRun"];

/// Verdict, and code, step and result of each finding.
fn told(line: &Value) -> (String, Vec<String>) {
    let of = |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    let members = ["code", "detail", "step", "result"];
    let mut findings: Vec<String> = line["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| members.map(|member| of(finding, member)).join(" "))
        .collect();
    findings.sort();
    (line["verdict"].as_str().unwrap().to_owned(), findings)
}

#[test]
fn taskruns_that_tekton_converts_are_judged_alike() {
    let Some(reader) = peers::require("tekton-reader") else { return };
    let mut tekton = Reader::go(&reader);
    let fleet = Fleet::new();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    std::fs::write(&bundle, fleet.ca.bundle_pem()).unwrap();
    let trust =
        ["verify", "-", "--trust-domain=example.org", "-o", "json", "--bundle", bundle.to_str().unwrap()];
    let report = |objects: &[Value]| -> Vec<Value> {
        let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let ran = svidence(&trust, lines);
        let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<Value> = lines.into_iter().filter(|line| line["place"].is_object()).collect();
        assert_eq!(lines.len(), objects.len(), "{}{}", ran.out, ran.err);
        lines
    };
    let mut objects: Vec<Value> = fleet.runs.iter().map(|run| run.object.clone()).collect();
    // And one result of each changed.
    for run in &fleet.runs {
        let mut forged = run.object.clone();
        if let Some(result) = forged["status"]["results"].get_mut(0) {
            result["value"] = "forged".into();
            objects.push(forged);
        }
    }
    let (as_is, made) = (report(&objects), report(&converted(&mut tekton, &objects)));
    for (number, (line, made)) in as_is.iter().zip(&made).enumerate() {
        let label = fleet.runs.get(number).map_or("a forged one", |run| run.label);
        assert_eq!(told(made), told(line), "{label}: {:#}", objects[number]);
    }
    for verdict in ["verified", "invalid"] {
        assert!(as_is.iter().any(|line| line["verdict"] == verdict), "nothing is {verdict}");
    }
}

#[test]
fn pipelineruns_that_tekton_converts_are_judged_alike() {
    let Some(reader) = peers::require("tekton-reader") else { return };
    let mut tekton = Reader::go(&reader);
    let mut cases = vec![("as it is", read("ship")), ("with failed results", read("failed-results"))];
    for (case, change, ..) in FORGERIES {
        let mut forged = read("ship");
        change(&mut forged);
        cases.push((case, forged));
    }
    let (mut alike, mut failures) = (0, Vec::new());
    for (case, as_is) in cases {
        let line = try_judged(&as_is, &[]).unwrap();
        let told = format!("{} {:?}", line["verdict"], details(&line));
        let made = match try_judged(&whole(&mut tekton, &as_is), &[]) {
            Ok(made) => format!("{} {:?}", made["verdict"], details(&made)),
            // It has no field for them.
            Err(said) if said.contains("the conversion to v1beta1 leaves pipelines in pipelines out") => {
                continue;
            }
            Err(said) => said,
        };
        match told == made {
            true => alike += 1,
            false if LOST.contains(&case) => {}
            false => failures.push(format!("{case}: {told} in v1, {made} in v1beta1")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(alike > FORGERIES.len() / 2, "only {alike} are judged alike");
}
