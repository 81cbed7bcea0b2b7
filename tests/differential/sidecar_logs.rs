//! `-result_from` (docs/tekton-contract.md 3.10, 3.11).

use crate::case::{Case, Stderr, shell};

pub(crate) fn cases() -> Vec<Case> {
    let set = "cd /tekton; printf a >results/foo; printf c >run/0/status/results/baz; printf '{}' >artifacts/provenance.json";
    let both = ["-results=foo,bar", "-step_results=baz"];
    let from = |name: &str, from: &str, script: &str, more: &[&str]| {
        shell(&format!("result_from: {name}"), script, &[&["-result_from", from], &both[..], more].concat())
    };
    vec![
        from("sidecar-logs", "sidecar-logs", set, &[]).shows("exit 0"),
        from("termination-message", "termination-message", set, &[]).shows(r#"\"type\":4"#),
        from("garbage", "Termination-Message", set, &[]).shows("exit 0"),
        from("nothing", "", set, &[]).shows("exit 0"),
        from("sidecar-logs, failure", "sidecar-logs", "exit 3", &[]),
        from("sidecar-logs, continue", "sidecar-logs", "exit 3", &["-on_error=continue"]).shows("ExitCode"),
        from("sidecar-logs, timeout", "sidecar-logs", "exec sleep 10", &["-timeout=200ms"])
            .shows("TimeoutExceeded"),
        from("sidecar-logs, much", "sidecar-logs", "head -c 99999 /dev/zero >/tekton/results/foo", &[])
            .shows("exit 0"),
        from("sidecar-logs, a result is a directory", "sidecar-logs", "mkdir /tekton/results/foo", &[])
            .stderr(Stderr::Names("is a directory")),
        from(
            "sidecar-logs, an artifact is a directory",
            "sidecar-logs",
            "mkdir /tekton/artifacts/provenance.json",
            &[],
        )
        .shows("exit 0"),
        from("sidecar-logs, when is false", "sidecar-logs", set, &[r#"-when_expressions=[{"cel":"false"}]"#])
            .shows("Skipped"),
        from("sidecar-logs, compressed", "sidecar-logs", set, &["-compress_termination_message"]),
    ]
}
