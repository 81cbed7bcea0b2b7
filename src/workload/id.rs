//! Identities: SPIFFE IDs, the ID of a TaskRun, and what a certificate's DNS name attests about a run.

pub use spiffe::{SpiffeId, TrustDomain};
use x509::text::hex;

use crate::evidence::statement::uuid;

/// Every implementation accepts IDs of this length (SPIFFE-ID 2.3); SPIRE issues none that is longer.
const MAX_ID_BYTES: usize = 2048;

/// Under this name the SPIRE server vouches for a run (docs/evidence.md 8).
const RUN_SUFFIX: &str = ".taskrun.internal";

/// Why a text is not the identity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Longer than any SPIFFE ID in use.
    #[error("a SPIFFE ID of {bytes} bytes is refused, at most {MAX_ID_BYTES} are accepted")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
    /// Breaks the SPIFFE ID grammar.
    #[error("{text:?} is not a SPIFFE ID: {reason}")]
    Invalid {
        /// The text.
        text: String,
        /// What the grammar says.
        reason: String,
    },
    /// Would be valid if it were written in lower case.
    #[error(
        "{text:?} is not a SPIFFE ID in its one written form {canonical:?}: scheme and trust domain are lower case"
    )]
    NotCanonical {
        /// The text.
        text: String,
        /// The form it should have.
        canonical: String,
    },
    /// A namespace and name that cannot appear in a SPIFFE ID's path.
    #[error("namespace {namespace:?} and TaskRun {name:?} cannot be part of a SPIFFE ID: {reason}")]
    TaskRun {
        /// The namespace.
        namespace: String,
        /// The TaskRun's name.
        name: String,
        /// What the grammar says.
        reason: String,
    },
}

/// Parses a SPIFFE ID as it is in a certificate or a Workload API message.
///
/// SPIFFE-ID 2.1 allows lower case only, 2.4 compares without case. A certificate is held to the former: SPIRE never
/// issues anything else, and one ID must not have two spellings in what is signed.
pub fn parse_strict(text: &str) -> Result<SpiffeId, IdError> {
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { bytes: text.len() });
    }
    let id = SpiffeId::new(text)
        .map_err(|error| IdError::Invalid { text: text.to_owned(), reason: error.to_string() })?;
    // The parser lower-cases the trust domain, so only the original text shows an upper-case one.
    let canonical = id.to_string();
    if canonical == text { Ok(id) } else { Err(IdError::NotCanonical { text: text.to_owned(), canonical }) }
}

/// Why a text is not the name of a trust domain. Reads on from the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustDomainError {
    /// A whole ID.
    #[error("is a SPIFFE ID; give the bare name, for example \"example.org\"")]
    SpiffeId,
    /// Breaks the grammar.
    #[error("is not a trust domain: {reason}; one looks like \"example.org\"")]
    Invalid {
        /// What the grammar says.
        reason: String,
    },
    /// Would be valid if it were written in lower case.
    #[error("must be in lower case: {lower:?}")]
    UpperCase {
        /// The form it should have.
        lower: String,
    },
}

/// Parses a trust domain as an operator names it. SPIFFE-ID 2.1 allows lower case only, and Tekton compares the text as it
/// stands, so a spelling that would silently be corrected is a trap.
pub fn parse_trust_domain(text: &str) -> Result<TrustDomain, TrustDomainError> {
    // The parser also takes a whole SPIFFE ID, of which it drops the path.
    if text.contains("://") {
        return Err(TrustDomainError::SpiffeId);
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let parsed = TrustDomain::new(text).map_err(|error| TrustDomainError::Invalid {
        reason: match text {
            "" => "it is empty".to_owned(),
            _ if !text.chars().all(is_allowed) => {
                "only lower-case letters, digits, '.', '-' and '_' belong in it".to_owned()
            }
            _ => error.to_string(),
        },
    })?;
    match parsed.as_str() == text {
        true => Ok(parsed),
        false => Err(TrustDomainError::UpperCase { lower: parsed.to_string() }),
    }
}

/// The identity of a TaskRun: `spiffe://<trust domain>/ns/<namespace>/taskrun/<name>` (TEP-0089).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskRunId {
    id: SpiffeId,
    namespace: String,
    name: String,
}

impl TaskRunId {
    /// Puts an identity together. Kubernetes names are always legal path segments, other text is refused
    /// (SPIFFE-ID 2.2).
    pub fn new(trust_domain: TrustDomain, namespace: &str, name: &str) -> Result<Self, IdError> {
        let id =
            SpiffeId::from_segments(trust_domain, &["ns", namespace, "taskrun", name]).map_err(|error| {
                IdError::TaskRun {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    reason: error.to_string(),
                }
            })?;
        Ok(Self { id, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Reads an ID whose path is exactly `/ns/<namespace>/taskrun/<name>`; any other ID is not a TaskRun's.
    pub fn from_spiffe_id(id: &SpiffeId) -> Option<Self> {
        let mut parts = id.path().split('/');
        let found = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next());
        let ("", "ns", namespace, "taskrun", name, None) = found else { return None };
        Some(Self { id: id.clone(), namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.id.trust_domain()
    }

    /// The TaskRun's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The TaskRun's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same identity as a SPIFFE ID.
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.id
    }
}

impl std::fmt::Display for TaskRunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// Why a DNS name does not attest a run although it claims to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestedNameError {
    /// Ends in `.taskrun.internal` but has none of the four forms.
    #[error(
        "the DNS name {name:?} does not attest a run: {reason}; \
         the forms are [[x<16 hex>.[i<16 hex>.]]<step>.]<uid>{RUN_SUFFIX}, lower case"
    )]
    Malformed {
        /// The name.
        name: String,
        /// Which part is wrong.
        reason: &'static str,
    },
    /// Two names that attest a run, of which only one can be meant.
    #[error("two DNS names attest a run, {first:?} and {second:?}: one is allowed")]
    Several {
        /// One of them.
        first: String,
        /// The other one.
        second: String,
    },
}

/// What a certificate's DNS name attests about a run (docs/evidence.md 8).
///
/// ```text
/// <uid>.taskrun.internal                            the TaskRun's UID
/// <step>.<uid>.taskrun.internal                     only this step's container
/// x<16 hex>.<step>.<uid>.taskrun.internal           only executables whose SHA-256 starts with these 8 bytes
/// x<16 hex>.i<16 hex>.<step>.<uid>.taskrun.internal only in an image whose SHA-256 starts with the 8 bytes after `i`
/// ```
///
/// The longest has 153 characters, and each label at most 63: all within what a DNS name may have (RFC 1035, 2.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attested {
    /// UID of the TaskRun.
    pub uid: [u8; 16],
    /// Name of the step.
    pub step: Option<String>,
    /// First 8 bytes of the executable's SHA-256. Only together with a step.
    pub pin: Option<[u8; 8]>,
    /// First 8 bytes of the SHA-256 that the container's image is known by. Only together with a pin.
    pub image: Option<[u8; 8]>,
}

impl Attested {
    /// Reads one DNS name. Names elsewhere attest nothing about a run: `None`.
    pub fn from_dns_name(name: &str) -> Result<Option<Self>, AttestedNameError> {
        // DNS ignores case and a final dot; a name that only differs in those still claims to attest a run.
        let plain = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if !plain.ends_with(RUN_SUFFIX) && plain != RUN_SUFFIX[1..] {
            return Ok(None);
        }
        let malformed = |reason| AttestedNameError::Malformed { name: name.to_owned(), reason };
        let Some(labels) = name.strip_suffix(RUN_SUFFIX) else {
            return Err(malformed("it is not in its one written form"));
        };
        let mut labels = labels.rsplit('.');
        let uid = labels.next().and_then(parse_uid);
        let uid = uid.ok_or_else(|| malformed("the UID is not a lower-case UUID"))?;
        let step = match labels.next() {
            Some(step) if is_label(step) => Some(step.to_owned()),
            Some(_) => return Err(malformed("the step is not a name that Kubernetes accepts")),
            None => None,
        };
        // The pin comes first, and the image between it and the step.
        let (image, pin) = match (labels.next(), labels.next()) {
            (Some(image), Some(pin)) => (Some(image), Some(pin)),
            (pin, _) => (None, pin),
        };
        if labels.next().is_some() {
            return Err(malformed("it has too many labels"));
        }
        let hash = |letter, label: Option<&str>, reason| {
            label.map(|label| parse_hash(letter, label).ok_or_else(|| malformed(reason))).transpose()
        };
        let pin = hash('x', pin, "the pin is not x and 16 hex digits")?;
        let image = hash('i', image, "the image is not i and 16 hex digits")?;
        Ok(Some(Self { uid, step, pin, image }))
    }

    /// Reads all DNS names of a certificate, of which at most one may attest a run.
    pub fn from_dns_names<N: AsRef<str>>(names: &[N]) -> Result<Option<Self>, AttestedNameError> {
        let mut found: Option<(&str, Self)> = None;
        for name in names.iter().map(AsRef::as_ref) {
            let Some(attested) = Self::from_dns_name(name)? else { continue };
            if let Some((first, _)) = found {
                return Err(AttestedNameError::Several { first: first.to_owned(), second: name.to_owned() });
            }
            found = Some((name, attested));
        }
        Ok(found.map(|(_, attested)| attested))
    }

    /// The DNS name that attests this. A pin without a step, an image without a pin, or a step that is not a label, has none.
    pub fn dns_name(&self) -> Result<String, AttestedNameError> {
        let mut name = String::new();
        for (letter, hash) in [('x', self.pin), ('i', self.image)] {
            if let Some(hash) = hash {
                name.push(letter);
                name.push_str(&hex(&hash));
                name.push('.');
            }
        }
        if let Some(step) = &self.step {
            name.push_str(step);
            name.push('.');
        }
        name.push_str(&uuid(&self.uid));
        name.push_str(RUN_SUFFIX);
        match Self::from_dns_name(&name)? {
            Some(read) if read == *self => Ok(name),
            _ => Err(AttestedNameError::Malformed {
                name,
                reason: "it does not read back as what it was made of",
            }),
        }
    }
}

/// Reads a lower-case hyphenated UUID, the form of every Kubernetes UID.
pub fn parse_uid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut digits = [0; 32];
    let mut count = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            digits[count] = *byte;
            count += 1;
        }
    }
    parse_hex(&digits)
}

fn parse_hash(letter: char, label: &str) -> Option<[u8; 8]> {
    parse_hex(label.strip_prefix(letter)?.as_bytes())
}

/// Lower-case hex digits, exactly two for each byte.
fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// A label of RFC 1123 in lower case, as Kubernetes demands of container names.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}
