//! Time-stamp tokens (RFC 3161): what they prove about certificates that have expired, and what they do not.
//!
//! Genuine ones are made by `openssl ts`; the others by a writer of CMS here, as no TSA makes them.

#![cfg(feature = "cli")]

#[path = "support/one_step.rs"]
mod one_step;
mod pki;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/tsa.rs"]
mod tsa;

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use one_step::one_step;
use pki::{DIGITAL_SIGNATURE, KEY_CERT_SIGN, Key, Plan, extension, oid, sequence, tlv};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use svidence::{
    evidence::{sha256, tep0089::pem},
    verify::{
        Policy, Report, TimeProof, Trust, Verdict,
        taskrun::{TaskRun, format_time},
        time::TimeStamps,
        verify,
    },
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use tsa::{P256, P384, RSA, Setup, Tsa, require_openssl};

const ID: &str = "spiffe://example.org/ns/default/taskrun/timed";
const YEAR: i64 = 365 * 24 * 3600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A TaskRun whose step `one` signed at `signed`, with a certificate that was valid until `end`.
struct Signed {
    signed: i64,
    object: Value,
    imprint: [u8; 32],
    bundle: Vec<u8>,
}

fn signed(signed: i64, end: i64) -> Signed {
    let (ca, workload) = (Key::new(1), Key::new(2));
    let root = Plan::ca("ca", "ca", "example.org").issue(&ca, &ca);
    let leaf = Plan::leaf(ID).with(|leaf| (leaf.start, leaf.end) = (signed - 60, end)).issue(&workload, &ca);
    let (object, attestation) = one_step("timed", signed, &leaf, &[], workload.pkcs8());
    Signed { signed, object, imprint: sha256(&attestation.to_bytes()), bundle: root }
}

impl Signed {
    fn with_annotation(&self, annotation: &Value) -> Signed {
        let mut object = self.object.clone();
        object["metadata"]["annotations"] = json!({"a": "b", "svidence.dev/timestamps": annotation});
        Signed { object, bundle: self.bundle.clone(), ..*self }
    }

    fn judge(&self, stamps: &TimeStamps, now: i64, at: Option<i64>) -> Report {
        let trust_domain = TrustDomain::new("example.org").unwrap();
        let trust = Trust {
            bundle: X509Bundle::from_der(trust_domain, &self.bundle).unwrap(),
            intermediates: vec![],
            now,
            at,
            clock_skew: 10,
        };
        let policy = Policy { time_stamps: stamps.clone(), ..Policy::default() };
        verify(&TaskRun::from_value(self.object.clone()).unwrap(), &trust, &policy)
    }
}

fn stamps(trusted: &[String], tokens: &[&[u8]]) -> TimeStamps {
    let mut stamps = TimeStamps::default();
    trusted.iter().for_each(|pem| stamps.trust_pem(pem).unwrap());
    tokens.iter().for_each(|token| stamps.add(token).unwrap());
    stamps
}

/// Verdict, findings and notes in one line.
fn said(report: &Report) -> String {
    let findings: Vec<String> = report.findings.iter().map(|f| format!("[{}] {f}", f.code())).collect();
    format!("{}: {} / {}", report.verdict.as_str(), findings.join("; "), report.notes.join("; "))
}

fn time(report: &Report) -> Option<TimeProof> {
    report.proof.as_ref().map(|proof| proof.time)
}

#[test]
fn a_token_of_openssl_proves_the_time_long_after_all_certificates_have_expired() {
    if !require_openssl() {
        return;
    }
    let (root, own) = ("root.pem", "tsa.pem");
    let precise = Setup { more: "clock_precision_digits = 6\n", ..P256 };
    let cases: [(&str, Setup, &str, &[&str]); 11] = [
        ("RSA, SHA-256", RSA, root, &["-cert"]),
        ("RSA, SHA-384", Setup { digest: "sha384", ..RSA }, root, &["-cert"]),
        ("RSA, SHA-512", Setup { digest: "sha512", ..RSA }, root, &["-cert"]),
        ("RSA, 3072 bits", Setup { key: "rsa:3072", ..RSA }, root, &["-cert"]),
        ("P-256, SHA-256", P256, root, &["-cert"]),
        ("P-384, SHA-384", P384, root, &["-cert"]),
        ("fractions of a second", precise, root, &["-cert"]),
        ("an intermediate", Setup { intermediate: true, ..P256 }, root, &["-cert"]),
        ("named by SHA-1, as RFC 3161 had it", Setup { ess: "sha1", ..P256 }, root, &["-cert", "-no_nonce"]),
        ("named by SHA-384", Setup { ess: "sha384", ..P256 }, own, &["-cert"]),
        ("the TSA's own certificate is given and not sent", P256, own, &[]),
    ];
    for (case, setup, trusted, options) in cases {
        let tsa = Tsa::new(&setup);
        let signed = signed(now(), now() + 60);
        let response = tsa.stamp(&signed.imprint, options);
        let bare = tsa.bare(&response);
        for (form, token) in [("response", response), ("token", bare)] {
            let case = format!("{case}, {form}");
            let given = stamps(&[tsa.pem(trusted)], &[&token]);
            let report = signed.judge(&given, signed.signed + YEAR, None);
            assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", said(&report));
            let Some(TimeProof::ValidThen(stamp)) = time(&report) else {
                panic!("{case}: {:?}", time(&report))
            };
            assert!((signed.signed..=now()).contains(&stamp.gen_time), "{case}: {}", stamp.gen_time);
            assert!(report.notes.is_empty(), "{case}: {:?}", report.notes);

            let beside = signed.with_annotation(&json!(json!({"one": STANDARD.encode(&token)}).to_string()));
            let report = beside.judge(&stamps(&[tsa.pem(trusted)], &[]), signed.signed + YEAR, None);
            assert_eq!(
                time(&report),
                Some(TimeProof::ValidThen(stamp)),
                "{case}, annotated: {}",
                said(&report)
            );
        }
        let without = signed.judge(&stamps(&[tsa.pem(trusted)], &[]), signed.signed + YEAR, None);
        assert_eq!(without.verdict, Verdict::Weak, "{case}, without a token: {}", said(&without));
    }
}

/// 2026-11-22T05:30:10Z, when the step of the tests below signed; its certificate lasts an hour.
const SIGNED: i64 = 1_795_325_410;
const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";

/// A TSA's certificate as it should be.
fn tsa_plan() -> Plan {
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

fn tsa_ca() -> Plan {
    Plan { uris: vec![], ..Plan::ca("tsa-ca", "tsa-ca", "") }
}

fn purposes(critical: bool, ids: &[&str]) -> Vec<u8> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| oid(id)).collect();
    extension("2.5.29.37", critical, &sequence(&ids))
}

fn general_time(seconds: i64) -> String {
    format_time(seconds).replace(['-', ':', 'T'], "")
}

fn attribute(id: &str, value: Vec<u8>) -> Vec<u8> {
    sequence(&[oid(id), tlv(0x31, &value)])
}

/// A token, each part of which can be changed; what is signed is signed after the change.
#[derive(Clone)]
struct Plot {
    version: u8,
    imprint: Vec<u8>,
    imprint_algorithm: &'static str,
    time: String,
    /// Behind the time: accuracy, ordering, nonce, TSA, extensions.
    tail: Vec<u8>,
    ca: Plan,
    tsa: Plan,
    /// Made by `tsa` if there is none.
    certificate: Option<Vec<u8>>,
    carried: Option<Vec<Vec<u8>>>,
    key: u8,
    named_by_key_id: bool,
    content_type: &'static str,
    digest: Option<Vec<u8>>,
    ess: Option<Vec<u8>>,
    attributes: fn(&mut Vec<Vec<u8>>),
    digest_algorithms: Vec<u8>,
    digest_algorithm: &'static str,
    signature_algorithm: Vec<u8>,
    signers: usize,
    signed_version: u8,
    /// Behind the signature.
    unsigned: Vec<u8>,
    /// On the finished token.
    finish: fn(Vec<u8>) -> Vec<u8>,
}

impl Plot {
    fn new(imprint: &[u8]) -> Plot {
        Plot {
            version: 1,
            imprint: imprint.to_vec(),
            imprint_algorithm: SHA256,
            time: general_time(SIGNED + 5),
            tail: vec![],
            ca: tsa_ca(),
            tsa: tsa_plan(),
            certificate: None,
            carried: None,
            key: 8,
            named_by_key_id: false,
            content_type: TST_INFO,
            digest: None,
            ess: None,
            attributes: |attributes| attributes.sort(),
            digest_algorithms: sequence(&[oid(SHA256)]),
            digest_algorithm: SHA256,
            signature_algorithm: sequence(&[oid("1.2.840.10045.4.3.2")]),
            signers: 1,
            signed_version: 3,
            unsigned: vec![],
            finish: |token| token,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Plot)) -> Plot {
        let mut plot = self.clone();
        change(&mut plot);
        plot
    }

    /// The root that is trusted.
    fn root(&self) -> String {
        pem(&self.ca.issue(&Key::new(7), &Key::new(7)))
    }

    fn certificate(&self) -> Vec<u8> {
        self.certificate.clone().unwrap_or_else(|| self.tsa.issue(&Key::new(8), &Key::new(7)))
    }

    fn token(&self) -> Vec<u8> {
        let info = sequence(&[
            vec![2, 1, self.version],
            oid("1.2.3.4.1"),
            sequence(&[sequence(&[oid(self.imprint_algorithm)]), tlv(4, &self.imprint)]),
            vec![2, 1, 9],
            tlv(0x18, self.time.as_bytes()),
            self.tail.clone(),
        ]);
        let certificate = self.certificate();
        let digest = self.digest.clone().unwrap_or_else(|| sha256(&info).to_vec());
        let ess = self.ess.clone().unwrap_or_else(|| ess_v2(&certificate));
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", oid(self.content_type)),
            attribute("1.2.840.113549.1.9.4", tlv(4, &digest)),
            ess,
        ];
        (self.attributes)(&mut attributes);
        let attributes = attributes.concat();
        let signature = Key::new(self.key).sign(&tlv(0x31, &attributes));
        let (signer_version, name) = match self.named_by_key_id {
            true => (3, tlv(0x80, b"tsa-key-id")),
            false => (1, sequence(&[pki::name(&self.tsa.issuer), vec![2, 1, 1]])),
        };
        let signer = sequence(&[
            vec![2, 1, signer_version],
            name,
            sequence(&[oid(self.digest_algorithm)]),
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

fn ess_v2(certificate: &[u8]) -> Vec<u8> {
    let id = sequence(&[tlv(4, &sha256(certificate))]);
    attribute("1.2.840.113549.1.9.16.2.47", sequence(&[sequence(&[id])]))
}

/// Behind the time: accuracy of so many seconds.
fn accuracy(seconds: u8) -> Vec<u8> {
    sequence(&[vec![2, 1, seconds]])
}

/// TimeStampResp with this PKIStatusInfo, and the token.
fn response(status: &[Vec<u8>], token: Vec<u8>) -> Vec<u8> {
    sequence(&[sequence(status), token])
}

fn annotated(signed: &Signed, token: &[u8]) -> Signed {
    signed.with_annotation(&json!(json!({"one": STANDARD.encode(token)}).to_string()))
}

#[test]
fn unusual_tokens_that_are_right_prove_the_time() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let sub = Plan { uris: vec![], ..Plan::ca("sub", "tsa-ca", "") }.issue(&Key::new(9), &Key::new(7));
    let below_sub = tsa_plan().with(|tsa| tsa.issuer = "sub".into());
    let key_id = extension("2.5.29.14", false, &tlv(4, b"tsa-key-id"));
    let harmless = extension("1.2.3.4", false, b"x");
    for (case, plot) in [
        ("plain", plot.clone()),
        ("the TSA has expired since", plot.with(|p| p.tsa.end = SIGNED + 10)),
        ("its root has expired since", plot.with(|p| p.ca.end = SIGNED + 10)),
        ("in the last second of the certificate", plot.with(|p| p.time = general_time(SIGNED + 3600))),
        (
            "accuracy reaches the last second",
            plot.with(|p| (p.time, p.tail) = (general_time(SIGNED + 3590), accuracy(10))),
        ),
        ("as early as clocks may be apart", plot.with(|p| p.time = general_time(SIGNED - 10))),
        ("a fraction", plot.with(|p| p.time = general_time(SIGNED).replace('Z', ".123456789Z"))),
        ("ordering and nonce", plot.with(|p| p.tail = [vec![1, 1, 0xff], vec![2, 1, 5]].concat())),
        ("an extension", plot.with(|p| p.tail = tlv(0xa1, &harmless))),
        ("an unsigned attribute", plot.with(|p| p.unsigned = tlv(0xa1, &attribute("1.2.3", vec![5, 0])))),
        (
            "an attribute of no concern",
            plot.with(|p| {
                p.attributes = |all| {
                    all.push(attribute("1.2.3", vec![5, 0]));
                    all.sort();
                }
            }),
        ),
        (
            "the signer is named by key identifier",
            plot.with(|p| {
                p.tsa.more.push(key_id.clone());
                p.named_by_key_id = true;
            }),
        ),
        (
            "an intermediate, and a certificate of no use",
            plot.with(|p| {
                p.tsa = below_sub.clone();
                let certificate = below_sub.issue(&Key::new(8), &Key::new(9));
                p.carried = Some(vec![vec![0x30, 0], sub.clone(), certificate.clone()]);
                p.certificate = Some(certificate);
            }),
        ),
        ("granted with modifications", plot.with(|p| p.finish = |t| response(&[vec![2, 1, 1]], t))),
    ] {
        let beside = annotated(&signed, &plot.token());
        let report = beside.judge(&stamps(&[plot.root()], &[]), SIGNED + YEAR, None);
        assert!(matches!(time(&report), Some(TimeProof::ValidThen(_))), "{case}: {}", said(&report));
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", said(&report));
    }
}

#[test]
fn what_is_wrong_with_a_token_is_said_and_it_proves_nothing() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let other_ca = tsa_plan().issue(&Key::new(8), &Key::new(6));
    let other_key = tsa_plan().issue(&Key::new(9), &Key::new(7));
    let sub = |change: fn(&mut Plan)| {
        let sub = Plan { uris: vec![], ..Plan::ca("sub", "tsa-ca", "") }.with(change);
        let tsa = tsa_plan().with(|tsa| tsa.issuer = "sub".into());
        let certificate = tsa.issue(&Key::new(8), &Key::new(9));
        let carried = vec![sub.issue(&Key::new(9), &Key::new(7)), certificate.clone()];
        plot.with(|p| (p.tsa, p.certificate, p.carried) = (tsa, Some(certificate), Some(carried)))
    };
    let tsa = |change: fn(&mut Plan)| plot.with(|p| change(&mut p.tsa));
    let unsorted: fn(&mut Vec<Vec<u8>>) = |all| {
        all.sort();
        all.reverse();
    };
    let rejected = vec![vec![2, 1, 2], sequence(&[tlv(0x0c, b"no such policy")]), vec![3, 3, 0, 0, 1]];
    let cases: Vec<(&str, Plot, &str)> = vec![
        ("no purpose", tsa(|t| t.more.clear()), "no extended key usage"),
        ("not critical", tsa(|t| t.more = vec![purposes(false, &[TIME_STAMPING])]), "not marked critical"),
        (
            "another purpose",
            tsa(|t| t.more = vec![purposes(true, &[pki::CLIENT_AUTH])]),
            "not timeStamping alone",
        ),
        (
            "two purposes",
            tsa(|t| t.more = vec![purposes(true, &[TIME_STAMPING, pki::CLIENT_AUTH])]),
            "not timeStamping alone",
        ),
        ("may not sign", tsa(|t| t.key_usage = Some(KEY_CERT_SIGN)), "key usage has neither"),
        ("a critical extension", tsa(|t| t.more.push(extension("1.2.3", true, b"x"))), "did not lead"),
        ("the TSA was not valid yet", tsa(|t| t.start = SIGNED + 6), "did not lead"),
        ("the TSA was not valid any more", tsa(|t| t.end = SIGNED + 4), "did not lead"),
        ("the root was not valid yet", plot.with(|p| p.ca.start = SIGNED + 6), "did not lead"),
        ("the root was not valid any more", plot.with(|p| p.ca.end = SIGNED + 4), "did not lead"),
        ("the root is no CA", plot.with(|p| p.ca.ca = Some(false)), "did not lead"),
        ("the root may not sign", plot.with(|p| p.ca.key_usage = Some(1)), "did not lead"),
        ("another root of that name", plot.with(|p| p.certificate = Some(other_ca)), "did not lead"),
        ("the intermediate expired", sub(|s| s.end = SIGNED + 4), "did not lead"),
        ("the intermediate is no CA", sub(|s| s.ca = Some(false)), "did not lead"),
        ("the intermediate may not sign", sub(|s| s.key_usage = Some(1)), "did not lead"),
        (
            "the intermediate is for other purposes",
            sub(|s| s.ext_key_usages = Some(vec![pki::SERVER_AUTH])),
            "did not lead",
        ),
        ("no intermediate is allowed", sub(|_| {}).with(|p| p.ca.path_len = Some(0)), "allows 0 CAs"),
        ("another key", plot.with(|p| p.key = 9), "signature does not fit"),
        ("another key's certificate", plot.with(|p| p.certificate = Some(other_key)), "does not fit"),
        (
            "the signer is not there",
            sub(|_| {}).with(|p| p.carried = Some(vec![])),
            "neither in it nor given",
        ),
        ("many certificates", plot.with(|p| p.carried = Some(vec![vec![0x30, 0]; 17])), "more than 16"),
        ("after the certificate expired", plot.with(|p| p.time = general_time(SIGNED + 3601)), "not every"),
        (
            "perhaps after the certificate expired",
            plot.with(|p| (p.time, p.tail) = (general_time(SIGNED + 3590), accuracy(11))),
            "not every certificate was valid",
        ),
        (
            "a fraction after the certificate expired",
            plot.with(|p| p.time = general_time(SIGNED + 3600).replace('Z', ".000000001Z")),
            "not every certificate was valid",
        ),
        ("in the future", plot.with(|p| p.time = general_time(SIGNED + 2 * YEAR)), "in the future"),
        ("of other data", plot.with(|p| p.imprint = vec![1; 32]), "of other data"),
        ("of SHA-384", plot.with(|p| p.imprint_algorithm = "2.16.840.1.101.3.4.2.2"), "other than SHA-256"),
        ("too short an imprint", plot.with(|p| p.imprint.truncate(31)), "messageImprint"),
        ("version 2", plot.with(|p| p.version = 2), "not of version 1"),
        (
            "a critical extension of the token",
            plot.with(|p| p.tail = tlv(0xa1, &extension("1.2.3.4", true, b"x"))),
            "critical extension",
        ),
        ("something behind", plot.with(|p| p.tail = vec![4, 0]), "TSTInfo"),
        ("ordering that is false", plot.with(|p| p.tail = vec![1, 1, 0]), "ordering"),
        ("no zone", plot.with(|p| p.time.truncate(14)), "genTime"),
        ("a zone", plot.with(|p| p.time = p.time.replace('Z', "+0100")), "genTime"),
        ("a month 13", plot.with(|p| p.time = "20261322053015Z".into()), "genTime"),
        ("a fraction with a zero", plot.with(|p| p.time = p.time.replace('Z', ".50Z")), "genTime"),
        ("another content type", plot.with(|p| p.content_type = "1.2.840.113549.1.7.1"), "contentType"),
        ("another digest", plot.with(|p| p.digest = Some(vec![0; 32])), "messageDigest"),
        (
            "no attribute names the signer",
            plot.with(|p| p.ess = Some(vec![])),
            "signingCertificate is missing",
        ),
        (
            "an attribute names another signer",
            plot.with(|p| p.ess = Some(ess_v2(b"other"))),
            "signingCertificate is of another certificate",
        ),
        ("attributes out of order", plot.with(|p| p.attributes = unsorted), "signedAttrs"),
        (
            "an attribute twice",
            plot.with(|p| {
                p.attributes = |all| {
                    all.push(all[1].clone());
                    all.sort();
                }
            }),
            "messageDigest stands twice",
        ),
        ("no signer", plot.with(|p| p.signers = 0), "not exactly one signer"),
        ("two signers", plot.with(|p| p.signers = 2), "not exactly one signer"),
        ("another version of SignedData", plot.with(|p| p.signed_version = 1), "not of version 3"),
        ("digest not announced", plot.with(|p| p.digest_algorithms.clear()), "digestAlgorithms"),
        (
            "digest with SHA-1",
            plot.with(|p| p.digest_algorithm = "1.3.14.3.2.26"),
            "not supported (digest 1.3.14.3.2.26)",
        ),
        (
            "Ed25519",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.3.101.112")])),
            "not supported (signature 1.3.101.112",
        ),
        ("a byte behind", plot.with(|p| p.finish = |t| [t, vec![0]].concat()), "no time-stamp token in DER"),
        ("cut short", plot.with(|p| p.finish = |t| t[..t.len() - 1].to_vec()), "no time-stamp token in DER"),
        ("nothing", plot.with(|p| p.finish = |_| vec![]), "no time-stamp token in DER"),
        (
            "of indefinite length",
            plot.with(|p| p.finish = |t| [&[0x30, 0x80], &t[4..], &[0, 0]].concat()),
            "no time-stamp token in DER",
        ),
        ("too long", plot.with(|p| p.finish = |_| vec![0x30; 65537]), "at most 65536"),
        ("far too long", plot.with(|p| p.finish = |_| vec![0x30; 200_000]), "at most 65536"),
        ("waiting", plot.with(|p| p.finish = |t| response(&[vec![2, 1, 3]], t)), "did not grant it: waiting"),
    ];
    for (case, plot, reason) in cases {
        let beside = annotated(&signed, &plot.token());
        let trusted = stamps(&[plot.root()], &[]);
        let report = beside.judge(&trusted, SIGNED + YEAR, None);
        assert_eq!(report.verdict, Verdict::Weak, "{case}: {}", said(&report));
        let text = report.findings[0].to_string();
        assert!(text.contains("a time stamp does not help: ") && text.contains(reason), "{case}: {text}");

        // Beside certificates that are valid now it changes nothing, and beside a good token it is noted.
        let report = beside.judge(&trusted, SIGNED + 3600, None);
        assert_eq!(time(&report), Some(TimeProof::ValidNow), "{case}: {}", said(&report));
        assert!(report.notes.iter().any(|note| note.contains(reason)), "{case}: {:?}", report.notes);
        let good = Plot::new(&signed.imprint).with(|good| good.tsa.subject = "another".into());
        let both = stamps(&[plot.root(), pem(&good.certificate())], &[&good.token()]);
        let report = beside.judge(&both, SIGNED + YEAR, None);
        assert!(matches!(time(&report), Some(TimeProof::ValidThen(_))), "{case}: {}", said(&report));
        assert!(report.notes.iter().any(|note| note.contains(reason)), "{case}: {:?}", report.notes);
    }
    let rejection = response(&rejected, vec![]);
    let report = annotated(&signed, &rejection).judge(&stamps(&[plot.root()], &[]), SIGNED + YEAR, None);
    let wanted = "did not grant it: rejection, no such policy, policy not supported (unacceptedPolicy)";
    assert!(report.findings[0].to_string().contains(wanted), "{}", said(&report));
}

#[test]
fn a_tsas_own_certificate_vouches_for_itself_alone() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let own = pem(&plot.certificate());
    let report = annotated(&signed, &plot.token()).judge(
        &stamps(std::slice::from_ref(&own), &[]),
        SIGNED + YEAR,
        None,
    );
    assert_eq!(report.verdict, Verdict::Verified, "{}", said(&report));
    // Its key signs certificates for nobody.
    let made_by_tsa = tsa_plan().with(|tsa| (tsa.subject, tsa.issuer) = ("x".into(), "tsa".into()));
    let forged = plot.with(|p| {
        p.certificate = Some(made_by_tsa.issue(&Key::new(9), &Key::new(8)));
        (p.tsa, p.key) = (made_by_tsa.clone(), 9);
    });
    let report = annotated(&signed, &forged.token()).judge(&stamps(&[own], &[]), SIGNED + YEAR, None);
    assert_eq!(report.verdict, Verdict::Weak, "{}", said(&report));
    // And it counts in its own time only.
    let expired = plot.with(|p| p.tsa.end = SIGNED + 4);
    let own = pem(&expired.certificate());
    let report = annotated(&signed, &expired.token()).judge(&stamps(&[own], &[]), SIGNED + YEAR, None);
    assert!(report.findings[0].to_string().contains("it was not valid then"), "{}", said(&report));
}

#[test]
fn a_time_stamp_from_before_the_claimed_signing_is_a_contradiction() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let early = Plot::new(&signed.imprint).with(|p| p.time = general_time(SIGNED - 11));
    let good = Plot::new(&signed.imprint);
    let beside = annotated(&signed, &early.token());
    for (case, given, now) in [
        ("alone", stamps(&[early.root()], &[]), SIGNED + YEAR),
        ("beside a good one", stamps(&[early.root()], &[&good.token()]), SIGNED + YEAR),
        ("with certificates that are valid", stamps(&[early.root()], &[]), SIGNED + 60),
    ] {
        let report = beside.judge(&given, now, None);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", said(&report));
        let text = report.findings[0].to_string();
        assert!(text.contains("after its time stamp (2026-11-22T05:29:59Z)"), "{case}: {text}");
    }
    // A TSA that nobody trusts contradicts nothing.
    let other = tsa_ca().issue(&Key::new(6), &Key::new(6));
    let report = beside.judge(&stamps(&[pem(&other)], &[]), SIGNED + 60, None);
    assert_eq!(report.verdict, Verdict::Verified, "{}", said(&report));
}

#[test]
fn what_is_known_of_the_time_is_reported() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let later = plot.with(|p| p.time = general_time(SIGNED + 50));
    let stamp = svidence::verify::time::TimeStamp { gen_time: SIGNED + 5, tsa: sha256(&plot.certificate()) };
    let then = Some(TimeProof::ValidThen(stamp));
    let none = || stamps(&[], &[]);
    let both = || stamps(&[plot.root()], &[&later.token(), &plot.token()]);
    for (case, given, now, at, proof, stamp) in [
        ("valid now", none(), SIGNED + 60, None, Some(TimeProof::ValidNow), None),
        ("valid now, time-stamped", both(), SIGNED + 60, None, Some(TimeProof::ValidNow), Some(stamp)),
        ("time-stamped twice: the earlier", both(), SIGNED + YEAR, None, then, Some(stamp)),
        ("asserted", none(), SIGNED + YEAR, Some(SIGNED + 60), Some(TimeProof::Asserted(SIGNED + 60)), None),
        ("asserted and time-stamped", both(), SIGNED + YEAR, Some(SIGNED + 60), then, Some(stamp)),
        ("asserted too late, time-stamped", both(), SIGNED + YEAR, Some(SIGNED + 7200), then, Some(stamp)),
        ("unproven", none(), SIGNED + YEAR, None, None, None),
    ] {
        let report = signed.judge(&given, now, at);
        assert_eq!(time(&report), proof, "{case}: {}", said(&report));
        let found = report.proof.as_ref().and_then(|proof| proof.time_stamp());
        assert_eq!(found, stamp, "{case}");
        let of_step = report.proof.iter().flat_map(|proof| proof.basis.steps()).next();
        assert_eq!(of_step.map(|step| step.time.proof), proof, "{case}");
        assert_eq!(of_step.and_then(|step| step.time.stamp), stamp, "{case}");
    }
}

#[test]
fn the_weakest_step_decides() {
    let stamp = |gen_time| svidence::verify::time::TimeStamp { gen_time, tsa: [0; 32] };
    let order = [
        TimeProof::ValidNow,
        TimeProof::ValidThen(stamp(1)),
        TimeProof::ValidThen(stamp(2)),
        TimeProof::Asserted(0),
        TimeProof::Unproven,
    ];
    for (i, strong) in order.iter().enumerate() {
        for weak in &order[i..] {
            assert_eq!(strong.weaker(*weak), *weak, "{strong:?} {weak:?}");
            assert_eq!(weak.weaker(*strong), *weak, "{weak:?} {strong:?}");
        }
    }
}

#[test]
fn the_annotation_is_nobodys_word() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let trusted = stamps(&[plot.root()], &[]);
    let token = STANDARD.encode(plot.token());
    for (case, annotation, note) in [
        ("no text", json!(5), "is no JSON object"),
        ("no JSON", json!("{"), "is no JSON object"),
        ("a list", json!("[]"), "is no JSON object"),
        ("no base64", json!("{\"one\": \"!\"}"), "not base64"),
        ("another step", json!(json!({"two": token}).to_string()), "step two, which did not sign"),
        ("null", Value::Null, ""),
        ("empty", json!("{}"), ""),
    ] {
        let beside = signed.with_annotation(&annotation);
        let report = beside.judge(&trusted, SIGNED + 60, None);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", said(&report));
        let noted = report.notes.iter().any(|text| text.contains(note));
        assert!(noted || (note.is_empty() && report.notes.is_empty()), "{case}: {:?}", report.notes);
        let report = beside.judge(&trusted, SIGNED + YEAR, None);
        assert_eq!(report.verdict, Verdict::Weak, "{case}: {}", said(&report));
    }
    // Without a TSA that counts the token is of no use, which is said only where it could have helped.
    let beside = annotated(&signed, &plot.token());
    let report = beside.judge(&stamps(&[], &[]), SIGNED + YEAR, None);
    assert!(report.findings[0].to_string().contains("--tsa-certificate"), "{}", said(&report));
    let report = beside.judge(&stamps(&[], &[]), SIGNED + 60, None);
    assert!(report.verdict == Verdict::Verified && report.notes.is_empty(), "{}", said(&report));
}

/// Every change to a token that openssl made, with nothing in it but what it needs, makes it worthless.
#[test]
fn no_truncation_and_no_flipped_bit_leaves_a_token_that_proves() {
    if !require_openssl() {
        return;
    }
    let signed = signed(now(), now() + 60);
    for (case, setup) in [("P-256", P256), ("RSA", RSA)] {
        let tsa = Tsa::new(&setup);
        let root = tsa.pem("root.pem");
        let token = tsa.stamp(&signed.imprint, &["-cert"]);
        let trusted = stamps(std::slice::from_ref(&root), &[]);
        let proves = |token: &[u8]| trusted.check(token, &signed.imprint).is_ok();
        assert!(proves(&token), "{case}: the token itself");
        for length in 0..token.len() {
            assert!(!proves(&token[..length]), "{case}: cut to {length} of {} bytes", token.len());
        }
        let flipped = (0..token.len() * 8).filter(|bit| {
            let mut altered = token.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            proves(&altered)
        });
        // 0 and 1 mean the same: granted, perhaps with modifications. The status is no part of the token.
        let status = if token[..2] == [0x30, 0x82] { 4 + 2 + 2 } else { 3 + 2 + 2 };
        assert_eq!(token[status - 2..=status], [2, 1, 0], "{case}: the status is where it is expected");
        assert_eq!(flipped.collect::<Vec<_>>(), [status * 8], "{case}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Bytes put in, taken out or replaced anywhere, in either form of a token.
    #[test]
    fn no_other_bytes_are_a_token_that_proves(
        granted in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        taken in 0..40usize,
        put in vec(any::<u8>(), 0..40),
    ) {
        static MADE: LazyLock<(TimeStamps, Vec<u8>)> = LazyLock::new(|| {
            let plot = Plot::new(&[5; 32]);
            (stamps(&[plot.root()], &[]), plot.token())
        });
        let (trusted, bare) = &*MADE;
        let answered = |status| response(&[vec![2, 1, status]], bare.clone());
        let token = if granted { answered(0) } else { bare.clone() };
        prop_assert!(trusted.check(&token, &[5; 32]).is_ok());
        let start = at.index(token.len());
        let mut altered = token.clone();
        altered.splice(start..(start + taken).min(token.len()), put);
        // The status of an answer that was granted may be 1, too.
        let is_other = altered != token && altered != answered(1);
        prop_assert!(!is_other || trusted.check(&altered, &[5; 32]).is_err());
    }
}
