//! X509-SVIDs and bundles: the real ones load, and each way to be wrong is refused with its own reason.

use crate::pki;

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use pki::{CRL_SIGN, DIGITAL_SIGNATURE, Key, Plan, extension, oid, sequence, tlv};
use prost::Message as _;
use svidence::workload::{
    bundle::{BundleError, BundleWarning, X509Bundle},
    chain::PathError,
    generated::X509svidResponse,
    id::TrustDomain,
    svid::{SvidError, X509Svid},
    svid_rules::{SvidRule, check_authority, check_leaf},
};
use unixtime::UnixSeconds;
use x509::{
    Certificate, CertificateError, KeyAlgorithm, SignatureAlgorithm, Validity, parse_concatenated,
    pem::PemError,
};
use zeroize::Zeroizing;

const DEMO: &str = "spiffe://example.org/ns/default/taskrun/demo";

fn spire() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spire")
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

fn key(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(spire()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert_eq!(folders.len(), 19, "folders of real material");
    folders
}

fn response(folder: &str) -> X509svidResponse {
    X509svidResponse::decode(&*fs::read(spire().join(folder).join("x509svid_response.bin")).unwrap()).unwrap()
}

fn load(response: &X509svidResponse, index: usize) -> Result<X509Svid, SvidError> {
    let svid = &response.svids[index];
    X509Svid::from_response(&svid.spiffe_id, &svid.x509_svid, key(&svid.x509_svid_key), svid.hint.clone())
}

#[test]
fn everything_that_a_real_spire_issued_loads() {
    let mut svids = 0;
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let message = response(name);
        for (index, part) in message.svids.iter().enumerate() {
            let case = format!("{name} SVID {index}");
            let svid = load(&message, index).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(svid.id().to_string(), part.spiffe_id, "{case}");
            let (leaf, last) = (svid.leaf(), svid.intermediates().last().unwrap_or(svid.leaf()));
            assert!(!leaf.is_ca() && leaf.authority_key_id().is_some(), "{case}");
            assert_eq!(leaf.key_usage().unwrap().bits, 0b10101, "{case}");
            assert_eq!(
                leaf.spki_der(),
                &leaf.der()[find(leaf.der(), leaf.spki_der())..][..leaf.spki_der().len()]
            );
            let expected = match name {
                name if name.contains("p256-leaf") || name.starts_with("p256") => KeyAlgorithm::P256,
                name if name.starts_with("p384") => KeyAlgorithm::P384,
                name if name.starts_with("rsa2048") => KeyAlgorithm::Rsa { bits: 2048 },
                _ => leaf.algorithm().clone(),
            };
            assert_eq!(leaf.algorithm(), &expected, "{case}");
            let bundle = X509Bundle::from_der(td("example.org"), &part.bundle);
            let bundle = bundle.unwrap_or_else(|error| panic!("{case}: {error}"));
            let anchor = bundle.authorities().iter().find(|root| last.verify_signed_by(root).is_ok());
            assert!(anchor.is_some(), "{case}: the chain ends at the bundle");
            assert_eq!(last.authority_key_id(), anchor.unwrap().subject_key_id(), "{case}");

            let x509::Validity { not_before: start, not_after: end } = svid.validity();
            for (at, good) in [
                (start, true),
                (end, true),
                (start - std::time::Duration::from_secs(1), false),
                (end + std::time::Duration::from_secs(1), false),
            ] {
                assert_eq!(svid.check_valid_at(at).is_ok(), good, "{case} at {at}");
            }
            svids += 1;
        }
        for (domain, bundle) in &message.federated_bundles {
            X509Bundle::from_der(td(domain), bundle)
                .unwrap_or_else(|error| panic!("{name} {domain}: {error}"));
        }
    }
    assert_eq!(svids, 21);
}

fn find(whole: &[u8], part: &[u8]) -> usize {
    whole.windows(part.len()).position(|window| window == part).unwrap()
}

#[test]
fn the_files_beside_the_responses_say_the_same() {
    let mut bundles = 0;
    for folder in folders() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let (name, bytes) = (path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
            let domain =
                if name.contains("federated") || name.contains("other") { continue } else { "example.org" };
            if name.starts_with("bundle") {
                let (bundle, warnings) = X509Bundle::from_file_contents(td(domain), &bytes)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert_eq!(warnings, [], "{}", path.display());
                let message = response(folder.file_name().unwrap().to_str().unwrap());
                let der: Vec<u8> = bundle.authorities().iter().flat_map(|root| root.der().to_vec()).collect();
                assert_eq!(der, message.svids[0].bundle, "{}", path.display());
                bundles += 1;
            } else if name.starts_with("svid") {
                let error = X509Bundle::from_file_contents(td(domain), &bytes).unwrap_err();
                assert!(matches!(error, BundleError::Svid { number: 1, .. }), "{}: {error}", path.display());
            } else if name.starts_with("key") {
                let error = X509Bundle::from_file_contents(td(domain), &bytes).unwrap_err();
                let BundleError::Pem(PemError::Label { number: 1, label, .. }) = &error else {
                    panic!("{}: {error}", path.display())
                };
                assert_eq!(label, "PRIVATE KEY");
            }
        }
    }
    assert!(bundles >= 19, "{bundles} bundles");
}

#[test]
fn real_bundle_documents_load() {
    let mut documents = 0;
    for folder in folders() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.ends_with(".jwks.json") {
                continue;
            }
            let text = fs::read(&path).unwrap();
            let loaded = ["example.org", "b.test", "other.example", "federated.example"]
                .into_iter()
                .filter_map(|domain| X509Bundle::from_file_contents(td(domain), &text).ok())
                .collect::<Vec<_>>();
            let [(bundle, warnings)] = loaded.as_slice() else {
                panic!("{}: loads for {} trust domains, not for one", path.display(), loaded.len())
            };
            assert_eq!(warnings, &[], "{name}");
            assert!(bundle.sequence().is_some(), "{name}");
            documents += 1;
        }
    }
    assert!(documents >= 2, "{documents} documents");
}

#[test]
fn a_real_svid_taken_apart_is_refused() {
    let own = response("p256-intermediate-long");
    let other = response("p384-intermediate-long");
    let (mine, theirs) = (&own.svids[0], &other.svids[0]);
    let chain = parse_concatenated(&mine.x509_svid).unwrap();
    let (leaf, ca) = (chain[0].der(), chain[1].der());
    let foreign = parse_concatenated(&theirs.x509_svid).unwrap()[1].der().to_vec();
    let root = mine.bundle.clone();
    let bundle = X509Bundle::from_der(td("example.org"), &root).unwrap();
    let load = |id: &str, chain: &[u8], private: &[u8]| {
        let svid = X509Svid::from_response(id, chain, key(private), "hint".into())?;
        let now = svid.validity().not_before;
        svid.led_to(&bundle, now)
    };
    let make = |id: &str, chain: &[u8], private: &[u8]| load(id, chain, private).map(|_| ()).unwrap_err();
    let others =
        (1..=16).map(|n| Plan::ca(&format!("ca {n}"), "x", "example.org").issue(&Key::new(n), &Key::new(n)));
    let seventeen: Vec<Vec<u8>> = std::iter::once(leaf.to_vec()).chain(others).collect();
    let private = &mine.x509_svid_key;
    let truncated = &mine.x509_svid[..mine.x509_svid.len() - 1];
    type Expected = fn(&SvidError) -> bool;
    let cases: Vec<(&str, SvidError, Expected)> = vec![
        ("no ID", make("", &mine.x509_svid, private), |e| {
            matches!(e, SvidError::Missing { field: "spiffe_id" })
        }),
        ("no chain", make(DEMO, &[], private), |e| matches!(e, SvidError::Missing { field: "x509_svid" })),
        ("no key", make(DEMO, &mine.x509_svid, &[]), |e| {
            matches!(e, SvidError::Missing { field: "x509_svid_key" })
        }),
        ("bad ID", make("spiffe://Example.org/x", leaf, private), |e| matches!(e, SvidError::Id(_))),
        (
            "another ID",
            make("spiffe://example.org/ns/default/taskrun/demo2", &mine.x509_svid, private),
            |e| matches!(e, SvidError::OtherId { .. }),
        ),
        ("another leaf's key", make(DEMO, &mine.x509_svid, &theirs.x509_svid_key), |e| {
            matches!(e, SvidError::OtherKey { .. })
        }),
        (
            "another key of the same type",
            make(DEMO, &mine.x509_svid, &response("p256-self").svids[0].x509_svid_key),
            |e| matches!(e, SvidError::OtherKey { .. }),
        ),
        ("no PKCS#8", make(DEMO, &mine.x509_svid, b"key"), |e| matches!(e, SvidError::Key { .. })),
        ("CA first", make(DEMO, &[ca, leaf].concat(), private), |e| {
            matches!(e, SvidError::Certificate { error: SvidRule::RootPath { .. }, .. })
        }),
        (
            "foreign intermediate",
            make(DEMO, &[leaf, &foreign].concat(), private),
            |e| matches!(e, SvidError::NotOfBundle { error, .. } if matches!(**error, PathError::NoIssuer { .. })),
        ),
        ("bytes behind the chain", make(DEMO, &[&mine.x509_svid, &[0][..]].concat(), private), |e| {
            matches!(e, SvidError::Chain { .. })
        }),
        ("chain cut off", make(DEMO, truncated, private), |e| matches!(e, SvidError::Chain { .. })),
        ("17 certificates", make(DEMO, &seventeen.concat(), private), |e| {
            matches!(e, SvidError::ChainLength { count: 17, .. })
        }),
    ];
    for (case, error, expected) in cases {
        assert!(expected(&error), "{case}: {error:?}");
    }
    // What is there twice, out of order, or superfluous does no harm: the chain is put in order.
    for (case, chain) in [
        ("as it should be", vec![leaf, ca]),
        ("the root at the end", vec![leaf, ca, &root]),
        ("the root before the CA", vec![leaf, &root, ca]),
        ("the leaf twice", vec![leaf, leaf, ca]),
        ("all of it twice", vec![leaf, ca, leaf, ca]),
        ("twenty times", [vec![leaf], vec![ca; 20]].concat()),
        ("another chain's CA", vec![leaf, &foreign, ca]),
    ] {
        let svid = load(DEMO, &chain.concat(), private).unwrap_or_else(|error| panic!("{case}: {error}"));
        let intermediates: Vec<&[u8]> = svid.intermediates().iter().map(|c| c.der()).collect();
        assert_eq!((intermediates, svid.hint()), (vec![ca], "hint"), "{case}");
        assert!(svid.caution().is_none(), "{case}");
    }
}

#[test]
fn a_changed_byte_anywhere_in_a_real_chain_is_refused() {
    let message = response("p256-intermediate-long");
    let svid = &message.svids[0];
    for index in 0..svid.x509_svid.len() {
        let mut chain = svid.x509_svid.clone();
        chain[index] ^= 1;
        let changed =
            X509Svid::from_response(&svid.spiffe_id, &chain, key(&svid.x509_svid_key), String::new());
        let Ok(changed) = changed else { continue };
        let bundle = X509Bundle::from_der(td("example.org"), &svid.bundle).unwrap();
        let now = changed.validity().not_before;
        assert!(changed.led_to(&bundle, now).is_err(), "byte {index} changed unnoticed");
    }
}

#[test]
fn leaves_are_held_to_the_standard() {
    let (issuer, _) = pki::root("example.org");
    let subject = Key::new(2);
    let good = Plan::leaf(DEMO);
    let unknown = extension("1.2.3.4", true, &[5, 0]);
    let harmless = extension("1.2.3.4", false, &[5, 0]);
    let cases: Vec<(&str, Plan, Result<(), &str>)> = vec![
        ("as SPIRE makes it", good.clone(), Ok(())),
        ("no basic constraints", good.clone().with(|p| p.ca = None), Ok(())),
        ("no extended key usage", good.clone().with(|p| p.ext_key_usages = None), Ok(())),
        ("DNS names", good.clone().with(|p| p.dns = vec!["a.svc".into(), "b.svc".into()]), Ok(())),
        ("unknown extension", good.clone().with(|p| p.more = vec![harmless.clone()]), Ok(())),
        (
            "empty subject, critical SAN",
            good.clone().with(|p| {
                p.subject.clear();
                p.san_critical = true;
            }),
            Ok(()),
        ),
        ("L1 no URI", good.clone().with(|p| p.uris.clear()), Err("uri-count")),
        (
            "L1 only DNS",
            good.clone().with(|p| (p.uris, p.dns) = (vec![], vec!["a".into()])),
            Err("uri-count"),
        ),
        ("L1 two SPIFFE IDs", good.clone().with(|p| p.uris.push(DEMO.into())), Err("uri-count")),
        ("L1 another URI", good.clone().with(|p| p.uris.push("https://a".into())), Err("uri-count")),
        ("L2 another scheme", Plan::leaf("https://example.org/a"), Err("spiffe-id")),
        ("L2 upper-case trust domain", Plan::leaf("spiffe://Example.org/a"), Err("spiffe-id")),
        ("L2 query", Plan::leaf("spiffe://example.org/a?b"), Err("spiffe-id")),
        ("L2 no path", Plan::leaf("spiffe://example.org"), Err("root-path")),
        ("L2 only a slash", Plan::leaf("spiffe://example.org/"), Err("spiffe-id")),
        ("L2 not ASCII", Plan::leaf("spiffe://example.org/ä"), Err("malformed")),
        ("L3 empty subject", good.clone().with(|p| p.subject.clear()), Err("san-not-critical")),
        ("L4 CA", good.clone().with(|p| p.ca = Some(true)), Err("leaf-is-ca")),
        ("L5 no key usage", good.clone().with(|p| p.key_usage = None), Err("key-usage-missing")),
        (
            "L5 not critical",
            good.clone().with(|p| p.key_usage_critical = false),
            Err("key-usage-not-critical"),
        ),
        ("L6 no digitalSignature", good.clone().with(|p| p.key_usage = Some(4)), Err("no-digital-signature")),
        (
            "L7 keyCertSign",
            good.clone().with(|p| p.key_usage = Some(1 | pki::KEY_CERT_SIGN)),
            Err("leaf-may-sign"),
        ),
        (
            "L7 cRLSign",
            good.clone().with(|p| p.key_usage = Some(DIGITAL_SIGNATURE | CRL_SIGN)),
            Err("leaf-may-sign"),
        ),
        (
            "L8 only clientAuth",
            good.clone().with(|p| p.ext_key_usages = Some(vec![pki::CLIENT_AUTH])),
            Err("extended-key-usage"),
        ),
        (
            "L8 only serverAuth",
            good.clone().with(|p| p.ext_key_usages = Some(vec![pki::SERVER_AUTH])),
            Err("extended-key-usage"),
        ),
        (
            "unknown critical extension",
            good.clone().with(|p| p.more = vec![unknown]),
            Err("critical-extension"),
        ),
        (
            "an extension twice",
            good.clone().with(|p| p.more = vec![harmless.clone(), harmless]),
            Err("duplicate-extension"),
        ),
        (
            "a second SAN extension",
            good.clone().with(|p| {
                p.more =
                    vec![extension("2.5.29.17", false, &sequence(&[tlv(0x86, b"spiffe://example.org/b")]))];
            }),
            Err("duplicate-extension"),
        ),
        (
            "bytes behind the SAN",
            good.clone().with(|p| {
                p.uris.clear();
                let san = [sequence(&[tlv(0x86, DEMO.as_bytes())]), vec![5, 0]].concat();
                p.more = vec![extension("2.5.29.17", false, &san)];
            }),
            Err("malformed"),
        ),
        (
            "bytes inside an extension",
            good.clone()
                .with(|p| p.more = vec![sequence(&[oid("1.2.3.4"), tlv(4, &[]), vec![5, 0], vec![5, 0]])]),
            Err("malformed"),
        ),
    ];
    for (case, plan, expected) in cases {
        let result = Certificate::parse(&plan.issue(&subject, &issuer))
            .map_err(SvidRule::from)
            .and_then(|leaf| check_leaf(&leaf));
        match (result, expected) {
            (Ok(id), Ok(())) => assert_eq!(id.to_string(), DEMO, "{case}"),
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{case}: {error}"),
            (result, expected) => panic!("{case}: {result:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn authorities_are_held_to_the_standard() {
    let key = Key::new(1);
    let good = Plan::ca("ca", "ca", "example.org");
    type Expected = Result<Option<&'static str>, &'static str>;
    let cases: Vec<(&str, Plan, Expected)> = vec![
        ("as SPIRE makes it", good.clone(), Ok(Some("example.org"))),
        ("corporate root", good.clone().with(|p| p.uris.clear()), Ok(None)),
        ("another URI", good.clone().with(|p| p.uris = vec!["https://a/cps".into()]), Ok(None)),
        (
            "key usage not critical",
            good.clone().with(|p| p.key_usage_critical = false),
            Ok(Some("example.org")),
        ),
        ("S1 no CA", good.clone().with(|p| p.ca = Some(false)), Err("not-a-ca")),
        ("S1 no basic constraints", good.clone().with(|p| p.ca = None), Err("not-a-ca")),
        ("S2 no key usage", good.clone().with(|p| p.key_usage = None), Err("key-usage-missing")),
        ("S2 no keyCertSign", good.clone().with(|p| p.key_usage = Some(CRL_SIGN)), Err("no-cert-sign")),
        ("S3 ID with a path", good.clone().with(|p| p.uris = vec![DEMO.into()]), Err("authority-path")),
        ("S3 two IDs", good.clone().with(|p| p.uris.push("spiffe://b.test".into())), Err("uri-count")),
        ("S3 bad ID", good.clone().with(|p| p.uris = vec!["SPIFFE://example.org".into()]), Err("spiffe-id")),
    ];
    for (case, plan, expected) in cases {
        let result = Certificate::parse(&plan.issue(&key, &key))
            .map_err(SvidRule::from)
            .and_then(|ca| check_authority(&ca));
        match (&result, expected) {
            (Ok(domain), Ok(expected)) => {
                assert_eq!(domain.as_ref().map(TrustDomain::as_str), expected, "{case}")
            }
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{case}: {error}"),
            (result, expected) => panic!("{case}: {result:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn name_constraints_have_one_reading() {
    let (key, _) = pki::root("example.org");
    let base = tlv(0x86, b"example.org");
    let subtree = sequence(std::slice::from_ref(&base));
    let permitted = tlv(0xa0, &subtree);
    let excluded = tlv(0xa1, &subtree);
    for (case, value, good) in [
        ("permitted", sequence(std::slice::from_ref(&permitted)), true),
        ("excluded", sequence(std::slice::from_ref(&excluded)), true),
        ("both", sequence(&[permitted.clone(), excluded.clone()]), true),
        ("two subtrees", sequence(&[tlv(0xa0, &[&subtree[..], &subtree].concat())]), true),
        // RFC 5280 4.2.1.10: minimum is 0 and left out; it is not evaluated, so nothing of this form gets past it.
        ("a minimum", sequence(&[tlv(0xa0, &sequence(&[base.clone(), tlv(0x80, &[1])]))]), true),
        ("neither", sequence(&[]), false),
        ("the other order", sequence(&[excluded.clone(), permitted.clone()]), false),
        ("permitted twice", sequence(&[permitted.clone(), permitted.clone()]), false),
        ("another field", sequence(&[permitted.clone(), tlv(0xa2, &subtree)]), false),
        ("an empty list", sequence(&[tlv(0xa0, &[])]), false),
        ("an empty subtree", sequence(&[tlv(0xa0, &sequence(&[]))]), false),
        ("a subtree that is no SEQUENCE", sequence(&[tlv(0xa0, &base)]), false),
        ("a name that has no form", sequence(&[tlv(0xa0, &sequence(&[tlv(0x0c, b"a")]))]), false),
        ("a form that does not exist", sequence(&[tlv(0xa0, &sequence(&[tlv(0x89, b"a")]))]), false),
        ("no SEQUENCE", tlv(0x31, &permitted), false),
        ("bytes behind it", [sequence(std::slice::from_ref(&permitted)), vec![5, 0]].concat(), false),
        ("nothing", vec![], false),
    ] {
        let plan = Plan::ca("ca", "ca", "example.org")
            .with(|ca| ca.more = vec![extension("2.5.29.30", true, &value)]);
        let parsed = Certificate::parse(&plan.issue(&key, &key));
        match parsed {
            Ok(ca) => assert!(good && ca.name_constraints().is_some(), "{case}"),
            Err(error) => assert!(!good && error.code() == "malformed", "{case}: {error}"),
        }
    }
}

#[test]
fn a_certificate_has_one_reading() {
    let (key, der) = pki::root("example.org");
    let good = Certificate::parse(&der).unwrap();
    assert_eq!(good.signature_algorithm(), &SignatureAlgorithm::EcdsaSha256);
    assert!(good.verify_signed_by(&good).is_ok(), "self-signed");
    assert_eq!(
        good.validity(),
        Validity { not_before: UnixSeconds::new(pki::START), not_after: UnixSeconds::new(pki::END) }
    );
    assert_eq!((good.serial(), good.public_key_bits()), (&[1][..], key.public().as_slice()));

    // A byte inside the outer SEQUENCE, behind the signature.
    let inner = &der[4..];
    let padded = tlv(0x30, &[inner, &[5, 0]].concat());
    // The outer length in a longer form than needed.
    let long = [&[0x30, 0x83, 0][..], &der[2..]].concat();
    for (case, bytes, code) in [
        ("empty", Vec::new(), "malformed"),
        ("text", b"-----BEGIN CERTIFICATE-----".to_vec(), "malformed"),
        ("cut off", der[..der.len() - 1].to_vec(), "malformed"),
        ("followed by a byte", [&der[..], &[0]].concat(), "trailing-bytes"),
        ("followed by a certificate", [&der[..], &der].concat(), "trailing-bytes"),
        ("filled up", padded, "malformed"),
        ("long length", long, "malformed"),
    ] {
        assert_eq!(Certificate::parse(&bytes).unwrap_err().code(), code, "{case}");
    }
    assert_eq!(parse_concatenated(&[]).map(|list| list.len()), Ok(0));
    assert_eq!(parse_concatenated(&[&der[..], &der].concat()).map(|list| list.len()), Ok(2));
}

#[test]
fn chains_obey_path_lengths_and_names() {
    let (root_key, root) = pki::root("example.org");
    let (upper_key, lower_key, leaf_key) = (Key::new(2), Key::new(3), Key::new(4));
    let leaf = Plan::leaf(DEMO).with(|p| p.issuer = "lower".into()).issue(&leaf_key, &lower_key);
    let lower = Plan::ca("lower", "upper", "example.org").issue(&lower_key, &upper_key);
    let upper = |path_len| {
        Plan::ca("upper", "ca", "example.org").with(|p| p.path_len = path_len).issue(&upper_key, &root_key)
    };
    let other_key = Plan::ca("lower", "upper", "example.org").issue(&Key::new(9), &upper_key);
    let load = |chain: &[&[u8]]| {
        let bundle = X509Bundle::from_der(td("example.org"), &root).unwrap();
        let svid = X509Svid::from_response(DEMO, &chain.concat(), key(&leaf_key.pkcs8()), String::new())?;
        svid.led_to(&bundle, UnixSeconds::new(pki::START)).map(|_| ())
    };
    for (case, result, good) in [
        ("no limit", load(&[&leaf, &lower, &upper(None)]), true),
        ("limit kept", load(&[&leaf, &lower, &upper(Some(1)), &root]), true),
        ("limit broken", load(&[&leaf, &lower, &upper(Some(0))]), false),
        ("one left out", load(&[&leaf, &upper(None)]), false),
        ("same name, other key", load(&[&leaf, &other_key]), false),
    ] {
        assert_eq!(result.is_ok(), good, "{case}: {result:?}");
    }
    let broken = load(&[&leaf, &lower, &upper(Some(0))]).unwrap_err();
    let SvidError::Chained { error, .. } = &broken else { panic!("{broken:?}") };
    let PathError::Refused { rule, .. } = error.as_ref() else { panic!("{broken:?}") };
    assert_eq!(rule.code(), "path-length");
    assert!(broken.is_permanent() && broken.to_string().starts_with("no verifier will believe"), "{broken}");
}

fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn bundles_in_pem_and_der() {
    let (key, root) = pki::root("example.org");
    let second = Plan::ca("second", "second", "example.org").issue(&key, &key);
    let foreign = Plan::ca("ca", "ca", "other.test").issue(&key, &key);
    let leaf = Plan::leaf(DEMO).issue(&Key::new(2), &key);
    let tls = Plan::leaf("https://example.org/").with(|p| p.uris.clear()).issue(&Key::new(2), &key);
    let read = |bytes: &[u8]| X509Bundle::from_file_contents(td("example.org"), bytes);
    let count = |bytes: &[u8]| read(bytes).map(|(bundle, _)| bundle.authorities().len());
    let (one, two) = (pem(&root), pem(&second));
    for (case, bytes, expected) in [
        ("one", one.clone().into_bytes(), 1),
        ("two", format!("{one}{two}").into_bytes(), 2),
        ("the same twice", format!("{one}{two}{one}").into_bytes(), 2),
        ("text around", format!("Example\n{one}and\n{two}end").into_bytes(), 2),
        ("Windows", format!("\u{feff}{}", one.replace('\n', "\r\n")).into_bytes(), 1),
        ("DER", [&root[..], &second, &root].concat(), 2),
    ] {
        assert_eq!(count(&bytes), Ok(expected), "{case}");
    }
    let short = |text: &str| text.replace("-----END CERTIFICATE-----\n", "");
    type Expected = fn(&BundleError) -> bool;
    let cases: Vec<(&str, Vec<u8>, Expected)> = vec![
        ("nothing", vec![], |e| matches!(e, BundleError::Empty { .. })),
        ("white space", b" \n".to_vec(), |e| matches!(e, BundleError::Empty { .. })),
        ("words", b"hello".to_vec(), |e| matches!(e, BundleError::Unrecognised { .. })),
        ("binary", vec![0xff, 0xfe, 0], |e| matches!(e, BundleError::Unrecognised { .. })),
        ("huge", vec![b' '; (4 << 20) + 1], |e| matches!(e, BundleError::TooLarge { .. })),
        ("an SVID", pem(&leaf).into_bytes(), |e| {
            matches!(e, BundleError::Svid { number: 1, id } if id == DEMO) //
        }),
        ("an SVID behind a root", format!("{one}{}", pem(&leaf)).into_bytes(), |e| {
            matches!(e, BundleError::Svid { number: 2, .. })
        }),
        ("an SVID in DER", leaf.clone(), |e| matches!(e, BundleError::Svid { number: 1, .. })),
        ("a server's certificate", pem(&tls).into_bytes(), |e| {
            matches!(
                e,
                BundleError::NotAnAuthority {
                    number: 1,
                    error: SvidRule::Certificate(CertificateError::NotCa),
                    ..
                }
            )
        }),
        ("another trust domain", format!("{one}{}", pem(&foreign)).into_bytes(), |e| {
            matches!(e, BundleError::OtherTrustDomain { number: 2, found, expected }
                if found == "other.test" && expected == "example.org")
        }),
        (
            "a private key",
            format!("{one}-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n").into_bytes(),
            |e| matches!(e, BundleError::Pem(PemError::Label { number: 2, label, .. }) if label == "EC PRIVATE KEY"),
        ),
        ("no END", short(&one).into_bytes(), |e| {
            matches!(e, BundleError::Pem(PemError::Damaged { number: 1, .. }))
        }),
        ("no END, then another", format!("{}{two}", short(&one)).into_bytes(), |e| {
            matches!(e, BundleError::Pem(PemError::Damaged { number: 1, .. }))
        }),
        ("another END", one.replace("END CERT", "END X509 CERT").into_bytes(), |e| {
            matches!(e, BundleError::Pem(PemError::Damaged { number: 1, .. }))
        }),
        ("no base64", one.replace("MII", "M%I").into_bytes(), |e| {
            matches!(e, BundleError::Pem(PemError::NotBase64 { number: 1 }))
        }),
        ("no certificate", pem(b"hello").into_bytes(), |e| {
            matches!(e, BundleError::Certificate { number: 1, error: CertificateError::Malformed { .. } })
        }),
        ("two in one block", pem(&[&root[..], &second].concat()).into_bytes(), |e| {
            matches!(e, BundleError::Certificate { number: 1, error: CertificateError::Trailing { .. } })
        }),
        ("DER and a byte", [&root[..], &[0]].concat(), |e| matches!(e, BundleError::Der)),
    ];
    for (case, bytes, expected) in cases {
        let error = read(&bytes).map(|_| ()).unwrap_err();
        assert!(expected(&error), "{case}: {error:?}");
    }
}

#[test]
fn bundles_in_spiffe_json() {
    let (signer, root) = pki::root("example.org");
    let second = Plan::ca("second", "second", "example.org").issue(&signer, &signer);
    let foreign = Plan::ca("ca", "ca", "other.test").issue(&signer, &signer);
    let leaf = Plan::leaf(DEMO).issue(&Key::new(2), &signer);
    let [root, second, foreign, leaf_text] =
        [&root, &second, &foreign, &leaf].map(|der| STANDARD.encode(der));
    let x509 =
        |x5c: &str| format!(r#"{{"kty":"EC","use":"x509-svid","crv":"P-256","x":"","y":"","x5c":[{x5c}]}}"#);
    let quoted = |text: &str| format!("\"{text}\"");
    let jwt = r#"{"kty":"EC","kid":"a","use":"jwt-svid"}"#;
    let document = |keys: &[String]| format!(r#"{{"keys":[{}],"spiffe_sequence":7}}"#, keys.join(","));
    let read = |text: &str| X509Bundle::from_file_contents(td("example.org"), text.as_bytes());

    let (root_key, second_key) = (x509(&quoted(&root)), x509(&quoted(&second)));
    let good: Vec<(&str, String, usize, Vec<BundleWarning>)> = vec![
        ("one", document(std::slice::from_ref(&root_key)), 1, vec![]),
        ("two and a JWT key", document(&[root_key.clone(), jwt.into(), second_key.clone()]), 2, vec![]),
        ("the same twice", document(&[root_key.clone(), root_key.clone()]), 1, vec![]),
        (
            "unknown use, no use, unknown type, no type",
            document(&[
                r#"{"kty":"EC","use":"sig"}"#.into(),
                r#"{"kty":"EC"}"#.into(),
                r#"{"kty":"oct","use":"x509-svid"}"#.into(),
                r#"{"use":"x509-svid"}"#.into(),
                root_key.clone(),
            ]),
            1,
            vec![BundleWarning::Ignored { count: 4 }],
        ),
        (
            "no certificate",
            document(&[x509(""), r#"{"kty":"EC","use":"x509-svid"}"#.into(), root_key.clone()]),
            1,
            vec![BundleWarning::NoCertificate { count: 2 }],
        ),
        (
            "two certificates in one key",
            document(&[x509(&format!("{},{}", quoted(&root), quoted(&second)))]),
            1,
            vec![BundleWarning::SeveralCertificates { number: 1, count: 2 }],
        ),
    ];
    for (case, text, count, expected) in good {
        let (bundle, warnings) = read(&text).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!((bundle.authorities().len(), warnings), (count, expected), "{case}");
        assert_eq!(bundle.sequence(), Some(7), "{case}");
    }
    let url_safe = URL_SAFE.encode(STANDARD.decode(&root).unwrap());
    assert_ne!(url_safe, root, "the certificate shows the difference");
    type Expected = fn(&BundleError) -> bool;
    let bad: Vec<(&str, String, Expected)> = vec![
        ("no keys", document(&[]), |e| matches!(e, BundleError::Empty { .. })),
        ("only JWT keys", document(&[jwt.into()]), |e| matches!(e, BundleError::Empty { .. })),
        ("keys missing", "{}".into(), |e| matches!(e, BundleError::Json { .. })),
        ("keys twice", r#"{"keys":[],"keys":[]}"#.into(), |e| matches!(e, BundleError::Json { .. })),
        ("a list", "[]".into(), |e| matches!(e, BundleError::Unrecognised { .. })),
        ("cut off", r#"{"keys":["#.into(), |e| matches!(e, BundleError::Json { .. })),
        ("plain JWKS", document(&[format!(r#"{{"kty":"EC","x5c":["{root}"]}}"#)]), |e| {
            matches!(e, BundleError::PlainJwks) && e.to_string().contains("`spiffe` or `pem`")
        }),
        ("URL-safe base64", document(&[x509(&quoted(&url_safe))]), |e| {
            matches!(e, BundleError::Base64 { number: 1 })
        }),
        ("an SVID", document(&[x509(&quoted(&leaf_text))]), |e| {
            matches!(e, BundleError::Svid { number: 1, .. })
        }),
        ("another trust domain", document(&[x509(&quoted(&foreign))]), |e| {
            matches!(e, BundleError::OtherTrustDomain { number: 1, .. })
        }),
    ];
    for (case, text, expected) in bad {
        let error = read(&text).map(|_| ()).unwrap_err();
        assert!(expected(&error), "{case}: {error:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damage_is_refused_without_a_panic(
        damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..6),
        cut in proptest::option::of(proptest::num::usize::ANY),
    ) {
        let message = response("chain-of-three");
        let svid = &message.svids[0];
        let mut chain = svid.x509_svid.clone();
        for (index, byte) in damage {
            let index = index % chain.len();
            chain[index] = byte;
        }
        if let Some(cut) = cut {
            chain.truncate(cut % chain.len());
        }
        let loaded = X509Svid::from_response(&svid.spiffe_id, &chain, key(&svid.x509_svid_key), String::new());
        if let Ok(loaded) = loaded {
            let bundle = X509Bundle::from_der(td("example.org"), &svid.bundle).unwrap();
            let now = loaded.validity().not_before;
            if let Ok(loaded) = loaded.led_to(&bundle, now) {
                proptest::prop_assert_eq!(loaded.leaf().der(), &svid.x509_svid[..loaded.leaf().der().len()]);
            }
        }
        let _ = X509Bundle::from_file_contents(td("example.org"), &chain);
        let _ = X509Bundle::from_file_contents(td("example.org"), pem(&chain).as_bytes());
    }
}

#[test]
fn a_chain_must_lead_to_the_bundle_that_came_with_it() {
    for (folder, other) in [("p256-self", "p256-self-long"), ("p256-intermediate", "p384-intermediate")] {
        let (message, foreign) = (response(folder), response(other));
        let part = &message.svids[0];
        let led_to = |bundle: &X509Bundle| {
            let svid = load(&message, 0).unwrap();
            let now = svid.validity().not_after;
            svid.led_to(bundle, now)
        };
        let own = X509Bundle::from_der(td("example.org"), &part.bundle).unwrap();
        let strangers = X509Bundle::from_der(td("example.org"), &foreign.svids[0].bundle).unwrap();
        let svid = led_to(&own).unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert!(svid.intermediates().iter().all(|issuer| !own.authorities().contains(issuer)), "{folder}");
        let error = led_to(&strangers).unwrap_err();
        // Its bundle may come yet.
        assert!(!error.is_permanent(), "{folder} with the bundle of {other}: {error}");
    }
}
