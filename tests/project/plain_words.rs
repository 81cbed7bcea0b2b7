//! No word of Rust's or of its parsers' reaches a user: every file that is read, holding everything that it should not. And
//! documents and help are in plain English.

use crate::support;

use std::{fs, path::Path};

use support::{
    command::{demo, path, svidence},
    pod::Pod,
    signed::entry,
};

/// What `serde`, YAML and JSON parsers, `std` and panics say.
const WORDS: &[&str] = &[
    "struct ",
    "enum ",
    "tuple",
    "variant",
    "unknown field",
    "missing field",
    "duplicate field",
    "duplicate entry",
    "invalid type",
    "invalid value:",
    "invalid length",
    "expected `",
    "expected value",
    "expected ident",
    "expected one of",
    "expected a ",
    "expected any",
    "expected struct",
    "expected ,",
    "trailing ",
    "EOF",
    "IO error",
    "I/O error",
    "os error",
    "Utf8Error",
    "utf-8 sequence",
    "ParseError",
    "ParseIntError",
    "non-zero type",
    "nonzero",
    "panicked",
    "unwrap",
    "Some(",
    "Err(",
    "Error {",
    "Error(",
    "i64",
    "u64",
    "u32",
    "usize",
    "number too large",
    "cannot parse integer",
    "stream did not contain",
    "recursion limit",
    "control character (",
    "key must be a string",
    "scanner",
    "did not find expected",
];

/// What a native engineer would not write. `is no` is looked for as well, but for `there is no` and `is no longer`.
const PHRASES: &[&str] = &[
    "stands twice",
    "stand twice",
    "stands once",
    "stands in the",
    "stands in an",
    "stands beside",
    "stand beside",
    "stands on standard",
    "stands there",
    "known rests",
    "the begin ",
    "the begin of",
    "for himself",
    "by himself",
    "does not fit",
    "nothing stands",
    "one behind the other",
    "else than",
    "some minutes",
    "some bytes",
    "outside of",
    "passed over",
    "anew",
    "speaks of",
    "speak of",
];

/// The phrases of `line` that are not plain English.
fn clumsy(line: &str) -> Vec<String> {
    let line = line.to_lowercase();
    let mut found: Vec<String> =
        PHRASES.iter().filter(|phrase| line.contains(**phrase)).map(|phrase| (*phrase).to_owned()).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    for three in words.windows(3) {
        let is_no = ["is", "are", "was", "were"].contains(&three[0]) && three[1] == "no";
        if is_no && !["longer", "more", "less"].contains(&three[2]) {
            found.push(three.join(" "));
        }
    }
    found.retain(|phrase| !phrase.contains(" no ") || !line.contains(&format!("there {phrase}")));
    found
}

/// What was said that is not plain, so that one run of a test names it all.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn plain(&mut self, case: &str, text: &str) {
        for word in WORDS {
            self.0.extend(
                text.lines()
                    .find(|line| line.contains(word))
                    .map(|line| format!("{case}: {word:?} in {line}")),
            );
        }
    }

    fn that(&mut self, holds: bool, complaint: String) {
        if !holds {
            self.0.push(complaint);
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} complaints:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// Contents that none of the files should have, by name; some are good for one of the others.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let file = |name: &str| fs::read(demo().join(name)).unwrap();
    let nested = |open: &str, close: &str| text(&(open.repeat(200_000) + &close.repeat(200_000)));
    vec![
        ("nothing", text("")),
        ("a newline", text("\n")),
        ("a word", text("hello")),
        ("a sentence", text("NAME   SUCCEEDED   REASON\nrun-1  True        Succeeded\n")),
        ("kubectl's error", text("Error from server (NotFound): taskruns.tekton.dev \"x\" not found\n")),
        ("names", text("taskrun.tekton.dev/build-app\n")),
        ("HTML", text("<!DOCTYPE html><html><body>502</body></html>")),
        ("a number", text("42")),
        ("a large number", text("{\"a\": 123456789012345678901234567890}")),
        ("null", text("null")),
        ("true", text("true")),
        ("a JSON text", text("\"x\"")),
        ("a JSON array", text("[1, 2]")),
        ("an empty JSON object", text("{}")),
        ("cut JSON", text("{\"kind\": \"TaskRun\", \"metadata\": {\"na")),
        ("JSON without a comma", text("{\"a\": 1 \"b\": 2}")),
        ("JSON with a comma too many", text("{\"a\": 1,}")),
        ("JSON with a member twice", text("{\"a\": 1, \"a\": 2}")),
        ("JSON with something behind", text("{} x")),
        ("a control character", text("{\"a\": \"\u{1}\"}")),
        ("a lone surrogate", text(r#"{"a": "\ud800"}"#)),
        ("a bad escape", text(r#"{"a": "\q"}"#)),
        ("deep JSON", nested("[", "]")),
        ("deep objects", nested("{\"a\":", "}")),
        ("YAML with a tab", text("a:\n\t- b\n")),
        ("YAML with an unclosed quote", text("a: \"b\n")),
        ("YAML with an unknown alias", text("a: *b\n")),
        ("YAML with a member twice", text("a: 1\na: 2\n")),
        ("YAML with a colon too many", text("a: b: c\n")),
        ("YAML with an open flow", text("a: [1, 2\n")),
        ("YAML with a bad indent", text("a:\n  b: 1\n c: 2\n")),
        ("a YAML list", text("- a\n- b\n")),
        ("a Kubernetes object", text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")),
        (
            "a TaskRun whose status is text",
            text(
                "{\"apiVersion\":\"tekton.dev/v1\",\"kind\":\"TaskRun\",\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":\"c\"},\"status\":\"x\"}",
            ),
        ),
        (
            "a TaskRun whose name is a number",
            text(
                "{\"apiVersion\":\"tekton.dev/v1\",\"kind\":\"TaskRun\",\"metadata\":{\"name\":1,\"namespace\":\"b\"},\"status\":{}}",
            ),
        ),
        (
            "a TaskRun that has not started",
            text(
                "{\"apiVersion\":\"tekton.dev/v1\",\"kind\":\"TaskRun\",\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":\"c\"},\"spec\":{}}",
            ),
        ),
        ("a List of numbers", text("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[1]}")),
        ("a List without items", text("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":{}}")),
        ("bytes", vec![0, 159, 146, 150]),
        ("bytes in YAML", [b"a: ", &[0xff_u8, 0xfe][..], b"\n"].concat()),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]),
        ("zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]),
        ("UTF-16", text("\u{feff}a").iter().flat_map(|byte| [*byte, 0]).collect()),
        (
            "a PEM block of another kind",
            text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ),
        ("PEM that is not base64", text("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")),
        ("PEM of no certificate", text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ("PEM without an end", text("-----BEGIN CERTIFICATE-----\nAAAA\n")),
        ("a key set without keys", text("{\"keys\": []}")),
        ("a key set of numbers", text("{\"keys\": [1]}")),
        ("a key set of an odd key", text("{\"keys\": [{\"kty\": 1, \"use\": \"x509-svid\", \"x5c\": [2]}]}")),
        ("a key set that is text", text("{\"keys\": \"x\"}")),
        ("a policy of the wrong kind", text("rules: 1\n")),
        (
            "a policy with an unknown member",
            text("apiVersion: svidence.dev/v1\nrules:\n  - task: a\n    skip: true\n"),
        ),
        ("a policy with wrong values", text("steps: {min: 0, x: y}\nresults: [{name: 1}]\nmaxAge: soon\n")),
        ("a good TaskRun", file("taskrun.json")),
        ("a good bundle", file("bundle.pem")),
        (
            "a config map with a wrong key",
            text(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-spire}\ndata: {spire-trust-domian: a}\n",
            ),
        ),
        (
            "a config map with a number",
            text(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-spire}\ndata: {svidence-containers: 9}\n",
            ),
        ),
        (
            "a config map with a wrong value",
            text(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-spire}\ndata: {spire-trust-domain: 'A b', svidence-signing-timeout: soon}\n",
            ),
        ),
    ]
}

/// Every command that reads a file, with the place of that file. The others are good.
fn readers() -> Vec<(&'static str, Vec<String>)> {
    let run = path("taskrun.json");
    let bundle = path("bundle.pem");
    let with = |words: &str| -> Vec<String> {
        let words = words.replace("RUN", &run).replace("BUNDLE", &bundle);
        words.split_whitespace().map(str::to_owned).collect()
    };
    let trust = "--trust-domain example.org --bundle BUNDLE";
    [
        ("", format!("verify FILE {trust}")),
        ("", format!("verify - {trust}")),
        ("--bundle", "verify RUN --trust-domain example.org --bundle FILE".into()),
        ("--intermediates", format!("verify RUN {trust} --intermediates FILE")),
        ("--config", "verify RUN --config FILE --bundle BUNDLE".into()),
        ("--policy", format!("verify RUN {trust} --policy FILE")),
        ("--tsa-certificate", format!("verify RUN {trust} --tsa-certificate FILE")),
        ("--timestamps", format!("verify RUN {trust} --tsa-certificate BUNDLE --timestamps FILE")),
        ("", "inspect FILE".into()),
        ("--bundle", "inspect RUN --trust-domain example.org --bundle FILE".into()),
        ("", "timestamp FILE --tsa http://127.0.0.1:1/".into()),
        ("--tsa-certificate", "timestamp RUN --tsa http://127.0.0.1:1/ --tsa-certificate FILE".into()),
        ("--tls-ca", "timestamp RUN --tsa https://127.0.0.1:1/ --tls-ca FILE".into()),
        ("", "config FILE".into()),
    ]
    .map(|(option, words)| (option, with(&words)))
    .into()
}

/// Runs the command with the file in its place; what it said.
fn run(words: &[String], file: &str, stdin: &str) -> (i32, String) {
    let words: Vec<&str> = words.iter().map(|word| if word == "FILE" { file } else { word }).collect();
    let ran = svidence(&words, stdin);
    (ran.code, ran.out + &ran.err)
}

#[test]
fn what_a_file_should_not_hold_is_told_in_plain_words() {
    let mut complaints = Complaints::default();
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in contents() {
        for ending in ["json", "yaml"] {
            let file = folder.path().join(format!("given.{ending}"));
            fs::write(&file, &content).unwrap();
            for (option, words) in readers() {
                if words.contains(&"-".to_owned())
                    && (ending == "yaml" || std::str::from_utf8(&content).is_err())
                {
                    continue;
                }
                let case = format!(
                    "{} with {name} ({ending})",
                    words
                        .iter()
                        .map(|word| word.rsplit('/').next().unwrap_or(word))
                        .collect::<Vec<_>>()
                        .join(" ")
                );
                let (code, said) = run(&words, file.to_str().unwrap(), &String::from_utf8_lossy(&content));
                complaints.plain(&case, &said);
                complaints.that(said.lines().all(|line| line.len() < 2000), format!("{case}: a long line"));
                // What is wrong with an option's file is blamed on that option.
                complaints.that(
                    option.is_empty()
                        || code != 3
                        || said.contains(option)
                        || said.contains("does not answer"),
                    format!("{case}: names no option: {said}"),
                );
            }
        }
    }
    complaints.none();
}

#[test]
fn files_that_cannot_be_read_are_told_in_plain_words() {
    let mut complaints = Complaints::default();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("folder")).unwrap();
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    fs::write(at("file"), "x").unwrap();
    let long = "x".repeat(300);
    for file in ["missing.json", "missing/x.json", "folder", "loop", "file/x", &long] {
        for (option, words) in readers() {
            let case = format!("{} with {file}", words.join(" "));
            let (code, said) = run(&words, &at(file), "");
            complaints.plain(&case, &said);
            complaints.that(
                option.is_empty() || code == 0 || said.contains(option),
                format!("{case}: names no option: {said}"),
            );
        }
    }
    for output in [
        "-o json=",
        "-o sarif=missing/x",
        "-o junit=folder",
        "-o x",
        "-o text=file/x",
        "-o =",
        "-o vsa=/dev/full",
    ] {
        let (name, file) = output.split_once('=').map_or((output, ""), |(name, file)| (name, file));
        let file = if file.is_empty() || file.starts_with('/') { file.to_owned() } else { at(file) };
        let output =
            if output.contains('=') { format!("{}={file}", &name[3..]) } else { name[3..].to_owned() };
        let words = [
            "verify",
            &path("taskrun.json"),
            "--trust-domain",
            "example.org",
            "--bundle",
            &path("bundle.pem"),
            "-o",
            &output,
        ];
        let ran = svidence(&words, "");
        complaints.plain(&output, &(ran.out + &ran.err));
    }
    for folder in ["file", "missing/x/y", "/proc/x"] {
        let folder = if folder.starts_with('/') { folder.to_owned() } else { at(folder) };
        let ran = svidence(&["demo", "--keep", &folder], "");
        complaints.plain(&format!("demo --keep {folder}"), &(ran.out + &ran.err));
    }
    complaints.none();
}

#[test]
fn wrong_values_of_options_are_told_in_plain_words() {
    let mut complaints = Complaints::default();
    let (taskrun, bundle) = (path("taskrun.json"), path("bundle.pem"));
    let verify = ["verify", &taskrun, "--trust-domain", "example.org", "--bundle", &bundle];
    let values = [
        "",
        " ",
        "x",
        "-1",
        "0",
        "99999999999999999999",
        "1.5",
        "Example.org",
        "a b",
        "é",
        "\u{1}",
        "spiffe://x/y",
        "=",
        "a=",
        "=b",
        ":",
        "a:b:c",
        "2026-13-01T00:00:00Z",
    ];
    for option in [
        "--trust-domain",
        "--at",
        "--clock-skew",
        "--accept",
        "--require-result",
        "--jobs",
        "--color",
        "--only",
        "--authority",
        "-o",
        "--unknown",
    ] {
        for value in values {
            let mut words = verify.to_vec();
            if option == "--trust-domain" {
                words.drain(2..4);
            }
            let given = format!("{option}={value}");
            words.push(&given);
            let ran = svidence(&words, "");
            complaints.plain(&given, &(ran.out + &ran.err));
        }
    }
    for option in ["--tsa", "--timeout", "--policy", "--tls-ca"] {
        for value in values {
            let given = format!("{option}={value}");
            let ran = svidence(&["timestamp", &taskrun, "--tsa=http://127.0.0.1:1/", &given], "");
            complaints.plain(&given, &(ran.out + &ran.err));
        }
    }
    for words in [
        &[][..],
        &["verify"],
        &["version"],
        &["x"],
        &["demo", "x"],
        &["config"],
        &["config", "a", "b"],
        &["inspect"],
        &["timestamp", "x"],
        &["--x"],
    ] {
        let ran = svidence(words, "");
        complaints.plain(&words.join(" "), &(ran.out + &ran.err));
    }
    complaints.none();
}

#[test]
fn a_bad_operators_file_is_told_in_plain_words() {
    let mut complaints = Complaints::default();
    for (name, content) in contents() {
        // A good one with defaults: there is nothing to say, and a long wait.
        if name == "an empty JSON object" {
            continue;
        }
        let pod = Pod::new("run", &["one"]);
        let file = Path::new("tekton/bin/svidence.json");
        fs::write(pod.root().join(file), &content).unwrap();
        let outcome = pod.step(0).signed("unix:///nowhere").run();
        complaints.plain(name, &outcome.stderr());
        complaints.plain(name, &entry(outcome.message(), "SVIDENCE.one.sig").unwrap_or_default());
    }
    complaints.none();
}

#[test]
fn documents_and_help_are_in_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<(String, String)> = Vec::new();
    for folder in ["", "docs", "docs/schemas", "config"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name == "Makefile" || [".md", ".yaml", ".json"].iter().any(|ending| name.ends_with(ending)) {
                texts.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(texts.len() > 15, "{} documents", texts.len());
    for command in ["", "verify", "inspect", "timestamp", "demo", "config", "completion", "man"] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        texts.push((words.join(" "), svidence(&words, "").out));
    }
    let mut complaints = Complaints::default();
    for (name, text) in texts {
        for (index, line) in text.lines().enumerate() {
            for phrase in clumsy(line) {
                complaints.that(false, format!("{name}:{}: {phrase:?}", index + 1));
            }
        }
    }
    complaints.none();
}

#[test]
fn clumsy_phrases_are_found() {
    for (line, expected) in [
        ("There is no revocation, and it is no longer there.", vec![]),
        ("That file is no TaskRun.", vec!["is no taskrun."]),
        ("The reason stands in the log.", vec!["stands in the"]),
        ("Known rests: none", vec!["known rests"]),
        ("What does not fit is left out.", vec!["does not fit"]),
    ] {
        assert_eq!(clumsy(line), expected, "{line}");
    }
}
