//! One X.509 certificate, parsed once, and the rules of the SPIFFE X509-SVID standard for it.
//!
//! The parser used underneath ignores bytes after the last field of a SEQUENCE, takes UTF-8 where ASCII is due and
//! returns the first of two extensions of one kind. All of that is refused here, so that a certificate has one reading.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use x509_parser::asn1_rs::BitString;
use x509_parser::error::X509Error;
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry as oids;
use x509_parser::prelude::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, FromDer, GeneralName, KeyIdentifier,
    SubjectAlternativeName, X509CertificateParser, X509Extension, X509Name, X509Version,
};

use super::der;
use super::id::{SpiffeId, parse_strict};
use algorithm::Verified;

mod algorithm;
mod constraints;
mod error;
mod fingerprint;
mod rules;

#[cfg(feature = "cli")]
pub(crate) use algorithm::name as algorithm_name;
pub use algorithm::{KeyAlgorithm, Parameters, SignatureAlgorithm};
pub use constraints::{NameConstraints, NameError};
pub use error::CertificateError;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use rules::{
    SVID_PURPOSES, check_authority, check_end_entity, check_issuer, check_leaf, check_spiffe_authority,
};

/// The key usage extension (RFC 5280 4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// Whether the extension is critical.
    pub critical: bool,
    /// The bits, bit 0 of the standard (digitalSignature) being the lowest one.
    pub bits: u16,
}

impl KeyUsage {
    /// digitalSignature.
    pub fn digital_signature(self) -> bool {
        self.bits & 1 != 0
    }

    /// keyCertSign.
    pub fn cert_sign(self) -> bool {
        self.bits & (1 << 5) != 0
    }

    /// cRLSign.
    pub fn crl_sign(self) -> bool {
        self.bits & (1 << 6) != 0
    }
}

/// What a key may be used for (RFC 5280 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// id-kp-serverAuth.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
    /// id-kp-timeStamping.
    TimeStamping,
}

impl KeyPurpose {
    /// The name that RFC 5280 gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyPurpose::ServerAuth => "serverAuth",
            KeyPurpose::ClientAuth => "clientAuth",
            KeyPurpose::TimeStamping => "timeStamping",
        }
    }
}

/// The extended key usage extension, as far as its purposes are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtKeyUsages {
    /// anyExtendedKeyUsage.
    pub any: bool,
    /// id-kp-serverAuth.
    pub server_auth: bool,
    /// id-kp-clientAuth.
    pub client_auth: bool,
    /// id-kp-timeStamping.
    pub time_stamping: bool,
}

impl ExtKeyUsages {
    /// Whether the purpose is stated by its own name.
    pub fn has(self, purpose: KeyPurpose) -> bool {
        match purpose {
            KeyPurpose::ServerAuth => self.server_auth,
            KeyPurpose::ClientAuth => self.client_auth,
            KeyPurpose::TimeStamping => self.time_stamping,
        }
    }
}

/// One certificate: its DER and what was read from it. A clone shares both.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

/// All else follows from the DER.
impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

struct Contents {
    der: Vec<u8>,
    /// SHA-256 of it, once it was asked for.
    digest: OnceLock<[u8; 32]>,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    public_key: Range<usize>,
    signature: Range<usize>,
    not_before: i64,
    not_after: i64,
    algorithm: KeyAlgorithm,
    signature_algorithm: SignatureAlgorithm,
    extensions: Extensions,
}

#[derive(Default)]
struct Extensions {
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    uris: Vec<String>,
    dns: Vec<String>,
    other_names: u16,
    san_critical: bool,
    is_ca: bool,
    path_len: Option<u32>,
    key_usage: Option<KeyUsage>,
    ext_key_usages: Option<ExtKeyUsages>,
    name_constraints: Option<Box<NameConstraints>>,
    unknown_critical: Option<String>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({:?}, {} bytes)", self.0.extensions.uris, self.0.der.len())
    }
}

/// A certificate of an RSA-8192 key has some 3000 bytes, and what is done for its extensions grows with their square.
const MAX_BYTES: usize = 64 << 10;

/// Longer than the name of any certificate that a person has made.
const MAX_LABEL: usize = 200;

const fn malformed(what: &'static str) -> CertificateError {
    CertificateError::Malformed { what }
}

impl Certificate {
    /// Parses the DER of exactly one certificate.
    pub fn parse(der: &[u8]) -> Result<Certificate, CertificateError> {
        let (certificate, rest) = Certificate::parse_first(der)?;
        if rest.is_empty() { Ok(certificate) } else { Err(CertificateError::Trailing { bytes: rest.len() }) }
    }

    fn parse_first(input: &[u8]) -> Result<(Certificate, &[u8]), CertificateError> {
        let (shape, rest) =
            der::certificate(input).ok_or(malformed("it is not a SEQUENCE of three fields"))?;
        let der = shape.whole;
        if der.len() > MAX_BYTES {
            return Err(CertificateError::TooLarge { bytes: der.len() });
        }
        let (_, parsed) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(der)
            .map_err(|_| malformed("its fields are not those of RFC 5280"))?;
        let tbs = &parsed.tbs_certificate;
        if tbs.as_ref() != shape.tbs || parsed.as_raw() != der {
            return Err(malformed("bytes follow the last field"));
        }
        // RFC 5280 4.1.1.2. By their bytes: the one outside is not signed.
        if shape.algorithm != shape.signed_algorithm {
            return Err(malformed("it states two signature algorithms"));
        }
        if tbs.version != X509Version::V3 {
            return Err(malformed("it is not of version 3"));
        }
        let signature = whole_bytes(&parsed.signature_value).ok_or(malformed("the signature"))?;
        let public_key =
            whole_bytes(&tbs.subject_pki.subject_public_key).ok_or(malformed("the public key"))?;
        let within = |part: &[u8], what| range_in(der, part).ok_or(malformed(what));
        let contents = Contents {
            tbs: within(shape.tbs, "the signed part")?,
            serial: within(tbs.raw_serial(), "the serial number")?,
            issuer: within(tbs.issuer().as_raw(), "the issuer")?,
            subject: within(tbs.subject().as_raw(), "the subject")?,
            spki: within(tbs.subject_pki.raw, "the public key")?,
            public_key: within(public_key, "the public key")?,
            signature: within(signature, "the signature")?,
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            algorithm: algorithm::of_key(&tbs.subject_pki, public_key),
            signature_algorithm: algorithm::of_signature(&parsed.signature_algorithm),
            extensions: Extensions::read(tbs.extensions())?,
            der: der.to_vec(),
            digest: OnceLock::new(),
        };
        Ok((Certificate(Arc::new(contents)), rest))
    }

    /// The whole certificate.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The part that is signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.0.der[self.0.tbs.clone()]
    }

    /// Content of the serial number's INTEGER.
    pub fn serial(&self) -> &[u8] {
        &self.0.der[self.0.serial.clone()]
    }

    /// The issuer's name.
    pub fn issuer_der(&self) -> &[u8] {
        &self.0.der[self.0.issuer.clone()]
    }

    /// The subject's name.
    pub fn subject_der(&self) -> &[u8] {
        &self.0.der[self.0.subject.clone()]
    }

    /// SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.der[self.0.spki.clone()]
    }

    /// Content of the public key's BIT STRING: an uncompressed point, or the DER of RSAPublicKey.
    pub fn public_key_bits(&self) -> &[u8] {
        &self.0.der[self.0.public_key.clone()]
    }

    /// Content of the signature's BIT STRING.
    pub fn signature(&self) -> &[u8] {
        &self.0.der[self.0.signature.clone()]
    }

    /// Start of validity, seconds since the epoch.
    pub fn not_before(&self) -> i64 {
        self.0.not_before
    }

    /// Last second of validity, seconds since the epoch.
    pub fn not_after(&self) -> i64 {
        self.0.not_after
    }

    /// Algorithm of the public key.
    pub fn algorithm(&self) -> &KeyAlgorithm {
        &self.0.algorithm
    }

    /// Algorithm of the signature.
    pub fn signature_algorithm(&self) -> &SignatureAlgorithm {
        &self.0.signature_algorithm
    }

    /// Subject key identifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// Key identifier of the authority key identifier extension.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// URI subject alternative names, in order.
    pub fn uri_sans(&self) -> &[String] {
        &self.0.extensions.uris
    }

    /// DNS subject alternative names, in order.
    pub fn dns_sans(&self) -> &[String] {
        &self.0.extensions.dns
    }

    /// Whether the subject alternative names are critical.
    pub fn san_critical(&self) -> bool {
        self.0.extensions.san_critical
    }

    /// Whether it is a CA.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// How many intermediate CAs may follow it.
    pub fn path_len(&self) -> Option<u32> {
        self.0.extensions.path_len
    }

    /// Key usage.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// Extended key usage.
    pub fn ext_key_usages(&self) -> Option<ExtKeyUsages> {
        self.0.extensions.ext_key_usages
    }

    /// Name constraints.
    pub fn name_constraints(&self) -> Option<&NameConstraints> {
        self.0.extensions.name_constraints.as_deref()
    }

    /// Whether subject and issuer are one name: a self-signed certificate, or one CA's new key signed with its old one
    /// (RFC 5280 3.2, 6.1).
    pub fn is_self_issued(&self) -> bool {
        self.subject_der() == self.issuer_der()
    }

    /// For people: the subject and the URI that says whose it is, at most 200 characters of it. Whatever could steer a terminal
    /// is escaped.
    pub fn label(&self) -> String {
        let subject = match X509Name::from_der(self.subject_der()) {
            Ok((_, name)) if self.subject_der() != der::EMPTY_SEQUENCE => name.to_string(),
            _ => "no subject".to_owned(),
        };
        let label = match self.uri_sans() {
            [] => subject,
            [uri, ..] => format!("{subject} ({uri})"),
        };
        let mut plain = String::new();
        for character in label.chars().take(MAX_LABEL) {
            match character {
                '\'' | '"' => plain.push(character),
                other => plain.extend(other.escape_debug()),
            }
        }
        if label.chars().nth(MAX_LABEL).is_some() {
            plain.push('…');
        }
        plain
    }

    /// The one URI as SPIFFE ID (X509-SVID 2 and 5.2).
    pub fn spiffe_id(&self) -> Result<SpiffeId, CertificateError> {
        match self.uri_sans() {
            [uri] => Ok(parse_strict(uri)?),
            uris => Err(CertificateError::UriCount { count: uris.len() }),
        }
    }

    /// Checks that `issuer` is named as issuer and that its key made the signature (RFC 5280 6.1.3 a 1 and 4).
    pub fn verify_signed_by(&self, issuer: &Certificate) -> Result<(), CertificateError> {
        if self.issuer_der() != issuer.subject_der() {
            return Err(CertificateError::OtherIssuer);
        }
        issuer.verify_signature(&self.0.signature_algorithm, self.tbs_der(), self.signature())
    }

    /// Checks that this certificate's key made the signature over `message`; of ECDSA in DER.
    pub fn verify_signature(
        &self,
        algorithm: &SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let Contents { algorithm: key, .. } = &*self.0;
        match algorithm::verify(key, self.public_key_bits(), algorithm, message, signature) {
            Verified::Good => Ok(()),
            Verified::Bad => Err(CertificateError::BadSignature),
            Verified::Unsupported => {
                let (signature, key) = (algorithm.to_string(), key.to_string());
                Err(CertificateError::Unsupported { signature, key })
            }
        }
    }
}

/// Parses certificates that follow each other without a gap, as the Workload API carries them (SPIFFE Workload API 5:
/// DER, concatenated). Zero certificates are an empty list.
pub fn parse_concatenated(der: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut rest = der;
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        let (certificate, behind) = Certificate::parse_first(rest)?;
        certificates.push(certificate);
        rest = behind;
    }
    Ok(certificates)
}

impl Extensions {
    fn read(list: &[X509Extension<'_>]) -> Result<Extensions, CertificateError> {
        let mut read = Extensions::default();
        let mut oids: Vec<_> = list.iter().map(|extension| &extension.oid).collect();
        oids.sort_unstable_by_key(|oid| oid.as_bytes());
        if let Some([oid, _]) = oids.array_windows().find(|[one, other]| one == other) {
            return Err(CertificateError::DuplicateExtension { oid: oid.to_id_string() });
        }
        for extension in list {
            let (oid, value) = (&extension.oid, extension.value);
            if *oid == oids::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER {
                read.subject_key_id =
                    Some(whole::<KeyIdentifier<'_>>(value, "subjectKeyIdentifier")?.0.to_vec());
            } else if *oid == oids::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER {
                let id = whole::<AuthorityKeyIdentifier<'_>>(value, "authorityKeyIdentifier")?;
                read.authority_key_id = id.key_identifier.map(|id| id.0.to_vec());
            } else if *oid == oids::OID_X509_EXT_SUBJECT_ALT_NAME {
                read.san_critical = extension.critical;
                read.names(&whole::<SubjectAlternativeName<'_>>(value, "subjectAltName")?)?;
            } else if *oid == oids::OID_X509_EXT_BASIC_CONSTRAINTS {
                let constraints = whole::<BasicConstraints>(value, "basicConstraints")?;
                read.is_ca = constraints.ca;
                read.path_len = constraints.path_len_constraint;
            } else if *oid == oids::OID_X509_EXT_KEY_USAGE {
                let usage = whole::<x509_parser::extensions::KeyUsage>(value, "keyUsage")?;
                read.key_usage = Some(KeyUsage { critical: extension.critical, bits: usage.flags });
            } else if *oid == oids::OID_X509_EXT_EXTENDED_KEY_USAGE {
                let usage = whole::<ExtendedKeyUsage<'_>>(value, "extKeyUsage")?;
                read.ext_key_usages = Some(ExtKeyUsages {
                    any: usage.any,
                    server_auth: usage.server_auth,
                    client_auth: usage.client_auth,
                    time_stamping: usage.time_stamping,
                });
            } else if *oid == oids::OID_X509_EXT_NAME_CONSTRAINTS {
                let constraints = NameConstraints::parse(value).ok_or(malformed("nameConstraints"))?;
                read.name_constraints = Some(Box::new(constraints));
            } else if extension.critical {
                read.unknown_critical.get_or_insert_with(|| oid.to_id_string());
            }
            // RFC 5280 4.2.1.1, 4.2.1.2: key identifiers are not critical.
            let key_id =
                [oids::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, oids::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER];
            if extension.critical && key_id.contains(oid) {
                read.unknown_critical.get_or_insert_with(|| oid.to_id_string());
            }
        }
        Ok(read)
    }

    fn names(&mut self, names: &SubjectAlternativeName<'_>) -> Result<(), CertificateError> {
        for name in &names.general_names {
            match name {
                GeneralName::URI(uri) if uri.is_ascii() => self.uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) if dns.is_ascii() => self.dns.push((*dns).to_owned()),
                GeneralName::URI(_) | GeneralName::DNSName(_) => return Err(malformed("subjectAltName")),
                // A DNS name or URI that is no text (tags of RFC 5280 4.2.1.6).
                GeneralName::Invalid(tag, _) if matches!(tag.0, 2 | 6) => {
                    return Err(malformed("subjectAltName"));
                }
                GeneralName::Invalid(tag, _) => {
                    self.other_names |= 1u16.checked_shl(tag.0).unwrap_or_default();
                }
                GeneralName::OtherName(..) => self.other_names |= 1,
                GeneralName::RFC822Name(_) => self.other_names |= 1 << 1,
                GeneralName::X400Address(_) => self.other_names |= 1 << 3,
                GeneralName::DirectoryName(_) => self.other_names |= 1 << 4,
                GeneralName::EDIPartyName(_) => self.other_names |= 1 << 5,
                GeneralName::IPAddress(_) => self.other_names |= 1 << 7,
                GeneralName::RegisteredID(_) => self.other_names |= 1 << 8,
            }
        }
        Ok(())
    }
}

/// Reads a value that fills its octets.
fn whole<'a, T: FromDer<'a, X509Error>>(value: &'a [u8], what: &'static str) -> Result<T, CertificateError> {
    match T::from_der(value) {
        Ok(([], read)) => Ok(read),
        _ => Err(malformed(what)),
    }
}

/// The bytes of a BIT STRING, which must be whole ones.
fn whole_bytes<'a>(bits: &'a BitString<'_>) -> Option<&'a [u8]> {
    (bits.unused_bits == 0).then_some(bits.data.as_ref())
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let range = start..start.checked_add(part.len())?;
    (whole.get(range.clone())? == part).then_some(range)
}
