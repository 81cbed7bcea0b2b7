//! What one TaskRun's verification may leave for the next: results of pure functions, by all that they depend on.
//!
//! The steps of a pod share a certificate, and all TaskRuns of an archive a few issuers. A key holds every byte that the
//! result depends on and is compared byte by byte, so nothing found for one object can vouch for another. Signatures over
//! evidence are never remembered.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError, Validity};

use super::chain::{self, Path, PathError};
use crate::{
    evidence::leaf::{CompactLeaf, Issuer, LeafError},
    tekton::chains::ChainsEnvelope,
    verify::finding::Finding,
    workload::bundle::X509Bundle,
};

/// Entries that are kept of what the steps of one TaskRun share, which is asked for at once; as many more may be there. So few keys are
/// told apart by a few comparisons.
const OF_A_TASK_RUN: usize = 4;
/// The same of what many TaskRuns share.
const OF_MANY: usize = 64;

/// The first of a new state is one after the last of the old.
const SECOND: Duration = Duration::from_secs(1);

/// Caches of one verifier, all for one [`crate::verify::trust::Trust`].
#[derive(Debug, Default)]
pub(crate) struct Caches {
    certificates: Cache<Certificate, OF_MANY>,
    leaves: Cache<Certificate, OF_A_TASK_RUN>,
    paths: Cache<TimedPath, OF_A_TASK_RUN>,
    /// The envelope of Chains' that was looked at last, and what was found of it: all TaskRuns of a PipelineRun may be in one.
    envelope: Option<(Arc<ChainsEnvelope>, Result<String, Finding>)>,
}

/// Why a compact leaf gives no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Caches {
    /// What was found of Chains' signature over this very envelope, else what `find` finds.
    pub(crate) fn check_envelope(
        &mut self,
        envelope: &Arc<ChainsEnvelope>,
        find: impl FnOnce(&ChainsEnvelope) -> Result<String, Finding>,
    ) -> Result<String, Finding> {
        match &self.envelope {
            Some((last, found)) if Arc::ptr_eq(last, envelope) => found.clone(),
            _ => {
                let found = find(envelope);
                self.envelope = Some((envelope.clone(), found.clone()));
                found
            }
        }
    }

    /// [`Certificate::parse`].
    pub(crate) fn parse_certificate(&mut self, der: &[u8]) -> Result<Certificate, CertificateError> {
        self.certificates.get_or(key([der]), || Certificate::parse(der))
    }

    /// The certificate that a compact leaf stands for.
    pub(crate) fn rebuild_leaf(
        &mut self,
        compact: &CompactLeaf,
        bytes: &[u8],
        spiffe_id: &str,
        dns_names: &[String],
        issuer: Issuer<'_>,
    ) -> Result<Certificate, RebuildError> {
        let fixed = [bytes, spiffe_id.as_bytes(), issuer.name, issuer.key_id];
        let key = key(fixed.into_iter().chain(dns_names.iter().map(String::as_bytes)));
        self.leaves.get_or(key, || {
            let der = compact.to_der(spiffe_id, dns_names, issuer)?;
            Ok(Certificate::parse(&der)?)
        })
    }

    /// [`chain::find_path_within`].
    pub(crate) fn find_path(
        &mut self,
        leaf: &Certificate,
        intermediates: &[&Certificate],
        bundle: &X509Bundle,
        at: UnixSeconds,
        slow_by: Duration,
    ) -> Result<Path, PathError> {
        let named = bundle.without_uri().iter().map(|named| named.as_bytes().as_slice());
        let certificates = [leaf].into_iter().chain(intermediates.iter().copied()).map(Certificate::der);
        let key = key(named.chain([&[][..]]).chain(certificates));
        if let Some(known) = self.paths.get(&key).filter(|known| (known.from..=known.until).contains(&at)) {
            return Ok(known.path.clone());
        }
        let path = chain::find_path_within(leaf, intermediates, bundle, at, slow_by)?;
        let certificates =
            [leaf].into_iter().chain(intermediates.iter().copied()).chain(bundle.authorities());
        self.paths.insert(key, TimedPath::new(path.clone(), certificates, at, slow_by));
        Ok(path)
    }
}

/// A path, and the time in which it is what a search would find: none of the certificates that may take part starts or
/// ceases to be valid in it or `slow_by` after it.
#[derive(Debug, Clone)]
struct TimedPath {
    path: Path,
    from: UnixSeconds,
    until: UnixSeconds,
}

impl TimedPath {
    fn new<'a>(
        path: Path,
        certificates: impl Iterator<Item = &'a Certificate>,
        at: UnixSeconds,
        slow_by: Duration,
    ) -> Self {
        let mut timed = Self { path, from: UnixSeconds::MIN, until: UnixSeconds::MAX };
        for certificate in certificates {
            // The first second of a new state.
            let Validity { not_before, not_after } = certificate.validity();
            for change in [not_before, not_after + SECOND] {
                match change <= at {
                    true => timed.from = timed.from.max(change),
                    false => timed.until = timed.until.min(change - SECOND - slow_by),
                }
            }
        }
        timed
    }
}

/// Parts with their lengths, so that no two lists of parts are one key.
fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut key = Vec::with_capacity(1024);
    for part in parts {
        key.extend(part.len().to_le_bytes());
        key.extend(part);
    }
    key
}

/// The entries of late, those of before dropped when there are too many. Keys are long and differ near their beginning, so
/// comparing them with a few others costs less than hashing one.
#[derive(Debug)]
struct Cache<V, const KEPT: usize> {
    new: BTreeMap<Vec<u8>, V>,
    old: BTreeMap<Vec<u8>, V>,
}

impl<V, const KEPT: usize> Default for Cache<V, KEPT> {
    fn default() -> Self {
        Self { new: BTreeMap::new(), old: BTreeMap::new() }
    }
}

impl<V: Clone, const KEPT: usize> Cache<V, KEPT> {
    fn get(&mut self, key: &[u8]) -> Option<&V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.new.get(key)
    }

    fn insert(&mut self, key: Vec<u8>, value: V) {
        if self.new.len() >= KEPT {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }

    /// The value of a key. Errors are not kept: they are worded with what is not in the key.
    fn get_or<E>(&mut self, key: Vec<u8>, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(known) = self.get(&key) {
            return Ok(known.clone());
        }
        let made = make()?;
        self.insert(key, made.clone());
        Ok(made)
    }
}
