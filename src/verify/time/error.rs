//! Why a time-stamp token proves nothing.

use super::token::MAX_TOKEN;

/// Why a time-stamp token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than any token in use.
    #[error("it has {bytes} bytes, more than the {MAX_TOKEN} that are read; see that it is a time stamp")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Not base64, where it stands in an annotation.
    #[error("it is not base64; put it there with `svidence timestamp`")]
    Base64,
    /// Not what RFC 3161 and RFC 5652 demand.
    #[error("it is not a time-stamp token: {}; keep the TSA's answer as it was sent", problem(what))]
    Malformed {
        /// The field that cannot be read, or a sentence.
        what: &'static str,
    },
    /// The TSA's answer to a request that it did not fulfil (RFC 3161 2.4.2).
    #[error("the TSA did not grant it: {reason}; ask for a new one")]
    NotGranted {
        /// Status, failure and the TSA's own words.
        reason: String,
    },
    /// The time stamp is of a digest that is not compared.
    #[error(
        "it is a time stamp of a digest other than SHA-256, SHA-384 and SHA-512; ask for one of SHA-256, as `svidence timestamp` does"
    )]
    OtherDigest,
    /// It is of something else.
    #[error("it is a time stamp of other data, not of this attestation; give the one of this attestation")]
    OtherData,
    /// Not the answer to what was asked (RFC 3161 2.4.2).
    #[error("its nonce is not that of the request, so it is the answer to another one; ask again")]
    OtherNonce,
    /// Not what was asked for (RFC 3161 2.4.2).
    #[error("its policy is not the one asked for; ask for one that the TSA has")]
    OtherPolicy,
    /// RFC 3161 2.4.2: an extension that must be understood.
    #[error("it has a critical extension, and none is supported; take another TSA")]
    CriticalExtension,
    /// A digest or signature algorithm that is not checked.
    #[error(
        "it is signed with an algorithm that is not supported ({what}); take a TSA that signs with RSA PKCS #1 v1.5 or ECDSA and \
         SHA-256, SHA-384 or SHA-512"
    )]
    Algorithm {
        /// Which.
        what: String,
    },
    /// A signed attribute is missing, appears twice, or is of something else.
    #[error(
        "its signed attribute {attribute} {problem}; keep the TSA's answer as it was sent, or take another TSA"
    )]
    Attribute {
        /// Its name in RFC 5652 or RFC 5035.
        attribute: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing to check it against.
    #[error("no TSA is trusted; give the certificate of one with --tsa-certificate")]
    NoAuthority,
    /// The signer's certificate is not at hand.
    #[error(
        "its signer's certificate is neither in it nor given with --tsa-certificate; give that of the TSA"
    )]
    NoSigner,
    /// The signature is wrong.
    #[error("its signature is not that of its signer: it was changed, or is damaged")]
    Signature,
    /// RFC 3161 2.3.
    #[error("its signer may not make time stamps: {reason}; take another TSA")]
    NoTsa {
        /// Which rule of the certificate.
        reason: &'static str,
    },
    /// The signer's certificate does not lead to one that the operator gave.
    #[error(
        "at {at} its signer's certificate did not lead to one given with --tsa-certificate: {reason}; give the TSA's root, and \
         intermediates that the token leaves out"
    )]
    Chain {
        /// The token's time, RFC 3339.
        at: String,
        /// What the path validation says.
        reason: String,
    },
}

fn problem(what: &str) -> String {
    if what.contains(' ') { what.to_owned() } else { format!("its {what} cannot be read") }
}
