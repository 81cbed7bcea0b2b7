//! x509-limbo: certificate chains with the answer that a validator should give, through our path search.
//!
//! The cases are those of a TLS client. Mapped to a path search: trusted certificates are the authorities, the rest as it is;
//! the time is the case's, or [`USUAL_TIME`]; the purpose is the server's or the client's; the largest depth becomes a limit.
//! A search compares no name with a server's, so the name asked for must then stand among the leaf's, as it is written.
//!
//! `testdata/corpora/README.md` says where the corpus comes from.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use unixtime::UnixSeconds;
use x509::{
    Certificate, CertificateError, KeyPurpose,
    path::{Limits, PathError, Search},
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// 2026-01-01T00:00:00Z, for cases that state no time: every certificate in them that should be valid is.
const USUAL_TIME: i64 = 1_767_225_600;

#[derive(Deserialize)]
struct Corpus {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_result: String,
    expected_peer_name: Option<PeerName>,
    max_chain_depth: Option<usize>,
}

#[derive(Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

/// Why a case is refused.
#[derive(Debug)]
enum Refusal {
    Unreadable(CertificateError),
    Path(PathError),
    OtherName,
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.code(),
            Self::Path(error) => error.code(),
            Self::OtherName => "other-name",
        }
    }
}

/// The corpus, as `gzip -n` wrote it: ten bytes, the compressed text, eight bytes.
fn corpus() -> Corpus {
    let gzip = include_bytes!("../../testdata/corpora/x509-limbo.json.gz");
    assert_eq!(gzip[..4], [0x1f, 0x8b, 8, 0], "gzip without a file name");
    let text = miniz_oxide::inflate::decompress_to_vec(&gzip[10..gzip.len() - 8]).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(lines).unwrap()
}

fn check(case: &Case) -> Result<(), Refusal> {
    // What cannot be read cannot appear in a path; the leaf has to.
    let readable = |pems: &[String]| -> Vec<Certificate> {
        pems.iter().filter_map(|pem| Certificate::parse(&der(pem)).ok()).collect()
    };
    let (trusted, untrusted) = (readable(&case.trusted_certs), readable(&case.untrusted_intermediates));
    let peer = der(&case.peer_certificate);
    let leaf = Certificate::parse(&peer).map_err(Refusal::Unreadable)?;
    let time = case.validation_time.as_ref().map(|text| OffsetDateTime::parse(text, &Rfc3339).unwrap());
    let purpose = match case.validation_kind.as_str() {
        "SERVER" => KeyPurpose::ServerAuth,
        "CLIENT" => KeyPurpose::ClientAuth,
        other => panic!("{}: {other}", case.id),
    };
    let limits = Limits::default();
    let search = Search {
        intermediates: &untrusted.iter().collect::<Vec<_>>(),
        trust_anchors: &trusted.iter().collect::<Vec<_>>(),
        at: time.map_or(UnixSeconds::new(USUAL_TIME), UnixSeconds::from),
        slow_by: std::time::Duration::ZERO,
        purposes: &[purpose],
        limits: Limits {
            // The corpus counts intermediates.
            issuers: case.max_chain_depth.map_or(limits.issuers, |depth| limits.issuers.min(depth + 1)),
            ..limits
        },
        issuer_rule: &|_, _| Ok(()),
        path_rule: &|_| Ok(()),
    };
    search.find_path(&leaf).map_err(Refusal::Path)?;
    let (_, parsed) = X509Certificate::from_der(&peer).unwrap();
    let names = parsed.subject_alternative_name().unwrap().map(|san| &san.value.general_names[..]);
    let named = case.expected_peer_name.as_ref().is_none_or(|name| {
        names.unwrap_or_default().iter().any(|san| match (name.kind.as_str(), san) {
            ("DNS", GeneralName::DNSName(dns)) => *dns == name.value,
            ("IP", GeneralName::IPAddress(octets)) => {
                let address: std::net::IpAddr = name.value.parse().unwrap();
                match address {
                    std::net::IpAddr::V4(address) => address.octets()[..] == **octets,
                    std::net::IpAddr::V6(address) => address.octets()[..] == **octets,
                }
            }
            _ => false,
        })
    });
    if named { Ok(()) } else { Err(Refusal::OtherName) }
}

/// Case, what we answer against the corpus's word, why.
fn exceptions() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let lines = include_str!("../../testdata/corpora/x509-limbo-exceptions.tsv").lines();
    let mut exceptions = BTreeMap::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let [case, answer, why] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(!why.is_empty(), "{case} has no reason");
        assert!(exceptions.insert(case, (answer, why)).is_none(), "{case} stands there twice");
    }
    exceptions
}

#[test]
fn x509_limbo() {
    let corpus = corpus();
    let mut exceptions = exceptions();
    let mut wrong = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for case in &corpus.testcases {
        let result = check(case);
        let answer = result.as_ref().map_or_else(Refusal::code, |()| "accepted");
        match result {
            Ok(()) => accepted += 1,
            Err(_) => refused += 1,
        }
        let expected = case.expected_result == "SUCCESS";
        match (result.is_ok() == expected, exceptions.remove(case.id.as_str())) {
            (true, None) => {}
            (false, Some((listed, _))) if listed == answer => {}
            (_, listed) => wrong.push(format!("{}\t{answer}\t{listed:?} {:?}", case.id, result.err())),
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(exceptions.is_empty(), "not in the corpus: {:?}", exceptions.keys());
    assert_eq!((corpus.testcases.len(), accepted, refused), (193, 73, 120), "cases, accepted, refused");
}
