//! A TaskRun of one step that signed an attestation without results, under any certificate.

#![allow(dead_code, reason = "each test file uses a part of it")]

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::evidence::{
    attestation::Attestation,
    key::SigningKey,
    sha256,
    statement::{Context, pre_authentication_encoding, statement},
};
use unixtime::{UnixMillis, UnixSeconds};
use zeroize::Zeroizing;

use crate::support::attestation::bare;

/// The TaskRun of this name, and what its step `one` signed at `signed` (Unix seconds) with the key in `pkcs8`.
pub(crate) fn one_step(
    name: &str,
    signed: i64,
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    pkcs8: Vec<u8>,
) -> (Value, Attestation) {
    let attestation = Attestation {
        task_run: name.into(),
        started: UnixMillis::new(signed as u64 * 1000),
        intermediates: intermediates.to_vec(),
        ..bare(leaf.to_vec())
    };
    one_step_of(attestation, signed, pkcs8)
}

/// The TaskRun that `attestation` is of, and the attestation signed with the key in `pkcs8`; the object says that the TaskRun
/// started a second before `signed` (Unix seconds) and ended five seconds after.
pub(crate) fn one_step_of(mut attestation: Attestation, signed: i64, pkcs8: Vec<u8>) -> (Value, Attestation) {
    let name = attestation.task_run.clone();
    let key = SigningKey::from_pkcs8(&Zeroizing::new(pkcs8)).unwrap();
    let context =
        Context { trust_domain: "example.org", step: "one", results: &[], leaf: sha256(&attestation.leaf) };
    let message = pre_authentication_encoding(&statement(&attestation, context));
    attestation.signature = key.sign_attestation(&message, &SystemRandom::new()).unwrap();
    let value = attestation.to_value();
    let message = json!([{"key": "SVIDENCE.one.sig", "value": value, "type": 1}]).to_string();
    let object = json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "name": name, "namespace": "default", "uid": "78322e13-a738-4556-be59-2b2445332751",
            "creationTimestamp": UnixSeconds::new(signed - 1).to_string(),
        },
        "status": {
            "podName": format!("{name}-pod"),
            "startTime": UnixSeconds::new(signed - 1).to_string(),
            "completionTime": UnixSeconds::new(signed + 5).to_string(),
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "results": [{"name": "SVIDENCE.one.sig", "type": "string", "value": value}],
            "steps": [{
                "name": "one", "container": "step-one", "terminationReason": "Completed",
                "terminated": {"exitCode": 0, "message": message},
            }],
            "taskSpec": {"steps": [{"name": "one"}]},
        },
    });
    (object, attestation)
}
