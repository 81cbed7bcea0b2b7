//! The path search by itself: each rule of RFC 5280 with the refusal it leads to, hostile chains, and rustls-webpki beside it.

use crate::pki;

use std::{cell::Cell, time::Duration};

use pki::{
    ANY_PURPOSE, CLIENT_AUTH, END, KEY_CERT_SIGN, Key, Plan, SERVER_AUTH, START, authority_key_id, extension,
    name_constraints, sequence, subject_key_id, tlv,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use svidence::workload::svid_rules::SVID_PURPOSES;
use unixtime::UnixSeconds;
use x509::{
    Certificate, CertificateError, KeyPurpose, NameError,
    path::{Limits, PathError, PathRule, Search},
};

const NOW: i64 = START + 1000;
const ID: &str = "spiffe://example.org/ns/default/taskrun/path";

fn search<'a>(
    leaf: &'a Certificate,
    intermediates: &'a [Certificate],
    authorities: &'a [Certificate],
    purposes: &'a [KeyPurpose],
    limits: Limits,
) -> Result<Vec<Certificate>, PathError> {
    let search = Search {
        intermediates: &intermediates.iter().collect::<Vec<_>>(),
        trust_anchors: &authorities.iter().collect::<Vec<_>>(),
        at: UnixSeconds::new(NOW),
        slow_by: std::time::Duration::from_secs(0),
        purposes,
        limits,
        issuer_rule: &|_, _| Ok(()),
        path_rule: &|_| Ok(()),
    };
    Ok(search.find_path(leaf)?.into_iter().cloned().collect())
}

fn parse(der: &[u8]) -> Certificate {
    Certificate::parse(der).unwrap()
}

/// leaf ← low ← high ← root, each of which may be changed.
struct Chain {
    leaf: Plan,
    low: Plan,
    high: Plan,
    root: Plan,
}

impl Chain {
    fn new() -> Self {
        let ca = |subject, issuer| Plan::ca(subject, issuer, "example.org").with(|ca| ca.uris.clear());
        Self {
            leaf: Plan::leaf(ID).with(|leaf| leaf.issuer = "low".into()),
            low: ca("low", "high"),
            high: ca("high", "root"),
            root: ca("root", "root"),
        }
    }

    fn leaf(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.leaf);
        self
    }

    fn low(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.low);
        self
    }

    fn high(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.high);
        self
    }

    fn root(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.root);
        self
    }

    fn issued(&self) -> [Certificate; 4] {
        let [leaf, low, high, root] = [4, 3, 2, 1].map(Key::new);
        [
            parse(&self.leaf.issue(&leaf, &low)),
            parse(&self.low.issue(&low, &high)),
            parse(&self.high.issue(&high, &root)),
            parse(&self.root.issue(&root, &root)),
        ]
    }

    fn search(&self) -> Result<Vec<Certificate>, PathError> {
        let [leaf, low, high, root] = self.issued();
        search(&leaf, &[high, low], &[root], SVID_PURPOSES, Limits::default())
    }
}

fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, text.as_bytes())
}

#[test]
fn each_rule_refuses_with_its_own_code_and_names_the_certificate() {
    let unknown = extension("1.2.3.4", true, &[5, 0]);
    let expired = |plan: &mut Plan| plan.end = NOW - 1;
    let future = |plan: &mut Plan| plan.start = NOW + 1;
    let purposes = |usages: &[&'static str]| Some(usages.to_vec());
    // What it is, chain, and what is expected: the code and whose fault it is.
    type Case = (&'static str, Chain, Result<(), (&'static str, &'static str)>);
    let cases: Vec<Case> = vec![
        ("as it should be", Chain::new(), Ok(())),
        ("dates: leaf expired", Chain::new().leaf(expired), Err(("expired", "workload"))),
        ("dates: intermediate expired", Chain::new().high(expired), Err(("expired", "high"))),
        ("dates: authority expired", Chain::new().root(expired), Err(("expired", "root"))),
        ("dates: leaf in the future", Chain::new().leaf(future), Err(("not-yet-valid", "workload"))),
        ("dates: intermediate in the future", Chain::new().low(future), Err(("not-yet-valid", "low"))),
        ("dates: authority in the future", Chain::new().root(future), Err(("not-yet-valid", "root"))),
        ("dates: last second", Chain::new().low(|ca| ca.end = NOW).root(|ca| ca.start = NOW), Ok(())),
        ("CA: no basic constraints", Chain::new().low(|ca| ca.ca = None), Err(("not-a-ca", "low"))),
        ("CA: cA false", Chain::new().high(|ca| ca.ca = Some(false)), Err(("not-a-ca", "high"))),
        ("CA: authority is none", Chain::new().root(|ca| ca.ca = None), Err(("not-a-ca", "root"))),
        (
            "CA: the leaf is one",
            Chain::new().leaf(|leaf| leaf.ca = Some(true)),
            Err(("leaf-is-ca", "workload")),
        ),
        ("key usage: none", Chain::new().low(|ca| ca.key_usage = None), Ok(())),
        (
            "key usage: no keyCertSign",
            Chain::new().low(|ca| ca.key_usage = Some(1)),
            Err(("no-cert-sign", "low")),
        ),
        (
            "key usage: authority",
            Chain::new().root(|ca| ca.key_usage = Some(1)),
            Err(("no-cert-sign", "root")),
        ),
        (
            "key usage: the leaf's key signs certificates",
            Chain::new().leaf(|leaf| leaf.key_usage = Some(KEY_CERT_SIGN | 1)),
            Err(("leaf-may-sign", "workload")),
        ),
        ("length: low 0", Chain::new().low(|ca| ca.path_len = Some(0)), Ok(())),
        ("length: high 0", Chain::new().high(|ca| ca.path_len = Some(0)), Err(("path-length", "high"))),
        ("length: authority 1", Chain::new().root(|ca| ca.path_len = Some(1)), Err(("path-length", "root"))),
        ("length: authority 2", Chain::new().root(|ca| ca.path_len = Some(2)), Ok(())),
        (
            "extension: unknown and critical, leaf",
            Chain::new().leaf(|leaf| leaf.more = vec![unknown.clone()]),
            Err(("critical-extension", "workload")),
        ),
        (
            "extension: unknown and critical, intermediate",
            Chain::new().low(|ca| ca.more = vec![unknown.clone()]),
            Err(("critical-extension", "low")),
        ),
        (
            "extension: unknown and critical, authority",
            Chain::new().root(|ca| ca.more = vec![unknown.clone()]),
            Err(("critical-extension", "root")),
        ),
        (
            "extension: policy constraints, critical",
            Chain::new().high(|ca| {
                ca.more = vec![extension("2.5.29.36", true, &sequence(&[tlv(0x80, &[0])]))];
            }),
            Err(("critical-extension", "high")),
        ),
        (
            "purpose: only serverAuth, leaf",
            Chain::new().leaf(|leaf| leaf.ext_key_usages = purposes(&[SERVER_AUTH])),
            Err(("extended-key-usage", "workload")),
        ),
        (
            "purpose: any, leaf",
            Chain::new().leaf(|leaf| leaf.ext_key_usages = purposes(&[ANY_PURPOSE])),
            Err(("extended-key-usage", "workload")),
        ),
        ("purpose: none stated", Chain::new().leaf(|leaf| leaf.ext_key_usages = None), Ok(())),
        (
            "purpose: both, intermediate",
            Chain::new().low(|ca| ca.ext_key_usages = purposes(&[CLIENT_AUTH, SERVER_AUTH])),
            Ok(()),
        ),
        (
            "purpose: any, intermediate",
            Chain::new().low(|ca| ca.ext_key_usages = purposes(&[ANY_PURPOSE])),
            Ok(()),
        ),
        (
            "purpose: only clientAuth, intermediate",
            Chain::new().low(|ca| ca.ext_key_usages = purposes(&[CLIENT_AUTH])),
            Err(("extended-key-usage", "low")),
        ),
        (
            "purpose: codeSigning, authority",
            Chain::new().root(|ca| ca.ext_key_usages = purposes(&["1.3.6.1.5.5.7.3.3"])),
            Err(("extended-key-usage", "root")),
        ),
        (
            "name: issuer unknown",
            Chain::new().low(|ca| ca.issuer = "other".into()),
            Err(("no-issuer", "low")),
        ),
        (
            "name: leaf's issuer unknown",
            Chain::new().leaf(|leaf| leaf.issuer = "x".into()),
            Err(("no-issuer", "workload")),
        ),
        (
            "key ID: fits",
            Chain::new()
                .low(|ca| ca.more = vec![authority_key_id(7)])
                .high(|ca| ca.more = vec![subject_key_id(7)]),
            Ok(()),
        ),
        ("key ID: only the one below", Chain::new().low(|ca| ca.more = vec![authority_key_id(7)]), Ok(())),
        (
            "key ID: another one",
            Chain::new()
                .low(|ca| ca.more = vec![authority_key_id(7)])
                .high(|ca| ca.more = vec![subject_key_id(8)]),
            Err(("no-issuer", "low")),
        ),
    ];
    for (case, chain, expected) in cases {
        let found = chain.search();
        match (&found, expected) {
            (Ok(issuers), Ok(())) => {
                let names: Vec<String> = issuers.iter().map(Certificate::label).collect();
                assert_eq!(names, ["CN=low", "CN=high", "CN=root"], "{case}");
            }
            (Err(error), Err((code, culprit))) => {
                assert_eq!(error.code(), code, "{case}: {error}");
                assert!(error.to_string().contains(&format!("CN={culprit}")), "{case}: {error}");
                let undecided = ["no-issuer", "critical-extension"].contains(&code);
                assert_eq!(error.is_undecided(), undecided, "{case}");
            }
            (found, expected) => panic!("{case}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn facts_are_fields() {
    let refused = |chain: Chain| match chain.search() {
        Err(PathError::Refused { certificate, rule }) => (certificate, rule),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(Chain::new().root(|root| root.end = NOW - 5)),
        (
            "CN=root".into(),
            PathRule::Expired { not_after: UnixSeconds::new(NOW - 5), at: UnixSeconds::new(NOW) }
        )
    );
    assert_eq!(
        refused(Chain::new().root(|root| root.path_len = Some(0))),
        ("CN=root".into(), PathRule::PathLength { allowed: 0, found: 2 })
    );
    let [leaf, low, _, root] = Chain::new().low(|low| low.more = vec![authority_key_id(0xab)]).issued();
    let error = search(&leaf, &[low], &[root], SVID_PURPOSES, Limits::default()).unwrap_err();
    assert_eq!(error, PathError::NoIssuer { certificate: "CN=low".into(), key_id: Some("ab".into()) });
    let (certificate, rule) = refused(Chain::new().leaf(|leaf| {
        leaf.subject = "\u{1b}[2Jverified".into();
        leaf.end = NOW - 1;
    }));
    assert_eq!(
        (&*certificate, rule.code()),
        ("CN=\\u{1b}[2Jverified (spiffe://example.org/ns/default/taskrun/path)", "expired")
    );
}

#[test]
fn signatures_are_of_the_named_issuer() {
    let [leaf, low, high, root] = Chain::new().issued();
    let limits = Limits::default();
    let bad = |error: PathError| match error {
        PathError::Refused { certificate, rule } => (certificate, rule),
        other => panic!("{other:?}"),
    };
    let other = Key::new(9);
    let chain = Chain::new();
    let forged = parse(&chain.low.issue(&Key::new(3), &other));
    let error = search(&leaf, &[forged, high.clone()], std::slice::from_ref(&root), SVID_PURPOSES, limits)
        .unwrap_err();
    assert_eq!(bad(error), ("CN=low".into(), PathRule::Certificate(CertificateError::BadSignature)));
    // A namesake with another key does not stand in the way.
    let namesake = parse(&chain.low.issue(&other, &Key::new(2)));
    let found =
        search(&leaf, &[namesake, high, low.clone()], std::slice::from_ref(&root), SVID_PURPOSES, limits)
            .unwrap();
    assert_eq!(found[0], low);
    // Nor is the root trusted for being sent along.
    let error =
        search(&leaf, &[low, root], &[parse(&chain.root.issue(&other, &other))], SVID_PURPOSES, limits);
    assert!(error.unwrap_err().is_undecided());
}

#[test]
fn the_signature_of_a_root_by_its_own_key_is_not_checked() {
    let [leaf, low, high, root] = Chain::new().issued();
    let limits = |signatures| Limits { signatures, ..Limits::default() };
    let (intermediates, authorities) = ([high, low], [root]);
    for (signatures, is_enough) in [(2, false), (3, true)] {
        let found = search(&leaf, &intermediates, &authorities, SVID_PURPOSES, limits(signatures));
        assert_eq!(found.is_ok(), is_enough, "{signatures} signatures: {found:?}");
    }
}

#[test]
fn name_constraints_bind() {
    let permit = |names: &[Vec<u8>]| name_constraints(names, &[]);
    let exclude = |names: &[Vec<u8>]| name_constraints(&[], names);
    let email = tlv(0x81, b"example.org");
    let directory = tlv(0xa4, &pki::name("workload"));
    // What it is, constraints of `high`, the leaf's URI, its DNS names, the answer.
    type Case = (&'static str, Vec<u8>, &'static str, &'static [&'static str], &'static str);
    let cases: Vec<Case> = vec![
        ("host", permit(&[uri("example.org")]), ID, &[], ""),
        ("host, in capitals", permit(&[uri("Example.ORG")]), ID, &[], ""),
        ("one of two hosts", permit(&[uri("other.test"), uri("example.org")]), ID, &[], ""),
        ("another host", permit(&[uri("other.test")]), ID, &[], "name-not-permitted"),
        (
            "a host is not its subdomains",
            permit(&[uri("example.org")]),
            "spiffe://a.example.org/x",
            &[],
            "name-not-permitted",
        ),
        (
            "a host is not its suffixes",
            permit(&[uri("example.org")]),
            "spiffe://notexample.org/x",
            &[],
            "name-not-permitted",
        ),
        ("suffix", permit(&[uri(".example.org")]), "spiffe://a.b.example.org/x", &[], ""),
        ("a suffix is not the domain itself", permit(&[uri(".example.org")]), ID, &[], "name-not-permitted"),
        (
            "a suffix starts at a label",
            permit(&[uri(".example.org")]),
            "spiffe://notexample.org/x",
            &[],
            "name-not-permitted",
        ),
        ("everything", permit(&[uri("")]), ID, &[], ""),
        ("nothing", exclude(&[uri("")]), ID, &[], "name-excluded"),
        ("excluded host", exclude(&[uri("example.org")]), ID, &[], "name-excluded"),
        (
            "excluded suffix",
            exclude(&[uri(".example.org")]),
            "spiffe://a.example.org/x",
            &[],
            "name-excluded",
        ),
        ("another host excluded", exclude(&[uri("other.test")]), ID, &[], ""),
        (
            "permitted and excluded",
            name_constraints(&[uri(".org")], &[uri("example.org")]),
            ID,
            &[],
            "name-excluded",
        ),
        (
            "port and user are not the host",
            permit(&[uri("example.org")]),
            "https://a@example.org:8443/x",
            &[],
            "",
        ),
        (
            "the host is not in the user",
            permit(&[uri("example.org")]),
            "https://example.org@other.test/x",
            &[],
            "name-not-permitted",
        ),
        (
            "nor behind a query",
            permit(&[uri("example.org")]),
            "https://other.test?@example.org",
            &[],
            "name-not-permitted",
        ),
        ("an IP address", exclude(&[uri("other.test")]), "spiffe://10.0.0.1/x", &[], "name-without-domain"),
        ("no authority", exclude(&[uri("other.test")]), "urn:x", &[], "name-without-domain"),
        ("trust domain of one label", permit(&[uri("prod_1")]), "spiffe://prod_1/x", &[], ""),
        ("DNS constraints do not concern URIs", permit(&[dns("other.test")]), ID, &[], ""),
        ("URI constraints do not concern DNS names", permit(&[uri("example.org")]), ID, &["other.test"], ""),
        ("DNS", permit(&[dns("example.org")]), ID, &["example.org", "a.b.Example.org"], ""),
        (
            "DNS, another",
            permit(&[dns("example.org")]),
            ID,
            &["a.example.org", "other.test"],
            "name-not-permitted",
        ),
        ("DNS, not at a label", permit(&[dns("example.org")]), ID, &["notexample.org"], "name-not-permitted"),
        ("DNS, excluded", exclude(&[dns("taskrun.internal")]), ID, &["x.taskrun.internal"], "name-excluded"),
        ("DNS, wildcard within", permit(&[dns("example.org")]), ID, &["*.example.org"], ""),
        (
            "DNS, wildcard reaching beyond",
            permit(&[dns("a.example.org")]),
            ID,
            &["*.example.org"],
            "name-not-permitted",
        ),
        ("DNS, wildcard touching", exclude(&[dns("a.example.org")]), ID, &["*.example.org"], "name-excluded"),
        ("DNS, malformed", permit(&[dns("example.org")]), ID, &["..example.org"], "name-without-domain"),
        (
            "a constraint that is no host",
            permit(&[uri("spiffe://example.org")]),
            ID,
            &[],
            "constraint-not-evaluated",
        ),
        (
            "a DNS constraint with a leading dot",
            permit(&[dns(".example.org")]),
            ID,
            &["a.example.org"],
            "constraint-not-evaluated",
        ),
        ("the same without DNS names", permit(&[dns(".example.org")]), ID, &[], ""),
        ("a directory name", permit(std::slice::from_ref(&directory)), ID, &[], "constraint-not-evaluated"),
        ("a directory name, excluded", exclude(&[directory]), ID, &[], "constraint-not-evaluated"),
        (
            "a constraint with a minimum",
            extension(
                "2.5.29.30",
                true,
                &sequence(&[tlv(0xa0, &sequence(&[uri("example.org"), tlv(0x80, &[1])]))]),
            ),
            ID,
            &[],
            "constraint-not-evaluated",
        ),
        ("an e-mail address, and none there", permit(&[email]), ID, &[], ""),
    ];
    for (case, constraints, id, names, code) in cases {
        let leaf = |leaf: &mut Plan| {
            leaf.uris = vec![id.into()];
            leaf.dns = names.iter().map(|name| (*name).into()).collect();
        };
        for (whose, chain) in [
            ("high", Chain::new().leaf(leaf).high(|ca| ca.more = vec![constraints.clone()])),
            ("root", Chain::new().leaf(leaf).root(|ca| ca.more = vec![constraints.clone()])),
        ] {
            let found = chain.search();
            let answer = found.as_ref().map_or_else(|error| error.code(), |_| "");
            assert_eq!(answer, code, "{case}, constraints of {whose}: {found:?}");
            let undecided = found.is_err_and(|error| error.is_undecided());
            assert_eq!(undecided, code == "constraint-not-evaluated", "{case}");
        }
    }
}

#[test]
fn name_constraints_bind_cas_too_but_no_self_issued_one() {
    let only = |name: &str| vec![name_constraints(&[uri(name)], &[])];
    let own = |ca: &mut Plan| ca.uris = vec!["spiffe://other.test".into()];
    let error = Chain::new().high(|ca| ca.more = only("example.org")).low(own).search().unwrap_err();
    let PathError::Refused { certificate, rule: PathRule::Names(NameError::NotPermitted { name }) } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!((&*certificate, &*name), ("CN=low (spiffe://other.test)", "spiffe://other.test"));
    // A CA's own names are not held against its own constraints.
    assert!(Chain::new().low(|ca| ca.more = only("example.org")).low(own).search().is_ok());
    // `high` gives itself a new key: RFC 5280 6.1.3 b, and 4.2.1.9 for the path length.
    let [leaf, old, new, root] = [4, 3, 2, 1].map(Key::new);
    let chain =
        Chain::new().leaf(|leaf| leaf.issuer = "high".into()).high(|ca| ca.more = only("example.org"));
    let high = parse(&chain.high.with(|ca| ca.path_len = Some(0)).issue(&old, &root));
    let renewed = Plan::ca("high", "high", "other.test").issue(&new, &old);
    let found = search(
        &parse(&chain.leaf.issue(&leaf, &new)),
        &[high, parse(&renewed)],
        &[parse(&chain.root.issue(&root, &root))],
        SVID_PURPOSES,
        Limits::default(),
    );
    assert_eq!(found.map(|issuers| issuers.len()), Ok(3));
}

#[test]
fn of_several_paths_the_one_that_lasts_longest_is_found() {
    let [leaf, low, high, root] = Chain::new().issued();
    let short =
        Chain::new().high(|ca| ca.end = NOW + 10).low(|ca| ca.end = NOW + 10).root(|ca| ca.end = NOW + 10);
    let [_, short_low, short_high, short_root] = short.issued();
    for (case, intermediates, authorities) in [
        (
            "short ones first",
            [short_low.clone(), short_high.clone(), low.clone(), high.clone()],
            [short_root.clone(), root.clone()],
        ),
        ("short ones last", [low, high, short_low, short_high], [root, short_root]),
    ] {
        let found = search(&leaf, &intermediates, &authorities, SVID_PURPOSES, Limits::default()).unwrap();
        assert!(found.iter().all(|issuer| issuer.validity().not_after == UnixSeconds::new(END)), "{case}");
    }
}

#[test]
fn an_intermediate_that_is_an_authority_ends_the_path() {
    let [leaf, low, high, root] = Chain::new().issued();
    let found = search(&leaf, &[low.clone(), high], &[root, low.clone()], SVID_PURPOSES, Limits::default());
    assert_eq!(found, Ok(vec![low]));
}

/// CAs of one name that sign each other in every direction, below no authority.
fn tangle(count: u8) -> Vec<Certificate> {
    let pairs = (1..=count).flat_map(|subject| (1..=count).map(move |issuer| (subject, issuer)));
    let ca = Plan::ca("ca", "ca", "example.org");
    pairs.map(|(subject, issuer)| parse(&ca.issue(&Key::new(subject), &Key::new(issuer)))).collect()
}

#[test]
fn hostile_chains_end_the_search_with_an_error_of_their_own() {
    let leaf = parse(&Plan::leaf(ID).issue(&Key::new(100), &Key::new(1)));
    let stranger = Key::new(200);
    let authority = [parse(&Plan::ca("ca", "ca", "example.org").issue(&stranger, &stranger))];
    let start = std::time::Instant::now();
    let error = search(&leaf, &tangle(10), &authority, SVID_PURPOSES, Limits::default()).unwrap_err();
    assert_eq!(error, PathError::Budget { what: "signatures", limit: 100 });
    assert!(error.is_undecided());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    // A straight chain that is longer than what is looked at.
    let cas: Vec<Certificate> = (1..=20u8)
        .map(|n| {
            let plan = Plan::ca(&format!("ca{n}"), &format!("ca{}", n + 1), "example.org");
            parse(&plan.issue(&Key::new(n), &Key::new(n + 1)))
        })
        .collect();
    let leaf =
        parse(&Plan::leaf(ID).with(|leaf| leaf.issuer = "ca1".into()).issue(&Key::new(100), &Key::new(1)));
    for (authority, found) in [(15, Ok(16)), (16, Err("chain-too-long"))] {
        let result =
            search(&leaf, &cas, std::slice::from_ref(&cas[authority]), SVID_PURPOSES, Limits::default());
        assert_eq!(
            result.map(|path| path.len()).map_err(|error| error.code()),
            found,
            "authority {authority}"
        );
    }

    // More names times constraints than can be compared.
    let many = |count: usize| (0..count).map(|n| dns(&format!("n{n}.test"))).collect::<Vec<_>>();
    let chain = Chain::new()
        .leaf(|leaf| leaf.dns = (0..600).map(|n| format!("n{n}.test")).collect())
        .high(|ca| ca.more = vec![name_constraints(&many(600), &[])]);
    let error = chain.search().unwrap_err();
    assert_eq!(error, PathError::Budget { what: "comparisons of names", limit: 250_000 });

    // Cross-signed CAs, no way out.
    let pair = [
        parse(&Plan::ca("a", "b", "example.org").issue(&Key::new(1), &Key::new(2))),
        parse(&Plan::ca("b", "a", "example.org").issue(&Key::new(2), &Key::new(1))),
    ];
    let leaf =
        parse(&Plan::leaf(ID).with(|leaf| leaf.issuer = "a".into()).issue(&Key::new(100), &Key::new(1)));
    assert_eq!(
        search(&leaf, &pair, &authority, SVID_PURPOSES, Limits::default()).unwrap_err().code(),
        "no-issuer"
    );
}

/// One CA of a random PKI; names and keys are few, so that they often fit.
#[derive(Debug, Clone)]
struct RandomCa {
    subject: u8,
    issuer: u8,
    /// Instead of the key that belongs to the issuer's name.
    other_signer: bool,
    ca: Option<bool>,
    path_len: Option<u8>,
    purposes: Option<Vec<&'static str>>,
    expired: bool,
    unknown_critical: bool,
    /// What webpki does not look at: key IDs, keyCertSign, and for authorities everything but name, key and constraints.
    key_id: Option<u8>,
    authority_key_id: Option<u8>,
    cert_sign: bool,
}

fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    rare: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    prop_oneof![9 => Just(usual), 1 => rare].boxed()
}

fn random_ca() -> impl Strategy<Value = RandomCa> {
    let purposes = prop_oneof![
        8 => Just(None),
        1 => Just(Some(vec![CLIENT_AUTH])),
        1 => Just(Some(vec![SERVER_AUTH, CLIENT_AUTH])),
        1 => Just(Some(vec![SERVER_AUTH])),
    ];
    let key_id = || mostly(None, (1..3u8).prop_map(Some));
    (
        (
            1..5u8,
            0..5u8,
            mostly(false, Just(true)),
            mostly(Some(true), prop_oneof![Just(None), Just(Some(false))]),
        ),
        (prop_oneof![6 => Just(None), 1 => (0..3u8).prop_map(Some)], purposes),
        (mostly(false, Just(true)), mostly(false, Just(true)), key_id(), key_id(), mostly(true, Just(false))),
    )
        .prop_map(|((subject, issuer, other_signer, ca), (path_len, purposes), rest)| {
            let (expired, unknown_critical, key_id, authority_key_id, cert_sign) = rest;
            RandomCa {
                subject,
                issuer,
                other_signer,
                ca,
                path_len,
                purposes,
                expired,
                unknown_critical,
                key_id,
                authority_key_id,
                cert_sign,
            }
        })
}

impl RandomCa {
    /// `full` with what webpki does not look at.
    fn issue(&self, full: bool, keys: &[Key]) -> Vec<u8> {
        let signer = if self.other_signer { (self.issuer + 1) % 5 } else { self.issuer };
        let mut more = Vec::new();
        more.extend(self.unknown_critical.then(|| extension("1.2.3.4", true, &[5, 0])));
        if full {
            more.extend(self.key_id.map(subject_key_id));
            more.extend(self.authority_key_id.map(authority_key_id));
        }
        let plan = Plan::ca(&format!("n{}", self.subject), &format!("n{}", self.issuer), "x").with(|plan| {
            plan.uris.clear();
            plan.ca = self.ca;
            plan.path_len = self.path_len.filter(|_| self.ca == Some(true));
            plan.ext_key_usages = self.purposes.clone();
            plan.end = if self.expired { NOW - 1 } else { END };
            plan.key_usage = Some(if full && !self.cert_sign { 1 } else { KEY_CERT_SIGN });
            plan.more = more;
        });
        plan.issue(&keys[self.subject as usize], &keys[signer as usize])
    }
}

fn webpki_accepts(leaf: &[u8], intermediates: &[Vec<u8>], authorities: &[Vec<u8>]) -> bool {
    let ders: Vec<_> = authorities.iter().map(|der| der.as_slice().into()).collect();
    let anchors: Vec<_> = ders.iter().map(|der| webpki::anchor_from_trusted_cert(der).unwrap()).collect();
    let intermediates: Vec<_> = intermediates.iter().map(|der| der.as_slice().into()).collect();
    let leaf = leaf.into();
    let Ok(leaf) = webpki::EndEntityCert::try_from(&leaf) else { return false };
    leaf.verify_for_usage(
        &[webpki::ring::ECDSA_P256_SHA256],
        &anchors,
        &intermediates,
        rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(NOW as u64)),
        webpki::KeyUsage::client_auth(),
        None,
        None,
    )
    .is_ok()
}

/// Random PKIs to both searches; `judge` gets what each says. Returns how many ours accepted.
fn compare_with_webpki(full: bool, judge: impl Fn(bool, bool) -> bool) -> u32 {
    let accepted = Cell::new(0);
    let keys: Vec<Key> = (1..=5).map(Key::new).collect();
    let leaf_key = Key::new(50);
    let leaf = (0..5u8, mostly(false, Just(true)), mostly(false, Just(true)));
    let pki = (leaf, vec(random_ca(), 0..6), vec(random_ca(), 1..3));
    // The same cases in every run.
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng)
        .run(&pki, |((issuer, expired, only_server), mut intermediates, mut authorities)| {
            // Differs on purpose: webpki counts self-issued CAs in path lengths, RFC 5280 4.2.1.9 does not.
            intermediates.retain(|ca| ca.subject != ca.issuer);
            for (index, authority) in authorities.iter_mut().enumerate() {
                // Name 0 is an authority's, so that a path has somewhere to end.
                authority.subject = [0, authority.subject][index];
                if !full {
                    *authority = RandomCa {
                        ca: Some(true),
                        path_len: None,
                        purposes: None,
                        expired: false,
                        unknown_critical: false,
                        ..authority.clone()
                    };
                }
            }
            let leaf = Plan::leaf(ID).with(|leaf| {
                leaf.issuer = format!("n{issuer}");
                leaf.end = if expired { NOW - 1 } else { END };
                leaf.ext_key_usages = Some(vec![if only_server { SERVER_AUTH } else { CLIENT_AUTH }]);
            });
            let leaf = leaf.issue(&leaf_key, &keys[issuer as usize]);
            let [intermediates, authorities] = [intermediates, authorities]
                .map(|cas| cas.iter().map(|ca| ca.issue(full, &keys)).collect::<Vec<_>>());
            let read = |ders: &[Vec<u8>]| ders.iter().map(|der| parse(der)).collect::<Vec<_>>();
            let ours = search(
                &parse(&leaf),
                &read(&intermediates),
                &read(&authorities),
                &[KeyPurpose::ClientAuth],
                Limits::default(),
            );
            accepted.set(accepted.get() + u32::from(ours.is_ok()));
            let theirs = webpki_accepts(&leaf, &intermediates, &authorities);
            prop_assert!(judge(ours.is_ok(), theirs), "ours: {ours:?}, webpki accepts: {theirs}");
            Ok(())
        })
        .unwrap();
    accepted.get()
}

#[test]
fn where_both_look_at_the_same_webpki_says_the_same() {
    let accepted = compare_with_webpki(false, |ours, theirs| ours == theirs);
    assert!((80..320).contains(&accepted), "{accepted} of 400 were good");
}

#[test]
fn nothing_is_accepted_that_webpki_refuses() {
    let accepted = compare_with_webpki(true, |ours, theirs| theirs || !ours);
    assert!((50..320).contains(&accepted), "{accepted} of 400 were good");
}

#[test]
fn webpki_says_the_same_of_dns_constraints() {
    let names = proptest::sample::subsequence(
        vec!["a.test", "b.a.test", "*.a.test", "c.test", "xa.test", "*.b.a.test"],
        0..3,
    );
    let subtrees =
        || proptest::sample::subsequence(vec!["a.test", "b.a.test", "test", "c.test", "A.Test"], 0..3);
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let (root_key, ca_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(3));
    let root = Plan::ca("root", "root", "x").with(|root| root.uris.clear()).issue(&root_key, &root_key);
    let accepted = Cell::new(0);
    TestRunner::new_with_rng(config, rng)
        .run(&(names, subtrees(), subtrees()), |(names, permitted, excluded)| {
            let general = |subtrees: &[&str]| subtrees.iter().map(|name| dns(name)).collect::<Vec<_>>();
            let ca = Plan::ca("ca", "root", "x").with(|ca| {
                ca.uris.clear();
                if !permitted.is_empty() || !excluded.is_empty() {
                    ca.more = vec![name_constraints(&general(&permitted), &general(&excluded))];
                }
            });
            let ca = ca.issue(&ca_key, &root_key);
            let leaf = Plan::leaf(ID).with(|leaf| {
                leaf.uris.clear();
                leaf.dns = names.iter().map(|name| (*name).into()).collect();
            });
            let leaf = leaf.issue(&leaf_key, &ca_key);
            let theirs = webpki_accepts(&leaf, std::slice::from_ref(&ca), std::slice::from_ref(&root));
            let ours =
                search(&parse(&leaf), &[parse(&ca)], &[parse(&root)], SVID_PURPOSES, Limits::default());
            accepted.set(accepted.get() + u32::from(ours.is_ok()));
            prop_assert_eq!(ours.is_ok(), theirs, "{:?}", ours);
            Ok(())
        })
        .unwrap();
    assert!((80..350).contains(&accepted.get()), "{} of 400 were good", accepted.get());
}
