//! Where credentials are written: `/tekton/creds` and `$HOME` in any state, compared with what Tekton's own entrypoint makes of
//! it, but where Tekton waits for ever or loses them.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use crate::support;
use support::{
    credentials::{Case, HOME, STEP, case, compare, docker, pod},
    step::{As, OURS, Pod, available, finish},
};

/// From a place where another user may read it.
const AS_NOBODY: &str = "cp \"$1\" /tekton/bin/entrypoint; shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups \
    /tekton/bin/entrypoint \"$@\"";

fn open_to_all(pod: &Pod) {
    for path in ["", "creds", "home", "results", "artifacts", "termination"] {
        fs::set_permissions(pod.path(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
}

/// All five flags, as the controller gives them.
const ALL: [&str; 6] = [
    "-basic-docker=git=https://index.docker.io/v1/",
    "-docker-config=regcred",
    "-docker-cfg=oldcred",
    "-basic-git=quotes=https://github.com",
    "-basic-git=git2=https://github.com/org/repo",
    "-ssh-git=ssh=github.com/org/other",
];

fn all(name: &'static str) -> Case {
    case(name, &ALL)
}

fn registries(pod: &Pod) {
    docker(pod, "regcred", ".dockerconfigjson", br#"{"auths":{"ghcr.io":{"auth":"x"}}}"#);
    docker(pod, "oldcred", ".dockercfg", br#"{"quay.io":{"auth":"y"}}"#);
}

#[test]
fn writing_and_copying() {
    compare(
        "writing_and_copying",
        &[
            case("no flags", &[]),
            all("all").prepare(registries),
            all("longer files in HOME").prepare(|pod| {
                registries(pod);
                pod.write("home/.gitconfig", "old and longer than what takes its place".repeat(99));
            }),
            all("umask 077").prepare(registries).shell("umask 077; exec \"$@\""),
            all("umask 0").prepare(registries).shell("umask 0; exec \"$@\""),
            all("umask 0777").prepare(registries).shell("umask 0777; exec \"$@\""),
            all("umask 027, no creds").shell("umask 027; exec \"$@\"").prepare(|pod| {
                registries(pod);
                fs::remove_dir(pod.path("creds")).unwrap();
            }),
            all("no Docker Secrets"),
            case("no creds, Git", &["-basic-git=git=https://a"])
                .prepare(|pod| fs::remove_dir(pod.path("creds")).unwrap()),
            case("no creds, SSH", &["-ssh-git=ssh=a"])
                .prepare(|pod| fs::remove_dir(pod.path("creds")).unwrap()),
            case("no creds, Git and SSH", &["-ssh-git=ssh=a", "-basic-git=git=https://a"])
                .prepare(|pod| fs::remove_dir(pod.path("creds")).unwrap()),
            all("creds is a file").prepare(|pod| {
                registries(pod);
                fs::remove_dir(pod.path("creds")).unwrap();
                pod.write("creds", "x");
            }),
            all("creds is a link").prepare(|pod| {
                registries(pod);
                fs::remove_dir(pod.path("creds")).unwrap();
                fs::create_dir(pod.path("elsewhere")).unwrap();
                symlink("elsewhere", pod.path("creds")).unwrap();
            }),
            all("creds leads nowhere").prepare(|pod| {
                registries(pod);
                fs::remove_dir(pod.path("creds")).unwrap();
                symlink("nowhere", pod.path("creds")).unwrap();
            }),
            all("creds is read-only").prepare(registries).shell(
                "mount --bind /tekton/creds /tekton/creds && mount -o remount,ro,bind /tekton/creds; exec \"$@\"",
            ),
            all("folders in the place of creds files").prepare(|pod| {
                registries(pod);
                fs::create_dir_all(pod.path("creds/.docker/config.json")).unwrap();
                fs::create_dir_all(pod.path("creds/.gitconfig/x")).unwrap();
            }),
            all("a folder in the place of the key").prepare(|pod| {
                registries(pod);
                fs::create_dir_all(pod.path("creds/.ssh/id_ssh")).unwrap();
            }),
            all("a folder in the place of .git-credentials").prepare(|pod| {
                registries(pod);
                fs::create_dir(pod.path("creds/.git-credentials")).unwrap();
            }),
            all("files in the place of creds folders").prepare(|pod| {
                registries(pod);
                pod.write("creds/.docker", "x");
                pod.write("creds/.ssh", "x");
            }),
            all("links in creds").prepare(|pod| {
                registries(pod);
                symlink("/tekton/creds/a", pod.path("creds/.gitconfig")).unwrap();
                symlink("nowhere/b", pod.path("creds/.git-credentials")).unwrap();
                fs::create_dir(pod.path("keys")).unwrap();
                symlink("/tekton/keys/x", pod.path("creds/.ssh")).unwrap();
            }),
            all("earlier files in creds").prepare(|pod| {
                registries(pod);
                pod.write("creds/.git-credentials", "old".repeat(999));
                fs::set_permissions(pod.path("creds/.git-credentials"), fs::Permissions::from_mode(0o644)).unwrap();
                pod.write("creds/.ssh/known_hosts", "old".repeat(999));
                pod.write("creds/.ssh/sub/deep", "kept");
                pod.write("creds/other", "not copied");
            }),
            case("creds without flags are copied", &[]).prepare(|pod| {
                pod.write("creds/.gitconfig", "from the image");
                pod.write("creds/.ssh/a/b/c", "deep");
                pod.write("creds/.docker", "a file");
            }),
            case("a link in creds is copied as a file", &[]).prepare(|pod| {
                pod.write("creds/x", "content");
                symlink("x", pod.path("creds/.gitconfig")).unwrap();
                symlink("nowhere", pod.path("creds/.git-credentials")).unwrap();
            }),
            case("a loop in creds", &[]).prepare(|pod| symlink(".ssh", pod.path("creds/.ssh")).unwrap()),
            all("no HOME").prepare(registries).home(None),
            all("empty HOME").prepare(registries).home(Some("")),
            case("no HOME, no creds", &[]).home(None).prepare(|pod| fs::remove_dir(pod.path("creds")).unwrap()),
            case("no HOME, creds empty", &[]).home(None),
            all("HOME missing").prepare(registries).home(Some("/tekton/home/x/y")),
            all("HOME relative").prepare(registries).home(Some("home")),
            all("HOME not clean").prepare(registries).home(Some("/tekton//home/./x/../")),
            all("HOME quoted").prepare(registries).home(Some("/proc/no \"where\"/\u{e4}\u{1}")),
            all("HOME is a file").prepare(registries).home(Some("/tekton/termination")),
            all("HOME is in /proc").prepare(registries).home(Some("/proc")),
            all("HOME is read-only").prepare(registries).shell(
                "mount --bind /tekton/home /tekton/home && mount -o remount,ro,bind /tekton/home; exec \"$@\"",
            ),
            all("HOME is full").prepare(registries).shell(
                "mount -t tmpfs -o size=4k,nr_inodes=3 none /tekton/home; exec \"$@\"",
            ),
            all("existing files keep their modes").prepare(|pod| {
                registries(pod);
                for (file, mode) in [(".gitconfig", 0o644), (".ssh/config", 0o777), (".docker/config.json", 0o000)] {
                    pod.write(&format!("home/{file}"), "old".repeat(999));
                    fs::set_permissions(pod.path("home").join(file), fs::Permissions::from_mode(mode)).unwrap();
                }
                fs::set_permissions(pod.path("home/.ssh"), fs::Permissions::from_mode(0o777)).unwrap();
                pod.write("home/.ssh/id_rsa", "kept");
            }),
            all("folders in the place of files").prepare(|pod| {
                registries(pod);
                fs::create_dir_all(pod.path("home/.gitconfig")).unwrap();
                fs::create_dir_all(pod.path("home/.docker/config.json")).unwrap();
            }),
            all("files in the place of folders").prepare(|pod| {
                registries(pod);
                pod.write("home/.docker", "x");
                pod.write("home/.ssh", "x");
            }),
            all("links in HOME").prepare(|pod| {
                registries(pod);
                pod.write("home/real", "old");
                symlink("real", pod.path("home/.gitconfig")).unwrap();
                symlink("made", pod.path("home/.git-credentials")).unwrap();
                symlink("nowhere", pod.path("home/.ssh")).unwrap();
                symlink("/dev/null", pod.path("home/.docker")).unwrap();
            }),
            all("more links in HOME").prepare(|pod| {
                registries(pod);
                symlink("nowhere/x", pod.path("home/.gitconfig")).unwrap();
                symlink("/dev/null", pod.path("home/.git-credentials")).unwrap();
                fs::create_dir(pod.path("home/keys")).unwrap();
                symlink("keys", pod.path("home/.ssh")).unwrap();
                symlink(".docker", pod.path("home/.docker")).unwrap();
            }),
            all("FIFO in HOME").prepare(|pod| {
                registries(pod);
                nix::unistd::mkfifo(&pod.path("home/.gitconfig"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            }),
            all("another user").prepare(|pod| {
                registries(pod);
                open_to_all(pod);
                pod.write("home/.gitconfig", "root's");
                fs::create_dir(pod.path("home/.ssh")).unwrap();
            })
            .shell(AS_NOBODY),
            all("another user's Secrets").prepare(|pod| {
                registries(pod);
                for file in ["regcred/.dockerconfigjson", "ssh/known_hosts"] {
                    fs::set_permissions(pod.path("creds-secrets").join(file), fs::Permissions::from_mode(0o600)).unwrap();
                }
                open_to_all(pod);
            })
            .shell(AS_NOBODY),
            all("a subcommand writes nothing").prepare(registries).rest(&["step-init"]),
            case("a subcommand reads", &["-basic-git=none=https://a"]).rest(&["step-init"]),
            case("a bad flag after credentials", &["-basic-git=git=https://a", "-nope"]),
            case("help after credentials", &["-basic-git=git=https://a", "-h"]),
        ],
    );
}

#[test]
fn nothing_is_waited_for_and_no_secret_is_shown() {
    if !available("nothing_is_waited_for_and_no_secret_is_shown") {
        return;
    }
    let fifo = |pod: &Pod, path: &str| {
        fs::create_dir_all(pod.path(path).parent().unwrap()).unwrap();
        nix::unistd::mkfifo(&pod.path(path), nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    let large = |pod: &Pod, path: &str| pod.write(path, vec![b'P'; (1 << 20) + 1]);
    let zero = |pod: &Pod, path: &str| {
        fs::create_dir_all(pod.path(path).parent().unwrap()).unwrap();
        symlink("/dev/zero", pod.path(path)).unwrap();
    };
    let not_regular = "not a regular file; mount a Secret there";
    let too_large = "larger than 1048576 bytes";
    type Put<'a> = &'a dyn Fn(&Pod, &str);
    let cases: [(&str, &str, Put, &str, &str); 14] = [
        ("creds-secrets/odd/username", "-basic-git=odd=https://a", &fifo, "exit 2", not_regular),
        ("creds-secrets/odd/username", "-basic-docker=odd=a", &zero, "exit 2", not_regular),
        ("creds-secrets/half/password", "-basic-git=half=https://a", &large, "exit 2", too_large),
        ("creds-secrets/odd/ssh-privatekey", "-ssh-git=odd=a", &fifo, "exit 2", not_regular),
        ("creds-secrets/bare/known_hosts", "-ssh-git=bare=a", &fifo, "exit 2", not_regular),
        ("creds-secrets/bare/known_hosts", "-ssh-git=bare=a", &large, "exit 2", too_large),
        ("creds-secrets/odd/.dockerconfigjson", "-docker-config=odd", &fifo, "exit 0", not_regular),
        ("creds-secrets/odd/.dockercfg", "-docker-cfg=odd", &large, "exit 0", too_large),
        ("creds/.gitconfig", "-basic-git=git=https://a", &fifo, "exit 0", "no such device or address"),
        ("creds/.ssh/config", "-ssh-git=ssh=a", &fifo, "exit 0", "no such device or address"),
        (
            "creds/.git-credentials",
            "-ssh-git=ssh=a",
            &fifo,
            "exit 0",
            "neither a regular file nor a directory",
        ),
        ("creds/.ssh/x/y", "-docker-cfg=none", &zero, "exit 0", "neither a regular file nor a directory"),
        ("home/.ssh/config", "-ssh-git=ssh=a", &fifo, "exit 0", ""),
        ("home/.ssh/id_long", "-ssh-git=long=a", &fifo, "exit 0", "resource temporarily unavailable"),
    ];
    for (path, flag, put, status, said) in cases {
        let pod = pod();
        put(&pod, path);
        let args = [&[flag][..], STEP].concat();
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let mut command = pod.command(Path::new(OURS), &args, As::Process);
        let ran = finish(command.env("HOME", HOME).spawn().unwrap());
        assert_eq!(ran.status, status, "{flag}, {path}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{flag}, {path}: {}", ran.stderr);
        for secret in ["s3cret", "KEY", "PPPP"] {
            assert!(!ran.stderr.contains(secret), "{flag}, {path}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_home_that_is_the_credentials_folder_keeps_them() {
    if !available("a_home_that_is_the_credentials_folder_keeps_them") {
        return;
    }
    let pod = pod();
    let args: Vec<&OsStr> = ["-basic-git=git=https://a"].iter().chain(STEP).map(OsStr::new).collect();
    let mut command = pod.command(Path::new(OURS), &args, As::Process);
    let ran = finish(command.env("HOME", "/tekton/creds").spawn().unwrap());
    assert_eq!((&ran.status[..], &ran.stderr[..]), ("exit 0", ""));
    assert_eq!(pod.read("creds/.git-credentials").as_deref(), Some("https://user:s3cret@a\n"));
}
