//! The image that a step ran in: what its certificate attests of it, against what the status says.
//!
//! The certificates are of the stand-in's authority and the attestations are made here, since the entrypoint signs with a pinned
//! certificate as a container's first process only; `tests/step/spire_sign.rs` has that one, with a real SPIRE.

use crate::support;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    attestation::bare,
    signed::{Cluster, judge, judge_with, reasons, trust},
};
use svidence::{
    evidence::{
        attestation::{self, Attestation, PodName},
        key::SigningKey,
        leaf::{CompactLeaf, DnsForm, Issuer},
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    standin::taskrun::retried,
    tekton::image_id::ImageId,
    verify::{AttestedImage, Detail, Policy, PolicyFile, Report, Trust, Verdict},
    workload::id::{Attested, parse_uid},
};
use unixtime::UnixMillis;
use unixtime::UnixSeconds;
use x509::{Certificate, text::hex};

const NAME: &str = "run";
const UID: &str = "78322e13-a738-4556-be59-2b2445332751";
const PIN: &str = "xdeadbeef00112233";
const SHIFT: i64 = 60;

/// The digest of an image.
fn digest(image: &str) -> String {
    hex(&sha256(image.as_bytes()))
}

/// As the kubelet reports an image that was pulled.
fn pulled(image: &str) -> String {
    format!("registry.example.org/{image}@sha256:{}", digest(image))
}

/// The label of an image.
fn label(image: &str) -> String {
    format!("i{}", &digest(image)[..16])
}

/// What one step is like.
#[derive(Clone)]
struct Step {
    name: &'static str,
    /// In its certificate.
    dns: Vec<String>,
    /// `None`: its state has no such member.
    image_id: Option<Value>,
    /// Whether its certificate is carried whole.
    is_whole: bool,
}

/// A step whose certificate and status name the same image.
fn step(name: &'static str, image: &str) -> Step {
    Step {
        name,
        dns: vec![format!("{PIN}.{}.{name}.{UID}.taskrun.internal", label(image))],
        image_id: Some(json!(pulled(image))),
        is_whole: false,
    }
}

fn dns_form(dns: &[String]) -> DnsForm {
    match Attested::from_dns_names(dns).unwrap() {
        None => DnsForm::Plain,
        Some(Attested { step: None, .. }) => DnsForm::Run,
        Some(Attested { pin: None, .. }) => DnsForm::Step,
        Some(Attested { pin: Some(pin), image: None, .. }) => DnsForm::Pin(pin),
        Some(Attested { pin: Some(pin), image: Some(image), .. }) => DnsForm::Image { pin, image },
    }
}

/// An attempt of the TaskRun with these steps, in a pod of this name and UID.
fn attempt(cluster: &Cluster, steps: &[Step], pod_name: &str, pod_uid: [u8; 16], start: i64) -> Value {
    let random = SystemRandom::new();
    let now = cluster.created.unix_timestamp();
    let authority = Certificate::parse(cluster.ca.certificate()).unwrap();
    let (mut states, mut results) = (Vec::new(), Vec::new());
    for (i, step) in steps.iter().enumerate() {
        let path = format!("/ns/default/taskrun/{NAME}");
        let svid = cluster
            .ca
            .issue(&path, &step.dns, UnixSeconds::new(now), std::time::Duration::from_secs(3600), &random)
            .unwrap();
        let key = SigningKey::from_pkcs8(&svid.key).unwrap();
        let issuer = Issuer { name: authority.subject_der(), key_id: authority.subject_key_id().unwrap() };
        let compact = || {
            let leaf = Certificate::parse(&svid.certificate).unwrap();
            CompactLeaf::of(&leaf, &svid.spiffe_id, &step.dns, dns_form(&step.dns), issuer)
                .unwrap()
                .to_bytes()
        };
        let usual = pod_name == format!("{NAME}-pod");
        let mut attestation = Attestation {
            task_run: NAME.into(),
            task_run_uid: parse_uid(UID),
            pod_uid: Some(pod_uid),
            pod_name: if usual { PodName::Usual } else { PodName::Named(pod_name.to_owned()) },
            step_index: i as u32,
            step_count: steps.len() as u32,
            declared: attestation::declared(["a"], std::iter::empty()),
            started: UnixMillis::new((now + start + i as i64) as u64 * 1000),
            duration: std::time::Duration::from_millis(10),
            delay: std::time::Duration::from_millis(1),
            ..bare(if step.is_whole { svid.certificate.clone() } else { compact() })
        };
        let leaf = sha256(&svid.certificate);
        let context = Context { trust_domain: "example.org", step: step.name, results: &[], leaf };
        let message = pre_authentication_encoding(&statement(&attestation, context));
        attestation.signature = key.sign_attestation(&message, &random).unwrap();
        let value = attestation.to_value();
        let entry = attestation::key(step.name);
        results.push(json!({"name": entry, "type": "string", "value": value}));
        let mut state = json!({
            "name": step.name, "container": format!("step-{}", step.name), "terminationReason": "Completed",
            "terminated": {"exitCode": 0, "message": json!([{"key": entry, "value": value, "type": 1}]).to_string()},
        });
        if let Some(image_id) = &step.image_id {
            state["imageID"] = image_id.clone();
        }
        states.push(state);
    }
    let declared: Vec<Value> =
        steps.iter().map(|step| json!({"name": step.name, "image": "busybox", "script": "true"})).collect();
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "name": NAME, "namespace": "default", "uid": UID, "creationTimestamp": UnixSeconds::new(now).to_string(),
        },
        "spec": {"taskRef": {"name": "the-task"}},
        "status": {
            "podName": pod_name,
            "startTime": UnixSeconds::new(now + start).to_string(),
            "completionTime": UnixSeconds::new(now + start + 20).to_string(),
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "results": results,
            "steps": states,
            "taskSpec": {"results": [{"name": "a", "type": "string"}], "steps": declared},
        },
    })
}

fn task_run(cluster: &Cluster, steps: &[Step]) -> Value {
    attempt(cluster, steps, &format!("{NAME}-pod"), [7; 16], 0)
}

fn known(cluster: &Cluster) -> Trust {
    let trust = trust(&cluster.ca.bundle_pem());
    Trust { now: UnixSeconds::new(cluster.created.unix_timestamp() + SHIFT), ..trust }
}

fn images(report: &Report) -> Vec<AttestedImage> {
    report.proof.iter().flat_map(|proof| proof.basis.steps()).map(|step| step.image).collect()
}

/// What is reported of the images: a hash of the one that is attested, or why none is.
fn told(report: &Report) -> Vec<String> {
    let told = |image: AttestedImage| {
        image.digest().map_or_else(|| image.as_str().to_owned(), |digest| hex(&digest))
    };
    images(report).into_iter().map(told).collect()
}

#[test]
fn an_image_that_certificate_and_status_name_is_attested() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let app = format!("sha256:{}", digest("app"));
    for (case, image_id) in [
        ("pulled", pulled("app")),
        ("with a tag, too", format!("docker.io/library/app:1.2@{app}")),
        ("with a port", format!("localhost:5000/app@{app}")),
        ("brought to the node otherwise", app.clone()),
        ("by Docker's shim", format!("docker-pullable://app@{app}")),
        ("by Docker's shim, not pulled", format!("docker://{app}")),
    ] {
        for is_whole in [false, true] {
            let one = Step { image_id: Some(json!(image_id)), is_whole, ..step("build", "app") };
            let two = Step { is_whole, ..step("push", "tool") };
            let report = judge(&task_run(&cluster, &[one, two]), &trust);
            assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
            assert_eq!(told(&report), [digest("app"), digest("tool")], "{case}");
            let proof = report.proof.unwrap();
            assert!(proof.basis.steps().all(|step| step.executable_attested), "{case}");
        }
    }
}

#[test]
fn what_names_no_image_is_not_attested_and_contradicts_nothing() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let app = digest("app");
    let pinned = || Step { dns: vec![format!("{PIN}.build.{UID}.taskrun.internal")], ..step("build", "app") };
    let with = |image_id: Option<Value>| Step { image_id, ..step("build", "app") };
    for (case, one, expected) in [
        ("the certificate attests none", pinned(), "not attested"),
        ("no imageID", with(None), "not stated"),
        ("null", with(Some(Value::Null)), "not stated"),
        ("an empty one", with(Some(json!(""))), "not stated"),
        ("a tag alone", with(Some(json!("registry.example.org/app:1.2"))), "not stated"),
        ("no algorithm", with(Some(json!(app))), "not stated"),
        ("another algorithm", with(Some(json!(format!("app@sha512:{app}{app}")))), "not stated"),
        ("upper case", with(Some(json!(format!("app@sha256:{}", app.to_uppercase())))), "not stated"),
        ("the algorithm in upper case", with(Some(json!(format!("app@SHA256:{app}")))), "not stated"),
        ("a digit less", with(Some(json!(format!("app@sha256:{}", &app[..63])))), "not stated"),
        ("a digit more", with(Some(json!(format!("app@sha256:{app}0")))), "not stated"),
        (
            "shortened to what is attested",
            with(Some(json!(format!("app@sha256:{}", &app[..16])))),
            "not stated",
        ),
        ("two digests", with(Some(json!(format!("app@sha256:{app}@sha256:{app}")))), "not stated"),
        ("no name before the @", with(Some(json!(format!("@sha256:{app}")))), "not stated"),
        ("a space in the name", with(Some(json!(format!("app x@sha256:{app}")))), "not stated"),
        ("a line after it", with(Some(json!(format!("app@sha256:{app}\n")))), "not stated"),
    ] {
        let report = judge(&task_run(&cluster, &[one]), &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        assert_eq!(told(&report), [expected], "{case}");
    }
}

#[test]
fn a_status_that_names_another_image_is_invalid() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let genuine = || [step("build", "app"), step("push", "tool")];
    let (app, evil) = (digest("app"), digest("evil"));
    // The sixteenth digit is the last one of which the certificate says something.
    let other = if app.as_bytes()[15] == b'0' { '1' } else { '0' };
    let last = format!("{}{other}{}", &app[..15], &app[16..]);
    for (case, step, image_id) in [
        ("another image", 0, pulled("evil")),
        ("another image of the same name", 0, format!("registry.example.org/app@sha256:{evil}")),
        ("another image that was not pulled", 0, format!("sha256:{evil}")),
        ("that of the other step", 0, pulled("tool")),
        ("that of the first step", 1, pulled("app")),
        ("the last digit that is attested", 0, format!("registry.example.org/app@sha256:{last}")),
        ("the digest in the name", 0, format!("registry.example.org/app-sha256-{app}@sha256:{evil}")),
        ("by Docker's shim", 0, format!("docker-pullable://app@sha256:{evil}")),
        ("the digest as a user", 0, format!("sha256:{app}://app@sha256:{evil}")),
    ] {
        let mut object = task_run(&cluster, &genuine());
        assert_ne!(object["status"]["steps"][step]["imageID"], json!(image_id), "{case}: nothing is changed");
        object["status"]["steps"][step]["imageID"] = json!(image_id);
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", reasons(&report));
        let finding = report.findings.iter().next().unwrap();
        assert_eq!(finding.code(), "differs", "{case}");
        let facts = finding.facts();
        assert_eq!(facts.detail, Some(Detail::IMAGE), "{case}");
        assert_eq!(facts.step, Some(["build", "push"][step]), "{case}");
        assert_eq!(facts.found.unwrap().to_string(), image_id, "{case}");
        let attested = format!("sha256:{}…", &digest(["app", "tool"][step])[..16]);
        assert_eq!(facts.expected.unwrap().to_string(), attested, "{case}");
    }
    let mut exchanged = task_run(&cluster, &genuine());
    let steps = exchanged["status"]["steps"].as_array_mut().unwrap();
    let (one, two) = (steps[0]["imageID"].clone(), steps[1]["imageID"].clone());
    (steps[0]["imageID"], steps[1]["imageID"]) = (two, one);
    let report = judge(&exchanged, &trust);
    assert_eq!(report.verdict, Verdict::Invalid, "exchanged: {}", reasons(&report));
    assert_eq!(report.findings.iter().count(), 2, "exchanged: both are told");
}

#[test]
fn a_certificate_whose_name_is_none_of_the_forms_is_refused() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let image = label("app");
    let rest = format!("build.{UID}.taskrun.internal");
    for (case, dns) in [
        ("the labels in another order", vec![format!("{image}.{PIN}.{rest}")]),
        ("no pin", vec![format!("{image}.{rest}")]),
        ("upper case", vec![format!("{PIN}.{}.{rest}", image.to_uppercase())]),
        ("upper-case digits", vec![format!("{PIN}.i{}.{rest}", image[1..].to_uppercase())]),
        ("a digit less", vec![format!("{PIN}.{}.{rest}", &image[..16])]),
        ("the whole digest", vec![format!("{PIN}.i{}.{rest}", &digest("app")[..62])]),
        ("two images", vec![format!("{PIN}.{image}.{}.{rest}", label("tool"))]),
        ("two pins", vec![format!("{PIN}.{PIN}.{image}.{rest}")]),
        ("two names", vec![format!("{PIN}.{image}.{rest}"), format!("{PIN}.{}.{rest}", label("tool"))]),
        ("one name twice", vec![format!("{PIN}.{image}.{rest}"), format!("{PIN}.{image}.{rest}")]),
        ("a weaker name besides", vec![format!("{PIN}.{image}.{rest}"), rest.clone()]),
    ] {
        let one = Step { dns, is_whole: true, ..step("build", "app") };
        let report = judge(&task_run(&cluster, &[one]), &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", reasons(&report));
        let facts = report.findings.iter().next().unwrap().facts();
        assert_eq!(facts.detail, Some(Detail::DNS_NAMES), "{case}: {}", reasons(&report));
    }
    for (case, name, detail) in [
        ("of another step", format!("{PIN}.{image}.push.{UID}.taskrun.internal"), Detail::STEP),
        (
            "of another run",
            format!("{PIN}.{image}.build.00000000-0000-4000-8000-000000000000.taskrun.internal"),
            Detail::UID,
        ),
    ] {
        let one = Step { dns: vec![name], is_whole: true, ..step("build", "app") };
        let report = judge(&task_run(&cluster, &[one]), &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", reasons(&report));
        let facts = report.findings.iter().next().unwrap().facts();
        assert_eq!(facts.detail, Some(detail), "{case}: {}", reasons(&report));
    }
}

/// Each attempt is held against its own status.
#[test]
fn the_images_of_earlier_attempts_are_compared_too() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let first = attempt(&cluster, &[step("build", "old")], &format!("{NAME}-pod"), [7; 16], 0);
    let second = attempt(&cluster, &[step("build", "new")], &format!("{NAME}-pod-retry1"), [8; 16], 30);
    let object = retried(&[first, second]);
    let report = judge(&object, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    assert_eq!(told(&report), [digest("new")], "the last attempt's");
    for (case, place, image, is_earlier) in [
        ("the earlier one's image is changed", "/status/retriesStatus/0/steps/0/imageID", "evil", true),
        ("the earlier one has the later one's", "/status/retriesStatus/0/steps/0/imageID", "new", true),
        ("the later one has the earlier one's", "/status/steps/0/imageID", "old", false),
    ] {
        let mut forged = object.clone();
        *forged.pointer_mut(place).unwrap() = json!(pulled(image));
        let report = judge(&forged, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", reasons(&report));
        let finding = report.findings.iter().next().unwrap();
        assert_eq!(finding.facts().detail, Some(Detail::IMAGE), "{case}: {}", reasons(&report));
        assert_eq!(finding.facts().attempt, is_earlier.then_some(0), "{case}");
    }
}

#[test]
fn a_policy_can_demand_images_and_list_them() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let both = task_run(&cluster, &[step("build", "app"), step("push", "tool")]);
    let mut unstated = both.clone();
    unstated["status"]["steps"][1]["imageID"] = json!("tool:latest");
    let pinned = Step { dns: vec![format!("{PIN}.push.{UID}.taskrun.internal")], ..step("push", "tool") };
    let pinned = task_run(&cluster, &[step("build", "app"), pinned]);
    let expires = (trust.now + std::time::Duration::from_secs(86400)).to_string();
    let (app, tool, evil) = (digest("app"), digest("tool"), digest("evil"));
    for (case, object, members, verdict, found) in [
        ("attested", &both, json!({"attestedBy": "image"}), Verdict::Verified, ""),
        ("executable is less", &both, json!({"attestedBy": "executable"}), Verdict::Verified, ""),
        ("listed", &both, json!({"imageSha256": [app, tool]}), Verdict::Verified, ""),
        (
            "one is not listed",
            &both,
            json!({"imageSha256": [app]}),
            Verdict::Invalid,
            &*format!("it is {tool}"),
        ),
        ("none is listed", &both, json!({"imageSha256": [evil]}), Verdict::Invalid, &*format!("it is {app}")),
        (
            "not stated",
            &unstated,
            json!({"attestedBy": "image"}),
            Verdict::Weak,
            "that of step push attests an image, and the TaskRun does not say which one it ran in",
        ),
        ("not stated, executable", &unstated, json!({"attestedBy": "executable"}), Verdict::Verified, ""),
        (
            "not stated, listed",
            &unstated,
            json!({"imageSha256": [app, tool]}),
            Verdict::Weak,
            "its image is not stated",
        ),
        (
            "not attested",
            &pinned,
            json!({"attestedBy": "image"}),
            Verdict::Weak,
            "that of step push attests run, step and executable only",
        ),
        (
            "not attested, listed",
            &pinned,
            json!({"imageSha256": [app, tool]}),
            Verdict::Weak,
            "its image is not attested",
        ),
    ] {
        let mut rule = json!({"namespace": "default", "taskRun": "*"});
        rule.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let text = json!({"version": 1, "expires": expires, "rules": [rule]}).to_string();
        let policy = Policy { file: Some(PolicyFile::parse(&text).unwrap()), ..Policy::default() };
        let report = judge_with(object, &trust, &policy);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains(found), "{case}: {}", reasons(&report));
    }
    for (case, member) in [
        ("empty", json!([])),
        ("with its algorithm", json!([format!("sha256:{app}")])),
        ("upper case", json!([app.to_uppercase()])),
        ("shortened", json!([app[..16]])),
    ] {
        let rule = json!({"namespace": "default", "taskRun": "*", "imageSha256": member});
        let text = json!({"version": 1, "expires": expires, "rules": [rule]}).to_string();
        assert!(PolicyFile::parse(&text).is_err(), "{case} must be refused");
    }
}

#[test]
fn an_image_id_is_read_whole_or_not_at_all() {
    let app = digest("app");
    let parsed = ImageId::parse(&pulled("app")).unwrap();
    assert_eq!(hex(&parsed.digest), app);
    assert_eq!(hex(&parsed.start()), app[..16]);
    assert_eq!(ImageId::parse("é@sha256:"), None);
    assert_eq!(ImageId::parse(&format!("é@sha256:{app}")), None, "a name that is not ASCII");
}
