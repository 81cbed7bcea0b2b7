//! What Tekton Chains signed of a run: the attestation that an object was made of, or the one in a TaskRun's annotations.
//!
//! Chains attests whatever the status holds, so its signature proves nothing about the steps; it is one demand among others.

pub(crate) mod annotation;
pub mod key;

use std::{borrow::Cow, fmt, sync::Arc};

use self::key::ChainsKeys;
use crate::{
    evidence::statement::pre_authentication_encoding_of,
    tekton::{
        chains::{ChainsEnvelope, PipelineRunOrigin},
        taskrun::TaskRun,
    },
    verify::{cache::Caches, facts::Detail, finding::Finding},
};

/// What is known of Chains' signature over an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainsSignature {
    /// There is none.
    Missing(Cow<'static, str>),
    /// There is one, but nobody gave a key to check it with.
    NotChecked,
    /// The key of this name made it ([`key::ChainsKey::keyid`]).
    Signed(String),
}

impl ChainsSignature {
    /// The key that made it, if that is known.
    pub fn keyid(&self) -> Option<&str> {
        match self {
            Self::Signed(keyid) => Some(keyid),
            _ => None,
        }
    }
}

impl Default for ChainsSignature {
    fn default() -> Self {
        Self::Missing(Cow::Borrowed("it is not from an attestation of Tekton Chains"))
    }
}

impl fmt::Display for ChainsSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(reason) => f.write_str(reason),
            Self::NotChecked => f.write_str("Chains' signature is not checked (--chains-key gives its key)"),
            Self::Signed(keyid) => write!(f, "Chains signed it ({keyid})"),
        }
    }
}

/// Checks what Chains signed of an object, with the keys that are trusted.
pub(crate) fn check(
    task_run: &TaskRun,
    keys: &ChainsKeys,
    caches: &mut Caches,
) -> Result<ChainsSignature, Finding> {
    let Some(origin) = &task_run.chains else {
        return match keys.is_empty() {
            // Without a key nothing in it can be believed, and the object's own evidence is there.
            true => Ok(ChainsSignature::default()),
            false => annotation::check(task_run, keys),
        };
    };
    of_envelope(origin.envelope.as_ref(), keys, |envelope| {
        caches.check_envelope(envelope, |envelope| check_signatures(envelope, keys))
    })
}

/// Checks what Chains signed of a PipelineRun that was made of an attestation.
pub(crate) fn of_pipeline_run(
    origin: &PipelineRunOrigin,
    keys: &ChainsKeys,
) -> Result<ChainsSignature, Finding> {
    of_envelope(origin.envelope.as_ref(), keys, |envelope| check_signatures(envelope, keys))
}

fn of_envelope(
    envelope: Option<&Arc<ChainsEnvelope>>,
    keys: &ChainsKeys,
    signed: impl FnOnce(&Arc<ChainsEnvelope>) -> Result<String, Finding>,
) -> Result<ChainsSignature, Finding> {
    match envelope {
        None if !keys.is_empty() => {
            let reason =
                "the statement is in no envelope, so Chains' signature cannot be checked (--chains-key)";
            Err(Finding::undecided(Detail::CHAINS_SIGNATURE, None, reason))
        }
        None => Ok(ChainsSignature::Missing(Cow::Borrowed(
            "the statement is in no envelope, so nobody signed it",
        ))),
        Some(_) if keys.is_empty() => Ok(ChainsSignature::NotChecked),
        Some(envelope) => signed(envelope).map(ChainsSignature::Signed),
    }
}

/// The key that signed an envelope.
fn check_signatures(envelope: &ChainsEnvelope, keys: &ChainsKeys) -> Result<String, Finding> {
    if envelope.signatures.is_empty() {
        let reason = "the envelope holds no signature".to_owned();
        return Err(Finding::status("signatures".to_owned(), Detail::CHAINS_SIGNATURE, reason));
    }
    let message = pre_authentication_encoding_of(&envelope.payload);
    for signature in &envelope.signatures {
        if let Some(key) = keys.iter().find(|key| key.made(&message, &signature.sig)) {
            return Ok(key.keyid().to_owned());
        }
    }
    let mut claimed = envelope.signatures.iter().map(|signature| signature.keyid.as_str());
    if claimed.any(|keyid| keys.iter().any(|key| key.keyid() == keyid)) {
        let reason = "the envelope's signature does not match its payload: one of the two was altered";
        return Err(Finding::status("signatures".to_owned(), Detail::CHAINS_SIGNATURE, reason.to_owned()));
    }
    // Whoever may alter the name of the key may as well leave it out: this is not verified, either.
    let first = envelope.signatures.first().map(|signature| signature.keyid.as_str()).unwrap_or_default();
    let by = match first {
        "" => "by a key that it does not name".to_owned(),
        keyid => format!("by the key {keyid}"),
    };
    let reason = format!(
        "Chains' signature cannot be checked: the envelope says that it is {by}, and none of --chains-key made it"
    );
    Err(Finding::undecided(Detail::CHAINS_KEY, None, reason))
}
