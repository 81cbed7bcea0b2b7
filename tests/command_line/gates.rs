//! The gates to paste into a CI system: what their scripts do with good runs and forged ones, and with arguments that look like a script.

use crate::support;

use std::{collections::HashMap, fs, path::Path, process::Command};

use serde_json::Value;
use support::command::path;

/// The file of a gate, read.
fn gate(name: &str) -> Value {
    let path = format!("{}/config/gates/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::to_value(serde_saphyr::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap())
        .unwrap()
}

struct Ran {
    code: i32,
    shown: String,
}

/// Runs a script as the CI system does, in a folder, with these variables.
fn run(shell: &[&str], script: &str, folder: &Path, variables: &HashMap<String, String>) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_svidence")).parent().unwrap().display().to_string();
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg(script)
        .current_dir(folder)
        .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()))
        .envs(variables)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    Ran { code: output.status.code().unwrap(), shown: text }
}

/// What is verified, whether the gate is strict, the exit code, and the verdict in its summary; `None`: there is no summary.
type Row = (&'static str, fn() -> String, &'static str, i32, Option<&'static str>);

const ROWS: &[Row] = &[
    ("genuine", || path("taskrun.json"), "true", 0, Some("verified")),
    (
        "a demand",
        || format!("{}\n--require-result=digest\n", path("taskrun.json")),
        "true",
        0,
        Some("verified"),
    ),
    (
        "a demand that is not met",
        || format!("{}\n--require-result=x", path("taskrun.json")),
        "true",
        2,
        Some("absent"),
    ),
    ("forged", || path("altered-1.json"), "true", 1, Some("invalid")),
    ("forged, and not strict", || path("altered-1.json"), "false", 0, Some("invalid")),
    ("not there, and not strict", || "/nonexistent.json".to_owned(), "false", 3, Some("unchecked")),
    ("no arguments", String::new, "true", 64, None),
    ("an unknown argument, and not strict", || "--unknown".to_owned(), "false", 64, None),
    ("a script", || "$(touch made); touch made #\n`touch made`".to_owned(), "true", 3, Some("unchecked")),
];

#[test]
fn github_action() {
    let action = gate("github/action.yml");
    let step = &action["runs"]["steps"][0];
    let script = step["run"].as_str().unwrap();
    assert!(!script.contains("${{"), "an input would be text of the script");
    for (case, arguments, strict, code, verdict) in ROWS {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let inputs: HashMap<&str, String> = HashMap::from([
            ("arguments", arguments()),
            ("trust-domain", "example.org".to_owned()),
            ("bundle", path("bundle.pem")),
            ("strict", (*strict).to_owned()),
            ("svidence", action["inputs"]["svidence"]["default"].as_str().unwrap().to_owned()),
        ]);
        let declared: Vec<&str> = action["inputs"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(inputs.len() == declared.len() && declared.iter().all(|name| inputs.contains_key(name)));
        let mut variables: HashMap<String, String> = step["env"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let input =
                    value.as_str().unwrap().strip_prefix("${{ inputs.").unwrap().strip_suffix(" }}").unwrap();
                (name.clone(), inputs[input].clone())
            })
            .collect();
        for name in ["RUNNER_TEMP", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"] {
            variables.insert(name.to_owned(), if name == "RUNNER_TEMP" { at("") } else { at(name) });
        }
        let ran = run(
            &["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"],
            script,
            folder.path(),
            &variables,
        );
        assert_eq!(ran.code, *code, "{case}: {}", ran.shown);
        assert!(!folder.path().join("made").exists(), "{case}");
        let outputs = fs::read_to_string(at("GITHUB_OUTPUT")).unwrap();
        let output = |name: &str| outputs.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        let summary = output("summary").map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = summary.as_ref().map(|summary| summary["verdict"].as_str().unwrap());
        assert_eq!(found, *verdict, "{case}: {outputs}");
        if verdict.is_some() {
            let table = fs::read_to_string(at("GITHUB_STEP_SUMMARY")).unwrap();
            assert!(table.contains("| Verdict | TaskRun |"), "{case}: {table}");
            for file in ["svidence.jsonl", "svidence.sarif", "svidence.html"] {
                let file = Path::new(output("report").unwrap()).join(file);
                assert!(file.metadata().unwrap().len() > 0, "{case}: {}", file.display());
            }
        }
    }
    for name in action["outputs"].as_object().unwrap().values() {
        let value = name["value"].as_str().unwrap();
        assert!(
            value == "${{ steps.verify.outputs.summary }}" || value == "${{ steps.verify.outputs.report }}",
            "{value}"
        );
    }
}

#[test]
fn gitlab_job() {
    let file = gate("gitlab/svidence.yml");
    let job = &file[".svidence-verify"];
    let script = job["script"][0].as_str().unwrap();
    for (case, arguments, strict, code, verdict) in ROWS {
        let folder = tempfile::tempdir().unwrap();
        let mut variables: HashMap<String, String> = job["variables"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        for (name, value) in [
            ("SVIDENCE_ARGUMENTS", arguments()),
            ("SVIDENCE_TRUST_DOMAIN", "example.org".to_owned()),
            ("SVIDENCE_BUNDLE", path("bundle.pem")),
            ("SVIDENCE_STRICT", (*strict).to_owned()),
        ] {
            variables
                .insert(name.to_owned(), value)
                .unwrap_or_else(|| panic!("{name} is not a variable of the job"));
        }
        let ran = run(&["sh", "-ec"], script, folder.path(), &variables);
        assert_eq!(ran.code, *code, "{case}: {}", ran.shown);
        assert!(!folder.path().join("made").exists(), "{case}");
        let kept = job["artifacts"]["paths"]
            .as_array()
            .unwrap()
            .iter()
            .chain([&job["artifacts"]["reports"]["junit"]]);
        for file in kept {
            let file = folder.path().join(file.as_str().unwrap());
            assert_eq!(file.exists(), verdict.is_some(), "{case}: {}", file.display());
        }
        if let Some(verdict) = verdict {
            let summary = fs::read_to_string(folder.path().join("svidence-summary.json")).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&summary).unwrap()["verdict"], *verdict, "{case}");
        }
    }
}
