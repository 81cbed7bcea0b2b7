//! The fuzz targets' corpus (`testdata/fuzz/`: seeds, and every input that once broke something) replayed without a fuzzer.
//! `SVIDENCE_REGENERATE=1` writes the seeds anew from genuine TaskRuns.

#![cfg(feature = "cli")]

#[allow(unreachable_pub, dead_code)]
#[path = "../fuzz/src/bodies.rs"]
mod bodies;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use support::{chains, documents, fleet::Fleet};

/// What one small input may take; libFuzzer's own limit is the same.
const PATIENCE: Duration = Duration::from_secs(10);

/// Attestations of a real Tekton Chains that are seeds: one of each format.
const CHAINS: [&str; 6] = [
    "all-types-in-toto",
    "all-types-v2alpha3",
    "all-types-v2alpha4",
    "pipe-in-toto",
    "pipe-v2alpha4",
    "pipe-v2alpha4-deep",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz")
}

fn corpus(target: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(folder().join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn the_corpus_breaks_nothing() {
    if std::env::var_os("SVIDENCE_REGENERATE").is_some() {
        return regenerate();
    }
    for (target, body) in bodies::TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() >= 4, "{target} has seeds: {}", inputs.len());
        for path in inputs {
            let input = fs::read(&path).unwrap();
            let (done, waiting) = mpsc::channel();
            let replay = thread::spawn(move || {
                // Cut short and with a byte changed, too: a seed is near to much that is broken.
                for cut in [input.len(), input.len() / 2, input.len().saturating_sub(1)] {
                    body(&input[..cut]);
                }
                let mut altered = input;
                if let Some(middle) = altered.len().checked_div(2).and_then(|i| altered.get_mut(i)) {
                    *middle ^= 1;
                }
                body(&altered);
                let _ = done.send(());
            });
            let ended = waiting.recv_timeout(4 * PATIENCE);
            assert!(!matches!(ended, Err(mpsc::RecvTimeoutError::Timeout)), "{} hangs", path.display());
            assert!(replay.join().is_ok(), "{target} fails on {}", path.display());
        }
    }
}

#[test]
fn the_targets_are_those_that_are_fuzzed() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let makefile = include_str!("../Makefile");
    for (target, _) in bodies::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        assert!(
            makefile.lines().any(|line| line.starts_with("FUZZ_TARGETS") && line.contains(target)),
            "{target}"
        );
    }
}

fn write(target: &str, name: &str, content: impl AsRef<[u8]>) {
    fs::create_dir_all(folder().join(target)).unwrap();
    fs::write(folder().join(target).join(name), content).unwrap();
}

fn regenerate() {
    let fleet = Fleet::new();
    let genuine = &fleet.run("one step").object;
    fs::write(folder().join("genuine.json"), format!("{genuine}\n")).unwrap();
    fs::write(folder().join("bundle.pem"), fleet.ca.bundle_pem()).unwrap();

    for (label, step) in
        [("both", "build"), ("hints", "report"), ("artifacts", "build"), ("steps attested", "push")]
    {
        let object = &fleet.run(label).object;
        let key = format!("SVIDENCE.{step}.sig");
        let results = object["status"]["results"].as_array().unwrap();
        let value = results.iter().find(|result| result["name"] == *key).unwrap()["value"].clone();
        write("attestation", &format!("{label}.txt").replace(' ', "-"), value.as_str().unwrap());
        let of_step = |state: &&Value| state["name"] == step;
        let state = object["status"]["steps"].as_array().unwrap().iter().find(of_step).unwrap();
        let message = state["terminated"]["message"].as_str().unwrap();
        write("message", &format!("{label}.json").replace(' ', "-"), message);
    }
    let entries = r#"[{"key":"digest","value":"x","type":1},{"key":"StartedAt","value":"2026-11-21T19:22:00.787Z","type":3}]"#;
    let deflated = miniz_oxide::deflate::compress_to_vec(entries.as_bytes(), 9);
    write("message", "compressed.txt", format!("tknz:{}", STANDARD_NO_PAD.encode(deflated)));
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![b' '; 4 << 20], 9);
    write("message", "compressed-bomb.txt", format!("tknz:{}", STANDARD_NO_PAD.encode(bomb)));
    write(
        "message",
        "odd-entries.json",
        r#"[{"KEY":"a","value":"b","type":"Nope"},null,{"key":"ExitCode","value":"0","type":1}]"#,
    );

    let spire = folder().join("../spire");
    for (name, path) in [
        ("spire.pem", "p256-self/bundle.pem"),
        ("two-roots.pem", "two-roots/bundle.0.pem"),
        ("corporate-root.pem", "chain-of-three/bundle.0.pem"),
    ] {
        if let Ok(content) = fs::read(spire.join(path)) {
            write("bundle", name, content);
        }
    }
    write("bundle", "dev.der", fleet.ca.certificate());
    let x5c = base64::engine::general_purpose::STANDARD.encode(fleet.ca.certificate());
    let key = json!({"kty": "EC", "crv": "P-256", "use": "x509-svid", "x5c": [x5c]});
    let jwt = json!({"kty": "EC", "use": "jwt-svid", "kid": "x"});
    write(
        "bundle",
        "spiffe.json",
        json!({"keys": [key, jwt, {"kty": "oct"}], "spiffe_sequence": 3}).to_string(),
    );

    write("certificate", "authority.der", fleet.ca.certificate());
    for (i, svid) in fleet.others.iter().enumerate() {
        write("certificate", &format!("leaf-{i}.der"), &svid.certificate);
    }

    write("taskrun", "genuine.json", genuine.to_string());
    write("taskrun", "genuine.yaml", serde_saphyr::to_string(genuine).unwrap());
    for (i, text) in documents::GENUINE.iter().enumerate() {
        write("yaml", &format!("{i}.yaml"), text);
    }
    write("taskrun", "list.json", json!({"kind": "List", "items": [genuine]}).to_string());
    let mut older = genuine.clone();
    older["apiVersion"] = json!("tekton.dev/v1beta1");
    let results = older["status"].as_object_mut().unwrap().remove("results").unwrap();
    older["status"]["taskResults"] = results;
    write("taskrun", "v1beta1.json", older.to_string());
    let mut forged = genuine.clone();
    forged["status"]["results"][0]["value"] = json!("forged");
    write("taskrun", "forged.json", forged.to_string());
    let attested = folder().join("../chains/real");
    for format in CHAINS {
        for file in ["envelope.json", "payload.json"] {
            let content = fs::read(attested.join(format).join(file)).unwrap();
            write("chains", &format!("{format}-{file}"), content);
        }
    }
    write("chains", "slsa-tekton.json", chains::pipeline_tekton(&[genuine]).to_string());
}
