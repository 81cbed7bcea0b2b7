//! `$(steps.<name>.outputs.<artifact>)` and `.inputs` in command, environment and scripts (docs/tekton-contract.md 3.5).

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::case::{Case, Stderr, case, probe, shell};

const PROVENANCE: &str = "run/1/status/artifacts/provenance.json";
const USUAL: &str = r#"{"inputs":[{"name":"src","values":[{"uri":"git:x","digest":{"sha1":"a1"}}]}],
    "outputs":[{"name":"img","buildOutput":true,"values":[{"digest":{"sha256":"b2","md5":"c3"},"uri":"pkg:<&>"}]},{"name":"img","values":[]}]}"#;
const IMAGE: &str = r#"[{"digest":{"md5":"c3","sha256":"b2"},"uri":"pkg:\u003c\u0026\u003e"}]"#;

/// The command prints one argument.
fn arg(name: &str, arg: &str, provenance: &str) -> Case {
    case(&format!("artifact: {name}"), &["-entrypoint", "printf", "--", "<%s>\\n", arg])
        .prior()
        .file(PROVENANCE, provenance)
}

/// The command is a script file of the controller's.
fn script(name: &str, content: &str) -> Case {
    case(&format!("artifact: {name}"), &["-entrypoint", "/tekton/scripts/s"])
        .prior()
        .file(PROVENANCE, USUAL)
        .file("scripts/s", content)
        .prepare(|pod| {
            fs::set_permissions(pod.path("scripts/s"), fs::Permissions::from_mode(0o755)).unwrap();
        })
}

pub(crate) fn cases() -> Vec<Case> {
    let unfound =
        Stderr::Names("failed to find replacement for $(steps.prior.outputs.$(steps.prior.results.a)");
    let error = Stderr::Names("Error while substituting step artifacts:");
    let image = "$(steps.prior.outputs.img)";
    let mut cases: Vec<Case> = [
        ("an output", image, USUAL, IMAGE),
        ("an input", "$(steps.prior.inputs.src)", USUAL, r#"<[{"digest":{"sha1":"a1"},"uri":"git:x"}]>"#),
        (
            "inside text, twice",
            "a$(steps.prior.inputs.src)b$(steps.prior.inputs.src)",
            USUAL,
            r#"<a[{"digest""#,
        ),
        ("two of them", "$(steps.prior.inputs.src)$(steps.prior.outputs.img)", USUAL, r#"git:x"}][{"digest"#),
        (
            "names in capitals",
            image,
            r#"{"OUTPUTS":[{"Name":"img","Values":[{"URI":"x"}],"more":1}]}"#,
            r#"<[{"uri":"x"}]>"#,
        ),
        ("no values", image, r#"{"outputs":[{"name":"img"}]}"#, "<null>"),
        ("empty values", image, r#"{"outputs":[{"name":"img","values":[]}]}"#, "<[]>"),
        (
            "empty members",
            image,
            r#"{"outputs":[{"name":"img","values":[{"digest":{},"uri":""},null]}]}"#,
            "<[{},{}]>",
        ),
        (
            "a digest without algorithm",
            image,
            r#"{"outputs":[{"name":"img","values":[{"digest":{"":"x"}}]}]}"#,
            r#"{"":"x"}"#,
        ),
        (
            "bytes",
            image,
            "{\"outputs\":[{\"name\":\"img\",\"values\":[{\"uri\":\"\u{2028}\u{7f}\\ud800\"}]}]}",
            "uri",
        ),
        (
            "values before the name",
            image,
            r#"{"outputs":[{"values":[{"uri":"x"}],"name":"img"}]}"#,
            r#"<[{"uri":"x"}]>"#,
        ),
        ("not a reference: dots", "$(steps.prior.outputs.a.b)", USUAL, "<$(steps.prior.outputs.a.b)>"),
        ("not a reference: no name", "$(steps.prior.outputs)", USUAL, "<$(steps.prior.outputs)>"),
        (
            "not a reference: something else",
            "$(steps.prior.others.img)",
            USUAL,
            "<$(steps.prior.others.img)>",
        ),
    ]
    .into_iter()
    .map(|(name, template, provenance, shows)| arg(name, template, provenance).shows(shows))
    .collect();
    cases.extend([
        arg("no such name", "$(steps.prior.outputs.none)", USUAL).stderr(error).shows("<$(steps"),
        arg("no JSON", image, "{").stderr(error).shows("<$(steps"),
        arg("text after the JSON", image, &format!("{USUAL} x")).stderr(error).shows("<$(steps"),
        arg("a list", image, "[]").stderr(error).shows("<$(steps"),
        arg("null", image, "null").stderr(error).shows("<$(steps"),
        arg("a value of the wrong kind", image, r#"{"outputs":[{"name":"img","values":[{"uri":1}]}]}"#).stderr(error).shows("<$(steps"),
        arg("a build output of the wrong kind", image, r#"{"outputs":[{"name":"img","buildOutput":"x"}]}"#).stderr(error),
        case("artifact: no file", &["-entrypoint", "printf", "--", "<%s>\\n", image]).prior().stderr(error).shows("<$(steps"),
        case("artifact: no step", &["-entrypoint", "printf", "--", "<%s>\\n", image]).stderr(error).shows("<$(steps"),
        case("artifact: an error leaves all arguments", &["-entrypoint", "echo", "--", image, "$(steps.prior.outputs.none)"])
            .prior()
            .file(PROVENANCE, USUAL)
            .stderr(error),
        case("artifact: the program", &["-entrypoint", image]).prior().file(PROVENANCE, USUAL),
        probe("artifact: in the environment", &[])
            .prior()
            .file(PROVENANCE, USUAL)
            .env("A", "x$(steps.prior.inputs.src)y")
            .shows(r#"A=x[{"digest":{"sha1":"a1"},"uri":"git:x"}]y"#),
        probe("artifact: an error in the environment", &[])
            .prior()
            .file(PROVENANCE, USUAL)
            .env("A", "$(steps.prior.outputs.none)")
            .stderr(error),
        arg("beside a result", "$(steps.prior.results.a)$(steps.prior.inputs.src)", USUAL).result("a", "v").shows("<v[{"),
        arg("named by a result", "$(steps.prior.outputs.$(steps.prior.results.a))", USUAL).result("a", "img").stderr(unfound),
        arg("a result's error does not stop it", "$(steps.prior.inputs.src)", USUAL)
            .env("A", "$(steps.prior.results.none)")
            .shows("git:x"),
        script("in a script", "#!/bin/sh\necho '$(steps.prior.outputs.img)'\n").shows(IMAGE).shows("tmp/script-*"),
        script("a script without references", "#!/bin/sh\necho plain $0\n").shows("plain /tekton/scripts/s"),
        script("a script without its artifact", "#!/bin/sh\necho '$(steps.prior.outputs.none)'\n").stderr(error),
        script("a script with results is left alone", "#!/bin/sh\necho '$(steps.prior.results.a)'\n").result("a", "v"),
        script("a script with bytes", "#!/bin/sh\nprintf 'a\u{e9}'; echo '$(steps.prior.inputs.src)'\n")
            .prepare(|pod| pod.write("scripts/s", b"#!/bin/sh\nprintf 'a\xe9\xff'; echo '$(steps.prior.inputs.src)'\n"))
            .shows("git:x"),
        script("a script with arguments is left alone", "#!/bin/sh\necho '$(steps.prior.outputs.img)' \"$@\"\n")
            .args(&[b"--", b"$(steps.prior.inputs.src)"])
            .shows("$(steps.prior.outputs.img) [{"),
        script("a script for another folder of scripts", "#!/bin/sh\necho '$(steps.prior.outputs.img)'\n")
            .env("TMPDIR", "/tekton/artifacts")
            .shows(IMAGE),
        case("artifact: no such script", &["-entrypoint", "/tekton/scripts/none"]),
        case("artifact: scripts in a folder below are left alone", &["-entrypoint", "/tekton/scripts/x/s"])
            .prior()
            .file(PROVENANCE, USUAL)
            .file("scripts/x/s", "#!/bin/sh\necho '$(steps.prior.outputs.img)'\n")
            .prepare(|pod| fs::set_permissions(pod.path("scripts/x/s"), fs::Permissions::from_mode(0o755)).unwrap())
            .shows("$(steps.prior.outputs.img)"),
        shell("artifact: from step to step", "printf '{\"outputs\":[{\"name\":\"o\",\"values\":[{\"uri\":\"u\"}]}]}' >/tekton/steps/step-one/artifacts/provenance.json", &[])
            .link("steps/step-one", "/tekton/run/0/status")
            .then("echo '$(steps.one.outputs.o)'", &[])
            .shows(r#"[{"uri":"u"}]"#),
    ]);
    cases
}
