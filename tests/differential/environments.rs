//! Odd environments: what a node, an image, a policy or an earlier step may put in the entrypoint's way.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use nix::errno::Errno;

use crate::{
    case::{Case, Stderr, bare, case, shell},
    support::step::Pod,
};

/// Folders below `/tekton` get this mode.
fn modes(mode: u32, folders: &'static [&'static str]) -> impl Fn(&Pod) + Send + Sync + 'static {
    move |pod| {
        for folder in folders {
            fs::set_permissions(pod.path(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// What a step reads: its own results, and what an earlier step left.
fn results(pod: &Pod) {
    symlink("/tekton/run/1/status", pod.path("steps/step-prior")).unwrap();
    for (path, value) in [
        ("results/foo", "v"),
        ("run/0/status/results/baz", "s"),
        ("run/0/status/artifacts/x", ""),
        ("run/1/out", ""),
        ("run/1/status/results/r", "earlier"),
        ("run/1/status/artifacts/provenance.json", r#"{"outputs":[{"name":"x","values":[{"uri":"u"}]}]}"#),
    ] {
        pod.write(path, value);
    }
}

const FOLDERS: &[&str] = &[
    "",
    "results",
    "steps",
    "run",
    "run/1",
    "run/1/status",
    "run/1/status/results",
    "run/1/status/artifacts",
    "downward",
    "artifacts",
];

fn of_root(pod: &Pod, paths: &[&str]) {
    let status = Command::new("chown").arg("0:0").args(paths.iter().map(|path| pod.path(path))).status();
    assert!(status.unwrap().success());
}

pub(crate) fn cases() -> Vec<Case> {
    let reads = [
        "-results=foo",
        "-step_results=baz",
        "-wait_file=/tekton/run/1/out",
        "-entrypoint=/bin/echo",
        "--",
        "$(steps.prior.results.r)",
        "$(steps.prior.outputs.x)",
    ];
    // The folders that are read from belong to somebody else.
    let hidden = |name: &str, mode: u32, folders: &'static [&'static str]| {
        case(name, &reads)
            .prepare(results)
            .user()
            .prepare(|pod| of_root(pod, FOLDERS))
            .prepare(modes(mode, folders))
            .shows("earlier")
            .shows(r#"\"key\":\"foo\",\"value\":\"v\""#)
    };
    let result = &["-results=foo"][..];
    let user =
        |name: &str, script: &str, cause| shell(name, script, result).user().stderr(Stderr::Names(cause));
    let root =
        |name: &str, script: &str, cause| shell(name, script, result).root().stderr(Stderr::Names(cause));
    let long = "n".repeat(300);
    let small = "mount -t tmpfs -o size=64k,nr_inodes=20 tmpfs /tekton/run/0; mkdir /tekton/run/0/status; ";
    let full = format!("{small}cat /dev/zero >/tekton/run/0/x 2>/dev/null; true; ");
    let used_up = format!("{small}i=0; while : >/tekton/run/0/$i; do i=$((i+1)); done 2>/dev/null; true; ");
    let read_only = "mount --bind /tekton/run/0 /tekton/run/0; mount -o remount,bind,ro /tekton/run/0; ";
    let (space, ro) = ("no space left on device", "read-only file system");
    let denied = "permission denied";
    let continued = &["-on_error=continue"][..];
    let mut cases = barred();
    cases.extend([
        hidden("folders of another user", 0o755, FOLDERS),
        hidden("folders that can only be searched", 0o711, FOLDERS),
        hidden("folders that can only be searched, 0111", 0o111, FOLDERS),
        hidden("folders that can only be searched: results", 0o1733, &["results"]),
        hidden("folders that can only be searched: an earlier step's", 0o111, &["run/1/status/results"]),
        hidden("folders that can only be searched: /tekton", 0o711, &[""]),
        shell("a result of another user that cannot be read", "true", result)
            .prepare(results)
            .user()
            .prepare(|pod| of_root(pod, &["results/foo"]))
            .prepare(modes(0o600, &["results/foo"]))
            .stderr(Stderr::Names(denied)),
        shell("the wait file's folder cannot be searched", "true", &["-wait_file=/tekton/run/1/out"])
            .prepare(results)
            .user()
            .prepare(|pod| of_root(pod, FOLDERS))
            .prepare(modes(0o700, &["run/1"]))
            .stderr(Stderr::Names(denied)),
        shell("earlier results that cannot be searched", "echo $A", result)
            .env("A", "$(steps.prior.results.r)")
            .prepare(results)
            .user()
            .prepare(|pod| of_root(pod, &["run/1/status"]))
            .prepare(modes(0o600, &["run/1/status"])),
        user("a result that its step made unreadable", "printf v >/tekton/results/foo; chmod 0 /tekton/results/foo", denied),
        user("results that cannot be searched", "printf v >/tekton/results/foo; chmod 0 /tekton/results", denied),
        shell("a result with too long a name", "true", &["-results", &long]).stderr(Stderr::Names("file name too long")),
        shell("a post file with too long a name", "true", &["-post_file", &format!("/tekton/run/0/{long}")])
            .stderr(Stderr::Names("file name too long")),
        shell("a post file with the longest name", "true", &["-post_file", &format!("/tekton/run/0/{}", "n".repeat(255))]),
        shell("a post file with the longest name, exit 3", "exit 3", &["-post_file", &format!("/tekton/run/0/{}", "n".repeat(251))]),
        shell("results: a FIFO in the place of the folder", "rm -r /tekton/results; mkfifo /tekton/results", result)
            .stderr(Stderr::Names("not a directory")),
        user("no more may be written into the step's folder", "chmod 555 /tekton/run/0", denied),
        user("no more may be written into the step's folder, exit 3", "chmod 555 /tekton/run/0; exit 3", denied),
        user("no more may be written into the metadata folder", "chmod 555 /tekton/run/0/status", denied),
        user("no more may be written into the metadata folder, exitCode is there", "echo 77 >/tekton/run/0/status/exitCode; chmod 555 /tekton/run/0/status", ""),
        user("no more may be written into the step's folder, the post file is there", ": >/tekton/run/0/out; chmod 555 /tekton/run/0", ""),
        shell("no more may be written into the metadata folder, continued", "chmod 555 /tekton/run/0/status; exit 3", continued)
            .user()
            .stderr(Stderr::Names(denied)),
        user("exitCode may not be written", ": >/tekton/run/0/status/exitCode; chmod 444 /tekton/run/0/status/exitCode", ""),
        user("the termination file may not be written", "chmod 444 /tekton/termination", denied),
        shell("the termination file is not there, and its folder is somebody else's", "true", result)
            .prepare(|pod| fs::remove_file(pod.path("termination")).unwrap())
            .user()
            .prepare(|pod| of_root(pod, &[""]))
            .stderr(Stderr::Names(denied)),
        user("umask 0777 of the command", "umask 0777; printf v >/tekton/results/foo", denied),
        user("a user without an entry in passwd", "id -u; printf v >/tekton/results/foo", "").shows("65532"),
        shell("HOME is not there", "echo $HOME", result).env("HOME", "/none").file("creds/.gitconfig", "x"),
        user("HOME is somebody else's", "ls -A $HOME", "").file("creds/.gitconfig", "x").env("HOME", "/root"),
        shell("a result of a gigabyte", "truncate -s 1G /tekton/results/foo; rm /tekton/results/foo; truncate -s 5000 /tekton/results/foo", result)
            .stderr(Stderr::Names("above max allowed size")),
        shell("results: one that its step replaced by a folder, continued", "mkdir /tekton/results/foo; exit 3", &["-results=foo", "-on_error=continue"])
            .stderr(Stderr::Names("is a directory")),
        root("the folder is full", &full, space),
        root("the folder is full, exit 3", &format!("{full} exit 3"), ""),
        shell("the folder is full, continued", &format!("{full} exit 3"), continued).root().stderr(Stderr::Names(space)),
        root("the folder has no more inodes", &used_up, space),
        root("the folder has no more inodes, exit 3", &format!("{used_up} exit 3"), space),
        root("the folder became read-only", read_only, ro),
        root("the folder became read-only, exit 3", &format!("{read_only} exit 3"), ro),
        shell("the folder became read-only, continued", &format!("{read_only} exit 3"), continued).root().stderr(Stderr::Names(ro)),
        root("the results became read-only", "printf v >/tekton/results/foo; mount --bind /tekton/results /tekton/results; mount -o remount,bind,ro /tekton/results", ""),
        root("the termination file became read-only", "mount --bind /tekton/termination /tekton/termination; mount -o remount,bind,ro /tekton/termination", ro),
        root("an immutable post file", ": >/tekton/run/0/out; chattr +i /tekton/run/0/out; trap 'chattr -i /tekton/run/0/out' EXIT", ""),
        shell("root without capabilities", "printf v >/tekton/results/foo", result).powerless(),
        shell("root without capabilities: results of another user", "true", result)
            .prepare(results)
            .powerless()
            .prepare(|pod| {
                let file = pod.path("results/foo");
                std::os::unix::fs::chown(&file, Some(1000), Some(1000)).unwrap();
                fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
            })
            .stderr(Stderr::Names(denied)),
        shell("root without capabilities: a folder of another user", "true", result)
            .powerless()
            .prepare(|pod| std::os::unix::fs::chown(pod.path("run/0"), Some(1000), Some(1000)).unwrap())
            .stderr(Stderr::Names(denied)),
        shell("few descriptors", "printf v >/tekton/results/foo; ulimit -n", result).limited("-n 12").shows("12"),
        shell("a small stack", "printf v >/tekton/results/foo; ulimit -s", result).limited("-s 32").shows("32"),
        shell("few descriptors, copies", "printf v >/tekton/results/foo", &["-results=foo", "-stdout_path=/tekton/o", "-stderr_path=/tekton/e"]).limited("-n 20"),
    ]);
    cases
}

/// What a policy or a file system refuses, and Tekton's entrypoint never asks for.
fn barred() -> Vec<Case> {
    use Errno::{EACCES, EEXIST, EINVAL, EIO, ENOSPC, ENOSYS, EPERM, EROFS, EXDEV};
    let result = &["-results=foo", "-on_error=continue"][..];
    let mut cases = Vec::new();
    for errno in [EPERM, ENOSYS, EROFS, EINVAL, EACCES, EIO, ENOSPC, EEXIST] {
        for (what, calls) in [("mknod", "mknod mknodat"), ("rename", "rename renameat renameat2")] {
            for (ends, script) in [("exit 0", "printf v >/tekton/results/foo"), ("exit 3", "exit 3")] {
                let name = format!("{what} fails with {errno:?}, {ends}");
                cases.push(shell(&name, script, result).barred(calls, errno));
                let name = format!("{what} fails with {errno:?}, {ends}, the files are there");
                let there = format!(": >/tekton/run/0/out; : >/tekton/run/0/status/exitCode; {script}");
                cases.push(shell(&name, &there, result).barred(calls, errno));
            }
        }
        let name = format!("reading results: openat2 fails with {errno:?}");
        let step = shell(&name, "printf v >/tekton/results/foo", result).barred("openat2", errno);
        cases.push(step.shows("\\\"value\\\":\\\"v\\\""));
    }
    for errno in [EPERM, ENOSYS, EINVAL, EIO, EXDEV] {
        let name = format!("cp: the kernel's own copies fail with {errno:?}");
        let copy = bare(&name, &["cp", "/tekton/from", "/tekton/to"]).file("from", "x".repeat(100_000));
        cases.push(copy.barred("copy_file_range sendfile splice", errno).shows("tekton/to"));
    }
    for errno in [EPERM, ENOSYS] {
        let name = format!("PATH: the first one is for its owner, faccessat2 fails with {errno:?}");
        let found = case(&name, &["-entrypoint=thing", "--", "x"])
            .env("PATH", "/tekton/x:/tekton/bin:/usr/bin:/bin")
            .file("x/thing", "#!/bin/sh\n")
            .file("bin/thing", "#!/bin/sh\necho $0 $1\n")
            .user()
            .prepare(|pod| of_root(pod, &["x/thing"]))
            .prepare(modes(0o700, &["x/thing"]))
            .prepare(modes(0o755, &["bin/thing"]))
            .shows("/tekton/bin/thing x")
            .barred("faccessat2", errno);
        cases.push(found);
    }
    cases
}
