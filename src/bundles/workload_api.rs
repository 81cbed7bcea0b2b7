//! The bundle that the SPIFFE agent of this machine gives to this process (SPIFFE Workload API 5.2): its own trust domain's, or that
//! of one that is federated with it.

use std::{future::ready, io, time::Duration};

use tokio::{runtime::Builder, sync::Notify};
use zeroize::Zeroize as _;

use crate::{
    io_error,
    workload::{
        address::Address,
        bundle::{BundleError, X509Bundle},
        client::{FetchError, attempt},
        generated::X509svidResponse,
        id::{TrustDomain, parse_strict},
    },
};

/// Why the agent gave no bundle.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadApiError {
    /// There was no answer.
    #[error("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Fetch {
        /// What happened.
        error: FetchError,
    },
    /// It is about others.
    #[error(
        "the SPIRE agent sent no bundle of {wanted}, only of {}; see that the trust domain is right, or that the registration entry \
         of this process federates with it",
        list(.sent)
    )]
    NotSent {
        /// The one that was asked for.
        wanted: String,
        /// Those that came.
        sent: Vec<String>,
    },
    /// It cannot be used.
    #[error("the SPIRE agent's bundle cannot be used: {0}")]
    Bundle(#[from] BundleError),
    /// The system did not let us wait for it.
    #[error("the SPIRE agent cannot be asked: {}", io_error::words(.0))]
    Runtime(io::Error),
}

fn list(sent: &[String]) -> String {
    if sent.is_empty() { "none".to_owned() } else { sent.join(", ") }
}

/// Asks the agent at `address`, waiting no longer than `patience`.
pub fn fetch(
    address: &Address,
    trust_domain: &TrustDomain,
    patience: Duration,
) -> Result<X509Bundle, WorkloadApiError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(WorkloadApiError::Runtime)?;
    let answer = runtime.block_on(attempt(address, ready(patience), &Notify::new(), &Ok));
    let message =
        answer.and_then(|(message, _)| message).map_err(|error| WorkloadApiError::Fetch { error })?;
    let (sent, der) = bundle_of(trust_domain, message);
    let der = der.ok_or_else(|| WorkloadApiError::NotSent { wanted: trust_domain.to_string(), sent })?;
    Ok(X509Bundle::from_der(trust_domain.clone(), &der)?)
}

/// The trust domains that a message has bundles of, and the bundle of this one. The keys in it are of no use here.
fn bundle_of(wanted: &TrustDomain, mut message: X509svidResponse) -> (Vec<String>, Option<Vec<u8>>) {
    message.svids.iter_mut().for_each(|svid| svid.x509_svid_key.zeroize());
    let own = message.svids.into_iter().filter_map(|svid| {
        let id = parse_strict(&svid.spiffe_id).ok()?;
        Some((id.trust_domain().to_string(), svid.bundle))
    });
    let federated = message.federated_bundles.into_iter().map(|(id, der)| {
        let name = id.strip_prefix("spiffe://").unwrap_or(&id).trim_end_matches('/').to_owned();
        (name, der)
    });
    let mut sent: Vec<(String, Vec<u8>)> = own.chain(federated).collect();
    sent.sort();
    sent.dedup();
    let der = sent.iter().find(|(name, _)| name == wanted.as_str()).map(|(_, der)| der.clone());
    let mut names: Vec<String> = sent.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    (names, der)
}
