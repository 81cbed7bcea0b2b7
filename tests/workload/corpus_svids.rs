//! Bad SVIDs and bad bundles, one or more for every rule of the SPIFFE standards that binds a validator, each refused with
//! its own code; and every chain that a real SPIRE issued, found good.
//!
//! The certificates are rcgen's: another hand than the parser's and than `tests/pki`. A chain is leaf ← SPIRE's CA ← a
//! corporate root that is the bundle, and a case changes one thing in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
    SignatureAlgorithm,
};
use svidence::workload::{
    bundle::{BundleError, X509Bundle},
    chain::find_path,
    id::TrustDomain,
    svid_rules::{SvidRule, check_leaf},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError, Validity};

/// 2026-11-22T05:30:10Z.
const NOW: i64 = 1_795_325_410;
const ID: &str = "spiffe://example.org/ns/default/taskrun/demo";

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(NOW - 1000);
    params.not_after = at(NOW + 1000);
    params
}

fn ca(name: &str, uris: &[&str]) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = uris.iter().map(|text| uri(text)).collect();
    params
}

/// What is issued, and by which kind of key.
struct Plan {
    trust_domain: &'static str,
    root: CertificateParams,
    ca: CertificateParams,
    leaf: CertificateParams,
    /// The key that signs the leaf is not the CA's.
    forged: bool,
    ca_key: &'static SignatureAlgorithm,
    leaf_key: &'static SignatureAlgorithm,
}

impl Plan {
    fn new() -> Self {
        let mut leaf = named("workload");
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.subject_alt_names = vec![uri(ID)];
        leaf.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
        ];
        leaf.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self {
            trust_domain: "example.org",
            root: ca("root", &[]),
            ca: ca("ca", &["spiffe://example.org"]),
            leaf,
            forged: false,
            ca_key: &PKCS_ECDSA_P256_SHA256,
            leaf_key: &PKCS_ECDSA_P256_SHA256,
        }
    }

    /// Leaf, CA, root.
    fn issue(&self) -> [Vec<u8>; 3] {
        let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
        let (root_key, ca_key, leaf_key) =
            (key(&PKCS_ECDSA_P256_SHA256), key(self.ca_key), key(self.leaf_key));
        let root = self.root.self_signed(&root_key).unwrap();
        let ca = self.ca.signed_by(&ca_key, &Issuer::from_params(&self.root, &root_key)).unwrap();
        let signer = if self.forged { key(self.ca_key) } else { ca_key };
        let leaf = self.leaf.signed_by(&leaf_key, &Issuer::from_params(&self.ca, &signer)).unwrap();
        [leaf, ca, root].map(|certificate| certificate.der().to_vec())
    }
}

/// The verifier's order: the leaf by itself, then its chain.
fn judge(trust_domain: &str, leaf: &[u8], ca: &[u8], bundle: &[u8]) -> Result<(), &'static str> {
    let trust_domain = TrustDomain::new(trust_domain).unwrap();
    let leaf = Certificate::parse(leaf).map_err(|error| error.code())?;
    check_leaf(&leaf).map_err(|error| error.code())?;
    let bundle = X509Bundle::from_der(trust_domain, bundle).map_err(|error| error.code())?;
    let ca = Certificate::parse(ca).map_err(|error| error.code())?;
    find_path(&leaf, &[&ca], &bundle, UnixSeconds::new(NOW)).map(|_| ()).map_err(|error| error.code())
}

fn custom(oid: &[u64], critical: bool, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];

/// A short element of DER.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// NameConstraints with one URI: permitted (0xa0) or excluded (0xa1).
fn uri_constraint(subtrees: u8, host: &str) -> CustomExtension {
    let subtree = tlv(0x30, &tlv(0x86, host.as_bytes()));
    custom(NAME_CONSTRAINTS, true, &tlv(0x30, &tlv(subtrees, &subtree)))
}

/// Rule (numbers of the checklist: I SPIFFE-ID, L leaf, S signing certificate, R RFC 5280), what is done, the code or "".
type Case = (&'static str, &'static str, fn(&mut Plan), &'static str);

fn with_id(plan: &mut Plan, id: &str) {
    plan.leaf.subject_alt_names = vec![uri(id)];
}

const CASES: &[Case] = &[
    ("-", "as SPIRE makes it", |_| (), ""),
    ("I1", "another scheme", |p| with_id(p, "https://example.org/a"), "spiffe-id"),
    ("I1", "no scheme", |p| with_id(p, "example.org/a"), "spiffe-id"),
    ("I1", "no trust domain", |p| with_id(p, "spiffe:///a"), "spiffe-id"),
    ("I2", "query", |p| with_id(p, "spiffe://example.org/a?b"), "spiffe-id"),
    ("I2", "fragment", |p| with_id(p, "spiffe://example.org/a#b"), "spiffe-id"),
    ("I3", "user", |p| with_id(p, "spiffe://a@example.org/a"), "spiffe-id"),
    ("I3", "port", |p| with_id(p, "spiffe://example.org:443/a"), "spiffe-id"),
    ("I4", "trust domain in upper case", |p| with_id(p, "spiffe://Example.org/a"), "spiffe-id"),
    ("I4", "trust domain with percent", |p| with_id(p, "spiffe://example%2eorg/a"), "spiffe-id"),
    ("I4", "trust domain with another character", |p| with_id(p, "spiffe://example~org/a"), "spiffe-id"),
    (
        "I5",
        "trust domain like an IP address",
        |p| {
            p.trust_domain = "10.0.0.1";
            p.ca.subject_alt_names = vec![uri("spiffe://10.0.0.1")];
            with_id(p, "spiffe://10.0.0.1/a");
        },
        "",
    ),
    ("I6", "percent", |p| with_id(p, "spiffe://example.org/a%62"), "spiffe-id"),
    ("I6", "empty segment", |p| with_id(p, "spiffe://example.org/a//b"), "spiffe-id"),
    ("I6", "dot", |p| with_id(p, "spiffe://example.org/./a"), "spiffe-id"),
    ("I6", "two dots", |p| with_id(p, "spiffe://example.org/a/.."), "spiffe-id"),
    ("I6", "slash at the end", |p| with_id(p, "spiffe://example.org/a/"), "spiffe-id"),
    ("I6", "another character", |p| with_id(p, "spiffe://example.org/a~b"), "spiffe-id"),
    ("I7", "2048 bytes", |p| with_id(p, &format!("spiffe://example.org/{}", "a".repeat(2048 - 21))), ""),
    (
        "I7",
        "2049 bytes",
        |p| with_id(p, &format!("spiffe://example.org/{}", "a".repeat(2049 - 21))),
        "spiffe-id",
    ),
    (
        "I7",
        "trust domain of 256 bytes",
        |p| with_id(p, &format!("spiffe://{}/a", "a".repeat(256))),
        "spiffe-id",
    ),
    ("I8", "scheme in upper case", |p| with_id(p, "SPIFFE://example.org/a"), "spiffe-id"),
    (
        "I9",
        "signed by another trust domain's CA",
        |p| p.ca.subject_alt_names = vec![uri("spiffe://b.test")],
        "foreign-issuer",
    ),
    ("L1", "no SAN", |p| p.leaf.subject_alt_names.clear(), "uri-count"),
    (
        "L1",
        "only a DNS name",
        |p| p.leaf.subject_alt_names = vec![SanType::DnsName("a".try_into().unwrap())],
        "uri-count",
    ),
    ("L1", "two SPIFFE IDs", |p| p.leaf.subject_alt_names.push(uri("spiffe://example.org/b")), "uri-count"),
    ("L1", "one ID twice", |p| p.leaf.subject_alt_names.push(uri(ID)), "uri-count"),
    ("L1", "another URI", |p| p.leaf.subject_alt_names.push(uri("https://example.org")), "uri-count"),
    (
        "L1",
        "other names beside it",
        |p| {
            let more = [
                SanType::DnsName("a.example.org".try_into().unwrap()),
                SanType::Rfc822Name("a@example.org".try_into().unwrap()),
                SanType::IpAddress([10, 0, 0, 1].into()),
            ];
            p.leaf.subject_alt_names.extend(more);
        },
        "",
    ),
    ("L2", "no path", |p| with_id(p, "spiffe://example.org"), "root-path"),
    ("L3", "no subject, critical SAN", |p| p.leaf.distinguished_name = DistinguishedName::new(), ""),
    (
        "L3",
        "no subject, plain SAN",
        |p| {
            p.leaf.distinguished_name = DistinguishedName::new();
            p.leaf.subject_alt_names.clear();
            let names = tlv(0x30, &tlv(0x86, ID.as_bytes()));
            p.leaf.custom_extensions = vec![custom(SUBJECT_ALT_NAME, false, &names)];
        },
        "san-not-critical",
    ),
    ("L4", "no basic constraints", |p| p.leaf.is_ca = IsCa::NoCa, ""),
    ("L4", "a CA", |p| p.leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), "leaf-is-ca"),
    ("L5", "no key usage", |p| p.leaf.key_usages.clear(), "key-usage-missing"),
    (
        "L5",
        "key usage not critical",
        |p| {
            p.leaf.key_usages.clear();
            p.leaf.custom_extensions = vec![custom(KEY_USAGE, false, &[3, 2, 7, 0x80])];
        },
        "key-usage-not-critical",
    ),
    (
        "L6",
        "no digitalSignature",
        |p| p.leaf.key_usages.retain(|usage| *usage != KeyUsagePurpose::DigitalSignature),
        "no-digital-signature",
    ),
    ("L6", "nothing but digitalSignature", |p| p.leaf.key_usages.truncate(1), ""),
    ("L7", "keyCertSign", |p| p.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign), "leaf-may-sign"),
    ("L7", "cRLSign", |p| p.leaf.key_usages.push(KeyUsagePurpose::CrlSign), "leaf-may-sign"),
    ("L8", "no extended key usage", |p| p.leaf.extended_key_usages.clear(), ""),
    ("L8", "no clientAuth", |p| p.leaf.extended_key_usages.truncate(1), "extended-key-usage"),
    (
        "L8",
        "no serverAuth",
        |p| p.leaf.extended_key_usages.retain(|usage| *usage != ExtendedKeyUsagePurpose::ServerAuth),
        "extended-key-usage",
    ),
    ("L8", "any", |p| p.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], "extended-key-usage"),
    ("L8", "more", |p| p.leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning), ""),
    ("L9", "signed by another key", |p| p.forged = true, "bad-signature"),
    ("L9", "a root of another name", |p| p.root = ca("other", &[]), ""),
    ("L9", "leaf expired", |p| p.leaf.not_after = at(NOW - 1), "expired"),
    ("L9", "leaf in the future", |p| p.leaf.not_before = at(NOW + 1), "not-yet-valid"),
    ("L9", "CA expired", |p| p.ca.not_after = at(NOW - 1), "expired"),
    ("L9", "CA in the future", |p| p.ca.not_before = at(NOW + 1), "not-yet-valid"),
    ("L9", "authority expired", |p| p.root.not_after = at(NOW - 1), "expired"),
    ("L9", "authority in the future", |p| p.root.not_before = at(NOW + 1), "not-yet-valid"),
    ("L9", "CA's signature of an unknown kind", |p| p.ca_key = &PKCS_ED25519, "unsupported-algorithm"),
    ("L9", "leaf's key of an unknown kind", |p| p.leaf_key = &PKCS_ED25519, "unsupported-key"),
    ("S1", "CA without basic constraints", |p| p.ca.is_ca = IsCa::NoCa, "not-a-ca"),
    ("S1", "CA with cA false", |p| p.ca.is_ca = IsCa::ExplicitNoCa, "not-a-ca"),
    ("S1", "authority with cA false", |p| p.root.is_ca = IsCa::ExplicitNoCa, "not-a-ca"),
    (
        "S1",
        "no room for the CA",
        |p| p.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
        "path-length",
    ),
    ("S1", "just room for the CA", |p| p.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)), ""),
    ("S2", "CA without key usage", |p| p.ca.key_usages.clear(), "key-usage-missing"),
    ("S2", "CA without keyCertSign", |p| p.ca.key_usages = vec![KeyUsagePurpose::CrlSign], "no-cert-sign"),
    (
        "S2",
        "authority without keyCertSign",
        |p| p.root.key_usages = vec![KeyUsagePurpose::CrlSign],
        "no-cert-sign",
    ),
    ("S2", "CA without cRLSign", |p| p.ca.key_usages.truncate(1), ""),
    (
        "S2",
        "corporate root, key usage not critical",
        |p| {
            p.root.key_usages.clear();
            p.root.custom_extensions = vec![custom(KEY_USAGE, false, &[3, 2, 2, 4])];
        },
        "",
    ),
    ("S3", "CA without an ID", |p| p.ca.subject_alt_names.clear(), "issuer-without-uri"),
    (
        "S3",
        "CA with a path",
        |p| p.ca.subject_alt_names = vec![uri("spiffe://example.org/ca")],
        "authority-path",
    ),
    ("S3", "CA with two IDs", |p| p.ca.subject_alt_names.push(uri("spiffe://b.test")), "uri-count"),
    (
        "S3",
        "CA with another URI, too",
        |p| p.ca.subject_alt_names.push(uri("https://a.test")),
        "foreign-issuer",
    ),
    (
        "S3",
        "CA with an ID in upper case",
        |p| p.ca.subject_alt_names = vec![uri("SPIFFE://example.org")],
        "spiffe-id",
    ),
    (
        "S3",
        "authority of another trust domain",
        |p| p.root.subject_alt_names = vec![uri("spiffe://b.test")],
        "bundle-other-trust-domain",
    ),
    (
        "S3",
        "authority of the trust domain",
        |p| p.root.subject_alt_names = vec![uri("spiffe://example.org")],
        "",
    ),
    ("S3", "authority with a path", |p| p.root.subject_alt_names = vec![uri(ID)], "authority-path"),
    (
        "S5",
        "trust domain permitted",
        |p| p.ca.custom_extensions = vec![uri_constraint(0xa0, "example.org")],
        "",
    ),
    (
        "S5",
        "another one permitted",
        |p| p.ca.custom_extensions = vec![uri_constraint(0xa0, "b.test")],
        "name-not-permitted",
    ),
    (
        "S5",
        "another one permitted by the authority",
        |p| p.root.custom_extensions = vec![uri_constraint(0xa0, "b.test")],
        "name-not-permitted",
    ),
    (
        "S5",
        "trust domain excluded",
        |p| p.root.custom_extensions = vec![uri_constraint(0xa1, "example.org")],
        "name-excluded",
    ),
    (
        "S5",
        "a constraint of another form",
        |p| {
            p.root.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DirectoryName(DistinguishedName::new())],
                excluded_subtrees: vec![],
            });
        },
        "constraint-not-evaluated",
    ),
    (
        "S5",
        "DNS names, and none in the leaf",
        |p| {
            p.root.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("b.test".into())],
                excluded_subtrees: vec![],
            });
        },
        "",
    ),
    (
        "S5",
        "constraints that are empty",
        |p| p.ca.custom_extensions = vec![custom(NAME_CONSTRAINTS, true, &[0x30, 0])],
        "malformed",
    ),
    (
        "R 4.2",
        "unknown critical extension",
        |p| p.leaf.custom_extensions = vec![custom(&[1, 2, 3], true, &[5, 0])],
        "critical-extension",
    ),
    (
        "R 4.2",
        "unknown critical extension of the CA",
        |p| p.ca.custom_extensions = vec![custom(&[1, 2, 3], true, &[5, 0])],
        "critical-extension",
    ),
    (
        "R 4.2",
        "unknown extension",
        |p| p.leaf.custom_extensions = vec![custom(&[1, 2, 3], false, &[5, 0])],
        "",
    ),
    (
        "R 4.2",
        "two of a kind",
        |p| p.leaf.custom_extensions = vec![custom(BASIC_CONSTRAINTS, true, &[0x30, 0])],
        "duplicate-extension",
    ),
    (
        "R 4.2.1.1",
        "critical key ID",
        |p| p.leaf.custom_extensions = vec![custom(AUTHORITY_KEY_ID, true, &[0x30, 3, 0x80, 1, 7])],
        "critical-extension",
    ),
    (
        "R 4.2.1.10",
        "a leaf's name constraints",
        |p| p.leaf.custom_extensions = vec![uri_constraint(0xa0, "example.org")],
        "name-constraints",
    ),
    (
        "R 4.1.2.6",
        "a CA without a subject",
        |p| p.ca.distinguished_name = DistinguishedName::new(),
        "no-subject",
    ),
    (
        "R 4.2.1.12",
        "a CA for one purpose",
        |p| p.ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        "extended-key-usage",
    ),
    (
        "R 4.2.1.12",
        "a CA for any purpose",
        |p| p.ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        "",
    ),
    (
        "R 4.2.1.12",
        "an authority for code",
        |p| p.root.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        "extended-key-usage",
    ),
];

#[test]
fn every_rule_for_svids_refuses_with_its_code() {
    let mut rules = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for (rule, case, change, code) in CASES {
        let mut plan = Plan::new();
        change(&mut plan);
        let [leaf, ca, root] = plan.issue();
        let answer = judge(plan.trust_domain, &leaf, &ca, &root);
        assert_eq!(answer.err().unwrap_or_default(), *code, "{rule}: {case}");
        rules.insert(*rule);
        codes.insert(*code);
    }
    // What is not a change to one certificate.
    let [leaf, ca, root] = Plan::new().issue();
    let [_, other_ca, other_root] = Plan::new().issue();
    let mut huge = Plan::new();
    huge.leaf.custom_extensions = (0..10_000).map(|last| custom(&[1, 2, 3, last], false, &[])).collect();
    let [huge, ..] = huge.issue();
    let mut elsewhere = Plan::new();
    elsewhere.root = ca_named_other();
    let [_, _, elsewhere] = elsewhere.issue();
    for (rule, case, answer, code) in [
        (
            "L9",
            "the authority of another CA of the same name",
            judge("example.org", &leaf, &ca, &other_root),
            "bad-signature",
        ),
        ("L9", "another CA of the same name", judge("example.org", &leaf, &other_ca, &root), "bad-signature"),
        ("L9", "an authority of another name", judge("example.org", &leaf, &ca, &elsewhere), "no-issuer"),
        ("L9", "no authority", judge("example.org", &leaf, &ca, &[]), "bundle-empty"),
        ("S4", "a CA as identity", judge("example.org", &ca, &ca, &root), "root-path"),
        ("S4", "a corporate CA as identity", judge("example.org", &root, &ca, &root), "uri-count"),
        ("S4", "an SVID as authority", judge("example.org", &leaf, &ca, &leaf), "bundle-svid"),
        ("I9", "the bundle of another trust domain", judge("b.test", &leaf, &ca, &root), "foreign-issuer"),
        (
            "R 4.1",
            "a byte too much",
            judge("example.org", &[&leaf[..], &[0]].concat(), &ca, &root),
            "trailing-bytes",
        ),
        ("-", "larger than any certificate", judge("example.org", &huge, &ca, &root), "too-large"),
        ("R 4.1", "a byte too few", judge("example.org", &leaf[..leaf.len() - 1], &ca, &root), "malformed"),
    ] {
        assert_eq!(answer, Err(code), "{rule}: {case}");
        rules.insert(rule);
        codes.insert(code);
    }
    let [leaf, root] = [leaf, root].map(|der| Certificate::parse(&der).unwrap());
    codes.insert(leaf.verify_signed_by(&root).unwrap_err().code());

    let missing = |expected: &[&'static str], found: &BTreeSet<&str>| -> Vec<&str> {
        expected.iter().copied().filter(|name| !found.contains(name)).collect()
    };
    let checklist = "I1 I2 I3 I4 I5 I6 I7 I8 I9 L1 L2 L3 L4 L5 L6 L7 L8 L9 S1 S2 S3 S4 S5";
    assert_eq!(missing(&checklist.split(' ').collect::<Vec<_>>(), &rules), [""; 0], "rules without a case");
    assert_eq!(missing(&all_codes(), &codes), [""; 0], "codes that no case leads to");
    assert_eq!(CASES.len(), 90, "cases");
}

fn ca_named_other() -> CertificateParams {
    ca("elsewhere", &[])
}

/// The code of every variant: a new one does not compile until it stands here, and then needs a case.
fn all_codes() -> Vec<&'static str> {
    use CertificateError::*;
    use SvidRule::*;
    let (oid, id, what) = (String::new(), String::new(), "");
    let id_error = svidence::workload::id::parse_strict("").unwrap_err();
    let mut next = Some(Certificate(Malformed { what }));
    let mut codes = Vec::new();
    while let Some(rule) = next {
        codes.push(rule.code());
        next = match rule {
            Certificate(error) => Some(match error {
                Malformed { .. } => Certificate(TooLarge { bytes: 0 }),
                TooLarge { .. } => Certificate(Trailing { bytes: 0 }),
                Trailing { .. } => Certificate(DuplicateExtension { oid: oid.clone() }),
                DuplicateExtension { .. } => Certificate(CriticalExtension { oid: oid.clone() }),
                CriticalExtension { .. } => Certificate(SanNotCritical),
                SanNotCritical => Certificate(LeafIsCa),
                LeafIsCa => Certificate(LeafMaySign { what }),
                LeafMaySign { .. } => Certificate(ExtendedKeyUsage { what }),
                ExtendedKeyUsage { .. } => Certificate(UnsupportedKey { key: id.clone() }),
                UnsupportedKey { .. } => Certificate(NameConstraints),
                NameConstraints => Certificate(NoSubject),
                NoSubject => Certificate(NotCa),
                NotCa => Certificate(NoCertSign),
                NoCertSign => Certificate(OtherIssuer),
                OtherIssuer => Certificate(BadSignature),
                BadSignature => Certificate(Unsupported { signature: id.clone(), key: id.clone() }),
                Unsupported { .. } => UriCount { count: 0 },
            }),
            UriCount { .. } => Some(Id(id_error.clone())),
            Id(_) => Some(RootPath { id: id.clone() }),
            RootPath { .. } => Some(KeyUsageMissing),
            KeyUsageMissing => Some(KeyUsageNotCritical),
            KeyUsageNotCritical => Some(NoDigitalSignature),
            NoDigitalSignature => Some(AuthorityPath { id: id.clone() }),
            AuthorityPath { .. } => None,
        };
    }
    codes
}

#[test]
fn every_rule_for_bundles_refuses_with_its_code() {
    let key = KeyPair::generate().unwrap();
    let encode = |params: CertificateParams| STANDARD.encode(params.self_signed(&key).unwrap().der());
    let own = encode(ca("own", &["spiffe://example.org"]));
    let second = encode(ca("second", &["spiffe://example.org"]));
    let foreign = encode(ca("foreign", &["spiffe://b.test"]));
    let svid = encode(Plan::new().leaf);
    let mut without_sign = ca("bad", &[]);
    without_sign.key_usages = vec![KeyUsagePurpose::CrlSign];
    let without_sign = encode(without_sign);
    let jwk =
        |usage: &str, x5c: &str| format!(r#"{{"kty":"EC","use":"{usage}","crv":"P-256","x5c":[{x5c}]}}"#);
    let x509 = |der: &str| jwk("x509-svid", &format!("\"{der}\""));
    let keys = |list: &str| format!(r#"{{"keys":[{list}],"spiffe_sequence":1,"spiffe_refresh_hint":300}}"#);
    let pem = |der: &str| format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    let cases: Vec<(&str, String, Result<usize, &str>)> = vec![
        ("good", keys(&x509(&own)), Ok(1)),
        ("good, PEM", pem(&own), Ok(1)),
        // T&B 3, Federation 4.2, Workload API 4.6: kept apart.
        ("of another trust domain", keys(&x509(&foreign)), Err("bundle-other-trust-domain")),
        ("of another trust domain, PEM", pem(&foreign), Err("bundle-other-trust-domain")),
        ("of both", keys(&format!("{},{}", x509(&own), x509(&foreign))), Err("bundle-other-trust-domain")),
        ("of both, PEM", format!("{}{}", pem(&own), pem(&foreign)), Err("bundle-other-trust-domain")),
        (
            "a map of several trust domains",
            format!(
                r#"{{"trust_domains":{{"example.org":{},"b.test":{}}}}}"#,
                keys(&x509(&own)),
                keys(&x509(&foreign))
            ),
            Err("bundle-form"),
        ),
        // T&B 4.1.3: keys.
        ("no keys", r#"{"spiffe_sequence":1}"#.into(), Err("bundle-json")),
        ("keys that are no list", r#"{"keys":{}}"#.into(), Err("bundle-json")),
        ("empty keys", keys(""), Err("bundle-empty")),
        ("unknown use only", keys(&jwk("enc", &format!("\"{own}\""))), Err("bundle-empty")),
        ("unknown kty only", keys(&x509(&own).replace("EC", "XY")), Err("bundle-empty")),
        ("unknown use beside a good one", keys(&format!("{},{}", jwk("enc", ""), x509(&own))), Ok(1)),
        // T&B 4.2: kty and use.
        ("no use", keys(&x509(&own).replace(r#""use":"x509-svid","#, "")), Err("bundle-plain-jwks")),
        ("no kty", keys(&x509(&own).replace(r#""kty":"EC","#, "")), Err("bundle-empty")),
        // T&B 4.1.1: a sequence number.
        ("sequence of 64 bits", keys(&x509(&own)).replace(":1,", ":18446744073709551615,"), Ok(1)),
        ("sequence that is negative", keys(&x509(&own)).replace(":1,", ":-1,"), Err("bundle-json")),
        ("sequence that is text", keys(&x509(&own)).replace(":1,", ":\"1\","), Err("bundle-json")),
        // T&B 6.3: duplicate keys.
        (
            "keys twice",
            format!(r#"{{"keys":[{}],"keys":[{}]}}"#, x509(&own), x509(&foreign)),
            Err("bundle-json"),
        ),
        ("use twice", keys(&x509(&own).replace("{", r#"{"use":"jwt-svid","#)), Err("bundle-json")),
        // X509-SVID 6.1, 6.2: x5c.
        ("no x5c", keys(r#"{"kty":"EC","use":"x509-svid"}"#), Err("bundle-empty")),
        ("empty x5c", keys(&jwk("x509-svid", "")), Err("bundle-empty")),
        (
            "two in one x5c, the first counts",
            keys(&jwk("x509-svid", &format!("\"{own}\",\"{second}\""))),
            Ok(1),
        ),
        (
            "two in one x5c, the first is foreign",
            keys(&jwk("x509-svid", &format!("\"{foreign}\",\"{own}\""))),
            Err("bundle-other-trust-domain"),
        ),
        ("no base64", keys(&x509("!")), Err("bundle-base64")),
        ("no certificate", keys(&x509("AAAA")), Err("malformed")),
        ("only JWT keys", keys(r#"{"kty":"EC","use":"jwt-svid","kid":"a"}"#), Err("bundle-empty")),
        ("an SVID", keys(&x509(&svid)), Err("bundle-svid")),
        ("an SVID beside a CA, PEM", format!("{}{}", pem(&own), pem(&svid)), Err("bundle-svid")),
        ("a certificate that may not sign", keys(&x509(&without_sign)), Err("no-cert-sign")),
        // One that is of no use is left out, not the others.
        (
            "one that may not sign beside a good one",
            keys(&format!("{},{}", x509(&without_sign), x509(&own))),
            Ok(1),
        ),
        (
            "one that may not sign beside a good one, PEM",
            format!("{}{}", pem(&without_sign), pem(&own)),
            Ok(1),
        ),
        ("no base64 beside a good one", keys(&format!("{},{}", x509("!"), x509(&own))), Ok(1)),
        ("no base64 beside a good one, PEM", format!("{}{}", pem("!"), pem(&own)), Ok(1)),
        (
            "no certificate beside good ones",
            keys(&format!("{},{},{}", x509(&own), x509("AAAA"), x509(&second))),
            Ok(2),
        ),
        ("none of several", keys(&format!("{},{}", x509("AAAA"), x509(&without_sign))), Err("malformed")),
        ("a private key", pem(&own).replace("CERTIFICATE", "PRIVATE KEY"), Err("bundle-pem-label")),
        ("damaged PEM", pem(&own).replace("-----END", "----END"), Err("bundle-pem")),
        ("neither", "bundle".into(), Err("bundle-form")),
        ("nothing", String::new(), Err("bundle-empty")),
        ("too large", " ".repeat((4 << 20) + 1), Err("bundle-too-large")),
    ];
    let mut codes = BTreeSet::new();
    for (case, text, expected) in cases {
        let read = X509Bundle::from_file_contents(TrustDomain::new("example.org").unwrap(), text.as_bytes());
        let count = read.map(|(bundle, _)| bundle.authorities().len()).map_err(|error| error.code());
        assert_eq!(count, expected, "{case}");
        codes.extend(count.err());
    }
    let der = [STANDARD.decode(&own).unwrap(), vec![0]].concat();
    let error = X509Bundle::from_der(TrustDomain::new("example.org").unwrap(), &der).unwrap_err();
    assert!(matches!(error, BundleError::Der) && codes.insert(error.code()), "{error}");
    assert_eq!(codes.iter().filter(|code| code.starts_with("bundle-")).count(), 11, "{codes:?}");
}

#[test]
fn a_federated_bundle_verifies_nothing_of_ours() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spire/two-svids-federated");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let td = |name| TrustDomain::new(name).unwrap();
    let error = X509Bundle::from_file_contents(td("example.org"), &read("federated.jwks.json")).unwrap_err();
    let BundleError::OtherTrustDomain { found, .. } = error else { panic!("{error}") };
    let (federated, _) = X509Bundle::from_file_contents(td(&found), &read("federated.jwks.json")).unwrap();
    let chain = certificates(&folder.join("svid.1.pem"));
    let at = chain[0].validity().not_before;
    let error = find_path(&chain[0], &[], &federated, at).unwrap_err();
    assert_eq!(error.code(), "no-issuer", "{error}");
    // The check can succeed.
    let (own, _) = X509Bundle::from_file_contents(td("example.org"), &read("bundle.1.pem")).unwrap();
    assert!(find_path(&chain[0], &[], &own, at).is_ok());
}

fn certificates(pem: &Path) -> Vec<Certificate> {
    let text = fs::read_to_string(pem).unwrap();
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let body = |block: &str| block.lines().take_while(|line| !line.starts_with("-----")).collect::<String>();
    blocks.map(|block| Certificate::parse(&STANDARD.decode(body(block)).unwrap()).unwrap()).collect()
}

#[test]
fn every_chain_of_a_real_spire_leads_to_its_bundle() {
    let spire = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spire");
    let bundle = |path: &Path| {
        let read = X509Bundle::from_file_contents(
            TrustDomain::new("example.org").unwrap(),
            &fs::read(path).unwrap(),
        );
        read.unwrap_or_else(|error| panic!("{}: {error}", path.display())).0
    };
    let mut lengths = BTreeMap::new();
    for folder in
        fs::read_dir(&spire).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for svid in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = svid.file_name().unwrap().to_str().unwrap();
            let Some(number) = name.strip_prefix("svid").filter(|rest| rest.ends_with(".pem")) else {
                continue;
            };
            let case = svid.display();
            let chain = certificates(&svid);
            let (leaf, intermediates) = (&chain[0], chain[1..].iter().collect::<Vec<_>>());
            check_leaf(leaf).unwrap_or_else(|error| panic!("{case}: {error}"));
            let own = bundle(&folder.join(format!("bundle{number}")));
            let find = |at| find_path(leaf, &intermediates, &own, at);
            // Some bundles start after the leaf, whose start is set back.
            let all = chain.iter().chain(own.authorities());
            let Validity { not_before: start, .. } =
                all.fold(Validity::ALWAYS, |all, one| all.and(one.validity()));
            for at in [start, leaf.validity().not_after] {
                let path = find(at).unwrap_or_else(|error| panic!("{case} at {at}: {error}"));
                assert!(path.validity().contains(at), "{case}");
                assert!(own.authorities().contains(path.authority().unwrap()), "{case}");
                *lengths.entry(path.issuers().len()).or_insert(0) += 1;
            }
            assert_eq!(
                find(leaf.validity().not_before - std::time::Duration::from_secs(1)).unwrap_err().code(),
                "not-yet-valid",
                "{case}"
            );
            assert_eq!(
                find(leaf.validity().not_after + std::time::Duration::from_secs(1)).unwrap_err().code(),
                "expired",
                "{case}"
            );
            let strangers = bundle(&spire.join(match name_of(&folder) {
                "p256-self" => "p384-self/bundle.pem",
                _ => "p256-self/bundle.pem",
            }));
            assert!(
                find_path(leaf, &intermediates, &strangers, start).is_err(),
                "{case} with another SPIRE's bundle"
            );
        }
    }
    // Twice each: leaf ← authority, leaf ← CA ← root, leaf ← CA ← CA ← root.
    assert_eq!(lengths, BTreeMap::from([(1, 26), (2, 14), (3, 2)]));
}

fn name_of(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}
