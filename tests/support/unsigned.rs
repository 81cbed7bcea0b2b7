//! A step that is not signed, and whether its cause is told wherever somebody may look.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use svidence::verify::Verdict;
use time::OffsetDateTime;

use super::{
    pod::{Pod, StepOutcome},
    signed::{entry, file, judge, reasons, task_run, trust},
};

/// UID of the TaskRun.
pub const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";
/// `unsigned: `, and the most that may follow.
const LONGEST: usize = 10 + 400;

/// The pod of TaskRun `cause`, whose step `build` asks at this socket, with more of the operator's settings.
pub fn pod(socket: &str, settings: &[(&str, &str)]) -> Pod {
    let pod = Pod::new("cause", &["build"]);
    let mut configuration = json!({
        "spire-trust-domain": "example.org",
        "spire-socket-path": socket,
        "svidence-signing-timeout": "3s",
        "svidence-signing-failure": "report",
    });
    for (key, value) in settings {
        configuration[*key] = json!(value);
    }
    pod.write("tekton/bin/svidence.json", &configuration.to_string());
    pod
}

/// The step of [`pod`], with this result.
pub fn step(socket: &str, settings: &[(&str, &str)], result: &str) -> StepOutcome {
    step_by(&[], &pod(socket, settings), socket, result)
}

/// The step of this [`pod`], run by these words: a program that runs what its arguments say.
pub fn step_by(words: &[&str], pod: &Pod, socket: &str, result: &str) -> StepOutcome {
    let script = format!("printf %s '{result}' >$RESULTS/digest");
    let step = pod.step(0).signed(socket).results(&["digest"]).script(&script);
    let started = OffsetDateTime::now_utc();
    let outcome = step.outcome(by(words, step.command()).output().unwrap(), started);
    assert_eq!(entry(outcome.message(), "digest").as_deref(), Some(result), "results are never lost");
    outcome
}

/// The command that these words run.
pub fn by(words: &[&str], command: Command) -> Command {
    let Some((first, words)) = words.split_first() else { return command };
    let mut by = Command::new(first);
    by.args(words).arg(command.get_program()).args(command.get_args());
    by.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    by
}

/// What is said everywhere, and that the manual has a row for it.
#[track_caller]
pub fn assert_told(case: &str, outcome: &StepOutcome, expected: &str, bundle_pem: &str) {
    let log = outcome.stderr();
    let said = log.find("the step is not signed: ").unwrap_or_else(|| panic!("{case}: {log}"));
    assert!(log[said..].contains(expected), "{case}: no {expected:?} in {log}");
    for end in ["the command succeeded", "svidence-signing-failure is report", "this can be mended by"] {
        assert!(log[said..].contains(end), "{case}: no {end:?} in {log}");
    }
    let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
    assert!(value.starts_with("unsigned: ") && value.len() <= LONGEST, "{case}: {value}");
    assert!(value.contains(expected), "{case}: no {expected:?} in {value}");
    let now = OffsetDateTime::now_utc();
    let object = task_run("cause", UID, &[("digest", "string")], std::slice::from_ref(&outcome.report), now);
    let report = judge(&object, &trust(bundle_pem));
    assert_eq!(report.verdict, Verdict::Absent, "{case}");
    assert!(reasons(&report).contains(expected), "{case}: {}", reasons(&report));
    let object = file(&object.to_string());
    for format in [&["--output", "text"][..], &["--output", "json"]] {
        let mut inspect = Command::new(env!("CARGO_BIN_EXE_svidence"));
        let output = inspect.arg("inspect").arg(object.path()).args(format).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(expected), "{case}, {format:?}: {text}");
    }
    assert!(rows().contains(&expected.to_owned()), "{case}: docs/operations.md has no row for {expected:?}");
}

/// What the log says, by the rows of the manual's table.
pub fn rows() -> Vec<String> {
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let section = manual.split_once("\n## My step is not signed\n").unwrap().1;
    let table = section.split_once("\n|---|---|\n").unwrap().1.split_once("\n\n").unwrap().0;
    let said = table.lines().map(|row| row.split(" | ").next().unwrap());
    said.flat_map(|said| said.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}
