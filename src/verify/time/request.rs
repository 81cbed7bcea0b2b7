//! Asking a TSA for a token (RFC 3161 2.4.1), and whether its answer is one to keep.

use std::str::FromStr;

use x509_parser::asn1_rs::Oid;

use super::{
    TimeStamp,
    error::TokenError,
    fields::{BOOLEAN, NULL, OID},
    signer::SHA256,
    stamps::TimeStamps,
    token::Token,
};
use crate::{
    evidence::{
        leaf::{INTEGER, OCTET_STRING, SEQUENCE, der, unsigned},
        sha256,
    },
    tekton::taskrun::TaskRun,
    verify::{collect, facts::Detail, findings::Findings, read_attestations, retries, verdict::Finding},
};

/// A TSA's policy: an object identifier such as `1.3.6.1.4.1.13762.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsaPolicy(Vec<u8>);

impl FromStr for TsaPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<TsaPolicy, String> {
        let oid: Result<Oid<'_>, _> = text.parse();
        let oid =
            oid.map_err(|_| "not an object identifier; one looks like 1.3.6.1.4.1.13762.3".to_owned())?;
        Ok(TsaPolicy(oid.as_bytes().to_vec()))
    }
}

/// A request for a time stamp of one attestation.
#[derive(Debug, Clone)]
pub struct Request {
    attestation: Vec<u8>,
    /// Content of the INTEGER.
    nonce: Vec<u8>,
    policy: Option<TsaPolicy>,
}

impl Request {
    /// `nonce` is random and of one use; without a policy the TSA applies its own.
    pub fn new(attestation: Vec<u8>, nonce: [u8; 16], policy: Option<TsaPolicy>) -> Request {
        Request { attestation, nonce: unsigned(&nonce), policy }
    }

    /// TimeStampReq, to be sent as `application/timestamp-query` (RFC 3161 3.4). Asks for the TSA's certificate.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[der(OID, SHA256), der(NULL, &[])].concat());
        let imprint = der(SEQUENCE, &[algorithm, der(OCTET_STRING, &sha256(&self.attestation))].concat());
        let policy = self.policy.as_ref().map(|policy| der(OID, &policy.0)).unwrap_or_default();
        let (nonce, certificate) = (der(INTEGER, &self.nonce), der(BOOLEAN, &[0xff]));
        der(SEQUENCE, &[der(INTEGER, &[1]), imprint, policy, nonce, certificate].concat())
    }

    /// Checks that the answer (TimeStampResp) is granted and is to this request, and the token as [`TimeStamps::check`] does.
    pub fn check(&self, answer: &[u8], trusted: &TimeStamps) -> Result<TimeStamp, TokenError> {
        let token = Token::parse(answer)?;
        if token.nonce.as_ref() != Some(&self.nonce) {
            return Err(TokenError::OtherNonce);
        }
        if self.policy.as_ref().is_some_and(|policy| policy.0 != token.policy) {
            return Err(TokenError::OtherPolicy);
        }
        trusted.check_token(&token, &self.attestation)
    }
}

/// What the time stamp of each step is of: its decoded attestation, with the step's name. Nothing is verified; that the time of
/// something is proven says nothing about it.
pub fn attestations(object: &TaskRun) -> Result<Vec<(String, Vec<u8>)>, Findings> {
    if let Some(finding) = retries::last_never_ran(object) {
        return Err(finding.into());
    }
    let steps = collect::collect(object)?;
    if collect::kind(object, &steps) != collect::EvidenceKind::Attestation {
        let reason = "no step has an attestation, which is what is time-stamped".to_owned();
        return Err(Finding::no_evidence(Detail::NOTHING_SIGNED, reason).into());
    }
    let attestations = read_attestations(&steps)?.into_iter();
    let decoded =
        attestations.map(|(step, attestation)| (steps[step].name.to_owned(), attestation.to_bytes()));
    Ok(decoded.collect())
}
