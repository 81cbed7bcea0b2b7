//! The TEP-0089 form, byte-compatible with Tekton's signer (Tekton `pkg/spire/sign.go`): others can read it; it is weak.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SecureRandom;
use x509::pem;

use super::{
    key::{KeyError, SigningKey},
    statement::PRE_AUTHENTICATION_PREFIX,
};
use crate::tekton::value;

/// Why these entries are not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tep0089Error {
    /// A name that these entries need, see [`collision`].
    #[error("the result {0} has a name that TEP-0089 entries need")]
    Collision(String),
    /// A value that would be an attestation if it were signed bare, as this form does.
    #[error(
        "the result {0} begins as an attestation's signed text does, which TEP-0089 entries must not sign"
    )]
    Oracle(String),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Key of the leaf certificate, PEM.
pub const SVID: &str = "SVID";
/// Key of the list of names, joined by commas.
pub const MANIFEST: &str = "RESULT_MANIFEST";
/// What a signature's key ends in.
pub const SUFFIX: &str = ".sig";

/// The entries, in Tekton's order, as (key, value): `SVID`, a signature for each result, the manifest and its signature.
///
/// `results` are the covered task results as (name, text) in the order of the message; `names` are all names that any step
/// may use as a key. Tekton's form signs bare values with the key and hash of an attestation: a value that looks like the
/// text under an attestation's signature is therefore never signed.
pub fn entries(
    results: &[(&str, &str)],
    names: &[&str],
    leaf: &[u8],
    key: &SigningKey,
    random: &dyn SecureRandom,
) -> Result<Vec<(String, String)>, Tep0089Error> {
    if let Some(name) = collision(names) {
        return Err(Tep0089Error::Collision(name.to_owned()));
    }
    let sign = |text: &str| -> Result<String, KeyError> {
        Ok(STANDARD.encode(key.sign_tep0089(text.as_bytes(), random)?))
    };
    let mut entries = vec![(SVID.to_owned(), pem::encode(leaf))];
    for (name, text) in results {
        let text = value::decode(text).tep0089_text();
        if text.starts_with(PRE_AUTHENTICATION_PREFIX) {
            return Err(Tep0089Error::Oracle((*name).to_owned()));
        }
        entries.push((format!("{name}{SUFFIX}"), sign(&text)?));
    }
    let names: Vec<&str> = results
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.ends_with(SUFFIX) && *name != SVID)
        .collect();
    let manifest = names.join(",");
    let signature = sign(&manifest)?;
    entries.push((MANIFEST.to_owned(), manifest));
    entries.push((format!("{MANIFEST}{SUFFIX}"), signature));
    Ok(entries)
}

/// The first of the names that this form would hide or be hidden by: a reserved key, or `foo.sig` beside `foo`.
pub fn collision<'a>(names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| {
        *name == SVID
            || *name == MANIFEST
            || name.strip_suffix(SUFFIX).is_some_and(|base| base == MANIFEST || names.contains(&base))
    })
}
