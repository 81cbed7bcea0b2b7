//! The habits of real time-stamp authorities, each with keys of the test: what they answer is kept, proves the time, and is what
//! `openssl ts -verify` accepts, too.
//!
//! No authority is asked and no token of one is here. Each row says where its habits are known from: `document` is an authority's own
//! document or source, `report` a public bug report that shows a token, `memory` the usual shape of that authority's tokens as people who
//! work with them know it, without a document at hand. Keys are shorter than theirs, and policies stand for themselves.

use crate::one_step;
use crate::pki;

use crate::token;
use crate::tsa;

use std::{
    collections::HashMap,
    fs,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use one_step::one_step;
use pki::{Key, Plan, extension, oid, sequence, tlv};
use svidence::evidence::sha256;
use token::{
    Plot, Signer, TIME_STAMPING, directory_name, ess_by, ess_v1_of, ess_v2_of, general_time, in_pieces,
    purposes, response, signing_time, tsa_plan,
};
use tsa::{Server, openssl_verifies, require_openssl, write};
use x509::pem;

/// Who is between the TSA and the root that is trusted.
#[derive(Clone, Copy)]
enum Chain {
    /// Nobody.
    Direct,
    /// A CA for time stamps.
    Intermediate,
    /// And the root is sent along, signed by an older one.
    CrossSigned,
}

/// One authority.
#[derive(Clone)]
struct Authority {
    name: &'static str,
    known_from: &'static str,
    status: &'static str,
    content_type: &'static str,
    policy: &'static str,
    serial: &'static [u8],
    /// Of the time in seconds.
    time: fn(String) -> String,
    /// Fields behind the time, by the nonce and the TSA's name.
    tail: fn(Vec<u8>, Vec<u8>) -> Vec<Vec<u8>>,
    /// Kinds of keys: of the CAs and of the TSA.
    keys: (&'static str, &'static str),
    /// Digests: of the certificates' signatures and of the token's.
    hashes: (&'static str, &'static str),
    /// Whether signatureAlgorithm is rsaEncryption.
    is_plain_rsa: bool,
    null_parameters: bool,
    /// Attributes that name the certificate: by it and its issuer's.
    ess: fn(&[u8], &[u8]) -> Vec<u8>,
    attributes: fn(&mut Vec<Vec<u8>>),
    chain: Chain,
    /// Whether the root is sent along.
    with_root: bool,
    status_info: fn() -> Vec<Vec<u8>>,
    finish: fn(Vec<u8>) -> Vec<u8>,
}

const USUAL: Authority = Authority {
    name: "",
    known_from: "",
    status: "200 OK",
    content_type: "application/timestamp-reply",
    policy: "1.2.3.4.1",
    serial: &[9],
    time: |time| time,
    tail: |nonce, _| vec![nonce],
    keys: ("rsa:2048", "rsa:2048"),
    hashes: ("sha256", "sha256"),
    is_plain_rsa: true,
    null_parameters: true,
    ess: |certificate, _| ess_v2_of(&[ess_by("sha256", certificate, None)]),
    attributes: |all| all.sort(),
    chain: Chain::Intermediate,
    with_root: false,
    status_info: || vec![vec![2, 1, 0]],
    finish: |token| token,
};

fn seconds(accuracy: u8) -> Vec<u8> {
    sequence(&[vec![2, 1, accuracy]])
}

fn millis(accuracy: [u8; 2]) -> Vec<u8> {
    sequence(&[tlv(0x80, &accuracy)])
}

/// The statement that a time stamp is a qualified one (ETSI EN 319 422).
fn qualified() -> Vec<u8> {
    let statement = sequence(&[sequence(&[oid("0.4.0.19422.1.1")])]);
    tlv(0xa1, &extension("1.3.6.1.5.5.7.1.3", false, &statement))
}

/// Extensions that TSAs' certificates have beside the necessary ones: a directory name, policies, where OCSP is, until when the key is
/// used, and whether it is in a device.
fn usual_extensions() -> [Vec<u8>; 5] {
    let name = sequence(&[directory_name(pki::name("TimeStamp-2048-1"))]);
    let policies = sequence(&[sequence(&[oid("2.23.140.1.4.2")])]);
    let ocsp = sequence(&[sequence(&[oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, b"http://ocsp.test")])]);
    let period = sequence(&[tlv(0x80, b"20250101000000Z"), tlv(0x81, b"20270101000000Z")]);
    let device = sequence(&[sequence(&[oid("0.4.0.1862.1.4")])]);
    [
        extension("2.5.29.17", false, &name),
        extension("2.5.29.32", false, &policies),
        extension("1.3.6.1.5.5.7.1.1", false, &ocsp),
        extension("2.5.29.16", false, &period),
        extension("1.3.6.1.5.5.7.1.3", false, &device),
    ]
}

fn with_fraction(time: String, fraction: &str) -> String {
    time.replace('Z', fraction)
}

fn authorities() -> Vec<Authority> {
    vec![
        Authority {
            name: "Sigstore's timestamp-authority",
            known_from: "document: openapi.yaml says 201; pkg/api/timestamp.go has the policy",
            status: "201 Created",
            policy: "1.3.6.1.4.1.57264.2",
            serial: &[0x21, 0x51, 0x77, 0x13, 0x08, 0x99, 0x4a, 0x51, 0x2b],
            tail: |nonce, _| vec![seconds(1), nonce],
            keys: ("P-384", "P-384"),
            hashes: ("sha384", "sha256"),
            null_parameters: false,
            ..USUAL
        },
        Authority {
            name: "Sigstore's, before 2024",
            known_from: "report: sigstore/sigstore-conformance#118, octet strings in pieces",
            status: "201 Created",
            policy: "1.3.6.1.4.1.57264.2",
            tail: |nonce, _| vec![seconds(1), nonce],
            keys: ("P-384", "P-256"),
            hashes: ("sha384", "sha256"),
            null_parameters: false,
            finish: |token| in_pieces(&token),
            ..USUAL
        },
        Authority {
            name: "GitHub's",
            known_from: "memory: the same software behind a redirect of its host, intermediate and root in P-384",
            status: "201 Created",
            content_type: "application/timestamp-reply; charset=binary",
            tail: |nonce, _| vec![seconds(1), nonce],
            keys: ("P-384", "P-384"),
            hashes: ("sha384", "sha384"),
            null_parameters: false,
            ess: |certificate, _| ess_v2_of(&[ess_by("sha384", certificate, None)]),
            ..USUAL
        },
        Authority {
            name: "DigiCert",
            known_from: "memory: both forms of signingCertificate, the root signed by an older one; certificates in no order",
            policy: "2.16.840.1.114412.7.1",
            serial: &[
                0x00, 0xe1, 0x0a, 0x77, 0x5c, 0x51, 0x2f, 0x9b, 0x33, 0x41, 0x08, 0x3a, 0x61, 0x5e, 0x70,
                0x0d, 0x1c,
            ],
            ess: |certificate, _| {
                [ess_v1_of(certificate), ess_v2_of(&[ess_by("sha256", certificate, None)])].concat()
            },
            attributes: |all| all.insert(1, signing_time()),
            chain: Chain::CrossSigned,
            ..USUAL
        },
        Authority {
            name: "Sectigo",
            known_from: "report: openssl/openssl#14190, signingCertificate names the issuer's certificate, too",
            policy: "1.3.6.1.4.1.6449.2.1.1",
            tail: |nonce, name| vec![nonce, name],
            hashes: ("sha384", "sha512"),
            ess: |certificate, issuer| {
                ess_v2_of(&[ess_by("sha256", certificate, None), ess_by("sha256", issuer, None)])
            },
            status_info: || vec![vec![2, 1, 0], sequence(&[tlv(12, b"Operation Okay")])],
            ..USUAL
        },
        Authority {
            name: "GlobalSign",
            known_from: "memory: milliseconds, accuracy of a second, the TSA's name",
            policy: "1.3.6.1.4.1.4146.2.3.1.2",
            time: |time| with_fraction(time, ".123Z"),
            tail: |nonce, name| vec![seconds(1), nonce, name],
            hashes: ("sha384", "sha256"),
            is_plain_rsa: false,
            with_root: true,
            ..USUAL
        },
        Authority {
            name: "FreeTSA",
            known_from: "memory: `openssl ts` with its own example's policy, ordering, SHA-512, the chain named",
            policy: "1.2.3.4.1",
            tail: |nonce, name| vec![vec![1, 1, 0xff], nonce, name],
            hashes: ("sha512", "sha512"),
            attributes: |all| all.insert(1, signing_time()),
            chain: Chain::Direct,
            with_root: true,
            ess: |certificate, issuer| {
                ess_v2_of(&[ess_by("sha256", certificate, None), ess_by("sha256", issuer, None)])
            },
            ..USUAL
        },
        Authority {
            name: "Microsoft",
            known_from: "report: RustCrypto/formats#2061 and bil/timestamping#2, milliseconds",
            policy: "1.3.6.1.4.1.601.10.3.1",
            time: |time| with_fraction(time, ".240Z"),
            tail: |nonce, name| vec![seconds(1), nonce, name],
            attributes: |all| all.reverse(),
            ..USUAL
        },
        Authority {
            name: "Apple",
            known_from: "memory: SHA-1 names the certificate, an accuracy in seconds",
            policy: "1.2.840.113635.100.5.5.1",
            tail: |nonce, _| vec![seconds(1), nonce],
            ess: |certificate, _| ess_v1_of(certificate),
            ..USUAL
        },
        Authority {
            name: "SSL.com",
            known_from: "memory: elliptic curves on demand",
            policy: "1.3.6.1.4.1.38064.1.3.6.1",
            tail: |nonce, _| vec![millis([0x01, 0xf4]), nonce],
            keys: ("P-384", "P-256"),
            hashes: ("sha384", "sha256"),
            null_parameters: false,
            ..USUAL
        },
        Authority {
            name: "Entrust",
            known_from: "document: TST profile of Entrust's managed service: serials of 8 to 20 bytes, qcStatements, a digest of choice",
            policy: "2.16.840.1.114028.10.3.5",
            serial: &[0x7f, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
            tail: |nonce, _| vec![seconds(1), vec![1, 1, 0xff], nonce, qualified()],
            hashes: ("sha512", "sha512"),
            is_plain_rsa: false,
            ..USUAL
        },
        Authority {
            name: "Certum",
            known_from: "memory: accuracy of a second, the TSA's name, the issuer beside the certificate's digest",
            policy: "1.2.616.1.113527.2.5.1.9.6",
            tail: |nonce, name| vec![seconds(1), nonce, name],
            hashes: ("sha512", "sha256"),
            ess: |certificate, _| ess_v2_of(&[ess_by("sha256", certificate, Some("sub"))]),
            ..USUAL
        },
        Authority {
            name: "Certigna (Dhimyotis)",
            known_from: "report: PeculiarVentures/asn1-schema#89 shows a token",
            policy: "1.2.250.1.177.2.9.1.1",
            serial: &[
                0x00, 0xef, 0x6c, 0x0f, 0x55, 0x8f, 0x53, 0x4c, 0xfb, 0xb6, 0xa7, 0x00, 0xe1, 0xf2, 0x84,
                0x89, 0xad,
            ],
            tail: |nonce, name| vec![seconds(1), nonce, name, qualified()],
            null_parameters: false,
            with_root: true,
            ..USUAL
        },
        Authority {
            name: "SwissSign",
            known_from: "memory: a qualified time stamp, ordering that is written although it is FALSE",
            policy: "2.16.756.1.89.1.3.1.1",
            tail: |nonce, _| vec![seconds(1), vec![1, 1, 0], nonce, qualified()],
            is_plain_rsa: false,
            ..USUAL
        },
        Authority {
            name: "QuoVadis",
            known_from: "memory: an accuracy in all units, SHA-512",
            policy: "1.3.6.1.4.1.8024.0.2000.6",
            tail: |nonce, _| {
                vec![sequence(&[vec![2, 1, 0], tlv(0x80, &[1, 0xf4]), tlv(0x81, &[100])]), nonce]
            },
            hashes: ("sha256", "sha512"),
            ..USUAL
        },
        Authority {
            name: "D-Trust and Bundesdruckerei",
            known_from: "memory: qualified, microseconds with zeros at the end",
            policy: "1.3.6.1.4.1.4788.2.500.1",
            time: |time| with_fraction(time, ".100000Z"),
            tail: |nonce, _| vec![millis([0x00, 0xc8]), nonce, qualified()],
            hashes: ("sha512", "sha512"),
            is_plain_rsa: false,
            ..USUAL
        },
        Authority {
            name: "DFN and GÉANT",
            known_from: "memory: granted with words, another content type, an accuracy in milliseconds",
            content_type: "application/octet-stream",
            policy: "1.3.6.1.4.1.22177.300.22.1",
            tail: |nonce, _| vec![millis([0x02, 0x58]), vec![1, 1, 0xff], nonce],
            hashes: ("sha512", "sha512"),
            status_info: || vec![vec![2, 1, 0], sequence(&[tlv(12, b"OK")])],
            ..USUAL
        },
    ]
}

/// Nonce of a TimeStampReq, as an INTEGER, and what is to be stamped.
fn asked(query: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let start = query.windows(2).position(|two| two == [4, 32]).unwrap() + 2;
    let (imprint, rest) = query[start..].split_at(32);
    (rest[..2 + usize::from(rest[1])].to_vec(), imprint.to_vec())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The answer to a query, from the authority with these keys; and the root to trust, in PEM.
fn answers(
    authority: &Authority,
    keys: &HashMap<&str, Signer>,
) -> (impl Fn(&[u8]) -> Vec<u8> + use<>, String) {
    let Authority { chain, hashes, .. } = *authority;
    let key = |kind: &str, role: &str| keys[format!("{kind} {role}").as_str()].clone();
    let (root_key, sub_key) = (key(authority.keys.0, "root"), key(authority.keys.0, "sub"));
    let tsa_key = key(authority.keys.1, "tsa");
    let ca = |subject, issuer| Plan { uris: vec![], ..Plan::ca(subject, issuer, "") };
    let root = root_key.issues(&ca("root", "root"), &root_key, hashes.0);
    let sub = ca("sub", "root").with(|sub| sub.more = vec![purposes(false, &[TIME_STAMPING])]);
    let sub = root_key.issues(&sub, &sub_key, hashes.0);
    let (issuer, issuer_key, issuer_der) = match chain {
        Chain::Direct => ("root", root_key.clone(), root.clone()),
        _ => ("sub", sub_key.clone(), sub.clone()),
    };
    let plan = tsa_plan().with(|tsa| {
        tsa.issuer = issuer.into();
        tsa.more.extend(usual_extensions());
    });
    let certificate = issuer_key.issues(&plan, &tsa_key, hashes.0);
    let mut carried = match chain {
        Chain::Direct => vec![],
        Chain::Intermediate => vec![sub],
        Chain::CrossSigned => {
            let cross = tsa_key.issues(&ca("root", "older"), &root_key, hashes.0);
            vec![sub, cross]
        }
    };
    carried.extend(authority.with_root.then(|| root.clone()));
    // Every certificate here has the serial 1, and OpenSSL takes the first of an issuer's with that.
    let place = if matches!(chain, Chain::Direct) { 0 } else { carried.len() };
    carried.insert(place, certificate.clone());
    let authority = authority.clone();
    let answer = move |query: &[u8]| {
        let (nonce, imprint) = asked(query);
        let name = tlv(0xa0, &directory_name(pki::name("tsa")));
        let null = if authority.null_parameters { vec![5, 0] } else { vec![] };
        let token = Plot::new(&imprint).signed_by(&issuer_key, hashes.0, &tsa_key, hashes.1).with(|p| {
            p.policy = authority.policy;
            p.serial = authority.serial.to_vec();
            p.time = (authority.time)(general_time(now()));
            p.tail = (authority.tail)(nonce, name).concat();
            p.tsa = plan.clone();
            p.ess = Some((authority.ess)(&certificate, &issuer_der));
            p.certificate = Some(certificate.clone());
            p.carried = Some(carried.clone());
            p.attributes = authority.attributes;
            p.imprint_parameters = null.clone();
            p.digest_parameters = null.clone();
            if authority.is_plain_rsa && authority.keys.1.starts_with("rsa") {
                p.signature_algorithm = sequence(&[oid("1.2.840.113549.1.1.1"), vec![5, 0]]);
            }
        });
        (authority.finish)(response(&(authority.status_info)(), token.token()))
    };
    (answer, pem::encode(&root))
}

fn svidence(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
    for variable in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command.args(args).output().unwrap()
}

#[test]
fn tokens_with_the_habits_of_real_authorities_are_kept_and_prove_the_time() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let signed = now();
    let (ca, workload) = (Key::new(1), Key::new(2));
    let bundle =
        write(folder, "bundle.pem", pem::encode(&Plan::ca("ca", "ca", "example.org").issue(&ca, &ca)));
    let leaf = Plan::leaf("spiffe://example.org/ns/default/taskrun/timed").issue(&workload, &ca);
    let (object, attestation) = one_step("timed", signed, &leaf, &[], workload.pkcs8());
    let task_run = write(folder, "taskrun.json", object.to_string());
    let kinds = ["rsa:2048", "P-256", "P-384"];
    let names =
        kinds.iter().flat_map(|kind| ["root", "sub", "tsa"].map(|role| (format!("{kind} {role}"), *kind)));
    let made: Vec<(String, Signer)> = names.map(|(name, kind)| (name, Signer::file(kind))).collect();
    let keys: HashMap<&str, Signer> = made.iter().map(|(name, key)| (name.as_str(), key.clone())).collect();
    let authorities = authorities();
    assert!(authorities.len() >= 12);
    for authority in &authorities {
        let case = authority.name;
        let known =
            ["document: ", "report: ", "memory: "].iter().any(|from| authority.known_from.starts_with(from));
        assert!(known, "{case}: it is not said where that is known from");
        let (answer, root) = answers(authority, &keys);
        let (status, content_type) = (authority.status, authority.content_type);
        let reply = move |query: &[u8]| (format!("{status}\r\nContent-Type: {content_type}"), answer(query));
        let server = Server::start(Box::new(move |_, query| reply(query)));
        let root_file = write(folder, "root.pem", &root);
        let tokens = folder.join(case.replace([' ', '\''], "-"));
        let tokens = tokens.to_str().unwrap();
        let asked = svidence(&[
            "timestamp",
            "--tsa",
            &server.address,
            "--tsa-certificate",
            &root_file,
            "--output",
            tokens,
            &task_run,
        ]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(asked.status.success(), "{case}: {said}");
        let file = fs::read_dir(tokens).unwrap().next().unwrap().unwrap().path();
        let token = fs::read(&file).unwrap();
        let imprint = sha256(&attestation.to_bytes());
        assert!(openssl_verifies(folder, &token, &imprint, &root, now()), "{case}: OpenSSL refuses it");
        let checked = svidence(&[
            "verify",
            "--trust-domain",
            "example.org",
            "--bundle",
            &bundle,
            "--tsa-certificate",
            &root_file,
            "--timestamps",
            tokens,
            &task_run,
        ]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && said.contains("time-stamped at 20"), "{case}: {said}");
    }
}
