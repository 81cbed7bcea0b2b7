//! Why a time-stamp token proves nothing.

use super::token::MAX_TOKEN;

/// Why a time-stamp token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than any token in use.
    #[error("it has {bytes} bytes; at most {MAX_TOKEN} are read")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Not base64, where it stands in an annotation.
    #[error("it is not base64")]
    Base64,
    /// Not the DER that RFC 3161 and RFC 5652 demand.
    #[error("it is no time-stamp token in DER: {what}")]
    Malformed {
        /// The field that cannot be read.
        what: &'static str,
    },
    /// The TSA's answer to a request that it did not fulfil (RFC 3161 2.4.2).
    #[error("the TSA did not grant it: {reason}")]
    NotGranted {
        /// Status, failure and the TSA's own words.
        reason: String,
    },
    /// The time stamp is of a digest that is not compared.
    #[error("it is a time stamp of a digest other than SHA-256")]
    OtherDigest,
    /// It is of something else.
    #[error("it is a time stamp of other data, not of this attestation")]
    OtherData,
    /// Not the answer to what was asked (RFC 3161 2.4.2).
    #[error("it has not the nonce of the request, so it is the answer to another one")]
    OtherNonce,
    /// Not what was asked for (RFC 3161 2.4.2).
    #[error("it is of another policy than the one asked for")]
    OtherPolicy,
    /// RFC 3161 2.4.2: an extension that must be understood.
    #[error("it carries a critical extension, and none is known here")]
    CriticalExtension,
    /// A digest or signature algorithm that is not checked.
    #[error(
        "it is signed with an algorithm that is not supported ({what}); RSA PKCS #1 v1.5 with SHA-256, SHA-384 or SHA-512 and \
         ECDSA on P-256 or P-384 with SHA-256 or SHA-384 are"
    )]
    Algorithm {
        /// Which.
        what: String,
    },
    /// A signed attribute is missing, stands twice, or does not fit.
    #[error("its signed attribute {attribute} {problem}")]
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
    #[error("the certificate it names as its signer's is neither in it nor given with --tsa-certificate")]
    NoSigner,
    /// The signature is wrong.
    #[error("its signature does not fit")]
    Signature,
    /// RFC 3161 2.3.
    #[error("its signer may not make time stamps: {reason}")]
    NoTsa {
        /// Which rule of the certificate.
        reason: &'static str,
    },
    /// The signer's certificate does not lead to one that the operator gave.
    #[error("at {at} its signer's certificate did not lead to one given with --tsa-certificate: {reason}")]
    Chain {
        /// The token's time, RFC 3339.
        at: String,
        /// What the path validation says.
        reason: String,
    },
}
