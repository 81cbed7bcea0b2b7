//! Tokens as `openssl ts -verify` judges them and as svidence does, and the habits of real authorities.
//!
//! Every disagreement is a rule of docs/verify.md ("Stricter than OpenSSL", "More lenient than OpenSSL").

use crate::pki;

use crate::token;
use crate::tsa;

use std::collections::BTreeSet;

use pki::{Key, Plan, extension, oid, sequence, tlv};
use svidence::verify::prove::time::TimeStamps;
use token::{
    Plot, SIGNED, Signer, TIME_STAMPING, accuracy, attribute, directory_name, ess_by, ess_v1_of, ess_v2,
    ess_v2_of, hash_id, hashed, in_pieces, indefinite, long_lengths, purposes, response, signing_time,
    tsa_plan,
};
use tsa::{openssl_verifies, require_openssl};

/// What is time-stamped.
const STAMPED: &[u8] = b"an attestation";

/// Why svidence refuses a token.
fn refusal(token: &[u8], trusted: &str) -> Option<String> {
    let mut stamps = TimeStamps::default();
    if let Err(error) = stamps.trust_pem(trusted) {
        return Some(error.to_string());
    }
    stamps.check(token, STAMPED).err().map(|error| error.to_string())
}

/// Who accepts a token: every disagreement is stated in docs/verify.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepted {
    Both,
    /// Not by svidence, by the rule with these words.
    OpenSsl(&'static str),
    /// Not by OpenSSL, by the line with these words.
    Svidence(&'static str),
    Neither,
}
use Accepted::{Both, Neither, OpenSsl, Svidence};

const REVERSED: fn(&mut Vec<Vec<u8>>) = |all| {
    all.sort();
    all.reverse();
};

const SORTED: fn(&mut Vec<Vec<u8>>) = |all| all.sort();

#[test]
fn what_openssl_accepts_is_accepted_but_for_the_rules_in_the_documentation() {
    if !require_openssl() {
        return;
    }
    let plot = Plot::new(&hashed("sha256", STAMPED));
    let certificate = plot.certificate();
    let sub = Plan { uris: vec![], ..Plan::ca("sub", "tsa-ca", "") };
    let below_sub = |change: fn(&mut Plan)| {
        let sub = sub.clone().with(change).issue(&Key::new(9), &Key::new(7));
        let tsa = tsa_plan().with(|tsa| tsa.issuer = "sub".into());
        let certificate = tsa.issue(&Key::new(8), &Key::new(9));
        plot.with(|p| {
            (p.tsa, p.certificate, p.carried) = (tsa, Some(certificate.clone()), Some(vec![certificate, sub]))
        })
    };
    let ess = |value: Vec<u8>| plot.with(|p| p.ess = Some(value));
    let tail = |parts: &[Vec<u8>]| plot.with(|p| p.tail = parts.concat());
    let time = |text: &str| plot.with(|p| p.time = text.to_owned());
    let carried = |certificates: Vec<Vec<u8>>| plot.with(|p| p.carried = Some(certificates));
    let tsa = |change: fn(&mut Plan)| plot.with(|p| change(&mut p.tsa));
    let finish = |change: fn(Vec<u8>) -> Vec<u8>| plot.with(|p| p.finish = change);
    let named = |name: &str| tlv(0xa0, &directory_name(pki::name(name)));
    let [rsa, small, p384, p521] = ["rsa:2048", "rsa:1024", "P-384", "P-521"].map(Signer::file);
    let number = Signer::Number(7);
    let other = Plan { uris: vec![], ..Plan::ca("other", "other", "") }.issue(&Key::new(3), &Key::new(3));
    let cases: Vec<(&str, Plot, Accepted)> = vec![
        ("plain", plot.clone(), Both),
        ("in a response", finish(|t| response(&[vec![2, 1, 0]], t)), Both),
        ("granted with modifications", finish(|t| response(&[vec![2, 1, 1]], t)), Both),
        ("with words", finish(|t| response(&[vec![2, 1, 0], sequence(&[tlv(12, b"OK")])], t)), Both),
        ("rejected", finish(|t| response(&[vec![2, 1, 2]], t)), Neither),
        // BER.
        ("indefinite lengths", finish(|t| indefinite(&t)), Both),
        ("indefinite lengths in a response", finish(|t| indefinite(&response(&[vec![2, 1, 0]], t))), Both),
        ("lengths that are too long", finish(|t| long_lengths(&t)), Both),
        ("octets in pieces", finish(|t| in_pieces(&t)), Both),
        ("all of it", finish(|t| indefinite(&in_pieces(&response(&[vec![2, 1, 0]], t)))), Both),
        ("TSTInfo of indefinite length", plot.with(|p| p.info = |info| *info = indefinite(info)), Both),
        ("TSTInfo with long lengths", plot.with(|p| p.info = |info| *info = long_lengths(info)), Both),
        ("a byte behind TSTInfo", plot.with(|p| p.info = |info| info.push(0)), OpenSsl("nothing follows")),
        ("a byte behind", finish(|t| [t, vec![0]].concat()), OpenSsl("nothing follows")),
        (
            "a byte behind the response",
            finish(|t| [response(&[vec![2, 1, 0]], t), vec![0]].concat()),
            OpenSsl("nothing follows"),
        ),
        (
            "more than 64 KiB",
            carried([vec![certificate.clone()], vec![other.clone(); 200]].concat()),
            OpenSsl("64 KiB"),
        ),
        (
            "17 certificates",
            carried([vec![certificate.clone()], vec![other.clone(); 16]].concat()),
            OpenSsl("16 certificates"),
        ),
        // Versions.
        ("SignedData of version 1", plot.with(|p| p.signed_version = 1), Both),
        ("SignedData of version 5", plot.with(|p| p.signed_version = 5), Both),
        ("SignerInfo of version 3", plot.with(|p| p.signer_version = Some(3)), Both),
        ("TSTInfo of version 2", plot.with(|p| p.version = 2), Neither),
        // What is stamped.
        ("an imprint with NULL", plot.with(|p| p.imprint_parameters = vec![5, 0]), Both),
        (
            "SHA-384 of it",
            plot.with(|p| (p.imprint_algorithm, p.imprint) = (hash_id("sha384"), hashed("sha384", STAMPED))),
            Both,
        ),
        (
            "SHA-512 of it",
            plot.with(|p| (p.imprint_algorithm, p.imprint) = (hash_id("sha512"), hashed("sha512", STAMPED))),
            Both,
        ),
        (
            "an imprint by another name",
            plot.with(|p| p.imprint_algorithm = "2.16.840.1.101.3.4.2.8"),
            OpenSsl("SHA-384 or SHA-512 of the attestation"),
        ),
        // The time.
        ("a fraction", time("20261122053015.5Z"), Both),
        ("a fraction with zeros at its end", time("20261122053015.500Z"), Both),
        ("a fraction of zeros", time("20261122053015.000Z"), Both),
        ("a fraction of nine digits", time("20261122053015.123456789Z"), Both),
        ("a comma", time("20261122053015,5Z"), Both),
        ("a leap second", time("20261122052960Z"), Both),
        ("another zone", time("20261122063015+0100"), OpenSsl("UTC")),
        ("no zone", time("20261122053015"), OpenSsl("UTC")),
        ("a month 13", time("20261322053015Z"), OpenSsl("UTC")),
        ("a point alone", time("20261122053015.Z"), OpenSsl("UTC")),
        // The rest of TSTInfo.
        ("accuracy", tail(&[accuracy(1)]), Both),
        ("accuracy of nothing", tail(&[sequence(&[])]), Both),
        ("accuracy of zero", tail(&[sequence(&[vec![2, 1, 0], vec![0x80, 1, 0], vec![0x81, 1, 0]])]), Both),
        (
            "accuracy in all units",
            tail(&[sequence(&[vec![2, 1, 1], vec![0x80, 2, 1, 0xf4], vec![0x81, 1, 100]])]),
            Both,
        ),
        ("1000 milliseconds", tail(&[sequence(&[vec![0x80, 2, 3, 0xe8]])]), Both),
        ("a negative accuracy", tail(&[sequence(&[vec![2, 1, 0xff]])]), OpenSsl("accuracy")),
        ("ordering", tail(&[vec![1, 1, 0xff]]), Both),
        ("ordering FALSE", tail(&[vec![1, 1, 0]]), Both),
        ("ordering of another truth", tail(&[vec![1, 1, 1]]), Both),
        ("a nonce", tail(&[vec![2, 1, 9]]), Both),
        ("a nonce of 36 bytes", tail(&[tlv(2, b"cf9c3527-e6bb-4dd6-b5f5-70b1af35c7c7")]), Both),
        ("a negative nonce", tail(&[vec![2, 2, 0x80, 1]]), Both),
        ("the TSA's name", tail(&[named("tsa")]), Both),
        ("another name for the TSA", tail(&[named("else")]), Svidence("`tsa`")),
        ("a DNS name for the TSA", tail(&[tlv(0xa0, &tlv(0x82, b"tsa.test"))]), Svidence("`tsa`")),
        ("an extension", tail(&[tlv(0xa1, &extension("1.3.6.1.5.5.7.1.3", false, &sequence(&[])))]), Both),
        (
            "an extension that says FALSE",
            tail(&[tlv(0xa1, &sequence(&[oid("1.2.3"), vec![1, 1, 0], tlv(4, b"x")]))]),
            Both,
        ),
        (
            "a critical extension",
            tail(&[tlv(0xa1, &extension("1.2.3", true, b"x"))]),
            OpenSsl("critical extension"),
        ),
        (
            "everything",
            tail(&[
                accuracy(1),
                vec![1, 1, 0],
                vec![2, 1, 9],
                named("tsa"),
                tlv(0xa1, &extension("1.2.3", false, b"x")),
            ]),
            Both,
        ),
        ("fields in another order", tail(&[vec![1, 1, 0xff], accuracy(1)]), Neither),
        ("a serial of 20 bytes", plot.with(|p| p.serial = [&[0, 0xef][..], &[7; 18]].concat()), Both),
        ("a negative serial", plot.with(|p| p.serial = vec![0xfe]), Both),
        ("a serial with a zero too many", plot.with(|p| p.serial = vec![0, 9]), Neither),
        // Signed attributes.
        ("attributes as they come", plot.with(|p| p.attributes = |_| {}), Both),
        ("attributes in reverse", plot.with(|p| p.attributes = REVERSED), Both),
        (
            "signed in order, carried in reverse",
            plot.with(|p| p.carried_attributes = |all| all.reverse()),
            Svidence("sorted"),
        ),
        (
            "signed in reverse, carried in order",
            plot.with(|p| (p.attributes, p.carried_attributes) = (REVERSED, SORTED)),
            Neither,
        ),
        ("the time of signing", plot.with(|p| p.attributes = |all| all.insert(1, signing_time())), Both),
        (
            "an attribute twice",
            plot.with(|p| p.attributes = |all| all.insert(1, all[1].clone())),
            OpenSsl("appear once"),
        ),
        (
            "an attribute of no concern twice",
            plot.with(|p| p.attributes = |all| all.extend([signing_time(), signing_time()])),
            Both,
        ),
        (
            "an unsigned attribute",
            plot.with(|p| p.unsigned = tlv(0xa1, &attribute("1.2.3", vec![5, 0]))),
            Both,
        ),
        ("no messageDigest", plot.with(|p| p.attributes = |all| drop(all.remove(1))), Neither),
        ("no contentType", plot.with(|p| p.attributes = |all| drop(all.remove(0))), OpenSsl("contentType")),
        (
            "another contentType",
            plot.with(|p| p.content_type = "1.2.840.113549.1.7.1"),
            OpenSsl("contentType"),
        ),
        // The signer's certificate.
        ("named by SHA-1", ess(ess_v1_of(&certificate)), Both),
        ("named by SHA-1 in version 2", ess(ess_v2_of(&[ess_by("sha1", &certificate, None)])), Both),
        ("named by SHA-384", ess(ess_v2_of(&[ess_by("sha384", &certificate, None)])), Both),
        ("named by SHA-512", ess(ess_v2_of(&[ess_by("sha512", &certificate, None)])), Both),
        ("named with its issuer", ess(ess_v2_of(&[ess_by("sha256", &certificate, Some("tsa-ca"))])), Both),
        (
            "named with another issuer",
            ess(ess_v2_of(&[ess_by("sha256", &certificate, Some("other"))])),
            Neither,
        ),
        (
            "named with the issuer in another case",
            ess(ess_v2_of(&[ess_by("sha256", &certificate, Some("TSA-CA"))])),
            OpenSsl("byte for byte"),
        ),
        (
            "named twice",
            plot.with(|p| {
                let both = [ess_v1_of(&certificate), ess_v2(&certificate)].concat();
                p.ess = Some(both);
            }),
            Both,
        ),
        (
            "named twice, once wrongly",
            plot.with(|p| p.ess = Some([ess_v1_of(b"other"), ess_v2(&certificate)].concat())),
            Neither,
        ),
        (
            "with its root",
            plot.with(|p| {
                let root = p.ca_key.issues(&p.ca, &p.ca_key, "sha256");
                let ids = [ess_by("sha256", &certificate, None), ess_by("sha256", &root, None)];
                p.ess = Some(ess_v2_of(&ids));
            }),
            Both,
        ),
        (
            "with a certificate that is not on the path",
            ess(ess_v2_of(&[ess_by("sha256", &certificate, None), ess_by("sha256", b"other", None)])),
            Svidence("first identifier"),
        ),
        (
            "behind a certificate that is not its own",
            ess(ess_v2_of(&[ess_by("sha256", b"other", None), ess_by("sha256", &certificate, None)])),
            Neither,
        ),
        ("not named", ess(vec![]), Neither),
        (
            "by key identifier",
            plot.with(|p| {
                p.tsa.more.push(extension("2.5.29.14", false, &tlv(4, b"tsa-key-id")));
                p.named_by_key_id = true;
            }),
            Svidence("key identifier"),
        ),
        ("behind another certificate", carried(vec![other.clone(), certificate.clone()]), Both),
        ("twice", carried(vec![certificate.clone(), certificate.clone()]), Both),
        ("not sent", carried(vec![]), Neither),
        ("an intermediate", below_sub(|_| {}), Both),
        (
            "an intermediate for time stamps",
            below_sub(|s| s.more = vec![purposes(true, &[TIME_STAMPING])]),
            Both,
        ),
        (
            "an intermediate for servers",
            below_sub(|s| s.more = vec![purposes(true, &[pki::SERVER_AUTH])]),
            OpenSsl("purposes of every CA"),
        ),
        ("an intermediate that is not a CA", below_sub(|s| s.ca = Some(false)), Neither),
        ("an intermediate that has expired", below_sub(|s| s.end = SIGNED), Neither),
        ("no purpose", tsa(|t| t.more.clear()), Neither),
        (
            "a purpose that is not critical",
            tsa(|t| t.more = vec![purposes(false, &[TIME_STAMPING])]),
            Neither,
        ),
        ("two purposes", tsa(|t| t.more = vec![purposes(true, &[TIME_STAMPING, pki::CLIENT_AUTH])]), Neither),
        ("key usage contentCommitment", tsa(|t| t.key_usage = Some(0b10)), Both),
        ("both key usages", tsa(|t| t.key_usage = Some(0b11)), Both),
        ("no key usage", tsa(|t| t.key_usage = None), Both),
        ("key usage that goes further", tsa(|t| t.key_usage = Some(0b101)), Svidence("key usage")),
        ("the TSA has expired", tsa(|t| t.end = SIGNED), Neither),
        ("no basicConstraints", tsa(|t| t.ca = None), Both),
        // Algorithms.
        ("digestAlgorithm with NULL", plot.with(|p| p.digest_parameters = vec![5, 0]), Both),
        (
            "digestAlgorithms with NULL",
            plot.with(|p| p.digest_algorithms = sequence(&[oid(hash_id("sha256")), vec![5, 0]])),
            Both,
        ),
        (
            "several digestAlgorithms",
            plot.with(|p| {
                p.digest_algorithms = ["sha512", "sha256"].map(|h| sequence(&[oid(hash_id(h))])).concat()
            }),
            Both,
        ),
        ("no digestAlgorithms", plot.with(|p| p.digest_algorithms.clear()), Neither),
        (
            "ECDSA with NULL",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.2.840.10045.4.3.2"), vec![5, 0]])),
            Both,
        ),
        (
            "id-ecPublicKey",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.2.840.10045.2.1")])),
            Both,
        ),
        (
            "ECDSA with another digest than it has",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.2.840.10045.4.3.4")])),
            OpenSsl("agree"),
        ),
        (
            "RSA for an EC key",
            plot.with(|p| p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.11")])),
            OpenSsl("agree"),
        ),
        ("RSA", plot.clone().signed_by(&number, "sha256", &rsa, "sha256"), Both),
        ("RSA, SHA-384", plot.clone().signed_by(&number, "sha256", &rsa, "sha384"), Both),
        ("RSA, SHA-512", plot.clone().signed_by(&rsa, "sha512", &rsa, "sha512"), Both),
        (
            "RSA, plain",
            plot.clone().signed_by(&number, "sha256", &rsa, "sha512").with(|p| {
                p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]);
            }),
            Both,
        ),
        (
            "RSA without parameters",
            plot.clone().signed_by(&number, "sha256", &rsa, "sha256").with(|p| {
                p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.11")]);
            }),
            Both,
        ),
        (
            "RSASSA-PSS by name alone",
            plot.clone().signed_by(&number, "sha256", &rsa, "sha256").with(|p| {
                p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.10")]);
            }),
            OpenSsl("agree"),
        ),
        ("RSA of 1024 bits", plot.clone().signed_by(&number, "sha256", &small, "sha256"), OpenSsl("2048")),
        (
            "SHA-1",
            plot.clone().signed_by(&number, "sha256", &rsa, "sha256").with(|p| {
                (p.hash, p.digest_algorithm) = ("sha1", hash_id("sha1"));
                p.digest_algorithms = sequence(&[oid(hash_id("sha1"))]);
                p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]);
            }),
            OpenSsl("SHA-1"),
        ),
        ("P-384, SHA-384", plot.clone().signed_by(&p384, "sha384", &p384, "sha384"), Both),
        ("P-384, SHA-512", plot.clone().signed_by(&p384, "sha512", &p384, "sha512"), Both),
        ("P-521, SHA-512", plot.clone().signed_by(&p521, "sha512", &p521, "sha512"), Both),
        ("P-521, SHA-256", plot.clone().signed_by(&p384, "sha384", &p521, "sha256"), Both),
        ("P-384, SHA-256", plot.clone().signed_by(&p384, "sha256", &p384, "sha256"), Both),
    ];
    let folder = tempfile::tempdir().unwrap();
    let documentation = include_str!("../../docs/verify.md");
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for (case, plot, accepted) in cases {
        let (token, trusted) = (plot.token(), plot.root());
        let refusal = refusal(&token, &trusted);
        let found =
            (openssl_verifies(folder.path(), &token, &plot.imprint, &trusted, SIGNED + 5), refusal.is_none());
        let (expected, rule) = match accepted {
            Both => ((true, true), None),
            OpenSsl(rule) => ((true, false), Some(rule)),
            Svidence(rule) => ((false, true), Some(rule)),
            Neither => ((false, false), None),
        };
        if found != expected {
            wrong.push(format!("{case}: OpenSSL {}, svidence {}: {refusal:?}", found.0, found.1));
        }
        used.extend(rule);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in used {
        assert!(documentation.contains(rule), "docs/verify.md does not state the rule {rule:?}");
    }
}
