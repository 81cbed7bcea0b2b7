//! The termination message: escaping, limit, and what was in the file before (docs/tekton-contract.md 3.12).

use crate::case::{Case, Stderr, shell};

pub(crate) fn cases() -> Vec<Case> {
    let both = ["-results", "foo,bar", "-step_results", "baz"];
    let of = |name: &str, command: &str| shell(name, &format!("{command} >/tekton/results/foo"), &both);
    let filled = |name: &str, count: usize| of(name, &format!("head -c {count} /dev/zero | tr '\\0' a"));
    let before = |name: &str, content: &str| {
        shell(&format!("before: {name}"), "printf v >/tekton/results/foo", &both).file("termination", content)
    };
    let mut cases = vec![
        of(
            "escapes",
            r#"printf s >/tekton/run/0/status/results/baz; printf 'a<b>&\377\355\240\200\300\200\001\010\014\013\037\177\n\t\r\342\200\250\342\200\251"\\/\342\200'"#,
        ),
        shell(
            "escapes at the end of a step result",
            r"printf '\360\237\222' >/tekton/run/0/status/results/baz",
            &both,
        ),
        of("a byte order mark", r"printf '\357\273\277a'"),
        of("a noncharacter", r"printf '\357\277\276\364\217\277\277\364\220\200\200'"),
        of("JSON in a result", r#"printf '{"a":["\\u00e4",1]}'"#),
        filled("too large", 4097),
        filled("just too large", 4053),
        filled("no room for StartedAt", 4052),
        filled("just room for StartedAt", 3980),
        shell(
            "step round too large",
            "cd /tekton; printf a >results/foo; head -c 4090 /dev/zero | tr '\\0' a >run/0/status/results/baz",
            &both,
        ),
        of("500 invalid bytes", "head -c 500 /dev/zero | tr '\\0' '\\377'"),
        of("700 invalid bytes", "head -c 700 /dev/zero | tr '\\0' '\\377'"),
        of("1400 invalid bytes", "head -c 1400 /dev/zero | tr '\\0' '\\377'"),
        of("1000 angles", "head -c 1000 /dev/zero | tr '\\0' '<'"),
        shell("too large, cancelled", "exec sleep 10", &both)
            .file("results/foo", "a".repeat(5000))
            .file("downward/cancel", "x"),
        shell("too large, exit 3", "exit 3", &both).file("results/foo", "a".repeat(5000)),
        shell("too large, continue", "exit 3", &[&both[..], &["-on_error=continue"]].concat())
            .file("results/foo", "a".repeat(5000)),
        shell("metadata directory cannot be made", "true", &["-step_metadata_dir", "/tekton/termination/x"]),
        shell("termination file cannot be written", "true", &["-termination_path", "/tekton/none/x"])
            .stderr(Stderr::Names("/tekton/none/x: no such file or directory")),
        shell(
            "no termination file yet",
            "printf v >/tekton/results/foo",
            &[&both[..], &["-termination_path=/tekton/termination-new"]].concat(),
        ),
        shell("the termination file is a directory", "true", &["-termination_path=/tekton/bin"])
            .stderr(Stderr::Names("/tekton/bin")),
        shell("the termination file keeps its mode", "true", &[]).prepare(|pod| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(pod.path("termination"), std::fs::Permissions::from_mode(0o600))
                .unwrap();
        }),
        shell("the termination file is removed by the step", "rm /tekton/termination", &[]),
        shell(
            "the termination file is written by the step",
            "echo '[{\"key\":\"foo\",\"value\":\"forged\",\"type\":1}]' >/tekton/termination",
            &both,
        ),
        shell(
            "an exit code written by the step",
            "echo '[{\"key\":\"ExitCode\",\"value\":\"9\",\"type\":3}]' >/tekton/termination; exit 3",
            &["-on_error=continue"],
        ),
    ];
    cases.extend(
        [
            ("nothing", ""),
            ("white space", " \n\t"),
            ("an empty list", "[]"),
            ("an empty list and space", " [] \n"),
            ("null", "null"),
            ("an object", "{}"),
            ("garbage", "garbage{"),
            ("text after", "[] x"),
            ("a wrong value", r#"[{"key":"a","value":5}]"#),
            ("a type with a fraction", r#"[{"key":"a","value":"b","type":1.5}]"#),
            ("damaged compression", "tknz:!!!"),
            ("compressed garbage", "tknz:AAAA"),
            ("a result", r#"[{"key":"a","value":"b","type":1}]"#),
            ("names in capitals", r#"[{"KEY":"a","Value":"b","type":"Nope","extra":1},null,{"key":"x","value":"y","resourceName":"rn","type":0}]"#),
            ("a type by name", r#"[{"key":"a","value":"b","type":"TaskRunResult"}]"#),
            ("an older StartedAt", r#"[{"key":"StartedAt","value":"2020-01-01T00:00:00.000Z","type":3}]"#),
        ]
        .map(|(name, content)| before(name, content)),
    );
    cases.push(
        before(
            "so much that nothing fits",
            &format!(r#"[{{"key":"a","value":"{}","type":1}}]"#, "x".repeat(4040)),
        )
        .shows("above max allowed size"),
    );
    cases
}
