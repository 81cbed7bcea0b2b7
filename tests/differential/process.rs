//! The command: how it is found and started, and what it is given (docs/tekton-contract.md 3.7).

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::{
    case::{Case, Stderr, bare, case, probe, shell, soon},
    support::step::Pod,
};

fn executable(pod: &Pod) {
    pod.write("bin/here", "echo hello\n");
    fs::set_permissions(pod.path("bin/here"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Once a second until it has had its effect: Tekton's drops a signal that meets one of its runtime's own.
fn signal(pod: &Pod, child: &Child, name: &str) {
    soon(|| pod.path("ready").exists());
    let ended = || pod.path("run/0/out.err").exists() || pod.path("run/0/out").exists();
    for _ in 0..5 {
        let _ = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).output().unwrap();
        let again = Instant::now() + Duration::from_secs(1);
        while !ended() && Instant::now() < again {
            std::thread::sleep(Duration::from_millis(5));
        }
        if ended() {
            return;
        }
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let trapped = |name: &str, signal: &str| {
        shell(name, &format!("exec 2>/dev/null; trap 'echo got it; exit 4' {signal}; : >/tekton/ready; while :; do sleep 0.02; done"), &[])
            .shows("got it")
    };
    vec![
        probe("probe", &[])
            .shows("0: /dev/null")
            .shows("\na\nb c\n\n")
            .shows("group of its own\nterminal: 0"),
        probe("probe: the first process", &[]).first().shows("0: /dev/null"),
        probe(
            "probe: with copies of both streams",
            &["-stdout_path=/tekton/log", "-stderr_path=/tekton/err"],
        )
        .shows("2: pipe"),
        probe("probe: with a copy of stdout", &["-stdout_path=/tekton/log"]).shows("1: pipe"),
        probe("probe: signing without an address", &["-enable_spire", "-spire_socket_path="]),
        probe(
            "probe: all the flags",
            &["-on_error=continue", "-timeout=1h", "-results=a", "-step_results=b", "-wait_file=/tekton/bin"],
        ),
        probe("probe: odd variables", &[])
            .env("A", "")
            .env("B", "b=c")
            .env("C", "x\ny")
            .raw_env(b"D", b"\xff\xfe")
            .env("a b", "c"),
        bare("probe: no metadata directory, no post file", &["-entrypoint", "/tekton/bin/probe"]),
        case("argv[0] is the name as given", &["-entrypoint", "cat", "--", "/proc/self/cmdline", "-", ""])
            .shows("cat\n/proc/self/cmdline\n-\n\n"),
        case(
            "argv[0] is the path as given",
            &["-entrypoint", "/usr/bin/../bin/cat", "--", "/proc/self/cmdline"],
        ),
        case("resources", &["-entrypoint", "cat", "--", "/proc/self/limits"]).shows("Max open files"),
        // The last seven digits are signals 1 to 28; what a C library does with its own (32, 33) is its affair.
        case(
            "signals",
            &["-entrypoint=awk", "--", "/^Sig[BIC]/ { print $1, substr($2, 10) }", "/proc/self/status"],
        ),
        shell("argv and environment", "echo \"$0\" \"$A\"; env | grep -v '^_='", &[])
            .env("A", "b c")
            .shows("b c"),
        shell("stdin, group", "readlink /proc/self/fd/0; test $(ps -o pgid= $$) = $$ && echo own", &[])
            .shows("own"),
        case("not found", &["-entrypoint", "no-such-program"]).shows("executable file not found in $PATH"),
        case("not found, quoted", &["-entrypoint", "no \"such\" program"]),
        case("an empty name", &["-entrypoint=", "-entrypoint", " "]),
        case("no PATH", &["-entrypoint", "true"]).env("PATH", ""),
        case("relative PATH", &["-entrypoint", "here"])
            .env("PATH", "bin")
            .prepare(executable)
            .shows("relative to current directory"),
        case("an empty element of PATH", &["-entrypoint", "here"]).env("PATH", "/none::/bin").prepare(
            |pod| {
                pod.write("here", "#!/bin/sh\necho hello\n");
                fs::set_permissions(pod.path("here"), fs::Permissions::from_mode(0o755)).unwrap();
            },
        ),
        case("PATH: not the directory of that name", &["-entrypoint", "probe", "--", "x"])
            .env("PATH", "/tekton/x:/tekton/bin:/usr/bin:/bin")
            .prepare(|pod| fs::create_dir_all(pod.path("x/probe")).unwrap())
            .shows("\n/tekton/bin/probe\nx\n"),
        case("PATH: not one that is not executable", &["-entrypoint", "probe", "--", "x"])
            .env("PATH", "/tekton/x:/tekton/bin:/usr/bin:/bin")
            .file("x/probe", "")
            .shows("\n/tekton/bin/probe\nx\n"),
        case("PATH: only one that is not executable", &["-entrypoint", "thing"])
            .env("PATH", "/tekton/x")
            .file("x/thing", ""),
        case("dot", &["-entrypoint", ".."]),
        case("a relative path", &["-entrypoint", "bin/probe", "--", "x"]).shows("\nbin/probe\nx\n"),
        case("file missing", &["-entrypoint", "/no/such"])
            .shows("fork/exec /no/such: no such file or directory"),
        case("interpreter missing", &["-entrypoint", "/tekton/s"]).file("s", "#!/no/such\n").prepare(|pod| {
            fs::set_permissions(pod.path("s"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        case("not executable", &["-entrypoint", "/tekton/bin/plain"])
            .file("bin/plain", "x")
            .shows("permission denied"),
        case("directory", &["-entrypoint", "/tekton"]),
        case("below a file", &["-entrypoint", "/tekton/termination/x"]),
        case("no shebang", &["-entrypoint", "/tekton/bin/here"])
            .prepare(executable)
            .shows("exec format error"),
        case("an argument list that is too long", &["-entrypoint", "true", "--"])
            .args(&[&[b'a'; 131_000]])
            .env("B", [b'b'; 131_000]),
        shell(
            "copies",
            "echo out; echo err >&2",
            &["-stdout_path", "/tekton/logs/a", "-stderr_path", "/tekton/logs/b"],
        )
        .shows("tekton/logs/b: 100644 \"err\\n\""),
        shell(
            "one copy for both",
            "echo out",
            &["-stdout_path", "/tekton/logs/a", "-stderr_path", "/tekton/logs/a"],
        )
        .file("logs/a", "before\n")
        .shows("before\\nout\\n"),
        shell("a copy of bytes", "printf 'a\\0\\377'", &["-stdout_path", "/tekton/logs/a"]),
        shell("a copy of much", "head -c 300000 /dev/zero", &["-stdout_path", "/tekton/logs/a"]),
        shell("a copy keeps the file's mode", "echo out", &["-stdout_path", "/tekton/logs/a"]).prepare(
            |pod| {
                pod.write("logs/a", "");
                fs::set_permissions(pod.path("logs/a"), fs::Permissions::from_mode(0o600)).unwrap();
            },
        ),
        shell("a copy through a link", "echo out", &["-stdout_path", "/tekton/logs"])
            .link("logs", "/tekton/target"),
        shell("a copy as a result", "printf v", &["-stdout_path", "/tekton/results/foo", "-results=foo"])
            .shows("\\\"value\\\":\\\"v\\\""),
        shell("copy cannot be made", "echo out", &["-stdout_path", "/tekton/termination/x/y"])
            .stderr(Stderr::Names("error creating parent directory")),
        shell("copy is a directory", "echo out", &["-stdout_path", "/tekton/bin"]).shows("error opening"),
        shell(
            "the second copy is a directory",
            "echo out",
            &["-stdout_path=/tekton/logs/a", "-stderr_path", "/tekton/bin"],
        ),
        case(
            "copy made before lookup",
            &["-entrypoint", "no-such-program", "-stdout_path", "/tekton/logs/a"],
        ),
        shell("copy, exit 3", "echo x; exit 3", &["-stdout_path", "/tekton/logs/a"]),
        shell("copy to a full device", "echo x", &["-stdout_path", "/dev/full"]),
        trapped("TERM is passed on", "TERM").act(|pod, child| signal(pod, child, "TERM")),
        trapped("INT is passed on", "INT").act(|pod, child| signal(pod, child, "INT")),
        trapped("HUP is passed on", "HUP").act(|pod, child| signal(pod, child, "HUP")),
        trapped("QUIT is passed on", "QUIT").act(|pod, child| signal(pod, child, "QUIT")),
        trapped("USR1 is passed on", "USR1").act(|pod, child| signal(pod, child, "USR1")),
        trapped("WINCH is passed on", "WINCH").act(|pod, child| signal(pod, child, "WINCH")),
        trapped("a real-time signal is passed on", "40").act(|pod, child| signal(pod, child, "40")),
        shell("TERM kills the command", ": >/tekton/ready; exec sleep 10", &[])
            .act(|pod, child| signal(pod, child, "TERM")),
        shell("TERM kills the command, continue", ": >/tekton/ready; exec sleep 10", &["-on_error=continue"])
            .act(|pod, child| signal(pod, child, "TERM")),
    ]
}
