//! How a step can end (docs/tekton-contract.md 3.8), but for the rows that have sections of their own.

use crate::case::{Case, Stderr, case, shell};

pub(crate) fn cases() -> Vec<Case> {
    let names = ["-results=foo", "-step_results=bar"];
    let both = "printf t >/tekton/results/foo; printf s >/tekton/run/0/status/results/bar; printf '{}' >/tekton/artifacts/provenance.json; ";
    // Each end with results and artifacts, which are read in all of these rows.
    let mut cases: Vec<Case> = [
        ("success", "true", &[][..], "exit 0"),
        ("exit 7", "exit 7", &[], "exit 7"),
        ("exit 7, continue", "exit 7", &["-on_error", "continue"], "exit 0"),
        ("exit 7, on_error garbage", "exit 7", &["-on_error", "Continue"], "exit 7"),
        ("exit 7, stopAndFail", "exit 7", &["-on_error", "stopAndFail"], "exit 7"),
        ("exit 255", "exit 255", &[], "exit 255"),
        ("exit 137", "exit 137", &[], "exit 137"),
        ("exit 2", "exit 2", &[], "exit 2"),
        ("killed", "kill -KILL $$", &[], "exit 255"),
        ("killed, continue", "kill -TERM $$", &["-on_error", "continue"], "exit 0"),
        ("killed by a real-time signal", "kill -40 $$", &[], "exit 255"),
        ("killed with a core", "kill -ABRT $$", &["-on_error", "continue"], "exit 0"),
        ("timed out", "exec sleep 10", &["-timeout=1500ms"], "exit 1"),
    ]
    .into_iter()
    .flat_map(|(name, script, flags, status)| {
        [
            shell(name, script, flags).shows(status),
            shell(&format!("{name}, with results"), &format!("{both}{script}"), &[flags, &names].concat())
                .shows(status),
        ]
    })
    .collect();
    cases.extend([
        case("start failure, continue", &["-entrypoint", "/no/such", "-on_error", "continue"])
            .shows("exit 1"),
        case("start failure, with results", &["-entrypoint", "/no/such", "-results=foo"])
            .file("results/foo", "v")
            .shows("exit 1"),
        shell("as first process", "exit 5", &[]).first().shows("exit 5"),
        shell("as first process, killed", "kill -KILL $$", &[]).first().shows("exit 255"),
        shell("output", "echo out; echo err >&2", &[]).shows("out"),
        shell("a post file that is there already", "exit 3", &[])
            .file("run/0/out.err", "old")
            .shows("exit 3"),
        shell("an exit code that is there already", "exit 0", &[])
            .file("run/0/status/exitCode", "old")
            .shows("exit 0"),
        shell("a post file that cannot be made", "true", &["-post_file=/tekton/termination/x"])
            .stderr(Stderr::Names("not a directory")),
        shell(
            "an exit code that cannot be written",
            "rm -r /tekton/run/0/status; : >/tekton/run/0/status",
            &[],
        )
        .stderr(Stderr::Names("not a directory")),
        shell("the metadata directory is gone", "rm -r /tekton/run/0/status", &names),
    ]);
    cases
}
