//! Time-stamp tokens (RFC 3161): what they prove about certificates that have expired, and what they do not.
//!
//! Genuine ones are made by `openssl ts`; the others by a writer of CMS here, as no TSA makes them.

use crate::one_step;
use crate::pki;

use crate::token;
use crate::tsa;

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use one_step::one_step;
use pki::{KEY_CERT_SIGN, Key, Plan, extension, oid, sequence, tlv};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use svidence::{
    evidence::sha256,
    tekton::taskrun::TaskRun,
    verify::{Policy, Report, TimeProof, Trust, Verdict, prove::time::TimeStamps, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use token::{
    Plot, SIGNED, Signer, TIME_STAMPING, accuracy, attribute, ess_v2, general_time, hash_id, hashed,
    purposes, response, tsa_ca, tsa_plan,
};
use tsa::{P256, P384, RSA, Setup, Tsa, require_openssl};
use unixtime::UnixSeconds;
use x509::pem;

const ID: &str = "spiffe://example.org/ns/default/taskrun/timed";
const YEAR: i64 = 365 * 24 * 3600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A TaskRun whose step `one` signed at `signed`, with a certificate that was valid until `end`.
struct Signed {
    signed: i64,
    object: Value,
    attestation: Vec<u8>,
    imprint: [u8; 32],
    bundle: Vec<u8>,
}

fn signed(signed: i64, end: i64) -> Signed {
    let (ca, workload) = (Key::new(1), Key::new(2));
    let root = Plan::ca("ca", "ca", "example.org").issue(&ca, &ca);
    let leaf = Plan::leaf(ID).with(|leaf| (leaf.start, leaf.end) = (signed - 60, end)).issue(&workload, &ca);
    let (object, attestation) = one_step("timed", signed, &leaf, &[], workload.pkcs8());
    let attestation = attestation.to_bytes();
    Signed { signed, object, imprint: sha256(&attestation), attestation, bundle: root }
}

impl Signed {
    fn with_annotation(&self, annotation: &Value) -> Self {
        let mut object = self.object.clone();
        object["metadata"]["annotations"] = json!({"a": "b", "svidence.dev/timestamps": annotation});
        Self { object, bundle: self.bundle.clone(), attestation: self.attestation.clone(), ..*self }
    }

    fn judge(&self, stamps: &TimeStamps, now: i64, at: Option<i64>) -> Report {
        let trust_domain = TrustDomain::new("example.org").unwrap();
        let trust = Trust {
            bundle: X509Bundle::from_der(trust_domain, &self.bundle).unwrap(),
            intermediates: vec![],
            now: UnixSeconds::new(now),
            at: at.map(UnixSeconds::new),
            clock_skew: std::time::Duration::from_secs(10),
        };
        let policy = Policy { time_stamps: stamps.clone(), ..Policy::default() };
        verify(&TaskRun::from_value(self.object.clone()).unwrap(), &trust, &policy)
    }
}

fn stamps(trusted: &[String], tokens: &[&[u8]]) -> TimeStamps {
    let mut stamps = TimeStamps::default();
    trusted.iter().for_each(|pem| assert!(stamps.trust_pem(pem).unwrap().is_empty()));
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
            assert!((signed.signed..=now()).contains(&stamp.gen_time.get()), "{case}: {}", stamp.gen_time);
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

fn annotated(signed: &Signed, token: &[u8]) -> Signed {
    signed.with_annotation(&json!(json!({"one": STANDARD.encode(token)}).to_string()))
}

/// The imprint of this digest: its object identifier and the hash.
fn stamped_by(hash: &str, signed: &Signed) -> (&'static str, Vec<u8>) {
    (hash_id(hash), hashed(hash, &signed.attestation))
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
        ("of SHA-384", plot.with(|p| (p.imprint_algorithm, p.imprint) = stamped_by("sha384", &signed))),
        ("of SHA-512", plot.with(|p| (p.imprint_algorithm, p.imprint) = stamped_by("sha512", &signed))),
        ("granted with modifications", plot.with(|p| p.finish = |t| response(&[vec![2, 1, 1]], t))),
    ] {
        let beside = annotated(&signed, &plot.token());
        let given = signed.judge(&stamps(&[plot.root()], &[&plot.token()]), SIGNED + YEAR, None);
        for report in [beside.judge(&stamps(&[plot.root()], &[]), SIGNED + YEAR, None), given] {
            assert!(matches!(time(&report), Some(TimeProof::ValidThen(_))), "{case}: {}", said(&report));
            assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", said(&report));
        }
    }
}

/// A stated time leaves a token its use while the certificates are still valid.
#[test]
fn a_token_may_be_ahead_of_the_clock_as_far_as_clocks_may_be_apart() {
    let signed = signed(SIGNED, SIGNED + 3600);
    for (ahead, proves) in [(10, true), (11, false)] {
        let now = SIGNED + 100;
        let plot = Plot::new(&signed.imprint).with(|p| p.time = general_time(now + ahead));
        let report = signed.judge(&stamps(&[plot.root()], &[&plot.token()]), now, Some(SIGNED + 50));
        assert_eq!(
            matches!(time(&report), Some(TimeProof::ValidThen(_))),
            proves,
            "{ahead} s: {}",
            said(&report)
        );
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
        (
            "another key",
            plot.with(|p| (p.key, p.certified) = (Signer::Number(9), Some(Signer::Number(8)))),
            "signature is not that of its signer",
        ),
        (
            "another key's certificate",
            plot.with(|p| p.certificate = Some(other_key)),
            "is not that of its signer",
        ),
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
        ("of SHA3-256", plot.with(|p| p.imprint_algorithm = "2.16.840.1.101.3.4.2.8"), "other than SHA-256"),
        (
            "of SHA-384 by name",
            plot.with(|p| p.imprint_algorithm = "2.16.840.1.101.3.4.2.2"),
            "of other data",
        ),
        ("too short an imprint", plot.with(|p| p.imprint.truncate(31)), "of other data"),
        ("version 2", plot.with(|p| p.version = 2), "not of version 1"),
        (
            "a critical extension of the token",
            plot.with(|p| p.tail = tlv(0xa1, &extension("1.2.3.4", true, b"x"))),
            "critical extension",
        ),
        ("something behind", plot.with(|p| p.tail = vec![4, 0]), "TSTInfo"),
        ("no zone", plot.with(|p| p.time.truncate(14)), "genTime"),
        ("a fraction without digits", plot.with(|p| p.time = p.time.replace('Z', ".Z")), "genTime"),
        ("ordering of two bytes", plot.with(|p| p.tail = vec![1, 2, 0, 0]), "ordering"),
        (
            "an indefinite length without an end",
            plot.with(|p| p.finish = |t| [&[0x30, 0x80], &t[4..]].concat()),
            "neither",
        ),
        (
            "too deep",
            plot.with(|p| p.finish = |_| [[0x30, 0x80].repeat(40), vec![0; 80]].concat()),
            "neither",
        ),
        ("a zone", plot.with(|p| p.time = p.time.replace('Z', "+0100")), "genTime"),
        ("a month 13", plot.with(|p| p.time = "20261322053015Z".into()), "genTime"),
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
        (
            "an attribute twice",
            plot.with(|p| {
                p.attributes = |all| {
                    all.push(all[1].clone());
                    all.sort();
                }
            }),
            "messageDigest appears twice",
        ),
        ("no signer", plot.with(|p| p.signers = 0), "not exactly one signer"),
        ("two signers", plot.with(|p| p.signers = 2), "not exactly one signer"),
        ("digest not announced", plot.with(|p| p.digest_algorithms.clear()), "digestAlgorithms"),
        (
            "digest with SHA-1",
            plot.with(|p| p.digest_algorithm = "1.3.14.3.2.26"),
            "not supported (digest 1.3.14.3.2.26)",
        ),
        (
            "Ed25519",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.3.101.112")])),
            "not supported (signature Ed25519 with SHA-256)",
        ),
        (
            "RSASSA-PSS",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.10")])),
            "not supported (signature RSA-PSS with SHA-256); take a TSA that signs with RSA PKCS #1 v1.5",
        ),
        ("a byte behind", plot.with(|p| p.finish = |t| [t, vec![0]].concat()), "not a time-stamp token"),
        ("cut short", plot.with(|p| p.finish = |t| t[..t.len() - 1].to_vec()), "not a time-stamp token"),
        ("nothing", plot.with(|p| p.finish = |_| vec![]), "not a time-stamp token"),
        ("too long", plot.with(|p| p.finish = |_| vec![0x30; 65537]), "more than the 65536"),
        ("far too long", plot.with(|p| p.finish = |_| vec![0x30; 200_000]), "more than the 65536"),
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
        let both = stamps(&[plot.root(), pem::encode(&good.certificate())], &[&good.token()]);
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
    let own = pem::encode(&plot.certificate());
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
        (p.tsa, p.key) = (made_by_tsa.clone(), Signer::Number(9));
    });
    let report = annotated(&signed, &forged.token()).judge(&stamps(&[own], &[]), SIGNED + YEAR, None);
    assert_eq!(report.verdict, Verdict::Weak, "{}", said(&report));
    // And it counts in its own time only.
    let expired = plot.with(|p| p.tsa.end = SIGNED + 4);
    let own = pem::encode(&expired.certificate());
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
    let report = beside.judge(&stamps(&[pem::encode(&other)], &[]), SIGNED + 60, None);
    assert_eq!(report.verdict, Verdict::Verified, "{}", said(&report));
}

#[test]
fn what_is_known_of_the_time_is_reported() {
    let signed = signed(SIGNED, SIGNED + 3600);
    let plot = Plot::new(&signed.imprint);
    let later = plot.with(|p| p.time = general_time(SIGNED + 50));
    let stamp = x509::time_stamp::TimeStamp {
        gen_time: UnixSeconds::new(SIGNED + 5),
        tsa: sha256(&plot.certificate()),
    };
    let then = Some(TimeProof::ValidThen(stamp));
    let none = || stamps(&[], &[]);
    let both = || stamps(&[plot.root()], &[&later.token(), &plot.token()]);
    for (case, given, now, at, proof, stamp) in [
        ("valid now", none(), SIGNED + 60, None, Some(TimeProof::ValidNow), None),
        ("valid now, time-stamped", both(), SIGNED + 60, None, Some(TimeProof::ValidNow), Some(stamp)),
        ("time-stamped twice: the earlier", both(), SIGNED + YEAR, None, then, Some(stamp)),
        (
            "asserted",
            none(),
            SIGNED + YEAR,
            Some(SIGNED + 60),
            Some(TimeProof::Asserted(UnixSeconds::new(SIGNED + 60))),
            None,
        ),
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
    let stamp = |gen_time| x509::time_stamp::TimeStamp { gen_time, tsa: [0; 32] };
    let order = [
        TimeProof::ValidNow,
        TimeProof::ValidThen(stamp(UnixSeconds::new(1))),
        TimeProof::ValidThen(stamp(UnixSeconds::new(2))),
        TimeProof::Asserted(UnixSeconds::new(0)),
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
        ("a number", json!("5"), "is not a JSON object"),
        ("no JSON", json!("{"), "is not a JSON object"),
        ("a list", json!("[]"), "is not a JSON object"),
        ("no base64", json!("{\"one\": \"!\"}"), "not base64"),
        (
            "more text than a token has",
            json!(json!({"one": "A".repeat(87_388)}).to_string()),
            "it has 65541 bytes, more than the 65536 that are read",
        ),
        ("another step", json!(json!({"two": token}).to_string()), "step two, which did not sign"),
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
    // Kubernetes' annotations are text: an object with any other one is of nobody's making.
    for annotation in [json!(5), Value::Null] {
        let object = signed.with_annotation(&annotation).object;
        assert!(TaskRun::from_value(object).is_err(), "{annotation}");
    }
    // Without a TSA that counts the token is of no use, which is said only where it could have helped.
    let beside = annotated(&signed, &plot.token());
    let report = beside.judge(&stamps(&[], &[]), SIGNED + YEAR, None);
    assert!(report.findings[0].to_string().contains("--tsa-certificate"), "{}", said(&report));
    let report = beside.judge(&stamps(&[], &[]), SIGNED + 60, None);
    assert!(report.verdict == Verdict::Verified && report.notes.is_empty(), "{}", said(&report));
}

/// No change to a token that openssl made lets it say anything else.
#[test]
fn no_truncation_and_no_flipped_bit_makes_a_token_prove_something_else() {
    if !require_openssl() {
        return;
    }
    let signed = signed(now(), now() + 60);
    for (case, setup) in [("P-256", P256), ("RSA", RSA)] {
        let tsa = Tsa::new(&setup);
        let root = tsa.pem("root.pem");
        let token = tsa.stamp(&signed.imprint, &["-cert"]);
        let trusted = stamps(std::slice::from_ref(&root), &[]);
        let proves = |token: &[u8]| trusted.check(token, &signed.attestation).ok();
        let said = proves(&token).expect(case);
        for length in 0..token.len() {
            assert_eq!(proves(&token[..length]), None, "{case}: cut to {length} of {} bytes", token.len());
        }
        let mut harmless = 0;
        for bit in 0..token.len() * 8 {
            let mut altered = token.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            if let Some(other) = proves(&altered) {
                harmless += 1;
                assert_eq!(other, said, "{case}: bit {bit}");
            }
        }
        // Versions and the status are read and say nothing, and of an algorithm's parameters only the name counts.
        assert!(harmless < 60, "{case}: {harmless} of {} bits", token.len() * 8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Bytes put in, taken out or replaced anywhere, in either form of a token.
    #[test]
    fn no_other_bytes_are_a_token_that_proves_something_else(
        granted in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        taken in 0..40usize,
        put in vec(any::<u8>(), 0..40),
    ) {
        static MADE: LazyLock<(TimeStamps, Vec<u8>)> = LazyLock::new(|| {
            let plot = Plot::new(&sha256(b"svidence"));
            (stamps(&[plot.root()], &[]), plot.token())
        });
        let (trusted, bare) = &*MADE;
        let token = if granted { response(&[vec![2, 1, 0]], bare.clone()) } else { bare.clone() };
        let said = trusted.check(&token, b"svidence");
        prop_assert!(said.is_ok());
        let start = at.index(token.len());
        let mut altered = token.clone();
        altered.splice(start..(start + taken).min(token.len()), put);
        // Some bytes of a token say nothing; what is proven is always the same.
        let other = trusted.check(&altered, b"svidence");
        prop_assert!(other.is_err() || other == said, "{:?}", other);
    }
}
