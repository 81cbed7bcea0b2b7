//! A certificate factory for tests: any certificate, also ones that no CA issues. P-256 keys from fixed numbers.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

pub const DIGITAL_SIGNATURE: u16 = 1 << 0;
pub const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub const KEY_AGREEMENT: u16 = 1 << 4;
pub const KEY_CERT_SIGN: u16 = 1 << 5;
pub const CRL_SIGN: u16 = 1 << 6;

pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const ANY_PURPOSE: &str = "2.5.29.37.0";

/// 2020-01-01 and 2040-01-01.
pub const START: i64 = 1_577_836_800;
pub const END: i64 = 2_208_988_800;

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn oid(text: &str) -> Vec<u8> {
    let numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap()).collect();
    let mut content = vec![(numbers[0] * 40 + numbers[1]) as u8];
    for number in &numbers[2..] {
        let mut digits = vec![(number & 0x7f) as u8];
        let mut rest = number >> 7;
        while rest > 0 {
            digits.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        digits.reverse();
        content.extend(digits);
    }
    tlv(6, &content)
}

pub fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { vec![1, 1, 0xff] } else { Vec::new() };
    sequence(&[oid(id), critical, tlv(4, value)])
}

/// Subject key identifier of one byte.
pub fn subject_key_id(id: u8) -> Vec<u8> {
    extension("2.5.29.14", false, &tlv(4, &[id]))
}

/// Authority key identifier of one byte.
pub fn authority_key_id(id: u8) -> Vec<u8> {
    extension("2.5.29.35", false, &sequence(&[tlv(0x80, &[id])]))
}

/// Name constraints: the general names that are permitted, and those that are excluded.
pub fn name_constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let subtrees = |tag, names: &[Vec<u8>]| match names {
        [] => Vec::new(),
        names => {
            tlv(tag, &names.iter().flat_map(|name| sequence(std::slice::from_ref(name))).collect::<Vec<_>>())
        }
    };
    extension("2.5.29.30", true, &sequence(&[subtrees(0xa0, permitted), subtrees(0xa1, excluded)]))
}

pub fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return sequence(&[]);
    }
    sequence(&[tlv(0x31, &sequence(&[oid("2.5.4.3"), tlv(0x0c, common_name.as_bytes())]))])
}

fn time(seconds: i64) -> Vec<u8> {
    let t = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    );
    tlv(0x18, text.as_bytes())
}

#[derive(Clone)]
pub struct Key(SigningKey, [u8; 32]);

impl Key {
    pub fn new(number: u8) -> Self {
        let mut scalar = [7; 32];
        scalar[31] = number;
        Self(SigningKey::from_slice(&scalar).unwrap(), scalar)
    }

    pub fn public(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    pub fn pkcs8(&self) -> Vec<u8> {
        let public = [vec![0], self.public()].concat();
        let inner = sequence(&[vec![2, 1, 1], tlv(4, &self.1), tlv(0xa1, &tlv(3, &public))]);
        let algorithm = sequence(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]);
        sequence(&[vec![2, 1, 0], algorithm, tlv(4, &inner)])
    }

    /// ECDSA with SHA-256, in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

/// What is in a certificate.
#[derive(Clone)]
pub struct Plan {
    pub subject: String,
    pub issuer: String,
    pub uris: Vec<String>,
    pub dns: Vec<String>,
    pub san_critical: bool,
    pub ca: Option<bool>,
    pub path_len: Option<u8>,
    pub key_usage: Option<u16>,
    pub key_usage_critical: bool,
    pub ext_key_usages: Option<Vec<&'static str>>,
    pub start: i64,
    pub end: i64,
    pub more: Vec<Vec<u8>>,
}

impl Plan {
    /// As SPIRE makes them.
    pub fn leaf(uri: &str) -> Self {
        Self {
            subject: "workload".into(),
            issuer: "ca".into(),
            uris: vec![uri.into()],
            dns: vec![],
            san_critical: false,
            ca: Some(false),
            path_len: None,
            key_usage: Some(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT),
            key_usage_critical: true,
            ext_key_usages: Some(vec![SERVER_AUTH, CLIENT_AUTH]),
            start: START,
            end: END,
            more: vec![],
        }
    }

    /// As SPIRE makes them, self-signed if `issuer` is `subject`.
    pub fn ca(subject: &str, issuer: &str, trust_domain: &str) -> Self {
        Self {
            subject: subject.into(),
            issuer: issuer.into(),
            uris: vec![format!("spiffe://{trust_domain}")],
            ca: Some(true),
            key_usage: Some(KEY_CERT_SIGN | CRL_SIGN),
            ext_key_usages: None,
            ..Self::leaf("")
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn issue(&self, subject: &Key, issuer: &Key) -> Vec<u8> {
        let spki = sequence(&[
            sequence(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]),
            tlv(3, &[vec![0], subject.public()].concat()),
        ]);
        self.issue_for(&spki, issuer)
    }

    /// For any SubjectPublicKeyInfo.
    pub fn issue_for(&self, spki: &[u8], issuer: &Key) -> Vec<u8> {
        self.issue_signed(spki, &sequence(&[oid("1.2.840.10045.4.3.2")]), &|tbs| issuer.sign(tbs))
    }

    /// By any key, whose signatures have this AlgorithmIdentifier.
    pub fn issue_signed(&self, spki: &[u8], algorithm: &[u8], sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut extensions = Vec::new();
        if let Some(bits) = self.key_usage {
            let value = tlv(3, &[0, (bits as u8).reverse_bits()]);
            extensions.push(extension("2.5.29.15", self.key_usage_critical, &value));
        }
        if let Some(usages) = &self.ext_key_usages {
            let usages: Vec<_> = usages.iter().map(|usage| oid(usage)).collect();
            extensions.push(extension("2.5.29.37", false, &sequence(&usages)));
        }
        if let Some(ca) = self.ca {
            let ca = if ca { vec![1, 1, 0xff] } else { Vec::new() };
            let path_len = self.path_len.map_or(Vec::new(), |length| vec![2, 1, length]);
            extensions.push(extension("2.5.29.19", true, &sequence(&[ca, path_len])));
        }
        let dns = self.dns.iter().map(|name| tlv(0x82, name.as_bytes()));
        let uris = self.uris.iter().map(|uri| tlv(0x86, uri.as_bytes()));
        let names: Vec<_> = dns.chain(uris).collect();
        if !names.is_empty() {
            extensions.push(extension("2.5.29.17", self.san_critical, &sequence(&names)));
        }
        extensions.extend(self.more.iter().cloned());

        let tbs = sequence(&[
            tlv(0xa0, &[2, 1, 2]),
            vec![2, 1, 1],
            algorithm.to_vec(),
            name(&self.issuer),
            sequence(&[time(self.start), time(self.end)]),
            name(&self.subject),
            spki.to_vec(),
            tlv(0xa3, &sequence(&extensions)),
        ]);
        let signature = tlv(3, &[vec![0], sign(&tbs)].concat());
        sequence(&[tbs, algorithm.to_vec(), signature])
    }
}

/// A self-signed CA of a trust domain.
pub fn root(trust_domain: &str) -> (Key, Vec<u8>) {
    let key = Key::new(1);
    let der = Plan::ca("ca", "ca", trust_domain).issue(&key, &key);
    (key, der)
}
