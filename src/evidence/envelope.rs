//! A step's signed statement as DSSE envelope, which other tools can check (DSSE `envelope.md`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use x509::{
    Certificate, KeyAlgorithm,
    der::{INTEGER, SEQUENCE, unsigned, write},
    pem,
    text::hex,
};

use crate::evidence::{sha256, statement::PAYLOAD_TYPE};

/// A statement, what signs it, and the certificates that lead from there towards the bundle.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// The in-toto statement, canonical JSON.
    pub statement: &'a str,
    /// The signature as the attestation carries it.
    pub signature: &'a [u8],
    /// The certificate whose key signed.
    pub leaf: &'a Certificate,
    /// DER, the leaf's issuer first, without the authority of the bundle.
    pub intermediates: Vec<&'a [u8]>,
}

impl Envelope<'_> {
    /// The signature as other tools expect it: ECDSA as DER of `ECDSA-Sig-Value` (RFC 3279 2.2.3), RSA as it is.
    pub fn signature_der(&self) -> Vec<u8> {
        match self.leaf.algorithm() {
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => {
                let (r, s) = self.signature.split_at(self.signature.len() / 2);
                write(SEQUENCE, &[&write(INTEGER, &[&unsigned(r)]), &write(INTEGER, &[&unsigned(s)])])
            }
            _ => self.signature.to_vec(),
        }
    }

    /// The envelope. `keyid` is the SHA-256 of the leaf's SubjectPublicKeyInfo in hexadecimal; `certificate` and
    /// `intermediates` are base64 of PEM, as go-witness writes them. DSSE demands of readers to ignore what they do not know.
    pub fn to_json(&self) -> Value {
        let encoded = |der: &[u8]| STANDARD.encode(pem::encode(der));
        let mut signature = json!({
            "keyid": hex(&sha256(self.leaf.spki_der())),
            "sig": STANDARD.encode(self.signature_der()),
            "certificate": encoded(self.leaf.der()),
        });
        if !self.intermediates.is_empty() {
            signature["intermediates"] = self.intermediates.iter().map(|der| encoded(der)).collect();
        }
        json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(self.statement),
            "signatures": [signature],
        })
    }
}
