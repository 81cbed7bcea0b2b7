//! A CA that issues certificates in the shape of SPIRE's (`pkg/server/credtemplate/builder.go`), for the demo and tests.

use std::time::Duration;

use ring::{
    rand::SecureRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use unixtime::UnixSeconds;
use x509::{
    der::{INTEGER, OCTET_STRING, SEQUENCE, bit_string, tagged, tagged_primitive, unsigned, write},
    pem,
};
use zeroize::Zeroizing;

use crate::evidence::leaf::{ECDSA_SHA256, Issuer, KEY_P256, LeafTemplate, extension, spki, validity};

/// Seconds by which SPIRE dates certificates back.
const BACKDATING: Duration = Duration::from_secs(10);
const CA_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// DER of the subject `C=US, O=SPIFFE`.
const CA_SUBJECT: &[u8] = b"\x30\x1e\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02US\x31\x0f\x30\x0d\x06\x03\x55\x04\x0a\x13\x06SPIFFE";
/// keyUsage, critical: keyCertSign, cRLSign.
const CA_KEY_USAGE: &[u8] = b"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x06";
/// basicConstraints, critical: CA.
const CA_BASIC_CONSTRAINTS: &[u8] = b"\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff";

/// The operating system's generator failed, or a key it gave is unusable.
#[derive(Debug, thiserror::Error)]
#[error("no key could be generated: the operating system's random generator failed")]
pub struct CaError;

/// A self-signed CA of one trust domain.
pub struct DevCa {
    trust_domain: String,
    key: EcdsaKeyPair,
    key_id: Vec<u8>,
    certificate: Vec<u8>,
}

/// A leaf with its key, as the Workload API hands them out.
pub struct IssuedSvid {
    /// The SPIFFE ID.
    pub spiffe_id: String,
    /// DER of the leaf.
    pub certificate: Vec<u8>,
    /// PKCS#8 DER of its key.
    pub key: Zeroizing<Vec<u8>>,
}

impl DevCa {
    /// Makes a CA that is valid for a day from `now`.
    pub fn new(trust_domain: &str, now: UnixSeconds, random: &dyn SecureRandom) -> Result<Self, CaError> {
        let (_, key) = generate(random)?;
        let public_key = key.public_key().as_ref().to_vec();
        let key_id = sha1(&public_key);
        let uri = write(tagged_primitive(6), &[format!("spiffe://{trust_domain}").as_bytes()]);
        let extensions = write(
            SEQUENCE,
            &[
                CA_KEY_USAGE,
                CA_BASIC_CONSTRAINTS,
                &extension(b"\x06\x03\x55\x1d\x0e", &write(OCTET_STRING, &[&key_id])),
                &extension(b"\x06\x03\x55\x1d\x11", &write(SEQUENCE, &[&uri])),
            ],
        );
        let tbs = write(
            SEQUENCE,
            &[
                b"\xa0\x03\x02\x01\x02",
                &write(INTEGER, &[&unsigned(&serial(random)?)]),
                ECDSA_SHA256,
                CA_SUBJECT,
                &validity(now - BACKDATING, now + CA_LIFETIME),
                CA_SUBJECT,
                &spki(KEY_P256, &public_key),
                &write(tagged(3), &[&extensions]),
            ],
        );
        let signature = key.sign(random, &tbs).map_err(|_| CaError)?;
        let certificate = write(SEQUENCE, &[&tbs, ECDSA_SHA256, &bit_string(signature.as_ref())]);
        Ok(Self { trust_domain: trust_domain.to_owned(), key, key_id, certificate })
    }

    /// Issues an X509-SVID for `path` (with its leading `/`), valid for `ttl` seconds from `now`.
    pub fn issue(
        &self,
        path: &str,
        dns_names: &[String],
        now: UnixSeconds,
        ttl: Duration,
        random: &dyn SecureRandom,
    ) -> Result<IssuedSvid, CaError> {
        let (pkcs8, key) = generate(random)?;
        let spiffe_id = format!("spiffe://{}{path}", self.trust_domain);
        let template = LeafTemplate {
            serial: &serial(random)?,
            not_before: now - BACKDATING,
            not_after: now + ttl,
            key_algorithm: KEY_P256,
            signature_algorithm: ECDSA_SHA256,
            public_key: key.public_key().as_ref(),
            spiffe_id: &spiffe_id,
            dns_names,
            issuer: Issuer { name: CA_SUBJECT, key_id: &self.key_id },
        };
        let tbs = template.tbs();
        let signature = self.key.sign(random, &tbs).map_err(|_| CaError)?;
        let certificate = template.certificate(&tbs, signature.as_ref());
        Ok(IssuedSvid { spiffe_id, certificate, key: pkcs8 })
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// DER of the CA's certificate: the whole bundle.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The bundle as PEM.
    pub fn bundle_pem(&self) -> String {
        pem::encode(&self.certificate)
    }
}

fn generate(random: &dyn SecureRandom) -> Result<(Zeroizing<Vec<u8>>, EcdsaKeyPair), CaError> {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, random).map_err(|_| CaError)?;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), random).map_err(|_| CaError)?;
    Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), key))
}

fn serial(random: &dyn SecureRandom) -> Result<[u8; 16], CaError> {
    let mut serial = [0; 16];
    random.fill(&mut serial).map_err(|_| CaError)?;
    Ok(serial)
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}
