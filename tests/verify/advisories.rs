//! Known forgeries, row by row: F1 to F8, which Tekton's own verifier accepts (shown here with that verifier), the defects D1 to D41 of
//! Tekton's signing, and the advisories about other verifiers. Rows that are not about evidence name the test that is about them.

use crate::support;

use std::{process::Command, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    fleet::{Fleet, everything},
    peers,
    pod::Pod,
    signed::{Cluster, file, judge_with, reasons, trust},
    spire::{EntryOptions, Spire, SpireOptions},
};
use svidence::{
    evidence::{
        attestation::Attestation,
        key::SigningKey,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    standin::{
        ca::{DevCa, IssuedSvid},
        taskrun::{RunSpec, StepReport, assemble},
    },
    verify::{Policy, Trust, Verdict},
};
use time::OffsetDateTime;
use x509::Certificate;
use zeroize::Zeroizing;

/// The entries of a message.
type Entries = Vec<Value>;

fn value(entries: &Entries, key: &str) -> Value {
    let entry = entries.iter().find(|entry| entry["key"] == key);
    entry.unwrap_or_else(|| panic!("no {key}"))["value"].clone()
}

fn set(entries: &mut Entries, key: &str, value: Value) {
    let entry = entries.iter_mut().find(|entry| entry["key"] == key);
    entry.unwrap_or_else(|| panic!("no {key}"))["value"] = value;
}

fn add(entries: &mut Entries, key: &str, value: Value, kind: i64) {
    entries.push(json!({"key": key, "value": value, "type": kind}));
}

fn drop_result(entries: &mut Entries, name: &str) {
    entries.retain(|entry| entry["key"] != name && entry["key"] != format!("{name}.sig"));
}

/// What is changed in the last step's message, given the one of the step before.
type Alter = fn(&mut Entries, &Entries);

/// Row, what is altered, whether Tekton's verifier is asked (it reads one message), and the code of our finding.
const FORGERIES: [(&str, Alter, &str); 14] = [
    (
        "F1 (D1): two results' values and signatures are swapped",
        |last, _| {
            for suffix in ["", ".sig"] {
                let (one, two) = (value(last, &format!("one{suffix}")), value(last, &format!("two{suffix}")));
                set(last, &format!("one{suffix}"), two);
                set(last, &format!("two{suffix}"), one);
            }
        },
        "result-changed",
    ),
    (
        "F2 (D4): a list is cut elsewhere",
        |last, _| set(last, "list", json!(r#"["a","b,c"]"#)),
        "result-changed",
    ),
    ("F3 (D4): a list becomes a text", |last, _| set(last, "list", json!("a,b,c")), "result-changed"),
    (
        "F4 (D4): an object becomes a list",
        |last, _| set(last, "map", json!(r#"["k","v"]"#)),
        "result-changed",
    ),
    ("D4: the empty text becomes an empty list", |last, _| set(last, "empty", json!("[]")), "result-changed"),
    (
        "F6: a result is dropped with the manifest of an earlier step",
        |last, earlier| {
            drop_result(last, "two");
            drop_result(last, "list");
            drop_result(last, "map");
            drop_result(last, "empty");
            for key in ["RESULT_MANIFEST", "RESULT_MANIFEST.sig"] {
                set(last, key, value(earlier, key));
            }
        },
        "result-missing",
    ),
    (
        "F7: the manifest and its signature are added as a result",
        |last, _| {
            add(last, "added", value(last, "RESULT_MANIFEST"), 1);
            add(last, "added.sig", value(last, "RESULT_MANIFEST.sig"), 1);
        },
        "result-added",
    ),
    (
        "F8 (D5, D6): an empty result's signature makes an empty manifest, and all else is dropped",
        |last, _| {
            set(last, "RESULT_MANIFEST", json!(""));
            set(last, "RESULT_MANIFEST.sig", value(last, "empty.sig"));
            for name in ["one", "two", "list", "map", "empty"] {
                drop_result(last, name);
            }
        },
        "result-missing",
    ),
    (
        "D2: another name for a signed value",
        |last, _| {
            add(last, "injected", value(last, "one"), 1);
            add(last, "injected.sig", value(last, "one.sig"), 1);
        },
        "result-added",
    ),
    (
        "D3: a result that looks like a signature",
        |last, _| add(last, "evil.sig", json!("anything"), 1),
        "result-added",
    ),
    ("D8: a step result is added", |last, _| add(last, "own", json!("anything"), 4), "result-added"),
    ("D8: artifacts are added", |last, _| add(last, "/x/provenance.json", json!("{}"), 5), "result-added"),
    (
        "D31: an undeclared result",
        |last, _| {
            add(last, "undeclared", value(last, "two"), 1);
            add(last, "undeclared.sig", value(last, "two.sig"), 1);
        },
        "result-added",
    ),
    (
        "D32: a result named ExitCode",
        |last, _| {
            add(last, "ExitCode", json!("7"), 1);
            add(last, "ExitCode.sig", json!("anything"), 1);
        },
        "result-added",
    ),
];

/// Of these Tekton's verifier says no, for want of a signature that fits.
const REFUSED_BY_TEKTON: [&str; 1] = ["D32"];

const TYPES: [(&str, &str); 5] =
    [("one", "string"), ("two", "string"), ("list", "array"), ("map", "object"), ("empty", "string")];

/// A TaskRun of two steps with room for both forms of evidence, whose steps have run.
struct Run {
    name: &'static str,
    created: OffsetDateTime,
    reports: Vec<StepReport>,
    trust: Trust,
}

fn run(name: &'static str, socket: &str, bundle: &str) -> Run {
    let created = OffsetDateTime::now_utc();
    let pod = Pod::new(name, &["first", "last"]);
    let configuration = json!({"spire-socket-path": socket, "svidence-containers": "1"});
    pod.write("tekton/bin/svidence.json", &configuration.to_string());
    let names = TYPES.map(|(name, _)| name);
    let scripts = [
        "printf 1 >$RESULTS/one",
        r#"printf 2 >$RESULTS/two; printf '["a,b","c"]' >$RESULTS/list; printf '{"k":"v"}' >$RESULTS/map; : >$RESULTS/empty"#,
    ];
    let reports = scripts.iter().enumerate().map(|(i, script)| {
        let outcome = pod.step(i).signed(socket).results(&names).script(script).run();
        assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
        assert!(outcome.message().contains("RESULT_MANIFEST.sig"), "both forms fit: {}", outcome.message());
        outcome.report
    });
    Run { name, created, reports: reports.collect(), trust: trust(bundle) }
}

impl Run {
    fn entries(&self, step: usize) -> Entries {
        let entries: Entries = serde_json::from_slice(&self.reports[step].message).unwrap();
        entries.into_iter().filter(|entry| entry["type"] != 3).collect()
    }

    /// The TaskRun that Tekton's controller makes of the steps if the last one left these entries.
    fn object(&self, last: &Entries) -> Value {
        let mut reports = self.reports.clone();
        reports[1].message = serde_json::to_vec(last).unwrap();
        let results: Vec<Value> =
            TYPES.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let spec = RunSpec {
            namespace: "default".into(),
            name: self.name.into(),
            uid: "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70".into(),
            pod_name: format!("{}-pod", self.name),
            created: self.created,
            task_spec: json!({"results": results, "steps": [{"name": "first"}, {"name": "last"}]}),
        };
        assemble(&spec, &reports)
    }

    fn judge_all(&self, accepts: &dyn Fn(&Entries) -> Option<bool>) {
        let (earlier, genuine) = (self.entries(0), self.entries(1));
        let report = judge_with(&self.object(&genuine), &self.trust, &Policy::default());
        assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
        assert_ne!(accepts(&genuine), Some(false), "Tekton accepts the genuine message");
        let mut altered = genuine.clone();
        set(&mut altered, "one", json!("changed"));
        assert_ne!(accepts(&altered), Some(true), "Tekton's verifier can refuse");
        for (row, alter, code) in FORGERIES {
            let mut forged = genuine.clone();
            alter(&mut forged, &earlier);
            if let Some(accepted) = accepts(&forged) {
                let refuses = REFUSED_BY_TEKTON.iter().any(|id| row.starts_with(id));
                assert_eq!(accepted, !refuses, "{row}: Tekton's own verifier");
            }
            let object = self.object(&forged);
            let report = judge_with(&object, &self.trust, &everything());
            assert_eq!(report.verdict, Verdict::Invalid, "{row}: {}", reasons(&report));
            assert!(
                report.findings.iter().any(|finding| finding.code() == code),
                "{row}, {code}: {}",
                reasons(&report)
            );
        }
        // F5 (D14): the same message in a later TaskRun of the name; Tekton's verifier sees no difference at all.
        let mut replayed = self.object(&genuine);
        replayed["metadata"]["creationTimestamp"] = json!("2099-01-01T00:00:00Z");
        let report = judge_with(&replayed, &self.trust, &everything());
        assert_eq!(report.verdict, Verdict::Invalid, "F5: {}", reasons(&report));
        assert_eq!(report.findings[0].code(), "time", "F5: {}", reasons(&report));
    }
}

#[test]
fn known_forgeries_are_invalid_for_the_known_reason() {
    let cluster = Cluster::new("theirs");
    run("theirs", &cluster.agent.address(), &cluster.ca.bundle_pem()).judge_all(&|_| None);
}

#[test]
fn tektons_own_verifier_accepts_them() {
    let Some(verifier) = peers::require("tekton-verify") else { return };
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/theirs"));
    let accepts = |entries: &Entries| {
        let message = file(&serde_json::to_string(entries).unwrap());
        let mut command = Command::new(&verifier);
        command.args(["-socket", &spire.socket_uri(), "-name", "theirs", "-message"]).arg(message.path());
        Some(command.output().unwrap().status.success())
    };
    run("theirs", &spire.socket_uri(), &spire.bundle_pem()).judge_all(&accepts);
}

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(Fleet::new)
}

fn attestation(object: &Value, step: &str) -> Attestation {
    let key = format!("SVIDENCE.{step}.sig");
    let results = object["status"]["results"].as_array().unwrap();
    let entry = results.iter().find(|entry| entry["name"] == *key).unwrap();
    Attestation::from_value(entry["value"].as_str().unwrap()).unwrap()
}

/// Sets a result in the status and in every message that has it.
fn everywhere(object: &mut Value, name: &str, value: &str) {
    for result in object["status"]["results"].as_array_mut().unwrap() {
        if result["name"] == name {
            result["value"] = json!(value);
        }
    }
    edit(object, None, |entries| {
        entries
            .iter_mut()
            .filter(|entry| entry["key"] == name)
            .for_each(|entry| entry["value"] = json!(value));
    });
}

/// Edits the message of one step, or of all.
fn edit(object: &mut Value, step: Option<usize>, edit: impl Fn(&mut Entries)) {
    for (i, state) in object["status"]["steps"].as_array_mut().unwrap().iter_mut().enumerate() {
        let Some(message) = state.pointer_mut("/terminated/message") else { continue };
        if step.is_none_or(|step| step == i) {
            let mut entries: Entries = serde_json::from_str(message.as_str().unwrap()).unwrap();
            edit(&mut entries);
            *message = json!(serde_json::to_string(&entries).unwrap());
        }
    }
}

/// `build`'s attestation signed anew, as whoever holds an identity of the trust domain can.
fn resigned(object: &mut Value, svid: &IssuedSvid, authority: Option<&[u8]>) {
    let mut attestation = attestation(object, "build");
    attestation.leaf = svid.certificate.clone();
    attestation.intermediates = authority.map(<[u8]>::to_vec).into_iter().collect();
    let context = Context {
        trust_domain: "example.org",
        step: "build",
        results: &attestation.results,
        leaf: sha256(&attestation.leaf),
    };
    let signed = pre_authentication_encoding(&statement(&attestation, context));
    let key = SigningKey::from_pkcs8(&Zeroizing::new(svid.key.to_vec())).unwrap();
    attestation.signature = key.sign_attestation(&signed, &SystemRandom::new()).unwrap();
    everywhere(object, "SVIDENCE.build.sig", &attestation.to_value());
}

fn of_another_run(object: &mut Value) {
    let value = attestation(&fleet().run("artifacts").object, "build").to_value();
    everywhere(object, "SVIDENCE.build.sig", &value);
}

/// A row that is shown here: TaskRun of the fleet, alteration, verdict, code.
type Shown = (&'static str, &'static str, fn(&mut Value), Verdict, &'static str);

const SHOWN: [Shown; 15] = [
    (
        "D8: an exit code",
        "failed",
        |run| run["status"]["steps"][1]["terminated"]["exitCode"] = json!(0),
        Verdict::Invalid,
        "differs",
    ),
    (
        "D8: a reason",
        "skipped",
        |run| run["status"]["steps"][1]["terminationReason"] = json!("Completed"),
        Verdict::Invalid,
        "differs",
    ),
    (
        "D8: a step result",
        "digests",
        |run| {
            run["status"]["steps"][1]["results"][0]["value"] = json!("yours");
        },
        Verdict::Invalid,
        "result-changed",
    ),
    (
        "D30: a message beside the sidecar's log",
        "sidecar-logs",
        |run| {
            edit(run, None, |entries| add(entries, "digest", json!("sha256:EVIL"), 1));
            run["status"]["results"][0]["value"] = json!("sha256:EVIL");
        },
        Verdict::Invalid,
        "result-added",
    ),
    (
        "D35: signed by another TaskRun",
        "digests",
        |run| resigned(run, &fleet().others[1], None),
        Verdict::Invalid,
        "differs",
    ),
    (
        "D35: signed by a service account",
        "digests",
        |run| resigned(run, &fleet().others[0], None),
        Verdict::Invalid,
        "differs",
    ),
    (
        "D36: a failure said to be a success",
        "failed",
        |run| {
            run["status"]["conditions"][0]["status"] = json!("True");
        },
        Verdict::Invalid,
        "status",
    ),
    (
        "D37: evidence removed",
        "digests",
        |run| {
            let is_ours = |name: &Value| name.as_str().unwrap().starts_with("SVIDENCE.");
            run["status"]["results"].as_array_mut().unwrap().retain(|result| !is_ours(&result["name"]));
            edit(run, None, |entries| entries.retain(|entry| !is_ours(&entry["key"])));
        },
        Verdict::Absent,
        "no-evidence",
    ),
    ("CVE-2022-36056: good evidence of another run", "digests", of_another_run, Verdict::Invalid, "differs"),
    (
        "CVE-2022-36056: a bad entry beside a good one",
        "digests",
        |run| {
            everywhere(run, "SVIDENCE.report.sig", "sv1.AAAA");
        },
        Verdict::Invalid,
        "attestation",
    ),
    (
        "CVE-2026-39395: a payload of another type",
        "digests",
        |run| {
            let results = run["status"]["results"].as_array_mut().unwrap();
            let commit = results.iter_mut().find(|result| result["name"] == "commit").unwrap();
            *commit = json!({"name": "commit", "type": "string", "value": {"x": "y"}});
        },
        Verdict::Invalid,
        "result-changed",
    ),
    (
        "GHSA-fx35-mq7g-6g98: a bare key where a certificate belongs",
        "digests",
        |run| {
            let mut attestation = attestation(run, "build");
            let leaf = Certificate::parse(&fleet().others[0].certificate).unwrap();
            attestation.leaf = leaf.spki_der().to_vec();
            everywhere(run, "SVIDENCE.build.sig", &attestation.to_value());
        },
        Verdict::Invalid,
        "certificate",
    ),
    (
        "GHSA-fx35-mq7g-6g98: the same in SVID",
        "both",
        |run| {
            let leaf = Certificate::parse(&fleet().others[0].certificate).unwrap();
            let key = STANDARD.encode(leaf.spki_der());
            everywhere(
                run,
                "SVID",
                &format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n"),
            );
        },
        Verdict::Invalid,
        "tep-0089",
    ),
    (
        "GHSA-r2xv-vpr2-42m9: the subject is another one",
        "digests",
        |run| {
            everywhere(run, "commit", "sha256:0123");
        },
        Verdict::Invalid,
        "result-changed",
    ),
    (
        "sigstore-js 453: the root comes with the evidence",
        "digests",
        |run| {
            let (random, now) = (SystemRandom::new(), fleet().trust.now);
            let own = DevCa::new("example.org", now, &random).unwrap();
            let svid = own
                .issue("/ns/default/taskrun/digests", &[], now, std::time::Duration::from_secs(3600), &random)
                .unwrap();
            resigned(run, &svid, Some(own.certificate()));
        },
        Verdict::Invalid,
        "chain",
    ),
];

#[test]
fn known_mistakes_are_not_made() {
    for (row, label, alter, verdict, code) in SHOWN {
        let mut object = fleet().run(label).object.clone();
        alter(&mut object);
        let report = judge_with(&object, &fleet().trust, &everything());
        assert_eq!(report.verdict, verdict, "{row}: {}", reasons(&report));
        assert!(report.proof.is_none(), "{row}");
        assert!(
            report.findings.iter().any(|finding| finding.code() == code),
            "{row}, {code}: {}",
            reasons(&report)
        );
    }
    let asked = Policy { demanded: vec!["sbom".into()], ..everything() };
    let report = judge_with(&fleet().run("digests").object, &fleet().trust, &asked);
    assert_eq!(report.verdict, Verdict::Absent, "CVE-2022-35929: {}", reasons(&report));
    assert_eq!(report.findings[0].code(), "demanded", "CVE-2022-35929");
}

#[test]
fn honest_taskruns_that_tektons_verifier_refuses_are_verified() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one", "two"], &[("svidence-containers", "1")]);
    let step = |i: usize| pod.step(i).signed(&cluster.agent.address()).results(&["null", "foo"]);
    let one = step(0).script("printf first >$RESULTS/null").run();
    let two = step(1).script("printf second >$RESULTS/null").run();
    let results = json!([{"name": "null", "type": "string"}, {"name": "foo", "type": "string"}]);
    let report =
        cluster.judge(&results, &json!([{"name": "one"}, {"name": "two"}]), &[one.report, two.report]);
    // D16: the only result is named null.
    assert_eq!(report.verdict, Verdict::Verified, "D16: {}", reasons(&report));
    // D20: a later step overwrites a result, which is reported.
    let note = "result null of step one is hidden by the one of step two";
    assert!(report.notes.iter().any(|found| found == note), "D20: {:?}", report.notes);
    assert_eq!(report.proof.unwrap().results[0].step, "two", "D20");
}

/// Rows that are about something else, or are shown elsewhere: why, and the test.
const ELSEWHERE: [(&str, &str, &str); 30] = [
    (
        "D7",
        "rotation between two rounds: there is one round",
        "step/spire_sign::a_rotation_between_two_steps_leaves_both_good",
    ),
    (
        "D9",
        "a step result of a task result's name",
        "step/signed::a_task_result_hidden_by_a_step_result_does_not_spoil_the_rest",
    ),
    (
        "D10",
        "bundles of other trust domains are none of this one",
        "verify/chain::chains_get_the_verdict_they_deserve",
    ),
    (
        "D11",
        "intermediates are carried",
        "step/spire_sign::every_key_type_with_and_without_an_intermediate_signs_and_verifies",
    ),
    (
        "D12",
        "the time of signing is signed, and may be unproven",
        "verify/forgeries::expired_certificates_are_weak_unless_a_time_is_stated",
    ),
    ("D13", "IDs have one written form", "workload/ids::ids_in_certificates_have_one_written_form"),
    (
        "D15",
        "what is transported is signed",
        "step/signed::values_that_are_odd_are_signed_as_they_are_transported",
    ),
    (
        "D17",
        "the TaskRun's own identity is taken",
        "step/spire_sign::of_several_identities_the_taskruns_own_is_taken",
    ),
    (
        "D18",
        "one scheme for each kind of key, none for Ed25519",
        "step/spire_sign::every_key_type_with_and_without_an_intermediate_signs_and_verifies",
    ),
    (
        "D19",
        "a certificate may name step and program",
        "step/spire_sign::a_certificate_that_names_run_step_and_program_is_told_apart",
    ),
    (
        "D21",
        "each attestation has its own leaf",
        "step/spire_sign::a_rotation_between_two_steps_leaves_both_good",
    ),
    ("D22", "the message is the entrypoint's alone", "step/life::the_message_is_ours"),
    ("D23", "left-over processes are ended first", "step/life::leftovers_are_ended"),
    ("D24", "the post file comes last", "step/life::the_post_file_comes_last"),
    (
        "D25",
        "results and exit code are kept without a signature",
        "step/spire_sign::without_an_agent_results_are_kept_and_the_reason_is_recorded",
    ),
    (
        "D26",
        "signing has a time of its own",
        "step/signed::a_cancelled_step_is_signed_within_the_grace_period",
    ),
    ("D27", "space", "step/signed::as_many_results_fit_as_the_design_promises"),
    (
        "D28",
        "a message too large",
        "step/signed::without_room_for_evidence_results_are_kept_and_the_step_is_unsigned",
    ),
    (
        "D29",
        "evidence reaches the status",
        "step/sidecar_logs::results_of_every_kind_verify_and_changed_ones_do_not",
    ),
    (
        "D33",
        "registration is the operator's: certificates have SPIRE's own lifetime",
        "workload/spire_real::harness_starts_a_real_spire",
    ),
    (
        "D34",
        "registration is the operator's: nothing here connects to a SPIRE server",
        "workload/spire_real::harness_starts_a_real_spire",
    ),
    (
        "D38",
        "the socket's address reaches the steps",
        "command_line/config::what_config_prints_is_what_the_steps_read",
    ),
    ("D39", "hermetic mode", "step/life::hermetic_steps_have_no_network"),
    ("D40", "early failures are posted", "step/life::early_failures_are_posted"),
    ("D41", "errors say what failed", "verify/cli::bad_bundles_and_arguments_have_their_own_errors"),
    ("CVE-2022-36056", "another identity", "verify/chain::chains_get_the_verdict_they_deserve"),
    (
        "CVE-2025-25204",
        "nothing found is no success",
        "verify/cli::nothing_found_is_unchecked_unless_that_is_allowed",
    ),
    ("CVE-2026-24122", "dates of every certificate", "verify/chain::chains_get_the_verdict_they_deserve"),
    (
        "CVE-2026-39395",
        "payloads cut short",
        "verify/forgeries::every_truncation_and_bit_flip_of_an_attestation_is_refused",
    ),
    (
        "timestamp-authority 1384",
        "a time other than now is stated by the operator",
        "verify/forgeries::expired_certificates_are_weak_unless_a_time_is_stated",
    ),
];

#[test]
fn every_row_is_shown_here_or_elsewhere() {
    // Asserted one by one above.
    let by_name = ["F5", "D14", "D16", "D20", "CVE-2022-35929"];
    let here: Vec<&str> =
        FORGERIES.iter().map(|(row, ..)| *row).chain(SHOWN.iter().map(|(row, ..)| *row)).collect();
    let mut rows: Vec<String> =
        (1..=8).map(|n| format!("F{n}")).chain((1..=41).map(|n| format!("D{n}"))).collect();
    let advisories = [
        "CVE-2022-35929",
        "CVE-2022-36056",
        "CVE-2025-25204",
        "CVE-2026-24122",
        "CVE-2026-39395",
        "GHSA-fx35-mq7g-6g98",
        "GHSA-r2xv-vpr2-42m9",
        "sigstore-js 453",
        "timestamp-authority 1384",
    ];
    rows.extend(advisories.map(str::to_owned));
    let names = |text: &str, row: &str| {
        let at = |c: char| !c.is_ascii_alphanumeric();
        text.match_indices(row).any(|(i, _)| text[i + row.len()..].chars().next().is_none_or(at))
    };
    for row in &rows {
        let shown = by_name.contains(&row.as_str())
            || here.iter().any(|title| names(title, row))
            || ELSEWHERE.iter().any(|(id, ..)| id == row);
        assert!(shown, "{row} is shown nowhere");
    }
    for (row, _, test) in ELSEWHERE {
        let (file, name) = test.split_once("::").unwrap();
        let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("fn {name}(")), "{row}: there is no test {test}");
    }
}
