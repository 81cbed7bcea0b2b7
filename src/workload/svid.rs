//! An X509-SVID that was checked on construction: chain, leaf, key and all signatures inside the chain.

use ring::{rand::SystemRandom, signature};
use zeroize::Zeroizing;

use super::bundle::X509Bundle;
use super::certificate::{Certificate, CertificateError, check_authority, check_leaf, parse_concatenated};
use super::id::{Attested, IdError, RunNameError, SpiffeId, parse_strict};
use crate::evidence::key::{KeyError, SigningKey};

/// More certificates than any chain in use; bounds the work an endpoint can cause.
const MAX_CHAIN: usize = 16;

/// Which certificate of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The workload's own certificate.
    Leaf,
    /// One of the certificates behind it, counted from 0.
    Intermediate(usize),
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Position::Leaf => f.write_str("leaf certificate"),
            Position::Intermediate(index) => write!(f, "intermediate certificate {}", index + 1),
        }
    }
}

/// Why an X509-SVID from the Workload API is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// SPIFFE Workload API 5: the field is mandatory.
    #[error("the Workload API sent an X509-SVID without {field}")]
    Missing {
        /// Name of the protobuf field.
        field: &'static str,
    },
    /// The field `spiffe_id` is no SPIFFE ID.
    #[error("the Workload API sent an X509-SVID with a bad ID: {0}")]
    Id(#[from] IdError),
    /// The chain cannot be read.
    #[error("the certificate chain of {id} cannot be read: {error}")]
    Chain {
        /// The SVID.
        id: String,
        /// What is wrong.
        error: CertificateError,
    },
    /// The chain is longer than any in use.
    #[error("the certificate chain of {id} has {count} certificates, at most {MAX_CHAIN} are accepted")]
    ChainLength {
        /// The SVID.
        id: String,
        /// How many.
        count: usize,
    },
    /// A certificate of the chain breaks a rule.
    #[error("the {position} of {id} is refused: {error}")]
    Certificate {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// Which rule.
        error: CertificateError,
    },
    /// A CA allows fewer CAs below it than there are (RFC 5280 4.2.1.9).
    #[error("the {position} of {id} allows {allowed} CAs below it, there are {found}")]
    PathLength {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// Its pathLenConstraint.
        allowed: u32,
        /// How many CAs stand between it and the leaf.
        found: usize,
    },
    /// The ID of the message is not the certificate's.
    #[error("the Workload API calls the X509-SVID {stated}, its certificate says {certified}")]
    OtherId {
        /// The message's.
        stated: String,
        /// The certificate's.
        certified: String,
    },
    /// The private key cannot be used.
    #[error("the private key of {id} cannot be used: {error}")]
    Key {
        /// The SVID.
        id: String,
        /// Why.
        error: KeyError,
    },
    /// The private key belongs to another certificate.
    #[error("the private key of {id} does not belong to its certificate")]
    OtherKey {
        /// The SVID.
        id: String,
    },
    /// The chain does not lead to the bundle that came with it.
    #[error("the certificate chain of {id} was signed by none of the authorities that came with it")]
    NotOfBundle {
        /// The SVID.
        id: String,
    },
    /// Not valid yet.
    #[error(
        "the {position} of {id} is not valid before {not_before} and it is {now} (seconds since the epoch)"
    )]
    NotYetValid {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// Start of its validity.
        not_before: i64,
        /// The time it was checked at.
        now: i64,
    },
    /// Not valid any more.
    #[error("the {position} of {id} expired at {not_after} and it is {now} (seconds since the epoch)")]
    Expired {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// End of its validity.
        not_after: i64,
        /// The time it was checked at.
        now: i64,
    },
}

/// An X.509 identity with its private key.
#[derive(Debug)]
pub struct X509Svid {
    id: SpiffeId,
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    key: SigningKey,
    hint: String,
}

impl X509Svid {
    /// Checks what the Workload API sent as one X509-SVID (message `X509SVID`) and takes it over.
    ///
    /// Checked: the chain parses and nothing else stands in it; leaf and intermediates obey the X509-SVID standard; each
    /// certificate is signed by the next one; the stated ID is the certified one; the key belongs to the leaf. Not
    /// checked: that the chain ends at an authority of the bundle, and time ([`X509Svid::check_valid_at`]).
    pub fn from_response(
        spiffe_id: &str,
        chain: &[u8],
        key: Zeroizing<Vec<u8>>,
        hint: String,
    ) -> Result<X509Svid, SvidError> {
        for (field, missing) in [
            ("spiffe_id", spiffe_id.is_empty()),
            ("x509_svid", chain.is_empty()),
            ("x509_svid_key", key.is_empty()),
        ] {
            if missing {
                return Err(SvidError::Missing { field });
            }
        }
        let stated = parse_strict(spiffe_id)?;
        let id = || stated.to_string();
        let mut chain =
            parse_concatenated(chain).map_err(|error| SvidError::Chain { id: id(), error })?.into_iter();
        if chain.len() > MAX_CHAIN {
            return Err(SvidError::ChainLength { id: id(), count: chain.len() });
        }
        let leaf = chain.next().ok_or(SvidError::Missing { field: "x509_svid" })?;
        let intermediates: Vec<Certificate> = chain.collect();

        let refuse = |position, error| SvidError::Certificate { id: id(), position, error };
        let certified = check_leaf(&leaf).map_err(|error| refuse(Position::Leaf, error))?;
        if certified != stated {
            return Err(SvidError::OtherId { stated: id(), certified: certified.to_string() });
        }
        let mut signed = (Position::Leaf, &leaf);
        for (index, issuer) in intermediates.iter().enumerate() {
            let position = Position::Intermediate(index);
            check_authority(issuer).map_err(|error| refuse(position, error))?;
            if let Some(allowed) = issuer.path_len()
                && index > allowed as usize
            {
                return Err(SvidError::PathLength { id: id(), position, allowed, found: index });
            }
            signed.1.verify_signed_by(issuer).map_err(|error| refuse(signed.0, error))?;
            signed = (position, issuer);
        }

        let key = SigningKey::from_pkcs8(&key).map_err(|error| SvidError::Key { id: id(), error })?;
        if !belongs(&key, &leaf).map_err(|error| SvidError::Key { id: id(), error })? {
            return Err(SvidError::OtherKey { id: id() });
        }
        Ok(X509Svid { id: certified, leaf, intermediates, key, hint })
    }

    /// The identity, as certified.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The workload's certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates behind it, each signed by the next.
    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// The leaf's private key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The operator's hint, often empty.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// What the leaf's DNS names attest about a run (design 5.3).
    pub fn attested(&self) -> Result<Option<Attested>, RunNameError> {
        Attested::from_dns_names(self.leaf.dns_sans())
    }

    /// Checks that the chain ends at one of the bundle's authorities: what is signed with it can be verified with the bundle.
    pub fn check_issued_by(&self, bundle: &X509Bundle) -> Result<(), SvidError> {
        let last = self.intermediates.last().unwrap_or(&self.leaf);
        match bundle.authorities().iter().any(|authority| last.verify_signed_by(authority).is_ok()) {
            true => Ok(()),
            false => Err(SvidError::NotOfBundle { id: self.id.to_string() }),
        }
    }

    /// Checks the validity of all certificates at a time in seconds since the epoch, both ends included.
    pub fn check_valid_at(&self, now: i64) -> Result<(), SvidError> {
        let mut position = Position::Leaf;
        for (index, certificate) in std::iter::once(&self.leaf).chain(&self.intermediates).enumerate() {
            let id = || self.id.to_string();
            let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
            if now < not_before {
                return Err(SvidError::NotYetValid { id: id(), position, not_before, now });
            }
            if now > not_after {
                return Err(SvidError::Expired { id: id(), position, not_after, now });
            }
            position = Position::Intermediate(index);
        }
        Ok(())
    }

    /// The seconds in which all certificates are valid, both ends included.
    pub fn validity(&self) -> (i64, i64) {
        self.intermediates
            .iter()
            .fold((self.leaf.not_before(), self.leaf.not_after()), |(start, end), other| {
                (start.max(other.not_before()), end.min(other.not_after()))
            })
    }
}

/// Whether the key is the leaf's. Equal public keys say so for a sound key; a signature shows that the key is sound.
fn belongs(key: &SigningKey, leaf: &Certificate) -> Result<bool, KeyError> {
    if key.public_key() != leaf.public_key_bits() {
        return Ok(false);
    }
    let probe = b"svidence: does this key belong to this certificate?";
    let signed = key.sign_attestation(probe, &SystemRandom::new())?;
    let algorithm: &dyn signature::VerificationAlgorithm = match key {
        SigningKey::P256(_) => &signature::ECDSA_P256_SHA256_FIXED,
        SigningKey::P384(_) => &signature::ECDSA_P384_SHA384_FIXED,
        SigningKey::Rsa(_) => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    Ok(signature::UnparsedPublicKey::new(algorithm, leaf.public_key_bits()).verify(probe, &signed).is_ok())
}
