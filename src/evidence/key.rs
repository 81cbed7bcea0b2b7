//! The SVID's private key and the signatures made with it.
//!
//! Attestation: ECDSA P-256/SHA-256, ECDSA P-384/SHA-384 (both fixed length r‖s, low s), RSA PKCS#1 v1.5/SHA-256.
//! TEP-0089 form: SHA-256 throughout, ECDSA as ASN.1 DER (Tekton `pkg/spire/sign.go`), so P-384 signs a SHA-256 digest.

use p384::{
    ecdsa::signature::{Signer as _, hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use ring::{
    rand::{SecureRandom, SystemRandom},
    rsa,
    signature::{self, EcdsaKeyPair, KeyPair as _},
};
use zeroize::Zeroizing;

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PKCS#8 DER of an algorithm that SPIRE issues.
    #[error("the private key is not PKCS#8 of P-256, P-384 or RSA (2048 to 4096 bits)")]
    Unsupported,
    /// The signature could not be made.
    #[error("the private key failed to sign")]
    Sign,
}

/// The private key of an X509-SVID. P-384 scalars are erased when dropped; ring, which signs with the other kinds many times
/// faster, does not erase them.
pub enum SigningKey {
    /// ECDSA over P-256.
    P256(Box<EcdsaKeyPair>),
    /// ECDSA over P-384.
    P384(Box<p384::ecdsa::SigningKey>),
    /// RSA, 2048 bits or more.
    Rsa(Box<rsa::KeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::P256(_) => "SigningKey(P-256)",
            Self::P384(_) => "SigningKey(P-384)",
            Self::Rsa(_) => "SigningKey(RSA)",
        })
    }
}

impl SigningKey {
    /// Reads unencrypted PKCS#8 DER as the Workload API hands it out (SPIFFE Workload API, field `x509_svid_key`).
    pub fn from_pkcs8(der: &Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let p256 = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(p256, der, &SystemRandom::new()) {
            return Ok(Self::P256(Box::new(key)));
        }
        if let Ok(key) = p384::ecdsa::SigningKey::from_pkcs8_der(der) {
            return Ok(Self::P384(Box::new(key)));
        }
        match rsa::KeyPair::from_pkcs8(der) {
            Ok(key) => Ok(Self::Rsa(Box::new(key))),
            Err(_) => Err(KeyError::Unsupported),
        }
    }

    /// The public key as it is in a certificate's SubjectPublicKeyInfo BIT STRING: an uncompressed point, or the
    /// DER of RSAPublicKey.
    pub fn public_key(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.public_key().as_ref().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::Rsa(key) => signature::KeyPair::public_key(key.as_ref()).as_ref().to_vec(),
        }
    }

    /// Signs `message` for an attestation.
    pub fn sign_attestation(&self, message: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::P256(key) => Ok(sign_p256(key, message, random)?.normalize_s().to_bytes().to_vec()),
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(message).map_err(|_| KeyError::Sign)?;
                Ok(signature.normalize_s().to_bytes().to_vec())
            }
            Self::Rsa(key) => sign_rsa(key, message, random),
        }
    }

    /// Signs `message` as Tekton's own signer does.
    pub fn sign_tep0089(&self, message: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::P256(key) => Ok(sign_p256(key, message, random)?.to_der().as_bytes().to_vec()),
            Self::P384(key) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, message);
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(digest.as_ref()).map_err(|_| KeyError::Sign)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Self::Rsa(key) => sign_rsa(key, message, random),
        }
    }
}

fn sign_p256(
    key: &EcdsaKeyPair,
    message: &[u8],
    random: &dyn SecureRandom,
) -> Result<p256::ecdsa::Signature, KeyError> {
    let signature = key.sign(random, message).map_err(|_| KeyError::Sign)?;
    p256::ecdsa::Signature::from_slice(signature.as_ref()).map_err(|_| KeyError::Sign)
}

fn sign_rsa(key: &rsa::KeyPair, message: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, random, message, &mut signature).map_err(|_| KeyError::Sign)?;
    Ok(signature)
}
