//! Compressed termination messages (`-compress_termination_message`): more fits, and it verifies.

use crate::support;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use support::{
    pod::Pod,
    signed::{Cluster, entry, reasons},
};
use svidence::verify::Verdict;

fn inflated(message: &str) -> String {
    match message.strip_prefix("tknz:") {
        None => message.to_owned(),
        Some(text) => {
            let deflated = STANDARD_NO_PAD.decode(text).unwrap();
            let json = miniz_oxide::inflate::decompress_to_vec_with_limit(&deflated, 128 * 1024).unwrap();
            String::from_utf8(json).unwrap()
        }
    }
}

#[test]
fn more_results_fit_and_verify() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[("svidence-containers", "1")]);
    let names: Vec<String> = (0..60).map(|i| format!("digest-of-image-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let script = "for i in $(seq 0 59); do printf sha256:%064d $i >$RESULTS/digest-of-image-$i; done";
    let step = pod.step(0).signed(&cluster.agent.address()).results(&names).script(script);
    assert_eq!(step.clone().run().output.status.code(), Some(1), "too large without compression");
    let outcome = step.flags(&["-compress_termination_message=true"]).run();
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    assert!(outcome.message().starts_with("tknz:") && outcome.message().len() <= 4096);
    let message = inflated(outcome.message());
    assert!(message.len() > 4096 && entry(&message, "SVIDENCE.one.sig").unwrap().starts_with("sv1."));
    let declared: Value = names.iter().map(|name| json!({"name": name, "type": "string"})).collect();
    let report = cluster.judge(&declared, &json!([{"name": "one"}]), &[outcome.report]);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    assert_eq!(report.proof.unwrap().results.len(), names.len());
}

/// As many digests as fit into Tekton's message (3901 bytes with Go's best compression).
#[test]
fn digests_fit_as_with_tekton() {
    let pod = Pod::new("run", &["one"]);
    let script =
        "for i in $(seq 80); do echo sha256:$(printf $i | sha256sum | cut -c1-64); done >$RESULTS/digests";
    let outcome =
        pod.step(0).results(&["digests"]).flags(&["-compress_termination_message"]).script(script).run();
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    assert!(outcome.message().len() < 3950, "{} bytes", outcome.message().len());
    assert_eq!(entry(&inflated(outcome.message()), "digests").unwrap().len(), 80 * 72);
}

/// What the controller would not decompress is refused, where Tekton's message would be lost to it.
#[test]
fn bounds() {
    let flags = ["-compress_termination_message"];
    for (bytes, status) in [(1, 0), (120_000, 0), (131_072, 1), (10_000_000_000_u64, 1)] {
        let pod = Pod::new("run", &["one"]);
        let step = pod.step(0).results(&["zeros"]).flags(&flags);
        let outcome = step.script(&format!("head -c {bytes} /dev/zero | tr '\\0' x >$RESULTS/zeros")).clone();
        let outcome = match bytes {
            // A hole: it must not be read to its end.
            10_000_000_000 => outcome.script("truncate -s 10G $RESULTS/zeros").run(),
            _ => outcome.run(),
        };
        assert_eq!(outcome.output.status.code(), Some(status), "{bytes} bytes: {}", outcome.stderr());
        let message = inflated(outcome.message());
        let value = entry(&message, "zeros");
        assert_eq!(value.map(|value| value.len() as u64), (status == 0).then_some(bytes), "{bytes} bytes");
        assert_eq!(outcome.message().starts_with("tknz:"), bytes == 120_000, "only where it is shorter");
    }
}
