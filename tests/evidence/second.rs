//! docs/evidence.md suffices to read evidence: `tests/second/evidence.py`, which was made of it alone, agrees with svidence about
//! signatures and programs.

use crate::support;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use support::signed::{Cluster, judge, reasons, trust};
use svidence::{standin::taskrun::assemble, verify::Verdict};

/// What it says of each step, or why it refuses the object.
fn second(run: &Value, bundle: &str) -> Result<Vec<Value>, String> {
    let folder = tempfile::tempdir().unwrap();
    let (file, authorities) = (folder.path().join("run.json"), folder.path().join("bundle.pem"));
    fs::write(&file, run.to_string()).unwrap();
    fs::write(&authorities, bundle).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second/evidence.py");
    let Output { status, stdout, stderr } =
        Command::new("python3").args([&script, &file, &authorities]).arg("example.org").output().unwrap();
    if !status.success() {
        return Err(String::from_utf8_lossy(&stderr).into_owned());
    }
    Ok(String::from_utf8(stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn a_second_implementation_agrees() {
    let cluster = Cluster::new("second");
    let bundle = cluster.ca.bundle_pem();
    let scripts = ["printf v >$RESULTS/a; printf '[\"x\"]' >$RESULTS/b", "printf w >$RESULTS/a"];
    for (form, containers) in [("both", "1"), ("attestation", "1"), ("attestation", "13")] {
        let case = format!("{form}, {containers} containers");
        let pod =
            cluster.pod(&["one", "two"], &[("svidence-evidence", form), ("svidence-containers", containers)]);
        let run = |i: usize| {
            let step = pod.step(i).signed(&cluster.agent.address()).results(&["a", "b"]);
            step.flags(&["-on_error", "continue", "-timeout", "1m30s"]).script(scripts[i]).run().report
        };
        let reports = [run(0), run(1)];
        let step = |name: &str, script: &str| {
            json!({
                "name": name, "image": "i", "command": ["sh", "-c"], "args": [script], "onError": "continue",
                "timeout": "1m30s",
            })
        };
        let task = json!({
            "results": [{"name": "a", "type": "string"}, {"name": "b", "type": "array"}],
            "steps": [step("one", scripts[0]), step("two", scripts[1])],
        });
        let object = assemble(&cluster.spec(task), &reports);
        let report = judge(&object, &trust(&bundle));
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        let ours: Vec<Value> = report
            .proof
            .iter()
            .flat_map(|proof| proof.basis.steps())
            .map(|step| json!({"step": step.name, "signature": true, "program": step.program.as_str()}))
            .collect();
        assert_eq!(second(&object, &bundle).unwrap(), ours, "{case}");

        let mut forged = object.clone();
        forged["status"]["taskSpec"]["steps"][0]["timeout"] = json!("1m31s");
        let said = second(&forged, &bundle).unwrap();
        assert_eq!(said[0]["program"], "contradicted", "{case}");
        let mut forged = object.clone();
        forged["status"]["steps"][1]["name"] = json!("one");
        assert!(second(&forged, &bundle).is_err(), "{case}");
    }
}
