//! The compact leaf: real certificates of SPIRE go through it and come back byte for byte.

use std::{fs, path::PathBuf};

use ::x509::Certificate;
use proptest::prelude::*;
use svidence::evidence::leaf::{CompactLeaf, DnsForm, Issuer, LeafError};
use x509_parser::prelude::*;

struct RealLeaf {
    name: String,
    leaf: Vec<u8>,
    spiffe_id: String,
    dns_names: Vec<String>,
    issuer_name: Vec<u8>,
    issuer_key_id: Vec<u8>,
}

impl RealLeaf {
    fn certificate(&self) -> Certificate {
        Certificate::parse(&self.leaf).unwrap()
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.issuer_name, key_id: &self.issuer_key_id }
    }
}

/// Every SVID in `testdata/spire`, with the certificate that issued it.
fn real_leaves() -> Vec<RealLeaf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/spire");
    let mut leaves = Vec::new();
    for folder in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.starts_with("svid") || !name.ends_with(".pem") {
                continue;
            }
            let chain = certificates(&fs::read(&file).unwrap());
            let bundle = certificates(&fs::read(folder.join(name.replace("svid", "bundle"))).unwrap());
            let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
            let authorities: Vec<&Vec<u8>> = chain[1..].iter().chain(&bundle).collect();
            let (issuer_name, issuer_key_id) = authorities
                .iter()
                .map(|der| X509Certificate::from_der(der).unwrap().1)
                .find(|authority| authority.subject() == leaf.issuer())
                .map(|authority| (authority.subject().as_raw().to_vec(), key_id(&authority)))
                .unwrap_or_else(|| panic!("no issuer of {}", file.display()));
            let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
            let spiffe_id = names
                .iter()
                .find_map(|name| match name {
                    GeneralName::URI(uri) => Some((*uri).to_owned()),
                    _ => None,
                })
                .unwrap();
            let dns_names = names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    _ => None,
                })
                .collect();
            leaves.push(RealLeaf {
                name: format!("{}/{name}", folder.file_name().unwrap().to_str().unwrap()),
                leaf: chain[0].clone(),
                spiffe_id,
                dns_names,
                issuer_name,
                issuer_key_id,
            });
        }
    }
    leaves
}

fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    Pem::iter_from_buffer(pem).map(|block| block.unwrap().contents).collect()
}

fn key_id(certificate: &X509Certificate<'_>) -> Vec<u8> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn every_real_leaf_comes_back_unchanged() {
    let leaves = real_leaves();
    assert_eq!(leaves.len(), 21, "number of leaves in testdata/spire");
    for real in &leaves {
        let compact = CompactLeaf::of(
            &real.certificate(),
            &real.spiffe_id,
            &real.dns_names,
            DnsForm::Plain,
            real.issuer(),
        )
        .unwrap_or_else(|| panic!("{} has no compact form", real.name));
        let bytes = compact.to_bytes();
        let read = CompactLeaf::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", real.name));
        assert_eq!(read, compact, "{}", real.name);
        let rebuilt = read.to_der(&real.spiffe_id, &real.dns_names, real.issuer()).unwrap();
        assert_eq!(rebuilt, real.leaf, "{}", real.name);
        if real.name.starts_with("p256") {
            assert!(bytes.len() <= 126, "{}: {} bytes", real.name, bytes.len());
        }
    }
}

#[test]
fn a_leaf_under_another_name_or_issuer_has_no_compact_form() {
    let real = real_leaves().into_iter().find(|real| real.name == "p256-self/svid.pem").unwrap();
    let other = Issuer { name: &real.issuer_name, key_id: &[7; 20] };
    let dns = ["a.b".to_owned()];
    for (case, spiffe_id, dns_names, issuer) in [
        ("another SPIFFE ID", "spiffe://example.org/ns/default/taskrun/other", &[][..], real.issuer()),
        ("a DNS name it does not have", real.spiffe_id.as_str(), &dns[..], real.issuer()),
        ("another issuer", real.spiffe_id.as_str(), &[][..], other),
    ] {
        assert_eq!(
            CompactLeaf::of(&real.certificate(), spiffe_id, dns_names, DnsForm::Plain, issuer),
            None,
            "{case}"
        );
    }
}

/// SEC 1's compact form of a point (tag 5) gave a second encoding of the same leaf, and so of the same attestation.
#[test]
fn a_key_in_another_encoding_is_refused() {
    for (name, key_and_signature) in [
        ("p256-self/svid.pem", 33 + 64),
        ("p384-self/svid.pem", 49 + 96),
        ("rsa2048-self/svid.pem", 256 + 256),
    ] {
        let real = real_leaves().into_iter().find(|real| real.name == name).unwrap();
        let compact = CompactLeaf::of(
            &real.certificate(),
            &real.spiffe_id,
            &real.dns_names,
            DnsForm::Plain,
            real.issuer(),
        );
        let bytes = compact.unwrap().to_bytes();
        let key = bytes.len() - key_and_signature;
        assert!(CompactLeaf::from_bytes(&bytes).is_ok(), "{name}");
        for first in [0, 4, 5, 6, 7] {
            let mut other = bytes.clone();
            other[key] = first;
            assert_eq!(CompactLeaf::from_bytes(&other), Err(LeafError::PublicKey), "{name}: {first}");
        }
    }
}

#[test]
fn a_truncated_compact_leaf_is_refused() {
    for real in real_leaves() {
        let bytes = CompactLeaf::of(
            &real.certificate(),
            &real.spiffe_id,
            &real.dns_names,
            DnsForm::Plain,
            real.issuer(),
        )
        .unwrap()
        .to_bytes();
        let shortest_rsa = if bytes.len() > 512 { bytes.len() - 256 } else { bytes.len() };
        for length in 0..bytes.len().min(shortest_rsa) {
            let read = CompactLeaf::from_bytes(&bytes[..length]);
            assert!(
                read.is_err() || read.as_ref().unwrap().to_bytes() == bytes[..length],
                "{} {length}",
                real.name
            );
        }
    }
}

/// A leaf may be valid for as many seconds as 32 bits hold, and each number of them has one encoding.
#[test]
fn a_validity_has_one_encoding() {
    let real = real_leaves().swap_remove(0);
    let compact =
        CompactLeaf::of(&real.certificate(), &real.spiffe_id, &real.dns_names, DnsForm::Plain, real.issuer());
    let bytes = compact.unwrap().to_bytes();
    // Behind the form, the issuer's hint, the serial and notBefore.
    let (before, rest) = bytes.split_at(1 + 4 + 16 + 4);
    let length = rest.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    for (case, validity, seconds) in [
        ("no time", &[0][..], Some(0)),
        ("a byte", &[0x7f], Some(127)),
        ("two bytes", &[0x80, 1], Some(128)),
        ("an hour", &[0x90, 0x1c], Some(3600)),
        ("ten years", &[0x80, 0xcf, 0xaf, 0x96, 1], Some(315_352_960)),
        ("the longest", &[0xff, 0xff, 0xff, 0xff, 0x0f], Some(u32::MAX)),
        ("a second more", &[0x80, 0x80, 0x80, 0x80, 0x10], None),
        ("more bits", &[0xff, 0xff, 0xff, 0xff, 0x7f], None),
        ("six bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 1], None),
        ("a zero too many", &[0x90, 0x9c, 0], None),
    ] {
        let read = CompactLeaf::from_bytes(&[before, validity, &rest[length..]].concat());
        let read_seconds = read.as_ref().map(|leaf| leaf.not_after().get() - leaf.not_before().get());
        match seconds {
            Some(seconds) => assert_eq!(read_seconds, Ok(i64::from(seconds)), "{case}"),
            None => assert_eq!(read, Err(LeafError::Malformed("validity")), "{case}"),
        }
    }
}

proptest! {
    #[test]
    fn reading_garbage_never_panics_and_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(leaf) = CompactLeaf::from_bytes(&bytes) {
            prop_assert_eq!(leaf.to_bytes(), bytes);
            let _ = leaf.to_der("spiffe://example.org/a", &[], Issuer { name: b"\x30\x00", key_id: &[0; 20] });
        }
    }
}
