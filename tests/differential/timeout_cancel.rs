//! Timeout and cancellation (docs/tekton-contract.md 3.7.1, 3.7.2, 3.7.5).

use crate::{
    case::{Case, case, probe, shell, soon},
    support::step::Pod,
};

fn cancel(pod: &Pod) {
    soon(|| pod.path("ready").exists());
    pod.write("downward/cancel", "cancel");
}

pub(crate) fn cases() -> Vec<Case> {
    let sleeps = |name: &str, flags: &[&str]| shell(name, ": >/tekton/ready; exec sleep 10", flags);
    vec![
        shell("timeout", "exec sleep 10", &["-timeout", "100ms"]).shows("TimeoutExceeded"),
        shell("timeout, continue", "exec sleep 10", &["-timeout", "100ms", "-on_error", "continue"]),
        shell("timeout of a fraction", "exec sleep 10", &["-timeout", "0.1s"]).shows("TimeoutExceeded"),
        shell("timeout of a nanosecond", "exec sleep 10", &["-timeout", "1ns"]).shows("TimeoutExceeded"),
        shell("timeout, TERM is not sent", "trap 'echo never' TERM; exec sleep 10", &["-timeout", "200ms"]),
        shell("timeout that is not reached", "exit 3", &["-timeout", "1h"]).shows("exit 3"),
        shell("timeout, a child goes on", "(sleep 2; : >/tekton/late) & exec sleep 10", &["-timeout", "1s"])
            .shows("tekton/late"),
        shell(
            "timeout, copies are waited for",
            "(sleep 2; echo late) & exec sleep 10",
            &["-timeout=1s", "-stdout_path=/tekton/log"],
        )
        .shows("late"),
        shell(
            "timeout, with results",
            "printf a >/tekton/results/foo; exec sleep 10",
            &["-timeout=1500ms", "-results=foo"],
        ),
        shell("negative timeout", "echo never", &["-timeout=-1s", "-on_error=continue"])
            .shows("negative timeout specified"),
        shell("negative timeout, with results", "echo never", &["-timeout=-1ns", "-results=foo"])
            .file("results/foo", "v"),
        case("timeout, not found", &["-timeout=1h", "-entrypoint", "/no/such"]),
        sleeps("cancelled at once", &["-on_error", "continue"])
            .file("downward/cancel", "cancel")
            .prepare(|pod| pod.write("ready", "")),
        shell("cancelled at once, with results", "exec sleep 10", &["-results=foo"])
            .file("downward/cancel", "cancel")
            .file("results/foo", "v")
            .shows("Cancelled"),
        shell("empty cancel file", "exit 0", &[]).file("downward/cancel", ""),
        sleeps("cancelled by a directory", &[]).prepare(|pod| {
            std::fs::create_dir(pod.path("downward/cancel")).unwrap();
            pod.write("ready", "");
        }),
        sleeps("cancelled through a link", &[])
            .file("downward/data", "x")
            .link("downward/cancel", "data")
            .prepare(|pod| pod.write("ready", ""))
            .shows("Cancelled"),
        sleeps("cancelled later", &[]).act(|pod, _| cancel(pod)).shows("Cancelled"),
        sleeps("cancelled later, with a timeout", &["-timeout=10s"])
            .act(|pod, _| cancel(pod))
            .shows("Cancelled"),
        sleeps("cancelled before the timeout", &["-timeout=3s"]).act(|pod, _| cancel(pod)).shows("Cancelled"),
        shell("cancelled after a failure", "exit 3", &[]).act(|pod, _| {
            soon(|| pod.path("run/0/out.err").exists());
            pod.write("downward/cancel", "x");
        }),
        probe("no cancellation without content", &[]).file("downward/cancel", "").shows("\na\nb c\n"),
        shell("an error file beside the cancel file", "sleep 0.3; exit 4", &[])
            .file("downward/cancel.err", "")
            .shows("exit 4"),
        shell("the cancel file cannot be looked at", "sleep 0.3; exit 4", &[]).prepare(|pod| {
            std::fs::remove_dir(pod.path("downward")).unwrap();
            pod.write("downward", "");
        }),
    ]
}
