//! Each case is run through Tekton's own entrypoint and ours, and everything a pod can see of it is compared.
//!
//! Not compared, because they differ on purpose (design section 4): what a user process wrote into the termination file
//! (4.3), the post file after early failures, which Tekton does not write (4.4), and the `.err` in place of the plain post file
//! where collecting the results fails (4.1: Tekton has posted by then).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

mod step_pod;
use step_pod::{As, OURS, Pod, Ran, available, finish, tekton, untimed, usual};

/// What is compared of stderr.
#[derive(Clone, Copy, PartialEq)]
enum Stderr {
    /// Nothing: its text is not ours, or other things are logged.
    Free,
    /// The last line, without the time.
    Last,
    /// All of it, without times: flag errors with their usage text.
    All,
}

struct Case {
    name: &'static str,
    args: Vec<Vec<u8>>,
    env: Vec<(&'static str, &'static str)>,
    prepare: fn(&Pod),
    stderr: Stderr,
    /// False where the post file differs on purpose.
    post: bool,
    run_as: As,
}

fn case(name: &'static str, args: &[&str]) -> Case {
    let args = usual(args).into_iter().map(|arg| arg.as_bytes().to_vec()).collect();
    Case { name, args, env: vec![], prepare: |_| {}, stderr: Stderr::Last, post: true, run_as: As::Process }
}

/// A case with exactly these arguments.
fn bare(name: &'static str, args: &[&str]) -> Case {
    Case { args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(), ..case(name, &[]) }
}

fn sh<'a>(script: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [flags, &["-entrypoint", "/bin/sh", "--", "-c", script]].concat()
}

fn shell(name: &'static str, script: &str, flags: &[&str]) -> Case {
    case(name, &sh(script, flags))
}

impl Case {
    fn env(mut self, name: &'static str, value: &'static str) -> Case {
        self.env.push((name, value));
        self
    }
    fn prepare(mut self, prepare: fn(&Pod)) -> Case {
        self.prepare = prepare;
        self
    }
    fn stderr(mut self, stderr: Stderr) -> Case {
        self.stderr = stderr;
        self
    }
    fn posts_otherwise(mut self) -> Case {
        self.post = false;
        self
    }
    fn first(mut self) -> Case {
        self.run_as = As::First;
        self
    }
    fn args(mut self, args: &[&[u8]]) -> Case {
        self.args.extend(args.iter().map(|arg| arg.to_vec()));
        self
    }
}

/// Everything compared, as text.
fn observe(case: &Case, program: &str) -> String {
    let pod = Pod::new();
    (case.prepare)(&pod);
    let args: Vec<&OsStr> = case.args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
    let ran: Ran =
        finish(pod.command(Path::new(program), &args, case.run_as).envs(case.env.clone()).spawn().unwrap());
    let mut seen = format!("status: {}\nstdout: {:?}\n", ran.status, String::from_utf8_lossy(&ran.stdout));
    match case.stderr {
        Stderr::Free => {}
        Stderr::Last => seen += &format!("stderr: {}\n", ran.last_line()),
        Stderr::All => {
            for line in ran.stderr.lines() {
                seen += &format!("stderr: {}\n", untimed(line).replace(program, "PROGRAM"));
            }
        }
    }
    seen += &format!("message: {:?}\n", pod.message());
    if case.post {
        for file in ["run/0/out", "run/0/out.err", "run/0/status/exitCode"] {
            seen += &format!("{file}: {:?}\n", pod.read(file));
        }
    }
    seen += &tree(&pod.path("steps"));
    seen += &tree(&pod.path("bin"));
    seen += &tree(&pod.path("logs"));
    seen += &tree(&pod.path("run/0/status"));
    seen
}

/// Names, modes, link targets and contents below a folder.
fn tree(folder: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let mut seen = String::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return seen };
    let mut entries: Vec<_> = entries.map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name() == "exitCode" {
            continue;
        }
        let what = match std::fs::read_link(entry.path()) {
            Ok(target) => format!("-> {}", target.display()),
            Err(_) => {
                let mode = entry.metadata().unwrap().permissions().mode();
                format!(
                    "{mode:o} {:?}",
                    std::fs::read(entry.path()).map(|raw| String::from_utf8_lossy(&raw).into_owned()).ok()
                )
            }
        };
        seen += &format!("{}: {what}\n", entry.file_name().display());
    }
    seen
}

fn compare(test: &str, cases: Vec<Case>) {
    let Some(tekton) = tekton(test) else { return };
    if !available(test) {
        return;
    }
    let mut differences = Vec::new();
    for case in &cases {
        let (theirs, ours) = (observe(case, &tekton), observe(case, OURS));
        if theirs != ours {
            differences.push(format!("== {}\n-- Tekton\n{theirs}-- ours\n{ours}", case.name));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

#[test]
fn command_lines() {
    let all = Stderr::All;
    compare(
        "command_lines",
        vec![
            bare("-h", &["-h"]).stderr(all),
            bare("--help", &["--help"]).stderr(all),
            bare("unknown flag", &["-nope"]).stderr(all),
            bare("unknown flag with a value", &["--nope=1"]).stderr(all),
            bare("flag that the README misnames", &["-wait_file_contents"]).stderr(all),
            bare("three dashes", &["---x"]).stderr(all),
            bare("dash equals", &["-=x"]).stderr(all),
            bare("value missing", &["-entrypoint"]).stderr(all),
            bare("-- eats the value", &["-entrypoint", "--", "x"]).stderr(all),
            bare("bad boolean", &["-wait_file_content=yes"]).stderr(all),
            bare("empty boolean", &["-wait_file_content="]).stderr(all),
            bare("bad boolean, quoted", &[]).args(&[b"-enable_spire=a\"\\\n\x01\xff\xc2\xad"]).stderr(all),
            bare("bad duration", &["-timeout", "5"]).stderr(all),
            bare("empty duration", &["-timeout="]).stderr(all),
            bare("duration without number", &["-timeout", "s"]).stderr(all),
            bare("duration overflow", &["-timeout", "9223372036854775808ns"]).stderr(all),
            bare("-h after a flag", &["-wait_file_content", "-h"]).stderr(all),
            bare("positionals are dropped", &["-entrypoint", "echo", "foo", "bar", "--", "baz"]),
            bare("no arguments for the program", &["-entrypoint", "echo", "foo"]),
            bare("a second -- is kept", &["--entrypoint=echo", "--", "a", "--", "b"]),
            bare("last one wins", &["-entrypoint", "false", "-entrypoint", "echo", "--", "last"]),
            bare("a lone dash is a positional", &["-entrypoint", "echo", "-", "-nope", "--", "x"]),
            bare(
                "boolean takes no argument",
                &["-entrypoint", "echo", "-wait_file_content", "false", "-nope", "--", "x"],
            ),
            bare(
                "boolean forms",
                &["-wait_file_content=T", "-wait_file_content=0", "-entrypoint", "echo", "--", "x"],
            ),
            bare("a flag as a value", &["-results", "-entrypoint", "-entrypoint=echo", "--", "x"]),
            bare(
                "durations",
                &["-timeout", "1h2m3.5s4ms5us6µs7ns", "-timeout=+0", "-entrypoint", "echo", "--", "x"],
            ),
            bare("empty when", &["-when_expressions", "[]", "-entrypoint", "echo", "--", "x"]),
            bare("null when", &["--when_expressions=null", "-entrypoint", "echo", "--", "x"]),
            bare("bytes in arguments", &["-entrypoint", "printf", "--", "%s"]).args(&[b"\xff\xfe"]),
            // The text differs: taking the command from TEKTON_PLATFORM_COMMANDS is a later version's.
            bare("no arguments", &[]).stderr(Stderr::Free),
            bare("-- first", &["--", "-entrypoint", "/bin/true"]).stderr(Stderr::Free),
            bare("wrong count of a subcommand", &["cp", "a"]).stderr(Stderr::Free),
        ],
    );
}

#[test]
fn subcommands() {
    let all = Stderr::All;
    let image = |pod: &Pod| pod.write("image/entrypoint", "binary");
    compare(
        "subcommands",
        vec![
            bare(
                "init",
                &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint", "step-a", "step-unnamed-2"],
            )
            .prepare(image)
            .stderr(all),
            bare("init without steps", &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint"])
                .prepare(image)
                .stderr(all),
            bare("init again", &["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint", "step-a"])
                .prepare(|pod| {
                    pod.write("image/entrypoint", "new");
                    pod.write("bin/entrypoint", "longer than new");
                    std::os::unix::fs::symlink("/stale", pod.path("steps/step-a")).unwrap();
                })
                .stderr(all),
            bare("init, source missing", &["init", "/tekton/none", "/tekton/bin/entrypoint", "step-a"])
                .stderr(all),
            bare("init, nowhere to copy to", &["init", "/bin/true", "/tekton/none/entrypoint"]).stderr(all),
            // The text depends on how the kernel copies.
            bare("init, source is a directory", &["init", "/tekton/bin", "/tekton/bin/x"])
                .stderr(Stderr::Free),
            bare(
                "init, bad step name",
                &["init", "/tekton/image/entrypoint", "/tekton/bin/e", "no/such/dir"],
            )
            .prepare(image)
            .stderr(all),
            bare(
                "cp wins over -entrypoint",
                &["-entrypoint", "/bin/false", "cp", "/tekton/image/entrypoint", "/tekton/bin/e"],
            )
            .prepare(image)
            .stderr(all),
            bare("cp with command", &["cp", "/tekton/image/entrypoint", "/tekton/bin/e", "--", "x"])
                .prepare(image)
                .stderr(all),
            bare("step-init", &["step-init", "step-a", "step-b"]).stderr(all),
            bare("step-init without steps", &["step-init"]).stderr(all),
            bare("step-init, steps is a file", &["step-init", "step-a"])
                .prepare(|pod| {
                    std::fs::remove_dir(pod.path("steps")).unwrap();
                    pod.write("steps", "");
                })
                .stderr(all),
            bare("decode-script", &["decode-script", "/tekton/bin/s"])
                .prepare(|pod| pod.write("bin/s", "aGVs\nbG9=\n"))
                .stderr(all),
            bare("decode-script, empty", &["decode-script", "/tekton/bin/s"])
                .prepare(|pod| pod.write("bin/s", ""))
                .stderr(all),
            bare("decode-script, not base64", &["decode-script", "/tekton/bin/s"])
                .prepare(|pod| pod.write("bin/s", "aGVs bG8="))
                .stderr(all),
            bare("decode-script, no padding", &["decode-script", "/tekton/bin/s"])
                .prepare(|pod| pod.write("bin/s", "aGVsbG8"))
                .stderr(all),
            bare("decode-script, garbage after", &["decode-script", "/tekton/bin/s"])
                .prepare(|pod| pod.write("bin/s", "aGVsbG8=\nx"))
                .stderr(all),
            bare("decode-script, missing", &["decode-script", "/tekton/bin/none"]).stderr(all),
            bare("decode-script, directory", &["decode-script", "/tekton/bin"]).stderr(all),
        ],
    );
}

#[test]
fn lives() {
    compare(
        "lives",
        vec![
            shell("success", "echo out; echo err >&2", &[]),
            shell("exit 7", "exit 7", &[]),
            shell("exit 7, continue", "exit 7", &["-on_error", "continue"]),
            shell("exit 7, on_error garbage", "exit 7", &["-on_error", "Continue"]),
            shell("killed", "kill -KILL $$", &[]),
            shell("killed, continue", "kill -TERM $$", &["-on_error", "continue"]),
            shell("killed by a real-time signal", "kill -40 $$", &[]),
            shell("exit 137", "exit 137", &[]),
            shell("timeout", "exec sleep 10", &["-timeout", "100ms"]),
            shell("timeout, continue", "exec sleep 10", &["-timeout", "100ms", "-on_error", "continue"]),
            shell("negative timeout", "echo never", &["-timeout=-1s", "-on_error=continue"]),
            shell("cancelled at once", "exec sleep 10", &["-on_error", "continue"])
                .prepare(|pod| pod.write("downward/cancel", "cancel")),
            shell("empty cancel file", "exit 0", &[]).prepare(|pod| pod.write("downward/cancel", "")),
            shell("no metadata flag value", "pwd >/dev/null", &[]).env("HOME", "/"),
            case("not found", &["-entrypoint", "no-such-program"]),
            case("not found, quoted", &["-entrypoint", "no \"such\" program"]),
            case("no PATH", &["-entrypoint", "true"]).env("PATH", ""),
            case("relative PATH", &["-entrypoint", "here"]).env("PATH", "tekton/bin").prepare(executable),
            case("dot", &["-entrypoint", ".."]),
            case("file missing", &["-entrypoint", "/no/such"]),
            case("not executable", &["-entrypoint", "/tekton/bin/plain"])
                .prepare(|pod| pod.write("bin/plain", "x")),
            case("directory", &["-entrypoint", "/tekton"]),
            case("no shebang", &["-entrypoint", "/tekton/bin/here"]).prepare(executable),
            case("start failure, continue", &["-entrypoint", "/no/such", "-on_error", "continue"]),
            shell("argv and environment", "echo \"$0\" \"$A\"; env | grep -v '^_='", &[]).env("A", "b c"),
            shell("stdin, group", "readlink /proc/self/fd/0; test $(ps -o pgid= $$) = $$ && echo own", &[]),
            // The last seven digits are signals 1 to 28; what a C library does with its own (32, 33) is its affair.
            case(
                "signals",
                &["-entrypoint=awk", "--", "/^Sig[BIC]/ { print $1, substr($2, 10) }", "/proc/self/status"],
            ),
            shell(
                "copies",
                "echo out; echo err >&2",
                &["-stdout_path", "/tekton/logs/a", "-stderr_path", "/tekton/logs/b"],
            ),
            shell(
                "one copy for both",
                "echo out",
                &["-stdout_path", "/tekton/logs/a", "-stderr_path", "/tekton/logs/a"],
            )
            .prepare(|pod| pod.write("logs/a", "before\n")),
            shell("copy cannot be made", "echo out", &["-stdout_path", "/tekton/termination/x/y"])
                .stderr(Stderr::Free),
            shell("copy is a directory", "echo out", &["-stdout_path", "/tekton/bin"]),
            case(
                "copy made before lookup",
                &["-entrypoint", "no-such-program", "-stdout_path", "/tekton/logs/a"],
            ),
            shell("copy, exit 3", "echo x; exit 3", &["-stdout_path", "/tekton/logs/a"]),
            shell("copy to a full device", "echo x", &["-stdout_path", "/dev/full"]),
            shell("as first process", "exit 5", &[]).first(),
            shell("TZ", "true", &[]).env("TZ", ":Asia/Kolkata"),
        ],
    );
}

fn executable(pod: &Pod) {
    use std::os::unix::fs::PermissionsExt as _;
    pod.write("bin/here", "echo hello\n");
    std::fs::set_permissions(pod.path("bin/here"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn waiting() {
    let wait = ["-wait_file", "/tekton/run/1/out"];
    compare(
        "waiting",
        vec![
            shell("already there", "true", &wait).prepare(|pod| pod.write("run/1/out", "")),
            shell("earlier step failed", "true", &wait).prepare(|pod| pod.write("run/1/out.err", "")),
            shell("both are there", "true", &wait).prepare(|pod| {
                pod.write("run/1/out", "");
                pod.write("run/1/out.err", "");
            }),
            shell("content demanded", "true", &[&wait[..], &["-wait_file_content"]].concat())
                .prepare(|pod| pod.write("run/1/out", "ready")),
            shell("empty, and failed", "true", &[&wait[..], &["-wait_file_content"]].concat()).prepare(
                |pod| {
                    pod.write("run/1/out", "");
                    pod.write("run/1/out.err", "");
                },
            ),
            shell("a list with gaps", "true", &["-wait_file", ",/tekton/run/1/out,,/tekton/bin,"])
                .prepare(|pod| pod.write("run/1/out", "")),
            shell("not a directory", "true", &["-wait_file", "/tekton/termination/x"]),
            shell("failed, continue", "true", &[&wait[..], &["-on_error", "continue"]].concat())
                .prepare(|pod| pod.write("run/1/out.err", "")),
            shell("a link to nowhere, and failed", "true", &wait).prepare(|pod| {
                std::os::unix::fs::symlink("/none", pod.path("run/1/out")).unwrap();
                pod.write("run/1/out.err", "");
            }),
        ],
    );
}

#[test]
fn messages() {
    let both = ["-results", "foo,bar", "-step_results", "baz"];
    compare(
        "messages",
        vec![
            shell("results", "cd /tekton; printf a >results/foo; printf 'b\n' >results/bar; printf c >run/0/status/results/baz", &both),
            shell("results of a failure", "printf a >/tekton/results/foo; exit 4", &both),
            shell("results and exit code", "printf a >/tekton/results/foo; exit 4", &[&both[..], &["-on_error=continue"]].concat()),
            shell("results of a timeout", "printf a >/tekton/results/foo; exec sleep 10", &[&both[..], &["-timeout=300ms"]].concat()),
            shell("no results", "true", &both),
            shell("an empty result", ": >/tekton/results/foo", &both),
            shell("first name empty", "printf a >/tekton/results/a", &["-results", ",a", "-step_results", "baz"]),
            shell("gaps", "printf a >/tekton/results/a", &["-results", "b,,a,"]),
            shell("declared twice", "printf a >/tekton/results/a", &["-results", "a,a"]),
            shell(
                "escapes",
                r#"printf 'a<b>&\377\355\240\200\300\200\001\010\014\013\037\177\n\t\r\342\200\250\342\200\251"\\/\342\200' >/tekton/results/foo; printf '\360\237\222' >/tekton/run/0/status/results/baz"#,
                &both,
            ),
            shell("result is a directory", "mkdir /tekton/results/foo", &both).posts_otherwise(),
            shell("too large", "head -c 4097 /dev/zero | tr '\\0' a >/tekton/results/foo", &both).posts_otherwise(),
            shell("just too large", "head -c 4053 /dev/zero | tr '\\0' a >/tekton/results/foo", &both).posts_otherwise(),
            shell("no room for StartedAt", "head -c 4052 /dev/zero | tr '\\0' a >/tekton/results/foo", &both).posts_otherwise(),
            shell("step round too large", "cd /tekton; printf a >results/foo; head -c 4090 /dev/zero | tr '\\0' a >run/0/status/results/baz", &both)
                .posts_otherwise(),
            shell("700 invalid bytes", "head -c 700 /dev/zero | tr '\\0' '\\377' >/tekton/results/foo", &both).posts_otherwise(),
            shell("too large, cancelled", "exec sleep 10", &both)
                .prepare(|pod| {
                    pod.write("results/foo", vec![b'a'; 5000]);
                    pod.write("downward/cancel", "x");
                })
                .posts_otherwise(),
            shell(
                "artifacts",
                "cd /tekton; printf '{\"a\":\"<\\377\\342\\200\"}\\n' >run/0/status/artifacts/provenance.json; printf '{}' >artifacts/provenance.json",
                &both,
            ),
            shell("artifacts and results", "cd /tekton; printf '[\\357\\277\\275]' >artifacts/provenance.json; printf a >results/foo", &both),
            shell("artifacts too large", "cd /tekton; printf a >results/foo; head -c 9999 /dev/zero | tr '\\0' a >artifacts/provenance.json", &both)
                .posts_otherwise(),
            shell("artifact is a directory", "cd /tekton; printf a >results/foo; mkdir artifacts/provenance.json", &both)
                .posts_otherwise(),
            shell("metadata directory cannot be made", "true", &["-step_metadata_dir", "/tekton/termination/x"]).posts_otherwise(),
            shell("termination file cannot be written", "true", &["-termination_path", "/tekton/none/x"]).posts_otherwise(),
            shell("metadata path is cleaned", "printf '{}' >/tekton/run/0/status/artifacts/provenance.json", &["-step_metadata_dir", "/tekton//run/./0/status/"]),
        ],
    );
}
