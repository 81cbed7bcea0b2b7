//! Chains that an attestation may come with, and what each is worth. The certificates are made here, since no SPIRE issues most of
//! them; the attestation is built and signed with the library.

#![cfg(feature = "cli")]

#[path = "support/one_step.rs"]
mod one_step;
mod pki;

use one_step::one_step;
use pki::{Key, Plan, extension, sequence, tlv};
use serde_json::Value;
use svidence::{
    verify::{Policy, Report, Trust, Verdict, taskrun::TaskRun, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};

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
        now: SIGNED + 60,
        at: None,
        clock_skew: 10,
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
            Verdict::Invalid,
            "chain",
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
