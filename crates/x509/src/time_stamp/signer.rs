//! Who signed a token: SignerInfo and its signed attributes (RFC 5652 5.3 and 11, RFC 5035).

use ring::digest::{self, digest};
use x509_parser::asn1_rs::Oid;

use super::{TST_INFO, error::TokenError, read_algorithm};
use crate::{
    certificate::{Certificate, CertificateError, Parameters, SignatureAlgorithm, algorithm_name},
    der::{
        OCTET_STRING, OID, SEQUENCE, SET,
        fields::{Fields, Malformed},
        tagged, tagged_primitive, write,
    },
};

/// id-contentType, id-messageDigest (RFC 5652 11).
const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
/// id-aa-signingCertificate, id-aa-signingCertificateV2 (RFC 5035 5 and 3).
const SIGNING_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c";
const SIGNING_CERTIFICATE_V2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f";
/// id-sha1, only to name certificates.
const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
/// id-sha256, id-sha384, id-sha512 (RFC 5754 2).
pub(super) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
/// rsaEncryption, which leaves the digest to digestAlgorithm (RFC 3370 3.2).
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// id-ecPublicKey (RFC 5480 2.1.1), by some where ecdsa-with-SHA256 and the like belong.
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";

/// The one signer of a token.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    id: SignerId,
    /// Content of signingCertificate and signingCertificateV2, whichever there are.
    certificate_ids: Vec<CertificateId>,
    /// What may be signed of the signed attributes: a SET of them.
    signed: Vec<Vec<u8>>,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

#[derive(Debug, Clone)]
enum SignerId {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    KeyId(Vec<u8>),
}

/// ESSCertID or ESSCertIDv2 (RFC 5035 4 and 5.4.1): the first one names the signer's certificate.
#[derive(Debug, Clone)]
struct CertificateId {
    digest: Digest,
    hash: Vec<u8>,
    /// The name as a Name in DER, and the serial number.
    issuer_serial: Option<(Vec<u8>, Vec<u8>)>,
}

/// The algorithm of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1, only where certificates are named.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

impl Digest {
    /// One that what is stamped or signed may have.
    pub(super) fn from_oid(oid: &[u8]) -> Option<Self> {
        [(SHA256, Self::Sha256), (SHA384, Self::Sha384), (SHA512, Self::Sha512)]
            .into_iter()
            .find_map(|(known, digest)| (known == oid).then_some(digest))
    }

    /// The digest of these bytes.
    pub fn of(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest(algorithm, bytes)
    }
}

impl SignerInfo {
    /// SignerInfo (RFC 5652 5.3), with its attributes held against what is signed. Returns the digest's identifier, too.
    pub(super) fn parse<'a>(der: &'a [u8], signed_content: &[u8]) -> Result<(&'a [u8], Self), TokenError> {
        let mut fields = Fields::of(der, SEQUENCE, "SignerInfo")?;
        // It says which identifier follows, as that does itself.
        fields.integer()?;
        let id = match fields.optional(tagged_primitive(0))? {
            Some(key_id) => SignerId::KeyId(key_id.to_vec()),
            None => {
                let mut names = Fields::new(fields.next(SEQUENCE)?, "issuerAndSerialNumber");
                let issuer = names.next_whole(SEQUENCE)?.whole.to_vec();
                let serial = names.integer()?.to_vec();
                names.end()?;
                SignerId::IssuerAndSerial { issuer, serial }
            }
        };
        let digest_oid = read_algorithm(fields.next(SEQUENCE)?, "digestAlgorithm")?;
        let digest = Digest::from_oid(digest_oid)
            .ok_or_else(|| TokenError::Algorithm { what: format!("digest {}", dotted(digest_oid)) })?;
        let attributes = fields.next(tagged(0))?;
        let algorithm = read_signature_algorithm(fields.next(SEQUENCE)?, digest)?;
        let signature = fields.next(OCTET_STRING)?.to_vec();
        fields.optional(tagged(1))?;
        fields.end()?;

        let certificate_ids = read_signed_attributes(attributes, digest, signed_content)?;
        let signed = to_be_signed(attributes)?;
        Ok((digest_oid, Self { id, certificate_ids, signed, algorithm, signature }))
    }

    /// The signer among certificates that may be its, with its signature checked.
    pub(super) fn find<'a>(
        &self,
        known: impl Iterator<Item = &'a Certificate>,
    ) -> Result<&'a Certificate, TokenError> {
        let mut named = known.filter(|certificate| self.id.names(certificate)).peekable();
        named.peek().ok_or(TokenError::NoSigner)?;
        let signer = named.find(|certificate| self.identifies(certificate)).ok_or(TokenError::Attribute {
            attribute: "signingCertificate",
            problem: "is of another certificate",
        })?;
        for signed in &self.signed {
            match signer.verify_signature(&self.algorithm, signed, &self.signature) {
                Ok(()) => return Ok(signer),
                Err(CertificateError::BadSignature) => {}
                Err(error) => return Err(TokenError::Algorithm { what: error.to_string() }),
            }
        }
        Err(TokenError::Signature)
    }

    /// Whether every identifier in the signed attributes is this certificate's.
    fn identifies(&self, certificate: &Certificate) -> bool {
        self.certificate_ids.iter().all(|id| {
            let issuer_serial = (certificate.issuer_der().to_vec(), certificate.serial().to_vec());
            id.digest.of(certificate.der()).as_ref() == id.hash
                && id.issuer_serial.as_ref().is_none_or(|named| *named == issuer_serial)
        })
    }
}

impl SignerId {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                issuer == certificate.issuer_der() && serial == certificate.serial()
            }
            Self::KeyId(key_id) => certificate.subject_key_id() == Some(key_id),
        }
    }
}

/// Signed is a SET OF, not the `[0]` that it is carried as. RFC 5652 5.4 has it sorted as in DER, however it is carried, and so do some;
/// others sign what they carry, and OpenSSL checks that. The attributes are the same either way.
fn to_be_signed(content: &[u8]) -> Result<Vec<Vec<u8>>, TokenError> {
    let mut attributes = Fields::new(content, "signedAttrs").all()?;
    let carried = write(SET, &[content]);
    attributes.sort_by_key(|attribute| attribute.whole);
    let sorted: Vec<u8> = attributes.iter().flat_map(|attribute| attribute.whole).copied().collect();
    let sorted = write(SET, &[&sorted]);
    Ok(if sorted == carried { vec![carried] } else { vec![carried, sorted] })
}

/// contentType and messageDigest must agree with what is signed, and at least one attribute must name the signer's certificate (RFC 3161 2.4.2,
/// RFC 5816 2.2). Others may be there.
fn read_signed_attributes(
    content: &[u8],
    digest: Digest,
    signed_content: &[u8],
) -> Result<Vec<CertificateId>, TokenError> {
    let mut found: Vec<(&[u8], &[u8])> = Vec::new();
    for attribute in Fields::new(content, "signedAttrs").all()? {
        let mut fields = Fields::of(attribute.whole, SEQUENCE, "signedAttrs")?;
        let (oid, values) = (fields.next(OID)?, fields.next(SET)?);
        fields.end()?;
        found.push((oid, values));
    }
    let one = |wanted: &[u8], attribute: &'static str| {
        let mut all = found.iter().filter(|(oid, _)| *oid == wanted).map(|(_, values)| *values);
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(TokenError::Attribute { attribute, problem: "appears twice" }),
            (first, None) => Ok(first),
        }
    };
    let missing = |attribute| TokenError::Attribute { attribute, problem: "is missing" };
    let content_type = one(CONTENT_TYPE, "contentType")?.ok_or(missing("contentType"))?;
    if Fields::of(content_type, OID, "contentType")?.content() != TST_INFO {
        return Err(TokenError::Attribute { attribute: "contentType", problem: "is not TSTInfo" });
    }
    let message_digest = one(MESSAGE_DIGEST, "messageDigest")?.ok_or(missing("messageDigest"))?;
    let message_digest = Fields::of(message_digest, OCTET_STRING, "messageDigest")?.content();
    if message_digest != digest.of(signed_content).as_ref() {
        let problem = "is not the digest of what is signed";
        return Err(TokenError::Attribute { attribute: "messageDigest", problem });
    }
    let first = one(SIGNING_CERTIFICATE, "signingCertificate")?;
    let second = one(SIGNING_CERTIFICATE_V2, "signingCertificateV2")?;
    if first.is_none() && second.is_none() {
        return Err(missing("signingCertificate"));
    }
    let first = first.map(|values| read_certificate_id(values, false));
    let second = second.map(|values| read_certificate_id(values, true));
    first.into_iter().chain(second).collect()
}

/// SigningCertificate or SigningCertificateV2: the first of its identifiers is the signer's.
fn read_certificate_id(values: &[u8], version_2: bool) -> Result<CertificateId, TokenError> {
    let what = "signingCertificate";
    let mut signing = Fields::of(values, SEQUENCE, what)?;
    let ids = Fields::new(signing.next(SEQUENCE)?, what).all()?;
    signing.optional(SEQUENCE)?;
    signing.end()?;
    let first = ids.first().ok_or(Malformed(what))?;
    let mut fields = Fields::of(first.whole, SEQUENCE, what)?;
    let digest = match (version_2, fields.peek()) {
        (false, _) => Digest::Sha1,
        (true, Some(SEQUENCE)) => {
            let oid = read_algorithm(fields.next(SEQUENCE)?, what)?;
            // SHA-1 as in the first form: it tells certificates apart that the chain must vouch for in any case.
            Digest::from_oid(oid)
                .or((oid == SHA1).then_some(Digest::Sha1))
                .ok_or_else(|| TokenError::Algorithm { what: format!("digest {}", dotted(oid)) })?
        }
        (true, _) => Digest::Sha256,
    };
    let hash = fields.next(OCTET_STRING)?.to_vec();
    let issuer_serial = match fields.optional(SEQUENCE)? {
        None => None,
        Some(content) => {
            let mut fields = Fields::new(content, what);
            // GeneralNames with one directoryName (RFC 5035 4).
            let names = fields.next(SEQUENCE)?;
            let name = Fields::of(names, tagged(4), what)?.content();
            let serial = fields.integer()?.to_vec();
            fields.end()?;
            Some((name.to_vec(), serial))
        }
    };
    fields.end()?;
    Ok(CertificateId { digest, hash, issuer_serial })
}

/// The signature's algorithm. What names a digest must name that of digestAlgorithm; rsaEncryption (RFC 3370 3.2) and, with some,
/// id-ecPublicKey name none.
fn read_signature_algorithm(content: &[u8], digest: Digest) -> Result<SignatureAlgorithm, TokenError> {
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512, RsaSha256, RsaSha384, RsaSha512};
    let oid = read_algorithm(content, "signatureAlgorithm")?;
    let unsupported = || TokenError::Algorithm { what: format!("signature {} with {digest}", dotted(oid)) };
    let by_digest = match digest {
        Digest::Sha256 => [RsaSha256, EcdsaSha256],
        Digest::Sha384 => [RsaSha384, EcdsaSha384],
        Digest::Sha512 => [RsaSha512, EcdsaSha512],
        Digest::Sha1 => return Err(unsupported()),
    };
    let [rsa, ecdsa] = by_digest.clone();
    match oid {
        RSA => Ok(rsa),
        EC => Ok(ecdsa),
        // Parameters are not looked at: see `read_algorithm`.
        _ => SignatureAlgorithm::from_identifier(oid, Parameters::Absent)
            .filter(|named| by_digest.contains(named))
            .ok_or_else(unsupported),
    }
}

/// An object identifier as people write it, or what they call it.
fn dotted(oid: &[u8]) -> String {
    algorithm_name(&Oid::new(oid.into()))
}
