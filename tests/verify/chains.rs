//! What Tekton Chains attested: every format, what each leaves out, Chains' own signature, and that Chains signs what was altered before.

use crate::support;

use std::{fs, path::Path, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    chains::{self, Chains},
    command::svidence,
    signed::{Cluster, file},
};
use svidence::{standin::taskrun::assemble, tekton::chains::StatedTaskRun};
use unixtime::UnixSeconds;

/// The UID of every TaskRun of a `Cluster`.
const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";

/// A genuine TaskRun `default/build` of two steps, and its authority's bundle.
struct Genuine {
    object: Value,
    bundle: tempfile::NamedTempFile,
    chains: Chains,
    key: tempfile::NamedTempFile,
}

/// With a certificate that attests the UID of the run.
fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| Genuine::new(&[format!("{UID}.taskrun.internal")]))
}

impl Genuine {
    fn new(dns_names: &[String]) -> Self {
        let cluster = Cluster::new("build");
        let (now, random) = (cluster.created.unix_timestamp(), SystemRandom::new());
        let path = "/ns/default/taskrun/build";
        cluster.agent.serve(
            &cluster.ca,
            &cluster
                .ca
                .issue(path, dns_names, UnixSeconds::new(now), std::time::Duration::from_secs(3600), &random)
                .unwrap(),
        );
        let pod = cluster
            .pod(&["one", "two"], &[("svidence-evidence", "attestation"), ("svidence-containers", "1")]);
        let step = |i: usize| {
            let step = pod.step(i).signed(&cluster.agent.address()).results(&["digest", "list", "IMAGE_URL"]);
            step.step_results(&["own"])
        };
        let script = r#"printf 'a<b>&"c"' >$RESULTS/digest; printf '["b","a"]' >$RESULTS/list; printf r/i >$RESULTS/IMAGE_URL; printf 1 >$STEP_RESULTS/own"#;
        let reports =
            [step(0).script(script).run().report, step(1).script("printf 2 >$STEP_RESULTS/own").run().report];
        let spec = cluster.spec(json!({
            "results": [
                {"name": "digest", "type": "string"}, {"name": "list", "type": "array"}, {"name": "IMAGE_URL", "type": "string"},
                {"name": "mapped", "type": "string", "value": "$(steps.one.results.own)"},
            ],
            "steps": [
                {"name": "one", "results": [{"name": "own", "type": "string"}]},
                {"name": "two", "results": [{"name": "own", "type": "string"}]},
            ],
        }));
        let chains = Chains::new();
        let key = file(&chains.pem());
        Self { object: assemble(&spec, &reports), bundle: file(&cluster.ca.bundle_pem()), chains, key }
    }
}

/// Exit code, the lines of JSON, and what people read.
struct Verified {
    code: i32,
    lines: Vec<Value>,
    text: String,
}

impl Verified {
    fn verdict(&self) -> &str {
        self.lines.first().and_then(|line| line["verdict"].as_str()).unwrap_or("none")
    }

    /// Names of the results that may be relied on.
    fn results(&self) -> Vec<&str> {
        let results = self.lines[0]["results"].as_array().into_iter().flatten();
        results.map(|result| result["name"].as_str().unwrap()).collect()
    }
}

fn judge(bundle: &str, document: &str, more: &[&str]) -> Verified {
    let trust = ["--trust-domain", "example.org", "--bundle", bundle, "-o", "json"];
    let ran = svidence(&[&["verify", "-"], &trust[..], more].concat(), document);
    let lines = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Verified { code: ran.code, lines, text: ran.err }
}

fn of_genuine(document: &Value, more: &[&str]) -> Verified {
    judge(genuine().bundle.path().to_str().unwrap(), &document.to_string(), more)
}

fn key() -> &'static str {
    genuine().key.path().to_str().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/chains").join(path)).unwrap()
}

#[test]
fn every_format_gives_what_it_carries() {
    let run = &genuine().object;
    let namespace = ["--namespace", "default"];
    let named = ["--namespace", "default", "--taskrun", "build"];
    let of_task = ["--namespace", "default", "--taskrun", "compile=build"];
    let all = ["digest", "list", "IMAGE_URL", "mapped"];
    let without_hints = ["digest", "list", "mapped"];
    let accepting = ["--namespace", "default", "--accept", "not-carried"];
    type Case<'a> = (&'a str, Value, &'a [&'a str], &'a str, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("v2alpha3", chains::v2alpha3(run), &named, "verified", &all),
        ("v2alpha4", chains::v2alpha4(run), &namespace, "weak", &[]),
        ("v2alpha4, accepted", chains::v2alpha4(run), &accepting, "weak", &without_hints),
        ("in-toto", chains::in_toto(), &named, "absent", &[]),
        ("pipeline in-toto", chains::pipeline_in_toto(&[("compile", run)]), &of_task, "verified", &all),
        ("pipeline deep", chains::pipeline_deep(&[run]), &accepting, "weak", &without_hints),
        ("pipeline tekton", chains::pipeline_tekton(&[run]), &[], "verified", &all),
    ];
    for (name, statement, more, verdict, results) in cases {
        for document in [statement.clone(), genuine().chains.envelope(statement)] {
            let found = of_genuine(&document, more);
            assert_eq!(found.verdict(), *verdict, "{name}: {}", found.text);
            let mut found = found.results();
            let mut results = results.to_vec();
            found.sort_unstable();
            results.sort_unstable();
            assert_eq!(found, results, "{name}");
        }
    }
}

#[test]
fn without_a_uid_in_the_certificate_an_older_run_cannot_be_told_apart() {
    let Genuine { object, bundle, .. } = Genuine::new(&[]);
    let bundle = bundle.path().to_str().unwrap();
    let named = ["--namespace", "default", "--taskrun", "build"];
    let accepted = [&named[..], &["--accept", "not-carried"]].concat();
    let statement = chains::v2alpha3(&object).to_string();
    for (more, verdict, code) in [(&named[..], "weak", 4), (&accepted, "weak", 0)] {
        let found = judge(bundle, &statement, more);
        assert_eq!((found.verdict(), found.code), (verdict, code), "{more:?}: {}", found.text);
        assert!(found.text.contains("[not-carried: no-creation-time]"), "{more:?}: {}", found.text);
    }
    // The whole TaskRun says when it was created.
    assert_eq!(judge(bundle, &chains::pipeline_tekton(&[&object]).to_string(), &[]).verdict(), "verified");
}

#[test]
fn envelopes_come_as_tools_hand_them_over() {
    let envelope = genuine().chains.envelope(&chains::pipeline_tekton(&[&genuine().object]));
    let url_safe =
        |text: &Value| json!(text.as_str().unwrap().replace('+', "-").replace('/', "_").replace('=', ""));
    let mut other_alphabet = envelope.clone();
    other_alphabet["payload"] = url_safe(&envelope["payload"]);
    let documents = [
        ("an envelope", envelope.to_string(), 1),
        ("the lines of cosign download attestation", format!("{envelope}\n{envelope}\n"), 2),
        (
            "a bundle",
            json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope})
                .to_string(),
            1,
        ),
        ("base64url without padding", other_alphabet.to_string(), 1),
    ];
    let bundle = genuine().bundle.path().to_str().unwrap();
    for (name, document, count) in documents {
        let found = judge(bundle, &document, &["--chains-key", key()]);
        assert_eq!((found.code, found.lines.len()), (0, count), "{name}: {}", found.text);
        assert_eq!(found.lines[0]["chainsSignedBy"], json!(genuine().chains.keyid()), "{name}");
    }
}

#[test]
fn a_taskrun_is_stated_by_names_of_kubernetes() {
    for (text, expected) in [
        ("build-7", Ok((None, "build-7"))),
        ("build=pipe-build", Ok((Some("build"), "pipe-build"))),
        ("build=pipe.build", Ok((Some("build"), "pipe.build"))),
        ("", Err(())),
        ("=", Err(())),
        ("=build-7", Err(())),
        ("build=", Err(())),
        ("build=Pipe", Err(())),
        ("Build=pipe-build", Err(())),
        ("b.c=pipe-build", Err(())),
        ("a=b=c", Err(())),
        ("ci/build-7", Err(())),
    ] {
        let stated = text.parse::<StatedTaskRun>();
        let read = stated.as_ref().map(|stated| (stated.task.as_deref(), stated.name.as_str())).map_err(drop);
        assert_eq!(read, expected, "{text:?}");
    }
}

#[test]
fn what_is_not_carried_is_asked_for() {
    let run = &genuine().object;
    let cases: &[(&str, Value, &[&str], &str)] = &[
        (
            "v2alpha3",
            chains::v2alpha3(run),
            &[],
            "say --namespace default --taskrun build if that is what you expect",
        ),
        (
            "v2alpha3 with a namespace",
            chains::v2alpha3(run),
            &["--namespace", "default"],
            "say --taskrun build if",
        ),
        (
            "v2alpha4",
            chains::v2alpha4(run),
            &[],
            "holds no namespace of the TaskRun; say --namespace default if",
        ),
        (
            "pipeline in-toto",
            chains::pipeline_in_toto(&[("compile", run)]),
            &["--namespace", "default", "--taskrun", "build"],
            "no name of the TaskRun of the task compile; say --taskrun compile=build if",
        ),
    ];
    for (name, statement, more, words) in cases {
        let found = of_genuine(statement, more);
        assert_eq!((found.verdict(), found.code), ("unchecked", 3), "{name}");
        assert!(found.text.contains(words), "{name}: {}", found.text);
    }
    // Whoever says what is not so hears of it, whether the attestation carries it or not.
    let whole = chains::pipeline_tekton(&[run]);
    let cases: &[(&str, &Value, &[&str], &str, &str)] = &[
        (
            "v2alpha3",
            &chains::v2alpha3(run),
            &["--namespace", "other", "--taskrun", "build"],
            "invalid",
            "differs: namespace",
        ),
        (
            "v2alpha3",
            &chains::v2alpha3(run),
            &["--namespace", "default", "--taskrun", "other"],
            "invalid",
            "differs: name",
        ),
        (
            "v2alpha4",
            &chains::v2alpha4(run),
            &["--namespace", "default", "--taskrun", "other"],
            "unchecked",
            "unreadable: other-run",
        ),
        ("slsa-tekton", &whole, &["--namespace", "other"], "unchecked", "unreadable: other-run"),
        (
            "slsa-tekton",
            &whole,
            &["--namespace", "default", "--taskrun", "other"],
            "unchecked",
            "unreadable: other-run",
        ),
        ("slsa-tekton", &whole, &["--namespace", "default", "--taskrun", "build"], "verified", ""),
        (
            "a TaskRun",
            run,
            &["--namespace", "other"],
            "unchecked",
            "default/build is not what --namespace other says",
        ),
        ("a TaskRun", run, &["-n", "default"], "verified", ""),
        // Of several names each takes its own.
        (
            "v2alpha3",
            &chains::v2alpha3(run),
            &["-n", "default", "--taskrun", "x", "--taskrun", "build"],
            "verified",
            "",
        ),
    ];
    for (name, document, more, verdict, words) in cases {
        let found = of_genuine(document, more);
        assert_eq!(found.verdict(), *verdict, "{name}, {more:?}: {}", found.text);
        assert!(found.text.contains(words), "{name}, {more:?}: {}", found.text);
    }
}

/// The item of a list of this name.
fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    list.as_array_mut().unwrap().iter_mut().find(|result| result["name"] == name).unwrap()
}

/// What issue 1661 of Chains fears: a status that was changed before Chains saw it, which Chains then signs.
#[test]
fn chains_signs_what_was_altered_and_it_is_invalid_all_the_same() {
    type Alteration = fn(&mut Value);
    let cases: &[(&str, Alteration)] = &[
        ("a value", |run| named(&mut run["status"]["results"], "digest")["value"] = json!("evil")),
        ("an item of a list", |run| {
            named(&mut run["status"]["results"], "list")["value"] = json!(["b", "evil"])
        }),
        ("a mapped value", |run| named(&mut run["status"]["results"], "mapped")["value"] = json!("evil")),
        ("a result added", |run| {
            let results = run["status"]["results"].as_array_mut().unwrap();
            results.push(json!({"name": "approved", "type": "string", "value": "yes"}));
        }),
        ("evidence of a step removed", |run| {
            let results = run["status"]["results"].as_array_mut().unwrap();
            results.retain(|result| result["name"] != "SVIDENCE.two.sig");
        }),
        ("another run's UID", |run| run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000")),
        ("a start after the signature", |run| {
            run["status"]["startTime"] = json!("2999-01-01T00:00:00Z");
            run["status"]["completionTime"] = json!("2999-01-01T00:00:01Z");
        }),
    ];
    let steps: &[(&str, Alteration)] = &[
        ("a step result", |run| run["status"]["steps"][0]["results"][0]["value"] = json!("evil")),
        ("step results swapped", |run| {
            run["status"]["steps"][0]["results"][0]["value"] = json!("2");
            run["status"]["steps"][1]["results"][0]["value"] = json!("1");
        }),
        ("a step result added", |run| {
            run["status"]["steps"][0]["results"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "x", "type": "string", "value": "1"}));
        }),
        ("a third step result of one name", |run| {
            let results = run["status"]["steps"][1]["results"].as_array_mut().unwrap();
            results.push(results[0].clone());
        }),
    ];
    let named = [
        "--namespace",
        "default",
        "--taskrun",
        "build",
        "--taskrun",
        "compile=build",
        "--accept",
        "not-carried",
        "--chains-key",
        key(),
    ];
    for (name, alter) in cases.iter().chain(steps) {
        let mut run = genuine().object.clone();
        alter(&mut run);
        let mut formats =
            vec![("v2alpha4", chains::v2alpha4(&run)), ("tekton", chains::pipeline_tekton(&[&run]))];
        if cases.iter().any(|(of_cases, _)| of_cases == name) {
            formats.push(("v2alpha3", chains::v2alpha3(&run)));
            formats.push(("pipeline in-toto", chains::pipeline_in_toto(&[("compile", &run)])));
            formats.push(("deep", chains::pipeline_deep(&[&run])));
        }
        for (format, statement) in formats {
            // These two do not carry it, and Chains' own time is a window.
            if name.contains("UID") && ["pipeline in-toto", "deep"].contains(&format) {
                continue;
            }
            let found = of_genuine(&genuine().chains.envelope(&statement), &named);
            // Without a word on how the run ended, a step may have been ended before it signed.
            let may_be_absent =
                name.contains("removed") && format != "pipeline in-toto" && format != "tekton";
            let verdict = if may_be_absent { "absent" } else { "invalid" };
            assert_eq!(found.verdict(), verdict, "{name} in {format}: {}", found.text);
            assert_eq!(found.results(), Vec::<&str>::new(), "{name} in {format}");
        }
    }
}

#[test]
fn the_signature_of_chains_is_over_the_bytes_as_they_are() {
    let run = &genuine().object;
    let statement = chains::pipeline_tekton(&[run]);
    let good = genuine().chains.envelope(&statement);
    let other = Chains::new();
    let other_key = file(&other.pem());
    let other_key = other_key.path().to_str().unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        envelope
    };
    let respaced = with(&|envelope| envelope["payload"] = json!(STANDARD.encode(format!("{:#}", statement))));
    let by_other =
        with(&|envelope| envelope["signatures"] = other.envelope(&statement)["signatures"].clone());
    let disguised = with(&|envelope| {
        envelope["signatures"] = other.envelope(&statement)["signatures"].clone();
        envelope["signatures"][0]["keyid"] = json!(genuine().chains.keyid());
    });
    let both = with(&|envelope| {
        let more = other.envelope(&statement)["signatures"][0].clone();
        envelope["signatures"].as_array_mut().unwrap().insert(0, more);
    });
    let cases: &[(&str, &Value, &[&str], &str, &str)] = &[
        ("good", &good, &[key()], "verified", ""),
        ("good, with two keys", &good, &[other_key, key()], "verified", ""),
        ("two signatures", &both, &[key()], "verified", ""),
        ("no keyid", &with(&|e| e["signatures"][0]["keyid"] = json!("")), &[key()], "verified", ""),
        ("not asked", &by_other, &[], "verified", ""),
        ("spaces", &respaced, &[key()], "invalid", "status: chains-signature"),
        ("another key", &by_other, &[key()], "unchecked", "undecided: chains-key"),
        ("another key, disguised", &disguised, &[key()], "invalid", "status: chains-signature"),
        (
            "no signature",
            &with(&|e| e["signatures"] = json!([])),
            &[key()],
            "invalid",
            "status: chains-signature",
        ),
        (
            "garbage",
            &with(&|e| e["signatures"][0]["sig"] = json!("AAAA")),
            &[key()],
            "invalid",
            "status: chains-signature",
        ),
        (
            "not base64",
            &with(&|e| e["signatures"][0]["sig"] = json!("?")),
            &[key()],
            "unchecked",
            "unreadable: shape",
        ),
        (
            "a payload that is no JSON",
            &with(&|e| e["payload"] = json!("AAAA")),
            &[key()],
            "unchecked",
            "unreadable: shape",
        ),
    ];
    for (name, envelope, keys, verdict, code) in cases {
        let more: Vec<&str> = keys.iter().flat_map(|key| ["--chains-key", key]).collect();
        let found = of_genuine(envelope, &more);
        assert_eq!(found.verdict(), *verdict, "{name}: {}", found.text);
        assert!(found.text.contains(code), "{name}: {}", found.text);
        let signed_by = &found.lines[0]["chainsSignedBy"];
        assert_eq!(signed_by.is_string(), *verdict == "verified" && !keys.is_empty(), "{name}");
    }
}

#[test]
fn a_policy_may_demand_the_signature_of_chains() {
    let policy = json!({
        "version": 1, "expires": "2999-01-01T00:00:00Z",
        "rules": [{"namespace": "*", "taskRun": "*", "chains": "signed"}],
    });
    let policy = file(&policy.to_string());
    let policy = policy.path().to_str().unwrap();
    let run = &genuine().object;
    let statement = chains::pipeline_tekton(&[run]);
    let envelope = genuine().chains.envelope(&statement);
    let mut annotated = run.clone();
    annotate(&mut annotated, &chains::v2alpha4(run));
    let cases: &[(&str, &Value, bool, &str, &str)] = &[
        ("signed", &envelope, true, "verified", ""),
        ("signed, by its annotation", &annotated, true, "verified", ""),
        ("without a key", &envelope, false, "weak", "--chains-key gives its key"),
        ("in no envelope", &statement, true, "unchecked", "in no envelope"),
        ("in no envelope, without a key", &statement, false, "weak", "in no envelope"),
        (
            "a TaskRun that Chains did not see",
            run,
            true,
            "weak",
            "no attestation of Tekton Chains in its annotations",
        ),
        ("a TaskRun, without a key", run, false, "weak", "not from an attestation"),
    ];
    for (name, document, with_key, verdict, words) in cases {
        let key = ["--chains-key", key()];
        let more = [&["--policy", policy][..], if *with_key { &key } else { &[] }].concat();
        let found = of_genuine(document, &more);
        assert_eq!(found.verdict(), *verdict, "{name}: {}", found.text);
        assert!(found.text.contains(words), "{name}: {}", found.text);
    }
}

/// As Chains' storage `tekton` does.
fn annotate(run: &mut Value, statement: &Value) {
    let uid = run["metadata"]["uid"].as_str().unwrap().to_owned();
    let envelope = genuine().chains.envelope(statement).to_string();
    let key = format!("chains.tekton.dev/signature-taskrun-{uid}");
    run["metadata"]["annotations"][key] = json!(STANDARD.encode(envelope));
}

#[test]
fn the_attestation_in_the_annotations_is_of_this_run() {
    let run = &genuine().object;
    let changed = |change: fn(&mut Value)| {
        let mut other = run.clone();
        change(&mut other);
        other
    };
    let other_value =
        changed(|other| named(&mut other["status"]["results"], "digest")["value"] = json!("evil"));
    let other_hint =
        changed(|other| named(&mut other["status"]["results"], "IMAGE_URL")["value"] = json!("evil"));
    let other_step = changed(|other| other["status"]["steps"][0]["results"][0]["value"] = json!("evil"));
    let other_uid = changed(|other| other["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000"));
    let fewer = changed(|other| {
        other["status"]["results"].as_array_mut().unwrap().remove(0);
    });
    let broken = "undecided: chains-annotation";
    let cases: &[(&str, Option<Value>, &str, &str, bool)] = &[
        ("v2alpha3", Some(chains::v2alpha3(run)), "verified", "", true),
        ("v2alpha4", Some(chains::v2alpha4(run)), "verified", "", true),
        ("in-toto", Some(chains::in_toto()), "verified", "", false),
        ("none", None, "verified", "", false),
        (
            "another value",
            Some(chains::v2alpha4(&other_value)),
            "invalid",
            "status: chains-annotation",
            false,
        ),
        (
            "another step result",
            Some(chains::v2alpha4(&other_step)),
            "invalid",
            "status: chains-annotation",
            false,
        ),
        (
            "a hint of v2alpha3",
            Some(chains::v2alpha3(&other_hint)),
            "invalid",
            "status: chains-annotation",
            false,
        ),
        ("a result fewer", Some(chains::v2alpha3(&fewer)), "invalid", "status: chains-annotation", false),
        ("another run", Some(chains::v2alpha3(&other_uid)), "invalid", "status: chains-annotation", false),
        ("not of Chains", Some(json!({"_type": "x"})), "unchecked", broken, false),
    ];
    for (name, statement, verdict, code, is_signed) in cases {
        let mut annotated = run.clone();
        if let Some(statement) = statement {
            annotate(&mut annotated, statement);
        }
        let found = of_genuine(&annotated, &["--chains-key", key()]);
        assert_eq!(found.verdict(), *verdict, "{name}: {}", found.text);
        assert!(found.text.contains(code), "{name}: {}", found.text);
        assert_eq!(found.lines[0]["chainsSignedBy"].is_string(), *is_signed, "{name}");
        // Without a key nothing in it is believed, and nothing in it is of use.
        assert_eq!(of_genuine(&annotated, &[]).verdict(), "verified", "{name}");
    }
}

#[test]
fn what_chains_did_not_make_is_told_apart() {
    let of = |predicate_type: &str, build_type: &str| {
        json!({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": predicate_type,
            "predicate": {"buildDefinition": {"buildType": build_type}, "runDetails": {}},
        })
    };
    let mixed = |names: &[&str]| {
        let by_products: Vec<Value> = (names.iter())
            .map(|name| json!({"name": name, "content": "IngiCg==", "mediaType": "application/json"}))
            .collect();
        let mut statement = chains::v2alpha3(&genuine().object);
        statement["predicate"]["runDetails"]["byproducts"] = by_products.into();
        statement
    };
    let slsa = "https://slsa.dev/provenance/v1";
    let mut binary = chains::v2alpha3(&genuine().object);
    binary["predicate"]["runDetails"]["byproducts"][0]["content"] = json!("/w==");
    let mut number = chains::v2alpha3(&genuine().object);
    number["predicate"]["runDetails"]["byproducts"][0]["content"] = json!(STANDARD.encode("7"));
    let mut started = chains::v2alpha3(&genuine().object);
    started["predicate"]["runDetails"]["metadata"]["startedOn"] = json!("x".repeat(1 << 20));
    let mut twice = chains::v2alpha3(&genuine().object).to_string();
    twice.insert_str(1, r#""predicateType":"x","#);
    let cases: &[(&str, String, &str)] = &[
        ("an SBOM", of("https://spdx.dev/Document", "x").to_string(), "unreadable: other-statement"),
        (
            "another builder",
            of(slsa, "https://actions.github.io/buildtypes/workflow/v1").to_string(),
            "unreadable: other-statement",
        ),
        (
            "no predicate",
            json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": slsa}).to_string(),
            "unreadable: shape",
        ),
        (
            "two TaskRuns",
            mixed(&["taskRunResults/a/x", "taskRunResults/b/x"]).to_string(),
            "unreadable: shape",
        ),
        ("a name with too many parts", mixed(&["taskRunResults/a/x/y"]).to_string(), "unreadable: shape"),
        ("a name that is none", mixed(&["taskRunResults/A_B/x"]).to_string(), "unreadable: shape"),
        ("bytes that are no JSON", binary.to_string(), "unreadable: shape"),
        (
            "a task that is a command",
            chains::pipeline_in_toto(&[("$(id)", &genuine().object)]).to_string(),
            "unreadable: shape",
        ),
        ("a start that is no time", started.to_string(), "unreadable: shape"),
        ("a number", number.to_string(), "unreadable: shape"),
        ("a key twice", twice, "unreadable: syntax"),
        (
            "another payload",
            json!({"payloadType": "text/plain", "payload": "", "signatures": []}).to_string(),
            "unreadable: no-object",
        ),
    ];
    let bundle = genuine().bundle.path().to_str().unwrap();
    for (name, document, code) in cases {
        let found = judge(bundle, document, &["--namespace", "default", "--taskrun", "build"]);
        assert_eq!((found.verdict(), found.code), ("unchecked", 3), "{name}: {}", found.text);
        assert!(found.text.contains(code), "{name}: {}", found.text);
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let run = genuine().object.to_string();
    let bundle = genuine().bundle.path().to_str().unwrap();
    let certificate = fs::read_to_string(bundle).unwrap();
    let cases = [
        ("", "it holds no public key in PEM"),
        (certificate.as_str(), "only PUBLIC KEY blocks belong in it"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "block 1: it is not a public key"),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
            "block 1: it is a key of the algorithm Ed25519",
        ),
    ];
    for (text, words) in cases {
        let key = file(text);
        let found = judge(bundle, &run, &["--chains-key", key.path().to_str().unwrap()]);
        assert_eq!(found.code, 3, "{text}");
        assert!(found.text.contains(words), "{text}: {}", found.text);
    }
}

/// What would take hours or all memory if each TaskRun or signature of a statement cost as much as the statement is long.
#[test]
fn a_statement_of_many_taskruns_costs_no_more_than_it_is_long() {
    let mut statement = chains::pipeline_deep(&[&genuine().object]);
    let by_products: Vec<Value> = (0..20_000)
        .map(|i| json!({"name": format!("taskRunResults/t{i}/x"), "content": "IngiCg==", "mediaType": "application/json"}))
        .collect();
    statement["predicate"]["runDetails"]["byproducts"] = by_products.into();
    let found = of_genuine(&genuine().chains.envelope(&statement), &["-n", "default", "--chains-key", key()]);
    assert_eq!(
        (found.lines.len(), found.code),
        (20_000, 2),
        "{}",
        found.text.lines().last().unwrap_or_default()
    );
}

/// Every attestation that a real Chains made: its signature, and what it carries of the run that it is about.
#[test]
fn real_attestations_carry_what_the_run_holds() {
    // The verdicts: Tekton's own signatures are verified in steps' messages, which no format but slsa-tekton carries.
    let cases = [
        ("real/all-types-in-toto", "absent", "holds-nothing"),
        ("real/all-types-v2alpha3", "absent", "nothing-signed"),
        ("real/all-types-v2alpha4", "absent", "nothing-signed"),
        ("real/failed-v2alpha4", "absent", "nothing-signed"),
        ("real/hints-in-toto", "absent", "holds-nothing"),
        ("real/hints-v2alpha3", "absent", "nothing-signed"),
        ("real/hints-v2alpha4", "absent", "nothing-signed"),
        ("real/pipe-in-toto", "absent", "nothing-signed"),
        ("real/pipe-v2alpha4", "absent", "holds-nothing"),
        ("real/pipe-v2alpha4-deep", "absent", "nothing-signed"),
        ("real/two-att-v2alpha4", "absent", "nothing-signed"),
        ("real/undeclared-v2alpha4", "absent", "nothing-signed"),
        ("constructed/all-types-v2alpha4-tekton", "absent", "nothing-signed"),
    ];
    for (folder, verdict, code) in cases {
        let (set, name) = folder.split_once('/').unwrap();
        let key = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/chains/{set}/key.pub"));
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/chains/real/bundle.pem");
        let run = name.rsplit_once("-v2").or(name.rsplit_once("-in-toto")).unwrap().0;
        let more = [
            "--namespace",
            "ci",
            "--taskrun",
            run,
            "--taskrun",
            "build=pipe-build",
            "--chains-key",
            key.to_str().unwrap(),
        ];
        let found = judge(bundle.to_str().unwrap(), &read(&format!("{folder}/envelope.json")), &more);
        assert_eq!(found.verdict(), verdict, "{folder}: {}", found.text);
        assert!(found.text.contains(code) && !found.text.contains("chains-"), "{folder}: {}", found.text);
        let is_task_run = !run.starts_with("pipe") && set == "real" && !folder.ends_with("in-toto");
        if is_task_run {
            let run: Value = serde_json::from_str(&read(&format!("{folder}/run.json"))).unwrap();
            let payload: Value = serde_json::from_str(&read(&format!("{folder}/payload.json"))).unwrap();
            let model = match folder.ends_with("v2alpha3") {
                true => chains::by_products_v2alpha3(&run),
                false => chains::by_products_v2alpha4(&run),
            };
            assert_eq!(payload["predicate"]["runDetails"]["byproducts"], Value::from(model), "{folder}");
        }
    }
}
