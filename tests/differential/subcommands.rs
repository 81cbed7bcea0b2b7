//! `init`, `cp`, `decode-script` and `step-init` (docs/tekton-contract.md 2).

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::case::{Case, Stderr, bare};

const IMAGE: &str = "image/entrypoint";

pub(crate) fn cases() -> Vec<Case> {
    let all = |name: &str, args: &[&str]| bare(name, args).stderr(Stderr::All);
    let image = |name: &str, args: &[&str]| all(name, args).file(IMAGE, "binary");
    let script =
        |name: &str, content: &str| all(name, &["decode-script", "/tekton/bin/s"]).file("bin/s", content);
    let no_command = Stderr::Names("unexpected end of JSON input");
    vec![
        image(
            "init",
            &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint", "step-a", "step-unnamed-2"],
        ),
        image("init without steps", &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint"]),
        all("init again", &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint", "step-a"])
            .file(IMAGE, "new")
            .file("bin/entrypoint", "longer than new")
            .link("steps/step-a", "/stale"),
        all("init, source missing", &["init", "/tekton/none", "/tekton/bin/entrypoint", "step-a"]),
        all("init, nowhere to copy to", &["init", "/bin/true", "/tekton/none/entrypoint"]),
        // How it is told depends on how the kernel copies.
        bare("init, source is a directory", &["init", "/tekton/bin", "/tekton/bin/x"])
            .stderr(Stderr::Names("is a directory")),
        image("init, bad step name", &["init", "/tekton/image/entrypoint", "/tekton/bin/e", "no/such/dir"]),
        image(
            "init, a step twice",
            &["init", "/tekton/image/entrypoint", "/tekton/bin/e", "step-a", "step-a"],
        ),
        image(
            "init, a step named as a number",
            &["init", "/tekton/image/entrypoint", "/tekton/bin/e", "1", "step-b"],
        ),
        image(
            "cp wins over -entrypoint",
            &["-entrypoint", "/bin/false", "cp", "/tekton/image/entrypoint", "/tekton/bin/e"],
        ),
        image("cp with command", &["cp", "/tekton/image/entrypoint", "/tekton/bin/e", "--", "x"]),
        image("cp to a read-only file", &["cp", "/tekton/image/entrypoint", "/tekton/bin/e"]).prepare(
            |pod| {
                pod.write("bin/e", "old and long");
                fs::set_permissions(pod.path("bin/e"), fs::Permissions::from_mode(0o600)).unwrap();
            },
        ),
        image("cp into a directory", &["cp", "/tekton/image/entrypoint", "/tekton/bin"]),
        image("cp through a link", &["cp", "/tekton/image/entrypoint", "/tekton/bin/e"])
            .link("bin/e", "/tekton/copied"),
        all("step-init", &["step-init", "step-a", "step-b"]),
        all("step-init without steps", &["step-init"]),
        all("step-init, no folder", &["step-init", "step-a"])
            .prepare(|pod| fs::remove_dir(pod.path("steps")).unwrap()),
        all("step-init, steps is a file", &["step-init", "step-a"]).prepare(|pod| {
            fs::remove_dir(pod.path("steps")).unwrap();
            pod.write("steps", "");
        }),
        script("decode-script", "aGVs\nbG8=\n").shows("hello"),
        script("decode-script, empty", ""),
        script("decode-script, carriage returns", "aGVs\r\nbG8=\r\n").shows("hello"),
        script("decode-script, trailing bits", "aGVsbG9=").shows("hello"),
        script("decode-script, not base64", "aGVs bG8="),
        script("decode-script, URL alphabet", "-_-_"),
        script("decode-script, no padding", "aGVsbG8"),
        script("decode-script, garbage after", "aGVsbG8=\nx"),
        script("decode-script, keeps its mode", "aGVsbG8=").prepare(|pod| {
            fs::set_permissions(pod.path("bin/s"), fs::Permissions::from_mode(0o4751)).unwrap();
        }),
        all("decode-script, missing", &["decode-script", "/tekton/bin/none"]),
        all("decode-script, directory", &["decode-script", "/tekton/bin"]),
        bare("wrong count of a subcommand", &["cp", "a"]).stderr(no_command),
        bare("decode-script with two files", &["decode-script", "a", "b"]).stderr(no_command),
        bare("init with one file", &["init", "a"]).stderr(no_command),
    ]
}
