//! The extensions of a certificate (RFC 5280 4.2).

use x509_parser::{
    error::X509Error,
    extensions, oid_registry as oids,
    prelude::{
        AuthorityKeyIdentifier, BasicConstraints, FromDer, GeneralName, KeyIdentifier,
        SubjectAlternativeName, X509Extension,
    },
};

use super::{CertificateError, NameConstraints, malformed};
use crate::der::{self, OID, SEQUENCE};

/// Contents of anyExtendedKeyUsage, id-kp-serverAuth, id-kp-clientAuth and id-kp-timeStamping (RFC 5280 4.2.1.12).
const ANY_PURPOSE: &[u8] = b"\x55\x1d\x25\x00";
const SERVER_AUTH: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
const CLIENT_AUTH: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x02";
const TIME_STAMPING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x08";

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
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
            Self::TimeStamping => "timeStamping",
        }
    }
}

/// The extended key usage extension, as far as its purposes are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtKeyUsages {
    critical: bool,
    count: usize,
    any: bool,
    server_auth: bool,
    client_auth: bool,
    time_stamping: bool,
}

impl ExtKeyUsages {
    /// Reads the extension's value: a list of object identifiers.
    fn parse(critical: bool, value: &[u8]) -> Option<Self> {
        let list = der::read_only(value).filter(|list| list.tag == SEQUENCE)?;
        let (mut any, mut server_auth, mut client_auth, mut time_stamping) = (false, false, false, false);
        let mut count = 0;
        der::visit(list.content, |purpose| {
            match purpose.content {
                ANY_PURPOSE => any = true,
                SERVER_AUTH => server_auth = true,
                CLIENT_AUTH => client_auth = true,
                TIME_STAMPING => time_stamping = true,
                _ => {}
            }
            count += 1;
            (purpose.tag == OID).then_some(())
        })?;
        Some(Self { critical, count, any, server_auth, client_auth, time_stamping })
    }

    /// Whether the extension is critical.
    pub fn is_critical(self) -> bool {
        self.critical
    }

    /// Whether anyExtendedKeyUsage is stated.
    pub fn has_any(self) -> bool {
        self.any
    }

    /// Whether the purpose is the only one that is stated.
    pub fn has_only(self, purpose: KeyPurpose) -> bool {
        self.count == 1 && self.has(purpose)
    }

    /// Whether the purpose is stated by its own name.
    pub fn has(self, purpose: KeyPurpose) -> bool {
        match purpose {
            KeyPurpose::ServerAuth => self.server_auth,
            KeyPurpose::ClientAuth => self.client_auth,
            KeyPurpose::TimeStamping => self.time_stamping,
        }
    }
}

#[derive(Default)]
pub(super) struct Extensions {
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) uris: Vec<String>,
    pub(super) dns: Vec<String>,
    pub(super) other_names: u16,
    pub(super) san_critical: bool,
    pub(super) is_ca: bool,
    pub(super) path_len: Option<u32>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) ext_key_usages: Option<ExtKeyUsages>,
    pub(super) name_constraints: Option<Box<NameConstraints>>,
    pub(super) unknown_critical: Option<String>,
}

impl Extensions {
    pub(super) fn read(list: &[X509Extension<'_>]) -> Result<Self, CertificateError> {
        let mut read = Self::default();
        let mut oids: Vec<_> = list.iter().map(|extension| &extension.oid).collect();
        oids.sort_unstable_by_key(|oid| oid.as_bytes());
        if let Some([oid, _]) = oids.array_windows().find(|[one, other]| one == other) {
            return Err(CertificateError::DuplicateExtension { oid: oid.to_id_string() });
        }
        for extension in list {
            let (oid, value) = (&extension.oid, extension.value);
            if *oid == oids::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER {
                read.subject_key_id =
                    Some(parse_whole::<KeyIdentifier<'_>>(value, "subjectKeyIdentifier")?.0.to_vec());
            } else if *oid == oids::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER {
                let id = parse_whole::<AuthorityKeyIdentifier<'_>>(value, "authorityKeyIdentifier")?;
                read.authority_key_id = id.key_identifier.map(|id| id.0.to_vec());
            } else if *oid == oids::OID_X509_EXT_SUBJECT_ALT_NAME {
                read.san_critical = extension.critical;
                read.names(&parse_whole::<SubjectAlternativeName<'_>>(value, "subjectAltName")?)?;
            } else if *oid == oids::OID_X509_EXT_BASIC_CONSTRAINTS {
                let constraints = parse_whole::<BasicConstraints>(value, "basicConstraints")?;
                read.is_ca = constraints.ca;
                read.path_len = constraints.path_len_constraint;
            } else if *oid == oids::OID_X509_EXT_KEY_USAGE {
                let usage = parse_whole::<extensions::KeyUsage>(value, "keyUsage")?;
                read.key_usage = Some(KeyUsage { critical: extension.critical, bits: usage.flags });
            } else if *oid == oids::OID_X509_EXT_EXTENDED_KEY_USAGE {
                let usages = ExtKeyUsages::parse(extension.critical, value);
                read.ext_key_usages = Some(usages.ok_or(malformed("extKeyUsage"))?);
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
                // A DNS name or URI that is not a text (tags of RFC 5280 4.2.1.6).
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
fn parse_whole<'a, T: FromDer<'a, X509Error>>(
    value: &'a [u8],
    what: &'static str,
) -> Result<T, CertificateError> {
    match T::from_der(value) {
        Ok(([], read)) => Ok(read),
        _ => Err(malformed(what)),
    }
}
