//! What an attestation is about, as far as it can be told without judging it: beside what Tekton Chains says of runs, images have lists
//! of packages, scans and signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::tekton::{chains, strict::node::Node};

/// How the predicate types of provenance begin, which all formats of Tekton Chains have.
const PROVENANCE: &str = "https://slsa.dev/provenance/";

/// What a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// An envelope that may be about a run: those who read it whole say what it is.
    Run,
    /// Certainly something else than a run.
    SomethingElse,
    /// No envelope around a statement.
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
}

/// What an attestation is about.
pub(super) fn about(attestation: &[u8]) -> About {
    let Ok(document) = serde_json::from_slice::<Node>(attestation) else { return About::Nothing };
    let has = |name: &str| document.get(name).is_some();
    let envelope = document.get("dsseEnvelope").unwrap_or(&document);
    let payload = envelope.get("payload").and_then(Node::text);
    let statement = payload.and_then(|payload| STANDARD.decode(payload).ok());
    let statement = statement.and_then(|text| serde_json::from_slice::<Statement>(&text).ok());
    match statement {
        Some(statement) if !statement.predicate_type.starts_with(PROVENANCE) => About::SomethingElse,
        // Sigstore's bundle of a signature over the image itself.
        None if has("messageSignature") && !has("dsseEnvelope") && !has("payload") => About::SomethingElse,
        _ if chains::is_enveloped(&document) => About::Run,
        _ => About::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certainly_something_else_is_passed_over() {
        let envelope = |statement: &str| {
            format!(
                r#"{{"payloadType":"application/vnd.in-toto+json","payload":"{}"}}"#,
                STANDARD.encode(statement)
            )
        };
        let bundle =
            |statement: &str| format!(r#"{{"mediaType":"x","dsseEnvelope":{}}}"#, envelope(statement));
        let provenance = r#"{"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}"#;
        let packages = r#"{"predicateType":"https://spdx.dev/Document","predicate":{}}"#;
        for (case, text, expected) in [
            ("provenance", envelope(provenance), About::Run),
            ("provenance in a bundle", bundle(provenance), About::Run),
            ("packages", envelope(packages), About::SomethingElse),
            ("packages in a bundle", bundle(packages), About::SomethingElse),
            (
                "a signature in a bundle",
                r#"{"messageSignature":{"signature":"x"}}"#.to_owned(),
                About::SomethingElse,
            ),
            (
                "a signature beside an envelope that is none",
                r#"{"messageSignature":{},"dsseEnvelope":{}}"#.to_owned(),
                About::Nothing,
            ),
            ("no JSON", "{".to_owned(), About::Nothing),
            ("no statement", envelope("{}"), About::Run),
            (
                "no base64",
                r#"{"payloadType":"application/vnd.in-toto+json","payload":"?"}"#.to_owned(),
                About::Run,
            ),
            ("no envelope", r#"{"kind":"TaskRun"}"#.to_owned(), About::Nothing),
        ] {
            assert_eq!(about(text.as_bytes()), expected, "{case}");
        }
    }
}
