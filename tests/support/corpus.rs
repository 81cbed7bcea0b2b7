//! Many genuine TaskRuns, signed in this process: what their steps would have left behind, without running any.

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::{
    evidence::{
        attestation::{self, Attestation, Covered, Ended, Form, PodName, ResultsFrom, SignedOutcome},
        key::SigningKey,
        leaf::{CompactLeaf, DnsForm, Issuer},
        sha256,
        statement::{self, Context},
        tep0089,
    },
    standin::{
        ca::DevCa,
        taskrun::{RunSpec, StepReport, assemble},
    },
    tekton::{result_kind::ResultKind, value},
};
use time::{Duration, OffsetDateTime};
use unixtime::{UnixMillis, UnixSeconds};
use x509::Certificate;

/// Of what shape the TaskRuns are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub steps: usize,
    pub results: usize,
    /// TEP-0089 entries beside each attestation.
    pub beside: bool,
}

/// One signature that a verifier has to check.
#[derive(Debug, Clone)]
pub struct Check {
    pub public_key: Vec<u8>,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// r‖s as in attestations; else ASN.1 as in certificates and TEP-0089 entries.
    pub is_fixed: bool,
}

/// A TaskRun, and what is signed in it.
pub struct Signed {
    pub name: String,
    pub object: Value,
    /// The steps' termination messages.
    pub messages: Vec<String>,
    pub checks: Vec<Check>,
}

/// The TaskRun with this number, of a pod with a certificate of its own.
pub fn task_run(ca: &DevCa, number: usize, shape: Shape, created: OffsetDateTime) -> Signed {
    let random = SystemRandom::new();
    let name = format!("build-app-{number:06}");
    let uid = format!("6f1c2f0e-8d3a-4b57-9c7e-2f4a{number:08x}");
    let authority = Certificate::parse(ca.certificate()).unwrap();
    let svid = ca
        .issue(
            &format!("/ns/default/taskrun/{name}"),
            &[],
            UnixSeconds::from(created),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap();
    let key = SigningKey::from_pkcs8(&svid.key).unwrap();
    let leaf = Certificate::parse(&svid.certificate).unwrap();
    let issuer = Issuer { name: authority.subject_der(), key_id: authority.subject_key_id().unwrap() };
    let compact = CompactLeaf::of(&leaf, &svid.spiffe_id, &[], DnsForm::Plain, issuer).unwrap().to_bytes();
    let mut checks = vec![Check {
        public_key: authority.public_key_bits().to_vec(),
        message: leaf.tbs_der().to_vec(),
        signature: leaf.signature().to_vec(),
        is_fixed: false,
    }];
    let mut own = |message: &[u8], signature: &[u8], is_fixed| {
        let (message, signature) = (message.to_vec(), signature.to_vec());
        checks.push(Check { public_key: leaf.public_key_bits().to_vec(), message, signature, is_fixed });
    };
    let names: Vec<String> = (0..shape.results).map(|result| format!("result-{result}")).collect();
    let text = |result: &str| {
        x509::text::hex(&sha256(format!("{name}/{result}").as_bytes())).replacen("", "sha256:", 1)
    };
    let mut reports = Vec::new();
    for step in 0..shape.steps {
        // Each sets its share of the results and finds those of the steps before it.
        let first_of = |step: usize| (step * shape.results).div_ceil(shape.steps);
        let results: Vec<(&str, String)> =
            names[..first_of(step + 1)].iter().map(|name| (name.as_str(), text(name))).collect();
        let covered: Vec<Covered> = results
            .iter()
            .enumerate()
            .map(|(number, (name, text))| Covered {
                kind: ResultKind::Task,
                name: (*name).to_owned(),
                set: number >= first_of(step),
                digest: sha256(text.as_bytes()),
                decoded: None,
            })
            .collect();
        let started = created + Duration::seconds(1 + step as i64);
        let mut attestation = Attestation {
            namespace: "default".into(),
            task_run: name.clone(),
            task_run_uid: None,
            pod_uid: Some([number as u8; 16]),
            pod_name: PodName::Usual,
            step_index: step as u32,
            step_count: shape.steps as u32,
            declared: attestation::declared(names.iter().map(String::as_str), []),
            program: None,
            started: UnixMillis::new(started.unix_timestamp() as u64 * 1000),
            duration: std::time::Duration::from_millis(512),
            delay: std::time::Duration::from_millis(2),
            outcome: SignedOutcome { ended: Ended::Exited(0), continued: false },
            tep0089: shape.beside,
            results_from: ResultsFrom::TerminationMessage,
            form: Form::Digests,
            set_hints: Vec::new(),
            found_hints: Vec::new(),
            results: covered.clone(),
            step_artifacts: None,
            task_artifacts: None,
            leaf: compact.clone(),
            intermediates: Vec::new(),
            signature: Vec::new(),
        };
        let step_name = format!("step{step}");
        let context = Context {
            trust_domain: ca.trust_domain(),
            step: &step_name,
            results: &covered,
            leaf: sha256(&svid.certificate),
        };
        let statement = statement::statement(&attestation, context);
        let message = statement::pre_authentication_encoding(&statement);
        attestation.signature = key.sign_attestation(&message, &random).unwrap();
        own(&message, &attestation.signature, true);
        let mut entries: Vec<Value> = Vec::new();
        let mut add = |key: &str, value: &str| entries.push(json!({"key": key, "value": value, "type": 1}));
        results.iter().for_each(|(name, text)| add(name, text));
        if shape.beside {
            let texts: Vec<(&str, &str)> =
                results.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let keys: Vec<&str> = texts.iter().map(|(name, _)| *name).collect();
            let made = tep0089::entries(&texts, &keys, &svid.certificate, &key, &random).unwrap();
            let signed =
                made.iter().filter_map(|(key, text)| Some((key.strip_suffix(tep0089::SUFFIX)?, text)));
            for (base, signature) in signed {
                let value = texts.iter().find(|(name, _)| *name == base).map(|(_, text)| *text);
                let value = value.map_or_else(|| keys.join(","), |raw| value::decode(raw).tep0089_text());
                own(value.as_bytes(), &base64_decoded(signature), false);
            }
            made.iter().for_each(|(key, text)| add(key, text));
        }
        add(&attestation::key(&step_name), &attestation.to_value());
        let started_at = started.format(&time::format_description::well_known::Rfc3339).unwrap();
        let started_at = started_at.replacen('Z', ".000Z", 1);
        entries.push(json!({"key": "StartedAt", "value": started_at, "type": 3}));
        reports.push(StepReport {
            name: step_name,
            message: Value::from(entries).to_string().into_bytes(),
            exit_code: 0,
            started,
            finished: started + Duration::seconds(1),
        });
    }
    let declared: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "type": "string", "description": "made by a step"}))
        .collect();
    let script = "#!/bin/sh\nset -eu\nmake -C \"$(workspaces.source.path)\" release\nsha256sum out/app > $(results.result-0.path)\n";
    let steps: Vec<Value> = reports
        .iter()
        .map(|step| json!({"name": step.name, "image": "registry.example.org/build/base:1.4", "script": script}))
        .collect();
    let spec = RunSpec {
        namespace: "default".into(),
        name: name.clone(),
        uid,
        pod_name: format!("{name}-pod"),
        created,
        task_spec: json!({"results": declared, "steps": steps}),
    };
    let object = assemble(&spec, &reports);
    let messages = reports.into_iter().map(|step| String::from_utf8(step.message).unwrap()).collect();
    Signed { name, object, messages, checks }
}

fn base64_decoded(text: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).unwrap()
}
