//! Why a time-stamp token proves nothing, and what to do about it.

use std::fmt;

/// Why a time-stamp token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeStampTokenError {
    /// Not base64, where it is in an annotation.
    Base64,
    /// What is wrong with the token itself, or with its signer.
    Token(x509::time_stamp::TokenError),
}

impl std::error::Error for TimeStampTokenError {}

impl From<x509::time_stamp::TokenError> for TimeStampTokenError {
    fn from(error: x509::time_stamp::TokenError) -> Self {
        Self::Token(error)
    }
}

impl fmt::Display for TimeStampTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use x509::time_stamp::TokenError as Token;
        let error = match self {
            Self::Base64 => {
                return f.write_str("it is not base64; put it there with `svidence timestamp`");
            }
            Self::Token(Token::Chain { at, reason }) => {
                return write!(
                    f,
                    "at {at} its signer's certificate did not lead to one given with --tsa-certificate: {reason}; give the TSA's \
                     root, and intermediates that the token leaves out"
                );
            }
            Self::Token(error) => error,
        };
        let advice = match error {
            Token::TooLong { .. } => "; see that it is a time stamp",
            Token::Malformed { .. } => "; keep the TSA's answer as it was sent",
            Token::NotGranted { .. } => "; ask for a new one",
            Token::OtherDigest => "; ask for one of SHA-256, as `svidence timestamp` does",
            Token::OtherData => ", not of this attestation; give the one of this attestation",
            Token::OtherNonce => "; ask again",
            Token::OtherPolicy => "; ask for one that the TSA has",
            Token::CriticalExtension | Token::NoTsa { .. } => "; take another TSA",
            Token::Algorithm { .. } => {
                "; take a TSA that signs with RSA PKCS #1 v1.5 or ECDSA and SHA-256, SHA-384 or SHA-512"
            }
            Token::Attribute { .. } => "; keep the TSA's answer as it was sent, or take another TSA",
            Token::NoAuthority => "; give the certificate of one with --tsa-certificate",
            Token::NoSigner => " with --tsa-certificate; give that of the TSA",
            Token::Signature | Token::Chain { .. } => "",
        };
        write!(f, "{error}{advice}")
    }
}
