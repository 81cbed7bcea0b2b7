//! Why a time-stamp token proves nothing.

use super::MAX_TOKEN;
use crate::der::fields::Malformed;

/// Why a time-stamp token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than any token in use.
    #[error("it has {bytes} bytes, more than the {MAX_TOKEN} that are read")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Not what RFC 3161 and RFC 5652 demand.
    #[error("it is not a time-stamp token: {}", problem(what))]
    Malformed {
        /// The field that cannot be read, or a sentence.
        what: &'static str,
    },
    /// The TSA's answer to a request that it did not fulfil (RFC 3161 2.4.2).
    #[error("the TSA did not grant it: {reason}")]
    NotGranted {
        /// Status, failure and the TSA's own words.
        reason: String,
    },
    /// The time stamp is of a digest that is not compared.
    #[error("it is a time stamp of a digest other than SHA-256, SHA-384 and SHA-512")]
    OtherDigest,
    /// It is of something else.
    #[error("it is a time stamp of other data")]
    OtherData,
    /// Not the answer to what was asked (RFC 3161 2.4.2).
    #[error("its nonce is not that of the request, so it is the answer to another one")]
    OtherNonce,
    /// Not what was asked for (RFC 3161 2.4.2).
    #[error("its policy is not the one asked for")]
    OtherPolicy,
    /// RFC 3161 2.4.2: an extension that must be understood.
    #[error("it has a critical extension, and none is supported")]
    CriticalExtension,
    /// A digest or signature algorithm that is not checked.
    #[error("it is signed with an algorithm that is not supported ({what})")]
    Algorithm {
        /// Which.
        what: String,
    },
    /// A signed attribute is missing, appears twice, or is of something else.
    #[error("its signed attribute {attribute} {problem}")]
    Attribute {
        /// Its name in RFC 5652 or RFC 5035.
        attribute: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing to check it against.
    #[error("no TSA is trusted")]
    NoAuthority,
    /// The signer's certificate is not at hand.
    #[error("its signer's certificate is neither in it nor given")]
    NoSigner,
    /// The signature is wrong.
    #[error("its signature is not that of its signer: it was changed, or is damaged")]
    Signature,
    /// RFC 3161 2.3.
    #[error("its signer may not make time stamps: {reason}")]
    NoTsa {
        /// Which rule of the certificate.
        reason: &'static str,
    },
    /// The signer's certificate does not lead to one that is trusted.
    #[error("at {at} its signer's certificate did not lead to one that is trusted: {reason}")]
    Chain {
        /// The token's time, RFC 3339.
        at: String,
        /// What the path validation says.
        reason: String,
    },
}

impl From<Malformed> for TokenError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed { what }
    }
}

fn problem(what: &str) -> String {
    if what.contains(' ') { what.to_owned() } else { format!("its {what} cannot be read") }
}
