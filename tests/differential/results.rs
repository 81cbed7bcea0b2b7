//! Results (docs/tekton-contract.md 3.10).

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use crate::case::{Case, Stderr, case, shell};

pub(crate) fn cases() -> Vec<Case> {
    let both = ["-results", "foo,bar", "-step_results", "baz"];
    let set =
        "cd /tekton; printf a >results/foo; printf 'b\n' >results/bar; printf c >run/0/status/results/baz";
    let a = "printf a >/tekton/results/a";
    vec![
        shell("results", set, &both).shows(r#"{\"key\":\"baz\",\"value\":\"c\",\"type\":4}"#),
        shell("results of a failure", "printf a >/tekton/results/foo; exit 4", &both),
        shell(
            "results and exit code",
            "printf a >/tekton/results/foo; exit 4",
            &[&both[..], &["-on_error=continue"]].concat(),
        ),
        shell("no results", "true", &both),
        shell("an empty result", ": >/tekton/results/foo", &both),
        shell("a result nobody asked for", "printf a >/tekton/results/other", &both),
        shell("results without their flags", set, &[]),
        shell("results of an earlier step", "true", &both).file("results/foo", "earlier").shows("earlier"),
        shell("first name empty", a, &["-results", ",a", "-step_results", "baz"]),
        shell("gaps", a, &["-results", "b,,a,"]).shows("\\\"value\\\":\\\"a\\\""),
        shell("declared twice", a, &["-results", "a,a"]),
        shell("a name with spaces", "printf a >'/tekton/results/ a'", &["-results", "b, a"])
            .shows(r#"\"key\":\" a\""#),
        shell(
            "a name in a folder",
            "mkdir /tekton/results/x; printf a >/tekton/results/x/y",
            &["-results", "x/y"],
        ),
        case("a name with bytes", &["-entrypoint=true"])
            .args(&[b"-results=\xffa"])
            .prepare(|pod| {
                std::fs::write(pod.path("results").join(OsStr::from_bytes(b"\xffa")), "v").unwrap()
            })
            .shows("\\\"value\\\":\\\"v\\\""),
        shell("a name with quotes", "printf a >'/tekton/results/<\"&>'", &["-results", "<\"&>"]),
        shell("a dot", "true", &["-results", "."]),
        shell("a name out of the folder", "printf a >/tekton/f", &["-results", "../f"]),
        shell("an absolute name", "printf a >/tekton/results/tekton", &["-results", "/tekton"]),
        shell("a result that is a link", "printf a >/tekton/f; ln -s /tekton/f /tekton/results/foo", &both),
        shell(
            "a result that is a link inside the folder",
            "cd /tekton/results; printf a >x; ln -s x foo",
            &both,
        ),
        shell("a result that is a link to nowhere", "ln -s /none /tekton/results/foo", &both),
        shell("result is a directory", "mkdir /tekton/results/foo", &both)
            .stderr(Stderr::Names("is a directory")),
        shell(
            "step result is a directory",
            "printf a >/tekton/results/foo; mkdir /tekton/run/0/status/results/baz",
            &both,
        )
        .stderr(Stderr::Names("is a directory")),
        shell("the results folder is gone", "rm -r /tekton/results", &both),
        shell("the results folder is a file", "rm -r /tekton/results; : >/tekton/results", &both)
            .stderr(Stderr::Names("not a directory")),
        shell("a result of NUL bytes", "printf 'a\\0b' >/tekton/results/foo", &both),
        shell("a result of another encoding", "printf 'a\\344\\366' >/tekton/results/foo", &both),
        shell(
            "a task result and a step result of one name",
            "cd /tekton; printf a >results/x; printf b >run/0/status/results/x",
            &["-results=x", "-step_results=x"],
        ),
        shell("a result named StartedAt", "printf a >/tekton/results/StartedAt", &["-results=StartedAt"]),
        shell(
            "step results without a metadata directory",
            "mkdir -p results; printf c >results/baz",
            &["-step_metadata_dir=", "-step_results=baz"],
        ),
    ]
}
