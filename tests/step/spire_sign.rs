//! Signing with identities of a real SPIRE, and verifying: the main job end to end.

use crate::support;

use std::{
    io::Write as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    peers,
    pod::{Pod, StepOutcome},
    signed::{entry, file, judge, judge_with, reasons, task_run, trust},
    spire::{EntryOptions, Spire, SpireOptions, Upstream},
};
use svidence::{
    evidence::attestation::{Attestation, Form},
    verify::{Policy, Verdict},
};
use time::OffsetDateTime;
use x509::Certificate;

const RESULTS: [(&str, &str); 5] =
    [("commit", "string"), ("digest", "string"), ("image", "string"), ("tag", "string"), ("url", "string")];
const SCRIPT: &str = "printf 4be1f1f1 >$RESULTS/commit; printf sha256:0123456789abcdef0123456789abcdef >$RESULTS/digest
    printf registry.example.org/app >$RESULTS/image; printf v1.2.3 >$RESULTS/tag; printf https://example.org >$RESULTS/url";
const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";

fn names() -> Vec<&'static str> {
    RESULTS.iter().map(|(name, _)| *name).collect()
}

fn options(ca: &str, workload: &str, upstream: Upstream) -> SpireOptions {
    SpireOptions {
        ca_key_type: ca.into(),
        workload_key_type: workload.into(),
        upstream,
        ..SpireOptions::default()
    }
}

/// One signed step of TaskRun `name`; its pod says it has so many containers.
fn signed_step(spire: &Spire, name: &str, containers: Option<u32>) -> StepOutcome {
    let pod = Pod::new(name, &["build"]);
    if let Some(containers) = containers {
        pod.write(
            "tekton/bin/svidence.json",
            &configuration(spire, &[("svidence-containers", &containers.to_string())]),
        );
    }
    let outcome = pod.step(0).signed(&spire.socket_uri()).results(&names()).script(SCRIPT).run();
    assert_eq!(outcome.output.status.code(), Some(0), "{name}: {}", outcome.stderr());
    assert!(pod.post_file(0).exists(), "{name}");
    outcome
}

/// The operator's file as `init` leaves it.
fn configuration(spire: &Spire, more: &[(&str, &str)]) -> String {
    let mut entries = json!({"spire-trust-domain": "example.org", "spire-socket-path": spire.socket_uri()});
    for (key, value) in more {
        entries[*key] = json!(value);
    }
    entries.to_string()
}

fn alter(object: &Value, name: &str, value: &str) -> Value {
    let mut altered = object.clone();
    for result in altered["status"]["results"].as_array_mut().unwrap() {
        if result["name"] == name {
            result["value"] = json!(value);
        }
    }
    for step in altered["status"]["steps"].as_array_mut().unwrap() {
        let mut entries: Value =
            serde_json::from_str(step["terminated"]["message"].as_str().unwrap()).unwrap();
        for entry in entries.as_array_mut().unwrap() {
            if entry["key"] == name {
                entry["value"] = json!(value);
            }
        }
        step["terminated"]["message"] = json!(entries.to_string());
    }
    altered
}

#[test]
fn every_key_type_with_and_without_an_intermediate_signs_and_verifies() {
    for (ca, workload) in [("ec-p256", "ec-p256"), ("ec-p384", "ec-p384"), ("rsa-2048", "rsa-2048")] {
        for upstream in [Upstream::None, Upstream::Disk] {
            let Some(spire) = Spire::start(options(ca, workload, upstream)) else { return };
            spire.entry(EntryOptions::new("/ns/default/taskrun/keys"));
            // Three containers leave 4096 bytes each, six leave 2048; without a word of the operator five are reckoned with.
            let mut carried = Vec::new();
            for containers in [Some(3), Some(6), None] {
                let case = format!("{workload}, {upstream:?}, {containers:?} containers");
                let created = OffsetDateTime::now_utc();
                let outcome = signed_step(&spire, "keys", containers);
                let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
                let attestation =
                    Attestation::from_value(&value).unwrap_or_else(|error| panic!("{case}: {error}"));
                let object = task_run("keys", UID, &RESULTS, &[outcome.report], created);
                let mut trust = trust(&spire.bundle_pem());
                if containers == Some(3) {
                    carried = attestation.intermediates.clone();
                    assert_eq!(
                        carried.is_empty(),
                        upstream == Upstream::None,
                        "{case}: what the chain needs is carried"
                    );
                }
                if attestation.intermediates.is_empty() && !carried.is_empty() {
                    let report = judge(&object, &trust);
                    assert_eq!(report.verdict, Verdict::Unchecked, "{case}: {}", reasons(&report));
                    trust.intermediates =
                        carried.iter().map(|der| Certificate::parse(der).unwrap()).collect();
                }
                let report = judge(&object, &trust);
                assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
                assert_eq!(report.proof.unwrap().results.len(), 5, "{case}");
                let report = judge(&alter(&object, "digest", "sha256:bad"), &trust);
                assert_eq!(report.verdict, Verdict::Invalid, "{case}, altered: {}", reasons(&report));
            }
        }
    }
}

/// An authority above SPIRE whose signatures only `svidence` has the code for.
#[test]
fn a_chain_to_a_p_521_root_is_signed_under_and_verified() {
    let Some(spire) = Spire::start(options("ec-p256", "ec-p256", Upstream::DiskP521)) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/keys"));
    let created = OffsetDateTime::now_utc();
    let outcome = signed_step(&spire, "keys", Some(3));
    let object = task_run("keys", UID, &RESULTS, &[outcome.report], created);
    let report = judge(&object, &trust(&spire.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn five_plain_results_as_hints_take_at_most_475_bytes() {
    let Some(spire) = Spire::start(options("ec-p256", "ec-p256", Upstream::None)) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/build-app-x7k2p"));
    // Room for results and hints, none for digests.
    let outcome = signed_step(&spire, "build-app-x7k2p", Some(14));
    let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
    let attestation = Attestation::from_value(&value).unwrap();
    assert_eq!((attestation.form, attestation.set_hints.len()), (Form::Hints, 5), "{attestation:?}");
    assert_eq!(attestation.leaf.len(), 124, "the leaf is compact");
    let entry = format!(r#"{{"key":"SVIDENCE.build.sig","value":"{value}","type":1}},"#);
    eprintln!("entry with five hints: {} bytes (pod UID absent: 18 bytes more in a pod)", entry.len());
    let in_a_pod = entry.len() + 24;
    assert!(in_a_pod <= 475, "{} bytes, {in_a_pod} with the pod's UID", entry.len());
}

#[test]
fn an_entry_made_after_the_step_has_started_is_waited_for() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    let pod = Pod::new("late", &["build"]);
    let created = OffsetDateTime::now_utc();
    let mut command = pod.step(0).signed(&spire.socket_uri()).results(&names()).script(SCRIPT).command();
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(!pod.post_file(0).exists(), "the next step must wait until the results are signed");
    spire.entry(EntryOptions::new("/ns/default/taskrun/late"));
    let output = child.wait_with_output().unwrap();
    let outcome = pod.step(0).outcome(output, created);
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    let object = task_run("late", UID, &RESULTS, &[outcome.report], created);
    let report = judge(&object, &trust(&spire.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn a_rotation_between_two_steps_leaves_both_good() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/rotate"));
    let pod = Pod::new("rotate", &["one", "two"]);
    let created = OffsetDateTime::now_utc();
    let step = |i| pod.step(i).signed(&spire.socket_uri()).results(&["a", "b"]);
    let one = step(0).script("printf 1 >$RESULTS/a").run();
    let old = spire.active_authority();
    let prepared = spire.prepare_authority();
    spire.activate_authority(&prepared);
    spire.taint_authority(&old);
    thread::sleep(Duration::from_millis(500));
    let two = step(1).script("printf 2 >$RESULTS/b").run();
    for outcome in [&one, &two] {
        assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    }
    let leaf = |outcome: &StepOutcome, step: &str| {
        Attestation::from_value(&entry(outcome.message(), &format!("SVIDENCE.{step}.sig")).unwrap())
            .unwrap()
            .leaf
    };
    assert_ne!(leaf(&one, "one"), leaf(&two, "two"), "another certificate after the rotation");
    let object =
        task_run("rotate", UID, &[("a", "string"), ("b", "string")], &[one.report, two.report], created);
    let report = judge(&object, &trust(&spire.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn of_several_identities_the_taskruns_own_is_taken() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    for (id, path) in [
        ("0-service-account", "/ns/default/sa/default"),
        ("1-other-run", "/ns/default/taskrun/other"),
        ("2-other-namespace", "/ns/elsewhere/taskrun/mine"),
        ("3-mine", "/ns/default/taskrun/mine"),
    ] {
        spire.entry(EntryOptions { id: Some(id.into()), ..EntryOptions::new(path) });
    }
    thread::sleep(Duration::from_millis(500));
    let created = OffsetDateTime::now_utc();
    let outcome = signed_step(&spire, "mine", None);
    let object = task_run("mine", UID, &RESULTS, &[outcome.report], created);
    let report = judge(&object, &trust(&spire.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn a_certificate_that_names_run_step_and_program_is_told_apart() {
    let Some(spire) = Spire::start(SpireOptions { discover_workload_path: true, ..SpireOptions::default() })
    else {
        return;
    };
    let digest = svidence::evidence::sha256(&std::fs::read(env!("CARGO_BIN_EXE_svidence")).unwrap());
    let digest = x509::text::hex(&digest);
    let pin = format!("x{}.build.{UID}.taskrun.internal", &digest[..16]);
    let image = format!("x{}.i{}.build.{UID}.taskrun.internal", &digest[..16], "5a".repeat(8));
    for (case, dns, attested, as_first_process) in [
        ("run", format!("{UID}.taskrun.internal"), (true, false, false), false),
        ("step", format!("build.{UID}.taskrun.internal"), (true, true, false), false),
        ("pin", pin, (true, true, true), true),
        ("image", image, (true, true, true), true),
    ] {
        let mut selectors = vec![format!("unix:uid:{}", nix::unistd::geteuid())];
        selectors.extend(as_first_process.then(|| format!("unix:sha256:{digest}")));
        let name = format!("named-{case}");
        let id = spire.entry(EntryOptions {
            dns: vec![dns],
            selectors,
            ..EntryOptions::new(format!("/ns/default/taskrun/{name}"))
        });
        let pod = Pod::new(&name, &["build"]);
        let step = pod.step(0).signed(&spire.socket_uri()).results(&names()).script(SCRIPT);
        let created = OffsetDateTime::now_utc();
        if as_first_process {
            pod.write(
                "tekton/bin/svidence.json",
                &configuration(&spire, &[("svidence-signing-failure", "report")]),
            );
            let outcome = step.run();
            let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
            assert!(value.contains("must then be the container's first process"), "{case}: {value}");
        }
        let outcome = match as_first_process {
            false => step.run(),
            true => {
                let plain = step.command();
                let mut command = Command::new("unshare");
                command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(plain.get_program());
                command.args(plain.get_args());
                command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                step.outcome(command.output().unwrap(), created)
            }
        };
        assert_eq!(outcome.output.status.code(), Some(0), "{case}: {}", outcome.stderr());
        let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
        let attestation =
            Attestation::from_value(&value).unwrap_or_else(|error| panic!("{case}: {error}: {value}"));
        assert!(attestation.leaf.len() < 150, "{case}: compact, not {} bytes", attestation.leaf.len());
        let mut object = task_run(&name, UID, &RESULTS, &[outcome.report], created);
        // Here nobody says which image it was; what a kubelet and an agent say of one is tried by hand only.
        object["status"]["steps"][0]["imageID"] = json!(format!("localhost/app@sha256:{}", "5a".repeat(32)));
        let trust = trust(&spire.bundle_pem());
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        let proof = report.proof.unwrap();
        let step = proof.basis.steps().next().unwrap();
        assert_eq!((step.run_attested, step.step_attested, step.executable_attested), attested, "{case}");
        assert_eq!(step.image_attested(), case == "image", "{case}");
        let mut replayed = object.clone();
        replayed["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        let report = judge(&replayed, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}, replayed: {}", reasons(&report));
        if case == "image" {
            let mut other = object;
            other["status"]["steps"][0]["imageID"] =
                json!(format!("localhost/app@sha256:{}", "a5".repeat(32)));
            let report = judge(&other, &trust);
            assert_eq!(report.verdict, Verdict::Invalid, "{case}, another image: {}", reasons(&report));
        }
        if case == "pin" {
            other_programs_get_no_svid(&spire, &name);
        }
        spire.delete_entry(&id);
        thread::sleep(Duration::from_millis(200));
    }
}

/// The entry's `unix:sha256` admits one executable: another one of the same user is denied, be it ours with one byte more.
fn other_programs_get_no_svid(spire: &Spire, task_run: &str) {
    let mut fetch = Command::new(peers::require("spire-agent").unwrap());
    fetch.args(["api", "fetch", "x509", "-socketPath"]).arg(spire.agent_socket());
    let output = fetch.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("PermissionDenied"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let altered = folder.path().join("svidence");
    std::fs::copy(env!("CARGO_BIN_EXE_svidence"), &altered).unwrap();
    std::fs::OpenOptions::new().append(true).open(&altered).unwrap().write_all(&[0]).unwrap();
    let pod = Pod::new(task_run, &["build"]);
    let settings = [("svidence-signing-failure", "report"), ("svidence-signing-timeout", "10s")];
    pod.write("tekton/bin/svidence.json", &configuration(spire, &settings));
    let step = pod.step(0).signed(&spire.socket_uri()).results(&names()).script(SCRIPT);
    let plain = step.command();
    let mut command = Command::new(&altered);
    command.args(plain.get_args()).envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = step.outcome(command.output().unwrap(), OffsetDateTime::now_utc());
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
    assert!(value.starts_with("unsigned: no identity"), "{value}");
    assert!(value.contains("no registration entry matches this pod"), "{value}");
    assert!(outcome.stderr().contains("no identity issued"), "{}", outcome.stderr());
}

#[test]
fn without_an_agent_results_are_kept_and_the_reason_is_recorded() {
    let Some(mut spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/lost"));
    let socket = spire.socket_uri();
    let fast = ("svidence-signing-timeout", "1s");
    let report = ("svidence-signing-failure", "report");
    let configurations = [
        ("fail", configuration(&spire, &[fast]), "exit 0", 1, false),
        ("fail, child fails", configuration(&spire, &[fast]), "exit 7", 7, false),
        ("report", configuration(&spire, &[fast, report]), "exit 0", 0, true),
        ("report, child fails", configuration(&spire, &[fast, report]), "exit 7", 7, false),
    ];
    spire.stop_agent();
    for (case, configuration, ending, exit, posted_ok) in configurations {
        let pod = Pod::new("lost", &["build"]);
        pod.write("tekton/bin/svidence.json", &configuration);
        let created = OffsetDateTime::now_utc();
        let start = Instant::now();
        let outcome =
            pod.step(0).signed(&socket).results(&names()).script(&format!("{SCRIPT}\n{ending}")).run();
        assert!(start.elapsed() < Duration::from_secs(8), "{case}: {:?}", start.elapsed());
        assert_eq!(outcome.output.status.code(), Some(exit), "{case}: {}", outcome.stderr());
        assert_eq!(pod.post_file(0).exists(), posted_ok, "{case}");
        assert_eq!(pod.post_file(0).with_extension("err").exists(), !posted_ok, "{case}");
        assert_eq!(entry(outcome.message(), "tag").as_deref(), Some("v1.2.3"), "{case}: results are kept");
        let reason = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
        assert!(reason.starts_with("unsigned: no identity"), "{case}: {reason}");
        assert!(outcome.stderr().contains("No such file or directory"), "{case}: {}", outcome.stderr());
        let object = task_run("lost", UID, &RESULTS, &[outcome.report], created);
        let verdict = judge(&object, &trust(&spire.bundle_pem()));
        assert_eq!(verdict.verdict, Verdict::Absent, "{case}: {}", reasons(&verdict));
        assert!(reasons(&verdict).contains("no identity"), "{case}: {}", reasons(&verdict));
    }
}

#[test]
fn tektons_own_verifier_accepts_our_message_as_it_is() {
    let Some(verifier) = peers::require("tekton-verify") else { return };
    let types = [("plain", "string"), ("list", "array"), ("object", "object")];
    // Three results with RSA's signatures take more than the 4096 bytes of a message.
    for (key, types) in [("ec-p256", &types[..]), ("ec-p384", &types[..]), ("rsa-2048", &types[..1])] {
        let Some(spire) = Spire::start(options(key, key, Upstream::None)) else { return };
        spire.entry(EntryOptions::new("/ns/default/taskrun/theirs"));
        let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
        let pod = Pod::new("theirs", &["build"]);
        pod.write("tekton/bin/svidence.json", &configuration(&spire, &[("svidence-containers", "3")]));
        let script = r#"printf hello >$RESULTS/plain; printf '["a","b"]' >$RESULTS/list; printf '{"k":"v"}' >$RESULTS/object"#;
        let outcome = pod.step(0).signed(&spire.socket_uri()).results(&names).script(script).run();
        for key in ["SVID", "RESULT_MANIFEST", "RESULT_MANIFEST.sig", "plain.sig", "SVIDENCE.build.sig"] {
            assert!(entry(outcome.message(), key).is_some(), "{key} is missing in {}", outcome.message());
        }
        let verify = |message: &str| {
            let file = file(message);
            let mut command = Command::new(&verifier);
            command.args(["-socket", &spire.socket_uri(), "-name", "theirs", "-message"]).arg(file.path());
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (accepted, error) = verify(outcome.message());
        assert!(accepted, "{key}: Tekton refuses our message: {error}");
        let (accepted, _) = verify(&outcome.message().replace("hello", "HELLO"));
        assert!(!accepted, "{key}: the check can fail");
        let created = OffsetDateTime::now_utc() - Duration::from_secs(5);
        let object = task_run("theirs", UID, types, &[outcome.report], created);
        let report = judge(&object, &trust(&spire.bundle_pem()));
        assert_eq!(report.verdict, Verdict::Verified, "{key}: {}", reasons(&report));
    }
}

#[test]
fn what_tektons_own_entrypoint_signed_is_weak() {
    let Some(entrypoint) = peers::require("tekton-entrypoint") else { return };
    for key in ["ec-p256", "ec-p384", "rsa-2048"] {
        let Some(spire) = Spire::start(options(key, key, Upstream::None)) else { return };
        spire.entry(EntryOptions::new("/ns/default/taskrun/tekton"));
        thread::sleep(Duration::from_millis(300));
        let pod = Pod::private("tekton", &["build"]);
        let created = OffsetDateTime::now_utc();
        let step = pod.step(0).signed(&spire.socket_uri()).results(&["foo", "bar"]);
        let outcome = step
            .script("printf hello >$RESULTS/foo; printf '[\"x\"]' >$RESULTS/bar")
            .run_by(&entrypoint)
            .run();
        assert_eq!(outcome.output.status.code(), Some(0), "{key}: {}", outcome.stderr());
        let object =
            task_run("tekton", UID, &[("foo", "string"), ("bar", "array")], &[outcome.report], created);
        let trust = trust(&spire.bundle_pem());
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Weak, "{key}: {}", reasons(&report));
        assert!(report.proof.is_none(), "{key}: a weak verdict hands out nothing");
        let accepting = Policy { accept_tep0089: true, ..Policy::default() };
        let report = judge_with(&object, &trust, &accepting);
        assert!(report.accepted && report.proof.unwrap().results.len() == 2, "{key}");
        let report = judge_with(&alter(&object, "foo", "HELLO"), &trust, &accepting);
        assert_eq!(report.verdict, Verdict::Invalid, "{key}, altered: {}", reasons(&report));
    }
}
