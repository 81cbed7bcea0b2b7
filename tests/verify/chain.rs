//! Chains that an attestation may come with, and what each is worth. The certificates are made here, since no SPIRE issues most of
//! them; the attestation is built and signed with the library.

use crate::one_step;
use crate::pki;

use one_step::one_step;
use pki::{Key, Plan, extension, sequence, tlv};
use serde_json::Value;
use svidence::{
    tekton::taskrun::TaskRun,
    verify::{Policy, Report, Trust, Verdict, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use unixtime::UnixSeconds;

/// 2026-11-22T05:30:10Z.
const SIGNED: i64 = 1_795_325_410;
const ID: &str = "spiffe://example.org/ns/default/taskrun/chain";

fn attested(leaf: &[u8], intermediates: &[Vec<u8>], key: &Key) -> Value {
    one_step("chain", SIGNED, leaf, intermediates, key.pkcs8()).0
}

fn judge(object: &Value, bundle: &[Vec<u8>], intermediates: &[Vec<u8>]) -> Report {
    let td = || TrustDomain::new("example.org").unwrap();
    let trust = Trust {
        bundle: X509Bundle::from_der(td(), &bundle.concat()).unwrap(),
        intermediates: match intermediates {
            [] => vec![],
            given => X509Bundle::from_der(td(), &given.concat()).unwrap().authorities().to_vec(),
        },
        now: UnixSeconds::new(SIGNED + 60),
        at: None,
        clock_skew: std::time::Duration::from_secs(10),
    };
    verify(&TaskRun::from_value(object.clone()).unwrap(), &trust, &Policy::default())
}

fn leaf() -> Plan {
    Plan::leaf(ID).with(|leaf| leaf.issuer = "sub".into())
}

#[test]
fn chains_get_the_verdict_they_deserve() {
    let (root_key, sub_key, other_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(3), Key::new(4));
    let plain_root = Plan::ca("root", "root", "x").with(|root| root.uris.clear());
    let root = plain_root.issue(&root_key, &root_key);
    let sub = || Plan::ca("sub", "root", "example.org");
    let good_sub = sub().issue(&sub_key, &root_key);
    let good_leaf = leaf().issue(&leaf_key, &sub_key);
    let expired = SIGNED - 3600;
    let constrained = |name: &[u8]| {
        let constraints = extension("2.5.29.30", true, &sequence(&[tlv(0xa0, &sequence(&[name.to_vec()]))]));
        vec![sub().with(|sub| sub.more = vec![constraints]).issue(&sub_key, &root_key)]
    };
    let other_ca = Plan::ca("other", "root", "other.test").issue(&other_key, &root_key);
    let sub_of_other = Plan::ca("sub", "other", "example.org").issue(&sub_key, &other_key);
    /// What it is, leaf, carried intermediates, bundle, verdict, code of the finding.
    type Case = (&'static str, Vec<u8>, Vec<Vec<u8>>, Vec<u8>, Verdict, &'static str);
    let cases: Vec<Case> = vec![
        (
            "leaf, CA, corporate root",
            good_leaf.clone(),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Verified,
            "",
        ),
        (
            "the CA itself is in the bundle",
            good_leaf.clone(),
            vec![],
            good_sub.clone(),
            Verdict::Verified,
            "",
        ),
        ("the CA is missing", good_leaf.clone(), vec![], root.clone(), Verdict::Unchecked, "unknown-issuer"),
        (
            "a CA of another trust domain under the same root",
            leaf().issue(&leaf_key, &sub_key),
            vec![Plan::ca("sub", "root", "other.test").issue(&sub_key, &root_key)],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "a CA of ours that another trust domain's CA made",
            good_leaf.clone(),
            vec![sub_of_other, other_ca],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "a CA without a trust domain",
            good_leaf.clone(),
            vec![sub().with(|sub| sub.uris.clear()).issue(&sub_key, &root_key)],
            root.clone(),
            Verdict::Unchecked,
            "undecided",
        ),
        (
            "a CA without a trust domain, and its twin that has it",
            good_leaf.clone(),
            vec![sub().with(|sub| sub.uris.clear()).issue(&sub_key, &root_key), good_sub.clone()],
            root.clone(),
            Verdict::Verified,
            "",
        ),
        (
            "an expired CA",
            good_leaf.clone(),
            vec![sub().with(|sub| sub.end = expired).issue(&sub_key, &root_key)],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "an expired root",
            good_leaf.clone(),
            vec![good_sub.clone()],
            plain_root.clone().with(|root| root.end = expired).issue(&root_key, &root_key),
            Verdict::Invalid,
            "chain",
        ),
        (
            "an expired leaf",
            leaf().with(|leaf| leaf.end = expired).issue(&leaf_key, &sub_key),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "a leaf that had expired by now",
            leaf().with(|leaf| leaf.end = SIGNED + 30).issue(&leaf_key, &sub_key),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Weak,
            "time-unproven",
        ),
        (
            "a root that had expired by now",
            good_leaf.clone(),
            vec![good_sub.clone()],
            plain_root.with(|root| root.end = SIGNED + 30).issue(&root_key, &root_key),
            Verdict::Weak,
            "time-unproven",
        ),
        (
            "an SVID as an issuer",
            leaf().with(|leaf| leaf.issuer = "workload".into()).issue(&leaf_key, &sub_key),
            vec![
                Plan::leaf("spiffe://example.org/evil")
                    .with(|svid| svid.issuer = "root".into())
                    .issue(&sub_key, &root_key),
            ],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "a signature of another key",
            leaf().issue(&leaf_key, &other_key),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "name constraints that permit the trust domain",
            good_leaf.clone(),
            constrained(&tlv(0x86, b"example.org")),
            root.clone(),
            Verdict::Verified,
            "",
        ),
        (
            "name constraints that permit another trust domain",
            good_leaf.clone(),
            constrained(&tlv(0x86, b"other.test")),
            root.clone(),
            Verdict::Invalid,
            "chain",
        ),
        (
            "name constraints of a form that is not evaluated",
            good_leaf.clone(),
            constrained(&tlv(0xa4, &pki::name("workload"))),
            root.clone(),
            Verdict::Unchecked,
            "undecided",
        ),
        (
            "two identities in the leaf",
            leaf().with(|leaf| leaf.uris.push("spiffe://example.org/x".into())).issue(&leaf_key, &sub_key),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Invalid,
            "certificate",
        ),
        (
            "another identity",
            leaf()
                .with(|leaf| leaf.uris = vec!["spiffe://example.org/ns/default/taskrun/other".into()])
                .issue(&leaf_key, &sub_key),
            vec![good_sub.clone()],
            root.clone(),
            Verdict::Invalid,
            "differs",
        ),
        (
            "our identity from another trust domain's root in its own name",
            Plan::leaf("spiffe://other.test/ns/default/taskrun/chain")
                .with(|leaf| leaf.issuer = "sub".into())
                .issue(&leaf_key, &sub_key),
            vec![good_sub],
            root,
            Verdict::Invalid,
            "differs",
        ),
    ];
    for (case, leaf, intermediates, bundle, verdict, code) in cases {
        let object = attested(&leaf, &intermediates, &leaf_key);
        let report = judge(&object, &[bundle], &[]);
        let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code()).collect();
        assert_eq!(report.verdict, verdict, "{case}: {:?}", report.findings);
        assert!(code.is_empty() || codes.contains(&code), "{case}: {codes:?}");
    }
}

#[test]
fn an_intermediate_may_be_given_by_the_operator() {
    let (root_key, sub_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(4));
    let root = Plan::ca("root", "root", "x").with(|root| root.uris.clear()).issue(&root_key, &root_key);
    let sub = Plan::ca("sub", "root", "example.org").issue(&sub_key, &root_key);
    let object = attested(&leaf().issue(&leaf_key, &sub_key), &[], &leaf_key);
    assert_eq!(judge(&object, std::slice::from_ref(&root), &[]).verdict, Verdict::Unchecked);
    let report = judge(&object, &[root], &[sub]);
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
}

/// A certificate that began a moment after the time that a slow clock showed; and one beside the path that did so, or not.
#[test]
fn only_certificates_on_the_path_decide_the_moment_that_it_is_checked_at() {
    let (root_key, sub_key, leaf_key) = (Key::new(1), Key::new(2), Key::new(4));
    let dated = |plan: Plan, start: i64, end: i64| {
        plan.with(|plan| (plan.start, plan.end) = (SIGNED + start, SIGNED + end))
    };
    let root = |start| dated(Plan::ca("root", "root", "x").with(|root| root.uris.clear()), start, 3600);
    let unrelated = |start| {
        dated(Plan::ca("newer", "newer", "example.org"), start, 3600).issue(&Key::new(5), &Key::new(5))
    };
    // Start and end of leaf, sub and root; a certificate that is on no path; whether there is a moment.
    for (case, leaf_dates, sub_dates, root_start, beside, good) in [
        ("the leaf ends before the one beside begins", (-60, 2), (-60, 600), -60, Some(5), true),
        ("the sub ends before the one beside begins", (-60, 600), (-60, 2), -60, Some(5), true),
        ("the one beside begins too late to matter", (5, 600), (-60, 600), -60, Some(12), true),
        ("the leaf begins later, the one beside between", (5, 600), (-60, 600), -60, Some(3), true),
        ("the leaf begins later", (10, 600), (-60, 600), -60, None, true),
        ("the leaf begins too late", (11, 600), (-60, 600), -60, None, false),
        ("the sub begins later", (-60, 600), (10, 600), -60, None, true),
        ("the sub begins too late", (-60, 600), (11, 600), -60, None, false),
        ("the root begins later", (-60, 600), (-60, 600), 10, None, true),
        ("the root begins too late", (-60, 600), (-60, 600), 11, None, false),
        ("all begin later", (3, 600), (7, 600), 5, Some(9), true),
        ("the sub begins as the leaf ends", (-60, 4), (4, 600), -60, Some(1), true),
        ("the sub begins after the leaf has ended", (-60, 4), (5, 600), -60, None, false),
        ("the leaf begins after the sub has ended", (5, 600), (-60, 4), -60, Some(5), false),
        ("the root begins after the leaf has ended", (-60, 4), (-60, 600), 5, None, false),
        ("the leaf had ended", (-60, -1), (-60, 600), -60, None, false),
        ("the sub had ended", (-60, 600), (-60, -1), -60, Some(-1), false),
    ] {
        let leaf = dated(leaf(), leaf_dates.0, leaf_dates.1).issue(&leaf_key, &sub_key);
        let sub = dated(Plan::ca("sub", "root", "example.org"), sub_dates.0, sub_dates.1)
            .issue(&sub_key, &root_key);
        let root = root(root_start).issue(&root_key, &root_key);
        let beside: Vec<Vec<u8>> = beside.map(unrelated).into_iter().collect();
        for (place, carried, given) in [
            ("carried", [vec![sub.clone()], beside.clone()].concat(), vec![]),
            ("given", vec![sub.clone()], beside.clone()),
        ] {
            let report = judge(&attested(&leaf, &carried, &leaf_key), std::slice::from_ref(&root), &given);
            // An end before the time of the check leaves the time unproven, no more.
            let found = !matches!(report.verdict, Verdict::Invalid | Verdict::Unchecked);
            assert_eq!(found, good, "{case}, {place}: {:?} {:?}", report.verdict, report.findings);
        }
    }
}

/// `testdata/attacks`: it was called invalid.
#[test]
fn an_unrelated_newer_intermediate_has_no_say_in_the_time_window() {
    let trust_domain = || TrustDomain::new("example.org").unwrap();
    let pem = |text| X509Bundle::from_pem(trust_domain(), text).unwrap();
    let now = UnixSeconds::parse("2026-11-28T08:30:00Z").unwrap();
    let trust = Trust {
        bundle: pem(include_str!("../../testdata/attacks/skew.pem")),
        intermediates: pem(include_str!("../../testdata/attacks/newer.pem")).authorities().to_vec(),
        now,
        at: None,
        clock_skew: std::time::Duration::from_secs(10),
    };
    let object: Value = serde_json::from_str(include_str!("../../testdata/attacks/skew.json")).unwrap();
    let policy = Policy { accept_unproven_time: true, ..Policy::default() };
    let report = verify(&TaskRun::from_value(object).unwrap(), &trust, &policy);
    assert!(report.accepted, "{:?}", report.findings);
}
