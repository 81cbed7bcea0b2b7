//! svidence as a program among others: help, completion, names of plug-ins, standard input, and output that cannot be written.

use crate::support;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Output, Stdio},
};

use support::command::{path, svidence, svidence_to};

const PROGRAM: &str = env!("CARGO_BIN_EXE_svidence");
const COMMANDS: [&str; 9] =
    ["verify", "inspect", "timestamp", "demo", "config", "controller", "entrypoint", "completion", "version"];

/// Runs a script with svidence, and a kubectl that prints the demo's TaskRun or ConfigMap, on its path.
fn shell(script: &str, folder: &Path) -> Output {
    let programs = folder.join("programs");
    if !programs.exists() {
        fs::create_dir(&programs).unwrap();
        symlink(PROGRAM, programs.join("svidence")).unwrap();
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
        symlink(config, folder.join("config")).unwrap();
        let kubectl = programs.join("kubectl");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *configmap*) cat '{config}/spire/config-spire.yaml';; *patch*) cat;; *) cat demo-files/taskrun.json 2> /dev/null || cat '{}';; esac\n",
            path("taskrun.json")
        );
        fs::write(&kubectl, text).unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    }
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of a help text under `Examples:`.
fn examples(help: &str) -> String {
    let examples = help.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default();
    examples.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_in_help_work_as_pasted() {
    for arguments in [
        vec!["--help"],
        vec!["verify", "--help"],
        vec!["inspect", "--help"],
        vec!["demo", "--help"],
        vec!["config", "--help"],
    ] {
        let ran = svidence(&arguments, "");
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        let script = examples(&ran.out);
        assert!(script.contains("svidence "), "{arguments:?} has no example: {}", ran.out);
        // As they stand in a terminal of the usual width.
        let widest = script.lines().map(str::len).max().unwrap();
        assert!(widest <= 78, "{arguments:?}: {widest} columns: {script}");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(path("bundle.pem"), folder.path().join("bundle.pem")).unwrap();
        let output = shell(&script, folder.path());
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {script}\n{out}{err}");
    }
}

#[test]
fn the_examples_of_a_time_stamp_name_arguments_that_there_are() {
    let script = examples(&svidence(&["timestamp", "--help"], "").out);
    let script = script.replace("\\\n", "");
    let commands: Vec<&str> = script.split("svidence timestamp ").skip(1).collect();
    assert_eq!(commands.len(), 2, "{script}");
    for command in commands {
        let arguments = command.split(['\n', '|']).next().unwrap();
        let mut all = vec!["timestamp"];
        all.extend(arguments.split_whitespace());
        // There is no such file.
        let ran = svidence(&all, "");
        assert_eq!(ran.code, 3, "{arguments}: {}", ran.err);
        assert!(ran.err.contains("tsa.pem"), "{arguments}: {}", ran.err);
    }
}

#[test]
fn help_speaks_of_every_command_in_groups() {
    for command in COMMANDS {
        let ran = svidence(&[command, "--help"], "");
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains("Usage"), "{command}: {}{}", ran.out, ran.err);
    }
    let verify = svidence(&["verify", "--help"], "").out;
    for heading in ["What is trusted:", "Proof of time:", "What is accepted and demanded:", "Reports:"] {
        assert!(verify.contains(heading), "{heading}: {verify}");
    }
    for (command, option) in [("verify", "--jobs"), ("inspect", "--color"), ("inspect", "--output")] {
        let help = svidence(&[command, "--help"], "").out;
        let (general, _) = help.split_once("What is trusted:").unwrap();
        assert!(general.contains(option), "{command} {option} says nothing of trust: {help}");
    }
    let entrypoint = svidence(&["entrypoint", "--help"], "").err;
    for part in ["--root DIR", "--pod-name NAME", "-post_file"] {
        assert!(entrypoint.contains(part), "{part}: {entrypoint}");
    }
}

#[test]
fn help_is_no_wider_than_the_terminal() {
    for columns in [60_usize, 100] {
        let output = Command::new(PROGRAM)
            .arg("verify")
            .arg("--help")
            .env("COLUMNS", columns.to_string())
            .output()
            .unwrap();
        let help = text(&output.stdout);
        let options = help.split_once("Examples:").unwrap().0;
        let widest = options.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns, "{widest} in {columns} columns: {help}");
        assert!(widest + 20 > columns, "{widest} of {columns} columns are used: {help}");
    }
}

#[test]
fn the_version_is_said_in_three_ways() {
    let expected = svidence(&["--version"], "");
    assert_eq!(expected.code, 0);
    assert!(expected.out.starts_with(concat!("svidence ", env!("CARGO_PKG_VERSION"))), "{}", expected.out);
    for arguments in [["version"], ["-V"]] {
        let ran = svidence(&arguments, "");
        assert_eq!((ran.code, ran.out), (0, expected.out.clone()), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn every_shell_gets_a_script_that_knows_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = svidence(&["completion", shell], "");
        assert_eq!(ran.code, 0, "{shell}: {}", ran.err);
        for part in COMMANDS.iter().chain(&["require-result", "trust-domain"]) {
            assert!(ran.out.contains(part), "{shell}: {part} is not in its script");
        }
    }
    assert_eq!(svidence(&["completion", "tcsh"], "").code, 64);
    let folder = tempfile::tempdir().unwrap();
    let script = "source <(svidence completion bash)\nCOMP_WORDS=(svidence ver) COMP_CWORD=1\n_svidence svidence ver svidence\necho \"${COMPREPLY[@]}\"";
    let output = shell(script, folder.path());
    assert_eq!(text(&output.stdout), "verify version\n", "{}", text(&output.stderr));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    let ran = svidence(&["man", pages.to_str().unwrap()], "");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    for name in
        ["svidence.1".to_owned()].into_iter().chain(COMMANDS.map(|command| format!("svidence-{command}.1")))
    {
        let page = fs::read_to_string(pages.join(&name)).expect(&name);
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    assert!(!pages.join("svidence-man.1").exists(), "a hidden command has no page");
}

#[test]
fn a_plug_in_calls_itself_what_its_user_typed() {
    let folder = tempfile::tempdir().unwrap();
    for (link, usage) in [
        ("kubectl-svidence", "Usage: kubectl svidence verify"),
        ("tkn-svidence", "Usage: tkn svidence verify"),
        ("other", "Usage: svidence verify"),
    ] {
        let link = folder.path().join(link);
        symlink(PROGRAM, &link).unwrap();
        let help = Command::new(&link).args(["verify", "--help"]).output().unwrap();
        assert!(text(&help.stdout).contains(usage), "{}: {}", link.display(), text(&help.stdout));
        let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
        let ran = Command::new(&link)
            .args(["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle])
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(0), "{}: {}", link.display(), text(&ran.stderr));
        assert!(text(&ran.stdout).contains("default/build-app\tdigest\t"), "{}", link.display());
    }
}

#[test]
fn standard_input_is_one_of_the_files_that_an_argument_names() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    fs::write(
        &policy,
        "version: 1\nexpires: 2999-01-01T00:00:00Z\nrules: [{namespace: default, taskRun: '*'}]\n",
    )
    .unwrap();
    let policy = policy.to_str().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/spire/config-spire.yaml");
    let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
    let verify = ["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle];
    for (case, arguments, file) in [
        (
            "TaskRuns",
            vec!["verify", "-", "--trust-domain", "example.org", "--bundle", &bundle],
            object.as_str(),
        ),
        ("--bundle", vec!["verify", &object, "--trust-domain", "example.org", "--bundle", "-"], &bundle),
        ("--intermediates", [&verify[..], &["--intermediates", "-"]].concat(), &bundle),
        ("--policy", [&verify[..], &["--policy", "-"]].concat(), policy),
        ("--tsa-certificate", [&verify[..], &["--tsa-certificate", "-"]].concat(), &bundle),
        ("--config", vec!["verify", &object, "--config", "-", "--bundle", &bundle], config),
        ("config", vec!["config", "-"], config),
        ("inspect", vec!["inspect", "-"], &object),
        (
            "inspect --bundle",
            vec!["inspect", &object, "--trust-domain", "example.org", "--bundle", "-"],
            &bundle,
        ),
    ] {
        let ran = svidence(&arguments, fs::read_to_string(file).unwrap());
        assert_eq!(ran.code, 0, "{case}: {}", ran.err);
    }
    for (case, arguments, for_what) in [
        (
            "TaskRuns and bundle",
            vec!["verify", "-", "--trust-domain", "example.org", "--bundle", "-"],
            "--bundle -: standard input is for the TaskRuns already",
        ),
        (
            "bundle twice",
            [&verify[..4], &["--bundle", "-", "--bundle", "-"]].concat(),
            "--bundle -: standard input is for --bundle already",
        ),
        (
            "bundle and policy",
            [&verify[..4], &["--bundle", "-", "--policy", "-"]].concat(),
            "--policy -: standard input is for --bundle already",
        ),
        (
            "TaskRuns and TSA",
            vec!["timestamp", "-", "--tsa", "http://127.0.0.1:1", "--tsa-certificate", "-"],
            "--tsa-certificate -: standard input is for the TaskRuns already",
        ),
    ] {
        let ran = svidence(&arguments, fs::read_to_string(&bundle).unwrap());
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{case}: {}", ran.err);
        assert!(ran.err.contains(for_what), "{case}: {}", ran.err);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_option() {
    let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
    for option in ["--bundle", "--intermediates", "--policy", "--tsa-certificate", "--config"] {
        let mut arguments = vec!["verify", &object, option, "/nowhere.pem"];
        if option != "--bundle" {
            arguments.extend(["--bundle", &bundle]);
        }
        if option != "--config" {
            arguments.extend(["--trust-domain", "example.org"]);
        }
        let ran = svidence(&arguments, "");
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{option}: {}", ran.err);
        assert!(ran.err.contains(&format!("{option} /nowhere.pem: ")), "{option}: {}", ran.err);
    }
}

#[test]
fn what_is_trusted_may_come_from_the_environment() {
    let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/spire/config-spire.yaml");
    let set = [("SVIDENCE_TRUST_DOMAIN", "example.org"), ("SVIDENCE_BUNDLE", bundle.as_str())];
    for (case, variables, arguments, code) in [
        ("both", set.to_vec(), vec!["verify", &object], 0),
        (
            "an option wins",
            vec![("SVIDENCE_TRUST_DOMAIN", "other.test"), set[1]],
            vec!["verify", &object, "--trust-domain", "example.org"],
            0,
        ),
        (
            "a bundle wins",
            vec![set[0], ("SVIDENCE_BUNDLE", "/nowhere")],
            vec!["verify", &object, "--bundle", &bundle],
            0,
        ),
        (
            "--config wins",
            vec![("SVIDENCE_TRUST_DOMAIN", "other.test"), set[1]],
            vec!["verify", &object, "--config", config],
            0,
        ),
        (
            "a wrong one counts",
            vec![("SVIDENCE_TRUST_DOMAIN", "other.test"), set[1]],
            vec!["verify", &object],
            3,
        ),
        ("one alone", vec![set[0]], vec!["verify", &object], 64),
        ("an empty one is none", vec![("SVIDENCE_TRUST_DOMAIN", ""), set[1]], vec!["verify", &object], 64),
        ("inspect needs neither", vec![set[0]], vec!["inspect", &object], 0),
        ("half a demand of inspect", vec![], vec!["inspect", &object, "--bundle", &bundle], 64),
    ] {
        let output = Command::new(PROGRAM).args(arguments).envs(variables).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{case}: {}", text(&output.stderr));
    }
}

#[test]
fn bundles_may_be_several_and_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
    let other = folder.path().join("other");
    assert_eq!(svidence(&["demo", "--keep", other.to_str().unwrap()], "").code, 0);
    let other = at("other/bundle.pem");
    let several = at("several");
    fs::create_dir_all(at("several/sub")).unwrap();
    fs::copy(&bundle, at("several/2025.pem")).unwrap();
    fs::copy(&other, at("several/2026.crt")).unwrap();
    fs::write(at("several/notes.txt"), "not a bundle").unwrap();
    fs::write(at("several/.hidden.pem"), "not looked at").unwrap();
    let broken = at("broken");
    fs::create_dir_all(&broken).unwrap();
    fs::copy(&bundle, at("broken/a.pem")).unwrap();
    fs::write(at("broken/b.pem"), "garbage").unwrap();
    // As a ConfigMap is mounted.
    let mounted = at("mounted");
    fs::create_dir_all(at("mounted/..2026_11_28")).unwrap();
    fs::copy(&bundle, at("mounted/..2026_11_28/bundle.crt")).unwrap();
    symlink("..2026_11_28", at("mounted/..data")).unwrap();
    symlink("..data/bundle.crt", at("mounted/bundle.crt")).unwrap();
    let empty = at("empty");
    fs::create_dir_all(&empty).unwrap();
    for (case, bundles, code, told) in [
        ("twice the same", vec![&bundle, &bundle], 0, ""),
        ("another one first", vec![&other, &bundle], 0, ""),
        ("another one alone", vec![&other], 3, "give the intermediate"),
        ("a folder", vec![&several], 0, "notes.txt is left out: bundles end with .pem"),
        ("folders in it", vec![&several], 0, "sub is left out: folders in the folder are not looked at"),
        ("a mounted ConfigMap", vec![&mounted], 0, ""),
        ("a broken file in a folder", vec![&broken], 3, "b.pem: it is text without PEM or JSON in it"),
        ("an empty folder", vec![&empty], 3, "no bundle in this folder"),
        ("a good one and one that is not there", vec![&bundle, &at("nowhere")], 3, "No such file"),
    ] {
        let mut arguments = vec!["verify", &object, "--trust-domain", "example.org", "-o", "json"];
        arguments.extend(bundles.iter().flat_map(|bundle| ["--bundle", bundle.as_str()]));
        let ran = svidence(&arguments, "");
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(told), "{case}: {}", ran.err);
        assert!(!ran.err.contains("hidden"), "{case}: {}", ran.err);
        if code == 0 {
            let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
            let authority = &report["steps"][0]["authority"];
            let file = authority["file"].as_str().unwrap();
            let expected = if bundles.contains(&&bundle) { bundle.as_str() } else { bundles[0] };
            assert!(file.starts_with(expected), "{case}: {authority}");
            assert!(
                authority["name"].as_str().unwrap().contains("spiffe://example.org"),
                "{case}: {authority}"
            );
        }
    }
}

/// Runs svidence with a closed standard output, and a full one, and standard error alike.
#[test]
fn output_that_cannot_be_written_is_never_exit_0() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = path("bundle.pem");
    let verify = |object: &str, more: &str| {
        format!("svidence verify {} --trust-domain example.org --bundle {bundle} {more}", path(object))
    };
    let object = path("taskrun.json");
    let commands = [
        ("verify", verify("taskrun.json", "")),
        ("verify -o json", verify("taskrun.json", "-o json")),
        ("inspect", format!("svidence inspect {object}")),
        ("inspect -o json", format!("svidence inspect {object} -o json")),
        ("config", "svidence config config/spire/config-spire.yaml".to_owned()),
        ("demo", "svidence demo".to_owned()),
        ("completion", "svidence completion bash".to_owned()),
        ("--help", "svidence --help".to_owned()),
        ("help of a command", "svidence verify --help".to_owned()),
        ("--version", "svidence --version".to_owned()),
        ("version", "svidence version".to_owned()),
    ];
    for (case, command) in &commands {
        for (how, redirection) in [("closed", ">&-"), ("full", "> /dev/full"), ("a closed pipe", "")] {
            // The other end of the pipe is gone when the command begins.
            let script = match how {
                "a closed pipe" => format!("{{ sleep 0.2; {command}; echo \"code $?\" >&2; }} | true"),
                _ => format!("{command} {redirection}"),
            };
            let output = shell(&format!("set +e +o pipefail\n{script}"), folder.path());
            let err = text(&output.stderr);
            let code = match how {
                "a closed pipe" => {
                    err.lines().last().and_then(|line| line.strip_prefix("code ")).unwrap_or(&err).to_owned()
                }
                _ => output.status.code().unwrap().to_string(),
            };
            assert_eq!(code, "3", "{case}, {how}: {err}");
            assert!(!err.contains("panicked"), "{case}, {how}: {err}");
            assert!(
                ["written", "writing", "cannot write"].iter().any(|word| err.contains(word)),
                "{case}, {how}: nothing says why: {err}"
            );
        }
    }
    for redirection in ["2>&-", "2> /dev/full"] {
        let output = shell(&format!("{} {redirection}", verify("taskrun.json", "")), folder.path());
        assert_eq!(output.status.code(), Some(3), "{redirection}: nobody was told of a verdict");
    }
}

#[test]
fn a_report_that_cannot_be_written_hides_no_worse_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = path("bundle.pem");
    for (object, code) in [("taskrun.json", 3), ("altered-1.json", 1), ("altered-9.json", 3)] {
        for redirection in [">&-", "> /dev/full"] {
            let script = format!(
                "svidence verify {} --trust-domain example.org --bundle {bundle} -o json {redirection}",
                path(object)
            );
            let output = shell(&script, folder.path());
            assert_eq!(output.status.code(), Some(code), "{object} {redirection}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn what_cannot_be_shown_or_used_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("config.yaml"),
        "kind: ConfigMap\nmetadata: {name: config-spire}\ndata: {spire-x: y}\n",
    )
    .unwrap();
    let config = folder.path().join("config.yaml");
    let ran = svidence(&["config", config.to_str().unwrap()], "");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    let ran = svidence(&["demo", "--keep", folder.path().to_str().unwrap()], "");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
}

/// However svidence ends, the folder of a report holds the whole one or none.
#[test]
fn a_killed_walk_leaves_no_partial_file() {
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.json");
        fs::write(&old, "the report before").unwrap();
        // Reports are being written while the pipe stays open.
        let script = format!(
            "{{ cat {}; sleep 60; }} | exec svidence verify - --trust-domain example.org --bundle {} -o json=new.json -o sarif=old.json",
            path("taskrun.json"),
            path("bundle.pem")
        );
        // What runs in the background, or by nohup, hands on that it ignores some of them.
        let mut child = Command::new("env")
            .args(["--default-signal=INT,TERM,HUP", "bash", "-c", &script])
            .current_dir(folder.path())
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    Path::new(PROGRAM).parent().unwrap().display(),
                    std::env::var("PATH").unwrap()
                ),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        // The verdict is told when the TaskRun was judged.
        let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut err, &mut line).unwrap();
        assert!(line.starts_with("verified"), "{line}");
        let group = format!("-{}", child.id());
        assert!(Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap().success());
        child.wait().unwrap();
        // Until the last of the group is gone, and with it the pipe.
        std::io::Read::read_to_string(&mut err, &mut line).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["old.json"], "{signal}");
        assert_eq!(fs::read_to_string(&old).unwrap(), "the report before", "{signal}");
    }
}

#[test]
fn a_report_takes_the_place_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let destination = format!("json={}", report.display());
    let (object, bundle) = (path("taskrun.json"), path("bundle.pem"));
    let arguments =
        ["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle, "-o", &destination];
    for case in ["none before", "one before"] {
        let ran = svidence_to(&arguments, Stdio::null());
        assert_eq!(ran.code, 0, "{case}: {}", ran.err);
        assert_eq!(fs::read_to_string(&report).unwrap().lines().count(), 1, "{case}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{case}");
        fs::write(&report, "something\nelse\n").unwrap();
    }
}

#[test]
fn a_report_never_replaces_a_file_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let file = folder.path().join(name);
        fs::copy(path(name), &file).unwrap();
        file.display().to_string()
    };
    let (object, bundle) = (copy("taskrun.json"), copy("bundle.pem"));
    for read in [&object, &bundle] {
        let before = fs::read(read).unwrap();
        let destination = format!("json={read}");
        let arguments =
            ["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle, "-o", &destination];
        let ran = svidence(&arguments, "");
        assert_eq!(ran.code, 64, "{read}: {}", ran.err);
        assert!(ran.err.contains("which is read; name another file"), "{read}: {}", ran.err);
        assert_eq!(fs::read(read).unwrap(), before, "{read}");
    }
}

#[test]
fn a_report_replaces_no_file_of_a_folder_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("runs/app");
    fs::create_dir_all(&inner).unwrap();
    let (text, runs) = (|path: &Path| path.to_str().unwrap().to_owned(), folder.path().join("runs"));
    let bundle = path("bundle.pem");
    for (case, name, only, refused) in [
        ("a TaskRun of the folder", "app/taskrun.json", None, true),
        ("a name that is not read", "app/report.html", None, false),
        ("a name that --only means", "app/taskrun.json", Some("task*.json"), true),
        ("a name that --only leaves out", "app/report.json", Some("task*.json"), false),
        ("a file beside the folder", "../report.json", None, false),
    ] {
        fs::copy(path("taskrun.json"), inner.join("taskrun.json")).unwrap();
        let file = runs.join(name);
        let before = fs::read(&file).unwrap_or_else(|_| b"an older report".to_vec());
        fs::write(&file, &before).unwrap();
        let destination = format!("json={}", text(&file));
        let given = text(&runs);
        let mut arguments =
            vec!["verify", &given, "--trust-domain", "example.org", "--bundle", &bundle, "-o", &destination];
        arguments.extend(only.iter().flat_map(|only| ["--only", only]));
        let ran = svidence(&arguments, "");
        assert_eq!(ran.err.contains("which is read; name another file"), refused, "{case}: {}", ran.err);
        assert_eq!(ran.code == 64, refused, "{case}: {}", ran.err);
        assert_eq!(fs::read(&file).unwrap() == before, refused, "{case}");
        fs::remove_file(&file).unwrap();
    }
}
