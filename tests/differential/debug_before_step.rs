//! The pause before the command (docs/tekton-contract.md 3.3).

use crate::case::{Case, case, shell, soon};

const GO_ON: &str = "run/0/out.beforestepexit";
const SKIP: &str = "run/0/out.beforestepexit.err";

pub(crate) fn cases() -> Vec<Case> {
    let paused = |name: &str, more: &[&str]| {
        shell(name, "echo runs; exit 4", &[&["-debug_before_step"], more].concat())
    };
    vec![
        paused("pause: go on", &[]).file(GO_ON, "").shows("runs"),
        paused("pause: skip", &[]).file(SKIP, "").shows("before step breakpoint fail-continue"),
        paused("pause: skip, with results", &["-results=foo"])
            .file(SKIP, "")
            .file("results/foo", "read")
            .shows("read"),
        paused("pause: skip, continue", &["-on_error=continue"]).file(SKIP, ""),
        paused("pause: both files", &[]).file(GO_ON, "").file(SKIP, "").shows("runs"),
        paused("pause: go on, continue", &["-on_error=continue"]).file(GO_ON, "").shows("ExitCode"),
        paused("pause: a breakpoint on failure does not let a skip pass", &["-breakpoint_on_failure"])
            .file(SKIP, ""),
        paused("pause: both breakpoints", &["-breakpoint_on_failure"])
            .file(GO_ON, "")
            .file("run/0/out.breakpointexit", "7")
            .shows("exit 7"),
        paused("pause: a negative timeout replaces the skip", &["-timeout=-1s"])
            .file(SKIP, "")
            .shows("negative timeout"),
        paused("pause: a negative timeout", &["-timeout=-1s"]).file(GO_ON, "").shows("negative timeout"),
        paused("pause: when is false", &[r#"-when_expressions=[{"cel":"false"}]"#])
            .file(GO_ON, "")
            .shows("Skipped"),
        paused("pause: not reached", &["-wait_file=/tekton/run/1/out"])
            .file("run/1/out.err", "")
            .shows("Skipped"),
        paused("pause: the file is a directory", &[])
            .prepare(|pod| std::fs::create_dir(pod.path(GO_ON)).unwrap())
            .shows("runs"),
        paused("pause: the post file is below a file", &["-post_file=/tekton/termination/x"])
            .shows("not a directory"),
        paused("pause: no post file", &["-post_file="]).file(".beforestepexit", "").shows("runs"),
        paused("pause: ended later", &[])
            .act(|pod, _| {
                soon(|| pod.path("run/0/status/artifacts").exists());
                pod.write(GO_ON, "");
            })
            .shows("runs"),
        case("pause: nothing to find", &["-debug_before_step", "-entrypoint", "/no/such"]).file(GO_ON, ""),
    ]
}
