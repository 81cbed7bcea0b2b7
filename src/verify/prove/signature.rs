//! Signatures checked with the leaf's public key.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509::{Certificate, KeyAlgorithm};

/// Which signatures are meant: ECDSA as fixed-length r‖s or as DER, and the digest for P-384.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// docs/evidence.md 7: P-256/SHA-256 and P-384/SHA-384, r‖s with low s; RSA PKCS#1 v1.5/SHA-256.
    Attestation,
    /// Tekton's signer: SHA-256 throughout, ECDSA as DER.
    Tep0089,
}

/// Half the order of P-256, rounded down: a low s is at most this (SEC 1; FIPS 186-5 D.1.2.3).
const HALF_ORDER_P256: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// Half the order of P-384, rounded down.
const HALF_ORDER_P384: [u8; 48] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe3, 0xb1, 0xa6, 0xc0, 0xfa, 0x1b, 0x96, 0xef, 0xac, 0x0d,
    0x06, 0xd9, 0x24, 0x58, 0x53, 0xbd, 0x76, 0x76, 0x0c, 0xb5, 0x66, 0x62, 0x94, 0xb9,
];

/// Whether `signature` over `message` was made with the leaf's private key.
pub fn verifies(leaf: &Certificate, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match (leaf.algorithm(), scheme) {
        (KeyAlgorithm::P256, Scheme::Attestation) if is_low_s(signature, &HALF_ORDER_P256) => {
            &signature::ECDSA_P256_SHA256_FIXED
        }
        (KeyAlgorithm::P384, Scheme::Attestation) if is_low_s(signature, &HALF_ORDER_P384) => {
            &signature::ECDSA_P384_SHA384_FIXED
        }
        (KeyAlgorithm::P256, Scheme::Tep0089) => &signature::ECDSA_P256_SHA256_ASN1,
        (KeyAlgorithm::P384, Scheme::Tep0089) => &signature::ECDSA_P384_SHA256_ASN1,
        (KeyAlgorithm::Rsa { .. }, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return false,
    };
    UnparsedPublicKey::new(algorithm, leaf.public_key_bits()).verify(message, signature).is_ok()
}

/// Each signature has one accepted encoding: without this rule (r, n − s) would be a second one.
fn is_low_s(signature: &[u8], half_order: &[u8]) -> bool {
    signature.len() == 2 * half_order.len() && signature[half_order.len()..] <= *half_order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_two_forms_of_a_signature_the_one_with_the_low_s_counts() {
        fn check(curve: &str, half_order: &[u8]) {
            let signature = |s: &[u8]| [&vec![1; half_order.len()], s].concat();
            let mut one_more = half_order.to_vec();
            *one_more.last_mut().unwrap() += 1;
            for (case, signature, is_low) in [
                ("zero", signature(&vec![0; half_order.len()]), true),
                ("half the order", signature(half_order), true),
                ("one more", signature(&one_more), false),
                ("the largest", signature(&vec![0xff; half_order.len()]), false),
                ("a byte less", signature(&half_order[1..]), false),
                ("a byte more", signature(&[half_order, &[0]].concat()), false),
                ("nothing", Vec::new(), false),
            ] {
                assert_eq!(is_low_s(&signature, half_order), is_low, "{curve}: {case}");
            }
        }
        check("P-256", &HALF_ORDER_P256);
        check("P-384", &HALF_ORDER_P384);
    }
}
