//! Waiting for the step's turn (docs/tekton-contract.md 3.2).

use crate::case::{Case, Stderr, shell, soon};

const WAIT: [&str; 2] = ["-wait_file", "/tekton/run/1/out"];

pub(crate) fn cases() -> Vec<Case> {
    let wait = |name: &str, more: &[&str]| shell(name, "echo runs", &[&WAIT, more].concat());
    let content = ["-wait_file_content"];
    vec![
        wait("already there", &[]).file("run/1/out", "").shows("runs"),
        wait("earlier step failed", &[]).file("run/1/out.err", "").shows("Skipped"),
        wait("both are there", &[]).file("run/1/out", "").file("run/1/out.err", "").shows("runs"),
        wait("content demanded", &content).file("run/1/out", "ready").shows("runs"),
        wait("empty, and failed", &content).file("run/1/out", "").file("run/1/out.err", "").shows("Skipped"),
        shell("a list with gaps", "echo runs", &["-wait_file", ",/tekton/run/1/out,,/tekton/bin,"])
            .file("run/1/out", "")
            .shows("runs"),
        shell("not a directory", "true", &["-wait_file", "/tekton/termination/x"]).shows("waiting for"),
        shell("a name that is too long", "true", &["-wait_file", &format!("/tekton/{}", "x".repeat(300))])
            .shows("file name too long"),
        shell(
            "not a directory, continue",
            "true",
            &["-wait_file", "/tekton/termination/x", "-on_error=continue"],
        ),
        wait("failed, continue", &["-on_error", "continue"]).file("run/1/out.err", "").shows("Skipped"),
        wait("failed, with results", &["-results", "foo"])
            .file("run/1/out.err", "")
            .file("results/foo", "not read")
            .shows("Skipped"),
        wait("failed, without a post file", &["-post_file="]).file("run/1/out.err", "").shows("Skipped"),
        wait("failed, with a negative timeout", &["-timeout=-1s"]).file("run/1/out.err", ""),
        wait("a link to nowhere, and failed", &[])
            .link("run/1/out", "/none")
            .file("run/1/out.err", "")
            .shows("Skipped"),
        wait("a link to a file", &[]).link("run/1/out", "/tekton/bin/probe").shows("runs"),
        wait("a directory", &content)
            .prepare(|pod| std::fs::create_dir(pod.path("run/1/out")).unwrap())
            .shows("runs"),
        wait("a directory as an error file", &[])
            .prepare(|pod| std::fs::create_dir(pod.path("run/1/out.err")).unwrap())
            .shows("Skipped"),
        wait("made later", &[])
            .act(|pod, _| {
                soon(|| pod.path("run/0/status/artifacts").exists());
                pod.write("run/1/out", "");
            })
            .shows("runs"),
        wait("filled later", &content)
            .file("run/1/out", "")
            .act(|pod, _| {
                soon(|| pod.path("run/0/status/artifacts").exists());
                pod.write("run/1/out", "x");
            })
            .shows("runs"),
        wait("failed later", &[])
            .act(|pod, _| {
                soon(|| pod.path("run/0/status/artifacts").exists());
                pod.write("run/1/out.err", "");
            })
            .shows("Skipped"),
        shell(
            "the metadata directory cannot be made",
            "true",
            &["-step_metadata_dir", "/tekton/termination/x"],
        )
        .stderr(Stderr::Names("not a directory")),
        shell("the metadata directory is deep", "true", &["-step_metadata_dir", "/tekton/a/b/c/"]),
        shell("no metadata directory", "echo runs", &["-step_metadata_dir="]).shows("tekton/exitCode"),
        shell("no post file", "echo runs", &["-post_file="]).shows("runs"),
        shell("a post file in a new folder", "echo runs", &["-post_file=/tekton/x/y/z"])
            .shows("tekton/x/y/z"),
        shell("a step after another", "echo one", &[]).then("echo two", &[]).shows("two"),
        shell("a step after a failure", "exit 3", &[]).then("echo two", &[]).shows("Skipped"),
        shell("a step after a failure that is passed over", "exit 3", &["-on_error=continue"])
            .then("echo two", &[])
            .shows("two"),
    ]
}
