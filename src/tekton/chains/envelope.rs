//! A DSSE envelope (DSSE `envelope.md`), or Sigstore's bundle around one (`application/vnd.dev.sigstore.bundle.v0.3+json`).

use base64::{
    Engine as _,
    alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::ChainsError;
use crate::tekton::strict::node::Node;

/// `payloadType` of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Where a bundle has its envelope.
const IN_BUNDLE: &str = "dsseEnvelope";

/// DSSE lets writers choose between both alphabets, and whether to pad.
const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD_ALPHABET, EITHER_PADDING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER_PADDING);

/// More signatures than anybody makes: each that is checked costs as much as the payload is long.
const MOST_SIGNATURES: usize = 16;
/// Bytes of a signature; the longest that is checked is by RSA with 8192 bits.
const LONGEST_SIGNATURE: usize = 1024;
/// Bytes of the name of a key.
const LONGEST_KEYID: usize = 256;

/// An envelope around an in-toto statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainsEnvelope {
    /// The statement, byte for byte: that is what is signed.
    pub payload: Vec<u8>,
    /// Signatures over it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// Which key made it, by the envelope's word; may be empty.
    pub keyid: String,
    /// The signature; of ECDSA in DER.
    pub sig: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    payload: String,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Document,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

impl ChainsEnvelope {
    /// Whether a document is an envelope around an in-toto statement, or a bundle with one.
    pub(super) fn is_in(document: &Node) -> bool {
        let envelope = document.get(IN_BUNDLE).unwrap_or(document);
        let kind = envelope.get("payloadType").and_then(Node::text);
        kind == Some(PAYLOAD_TYPE) && envelope.get("payload").is_some()
    }

    /// Reads one that is around an in-toto statement from JSON.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ChainsError> {
        let node: Node = serde_json::from_slice(json).map_err(|error| ChainsError::Json {
            what: "the envelope".to_owned(),
            error: error.to_string(),
        })?;
        match Self::is_in(&node) {
            true => Self::read(node),
            false => Err(ChainsError::Shape("it is not an envelope around an in-toto statement".to_owned())),
        }
    }

    /// Reads a document that is one, or a bundle with one.
    pub(super) fn read(document: Node) -> Result<Self, ChainsError> {
        let Document { payload, signatures } = match document.get(IN_BUNDLE).is_some() {
            true => document.read::<Bundle>()?.dsse_envelope,
            false => document.read()?,
        };
        if signatures.len() > MOST_SIGNATURES {
            let reason = format!(
                "its envelope holds {} signatures; at most {MOST_SIGNATURES} are looked at",
                signatures.len()
            );
            return Err(ChainsError::Shape(reason));
        }
        let signature = |Signature { keyid, sig }: Signature| {
            let (keyid, sig) = (keyid.unwrap_or_default(), base64(&sig, "a signature of the envelope")?);
            match keyid.len() > LONGEST_KEYID || sig.len() > LONGEST_SIGNATURE {
                true => Err(ChainsError::Shape(
                    "a signature of its envelope, or the name of a key, is too long".to_owned(),
                )),
                false => Ok(EnvelopeSignature { keyid, sig }),
            }
        };
        Ok(Self {
            payload: base64(&payload, "the envelope's payload")?,
            signatures: signatures.into_iter().map(signature).collect::<Result<_, ChainsError>>()?,
        })
    }
}

/// What a text holds in base64, with either alphabet.
pub(super) fn base64(text: &str, what: &str) -> Result<Vec<u8>, ChainsError> {
    let decoded = if text.contains(['-', '_']) { URL.decode(text) } else { STANDARD.decode(text) };
    decoded.map_err(|_| ChainsError::Base64(what.to_owned()))
}
