//! Reports of many findings, and long files of the operator's own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use svidence::evidence::sha256;

use super::{Shape, attestation_of, declared_results, genuine, one_step, shape, task_results, verified};
use crate::{
    pki::{self, Key, Plan},
    token::{Plot, ess_v2},
};

/// All results of a well-signed run, changed.
fn changed(count: usize) -> String {
    let mut object = one_step(task_results(count), &declared_results(count));
    for result in object["status"]["results"].as_array_mut().unwrap() {
        if result["name"] != "SVIDENCE.one.sig" {
            result["value"] = json!("other");
        }
    }
    object.to_string()
}

const fn reported(
    name: &'static str,
    format: &'static str,
    size: usize,
    input: fn(usize) -> String,
) -> Shape {
    Shape { needs_end: true, format, ..shape(name, size, input) }
}

const fn of_many(name: &'static str, format: &'static str) -> Shape {
    Shape { objects: |n| n, ..reported(name, format, 4000, |n| "{}\n".repeat(n)) }
}

const fn of_files(name: &'static str, size: usize, files: fn(usize) -> Vec<(&'static str, String)>) -> Shape {
    Shape { files, ..verified(name, size, |_| genuine().to_string()) }
}

/// The genuine run with a time stamp of its first step.
fn stamped(change: impl FnOnce(&mut Plot)) -> String {
    let mut object = genuine();
    let attestation = attestation_of(&object, |_| ());
    let token = Plot::new(&sha256(&attestation.to_bytes())).with(change).token();
    let stamps = json!({"one": STANDARD.encode(&token)}).to_string();
    object["metadata"]["annotations"] = json!({"svidence.dev/timestamps": stamps});
    object.to_string()
}

fn tsa(_: usize) -> Vec<(&'static str, String)> {
    vec![("--tsa-certificate", Plot::new(&[]).root())]
}

const fn stamp(name: &'static str, size: usize, input: fn(usize) -> String) -> Shape {
    Shape { files: tsa, ..verified(name, size, input) }
}

pub(super) const SHAPES: &[Shape] = &[
    // --- reports ---
    reported("changed results, as text", "text", 1900, changed),
    reported("changed results, as SARIF", "sarif", 1900, changed),
    reported("changed results, as JUnit", "junit", 1900, changed),
    reported("changed results, as Markdown", "markdown", 1900, changed),
    reported("changed results, as HTML", "html", 1900, changed),
    reported("signed results, as text", "text", 1800, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    reported("signed results, as DSSE", "dsse", 1800, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    reported("signed results, as VSA", "vsa", 1800, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    reported("signed results, as Markdown", "markdown", 1800, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    reported("signed results, as HTML", "html", 1800, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    of_many("JSON lines, as text", "text"),
    of_many("JSON lines, as SARIF", "sarif"),
    of_many("JSON lines, as JUnit", "junit"),
    of_many("JSON lines, as Markdown", "markdown"),
    of_many("JSON lines, as HTML", "html"),
    // --- time stamps ---
    stamp("certificates in a time stamp", 150, |n| {
        stamped(|plot| {
            let others = (0..n).map(|i| Plan::ca("tsa", "tsa", "x").with(|ca| ca.end += i as i64));
            let others: Vec<Vec<u8>> = others.map(|ca| ca.issue(&Key::new(3), &Key::new(3))).collect();
            plot.carried = Some([vec![plot.certificate()], others].concat());
        })
    }),
    stamp("digest algorithms in a time stamp", 8000, |n| {
        stamped(|plot| plot.digest_algorithms = plot.digest_algorithms.repeat(n))
    }),
    stamp("signers of a time stamp", 300, |n| stamped(|plot| plot.signers = n)),
    stamp("unsigned attributes of a time stamp", 8000, |n| {
        stamped(|plot| plot.unsigned = pki::tlv(0xa1, &ess_v2(b"other").repeat(n)))
    }),
    stamp("a long time in a time stamp", 1 << 17, |n| {
        stamped(|plot| plot.time = format!("20260101000000.{}1Z", "0".repeat(n)))
    }),
    // --- the operator's files ---
    of_files("authorities in a bundle", 300, |n| {
        let authority = |i| {
            let name = format!("ca {i}");
            let ca = Plan::ca(&name, &name, "example.org");
            x509::pem::encode(&ca.issue(&Key::new(2), &Key::new(2)))
        };
        vec![("--bundle", (0..n).map(authority).collect())]
    }),
    of_files("rules of a policy", 1500, |n| {
        let rules: Vec<_> =
            (0..n).map(|i| json!({"namespace": "default", "taskRun": format!("h*{i}")})).collect();
        let all = json!({"namespace": "*", "taskRun": "*"});
        let rules: Vec<_> = rules.into_iter().chain([all]).collect();
        vec![(
            "--policy",
            json!({"version": 1, "expires": "2099-12-31T00:00:00Z", "rules": rules}).to_string(),
        )]
    }),
    Shape {
        is_verified: false,
        ..of_files("results that a policy demands", 4000, |n| {
            let results: Vec<_> = (0..n).map(|i| json!({"name": format!("x{i}")})).collect();
            let rule = json!({"namespace": "default", "taskRun": "*", "results": results});
            vec![(
                "--policy",
                json!({"version": 1, "expires": "2099-12-31T00:00:00Z", "rules": [rule]}).to_string(),
            )]
        })
    },
];
