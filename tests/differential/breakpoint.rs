//! The breakpoint on failure (docs/tekton-contract.md 3.9).

use crate::case::{Case, Stderr, case, shell, soon};

const EXIT: &str = "run/0/out.breakpointexit";

pub(crate) fn cases() -> Vec<Case> {
    let halted = |name: &str, script: &str, more: &[&str]| {
        shell(name, script, &[&["-breakpoint_on_failure"], more].concat())
    };
    let mut cases: Vec<Case> = [
        ("0", "exit 0"),
        ("0\n", "exit 0"),
        ("1\n", "exit 1"),
        ("+5", "exit 5"),
        ("256", "exit 0"),
        ("300", "exit 44"),
        ("-1", "exit 255"),
        ("99999999999999999999", "exit 255"),
        ("-99999999999999999999", "exit 0"),
        ("0x10", "exit 0"),
        ("1_0", "exit 0"),
        ("2\n\n", "exit 0"),
        (" 2", "exit 0"),
        ("2\r\n", "exit 0"),
        ("", "exit 0"),
        ("\n", "exit 0"),
        ("two", "exit 0"),
    ]
    .into_iter()
    .map(|(content, status)| {
        halted(&format!("breakpoint: ended with {content:?}"), "exit 3", &[])
            .file(EXIT, content)
            .shows(status)
    })
    .collect();
    cases.extend([
        halted("breakpoint: the error file", "exit 3", &[])
            .file("run/0/out.breakpointexit.err", "1")
            .shows("exit 0"),
        halted("breakpoint: a directory", "exit 3", &[])
            .prepare(|pod| std::fs::create_dir(pod.path(EXIT)).unwrap())
            .stderr(Stderr::Names("error occurred while reading breakpoint exit code"))
            .shows("exit 0"),
        halted("breakpoint: continue", "exit 3", &["-on_error=continue"]).file(EXIT, "6").shows("exit 6"),
        halted("breakpoint: killed", "kill -KILL $$", &[]).file(EXIT, "6").shows("exit 6"),
        halted("breakpoint: success", "true", &[]).file(EXIT, "6").shows("exit 0"),
        halted("breakpoint: timeout", "exec sleep 10", &["-timeout=100ms"])
            .file(EXIT, "6")
            .shows("TimeoutExceeded"),
        halted("breakpoint: cancelled", "exec sleep 10", &[])
            .file(EXIT, "6")
            .file("downward/cancel", "x")
            .shows("exit 9"),
        halted("breakpoint: negative timeout", "true", &["-timeout=-1s"]).file(EXIT, "6").shows("exit 6"),
        halted("breakpoint: results are read", "printf v >/tekton/results/foo; exit 3", &["-results=foo"])
            .file(EXIT, "6")
            .shows(r#"{\"key\":\"foo\",\"value\":\"v\",\"type\":1}"#),
        halted("breakpoint: an earlier step failed", "echo runs", &["-wait_file=/tekton/run/1/out"])
            .file("run/1/out.err", "")
            .shows("runs"),
        halted("breakpoint: waiting goes wrong", "echo runs", &["-wait_file=/tekton/termination/x"])
            .file(EXIT, "6")
            .shows("exit 6"),
        halted("breakpoint: when is false", "exit 3", &[r#"-when_expressions=[{"cel":"false"}]"#])
            .file(EXIT, "6")
            .shows("Skipped"),
        halted("breakpoint: CEL that does not compile", "true", &[r#"-when_expressions=[{"cel":"1 +"}]"#])
            .file(EXIT, "6")
            .shows("exit 6"),
        case("breakpoint: not found", &["-breakpoint_on_failure", "-entrypoint", "/no/such"])
            .file(EXIT, "6")
            .shows("exit 6"),
        halted("breakpoint: too large a result", "exit 3", &["-results=foo"])
            .file(EXIT, "6")
            .file("results/foo", "a".repeat(5000))
            .shows("above max allowed size"),
        halted("breakpoint: a result that cannot be read", "exit 3", &["-results=foo"])
            .file(EXIT, "6")
            .prepare(|pod| std::fs::create_dir(pod.path("results/foo")).unwrap()),
        halted("breakpoint: no post file", "exit 3", &["-post_file="])
            .file(".breakpointexit", "6")
            .shows("exit 6"),
        halted("breakpoint: ended later", "touch /tekton/ran; exit 3", &[])
            .act(|pod, _| {
                soon(|| pod.path("ran").exists());
                pod.write(EXIT, "6\n");
            })
            .shows("exit 6"),
    ]);
    cases
}
