//! Tokens that no TSA makes, or that some TSA makes which is not at hand: a writer of CMS, each part of which can be changed.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::{fs, process::Command, sync::Arc};

use ring::digest;
use svidence::evidence::sha256;
use tempfile::TempDir;
use unixtime::UnixSeconds;

use super::pki::{self, DIGITAL_SIGNATURE, Key, Plan, extension, oid, sequence, tlv};

/// A key that signs tokens and certificates.
#[derive(Clone)]
pub enum Signer {
    /// P-256, signs with SHA-256.
    Number(u8),
    /// Any other.
    File(Arc<KeyFile>),
}

/// A key of OpenSSL's.
pub struct KeyFile {
    folder: TempDir,
    is_rsa: bool,
}

impl KeyFile {
    /// `rsa:2048`, or the name of a curve.
    pub fn new(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bits = kind.strip_prefix("rsa:");
        let option = match bits {
            Some(bits) => format!("rsa_keygen_bits:{bits}"),
            None => format!("ec_paramgen_curve:{kind}"),
        };
        let algorithm = if bits.is_some() { "RSA" } else { "EC" };
        let key = Self { folder, is_rsa: bits.is_some() };
        key.openssl(&["genpkey", "-algorithm", algorithm, "-pkeyopt", &option, "-out", "key"]);
        key
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(args).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Signer {
    pub fn file(kind: &str) -> Self {
        Self::File(Arc::new(KeyFile::new(kind)))
    }

    fn is_rsa(&self) -> bool {
        matches!(self, Self::File(key) if key.is_rsa)
    }

    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::Number(number) => sequence(&[
                sequence(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]),
                tlv(3, &[vec![0], Key::new(*number).public()].concat()),
            ]),
            Self::File(key) => key.openssl(&["pkey", "-in", "key", "-pubout", "-outform", "DER"]),
        }
    }

    pub fn sign(&self, hash: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Number(number) => Key::new(*number).sign(message),
            Self::File(key) => {
                fs::write(key.folder.path().join("message"), message).unwrap();
                key.openssl(&["dgst", &format!("-{hash}"), "-sign", "key", "message"])
            }
        }
    }

    /// The AlgorithmIdentifier of its signatures.
    pub fn algorithm(&self, hash: &str) -> Vec<u8> {
        let last = match hash {
            "sha256" => 0,
            "sha384" => 1,
            "sha512" => 2,
            _ => panic!("{hash}"),
        };
        match self.is_rsa() {
            true => sequence(&[oid(&format!("1.2.840.113549.1.1.{}", 11 + last)), vec![5, 0]]),
            false => sequence(&[oid(&format!("1.2.840.10045.4.3.{}", 2 + last))]),
        }
    }

    /// The certificate of this plan for another key.
    pub fn issues(&self, plan: &Plan, subject: &Self, hash: &str) -> Vec<u8> {
        plan.issue_signed(&subject.spki(), &self.algorithm(hash), &|tbs| self.sign(hash, tbs))
    }
}

pub fn hashed(hash: &str, message: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => panic!("{hash}"),
    };
    digest::digest(algorithm, message).as_ref().to_vec()
}

/// Object identifier of a digest.
pub fn hash_id(hash: &str) -> &'static str {
    match hash {
        "sha1" => "1.3.14.3.2.26",
        "sha256" => SHA256,
        "sha384" => "2.16.840.1.101.3.4.2.2",
        "sha512" => "2.16.840.1.101.3.4.2.3",
        _ => panic!("{hash}"),
    }
}

/// 2026-11-22T05:30:10Z, when the step of the tests below signed; its certificate lasts an hour.
pub const SIGNED: i64 = 1_795_325_410;
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
pub const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";

/// A TSA's certificate as it should be.
pub fn tsa_plan() -> Plan {
    Plan {
        subject: "tsa".into(),
        issuer: "tsa-ca".into(),
        uris: vec![],
        key_usage: Some(DIGITAL_SIGNATURE),
        ext_key_usages: None,
        more: vec![purposes(true, &[TIME_STAMPING])],
        ..Plan::leaf("")
    }
}

pub fn tsa_ca() -> Plan {
    Plan { uris: vec![], ..Plan::ca("tsa-ca", "tsa-ca", "") }
}

pub fn purposes(critical: bool, ids: &[&str]) -> Vec<u8> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| oid(id)).collect();
    extension("2.5.29.37", critical, &sequence(&ids))
}

pub fn general_time(seconds: i64) -> String {
    UnixSeconds::new(seconds).to_string().replace(['-', ':', 'T'], "")
}

pub fn attribute(id: &str, value: Vec<u8>) -> Vec<u8> {
    sequence(&[oid(id), tlv(0x31, &value)])
}

/// A token, each part of which can be changed; what is signed is signed after the change.
#[derive(Clone)]
pub struct Plot {
    pub version: u8,
    pub imprint: Vec<u8>,
    pub imprint_algorithm: &'static str,
    /// None or NULL.
    pub imprint_parameters: Vec<u8>,
    pub time: String,
    /// Behind the time: accuracy, ordering, nonce, TSA, extensions.
    pub tail: Vec<u8>,
    /// On the whole TSTInfo.
    pub info: fn(&mut Vec<u8>),
    pub ca: Plan,
    pub tsa: Plan,
    /// Made by `tsa` if there is none.
    pub certificate: Option<Vec<u8>>,
    pub carried: Option<Vec<Vec<u8>>>,
    /// The key of `ca`.
    pub ca_key: Signer,
    /// The key that signs the token and is in `tsa`.
    pub key: Signer,
    /// The key in the certificate, if it is not that.
    pub certified: Option<Signer>,
    /// Of the signature and of messageDigest: `sha256` and so on.
    pub hash: &'static str,
    /// Of the signatures of certificates.
    pub chain_hash: &'static str,
    pub policy: &'static str,
    /// Content of the INTEGER.
    pub serial: Vec<u8>,
    pub named_by_key_id: bool,
    pub content_type: &'static str,
    pub digest: Option<Vec<u8>>,
    pub ess: Option<Vec<u8>>,
    /// Before they are signed.
    pub attributes: fn(&mut Vec<Vec<u8>>),
    /// After that.
    pub carried_attributes: fn(&mut Vec<Vec<u8>>),
    pub digest_algorithms: Vec<u8>,
    pub digest_algorithm: &'static str,
    pub digest_parameters: Vec<u8>,
    pub signature_algorithm: Vec<u8>,
    pub signers: usize,
    pub signed_version: u8,
    pub signer_version: Option<u8>,
    /// Behind the signature.
    pub unsigned: Vec<u8>,
    /// On the finished token.
    pub finish: fn(Vec<u8>) -> Vec<u8>,
}

impl Plot {
    /// Everything about the signature by this hash and by these keys of the CA and of the TSA.
    pub fn signed_by(self, ca: &Signer, chain_hash: &'static str, key: &Signer, hash: &'static str) -> Self {
        Self {
            ca_key: ca.clone(),
            chain_hash,
            key: key.clone(),
            hash,
            digest_algorithm: hash_id(hash),
            digest_algorithms: sequence(&[oid(hash_id(hash))]),
            signature_algorithm: key.algorithm(hash),
            ..self
        }
    }

    pub fn new(imprint: &[u8]) -> Self {
        Self {
            version: 1,
            imprint: imprint.to_vec(),
            imprint_algorithm: SHA256,
            imprint_parameters: vec![],
            time: general_time(SIGNED + 5),
            tail: vec![],
            info: |_| {},
            ca: tsa_ca(),
            tsa: tsa_plan(),
            certificate: None,
            carried: None,
            ca_key: Signer::Number(7),
            key: Signer::Number(8),
            certified: None,
            hash: "sha256",
            chain_hash: "sha256",
            policy: "1.2.3.4.1",
            serial: vec![9],
            named_by_key_id: false,
            content_type: TST_INFO,
            digest: None,
            ess: None,
            attributes: |attributes| attributes.sort(),
            carried_attributes: |_| {},
            digest_algorithms: sequence(&[oid(SHA256)]),
            digest_algorithm: SHA256,
            digest_parameters: vec![],
            signature_algorithm: sequence(&[oid("1.2.840.10045.4.3.2")]),
            signers: 1,
            signed_version: 3,
            signer_version: None,
            unsigned: vec![],
            finish: |token| token,
        }
    }

    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut plot = self.clone();
        change(&mut plot);
        plot
    }

    /// The root that is trusted.
    pub fn root(&self) -> String {
        x509::pem::encode(&self.ca_key.issues(&self.ca, &self.ca_key, self.chain_hash))
    }

    pub fn certificate(&self) -> Vec<u8> {
        let key = self.certified.as_ref().unwrap_or(&self.key);
        self.certificate.clone().unwrap_or_else(|| self.ca_key.issues(&self.tsa, key, self.chain_hash))
    }

    pub fn token(&self) -> Vec<u8> {
        let mut info = sequence(&[
            vec![2, 1, self.version],
            oid(self.policy),
            sequence(&[
                sequence(&[oid(self.imprint_algorithm), self.imprint_parameters.clone()]),
                tlv(4, &self.imprint),
            ]),
            tlv(2, &self.serial),
            tlv(0x18, self.time.as_bytes()),
            self.tail.clone(),
        ]);
        (self.info)(&mut info);
        let certificate = self.certificate();
        let digest = self.digest.clone().unwrap_or_else(|| hashed(self.hash, &info));
        let ess = self.ess.clone().unwrap_or_else(|| ess_v2(&certificate));
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", oid(self.content_type)),
            attribute("1.2.840.113549.1.9.4", tlv(4, &digest)),
            ess,
        ];
        (self.attributes)(&mut attributes);
        let signature = self.key.sign(self.hash, &tlv(0x31, &attributes.concat()));
        (self.carried_attributes)(&mut attributes);
        let attributes = attributes.concat();
        let (signer_version, name) = match self.named_by_key_id {
            true => (3, tlv(0x80, b"tsa-key-id")),
            false => (1, sequence(&[pki::name(&self.tsa.issuer), vec![2, 1, 1]])),
        };
        let signer = sequence(&[
            vec![2, 1, self.signer_version.unwrap_or(signer_version)],
            name,
            sequence(&[oid(self.digest_algorithm), self.digest_parameters.clone()]),
            tlv(0xa0, &attributes),
            self.signature_algorithm.clone(),
            tlv(4, &signature),
            self.unsigned.clone(),
        ]);
        let carried = self.carried.clone().unwrap_or_else(|| vec![certificate]).concat();
        let signed = sequence(&[
            vec![2, 1, self.signed_version],
            tlv(0x31, &self.digest_algorithms),
            sequence(&[oid(TST_INFO), tlv(0xa0, &tlv(4, &info))]),
            tlv(0xa0, &carried),
            tlv(0x31, &signer.repeat(self.signers)),
        ]);
        (self.finish)(sequence(&[oid("1.2.840.113549.1.7.2"), tlv(0xa0, &signed)]))
    }
}

pub fn ess_v2(certificate: &[u8]) -> Vec<u8> {
    let id = sequence(&[tlv(4, &sha256(certificate))]);
    attribute("1.2.840.113549.1.9.16.2.47", sequence(&[sequence(&[id])]))
}

/// Behind the time: accuracy of so many seconds.
pub fn accuracy(seconds: u8) -> Vec<u8> {
    sequence(&[vec![2, 1, seconds]])
}

/// TimeStampResp with this PKIStatusInfo, and the token.
pub fn response(status: &[Vec<u8>], token: Vec<u8>) -> Vec<u8> {
    sequence(&[sequence(status), token])
}

/// Constructed elements with indefinite lengths, but those that hold signed bytes in another form: certificates.
pub fn indefinite(der: &[u8]) -> Vec<u8> {
    map_elements(der, &|tag, content| match tag & 0x20 {
        0 => tlv(tag, content),
        _ => [&[tag, 0x80], content, &[0, 0]].concat(),
    })
}

/// Lengths with more bytes than they need.
pub fn long_lengths(der: &[u8]) -> Vec<u8> {
    map_elements(der, &|tag, content| {
        let length = content.len();
        [&[tag, 0x83, 0, (length >> 8) as u8, length as u8], content].concat()
    })
}

/// OCTET STRINGs of more than 8 bytes in pieces of 7.
pub fn in_pieces(der: &[u8]) -> Vec<u8> {
    map_elements(der, &|tag, content| match tag {
        4 if content.len() > 8 => {
            tlv(0x24, &content.chunks(7).flat_map(|piece| tlv(4, piece)).collect::<Vec<_>>())
        }
        _ => tlv(tag, content),
    })
}

/// The elements of DER written anew from within, but certificates, and signed attributes, which are DER (RFC 5652 5.3).
fn map_elements(der: &[u8], write: &dyn Fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = der;
    while let [tag, first, ..] = *rest {
        let digits = if first > 0x80 { usize::from(first & 0x7f) } else { 0 };
        let length = match digits {
            0 => usize::from(first),
            _ => rest[2..2 + digits].iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
        };
        let (element, after) = rest.split_at(2 + digits + length);
        let content = &element[2 + digits..];
        // [0] with a certificate or an attribute in it, whose first element is a SEQUENCE or an OBJECT IDENTIFIER in one.
        let is_kept = tag == 0xa0 && length > 60 && content[0] == 0x30 && !holds_token(content);
        match is_kept {
            true => out.extend(element),
            false if tag & 0x20 != 0 => out.extend(write(tag, &map_elements(content, write))),
            false => out.extend(write(tag, content)),
        }
        rest = after;
    }
    out
}

/// Whether it is SignedData: its first field is a version.
fn holds_token(content: &[u8]) -> bool {
    let header = if content[1] > 0x80 { 2 + usize::from(content[1] & 0x7f) } else { 2 };
    content[header..].starts_with(&[2, 1])
}

pub fn directory_name(name: Vec<u8>) -> Vec<u8> {
    tlv(0xa4, &name)
}

/// ESSCertIDv2 by this hash, with the issuer's name if there is one.
pub fn ess_by(hash: &str, certificate: &[u8], issuer: Option<&str>) -> Vec<u8> {
    let algorithm = if hash == "sha256" { vec![] } else { sequence(&[oid(hash_id(hash))]) };
    let issuer =
        issuer.map(|issuer| sequence(&[sequence(&[directory_name(pki::name(issuer))]), vec![2, 1, 1]]));
    sequence(&[algorithm, tlv(4, &hashed(hash, certificate)), issuer.unwrap_or_default()])
}

pub fn ess_v2_of(ids: &[Vec<u8>]) -> Vec<u8> {
    attribute("1.2.840.113549.1.9.16.2.47", sequence(&[sequence(ids)]))
}

pub fn ess_v1_of(certificate: &[u8]) -> Vec<u8> {
    let id = sequence(&[tlv(4, &hashed("sha1", certificate))]);
    attribute("1.2.840.113549.1.9.16.2.12", sequence(&[sequence(&[id])]))
}

pub fn signing_time() -> Vec<u8> {
    attribute("1.2.840.113549.1.9.5", tlv(0x17, b"261122053015Z"))
}
