//! When expressions (docs/tekton-contract.md 3.6). `testdata/cel-vectors.tsv` goes through CEL itself; here stands what a step
//! makes of it.

use crate::case::{Case, Stderr, case, shell};

/// Whether the command runs.
const RUNS: &str = "the command runs";
const SKIPPED: &str = "Skipped";
/// Neither: the step fails.
const ERROR: &str = "Error executing command";

pub(crate) fn cases() -> Vec<Case> {
    let when = |json: &str, more: &[&str]| {
        let flags = [&["--when_expressions", json], more].concat();
        shell(&format!("when {json}{}", more.join(" ")), "echo the command runs", &flags)
    };
    let mut cases: Vec<Case> = [
        ("", RUNS),
        ("[]", RUNS),
        ("null", RUNS),
        ("[null]", RUNS),
        ("[{}]", RUNS),
        (r#"[{"input":"a","operator":"in","values":["b","a"]}]"#, RUNS),
        (r#"[{"input":"a","operator":"in","values":["b"]}]"#, SKIPPED),
        (r#"[{"input":"a","operator":"in"}]"#, SKIPPED),
        (r#"[{"input":"","operator":"in","values":[null]}]"#, RUNS),
        (r#"[{"input":"a","operator":"notin","values":["b"]}]"#, RUNS),
        (r#"[{"input":"a","operator":"notin","values":["a"]}]"#, SKIPPED),
        (r#"[{"input":"a","operator":"IN","values":["a"]}]"#, SKIPPED),
        (r#"[{"input":"a","values":["a"]}]"#, SKIPPED),
        (r#"[{"INPUT":"a","Operator":"in","vaLues":["a"],"unknown":[1]}]"#, RUNS),
        (r#"[{"input":"a","input":"b","operator":"in","values":["b"]}]"#, RUNS),
        (
            r#"[{"input":"a","operator":"in","values":["a"]},{"input":"b","operator":"in","values":["a"]}]"#,
            SKIPPED,
        ),
        (r#"[{"cel":"true"}]"#, RUNS),
        (r#"[{"cel":"false"}]"#, SKIPPED),
        (r#"[{"cel":"'a' in ['a','b'] && size('äö') == 2"}]"#, RUNS),
        (r#"[{"cel":"'v1.2'.matches('^v[0-9]+')"}]"#, RUNS),
        (r#"[{"cel":"1 +"}]"#, ERROR),
        (r#"[{"cel":"1 == 1.0"}]"#, ERROR),
        (r#"[{"cel":"dyn(1) == 'x'"}]"#, SKIPPED),
        (r#"[{"cel":"'text'"}]"#, ERROR),
        (r#"[{"cel":"nothing"}]"#, ERROR),
        (r#"[{"cel":"1 / 0 == 1"}]"#, ERROR),
        (r#"[{"cel":" "}]"#, ERROR),
        (r#"[{"cel":"false"},{"cel":"1 +"}]"#, SKIPPED),
        (r#"[{"cel":"1 +"},{"cel":"false"}]"#, ERROR),
        (r#"[{"input":"a","operator":"in","values":["b"]},{"cel":"1 +"}]"#, ERROR),
        (r#"[{"cel":"true","input":"a","operator":"in","values":["b"]}]"#, SKIPPED),
        (r#"[{"cel":"true"},{"cel":"true"}]"#, RUNS),
    ]
    .into_iter()
    // What a compiler says is its own; which step fails of it is not.
    .map(|(json, outcome)| match outcome {
        ERROR => when(json, &[]).shows("exit 1").stderr(Stderr::Names(ERROR)),
        _ => when(json, &[]).shows(outcome),
    })
    .collect();
    let invalid =
        |json: &str, cause: &'static str| when(json, &[]).shows("exit 1").stderr(Stderr::Names(cause));
    cases.extend([
        invalid("[", "unexpected end of JSON input"),
        invalid("[] x", "invalid character 'x' after top-level value"),
        invalid("{}", "cannot unmarshal object"),
        invalid(r#"[{"input":1}]"#, "cannot unmarshal number"),
        invalid(r#"[{"values":"a"}]"#, "cannot unmarshal string"),
        when(r#"[{"cel":"1 +"}]"#, &["-on_error=continue"]).shows("exit 1").stderr(Stderr::Names(ERROR)),
        when(r#"[{"cel":"false"}]"#, &["-on_error=continue"]).shows(SKIPPED),
        when(r#"[{"cel":"false"}]"#, &["-timeout=-1s"]).shows("negative timeout"),
        when(r#"[{"cel":"false"}]"#, &["-wait_file=/tekton/run/1/out"])
            .file("run/1/out.err", "")
            .shows("exit 1"),
        when(r#"[{"cel":"false"}]"#, &["-results=foo", "-step_results=bar"])
            .file("results/foo", "not read")
            .file("run/0/status/results/bar", "not read")
            .file("artifacts/provenance.json", "{}")
            .shows(SKIPPED),
        when(r#"[{"cel":"false"}]"#, &["-stdout_path=/tekton/log"]).shows(SKIPPED),
        case(
            "when is false, and the command does not exist",
            &[r#"-when_expressions=[{"cel":"false"}]"#, "-entrypoint=/no/such"],
        )
        .shows(SKIPPED),
        shell("when is false, and another step follows", "true", &[r#"-when_expressions=[{"cel":"false"}]"#])
            .then("cat /tekton/run/0/status/exitCode; echo second", &[])
            .shows("0second"),
        when(r#"[{"input":"$(steps.prior.results.a)","operator":"in","values":["v"]}]"#, &[])
            .result("a", "v")
            .shows(RUNS),
        when(r#"[{"input":"b","operator":"in","values":["a","$(steps.prior.results.l[*])"]}]"#, &[])
            .result("l", r#"["b","c"]"#)
            .shows(RUNS),
        when(r#"[{"input":"","operator":"in","values":["$(steps.prior.results.l[*])"]}]"#, &[])
            .result("l", "[]"),
        when(r#"[{"input":"xb","operator":"in","values":["x$(steps.prior.results.l[*])"]}]"#, &[])
            .result("l", r#"["b"]"#),
        when(r#"[{"cel":"'$(steps.prior.results.a)' == 'v'"}]"#, &[]).result("a", "v").shows(RUNS),
        when(r#"[{"cel":"'$(steps.prior.results.a)' == 'v'"}]"#, &["-on_error=garbage"])
            .result("a", "' + '")
            .shows(SKIPPED),
        when(r#"[{"cel":"'$(steps.prior.results.l[*])' == ''"}]"#, &[]).result("l", r#"["b"]"#).shows(RUNS),
        when(r#"[{"cel":"'$(steps.prior.results.none)' == 'v'"}]"#, &[]).prior().shows(SKIPPED),
    ]);
    cases
}
