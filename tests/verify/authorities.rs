//! Authorities above SPIRE: CAs without a SPIFFE ID, which the operator has to vouch for, and algorithms that are checked, or not.

use crate::one_step;
use crate::pki;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use one_step::one_step;
use pki::{Key, Plan, extension, oid, sequence, tlv};
use ring::rand::SystemRandom;
use svidence::{
    evidence::key::SigningKey,
    tekton::taskrun::TaskRun,
    verify::{Policy, PolicyFile, Report, Trust, Verdict, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use unixtime::UnixSeconds;
use x509::{Certificate, Fingerprint};
use zeroize::Zeroizing;

/// 2026-11-22T05:30:10Z.
const SIGNED: i64 = 1_795_325_410;
const ID: &str = "spiffe://example.org/ns/default/taskrun/chain";

fn fingerprint(der: &[u8]) -> Fingerprint {
    Certificate::parse(der).unwrap().fingerprint()
}

struct Case<'a> {
    leaf: Vec<u8>,
    carried: Vec<Vec<u8>>,
    bundle: Vec<Vec<u8>>,
    named: Vec<Fingerprint>,
    policy: Option<&'a str>,
}

impl Case<'_> {
    fn judge(&self, key: &Key) -> Report {
        let object = one_step("chain", SIGNED, &self.leaf, &self.carried, key.pkcs8()).0;
        let bundle =
            X509Bundle::from_der(TrustDomain::new("example.org").unwrap(), &self.bundle.concat()).unwrap();
        let trust = Trust {
            bundle: bundle.naming_without_uri(self.named.iter().copied()),
            intermediates: vec![],
            now: UnixSeconds::new(SIGNED + 60),
            at: None,
            clock_skew: std::time::Duration::from_secs(10),
        };
        let file = self.policy.map(|text| PolicyFile::parse(text).unwrap());
        let policy = Policy { file, ..Policy::default() };
        verify(&TaskRun::from_value(object).unwrap(), &trust, &policy)
    }
}

fn reasons(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn a_ca_without_a_spiffe_id_is_believed_only_where_its_authority_is_named() {
    let (root_key, sub_key, ca_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(3), Key::new(4));
    let bare = |subject: &str, issuer: &str| Plan::ca(subject, issuer, "x").with(|ca| ca.uris.clear());
    let root = bare("root", "root").issue(&root_key, &root_key);
    let other_root = bare("root", "root").with(|ca| ca.end -= 1).issue(&root_key, &root_key);
    let sub = bare("sub", "root").issue(&sub_key, &root_key);
    let ca = bare("ca", "sub").issue(&ca_key, &sub_key);
    let https =
        bare("ca", "sub").with(|ca| ca.uris = vec!["https://pki.test".into()]).issue(&ca_key, &sub_key);
    let marked = |uri: &str| bare("ca", "sub").with(|ca| ca.uris = vec![uri.into()]).issue(&ca_key, &sub_key);
    let leaf = || Plan::leaf(ID).with(|leaf| leaf.issuer = "ca".into());
    let good = leaf().issue(&leaf_key, &ca_key);
    let [of_root, of_sub, of_ca] = [&root, &sub, &ca].map(|der| fingerprint(der));
    let uri =
        |name: &[u8]| extension("2.5.29.30", true, &sequence(&[tlv(0xa0, &sequence(&[tlv(0x86, name)]))]));
    let only = |name: &[u8]| {
        let constraints = uri(name);
        bare("sub", "root").with(|ca| ca.more = vec![constraints]).issue(&sub_key, &root_key)
    };
    let held = only(b"other.test");
    let foreign_above = Plan::ca("sub", "root", "other.test").issue(&sub_key, &root_key);
    // What it is, leaf, carried, bundle, named, verdict, the exact rule.
    type Row<'a> = (&'a str, &'a [u8], Vec<&'a [u8]>, &'a [u8], Vec<Fingerprint>, Verdict, &'a str);
    let forged = leaf().issue(&leaf_key, &Key::new(9));
    let forged_ca = bare("ca", "sub").issue(&ca_key, &Key::new(9));
    let (other, both) = (marked("spiffe://other.test"), marked("spiffe://example.org/x"));
    let small = bare("ca", "sub").with(|ca| ca.end = SIGNED - 1).issue(&ca_key, &sub_key);
    let rows: Vec<Row<'_>> = vec![
        ("nobody named", &good, vec![&ca, &sub], &root, vec![], Verdict::Unchecked, "issuer-without-uri"),
        ("its minting authority", &good, vec![&ca, &sub], &root, vec![of_sub], Verdict::Verified, ""),
        ("itself", &good, vec![&ca, &sub], &root, vec![of_ca], Verdict::Verified, ""),
        ("one of several", &good, vec![&ca, &sub], &root, vec![of_root, of_sub], Verdict::Verified, ""),
        (
            "the minting authority is in the bundle",
            &good,
            vec![&ca],
            &sub,
            vec![of_sub],
            Verdict::Verified,
            "",
        ),
        ("the CA is in the bundle", &good, vec![], &ca, vec![of_ca], Verdict::Verified, ""),
        (
            "the CA is in the bundle, not named",
            &good,
            vec![],
            &ca,
            vec![],
            Verdict::Unchecked,
            "issuer-without-uri",
        ),
        // It vouches for what it mints, not for whatever is minted further down.
        (
            "only the root",
            &good,
            vec![&ca, &sub],
            &root,
            vec![of_root],
            Verdict::Unchecked,
            "issuer-without-uri",
        ),
        (
            "another certificate of its name and key",
            &good,
            vec![&ca, &sub],
            &root,
            vec![fingerprint(&other_root)],
            Verdict::Unchecked,
            "issuer-without-uri",
        ),
        (
            "the leaf itself",
            &good,
            vec![&ca, &sub],
            &root,
            vec![fingerprint(&good)],
            Verdict::Unchecked,
            "issuer-without-uri",
        ),
        (
            "a URI that is not a SPIFFE ID",
            &good,
            vec![&https, &sub],
            &root,
            vec![of_sub],
            Verdict::Verified,
            "",
        ),
        (
            "another trust domain's CA, named",
            &good,
            vec![&other, &sub],
            &root,
            vec![of_sub, fingerprint(&other)],
            Verdict::Invalid,
            "foreign-issuer",
        ),
        (
            "a CA with a path, named",
            &good,
            vec![&both, &sub],
            &root,
            vec![of_sub],
            Verdict::Invalid,
            "authority-path",
        ),
        (
            "another trust domain's CA above",
            &good,
            vec![&ca, &foreign_above],
            &root,
            vec![of_ca, fingerprint(&foreign_above)],
            Verdict::Invalid,
            "foreign-issuer",
        ),
        (
            "held to another trust domain",
            &good,
            vec![&ca, &held],
            &root,
            vec![fingerprint(&held)],
            Verdict::Invalid,
            "name-not-permitted",
        ),
        ("expired", &good, vec![&small, &sub], &root, vec![], Verdict::Invalid, "expired"),
        (
            "a leaf that it did not sign, nobody named",
            &forged,
            vec![&ca, &sub],
            &root,
            vec![],
            Verdict::Invalid,
            "bad-signature",
        ),
        (
            "a leaf that it did not sign, named",
            &forged,
            vec![&ca, &sub],
            &root,
            vec![of_sub],
            Verdict::Invalid,
            "bad-signature",
        ),
        (
            "minted by nobody",
            &good,
            vec![&forged_ca, &sub],
            &root,
            vec![of_sub],
            Verdict::Invalid,
            "bad-signature",
        ),
    ];
    for (case, leaf, carried, bundle, named, verdict, rule) in rows {
        let carried: Vec<Vec<u8>> = carried.into_iter().map(<[u8]>::to_vec).collect();
        let report =
            Case { leaf: leaf.to_vec(), carried, bundle: vec![bundle.to_vec()], named, policy: None }
                .judge(&leaf_key);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        let details: Vec<&str> =
            report.findings.iter().filter_map(|finding| Some(finding.facts().detail?.as_str())).collect();
        assert!(rule.is_empty() || details == [rule], "{case}: {details:?}");
        if rule == "issuer-without-uri" && !case.contains("bundle") {
            let advice = format!("--authority-without-uri {of_sub}");
            assert!(reasons(&report).contains(&advice), "{case}: {}", reasons(&report));
        }
        if verdict == Verdict::Verified {
            assert!(
                report.notes.iter().any(|note| note.contains("what you vouch for")),
                "{case}: {:?}",
                report.notes
            );
        }
    }
    // A policy may name it, but all rules that speak of the TaskRun must.
    let rule = |task_run: &str, named: &str| {
        format!("- namespace: default\n  taskRun: {task_run}\n  authoritiesWithoutUri: [{named}]\n")
    };
    let sub_text = of_sub.to_string();
    for (case, rules, verdict) in [
        ("named", rule("chain", &sub_text), Verdict::Verified),
        (
            "named by two",
            rule("chain", &sub_text) + &rule("'ch*'", &sub_text.to_uppercase()),
            Verdict::Verified,
        ),
        ("named by one of two", rule("chain", &sub_text) + &rule("'ch*'", ""), Verdict::Unchecked),
        ("named for others", rule("other", &sub_text) + &rule("chain", ""), Verdict::Unchecked),
        ("another named", rule("chain", &of_root.to_string()), Verdict::Unchecked),
    ] {
        let policy = format!("version: 1\nexpires: 2099-01-01T00:00:00Z\nrules:\n{rules}");
        let report = Case {
            leaf: good.clone(),
            carried: vec![ca.clone(), sub.clone()],
            bundle: vec![root.clone()],
            named: vec![],
            policy: Some(&policy),
        }
        .judge(&leaf_key);
        assert_eq!(report.verdict, verdict, "policy, {case}: {}", reasons(&report));
    }
}

/// The order and number in which certificates are carried say nothing.
#[test]
fn a_doubled_or_unordered_chain_is_put_in_order() {
    let (root_key, sub_key, ca_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(3), Key::new(4));
    let bare = |subject: &str, issuer: &str| Plan::ca(subject, issuer, "x").with(|ca| ca.uris.clear());
    let root = bare("root", "root").issue(&root_key, &root_key);
    let sub = bare("sub", "root").issue(&sub_key, &root_key);
    let ca = Plan::ca("ca", "sub", "example.org").issue(&ca_key, &sub_key);
    let leaf = Plan::leaf(ID).issue(&leaf_key, &ca_key);
    let unrelated = Plan::ca("unrelated", "root", "example.org").issue(&Key::new(5), &root_key);
    for (case, carried) in [
        ("in order", vec![&ca, &sub]),
        ("reversed", vec![&sub, &ca]),
        ("with the root", vec![&ca, &sub, &root]),
        ("the root first", vec![&root, &sub, &ca]),
        ("doubled", vec![&ca, &ca, &sub, &sub]),
        ("the whole chain twice", vec![&ca, &sub, &root, &ca, &sub, &root]),
        ("with the leaf", vec![&leaf, &ca, &sub]),
        ("with another one", vec![&unrelated, &ca, &sub]),
    ] {
        let carried = carried.into_iter().cloned().collect();
        let report =
            Case { leaf: leaf.clone(), carried, bundle: vec![root.clone()], named: vec![], policy: None }
                .judge(&leaf_key);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
    }
}

/// Nothing contradicts, and nothing is verified.
#[test]
fn what_is_not_supported_is_unchecked_and_never_hides_a_contradiction() {
    let (root_key, ca_key, leaf_key) = (Key::new(1), Key::new(3), Key::new(4));
    let root = || Plan::ca("root", "root", "x").with(|ca| ca.uris.clear());
    let ca = || Plan::ca("ca", "root", "example.org");
    let leaf = || Plan::leaf(ID);
    let spki = |algorithm: Vec<u8>, key: &[u8]| sequence(&[algorithm, tlv(3, &[&[0], key].concat())]);
    let ec = |curve: &str| sequence(&[oid("1.2.840.10045.2.1"), oid(curve)]);
    let ed25519 = spki(sequence(&[oid("1.3.101.112")]), &[7; 32]);
    let rsa = |bytes: usize, exponent: &[u8]| {
        let modulus = tlv(2, &[&[0, 0xc1], &vec![0x55; bytes - 2][..], &[1]].concat());
        let key = sequence(&[modulus, tlv(2, exponent)]);
        spki(sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]), &key)
    };
    let compressed = [&[2 + (ca_key.public()[64] & 1)], &ca_key.public()[1..33]].concat();
    let keys = [
        ("Ed25519", ed25519.clone()),
        ("brainpoolP256r1", spki(ec("1.3.36.3.3.2.8.1.1.7"), &ca_key.public())),
        ("secp256k1", spki(ec("1.3.132.0.10"), &ca_key.public())),
        ("P-256 with a compressed point", spki(ec("1.2.840.10045.3.1.7"), &compressed)),
        ("RSA-1024", rsa(128, &[1, 0, 1])),
        ("RSA-16384", rsa(2048, &[1, 0, 1])),
        ("RSA with an unusual exponent", rsa(256, &[1, 0, 0, 0, 0, 1])),
        ("RSA-PSS", spki(sequence(&[oid("1.2.840.113549.1.1.10")]), &[1; 32])),
        ("1.2.3.4", spki(sequence(&[oid("1.2.3.4")]), &[1; 32])),
    ];
    let unknown = extension("1.2.3.4", true, &[5, 0]);
    let policy = extension("2.5.29.36", true, &sequence(&[tlv(0x80, &[0])]));
    let expired = SIGNED - 3600;
    // What it is, leaf, CA, root, verdict, the exact rule, a word of the reason.
    type Row = (String, Vec<u8>, Vec<u8>, Vec<u8>, Verdict, &'static str, String);
    let mut rows: Vec<Row> = Vec::new();
    let good_root = root().issue(&root_key, &root_key);
    let good_ca = ca().issue(&ca_key, &root_key);
    for (name, spki) in &keys {
        let row = |case: &str, leaf, ca, root, verdict, rule| {
            (format!("{name}, {case}"), leaf, ca, root, verdict, rule, (*name).to_owned())
        };
        let odd_ca = ca().issue_for(spki, &root_key);
        // The leaf's signature is ECDSA, which no RSA key makes, whatever its size.
        let (verdict, rule) = match name.starts_with("RSA-1") {
            true => (Verdict::Invalid, "bad-signature"),
            false => (Verdict::Unchecked, "unsupported-algorithm"),
        };
        let mut under_it =
            row("CA", leaf().issue(&leaf_key, &ca_key), odd_ca.clone(), good_root.clone(), verdict, rule);
        if verdict == Verdict::Invalid {
            under_it.6.clear();
        }
        rows.push(under_it);
        rows.push(row(
            "leaf",
            leaf().issue_for(spki, &ca_key),
            good_ca.clone(),
            good_root.clone(),
            Verdict::Unchecked,
            "unsupported-key",
        ));
        let mut contradicted = [
            row(
                "CA under an expired root",
                leaf().issue(&leaf_key, &ca_key),
                odd_ca,
                root().with(|root| root.end = expired).issue(&root_key, &root_key),
                Verdict::Invalid,
                "expired",
            ),
            row(
                "CA that its root did not sign",
                leaf().issue(&leaf_key, &ca_key),
                ca().issue_for(spki, &Key::new(9)),
                good_root.clone(),
                Verdict::Invalid,
                "bad-signature",
            ),
            row(
                "CA of another trust domain",
                leaf().issue(&leaf_key, &ca_key),
                Plan::ca("ca", "root", "other.test").issue_for(spki, &root_key),
                good_root.clone(),
                Verdict::Invalid,
                "foreign-issuer",
            ),
            row(
                "leaf that its CA did not sign",
                leaf().issue_for(spki, &Key::new(9)),
                good_ca.clone(),
                good_root.clone(),
                Verdict::Invalid,
                "bad-signature",
            ),
            row(
                "leaf with another identity",
                Plan::leaf("spiffe://example.org/ns/default/taskrun/other").issue_for(spki, &ca_key),
                good_ca.clone(),
                good_root.clone(),
                Verdict::Invalid,
                "identity",
            ),
            row(
                "leaf that is a CA",
                leaf().with(|leaf| leaf.ca = Some(true)).issue_for(spki, &ca_key),
                good_ca.clone(),
                good_root.clone(),
                Verdict::Invalid,
                "leaf-is-ca",
            ),
        ];
        contradicted.iter_mut().for_each(|row| row.6.clear());
        rows.extend(contradicted);
    }
    for (name, extension) in
        [("an unknown critical extension", &unknown), ("critical policy constraints", &policy)]
    {
        let more = || vec![extension.clone()];
        let text = || "critical extension".to_owned();
        let odd = |verdict, rule, leaf, ca, root| (name.to_owned(), leaf, ca, root, verdict, rule, text());
        rows.push(odd(
            Verdict::Unchecked,
            "critical-extension",
            leaf().with(|leaf| leaf.more = more()).issue(&leaf_key, &ca_key),
            good_ca.clone(),
            good_root.clone(),
        ));
        rows.push(odd(
            Verdict::Unchecked,
            "critical-extension",
            leaf().issue(&leaf_key, &ca_key),
            ca().with(|ca| ca.more = more()).issue(&ca_key, &root_key),
            good_root.clone(),
        ));
        let wrong =
            Plan::ca("ca", "root", "other.test").with(|ca| ca.more = more()).issue(&ca_key, &root_key);
        rows.push((
            format!("{name} in another trust domain's CA"),
            leaf().issue(&leaf_key, &ca_key),
            wrong,
            good_root.clone(),
            Verdict::Invalid,
            "foreign-issuer",
            String::new(),
        ));
    }
    for (case, leaf, ca, root, verdict, rule, text) in rows {
        let report = Case { leaf, carried: vec![ca], bundle: vec![root], named: vec![], policy: None }
            .judge(&leaf_key);
        let reasons = reasons(&report);
        assert_eq!(report.verdict, verdict, "{case}: {reasons}");
        let details: Vec<&str> =
            report.findings.iter().filter_map(|finding| Some(finding.facts().detail?.as_str())).collect();
        assert_eq!(details, [rule], "{case}: {reasons}");
        assert!(reasons.contains(&text), "{case}: {reasons}");
    }
}

/// RFC 4055 5: parameters that are missing are as good as NULL, inside and outside alike; RFC 5280 4.1.1.2: both must agree.
#[test]
fn an_rsa_signature_without_parameters_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spire/rsa2048-self");
    let pem = fs::read_to_string(root.join("key.pem")).unwrap();
    let encoded: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs8 = STANDARD.decode(encoded).unwrap();
    let key = SigningKey::from_pkcs8(&Zeroizing::new(pkcs8)).unwrap();
    let rsa = sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]);
    let spki = sequence(&[rsa, tlv(3, &[vec![0], key.public_key()].concat())]);
    let bare = Plan::ca("ca", "ca", "example.org");
    let issuer = Certificate::parse(&bare.issue_for(&spki, &Key::new(1))).unwrap();
    let sha256 = |parameters: &[u8]| sequence(&[oid("1.2.840.113549.1.1.11"), parameters.to_vec()]);
    let ecdsa = sequence(&[oid("1.2.840.10045.4.3.2")]);
    let template = Plan::leaf(ID).issue(&Key::new(4), &Key::new(1));
    let issue = |inside: &[u8], outside: &[u8]| {
        // What another key signed, with the algorithm inside replaced.
        let tbs = Certificate::parse(&template).unwrap().tbs_der().to_vec();
        let start = tbs.windows(ecdsa.len()).position(|part| part == ecdsa).unwrap();
        let (head, tail) = (&tbs[4..start], &tbs[start + ecdsa.len()..]);
        let tbs = sequence(&[head.to_vec(), inside.to_vec(), tail.to_vec()]);
        let signature = key.sign_attestation(&tbs, &SystemRandom::new()).unwrap();
        sequence(&[tbs, outside.to_vec(), tlv(3, &[vec![0], signature].concat())])
    };
    let (null, absent, odd) = (sha256(&[5, 0]), sha256(&[]), sha256(&[2, 1, 0]));
    for (case, inside, outside, expected) in [
        ("NULL", &null, &null, ""),
        ("absent", &absent, &absent, ""),
        ("something else", &odd, &odd, "unsupported-algorithm"),
        ("NULL inside only", &null, &absent, "malformed"),
        ("NULL outside only", &absent, &null, "malformed"),
    ] {
        let checked =
            Certificate::parse(&issue(inside, outside)).and_then(|leaf| leaf.verify_signed_by(&issuer));
        assert_eq!(checked.map_or_else(|error| error.code(), |()| ""), expected, "{case}");
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/authorities").join(name)
}

fn command(folder: &str, more: &[&str]) -> (i32, String) {
    let folder = testdata(folder);
    let output = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .arg("verify")
        .arg(folder.join("taskrun.json"))
        .args(["--trust-domain", "example.org", "--at", "2026-11-28T08:30:00Z", "--bundle"])
        .arg(folder.join("bundle.pem"))
        .arg("--intermediates")
        .arg(folder.join("inter.pem"))
        .args(more)
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn certificates_of_openssl_get_their_verdicts() {
    let (code, text) = command("p521-sha512", &[]);
    assert_eq!(code, 0, "P-521 and SHA-512: {text}");

    let (code, text) = command("no-uri-san", &[]);
    assert_eq!(code, 3, "{text}");
    // What the finding says can be taken over as it stands.
    let (_, advised) = text.split_once("--authority-without-uri ").unwrap_or_else(|| panic!("{text}"));
    let advised = &advised[..64];
    assert_eq!(command("no-uri-san", &["--authority-without-uri", advised]).0, 0);
    let pem = fs::read_to_string(testdata("no-uri-san/bundle.pem")).unwrap();
    let (bundle, _) =
        X509Bundle::from_file_contents(TrustDomain::new("example.org").unwrap(), pem.as_bytes()).unwrap();
    assert_eq!(bundle.authorities()[0].fingerprint().to_string(), advised, "the root minted it");
    let as_openssl_prints: Vec<String> = advised
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    assert_eq!(command("no-uri-san", &["--authority-without-uri", &as_openssl_prints.join(":")]).0, 0);
    let (code, text) = command("no-uri-san", &["--authority-without-uri", &"0".repeat(64)]);
    assert_eq!(code, 3, "{text}");
    let (code, text) = command("no-uri-san", &["--authority-without-uri", "abc"]);
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("64 hexadecimal digits"), "{text}");
}
