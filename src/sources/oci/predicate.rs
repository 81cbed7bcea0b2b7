//! What an attestation is about, as far as it can be told without judging it: beside what Tekton Chains says of runs, images have lists
//! of packages, scans and signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// How the predicate types of provenance begin, which all formats of Tekton Chains have.
const PROVENANCE: &str = "https://slsa.dev/provenance/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    payload: Option<String>,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
}

/// Whether it is certainly about something else than a run. What cannot be told is left to those who read it whole.
pub(super) fn is_about_something_else(attestation: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<Document>(attestation) else { return false };
    let Document { payload, dsse_envelope, message_signature } = document;
    match dsse_envelope.map(|envelope| envelope.payload).or(payload) {
        Some(payload) => {
            let statement = STANDARD.decode(payload).ok();
            let statement = statement.and_then(|text| serde_json::from_slice::<Statement>(&text).ok());
            statement.is_some_and(|statement| !statement.predicate_type.starts_with(PROVENANCE))
        }
        // Sigstore's bundle of a signature over the image itself.
        None => message_signature.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certainly_something_else_is_passed_over() {
        let envelope =
            |statement: &str| format!(r#"{{"payloadType":"x","payload":"{}"}}"#, STANDARD.encode(statement));
        let bundle =
            |statement: &str| format!(r#"{{"mediaType":"x","dsseEnvelope":{}}}"#, envelope(statement));
        let provenance = r#"{"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}"#;
        let packages = r#"{"predicateType":"https://spdx.dev/Document","predicate":{}}"#;
        for (case, text, expected) in [
            ("provenance", envelope(provenance), false),
            ("provenance in a bundle", bundle(provenance), false),
            ("packages", envelope(packages), true),
            ("packages in a bundle", bundle(packages), true),
            ("a signature in a bundle", r#"{"messageSignature":{"signature":"x"}}"#.to_owned(), true),
            ("no JSON", "{".to_owned(), false),
            ("no statement", envelope("{}"), false),
            ("no base64", r#"{"payload":"?"}"#.to_owned(), false),
            ("no envelope", r#"{"kind":"TaskRun"}"#.to_owned(), false),
        ] {
            assert_eq!(is_about_something_else(text.as_bytes()), expected, "{case}");
        }
    }
}
