//! Public keys of Tekton Chains' signers, as `cosign.pub` holds them.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use x509::{
    KeyAlgorithm, PublicKey, PublicKeyError, der,
    pem::{self, PemError},
};

use crate::evidence::sha256;

/// Why a file gives no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainsKeyError {
    /// Its PEM is damaged, or something else is in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A key that is of no use.
    #[error("block {number}: {error}")]
    Key {
        /// Which block, from 1.
        number: usize,
        /// What is wrong with it.
        error: PublicKeyError,
    },
    /// Nothing in it.
    #[error(
        "it holds no public key in PEM (-----BEGIN PUBLIC KEY-----); cosign public-key writes that of a signer"
    )]
    Empty,
}

/// The keys that are trusted to be Chains'.
#[derive(Debug, Clone, Default)]
pub struct ChainsKeys(Vec<ChainsKey>);

impl ChainsKeys {
    /// Trusts every key in this PEM.
    pub fn trust_pem(&mut self, text: &str) -> Result<(), ChainsKeyError> {
        let mut keys = Vec::new();
        for (index, der) in pem::public_keys(text).enumerate() {
            let key =
                PublicKey::parse(&der?).map_err(|error| ChainsKeyError::Key { number: index + 1, error })?;
            keys.push(ChainsKey { keyid: keyid(&key), key });
        }
        if keys.is_empty() {
            return Err(ChainsKeyError::Empty);
        }
        self.0.extend(keys);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = &ChainsKey> {
        self.0.iter()
    }
}

/// A key that is trusted to be Chains'.
#[derive(Debug, Clone)]
pub struct ChainsKey {
    key: PublicKey,
    keyid: String,
}

impl ChainsKey {
    /// What DSSE's own library calls it: `SHA256:` and the digest of the key in SSH's form, as `ssh-keygen -l` shows it
    /// (go-securesystemslib `dsse`, `SHA256KeyID`).
    pub fn keyid(&self) -> &str {
        &self.keyid
    }

    /// Whether it made the signature.
    pub(super) fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.made_with_sha256(message, signature)
    }
}

fn keyid(key: &PublicKey) -> String {
    let field = |content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], content].concat()
    };
    // RFC 5656 3.1: the curve is named twice. RFC 4253 6.6: exponent, then modulus, each as DER has it.
    let of_curve = |name: &str| {
        let kind = format!("ecdsa-sha2-{name}");
        [field(kind.as_bytes()), field(name.as_bytes()), field(key.bits())].concat()
    };
    let ssh = match key.algorithm() {
        KeyAlgorithm::P256 => of_curve("nistp256"),
        KeyAlgorithm::P384 => of_curve("nistp384"),
        KeyAlgorithm::P521 => of_curve("nistp521"),
        _ => {
            let numbers = der::read_only(key.bits()).and_then(|sequence| der::read_all(sequence.content));
            let numbers = numbers.unwrap_or_default();
            let rest = numbers.iter().rev().map(|number| field(number.content));
            [field(b"ssh-rsa")].into_iter().chain(rest).collect::<Vec<_>>().concat()
        }
    };
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&ssh)))
}
