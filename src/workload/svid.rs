//! An X509-SVID that was checked on construction: leaf and key, and then its chain to a bundle, by the rules of verifiers.

use ring::{rand::SystemRandom, signature};
use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError, Validity, parse_concatenated};
use zeroize::Zeroizing;

use super::{
    bundle::X509Bundle,
    chain::{IssuerRule, PathError, PathRule, find_path_within},
    id::{Attested, AttestedNameError, IdError, SpiffeId, TaskRunId, parse_strict},
    svid_rules::{SvidRule, check_leaf},
};
use crate::evidence::{
    attestation::MOST_INTERMEDIATES,
    key::{KeyError, SigningKey},
};

/// More certificates than any chain in use; bounds the work an endpoint can cause.
const MAX_CHAIN: usize = 16;

/// Which certificate of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The workload's own certificate.
    Leaf,
    /// One of the certificates behind it, counted from 0.
    Intermediate(usize),
    /// The authority of the bundle that the chain ends at.
    Authority,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Leaf => f.write_str("leaf certificate"),
            Self::Intermediate(index) => write!(f, "intermediate certificate {}", index + 1),
            Self::Authority => f.write_str("authority"),
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
    /// The field `spiffe_id` is not a SPIFFE ID.
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
    /// The chain is longer than any in use, or than an attestation may carry.
    #[error("the certificate chain of {id} has {count} certificates, at most {limit} are accepted")]
    ChainLength {
        /// The SVID.
        id: String,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The leaf breaks a rule.
    #[error("no verifier will believe the certificate of {id}: {error}")]
    Certificate {
        /// The SVID.
        id: String,
        /// Which rule.
        error: SvidRule,
    },
    /// The chain breaks a rule.
    #[error("no verifier will believe the certificate of {id}: {error}")]
    Chained {
        /// The SVID.
        id: String,
        /// Which certificate and which rule; boxed to keep errors small.
        error: Box<PathError>,
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
    #[error("the certificate of {id} leads to none of the authorities that came with it: {error}")]
    NotOfBundle {
        /// The SVID.
        id: String,
        /// What the search for a path says; boxed to keep errors small.
        error: Box<PathError>,
    },
    /// Not valid yet.
    #[error(
        "the {position} of {id} is not valid before {} and it is {}",
        not_before.to_string(),
        now.to_string()
    )]
    NotYetValid {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// Start of its validity.
        not_before: UnixSeconds,
        /// The time it was checked at.
        now: UnixSeconds,
    },
    /// Not valid any more.
    #[error("the {position} of {id} expired at {not_after} and it is {now}")]
    Expired {
        /// The SVID.
        id: String,
        /// Which certificate.
        position: Position,
        /// End of its validity.
        not_after: UnixSeconds,
        /// The time it was checked at.
        now: UnixSeconds,
    },
}

impl SvidError {
    /// Whether the same SVID will be refused whenever it is looked at: a rule is broken that neither time nor another bundle mends.
    /// Of an SVID that is not a TaskRun's, and so not ours, that says nothing.
    pub fn is_permanent(&self) -> bool {
        let id = match self {
            Self::Certificate { id, .. } | Self::ChainLength { id, .. } | Self::Key { id, .. } => id,
            Self::Chained { id, error } => match error.as_ref() {
                // Of a namesake's signature: while the one that made it is not in the bundle yet.
                PathError::Refused {
                    rule:
                        PathRule::Expired { .. }
                        | PathRule::NotYetValid { .. }
                        | PathRule::Certificate(CertificateError::BadSignature),
                    ..
                } => return false,
                PathError::Refused { .. } => id,
                _ => return false,
            },
            _ => return false,
        };
        parse_strict(id).is_ok_and(|id| TaskRunId::from_spiffe_id(&id).is_some())
    }
}

/// An X.509 identity with its private key.
#[derive(Debug)]
pub struct X509Svid {
    id: SpiffeId,
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    /// Known once the chain has been led to a bundle.
    authority: Option<Certificate>,
    caution: Option<PathError>,
    key: SigningKey,
    hint: String,
}

impl X509Svid {
    /// Checks what the Workload API sent as one X509-SVID (message `X509SVID`) and takes it over.
    ///
    /// Checked: the chain parses and nothing else is in it; the leaf obeys the X509-SVID standard; the stated ID is the
    /// certified one; the key belongs to the leaf. Not checked: the certificates behind the leaf ([`X509Svid::led_to`]), and time
    /// ([`X509Svid::check_valid_at`]).
    pub fn from_response(
        spiffe_id: &str,
        chain: &[u8],
        key: Zeroizing<Vec<u8>>,
        hint: String,
    ) -> Result<Self, SvidError> {
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
        let leaf = chain.next().ok_or(SvidError::Missing { field: "x509_svid" })?;
        let mut intermediates: Vec<Certificate> = Vec::new();
        for certificate in chain {
            if certificate != leaf && !intermediates.contains(&certificate) {
                intermediates.push(certificate);
            }
            if intermediates.len() >= MAX_CHAIN {
                let count = intermediates.len() + 1;
                return Err(SvidError::ChainLength { id: id(), count, limit: MAX_CHAIN });
            }
        }
        let certified = check_leaf(&leaf).map_err(|error| SvidError::Certificate { id: id(), error })?;
        if certified != stated {
            return Err(SvidError::OtherId { stated: id(), certified: certified.to_string() });
        }
        let key = SigningKey::from_pkcs8(&key).map_err(|error| SvidError::Key { id: id(), error })?;
        if !belongs(&key, &leaf).map_err(|error| SvidError::Key { id: id(), error })? {
            return Err(SvidError::OtherKey { id: id() });
        }
        Ok(Self { id: certified, leaf, intermediates, authority: None, caution: None, key, hint })
    }

    /// The identity, as certified.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The workload's certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates behind it: as they came, or once the SVID has been led to a bundle, each signed by the next.
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

    /// What the leaf's DNS names attest about a run (docs/evidence.md 8).
    pub fn attested(&self) -> Result<Option<Attested>, AttestedNameError> {
        Attested::from_dns_names(self.leaf.dns_sans())
    }

    /// Leads the chain to the bundle with the verifier's own search, at a time from `now` on at which the
    /// leaf is valid, and leaves only what is between leaf and authority, in order. Without such a path no verifier will believe
    /// what is signed. One that asks verifiers to vouch for an authority is taken, with a [caution](X509Svid::caution).
    pub fn led_to(mut self, bundle: &X509Bundle, now: UnixSeconds) -> Result<Self, SvidError> {
        let id = || self.id.to_string();
        let Validity { not_before, not_after } = self.leaf.validity();
        let at = now.max(not_before).min(not_after);
        let slow_by = not_after.since(at);
        let intermediates: Vec<&Certificate> = self.intermediates.iter().collect();
        let find = |bundle: &X509Bundle| find_path_within(&self.leaf, &intermediates, bundle, at, slow_by);
        let (path, caution) = match find(bundle) {
            Err(PathError::Refused {
                rule: PathRule::Caller(IssuerRule::WithoutUri { fingerprint, .. }),
                ..
            }) => {
                let caution = find(bundle).err();
                (find(&bundle.clone().naming_without_uri([fingerprint])), caution)
            }
            path => (path, None),
        };
        let path = path.map_err(|error| match error {
            PathError::Refused { .. } => SvidError::Chained { id: id(), error: Box::new(error) },
            error => SvidError::NotOfBundle { id: id(), error: Box::new(error) },
        })?;
        let count = path.issuers().len();
        if count > MOST_INTERMEDIATES + 1 {
            return Err(SvidError::ChainLength { id: id(), count, limit: MOST_INTERMEDIATES + 1 });
        }
        let (intermediates, authority) = (path.intermediates().to_vec(), path.authority().cloned());
        (self.intermediates, self.authority, self.caution) = (intermediates, authority, caution);
        Ok(self)
    }

    /// What verifiers have to be told before they believe this certificate.
    pub fn caution(&self) -> Option<&PathError> {
        self.caution.as_ref()
    }

    /// Checks the validity of all certificates at a time, both ends included.
    pub fn check_valid_at(&self, now: UnixSeconds) -> Result<(), SvidError> {
        for (position, certificate) in self.positions() {
            let id = || self.id.to_string();
            let Validity { not_before, not_after } = certificate.validity();
            if now < not_before {
                return Err(SvidError::NotYetValid { id: id(), position, not_before, now });
            }
            if now > not_after {
                return Err(SvidError::Expired { id: id(), position, not_after, now });
            }
        }
        Ok(())
    }

    /// When all certificates are valid.
    pub fn validity(&self) -> Validity {
        self.positions().fold(Validity::ALWAYS, |all, (_, certificate)| all.and(certificate.validity()))
    }

    /// Leaf, intermediates, and the authority if it is known.
    fn positions(&self) -> impl Iterator<Item = (Position, &Certificate)> {
        let intermediates = self.intermediates.iter().enumerate();
        std::iter::once((Position::Leaf, &self.leaf))
            .chain(intermediates.map(|(index, certificate)| (Position::Intermediate(index), certificate)))
            .chain(self.authority.iter().map(|authority| (Position::Authority, authority)))
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
