//! `$(steps.<name>.results.<result>)` in command, environment and when expressions (docs/tekton-contract.md 3.4).

use crate::case::{Case, Stderr, case, probe, shell};

/// The command prints its arguments, each in a line.
fn args(name: &str, args: &[&str]) -> Case {
    let command = ["-entrypoint", "printf", "--", "<%s>\\n"];
    case(name, &[&command[..], args].concat())
}

pub(crate) fn cases() -> Vec<Case> {
    let error = Stderr::Names("Error while substituting step results:");
    // One argument, with a result `r` of the step `prior` and what becomes of it.
    let mut cases: Vec<Case> = [
        ("a string", "$(steps.prior.results.r)", "v", "<v>"),
        ("a string inside text", "a$(steps.prior.results.r)b", "v", "<avb>"),
        ("a string twice", "$(steps.prior.results.r)$(steps.prior.results.r)", "v", "<vv>"),
        ("a string with a line end", "$(steps.prior.results.r)", "v\n", "<v"),
        ("a string that is empty", "$(steps.prior.results.r)", "", "<>"),
        ("a string in quotes", "$(steps.prior.results.r)", "\"v\\n\"", "<v"),
        ("a string null", "$(steps.prior.results.r)", "null", "<>"),
        ("a string true", "$(steps.prior.results.r)", "true", "<true>"),
        ("a string with empty brackets", "$(steps.prior.results.r[])", "v", "<v>"),
        ("a string with quotes in it", "$(steps.prior.results.r)", "a'b\"$HOME `x`", "<a'b\"$HOME `x`>"),
        ("a string that looks like an array", "$(steps.prior.results.r)", " [\"a\"]", "< [\"a\"]>"),
        (
            "a string that holds its own reference",
            "$(steps.prior.results.r)",
            "$(steps.prior.results.r)",
            "$(steps",
        ),
        ("a string of an array", "x$(steps.prior.results.r)y", r#"["a","b"]"#, "<xy>"),
        ("a string of an object", "x$(steps.prior.results.r)y", r#"{"k":"v"}"#, "<xy>"),
        ("an array of numbers is a string", "$(steps.prior.results.r)", "[1]", "<[1]>"),
        ("a list", "$(steps.prior.results.r[*])", r#"["a","b c",""]"#, "<a>\n<b c>\n<>"),
        ("a list of one", "$(steps.prior.results.r[*])", r#"["a"]"#, "<a>"),
        ("an empty list", "$(steps.prior.results.r[*])", "[]", "<>"),
        ("a list of a string", "$(steps.prior.results.r[*])", "v", "<>"),
        ("a list of an object", "$(steps.prior.results.r[*])", r#"{"k":"v"}"#, "<>"),
        ("a list with null", "$(steps.prior.results.r[*])", r#"["a",null]"#, "<a>\n<>"),
        ("the first element", "$(steps.prior.results.r[0])", r#"["a","b"]"#, "<a>"),
        ("the second element inside text", "x$(steps.prior.results.r[1])y", r#"["a","b"]"#, "<xby>"),
        ("an element with zeros before", "$(steps.prior.results.r[001])", r#"["a","b"]"#, "<b>"),
        ("an element and a star", "$(steps.prior.results.r[1*])", r#"["a","b"]"#, "<a>"),
        ("a key", "$(steps.prior.results.r.k)", r#"{"k":"v","l":"w"}"#, "<v>"),
        ("a key that is not there", "x$(steps.prior.results.r.m)y", r#"{"k":"v"}"#, "<xy>"),
        ("a key of an array", "x$(steps.prior.results.r.k)y", r#"["k"]"#, "<xy>"),
        ("a key of a string", "x$(steps.prior.results.r.k)y", "v", "<xy>"),
        ("a key with an index", "x$(steps.prior.results.r.k[0])y", r#"{"k":"v","k[0]":"w"}"#, "<x"),
        ("an unfinished reference", "$(steps.prior.results.r", "v", "<$(steps.prior.results.r>"),
        ("a reference over two lines", "$(steps.prior\n.results.r)", "v", "<$(steps.prior\n.results.r>"),
        ("a reference with a space", "$( steps.prior.results.r)", "v", "<$( steps.prior.results.r)>"),
        ("a reference in braces", "${steps.prior.results.r}", "v", "<${steps.prior.results.r}>"),
        ("a reference in a reference", "$($(steps.prior.results.r))", "v", "<$(v)>"),
    ]
    .into_iter()
    .map(|(name, arg, value, shows)| {
        args(&format!("reference: {name}"), &[arg]).result("r", value).shows(shows.trim_end_matches('>'))
    })
    .collect();
    cases.extend([
        args("reference: bytes", &["$(steps.prior.results.r)"]).result("r", b"a\xff\xe2\x80b"),
        args("reference: bytes in a JSON string", &["$(steps.prior.results.r)"])
            .result("r", b"\"a\xff\xe2\x80b\\ud800\""),
        args("reference: NUL", &["$(steps.prior.results.r)"])
            .result("r", "a\0b")
            .stderr(Stderr::Names("invalid argument")),
        args("reference: two results", &["$(steps.prior.results.a)-$(steps.prior.results.b)"])
            .result("a", "A")
            .result("b", "B")
            .shows("<A-B>"),
        args(
            "reference: a value that holds a later reference",
            &["$(steps.prior.results.a)-$(steps.prior.results.b)"],
        )
        .result("a", "$(steps.prior.results.b)")
        .result("b", "B")
        .shows("<B-B>"),
        args(
            "reference: a value that holds an earlier reference",
            &["$(steps.prior.results.a)-$(steps.prior.results.b)"],
        )
        .result("a", "A")
        .result("b", "$(steps.prior.results.a)")
        .shows("<A-$(steps.prior.results.a)>"),
        args("reference: a list between arguments", &["x", "$(steps.prior.results.l[*])", "y"])
            .result("l", r#"["a","b"]"#)
            .shows("<x>\n<a>\n<b>\n<y>"),
        args(
            "reference: a list inside text",
            &["x", "y$(steps.prior.results.l[*])", "$(steps.prior.results.l[0])"],
        )
        .result("l", r#"["a","b"]"#)
        .stderr(error),
        args("reference: an index beyond the end", &["$(steps.prior.results.l[2])"])
            .result("l", r#"["a","b"]"#)
            .stderr(Stderr::Names("index out of range"))
            .shows("exit 2"),
        args("reference: an index of an empty list", &["$(steps.prior.results.l[0])"])
            .result("l", "[]")
            .stderr(Stderr::Names("index out of range"))
            .shows("exit 2"),
        args("reference: an index of a string", &["$(steps.prior.results.l[0])"])
            .result("l", "v")
            .stderr(Stderr::Names("index out of range"))
            .shows("exit 2"),
        args("reference: an index beyond all numbers", &["$(steps.prior.results.l[99999999999999999999])"])
            .result("l", r#"["a"]"#)
            .stderr(Stderr::Names("index out of range"))
            .shows("exit 2"),
        args("reference: an index that is no number", &["$(steps.prior.results.l[x])"])
            .result("l", r#"["a"]"#)
            .stderr(Stderr::Names("failed to find replacement for $(steps.prior.results.l[x])"))
            .shows("<$(steps.prior.results.l[x])>"),
        args("reference: no such result", &["$(steps.prior.results.none)", "$(steps.prior.results.a)"])
            .result("a", "A")
            .stderr(error)
            .shows("<$(steps.prior.results.none)>\n<$(steps.prior.results.a)>"),
        args("reference: no such step", &["$(steps.nobody.results.a)"])
            .stderr(error)
            .shows("<$(steps.nobody.results.a)>"),
        args("reference: a result that is a directory", &["$(steps.prior.results.a)"])
            .result("a/b", "")
            .stderr(error)
            .shows("<$("),
        args("reference: a name with a point", &["$(steps.prior.results.a.b.c)"])
            .result("a.b.c", "v")
            .stderr(error),
        args("reference: a step with a point", &["$(steps.pri.or.results.a)"]).stderr(error),
        args("reference: three parts", &["$(steps.results.a)"]).shows("<$(steps.results.a)>"),
        args("reference: no result name", &["$(steps.prior.results.)"]).prior().stderr(error),
        args("reference: up and out", &["$(steps.prior.results.x/../../../../../results/f)"])
            .result("x/y", "")
            .file("results/f", "v")
            .stderr(error),
        args("reference: through a link", &["$(steps.prior.results.a)"])
            .result("b", "v")
            .link("run/1/status/results/a", "/tekton/run/1/status/results/b")
            .shows("<v>"),
        case("reference: the program", &["-entrypoint", "$(steps.prior.results.p)", "--", "x"])
            .result("p", "echo")
            .shows("x"),
        case("reference: the program is a list", &["-entrypoint", "$(steps.prior.results.p[*])", "--", "z"])
            .result("p", r#"["echo","x","y"]"#)
            .shows("x y z"),
        case("reference: no program is left", &["-entrypoint", "$(steps.prior.results.p)"]).result("p", ""),
        shell("reference: in a script argument", "echo \"$(steps.prior.results.a)\"", &[])
            .result("a", "$(echo hello)")
            .shows("hello"),
        shell("reference: not in a script's file", "cat /tekton/s", &[])
            .file("s", "$(steps.prior.results.a)")
            .result("a", "v")
            .shows("$(steps.prior.results.a)"),
        probe("reference: in the environment", &[])
            .env("A", "x$(steps.prior.results.a)y")
            .result("a", "v")
            .shows("\nA=xvy"),
        probe("reference: a list in the environment", &[])
            .env("A", "x$(steps.prior.results.l[*])y")
            .result("l", r#"["a"]"#)
            .shows("\nA=xy"),
        probe("reference: an element in the environment", &[])
            .env("A", "$(steps.prior.results.l[1])")
            .result("l", r#"["a","b"]"#)
            .shows("\nA=b"),
        probe("reference: a variable's name", &[]).env("$(steps.prior.results.a)", "x").result("a", "v"),
        probe("reference: a NUL in the environment", &[])
            .env("A", "$(steps.prior.results.a)")
            .result("a", "v\0w"),
        case("reference: PATH", &["-entrypoint", "probe"])
            .env("PATH", "$(steps.prior.results.p):/usr/bin:/bin")
            .result("p", "/tekton/bin")
            .shows("\n/tekton/bin/probe\n"),
        args("reference: an error in the environment leaves the arguments", &["$(steps.prior.results.a)"])
            .env("A", "$(steps.prior.results.none)")
            .result("a", "v")
            .stderr(error)
            .shows("<$(steps.prior.results.a)>"),
        probe("reference: an error in the arguments keeps the environment", &[])
            .args(&[b"$(steps.prior.results.none)"])
            .env("A", "$(steps.prior.results.a)")
            .result("a", "v")
            .stderr(error)
            .shows("\nA=v"),
        case(
            "reference: not after a negative timeout",
            &["-timeout=-1s", "-entrypoint=echo", "--", "$(steps.prior.results.none)"],
        )
        .prior()
        .shows("negative timeout"),
        shell(
            "reference: flags are left alone",
            "echo x",
            &["-stdout_path", "/tekton/$(steps.prior.results.a)"],
        )
        .result("a", "v")
        .shows("tekton/$(steps.prior.results.a)"),
        shell(
            "reference: from step to step",
            "printf v >/tekton/steps/step-one/results/r",
            &["-step_results=r"],
        )
        .link("steps/step-one", "/tekton/run/0/status")
        .then("echo got $(steps.one.results.r)", &[])
        .shows("got v"),
        shell(
            "reference: to a failed step's result",
            "printf v >/tekton/steps/step-one/results/r; exit 3",
            &["-on_error=continue"],
        )
        .link("steps/step-one", "/tekton/run/0/status")
        .then("echo got $(steps.one.results.r)", &[])
        .shows("got v"),
        shell("reference: to oneself", "echo got $(steps.one.results.r)", &[])
            .link("steps/step-one", "/tekton/run/0/status")
            .file("run/0/status/results/r", "v")
            .shows("got v"),
    ]);
    cases
}
