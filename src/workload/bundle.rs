//! A trust domain's X.509 authorities, from whatever form an operator has them in (SPIFFE Trust Domain and Bundle).
//!
//! A bundle belongs to one trust domain, which its user must name: neither PEM nor the SPIFFE JSON says it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::certificate::{Certificate, CertificateError, check_authority, parse_concatenated};
use super::id::TrustDomain;

/// Far more than any bundle; a larger file is something else.
const MAX_BYTES: usize = 4 << 20;

/// Why a trust bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nothing that could be trusted.
    #[error(
        "the bundle of {trust_domain} holds no certificate authority, so nothing can be verified with it"
    )]
    Empty {
        /// The trust domain it was given for.
        trust_domain: String,
    },
    /// Larger than any bundle.
    #[error("the bundle has {bytes} bytes, at most {MAX_BYTES} are accepted")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// None of the known forms.
    #[error(
        "the bundle is neither PEM (-----BEGIN CERTIFICATE-----), nor SPIFFE JSON ({{\"keys\":…}}), nor DER"
    )]
    Unrecognised,
    /// A certificate that cannot be read.
    #[error("authority {number} of the bundle cannot be read: {error}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// DER that is no list of certificates.
    #[error("the bundle's DER is no list of certificates: {error}")]
    Der {
        /// What is wrong.
        error: CertificateError,
    },
    /// A certificate that is no authority.
    #[error("authority {number} of the bundle cannot be one: {error}")]
    NotAnAuthority {
        /// Which one, from 1.
        number: usize,
        /// Which rule.
        error: CertificateError,
    },
    /// An SVID instead of the bundle.
    #[error(
        "entry {number} of the bundle is a workload's certificate ({id}), not a certificate authority; \
         export the bundle with `spire-server bundle show`"
    )]
    Svid {
        /// Which one, from 1.
        number: usize,
        /// Its URI.
        id: String,
    },
    /// Handed over for the wrong trust domain.
    #[error(
        "this is the bundle of another trust domain: authority {number} is of {found}, expected is {expected}"
    )]
    OtherTrustDomain {
        /// Which one, from 1.
        number: usize,
        /// The trust domain in the certificate.
        found: String,
        /// The trust domain it was given for.
        expected: String,
    },
    /// Text around the base64 that is no PEM.
    #[error("the bundle's PEM is damaged: {reason} (block {number})")]
    Pem {
        /// Which block, from 1.
        number: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A private key or anything else.
    #[error(
        "the bundle's PEM holds a block of type {label:?} (block {number}); only CERTIFICATE blocks belong in a bundle"
    )]
    PemLabel {
        /// Which block, from 1.
        number: usize,
        /// The label.
        label: String,
    },
    /// Not the JSON of a SPIFFE bundle.
    #[error("the bundle's JSON is no SPIFFE bundle: {reason}")]
    Json {
        /// What is wrong.
        reason: String,
    },
    /// A JWKS that is no SPIFFE bundle.
    #[error(
        "the bundle is a plain JWKS: its keys do not say what they are for (`use`: \"x509-svid\"); \
         have SPIRE write it in the format `spiffe` or `pem`, not `jwks`"
    )]
    PlainJwks,
    /// Base64 that is not.
    #[error("authority {number} of the bundle is damaged: x5c is not standard base64")]
    Base64 {
        /// Which one, from 1.
        number: usize,
    },
}

impl BundleError {
    /// A short stable name of the reason, for reports.
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::Empty { .. } => "bundle-empty",
            BundleError::TooLarge { .. } => "bundle-too-large",
            BundleError::Unrecognised => "bundle-form",
            BundleError::Certificate { error, .. } | BundleError::NotAnAuthority { error, .. } => {
                error.code()
            }
            BundleError::Der { .. } => "bundle-der",
            BundleError::Svid { .. } => "bundle-svid",
            BundleError::OtherTrustDomain { .. } => "bundle-other-trust-domain",
            BundleError::Pem { .. } => "bundle-pem",
            BundleError::PemLabel { .. } => "bundle-pem-label",
            BundleError::Json { .. } => "bundle-json",
            BundleError::PlainJwks => "bundle-plain-jwks",
            BundleError::Base64 { .. } => "bundle-base64",
        }
    }
}

/// Something odd in a bundle that did not make it unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleWarning {
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
    sequence: Option<u64>,
}

impl X509Bundle {
    fn new(trust_domain: TrustDomain, candidates: Vec<Certificate>) -> Result<X509Bundle, BundleError> {
        let mut authorities: Vec<Certificate> = Vec::with_capacity(candidates.len());
        for (index, certificate) in candidates.into_iter().enumerate() {
            let number = index + 1;
            let carried = check_authority(&certificate).map_err(|error| {
                let uri = certificate.uri_sans().iter().find(|uri| uri.starts_with("spiffe://"));
                match uri {
                    Some(id) if !certificate.is_ca() => BundleError::Svid { number, id: id.clone() },
                    _ => BundleError::NotAnAuthority { number, error },
                }
            })?;
            if let Some(found) = carried
                && found != trust_domain
            {
                let (found, expected) = (found.to_string(), trust_domain.to_string());
                return Err(BundleError::OtherTrustDomain { number, found, expected });
            }
            if !authorities.iter().any(|known| known.der() == certificate.der()) {
                authorities.push(certificate);
            }
        }
        if authorities.is_empty() {
            return Err(BundleError::Empty { trust_domain: trust_domain.to_string() });
        }
        Ok(X509Bundle { trust_domain, authorities, sequence: None })
    }

    /// Reads concatenated DER, as the Workload API carries it (SPIFFE Workload API 5).
    pub fn from_der(trust_domain: TrustDomain, der: &[u8]) -> Result<X509Bundle, BundleError> {
        let certificates = parse_concatenated(der).map_err(|error| BundleError::Der { error })?;
        X509Bundle::new(trust_domain, certificates)
    }

    /// Reads PEM: any number of CERTIFICATE blocks, with any text around them (RFC 7468).
    pub fn from_pem(trust_domain: TrustDomain, text: &str) -> Result<X509Bundle, BundleError> {
        let mut certificates = Vec::new();
        for (index, der) in pem_certificates(text)?.iter().enumerate() {
            let parsed = Certificate::parse(der);
            certificates.push(parsed.map_err(|error| BundleError::Certificate { number: index + 1, error })?);
        }
        X509Bundle::new(trust_domain, certificates)
    }

    /// Reads a SPIFFE bundle document (SPIFFE Trust Domain and Bundle 4, X509-SVID 6).
    pub fn from_spiffe_json(
        trust_domain: TrustDomain,
        text: &str,
    ) -> Result<(X509Bundle, Vec<BundleWarning>), BundleError> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| BundleError::Json { reason: error.to_string() })?;
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
            let der = STANDARD.decode(encoded).map_err(|_| BundleError::Base64 { number })?;
            let parsed = Certificate::parse(&der);
            certificates.push(parsed.map_err(|error| BundleError::Certificate { number, error })?);
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
        let mut bundle = X509Bundle::new(trust_domain, certificates)?;
        bundle.sequence = document.spiffe_sequence;
        Ok((bundle, warnings))
    }

    /// Reads a file's content in any of the three forms.
    pub fn from_file_contents(
        trust_domain: TrustDomain,
        bytes: &[u8],
    ) -> Result<(X509Bundle, Vec<BundleWarning>), BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge { bytes: bytes.len() });
        }
        if bytes.trim_ascii().is_empty() {
            return Err(BundleError::Empty { trust_domain: trust_domain.to_string() });
        }
        // SEQUENCE with a length of more than 127 bytes: no text starts so.
        if let [0x30, 0x81..=0x84, ..] = bytes {
            return Ok((X509Bundle::from_der(trust_domain, bytes)?, Vec::new()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BundleError::Unrecognised)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with(['{', '[']) {
            X509Bundle::from_spiffe_json(trust_domain, text)
        } else if text.contains(BEGIN) {
            Ok((X509Bundle::from_pem(trust_domain, text)?, Vec::new()))
        } else {
            Err(BundleError::Unrecognised)
        }
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

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The contents of all CERTIFICATE blocks.
pub(crate) fn pem_certificates(text: &str) -> Result<Vec<Vec<u8>>, BundleError> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    let mut number = 0;
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix(BEGIN) else { continue };
        number += 1;
        let damaged = |reason| BundleError::Pem { number, reason };
        let label = label.strip_suffix(DASHES).ok_or(damaged("its first line has no end"))?;
        if label != "CERTIFICATE" {
            return Err(BundleError::PemLabel { number, label: label.to_owned() });
        }
        let mut encoded = String::new();
        loop {
            let line = lines.next().ok_or(damaged("the END line is missing"))?;
            if let Some(end) = line.strip_prefix(END) {
                if end.strip_suffix(DASHES) != Some(label) {
                    return Err(damaged("the END line does not match"));
                }
                break;
            }
            if line.starts_with(BEGIN) {
                return Err(damaged("the END line is missing"));
            }
            encoded.push_str(line);
        }
        found.push(STANDARD.decode(encoded).map_err(|_| damaged("it is not base64"))?);
    }
    Ok(found)
}
