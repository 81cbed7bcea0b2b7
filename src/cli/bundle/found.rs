//! Bundles that were found, and where.

use std::collections::HashMap;

use x509::{Fingerprint, text::hex};

use crate::{
    bundles::store::BundleStore,
    evidence::sha256,
    report::origins::{AuthorityOrigin, AuthoritySeen, Origins},
    workload::bundle::{BundleError, X509Bundle},
};

/// A bundle, and where it was found.
#[derive(Debug)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) bundle: X509Bundle,
    /// The file or address.
    pub(in crate::cli) from: String,
    /// When each of its authorities was seen, if it is from a store.
    seen: Option<HashMap<Fingerprint, AuthoritySeen>>,
    /// Of a store, what was published last; else all of it.
    current: Option<X509Bundle>,
    is_fetched: bool,
}

impl Found {
    /// What is a bundle, and not a store.
    pub(super) fn bundle(bundle: X509Bundle, from: String) -> Self {
        Self { bundle, from, seen: None, current: None, is_fetched: false }
    }

    /// What was fetched from where it is published.
    pub(super) fn fetched(bundle: X509Bundle, from: String) -> Self {
        Self { is_fetched: true, ..Self::bundle(bundle, from) }
    }

    /// Whether it is a whole bundle, and not certificates that somebody has collected.
    pub(super) fn is_whole(&self) -> bool {
        self.is_fetched || self.bundle.sequence().is_some()
    }

    /// What it says of now.
    pub(super) fn current(self) -> X509Bundle {
        self.current.unwrap_or(self.bundle)
    }

    /// All that a store holds.
    pub(super) fn store(store: &BundleStore, from: String) -> Result<Self, BundleError> {
        let seen = store.authorities().iter().map(|sighted| {
            let seen = AuthoritySeen { first: sighted.first_seen, last: sighted.last_seen };
            (sighted.certificate.fingerprint(), seen)
        });
        let (bundle, current) = (store.bundle()?, store.current()?);
        Ok(Self { bundle, from, seen: Some(seen.collect()), current: Some(current), is_fetched: false })
    }

    /// Whether it is from a store.
    pub(super) fn is_store(&self) -> bool {
        self.seen.is_some()
    }
}

/// All authorities, each once, and where each was found first; `None` of no bundle.
pub(in crate::cli) fn all(found: Vec<Found>) -> Option<(X509Bundle, Origins)> {
    let mut origins = Origins::new();
    for Found { bundle, from, seen, .. } in &found {
        for authority in bundle.authorities() {
            let seen = seen.as_ref().and_then(|seen| seen.get(&authority.fingerprint()).copied());
            let origin = AuthorityOrigin { name: authority.label(), file: from.clone(), seen };
            let known = origins.entry(hex(&sha256(authority.der()))).or_insert_with(|| origin.clone());
            // Which of two files it is from is all the same; when it was seen is not.
            if known.seen.is_none() && seen.is_some() {
                *known = origin;
            }
        }
    }
    Some((X509Bundle::of_all(found.into_iter().map(|found| found.bundle).collect())?, origins))
}
