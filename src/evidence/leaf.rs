//! The compact form of an X509-SVID's leaf (docs/evidence.md 6).
//!
//! A SPIRE leaf is a form letter: what cannot be known otherwise is the serial, the two dates, the public key and the CA's
//! signature. The rest follows from the issuing certificate, the SPIFFE ID, the DNS names and SPIRE's template (SPIRE
//! `pkg/server/credtemplate/builder.go`). This is an encoding and adds no trust: the rebuilt DER is checked as ever.
//!
//! Layout: 1 byte form (bit 6 set, bits 0-1 key, bits 2-3 signature, bits 4-5 and 7 DNS SAN), 4 bytes of the issuer's key
//! ID, 16 bytes serial, 4 bytes notBefore (Unix seconds), LEB128 validity in seconds, 8 bytes pin and 8 bytes image if the
//! DNS SAN has them, the public key (compressed point, or RSA modulus), the CA's signature (r‖s, or RSA).

use std::time::Duration;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use unixtime::UnixSeconds;
use x509::{
    Certificate, Validity,
    der::{
        GENERALIZED_TIME, INTEGER, OCTET_STRING, PRINTABLE_STRING, SEQUENCE, SET, UTC_TIME, UTF8_STRING,
        bit_string, tagged, tagged_primitive, unsigned, write,
    },
};

use super::point;

/// Bytes of the issuer's key ID that tell which issuer is meant.
pub const KEY_ID_HINT: usize = 4;

/// What the issuing certificate says that its leaves repeat.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// DER of the issuing certificate's subject.
    pub name: &'a [u8],
    /// Its subject key identifier.
    pub key_id: &'a [u8],
}

/// Why a compact leaf cannot be turned into a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Ends early, goes on, or uses an unknown form.
    #[error("the compact leaf is malformed: {0}")]
    Malformed(&'static str),
    /// The public key is not a point of its curve.
    #[error("the compact leaf holds no valid public key")]
    PublicKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    P256,
    P384,
    Rsa2048,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignatureKind {
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    RsaSha256,
}

/// Which DNS SAN the leaf carries (docs/evidence.md 8); the names themselves follow from run and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsForm {
    /// None, or names given by the caller.
    Plain,
    /// `<uid>.taskrun.internal`
    Run,
    /// `<step>.<uid>.taskrun.internal`
    Step,
    /// `<pin>.<step>.<uid>.taskrun.internal`, with the pin.
    Pin([u8; 8]),
    /// `<pin>.<image>.<step>.<uid>.taskrun.internal`, with both.
    Image {
        /// The pin.
        pin: [u8; 8],
        /// The start of the image's digest.
        image: [u8; 8],
    },
}

/// A leaf in compact form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactLeaf {
    /// Which DNS SAN it has.
    pub dns: DnsForm,
    /// First bytes of the issuer's key ID.
    pub issuer_hint: [u8; KEY_ID_HINT],
    key: KeyKind,
    signature_kind: SignatureKind,
    serial: [u8; 16],
    not_before: u32,
    validity: u32,
    public_key: Vec<u8>,
    signature: Vec<u8>,
}

const FORM_BIT: u8 = 0x40;
/// Set beside the bits of a pin if there is an image, too.
const IMAGE_BIT: u8 = 0x80;

impl CompactLeaf {
    /// The compact form of a certificate, if it can be rebuilt from it byte for byte; otherwise `None`, and the DER
    /// has to be carried.
    pub fn of(
        certificate: &Certificate,
        spiffe_id: &str,
        dns_names: &[String],
        dns: DnsForm,
        issuer: Issuer<'_>,
    ) -> Option<Self> {
        let mut serial = [0; 16];
        let significant = certificate.serial().iter().position(|octet| *octet != 0).unwrap_or_default();
        let significant = &certificate.serial()[significant..];
        serial.get_mut(16usize.checked_sub(significant.len())?..)?.copy_from_slice(significant);
        let Validity { not_before, not_after } = certificate.validity();
        let (key, public_key) = compress(certificate.public_key_bits())?;
        let (signature_kind, signature) = flatten(certificate.signature())?;
        let leaf = Self {
            dns,
            issuer_hint: issuer.key_id.get(..KEY_ID_HINT)?.try_into().ok()?,
            key,
            signature_kind,
            serial,
            not_before: not_before.get().try_into().ok()?,
            validity: not_after.get().checked_sub(not_before.get())?.try_into().ok()?,
            public_key,
            signature,
        };
        (leaf.to_der(spiffe_id, dns_names, issuer).ok()? == certificate.der()).then_some(leaf)
    }

    /// Reads the compact form. Certificates' DER begins with 0x30 and is never mistaken for it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        let mut rest = bytes;
        let mut take = |n: usize| -> Result<&[u8], LeafError> {
            let (taken, remaining) = rest.split_at_checked(n).ok_or(LeafError::Malformed("it ends early"))?;
            rest = remaining;
            Ok(taken)
        };
        let form = take(1)?[0];
        if form & FORM_BIT == 0 {
            return Err(LeafError::Malformed("unknown form"));
        }
        let (key, key_length) = match form & 3 {
            0 => (KeyKind::P256, 33),
            1 => (KeyKind::P384, 49),
            2 => (KeyKind::Rsa2048, 256),
            _ => return Err(LeafError::Malformed("unknown key")),
        };
        let (signature_kind, lengths) = match form >> 2 & 3 {
            0 => (SignatureKind::EcdsaP256Sha256, 64..=64),
            1 => (SignatureKind::EcdsaP384Sha384, 96..=96),
            2 => (SignatureKind::RsaSha256, 256..=1024),
            _ => return Err(LeafError::Malformed("unknown signature")),
        };
        let issuer_hint = take(KEY_ID_HINT)?.try_into().unwrap_or_default();
        let serial = take(16)?.try_into().unwrap_or_default();
        let not_before = u32::from_be_bytes(take(4)?.try_into().unwrap_or_default());
        let validity = read_validity(|| Ok(take(1)?[0]))?;
        let dns = match (form & IMAGE_BIT != 0, form >> 4 & 3) {
            (false, 0) => DnsForm::Plain,
            (false, 1) => DnsForm::Run,
            (false, 2) => DnsForm::Step,
            (false, _) => DnsForm::Pin(take(8)?.try_into().unwrap_or_default()),
            (true, 3) => DnsForm::Image {
                pin: take(8)?.try_into().unwrap_or_default(),
                image: take(8)?.try_into().unwrap_or_default(),
            },
            (true, _) => return Err(LeafError::Malformed("an image without a pin")),
        };
        let public_key = take(key_length)?.to_vec();
        if !is_canonical(key, &public_key) {
            return Err(LeafError::PublicKey);
        }
        let signature = rest.to_vec();
        if !lengths.contains(&signature.len()) {
            return Err(LeafError::Malformed("signature length"));
        }
        Ok(Self {
            dns,
            issuer_hint,
            key,
            signature_kind,
            serial,
            not_before,
            validity,
            public_key,
            signature,
        })
    }

    /// Writes the compact form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let dns = match self.dns {
            DnsForm::Plain => 0,
            DnsForm::Run => 1,
            DnsForm::Step => 2,
            DnsForm::Pin(_) => 3,
            DnsForm::Image { .. } => 3 | IMAGE_BIT >> 4,
        };
        let key = match self.key {
            KeyKind::P256 => 0,
            KeyKind::P384 => 1,
            KeyKind::Rsa2048 => 2,
        };
        let signature_kind = match self.signature_kind {
            SignatureKind::EcdsaP256Sha256 => 0,
            SignatureKind::EcdsaP384Sha384 => 1,
            SignatureKind::RsaSha256 => 2,
        };
        let mut out = vec![FORM_BIT | key | signature_kind << 2 | dns << 4];
        out.extend(self.issuer_hint);
        out.extend(self.serial);
        out.extend(self.not_before.to_be_bytes());
        let lowest = |number: u32| number.to_le_bytes()[0];
        let mut validity = self.validity;
        while validity >= 0x80 {
            out.push(lowest(validity) | 0x80);
            validity >>= 7;
        }
        out.push(lowest(validity));
        match self.dns {
            DnsForm::Plain | DnsForm::Run | DnsForm::Step => {}
            DnsForm::Pin(pin) => out.extend(pin),
            DnsForm::Image { pin, image } => {
                out.extend(pin);
                out.extend(image);
            }
        }
        out.extend(&self.public_key);
        out.extend(&self.signature);
        out
    }

    /// Serial number, big endian, padded with zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Start of validity.
    pub fn not_before(&self) -> UnixSeconds {
        UnixSeconds::new(i64::from(self.not_before))
    }

    /// End of validity.
    pub fn not_after(&self) -> UnixSeconds {
        self.not_before() + Duration::from_secs(u64::from(self.validity))
    }

    /// Rebuilds the certificate's DER.
    pub fn to_der(
        &self,
        spiffe_id: &str,
        dns_names: &[String],
        issuer: Issuer<'_>,
    ) -> Result<Vec<u8>, LeafError> {
        let public_key = match self.key {
            KeyKind::P256 => point::uncompressed_p256(&self.public_key).ok_or(LeafError::PublicKey)?.to_vec(),
            KeyKind::P384 => p384::PublicKey::from_sec1_bytes(&self.public_key)
                .map_err(|_| LeafError::PublicKey)?
                .to_sec1_point(false)
                .as_bytes()
                .to_vec(),
            KeyKind::Rsa2048 => {
                write(SEQUENCE, &[&write(INTEGER, &[&unsigned(&self.public_key)]), &[2, 3, 1, 0, 1]])
            }
        };
        let template = LeafTemplate {
            serial: &self.serial,
            not_before: self.not_before(),
            not_after: self.not_after(),
            key_algorithm: match self.key {
                KeyKind::P256 => KEY_P256,
                KeyKind::P384 => KEY_P384,
                KeyKind::Rsa2048 => KEY_RSA,
            },
            public_key: &public_key,
            signature_algorithm: match self.signature_kind {
                SignatureKind::EcdsaP256Sha256 => ECDSA_SHA256,
                SignatureKind::EcdsaP384Sha384 => ECDSA_SHA384,
                SignatureKind::RsaSha256 => RSA_SHA256,
            },
            spiffe_id,
            dns_names,
            issuer,
        };
        let signature = match self.signature_kind {
            SignatureKind::RsaSha256 => self.signature.clone(),
            _ => {
                let (r, s) = self.signature.split_at(self.signature.len() / 2);
                write(SEQUENCE, &[&write(INTEGER, &[&unsigned(r)]), &write(INTEGER, &[&unsigned(s)])])
            }
        };
        Ok(template.certificate(&template.tbs(), &signature))
    }
}

/// notAfter − notBefore: LEB128, as short as possible (docs/evidence.md 6).
fn read_validity(mut byte: impl FnMut() -> Result<u8, LeafError>) -> Result<u32, LeafError> {
    let mut validity = 0u32;
    for shift in (0..).step_by(7) {
        let byte = byte()?;
        let part = u32::from(byte & 0x7f);
        if shift > 28 || (part << shift) >> shift != part || (byte == 0 && shift > 0) {
            return Err(LeafError::Malformed("validity"));
        }
        validity |= part << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(validity)
}

/// Each key has one encoding: SEC 1 knows a further compact form of a point, and a shorter modulus is no RSA-2048.
fn is_canonical(key: KeyKind, public_key: &[u8]) -> bool {
    match key {
        KeyKind::P256 | KeyKind::P384 => matches!(public_key[0], 2 | 3),
        KeyKind::Rsa2048 => public_key[0] & 0x80 != 0,
    }
}

fn compress(public_key: &[u8]) -> Option<(KeyKind, Vec<u8>)> {
    match public_key {
        [4, ..] if public_key.len() == 65 => {
            let key = p256::PublicKey::from_sec1_bytes(public_key).ok()?;
            Some((KeyKind::P256, key.to_sec1_point(true).as_bytes().to_vec()))
        }
        [4, ..] if public_key.len() == 97 => {
            let key = p384::PublicKey::from_sec1_bytes(public_key).ok()?;
            Some((KeyKind::P384, key.to_sec1_point(true).as_bytes().to_vec()))
        }
        // SEQUENCE { INTEGER (257 bytes, 2048 bits), INTEGER }
        [0x30, 0x82, _, _, 0x02, 0x82, 0x01, 0x01, 0x00, rest @ ..] => {
            Some((KeyKind::Rsa2048, rest.get(..256)?.to_vec()))
        }
        _ => None,
    }
}

fn flatten(signature: &[u8]) -> Option<(SignatureKind, Vec<u8>)> {
    if let Ok(signature) = p256::ecdsa::Signature::from_der(signature) {
        return Some((SignatureKind::EcdsaP256Sha256, signature.to_bytes().to_vec()));
    }
    if let Ok(signature) = p384::ecdsa::Signature::from_der(signature) {
        return Some((SignatureKind::EcdsaP384Sha384, signature.to_bytes().to_vec()));
    }
    Some((SignatureKind::RsaSha256, signature.to_vec()))
}

/// AlgorithmIdentifier of ecdsa-with-SHA256.
pub(crate) const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const ECDSA_SHA384: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
const RSA_SHA256: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
/// AlgorithmIdentifier of a P-256 public key.
pub(crate) const KEY_P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const KEY_P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const KEY_RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

const SUBJECT_C: &[u8] = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02US";
const SUBJECT_O: &[u8] = b"\x31\x0e\x30\x0c\x06\x03\x55\x04\x0a\x13\x05SPIRE";
const OID_CN: &[u8] = b"\x06\x03\x55\x04\x03";
/// keyUsage, critical: digitalSignature, keyEncipherment, keyAgreement.
const KEY_USAGE: &[u8] = b"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x03\xa8";
/// extKeyUsage: serverAuth, clientAuth.
const EXT_KEY_USAGE: &[u8] =
    b"\x30\x1d\x06\x03\x55\x1d\x25\x04\x16\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\
    \x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
/// basicConstraints, critical: not a CA.
const BASIC_CONSTRAINTS: &[u8] = b"\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00";
const OID_SUBJECT_KEY_ID: &[u8] = b"\x06\x03\x55\x1d\x0e";
const OID_AUTHORITY_KEY_ID: &[u8] = b"\x06\x03\x55\x1d\x23";
const OID_SUBJECT_ALT_NAME: &[u8] = b"\x06\x03\x55\x1d\x11";

/// SPIRE's template of a workload X509-SVID, with everything that varies.
pub(crate) struct LeafTemplate<'a> {
    /// Big endian, at most 16 significant bytes.
    pub(crate) serial: &'a [u8],
    pub(crate) not_before: UnixSeconds,
    pub(crate) not_after: UnixSeconds,
    /// AlgorithmIdentifiers, DER.
    pub(crate) key_algorithm: &'a [u8],
    pub(crate) signature_algorithm: &'a [u8],
    /// Contents of the subjectPublicKey BIT STRING.
    pub(crate) public_key: &'a [u8],
    pub(crate) spiffe_id: &'a str,
    pub(crate) dns_names: &'a [String],
    pub(crate) issuer: Issuer<'a>,
}

impl LeafTemplate<'_> {
    /// The DER of the TBSCertificate.
    pub(crate) fn tbs(&self) -> Vec<u8> {
        let mut subject = [SUBJECT_C, SUBJECT_O].concat();
        if let Some(name) = self.dns_names.first() {
            let name = write(text_type(name), &[name.as_bytes()]);
            subject.extend(write(SET, &[&write(SEQUENCE, &[OID_CN, &name])]));
        }
        let key_id = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, self.public_key);
        let dns_names = self.dns_names.iter();
        let mut names: Vec<u8> =
            dns_names.flat_map(|name| write(tagged_primitive(2), &[name.as_bytes()])).collect();
        names.extend(write(tagged_primitive(6), &[self.spiffe_id.as_bytes()]));
        let issuer_key_id = write(tagged_primitive(0), &[self.issuer.key_id]);
        let extensions = write(
            SEQUENCE,
            &[
                KEY_USAGE,
                EXT_KEY_USAGE,
                BASIC_CONSTRAINTS,
                &extension(OID_SUBJECT_KEY_ID, &write(OCTET_STRING, &[key_id.as_ref()])),
                &extension(OID_AUTHORITY_KEY_ID, &write(SEQUENCE, &[&issuer_key_id])),
                &extension(OID_SUBJECT_ALT_NAME, &write(SEQUENCE, &[&names])),
            ],
        );
        let parts: [&[u8]; 8] = [
            b"\xa0\x03\x02\x01\x02",
            &write(INTEGER, &[&unsigned(self.serial)]),
            self.signature_algorithm,
            self.issuer.name,
            &validity(self.not_before, self.not_after),
            &write(SEQUENCE, &[&subject]),
            &spki(self.key_algorithm, self.public_key),
            &write(tagged(3), &[&extensions]),
        ];
        write(SEQUENCE, &parts)
    }

    /// The DER of the certificate, with the CA's signature over [`Self::tbs`].
    pub(crate) fn certificate(&self, tbs: &[u8], signature: &[u8]) -> Vec<u8> {
        write(SEQUENCE, &[tbs, self.signature_algorithm, &bit_string(signature)])
    }
}

pub(crate) fn spki(algorithm: &[u8], public_key: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[algorithm, &bit_string(public_key)])
}

pub(crate) fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[oid, &write(OCTET_STRING, &[value])])
}

/// Validity: UTCTime before 2050, GeneralizedTime from then (RFC 5280 4.1.2.5).
pub(crate) fn validity(not_before: UnixSeconds, not_after: UnixSeconds) -> Vec<u8> {
    let time = |at: UnixSeconds| {
        let t = at.date_time().unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let (month, rest) = (
            u8::from(t.month()),
            format!("{:02}{:02}{:02}{:02}Z", t.day(), t.hour(), t.minute(), t.second()),
        );
        match t.year() {
            1950..2050 => write(UTC_TIME, &[format!("{:02}{month:02}{rest}", t.year() % 100).as_bytes()]),
            year => write(GENERALIZED_TIME, &[format!("{year:04}{month:02}{rest}").as_bytes()]),
        }
    };
    write(SEQUENCE, &[&time(not_before), &time(not_after)])
}

/// PrintableString where the characters allow it, else UTF8String (Go `encoding/asn1`).
fn text_type(text: &str) -> u8 {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    if text.bytes().all(allowed) { PRINTABLE_STRING } else { UTF8_STRING }
}
