//! Asking a TSA for a token (RFC 3161 2.4.1), and whether its answer is to what was asked.

use std::str::FromStr;

use x509_parser::asn1_rs::Oid;

use super::{error::TokenError, signer::SHA256, token::Token};
use crate::{
    der::{BOOLEAN, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, unsigned, write},
    digest::sha256,
};

/// A TSA's policy: an object identifier such as `1.3.6.1.4.1.13762.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsaPolicy(Vec<u8>);

/// Why a text is not a [`TsaPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier; one looks like 1.3.6.1.4.1.13762.3")]
pub struct NotAPolicy;

impl FromStr for TsaPolicy {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        let oid: Oid<'_> = text.parse().map_err(|_| NotAPolicy)?;
        Ok(Self(oid.as_bytes().to_vec()))
    }
}

/// A request for a time stamp.
#[derive(Debug, Clone)]
pub struct Request {
    imprint: [u8; 32],
    /// Content of the INTEGER.
    nonce: Vec<u8>,
    policy: Option<TsaPolicy>,
}

impl Request {
    /// `nonce` is random and of one use; without a policy the TSA applies its own.
    pub fn new(message: &[u8], nonce: [u8; 16], policy: Option<TsaPolicy>) -> Self {
        Self { imprint: sha256(message), nonce: unsigned(&nonce), policy }
    }

    /// TimeStampReq, to be sent as `application/timestamp-query` (RFC 3161 3.4). Asks for the TSA's certificate.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = write(SEQUENCE, &[&write(OID, &[SHA256]), &write(NULL, &[])]);
        let imprint = write(SEQUENCE, &[&algorithm, &write(OCTET_STRING, &[&self.imprint])]);
        let policy = self.policy.as_ref().map(|policy| write(OID, &[&policy.0])).unwrap_or_default();
        let (nonce, certificate) = (write(INTEGER, &[&self.nonce]), write(BOOLEAN, &[&[0xff]]));
        write(SEQUENCE, &[&write(INTEGER, &[&[1]]), &imprint, &policy, &nonce, &certificate])
    }

    /// Checks that a token is the answer to this request. It may be of other data and by anybody.
    pub fn check_answer(&self, token: &Token) -> Result<(), TokenError> {
        if token.nonce.as_ref() != Some(&self.nonce) {
            return Err(TokenError::OtherNonce);
        }
        if self.policy.as_ref().is_some_and(|policy| policy.0 != token.policy) {
            return Err(TokenError::OtherPolicy);
        }
        Ok(())
    }
}
