//! Flags, and the cut at `--` (docs/tekton-contract.md 1.1 to 1.3).

use crate::case::{Case, Stderr, bare, case};

pub(crate) fn cases() -> Vec<Case> {
    let refused = |name: &str, args: &[&str]| bare(name, args).stderr(Stderr::All);
    // Without -entrypoint the command is looked for elsewhere, and there is none.
    let without_command = |name: &str, args: &[&str]| {
        bare(name, args).shows("exit 1").stderr(Stderr::Names("unexpected end of JSON input"))
    };
    vec![
        refused("-h", &["-h"]),
        refused("--help", &["--help"]),
        refused("unknown flag", &["-nope"]),
        refused("unknown flag with a value", &["--nope=1"]),
        refused("flag that the README misnames", &["-wait_file_contents"]),
        refused("three dashes", &["---x"]),
        refused("dash equals", &["-=x"]),
        refused("value missing", &["-entrypoint"]),
        refused("-- eats the value", &["-entrypoint", "--", "x"]),
        refused("bad boolean", &["-wait_file_content=yes"]),
        refused("empty boolean", &["-wait_file_content="]),
        refused("bad boolean, quoted", &[]).args(&[b"-enable_spire=a\"\\\n\x01\xff\xc2\xad"]),
        refused("bad duration", &["-timeout", "5"]),
        refused("empty duration", &["-timeout="]),
        refused("duration without number", &["-timeout", "s"]),
        refused("duration overflow", &["-timeout", "9223372036854775808ns"]),
        refused("duration with a space", &["-timeout", "1 s"]),
        refused("duration of an unknown unit", &["-timeout", "1d"]),
        refused("duration with two points", &["-timeout", "1.2.3s"]),
        refused("duration of a sign only", &["-timeout=-"]),
        refused("duration of a point only", &["-timeout", ".s"]),
        refused("-h after a flag", &["-wait_file_content", "-h"]),
        refused("--h=1", &["--h=1"]),
        refused("an empty name with a value", &["--=x"]),
        refused(
            "an error after good flags",
            &["-entrypoint", "echo", "-on_error=continue", "-nope", "--", "x"],
        ),
        refused("a post file, then an unknown flag", &["-post_file", "/tekton/run/0/out", "-nope"]),
        refused("an unknown flag, then a post file", &["-nope", "-post_file", "/tekton/run/0/out"]),
        refused("a post file, then -h", &["-post_file", "/tekton/run/0/out", "-h"]),
        bare("positionals are dropped", &["-entrypoint", "echo", "foo", "bar", "--", "baz"]).shows("baz"),
        bare("no arguments for the program", &["-entrypoint", "echo", "foo"]),
        bare("a second -- is kept", &["--entrypoint=echo", "--", "a", "--", "b"]).shows("a -- b"),
        bare("last one wins", &["-entrypoint", "false", "-entrypoint", "echo", "--", "last"]).shows("last"),
        bare("a lone dash is a positional", &["-entrypoint", "echo", "-", "-nope", "--", "x"]).shows("x"),
        bare("an empty argument is a positional", &["-entrypoint", "echo", "", "-nope", "--", "x"])
            .shows("x"),
        bare(
            "boolean takes no argument",
            &["-entrypoint", "echo", "-wait_file_content", "false", "-nope", "--", "x"],
        ),
        bare(
            "boolean forms",
            &["-wait_file_content=T", "-wait_file_content=0", "-entrypoint", "echo", "--", "x"],
        ),
        bare("a flag as a value", &["-results", "-entrypoint", "-entrypoint=echo", "--", "x"]).shows("x"),
        bare(
            "durations",
            &["-timeout", "1h2m3.5s4ms5us6µs7ns", "-timeout=+0", "-entrypoint", "echo", "--", "x"],
        ),
        bare("a duration in Greek", &["-timeout", "900000000μs", "-entrypoint", "echo", "--", "x"])
            .shows("x"),
        bare("a value with an equals sign", &["-entrypoint=echo", "-results=a=b", "--", "x"]).shows("x"),
        bare("bytes in arguments", &["-entrypoint", "printf", "--", "%s"]).args(&[b"\xff\xfe"]),
        bare("an empty command argument", &["-entrypoint", "printf", "--", "<%s>", "", "a"]).shows("<><a>"),
        bare("the last -- is an argument", &["-entrypoint", "echo", "--", "--"]).shows("--"),
        case("only one step result name", &["-entrypoint", "true", "-step_results="]),
        case(
            "signing without an address",
            &["-enable_spire", "-spire_socket_path=", "-results=foo", "-entrypoint", "true"],
        )
        .file("results/foo", "v"),
        without_command("no arguments", &[]),
        without_command("-- first", &["--", "-entrypoint", "/bin/true"]),
        without_command("only a post file", &["-post_file", "/tekton/run/0/out"]),
        without_command("-- first, with arguments", &["--", "a", "--", "b"]),
    ]
}
