//! A trust domain's X.509 authorities, from whatever form an operator has them in (SPIFFE Trust Domain and Bundle).
//!
//! A bundle belongs to one trust domain, which its user must name: neither PEM nor the SPIFFE JSON says it.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use x509::{
    Certificate, CertificateError, Class, Fingerprint, der,
    pem::{self, PemError},
};

use super::{
    id::TrustDomain,
    svid_rules::{SvidRule, check_authority},
};

/// Far more than any bundle; a larger file is something else.
const MAX_BYTES: usize = 4 << 20;

/// Why a trust bundle is refused, or an authority of it left out. The texts speak of the file or message as "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nothing that could be trusted.
    #[error(
        "it holds no certificate authority, so nothing of {trust_domain} can be verified with it; \
         `spire-server bundle show` prints the bundle"
    )]
    Empty {
        /// The trust domain it was given for.
        trust_domain: String,
    },
    /// Larger than any bundle.
    #[error("it has {bytes} bytes, at most {MAX_BYTES} are accepted of certificates")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// None of the known forms.
    #[error(
        "it is {found}; a bundle is PEM (-----BEGIN CERTIFICATE-----), SPIFFE JSON ({{\"keys\":…}}) or DER: \
         `spire-server bundle show` prints it"
    )]
    Unrecognised {
        /// What it is instead.
        found: String,
    },
    /// A certificate that cannot be read.
    #[error("certificate {number} in it cannot be read: {error}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// DER that is not a list of certificates.
    #[error("it is not a list of certificates in DER (cut short, or followed by something else)")]
    Der,
    /// A certificate that is not an authority.
    #[error("certificate {number} in it ({certificate}) is not an authority that can be used: {error}")]
    NotAnAuthority {
        /// Which one, from 1.
        number: usize,
        /// The certificate, for people.
        certificate: String,
        /// Which rule.
        error: SvidRule,
    },
    /// An SVID instead of the bundle.
    #[error(
        "certificate {number} in it is a workload's ({id}), not a certificate authority's; \
         export the bundle with `spire-server bundle show`"
    )]
    Svid {
        /// Which one, from 1.
        number: usize,
        /// Its URI.
        id: String,
    },
    /// Handed over for the wrong trust domain.
    #[error("it belongs to another trust domain: certificate {number} is of {found}, expected is {expected}")]
    OtherTrustDomain {
        /// Which one, from 1.
        number: usize,
        /// The trust domain in the certificate.
        found: String,
        /// The trust domain it was given for.
        expected: String,
    },
    /// Damaged PEM, or a block of something else.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// JSON, but not a SPIFFE bundle.
    #[error("it is JSON, but not a SPIFFE bundle: {reason}")]
    Json {
        /// What is wrong.
        reason: String,
    },
    /// A JWKS that is no SPIFFE bundle.
    #[error(
        "it is a plain JWKS: its keys do not say what they are for (`use`: \"x509-svid\"); \
         have SPIRE write it in the format `spiffe` or `pem`, not `jwks`"
    )]
    PlainJwks,
    /// Base64 that is not.
    #[error("certificate {number} in it is damaged: it is not standard base64")]
    Base64 {
        /// Which one, from 1.
        number: usize,
    },
}

impl BundleError {
    /// A short stable name of the reason, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "bundle-empty",
            Self::TooLarge { .. } => "bundle-too-large",
            Self::Unrecognised { .. } => "bundle-form",
            Self::Certificate { error, .. } => error.code(),
            Self::NotAnAuthority { error, .. } => error.code(),
            Self::Der => "bundle-der",
            Self::Svid { .. } => "bundle-svid",
            Self::OtherTrustDomain { .. } => "bundle-other-trust-domain",
            Self::Pem(PemError::Damaged { .. } | PemError::NotBase64 { .. }) => "bundle-pem",
            Self::Pem(PemError::Label { .. }) => "bundle-pem-label",
            Self::Json { .. } => "bundle-json",
            Self::PlainJwks => "bundle-plain-jwks",
            Self::Base64 { .. } => "bundle-base64",
        }
    }
}

/// Something odd in a bundle that did not make it unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleWarning {
    /// One authority is of no use; the others are.
    #[error("{0}; nothing is verified by it")]
    LeftOut(BundleError),
    /// SPIFFE Trust Domain and Bundle 4.1.3, 4.2: elements that are not understood are ignored.
    #[error("{count} keys of the bundle were ignored: `kty` or `use` is missing or unknown")]
    Ignored {
        /// How many.
        count: usize,
    },
    /// X509-SVID 6.2: an element without `x5c` is skipped.
    #[error("{count} x509-svid keys of the bundle were ignored: they carry no certificate (`x5c`)")]
    NoCertificate {
        /// How many.
        count: usize,
    },
    /// X509-SVID 6.2: only the first certificate of an element counts.
    #[error("key {number} of the bundle carries {count} certificates, only the first one is used")]
    SeveralCertificates {
        /// Which one, from 1.
        number: usize,
        /// How many.
        count: usize,
    },
}

/// The X.509 authorities of one trust domain: at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Bundle {
    trust_domain: TrustDomain,
    authorities: Vec<Certificate>,
    left_out: Vec<BundleError>,
    without_uri: Vec<Fingerprint>,
    sequence: Option<u64>,
}

/// A certificate of a bundle, with its number from 1; `Err` if it cannot be read.
type Candidate = (usize, Result<Certificate, BundleError>);

impl X509Bundle {
    /// Takes the authorities that can be used. One whose use depends on what this program knows (an algorithm, an extension) stays
    /// in, so that a chain to it gets its true reason; but a bundle of such alone is refused.
    fn new(
        trust_domain: TrustDomain,
        candidates: impl IntoIterator<Item = Candidate>,
    ) -> Result<Self, BundleError> {
        let mut authorities: Vec<Certificate> = Vec::new();
        let mut seen = HashSet::new();
        let mut left_out = Vec::new();
        let mut usable = false;
        for (number, candidate) in candidates {
            let certificate = match candidate {
                Ok(certificate) => certificate,
                Err(error) => {
                    left_out.push(error);
                    continue;
                }
            };
            if !seen.insert(certificate.fingerprint()) {
                continue;
            }
            let not_an_authority =
                |error| BundleError::NotAnAuthority { number, certificate: certificate.label(), error };
            match check_authority(&certificate) {
                Ok(Some(found)) if found != trust_domain => {
                    let (found, expected) = (found.to_string(), trust_domain.to_string());
                    return Err(BundleError::OtherTrustDomain { number, found, expected });
                }
                Ok(_) if certificate.algorithm().is_supported() => usable = true,
                Ok(_) => {
                    let key = certificate.algorithm().to_string();
                    left_out.push(not_an_authority(CertificateError::UnsupportedKey { key }.into()));
                }
                Err(error) if error.class() == Class::Unchecked => left_out.push(not_an_authority(error)),
                Err(error) => {
                    let uri = certificate.uri_sans().iter().find(|uri| uri.starts_with("spiffe://"));
                    // With it the others are its chain, of which nobody has said that they are to be trusted.
                    if let Some(id) = uri.filter(|_| !certificate.is_ca()) {
                        return Err(BundleError::Svid { number, id: id.clone() });
                    }
                    left_out.push(not_an_authority(error));
                    continue;
                }
            }
            authorities.push(certificate);
        }
        if !usable {
            let empty = BundleError::Empty { trust_domain: trust_domain.to_string() };
            return Err(left_out.into_iter().next().unwrap_or(empty));
        }
        Ok(Self { trust_domain, authorities, left_out, without_uri: Vec::new(), sequence: None })
    }

    /// The authorities of all of them, each once; `None` of none. They are of one trust domain: the first one's.
    pub fn of_all(bundles: Vec<Self>) -> Option<Self> {
        let mut bundles = bundles.into_iter();
        let mut all = bundles.next()?;
        let mut known: HashSet<Vec<u8>> = all.authorities.iter().map(|known| known.der().to_vec()).collect();
        for bundle in bundles {
            // Of several documents no one number is that of the whole.
            all.sequence = None;
            let new =
                bundle.authorities.into_iter().filter(|authority| known.insert(authority.der().to_vec()));
            all.authorities.extend(new);
            all.left_out.extend(bundle.left_out);
        }
        Some(all)
    }

    /// Reads concatenated DER, as the Workload API carries it (SPIFFE Workload API 5).
    pub fn from_der(trust_domain: TrustDomain, der: &[u8]) -> Result<Self, BundleError> {
        let elements = der::read_all(der).ok_or(BundleError::Der)?;
        let candidates = elements.iter().enumerate().map(|(index, element)| read(index + 1, element.whole));
        Self::new(trust_domain, candidates)
    }

    /// Reads PEM: any number of CERTIFICATE blocks, with any text around them (RFC 7468).
    pub fn from_pem(trust_domain: TrustDomain, text: &str) -> Result<Self, BundleError> {
        let mut candidates = Vec::new();
        for (index, block) in pem::certificates(text).enumerate() {
            candidates.push(match block {
                Ok(der) => read(index + 1, &der),
                Err(error @ PemError::NotBase64 { .. }) => (index + 1, Err(error.into())),
                Err(error) => return Err(error.into()),
            });
        }
        Self::new(trust_domain, candidates)
    }

    /// Reads a SPIFFE bundle document (SPIFFE Trust Domain and Bundle 4, X509-SVID 6).
    pub fn from_spiffe_json(
        trust_domain: TrustDomain,
        text: &str,
    ) -> Result<(Self, Vec<BundleWarning>), BundleError> {
        let document: Document = serde_json::from_str(text).map_err(|error| not_spiffe_json(text, &error))?;
        let (mut ignored, mut without_use, mut without_certificate) = (0, 0, 0);
        let mut warnings = Vec::new();
        let mut certificates = Vec::new();
        for (index, key) in document.keys.iter().enumerate() {
            let number = index + 1;
            let known = matches!(key.kty.as_deref(), Some("EC" | "RSA"));
            match key.usage.as_deref() {
                Some("x509-svid") if known => {}
                Some("jwt-svid") if known => continue,
                None if known => {
                    without_use += 1;
                    ignored += 1;
                    continue;
                }
                _ => {
                    ignored += 1;
                    continue;
                }
            }
            let Some(encoded) = key.x5c.first() else {
                without_certificate += 1;
                continue;
            };
            if key.x5c.len() > 1 {
                warnings.push(BundleWarning::SeveralCertificates { number, count: key.x5c.len() });
            }
            certificates.push(match STANDARD.decode(encoded) {
                Ok(der) => read(number, &der),
                Err(_) => (number, Err(BundleError::Base64 { number })),
            });
        }
        if certificates.is_empty() && without_use > 0 {
            return Err(BundleError::PlainJwks);
        }
        if ignored > 0 {
            warnings.push(BundleWarning::Ignored { count: ignored });
        }
        if without_certificate > 0 {
            warnings.push(BundleWarning::NoCertificate { count: without_certificate });
        }
        let mut bundle = Self::new(trust_domain, certificates)?;
        bundle.sequence = document.spiffe_sequence;
        Ok((bundle, warnings))
    }

    /// Reads a file's content in any of the three forms.
    pub fn from_file_contents(
        trust_domain: TrustDomain,
        bytes: &[u8],
    ) -> Result<(Self, Vec<BundleWarning>), BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge { bytes: bytes.len() });
        }
        if bytes.trim_ascii().is_empty() {
            return Err(BundleError::Empty { trust_domain: trust_domain.to_string() });
        }
        // SEQUENCE with a length of more than 127 bytes: no text starts so.
        let (bundle, mut warnings) = if let [0x30, 0x81..=0x84, ..] = bytes {
            (Self::from_der(trust_domain, bytes)?, Vec::new())
        } else {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| BundleError::Unrecognised { found: kind_of_bytes(bytes).to_owned() })?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            match kind_of_text(text) {
                Some(found) => return Err(BundleError::Unrecognised { found }),
                None if text.trim_start().starts_with(['{', '[']) => {
                    Self::from_spiffe_json(trust_domain, text)?
                }
                None if pem::is_in(text) => (Self::from_pem(trust_domain, text)?, Vec::new()),
                None => {
                    return Err(BundleError::Unrecognised {
                        found: "text without PEM or JSON in it".to_owned(),
                    });
                }
            }
        };
        warnings.extend(bundle.left_out.iter().cloned().map(BundleWarning::LeftOut));
        Ok((bundle, warnings))
    }

    /// Names certificates that speak for the trust domain although they carry no SPIFFE ID, or mint CAs that do so: the CAs of
    /// SPIRE under an upstream authority that leaves the URI SAN out (<https://github.com/spiffe/spire/issues/3968>).
    ///
    /// Whoever names one vouches that no other trust domain has its CAs from there.
    pub fn naming_without_uri(self, named: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self { without_uri: named.into_iter().collect(), ..self }
    }

    /// The certificates that were named to speak for the trust domain without a URI SAN.
    pub fn without_uri(&self) -> &[Fingerprint] {
        &self.without_uri
    }

    /// What was left out and why.
    pub fn left_out(&self) -> &[BundleError] {
        &self.left_out
    }

    /// The trust domain whose SVIDs these authorities may have issued.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The authorities, in the order in which they were found.
    pub fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    /// `spiffe_sequence` of the document: a lower one is an older bundle.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }
}

/// A SPIFFE bundle document. A member that occurs twice is an error.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
    spiffe_sequence: Option<u64>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
}

/// Reads one certificate of a bundle.
fn read(number: usize, der: &[u8]) -> Candidate {
    let read = Certificate::parse(der).map_err(|error| BundleError::Certificate { number, error });
    (number, read)
}

/// Why a JSON text is no [`Document`].
fn not_spiffe_json(text: &str, error: &serde_json::Error) -> BundleError {
    let place = format!("line {}, column {}", error.line(), error.column());
    let reason = match serde_json::from_str::<Value>(text) {
        Err(_) => format!("it breaks off or has an error of syntax at {place}"),
        Ok(Value::Object(members)) if members.get("keys").is_none() => {
            "it has no list `keys`; `spire-server bundle show -format spiffe` prints one".to_owned()
        }
        Ok(_) => {
            format!("up to {place} a member has another type than the SPIFFE standard says, or appears twice")
        }
    };
    BundleError::Json { reason }
}

/// What is not text.
fn kind_of_bytes(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x1f, 0x8b, ..] => "compressed (gzip)",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed (zstd)",
        [b'P', b'K', ..] => "a zip archive",
        _ => "not text",
    }
}

/// What a text is that people mistake for a bundle.
fn kind_of_text(text: &str) -> Option<String> {
    let start = text.trim_start();
    if start.starts_with('<') {
        return Some("HTML or XML".to_owned());
    }
    if start.starts_with('[') {
        return Some("a JSON array".to_owned());
    }
    let kind = if start.starts_with('{') {
        let value: Value = serde_json::from_str(text).ok()?;
        if value.get("keys").is_some() {
            return None;
        }
        for (member, found) in [
            ("payloadType", "a DSSE envelope"),
            ("svids", "what `spire-agent api fetch` prints of SVIDs"),
            ("trust_domains", "a list of several trust domains' bundles, of which one must be taken out"),
        ] {
            if value.get(member).is_some() {
                return Some(found.to_owned());
            }
        }
        value.get("kind")?.as_str()?.to_owned()
    } else {
        let value_of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        value_of("apiVersion:")?;
        value_of("kind:")?.trim_matches(['"', '\'']).to_owned()
    };
    match kind.as_str() {
        // Text in it is found as it is there, but for JSON's escapes.
        "ConfigMap" | "Secret" if !start.starts_with('{') => None,
        "ConfigMap" => Some(
            "a ConfigMap, of which the bundle must be taken out (`-o jsonpath={.data.bundle\\.crt}`)"
                .to_owned(),
        ),
        kind => Some(format!("a Kubernetes object of kind {}", kind.chars().take(64).collect::<String>())),
    }
}
