//! The reports of `svidence verify -o`: valid under their public schemas, whole or not there, and of one walk.

use crate::support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use serde_json::{Value, json};
use support::{
    command::{self, Ran, path, svidence_to},
    pod::Pod,
    signed::task_run,
    spire::{EntryOptions, Spire, SpireOptions},
};
use svidence::evidence::statement::pre_authentication_encoding;
use time::OffsetDateTime;
use xmloxide::{
    Document,
    validation::xsd::{parse_xsd, validate_xsd},
};

fn verify(sources: &[&str], more: &[&str]) -> Ran {
    command::verify(sources, more, "")
}

/// A name that tries to break out of each format.
const HOSTILE: &str = "hostile\u{1b}[2J]]>\u{202e}</testsuite>\"&\u{ffff}\n\"}";

/// With a result that nobody signed: findings name it. (A TaskRun of such a name is none, and not judged.)
fn with_added_result(object: &str, name: &str) -> String {
    let mut object: Value = serde_json::from_str(object).unwrap();
    let added = json!({"name": name, "type": "string", "value": "x"});
    object["status"]["results"].as_array_mut().unwrap().push(added);
    object.to_string()
}

/// A verdict of every kind in one folder, with names and texts that try to break out of each format.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = ARCHIVE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let genuine = fs::read_to_string(path("taskrun.json")).unwrap();
        for (name, content) in [
            ("a verified.json", genuine.clone()),
            ("b-invalid.json", fs::read_to_string(path("altered-1.json")).unwrap()),
            ("c-absent.json", fs::read_to_string(path("altered-9.json")).unwrap()),
            ("d-unchecked.json", "{\"kind\": \"TaskRun\"".to_owned()),
            ("e-hostile.json", with_added_result(&genuine, HOSTILE)),
            (
                "f-hostile.json",
                json!({"apiVersion": "v1", "kind": "<a & \"b\"\u{0}\n]]>\u{2028}"}).to_string(),
            ),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    });
    folder.path()
}

/// All reports of the archive, by format, from one walk.
fn reports() -> &'static [(&'static str, String)] {
    static REPORTS: OnceLock<Vec<(&'static str, String)>> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let formats = ["json", "sarif", "junit", "dsse", "vsa", "markdown", "html"];
        let file = |format: &str| folder.path().join(format);
        let mut args = vec!["-o".to_owned(), "text".to_owned()];
        for format in formats {
            args.extend(["-o".to_owned(), format!("{format}={}", file(format).display())]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = verify(&[archive().to_str().unwrap()], &args);
        assert_eq!(ran.code, 1, "{}", ran.err);
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), formats.len(), "{left:?}");
        let mut reports = vec![("text", ran.out)];
        reports.extend(formats.map(|format| (format, fs::read_to_string(file(format)).unwrap())));
        reports
    })
}

fn report(format: &str) -> &'static str {
    &reports().iter().find(|(name, _)| *name == format).unwrap().1
}

fn lines(format: &str) -> Vec<Value> {
    report(format).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn schema(name: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(&file(name)).unwrap()).unwrap()
}

fn assert_valid(schema: &jsonschema::Validator, document: &Value) {
    let errors: Vec<String> =
        schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?} in {document:#}");
}

#[test]
fn one_walk_writes_every_report_and_text_holds_only_what_was_verified() {
    let lines: Vec<&str> = report("text").lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("default/build-app\t")), "{lines:?}");
}

#[test]
fn no_report_holds_a_character_that_moves_a_cursor() {
    for (format, text) in reports() {
        let bad = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n' && *c != '\t') || matches!(c, '\u{202e}' | '\u{2028}'));
        assert_eq!(bad, None, "{format}");
        // It is told all the same, where what was not verified is told at all.
        assert_eq!(text.contains("hostile"), !["text", "dsse", "vsa"].contains(format), "{format}");
    }
}

#[test]
fn json_lines_fit_their_schema_and_show_values_of_verified_taskruns_only() {
    let schema = schema("docs/schemas/verify-report-v2.json");
    let lines = lines("json");
    let seen: Vec<(&str, bool, bool)> = lines
        .iter()
        .map(|line| {
            (line["verdict"].as_str().unwrap(), line["accepted"] == true, line.get("results").is_some())
        })
        .collect();
    let expected = [
        ("verified", true, true),
        ("invalid", false, false),
        ("absent", false, false),
        ("unchecked", false, false),
        ("invalid", false, false),
        ("unchecked", false, false),
    ];
    assert_eq!(seen, expected);
    for line in &lines {
        assert_valid(&schema, line);
    }
    let outcomes: Vec<&Value> =
        lines[0]["steps"].as_array().unwrap().iter().map(|step| &step["outcome"]).collect();
    assert_eq!(outcomes, vec![&json!({"exitCode": 0, "continued": false}); 3]);
    for (case, change) in [
        ("no version", (&["version"][..], Value::Null)),
        ("another version", (&["version"], json!(1))),
        ("values of a refused TaskRun", (&["accepted"], json!(false))),
        ("an unknown verdict", (&["verdict"], json!("fine"))),
    ] {
        let (names, value) = change;
        let mut line = lines[0].clone();
        line[names[0]] = value;
        assert!(!schema.is_valid(&line), "{case}");
    }
}

#[test]
fn sarif_fits_the_public_schema_and_has_a_result_a_finding() {
    let document: Value = serde_json::from_str(report("sarif")).unwrap();
    let schema = schema("testdata/schemas/sarif-2.1.0.json");
    assert_valid(&schema, &document);
    let mut broken = document.clone();
    broken["runs"][0]["results"][0]["level"] = json!("bad");
    assert!(!schema.is_valid(&broken));
    let results = document["runs"][0]["results"].as_array().unwrap();
    let findings: usize = lines("json").iter().map(|line| line["findings"].as_array().unwrap().len()).sum();
    assert_eq!(results.len(), findings);
    assert!(!results.is_empty());
    let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        let location = &result["locations"][0];
        let line = location["physicalLocation"]["region"]["startLine"].as_u64();
        assert!(line >= Some(1) || result["ruleId"] == "unreadable", "{result}");
        assert_eq!(result["partialFingerprints"]["svidence/v1"].as_str().map(str::len), Some(64), "{result}");
        assert!(result["properties"]["place"]["file"].is_string(), "{result}");
        let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.starts_with("file:///") && !uri.contains(' '), "{uri}");
    }
    let clean = verify(&[&path("taskrun.json")], &["-o", "sarif"]);
    let clean: Value = serde_json::from_str(&clean.out).unwrap();
    assert_valid(&schema, &clean);
    assert_eq!(clean["runs"][0]["results"], json!([]));
}

/// SARIF 2.1.0 3.11.6: viewers make links of `[text](target)`.
#[test]
fn a_name_in_an_object_makes_no_link_in_sarif() {
    let folder = tempfile::tempdir().unwrap();
    let genuine = fs::read_to_string(path("taskrun.json")).unwrap();
    let object = with_added_result(&genuine, "[fixed](https://evil.example)");
    let source = write(folder.path(), "object.json", &object);
    let ran = verify(&[source.to_str().unwrap()], &["-o", "sarif"]);
    assert!(ran.out.contains("[fixed] (https://evil.example)"), "{}", ran.out);
    assert!(!ran.out.contains("]("), "{}", ran.out);
}

#[test]
fn every_code_of_a_finding_has_a_sarif_rule_and_no_rule_is_without() {
    let source = file("src/verify/finding.rs");
    let (_, codes) = source.split_once("pub fn code(").unwrap();
    let mut codes: Vec<&str> =
        codes.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    codes.push("unreadable");
    codes.sort_unstable();
    let document: Value = serde_json::from_str(report("sarif")).unwrap();
    let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let mut ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, codes);
    let unproven = rules.iter().find(|rule| rule["id"] == "time-unproven").unwrap();
    assert!(unproven["help"]["text"].as_str().unwrap().contains("--timestamps"), "{unproven}");
    let documentation = documentation();
    for id in ids {
        assert!(documentation.contains(&format!("<a id=\"{id}\"></a>")), "{id} is not documented");
    }
}

#[test]
fn every_detail_is_documented_and_named_once() {
    let findings = file("docs/findings.md");
    let mut seen = std::collections::HashSet::new();
    for detail in svidence::verify::Detail::ALL {
        let code = detail.as_str();
        assert!(findings.contains(&format!("| `{code}` |")), "{code} is not in docs/findings.md");
        assert!(seen.insert(code), "{code} has two meanings");
    }
}

/// Whoever reads a finding need not look for what it is about: in each code with several causes the exact one is named.
#[test]
fn every_finding_names_its_exact_rule_and_place() {
    let lines = lines("json");
    let findings = lines.iter().flat_map(|line| line["findings"].as_array().unwrap());
    let single = ["uncovered", "unsigned", "demanded", "only-tep-0089", "not-carried"];
    for finding in findings {
        let code = finding["code"].as_str().unwrap();
        assert!(single.contains(&code) || finding["detail"].is_string(), "{finding}");
    }
    let files: Vec<&str> = lines.iter().map(|line| line["place"]["file"].as_str().unwrap()).collect();
    assert!(files.iter().all(|file| file.contains("/")), "{files:?}");
    let changed = lines[1]["findings"].as_array().unwrap();
    let changed = changed.iter().find(|finding| finding["code"] == "result-changed").unwrap();
    let sides = [&changed["expected"], &changed["found"]].map(|side| side.as_str().unwrap());
    assert!(sides.iter().all(|side| side.starts_with("sha256:") && side.len() == 71), "{changed}");
    assert_ne!(sides[0], sides[1]);
    assert!(changed["field"].as_str().unwrap().starts_with("status."), "{changed}");
    assert!(changed["result"].as_str().unwrap().starts_with("task/"), "{changed}");
}

/// A program that reads a report alone must not take a walk for good that is not.
#[test]
fn what_is_missing_of_the_walk_is_in_every_report_that_tells_failures() {
    let folder = tempfile::tempdir().unwrap();
    let policy = write(
        folder.path(),
        "policy.yaml",
        "version: 1\nexpires: 2999-01-01T00:00:00Z\nrules:\n- {name: a, namespace: default, taskRun: 'build-*'}\n\
         - {name: 'a <scan>', namespace: default, taskRun: '*-scan', min: 1}\n",
    );
    let policy = policy.to_str().unwrap();
    let genuine = path("taskrun.json");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    let [json_schema, sarif_schema] =
        ["docs/schemas/verify-report-v2.json", "testdata/schemas/sarif-2.1.0.json"].map(schema);
    let junit_schema = parse_xsd(&file("testdata/schemas/junit-10.xsd")).unwrap();
    for (case, source, more, code, element, rule, detail, text) in [
        (
            "min",
            &*genuine,
            &["--policy", policy][..],
            2,
            "failure",
            "policy",
            Some("min"),
            "at least 1 TaskRun",
        ),
        (
            "a TaskRun of --require-result",
            &genuine,
            &["--require-result", "*-scan:report"],
            2,
            "failure",
            "demanded",
            None,
            "*-scan:report is demanded",
        ),
        ("no TaskRun", empty, &[], 3, "error", "undecided", Some("nothing-found"), "no TaskRun found"),
    ] {
        let at = |format: &str| folder.path().join(format).to_str().unwrap().to_owned();
        let formats = ["json", "sarif", "junit", "dsse", "vsa", "markdown", "html"];
        let to_files: Vec<String> = formats.iter().map(|format| format!("{format}={}", at(format))).collect();
        let outputs = to_files.iter().flat_map(|to_file| ["-o", to_file.as_str()]);
        let args: Vec<&str> = more.iter().copied().chain(outputs).chain(["-o", "text"]).collect();
        let ran = verify(&[source], &args);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert_eq!(ran.err.matches(text).count(), 1, "{case}: {}", ran.err);
        let judged = usize::from(source == genuine);
        let read = |format: &str| fs::read_to_string(at(format)).unwrap();

        let json = read("json");
        let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), judged + 1, "{case}: {json}");
        let last = &lines[judged];
        assert_valid(&json_schema, last);
        assert_eq!((&last["walk"], &last["accepted"]), (&json!(true), &json!(false)), "{case}");
        let finding = &last["findings"][0];
        let seen = (finding["code"].as_str(), finding["detail"].as_str());
        assert_eq!(seen, (Some(rule), detail), "{case}: {finding}");
        assert_eq!(finding.get("result"), (rule == "demanded").then_some(&json!("task/report")), "{case}");
        for (change, value) in [("accepted", json!(true)), ("place", json!({"file": "a", "index": 1}))] {
            let mut other = last.clone();
            other[change] = value;
            assert!(!json_schema.is_valid(&other), "{case}: {change}");
        }

        let sarif: Value = serde_json::from_str(&read("sarif")).unwrap();
        assert_valid(&sarif_schema, &sarif);
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{case}: {sarif}");
        assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&json!(rule), &json!("error")), "{case}");
        assert!(results[0]["message"]["text"].as_str().unwrap().contains(text), "{case}: {sarif}");
        let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let about = if rule == "policy" { policy } else { source };
        assert_eq!(uri, &json!(format!("file://{about}")), "{case}");

        let junit = read("junit");
        let document = Document::parse_str(&junit).unwrap();
        assert!(validate_xsd(&document, &junit_schema).is_valid, "{case}: {junit}");
        assert_eq!(junit.matches("<testcase ").count(), judged + 1, "{case}: {junit}");
        assert_eq!(junit.matches(&format!("<{element} ")).count(), 1, "{case}: {junit}");
        assert!(junit.contains("name=\"the walk as a whole\""), "{case}: {junit}");

        let shown = detail.map_or(rule.to_owned(), |detail| format!("{rule}: {detail}"));
        for format in ["markdown", "html"] {
            let report = read(format);
            assert!(report.contains(text) && report.contains(&shown), "{case}: {report}");
            assert_eq!(report.matches("the walk as a whole").count(), 1, "{case}: {report}");
        }
        let html = read("html");
        let (_, footer) = html.split_once("<footer class=\"failed\">").unwrap();
        assert!(footer.contains(text), "{case}: {html}");
        Document::parse_str(&html.replace("<!DOCTYPE html>", "")).unwrap();

        // These speak of single TaskRuns only.
        let counts = [&ran.out, &read("dsse"), &read("vsa")].map(|report| report.lines().count());
        assert_eq!(counts, if judged == 1 { [4, 3, 1] } else { [0; 3] }, "{case}");
    }
}

#[test]
fn a_walk_that_lacks_nothing_has_no_line_of_its_own() {
    let genuine = path("taskrun.json");
    for format in ["json", "sarif", "junit", "markdown", "html"] {
        let ran = verify(&[&genuine], &["--require-result", "build-*:digest", "-o", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
        assert!(!ran.out.contains("the walk as a whole") && !ran.out.contains("\"walk\""), "{format}");
    }
}

/// What docs/ says about verifying.
fn documentation() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = fs::read_dir(docs).unwrap().map(|entry| entry.unwrap());
    let about = files.filter(|file| file.file_name().to_string_lossy().starts_with("verify"));
    about.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
}

#[test]
fn the_documented_policy_holds_for_the_demo() {
    let documentation = documentation();
    let mut blocks = documentation.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let policy = blocks.find(|block| block.contains("rules:")).unwrap();
    let policy = support::signed::file(policy);
    let ran = verify(&[&path("taskrun.json")], &["--policy", policy.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 4), "{}", ran.err);
}

#[test]
fn junit_fits_the_public_schema_and_skips_nothing() {
    let schema = parse_xsd(&file("testdata/schemas/junit-10.xsd")).unwrap();
    let valid = |text: &str| {
        let document = Document::parse_str(text).unwrap();
        let result = validate_xsd(&document, &schema);
        (result.is_valid, format!("{:?}", result.errors))
    };
    let text = report("junit");
    let (is_valid, errors) = valid(text);
    assert!(is_valid, "{errors}\n{text}");
    // The validator looks at nothing behind a suite's properties, so the cases are judged without them, too.
    let cases: String = text
        .split("<properties>")
        .map(|part| part.split_once("</properties>").map_or(part, |(_, rest)| rest))
        .collect();
    assert!(valid(&cases).0, "{cases}");
    for (text, from, to) in [
        (text, "tests=\"1\" ", ""),
        (text, "<properties>", "<flaw/><properties>"),
        (&cases, "<testcase ", "<case/><testcase "),
        (&cases, "<failure ", "<flaw/><failure "),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(!valid(&text.replacen(from, to, 1)).0, "{from} replaced by {to}");
    }
    assert_eq!(text.matches("<properties>\n<property name=\"place.file\" value=\"").count(), 6);
    assert!(text.contains("<property name=\"finding.1.detail\" value=\"in-status-results\"/>"), "{text}");
    // The validator lets attributes pass that the schema does not declare.
    let document = Document::parse_str(text).unwrap();
    for node in document.descendants(document.root()) {
        let Some(name) = document.node_name(node) else { continue };
        let declared: &[&str] = match name {
            "testsuites" => &["name"],
            "testsuite" => &["name", "tests", "failures", "errors", "skipped"],
            "testcase" => &["classname", "name"],
            "failure" | "error" => &["type", "message"],
            "property" => &["name", "value"],
            _ => &[],
        };
        for attribute in document.attributes(node) {
            assert!(declared.contains(&attribute.name.as_str()), "{name}: {}", attribute.name);
        }
    }
    for (what, count) in [
        ("<testcase ", 6),
        ("<failure ", 3),
        ("<error ", 2),
        ("<skipped", 0),
        ("<system-out>", 1),
        ("failures=\"1\"", 3),
    ] {
        assert_eq!(text.matches(what).count(), count, "{what}\n{text}");
    }
}

/// The public messages of in-toto: an unknown field, or one of another type, is an error.
fn in_toto(name: &str, value: &Value) -> Result<(), String> {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schemas");
        let files =
            ["in_toto_attestation/v1/statement.proto", "in_toto_attestation/predicates/vsa/v1/vsa.proto"];
        let files = files.map(|file| folder.join(file));
        DescriptorPool::from_file_descriptor_set(protox::compile(files, [folder]).unwrap()).unwrap()
    });
    let message = pool.get_message_by_name(&format!("in_toto_attestation.{name}")).unwrap();
    DynamicMessage::deserialize_with_options(
        message,
        value,
        &DeserializeOptions::new().deny_unknown_fields(true),
    )
    .map(|_| ())
    .map_err(|error| error.to_string())
}

/// <https://slsa.dev/spec/v1.0/verification_summary>: the members that are required, beside the types of the public message.
fn check_summary(line: &Value) {
    in_toto("v1.Statement", line).unwrap();
    assert_eq!(line["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(line["predicateType"], "https://slsa.dev/verification_summary/v1");
    let mut predicate = line["predicate"].clone();
    // The specification has it, the message does not.
    predicate["verifier"].as_object_mut().unwrap().remove("version").unwrap();
    in_toto("predicates.vsa.v1.VerificationSummary", &predicate).unwrap();
    for pointer in [
        "/verifier/id",
        "/timeVerified",
        "/resourceUri",
        "/policy/uri",
        "/policy/digest/sha256",
        "/verificationResult",
    ] {
        assert!(
            predicate.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
            "{pointer}"
        );
    }
    let subjects = line["subject"].as_array().unwrap();
    assert!(!subjects.is_empty());
    for subject in subjects {
        assert_eq!(subject["digest"]["sha256"].as_str().unwrap().len(), 64, "{subject}");
    }
    let level = match predicate["verificationResult"].as_str().unwrap() {
        "PASSED" => "SLSA_BUILD_LEVEL_UNEVALUATED",
        "FAILED" => "FAILED",
        other => panic!("{other}"),
    };
    assert_eq!(predicate["verifiedLevels"], json!([level]));
}

#[test]
fn summaries_fit_the_public_messages_and_name_verified_values_only() {
    let summaries = lines("vsa");
    let outcomes: Vec<&str> =
        summaries.iter().map(|line| line["predicate"]["verificationResult"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["PASSED", "FAILED", "FAILED", "FAILED"]);
    for line in &summaries {
        check_summary(line);
    }
    let mut names: Vec<&str> = summaries[0]["subject"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| subject["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["task/commit", "task/digest", "task/images", "task/report"]);
    let digest = |line: &Value, name: &str| {
        let mut subjects = line["subject"].as_array().unwrap().iter();
        subjects.find(|subject| subject["name"] == name).unwrap()["digest"]["sha256"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let expected = svidence::evidence::sha256(b"main-7f3c2a");
    assert_eq!(digest(&summaries[0], "task/commit"), x509::text::hex(&expected));
    assert_eq!(summaries[0]["predicate"]["inputAttestations"].as_array().unwrap().len(), 3);
    for failed in &summaries[1..] {
        let subject = failed["subject"][0]["name"].as_str().unwrap();
        assert!(subject.starts_with("spiffe://example.org/ns/default/taskrun/"), "{subject}");
        assert_eq!(failed["predicate"]["inputAttestations"], json!([]));
    }
    for (case, name, wrong) in [
        ("an unknown field", "v1.Statement", json!({"_type": "x", "subjects": []})),
        ("a digest that is no text", "v1.Statement", json!({"subject": [{"digest": {"sha256": 1}}]})),
        ("a time that is none", "predicates.vsa.v1.VerificationSummary", json!({"timeVerified": "now"})),
    ] {
        assert!(in_toto(name, &wrong).is_err(), "{case}");
    }
}

fn openssl(folder: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").current_dir(folder).args(args).output().expect("openssl is needed");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {args:?}: {err}");
    output.stdout
}

/// Checks an envelope as any DSSE tool does, with the certificate it carries, and that certificate with the bundle.
fn check_envelope(line: &str, digest: &str, bundle: &str) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    let envelope: Value = serde_json::from_str(line).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let decode = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let payload = String::from_utf8(decode(&envelope["payload"])).unwrap();
    let statement: Value = serde_json::from_str(&payload).unwrap();
    in_toto("v1.Statement", &statement).unwrap();
    let signature = &envelope["signatures"][0];
    write("leaf.pem", &decode(&signature["certificate"]));
    write("bundle.pem", bundle.as_bytes());
    let intermediates: Vec<u8> =
        signature["intermediates"].as_array().into_iter().flatten().flat_map(decode).collect();
    write("intermediates.pem", &intermediates);
    write("signature", &decode(&signature["sig"]));
    let encoded = format!("DSSEv1 28 application/vnd.in-toto+json {} {payload}", payload.len());
    assert_eq!(encoded.as_bytes(), pre_authentication_encoding(&payload));
    write("encoded", encoded.as_bytes());
    let key = openssl(folder.path(), &["x509", "-in", "leaf.pem", "-pubkey", "-noout"]);
    write("key.pem", &key);
    let check = ["dgst", digest, "-verify", "key.pem", "-signature", "signature", "encoded"];
    assert_eq!(openssl(folder.path(), &check), b"Verified OK\n");
    let mut chain = vec!["verify", "-partial_chain", "-CAfile", "bundle.pem"];
    if !intermediates.is_empty() {
        chain.extend(["-untrusted", "intermediates.pem"]);
    }
    chain.push("leaf.pem");
    openssl(folder.path(), &chain);
    let spki = openssl(folder.path(), &["pkey", "-pubin", "-in", "key.pem", "-outform", "DER"]);
    let key_id = x509::text::hex(&svidence::evidence::sha256(&spki));
    assert_eq!(signature["keyid"], key_id);
}

#[test]
fn openssl_verifies_the_envelopes_of_the_demo() {
    let lines: Vec<&str> = report("dsse").lines().collect();
    assert_eq!(lines.len(), 3, "the steps of the one verified TaskRun");
    let bundle = fs::read_to_string(path("bundle.pem")).unwrap();
    for line in lines {
        check_envelope(line, "-sha256", &bundle);
    }
}

#[test]
fn openssl_verifies_the_envelopes_of_every_key_that_spire_issues() {
    for (key, digest) in [("ec-p256", "-sha256"), ("ec-p384", "-sha384"), ("rsa-2048", "-sha256")] {
        let options = SpireOptions { workload_key_type: key.into(), ..SpireOptions::default() };
        let Some(spire) = Spire::start(options) else { return };
        spire.entry(EntryOptions::new("spiffe://example.org/ns/default/taskrun/keys"));
        let created = OffsetDateTime::now_utc();
        let pod = Pod::new("keys", &["build"]);
        let outcome =
            pod.step(0).signed(&spire.socket_uri()).results(&["a"]).script("printf b >$RESULTS/a").run();
        assert_eq!(outcome.output.status.code(), Some(0), "{key}: {}", outcome.stderr());
        let uid = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";
        let object = task_run("keys", uid, &[("a", "string")], &[outcome.report], created);
        let (object, bundle) =
            (support::signed::file(&object.to_string()), support::signed::file(&spire.bundle_pem()));
        let args = [
            "verify",
            object.path().to_str().unwrap(),
            "--trust-domain",
            "example.org",
            "--bundle",
            bundle.path().to_str().unwrap(),
            "-o",
            "dsse",
        ];
        let ran = svidence_to(&args, Stdio::piped());
        assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{key}: {}", ran.err);
        check_envelope(ran.out.trim_end(), digest, &spire.bundle_pem());
    }
}

#[test]
fn wrong_destinations_are_usage_errors_and_impossible_ones_fail() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("folder")).unwrap();
    let twice = format!("json={}", at("x"));
    for (case, args, code, text) in [
        (
            "two on standard output",
            vec!["-o".to_owned(), "text".into(), "-o".into(), "json".into()],
            64,
            "cannot share standard output",
        ),
        (
            "two with a dash",
            vec!["-o".into(), "text=-".into(), "-o".into(), "json".into()],
            64,
            "cannot share standard output",
        ),
        (
            "two in one file",
            vec!["-o".into(), twice.clone(), "-o".into(), twice],
            64,
            "cannot share the file",
        ),
        ("an unknown format", vec!["-o".into(), "xml".into()], 64, "unknown format"),
        ("no file", vec!["-o".into(), "json=".into()], 64, "no file"),
        (
            "two spellings of one file",
            vec!["-o".into(), format!("json={}", at("y")), "-o".into(), format!("vsa={}", at("folder/../y"))],
            64,
            "cannot share the file",
        ),
        ("no such folder", vec!["-o".into(), format!("json={}", at("nowhere/x"))], 3, "could not be written"),
        ("a folder", vec!["-o".into(), format!("json={}", at("folder"))], 3, "could not be written"),
        (
            "a full disk",
            vec!["-o".into(), "json=/dev/full".into()],
            3,
            "/dev/full could not be written: No space left",
        ),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = verify(&[&path("taskrun.json")], &args);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(text), "{case}: {}", ran.err);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["folder"], "nothing is left of what failed");
}

#[test]
fn a_report_that_cannot_be_written_does_not_spoil_the_others_and_is_never_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("report.json");
    let good = format!("json={}", good.display());
    let ran = verify(&[&path("taskrun.json")], &["-o", "sarif=/dev/full", "-o", &good, "-o", "text"]);
    assert_eq!((ran.code, ran.out.lines().count()), (3, 4), "{}", ran.err);
    assert_eq!(fs::read_to_string(folder.path().join("report.json")).unwrap().lines().count(), 1);
    for format in ["text", "json", "sarif", "junit", "dsse", "vsa"] {
        let bundle = path("bundle.pem");
        let object = path("taskrun.json");
        let args = ["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle, "-o", format];
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = svidence_to(&args, full.into());
        assert_eq!(ran.code, 3, "{format} to a full disk: {}", ran.err);
        assert!(ran.err.contains("standard output could not be written"), "{format}: {}", ran.err);
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        assert_eq!(svidence_to(&args, writer.into()).code, 3, "{format} to a closed pipe");
    }
}

#[test]
fn a_file_gets_its_name_when_the_walk_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    fs::write(&report, "old").unwrap();
    let object: Value = serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap();
    let (bundle, to_file) = (path("bundle.pem"), format!("json={}", report.display()));
    let start = || {
        let args = [
            "verify",
            "-",
            "--trust-domain",
            "example.org",
            "--bundle",
            &bundle,
            "-o",
            &to_file,
            "-o",
            "text",
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_svidence"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than any buffer between here and there holds.
        for _ in 0..40 {
            stdin.write_all(format!("{object}\n").as_bytes()).unwrap();
        }
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.starts_with("default/build-app"), "{line}");
        assert_eq!(fs::read_to_string(&report).unwrap(), "old", "while it is written");
        (child, stdin, out)
    };
    let (mut child, stdin, _out) = start();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    assert_eq!(fs::read_to_string(&report).unwrap(), "old", "after it was killed");
    let (mut child, stdin, mut out) = start();
    drop(stdin);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&report).unwrap().lines().count(), 40);
}

#[test]
fn a_link_stays_a_link_and_a_pipe_is_written_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink("target", &link).unwrap();
    let ran = verify(&[&path("taskrun.json")], &["-o", &format!("json={}", link.display())]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap().lines().count(), 1);
    let ran = verify(&[&path("taskrun.json")], &["-o", "json=/dev/stdout"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{}", ran.err);
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_policy_file_decides_and_stands_in_the_reports() {
    let folder = tempfile::tempdir().unwrap();
    let good = "version: 1\nexpires: 2099-01-01T00:00:00Z\nrules:\n\
                - {name: apps, namespace: default, taskRun: 'build-*', attestedBy: run, results: [{name: digest, from: build}]}\n";
    let other = good.replace("build-*", "release-*");
    let both = format!("{good}- {{namespace: default, taskRun: bild-app}}\n");
    let schema = schema("docs/schemas/policy-v1.json");
    for (case, text, code, says) in [
        ("it holds", good, 0, ""),
        ("it speaks of nothing", &other, 3, "no rule of the policy speaks of any of the TaskRuns"),
        ("a rule of it speaks of nothing", &both, 0, "rule 2 of the policy speaks of no TaskRun"),
        ("it has expired", &good.replace("2099", "2001"), 3, "it may be used until 2001-01-01T00:00:00Z"),
        ("it cannot be read", "version: 1", 3, "the policy cannot be used: expires (line 1): it is missing"),
        (
            "the run only",
            &good.replace("attestedBy: run", "attestedBy: step"),
            4,
            "policy, rule 1 (apps): every step's",
        ),
    ] {
        let document: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(schema.is_valid(&document), case != "it cannot be read", "{case}");
        let file = write(folder.path(), "policy.yaml", text);
        let file = file.to_str().unwrap();
        let vsa = folder.path().join("vsa");
        let to_file = format!("vsa={}", vsa.display());
        let ran = verify(&[&path("taskrun.json")], &["--policy", file, "-o", "json", "-o", &to_file]);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
        if case == "it cannot be read" {
            continue;
        }
        let digest = x509::text::hex(&svidence::evidence::sha256(text.as_bytes()));
        let line: Value = serde_json::from_str(&ran.out).unwrap();
        assert_valid(&self::schema("docs/schemas/verify-report-v2.json"), &line);
        assert_eq!(line["policy"]["sha256"], digest, "{case}");
        let summary: Value = serde_json::from_str(&fs::read_to_string(&vsa).unwrap()).unwrap();
        check_summary(&summary);
        assert_eq!(summary["predicate"]["policy"]["digest"]["sha256"], digest, "{case}");
        let passed = if code == 0 { "PASSED" } else { "FAILED" };
        assert_eq!(summary["predicate"]["verificationResult"], passed, "{case}");
    }
    let missing = verify(&[&path("taskrun.json")], &["--policy", "/nowhere"]);
    assert_eq!(missing.code, 3, "{}", missing.err);
}
