//! The command, also by platform (docs/tekton-contract.md 1.5).

use crate::case::{Case, Stderr, case, shell};

pub(crate) fn cases() -> Vec<Case> {
    let commands =
        |name: &str, json: &str, args: &[&str]| case(name, args).env("TEKTON_PLATFORM_COMMANDS", json);
    let echo = ["--", "a", "b"];
    let exact = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64/v8" } else { "amd64" });
    let none = "could not find command for platform";
    vec![
        commands("for this platform", &format!(r#"{{"{exact}":["echo","x"]}}"#), &echo).shows("x a b"),
        commands("for linux", r#"{"linux":["echo","x"],"linux/arm":["false"]}"#, &echo).shows("x a b"),
        commands(
            "for this platform before linux",
            &format!(r#"{{"linux":["false"],"{exact}":["echo"]}}"#),
            &echo,
        ),
        commands("for another platform", r#"{"windows/amd64":["echo"]}"#, &echo)
            .shows("exit 1")
            .stderr(Stderr::Names(none)),
        commands("for no platform", "{}", &echo).stderr(Stderr::Names(none)),
        commands("null for platforms", "null", &echo).stderr(Stderr::Names(none)),
        commands("an empty command list", r#"{"linux":[]}"#, &["--", "echo", "from the arguments"])
            .shows("from the arguments"),
        commands("a null command list", r#"{"linux":null}"#, &["--", "echo", "from the arguments"])
            .shows("from the arguments"),
        commands("nothing to run", r#"{"linux":[]}"#, &[]).shows("exit 0"),
        commands("nothing to run, with results", r#"{"linux":[]}"#, &["-results", "foo"])
            .file("results/foo", "v"),
        commands("an empty command name", r#"{"linux":[""]}"#, &[]),
        commands("a null command name", r#"{"linux":[null,"x"]}"#, &[]),
        commands("commands that are no JSON", "{", &echo)
            .stderr(Stderr::Names("unexpected end of JSON input")),
        commands("commands of the wrong kind", r#"{"linux":"echo"}"#, &echo)
            .stderr(Stderr::Names("cannot unmarshal string")),
        commands("a command argument of the wrong kind", r#"{"linux":["echo",1]}"#, &echo)
            .stderr(Stderr::Names("cannot unmarshal number")),
        commands("text after the commands", r#"{"linux":["echo"]} x"#, &echo)
            .stderr(Stderr::Names("invalid character 'x' after top-level value")),
        commands("platforms in capitals", r#"{"LINUX":["echo"]}"#, &echo).stderr(Stderr::Names(none)),
        commands("a platform twice", r#"{"linux":["false"],"linux":["echo","second"]}"#, &echo)
            .shows("second a b"),
        shell("-entrypoint before the platform's", "echo flag", &[])
            .env("TEKTON_PLATFORM_COMMANDS", "not looked at")
            .shows("flag"),
        case("no commands for platforms", &["--", "a"]).stderr(Stderr::Names("unexpected end of JSON input")),
    ]
}
