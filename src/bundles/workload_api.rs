//! The bundle that the SPIFFE agent of this machine gives to this process (SPIFFE Workload API 5): its own trust domain's, or that
//! of one that is federated with it.
//!
//! Bundles alone are asked for (`FetchX509Bundles`), which an agent may give to a process that has no identity of its own; SPIRE's does
//! so with `allow_unauthenticated_verifiers`. An agent without that call is asked for SVIDs, beside which bundles come.

use std::{collections::BTreeMap, future::ready, io, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    time::timeout,
};
use tonic::{Code, Request, Status, metadata::MetadataValue};
use zeroize::Zeroize as _;

use super::generated::{X509BundlesRequest, spiffe_workload_api_client::SpiffeWorkloadApiClient};
use crate::{
    io_error,
    workload::{
        address::Address,
        bundle::{BundleError, X509Bundle},
        client::{FetchError, MAX_MESSAGE, attempt, channel},
        generated::X509svidResponse,
        id::{TrustDomain, parse_strict},
    },
};

/// Why the agent gave no bundle.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadApiError {
    /// There was no answer.
    #[error("{error}{}", hint(.error))]
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

/// What to do about it. Who wants no more than bundles can have them without an entry.
fn hint(error: &FetchError) -> String {
    let more = match error {
        FetchError::Refused { code: Code::PermissionDenied, .. } => {
            ". An agent whose configuration says allow_unauthenticated_verifiers gives bundles to processes without an entry, too"
        }
        _ => "",
    };
    error.hint().map(|hint| format!("; {hint}{more}")).unwrap_or_default()
}

/// Asks the agent at `address`, waiting no longer than `patience`.
pub fn fetch(
    address: &Address,
    trust_domain: &TrustDomain,
    patience: Duration,
) -> Result<X509Bundle, WorkloadApiError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(WorkloadApiError::Runtime)?;
    let asked = runtime.block_on(within(patience, bundles(address)));
    match asked {
        Ok(sent) => chosen(trust_domain, sent),
        Err(FetchError::Refused { code: Code::Unimplemented, .. }) => {
            beside_svids(&runtime, address, trust_domain, patience)
        }
        Err(error) => Err(WorkloadApiError::Fetch { error }),
    }
}

/// Bundles by the name of their trust domain: authorities in DER, one behind the other.
type Sent = BTreeMap<String, Vec<u8>>;

async fn within<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(patience, call).await.unwrap_or(Err(FetchError::TimedOut { after: patience }))
}

/// The first answer, which has all of them; the next one would come when one of them changes.
async fn bundles(address: &Address) -> Result<Sent, FetchError> {
    let refused =
        |status: Status| FetchError::Refused { code: status.code(), message: status.message().to_owned() };
    let mut client =
        SpiffeWorkloadApiClient::new(channel(address).await?).max_decoding_message_size(MAX_MESSAGE);
    // The header that is demanded exactly once (SPIFFE Workload Endpoint 6.1).
    let mut request = Request::new(X509BundlesRequest {});
    request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
    let mut stream = client.fetch_x509_bundles(request).await.map_err(refused)?.into_inner();
    let message = stream.message().await.map_err(refused)?.ok_or(FetchError::NoMessage)?;
    Ok(message.bundles.into_iter().map(|(id, der)| (trust_domain_of(&id), der)).collect())
}

/// Those that come beside SVIDs.
fn beside_svids(
    runtime: &Runtime,
    address: &Address,
    trust_domain: &TrustDomain,
    patience: Duration,
) -> Result<X509Bundle, WorkloadApiError> {
    let answer = runtime.block_on(attempt(address, ready(patience), &Notify::new(), &Ok));
    let message =
        answer.and_then(|(message, _)| message).map_err(|error| WorkloadApiError::Fetch { error })?;
    of_svids(trust_domain, message)
}

/// The bundle of a trust domain that came beside SVIDs. The keys in the message are of no use here.
pub fn of_svids(
    trust_domain: &TrustDomain,
    mut message: X509svidResponse,
) -> Result<X509Bundle, WorkloadApiError> {
    message.svids.iter_mut().for_each(|svid| svid.x509_svid_key.zeroize());
    let own = message.svids.into_iter().filter_map(|svid| {
        let id = parse_strict(&svid.spiffe_id).ok()?;
        Some((id.trust_domain().to_string(), svid.bundle))
    });
    let federated = message.federated_bundles.into_iter().map(|(id, der)| (trust_domain_of(&id), der));
    chosen(trust_domain, federated.chain(own).collect())
}

/// The name in the SPIFFE ID of a trust domain.
fn trust_domain_of(id: &str) -> String {
    id.strip_prefix("spiffe://").unwrap_or(id).trim_end_matches('/').to_owned()
}

fn chosen(wanted: &TrustDomain, mut sent: Sent) -> Result<X509Bundle, WorkloadApiError> {
    match sent.remove(wanted.as_str()) {
        Some(der) => Ok(X509Bundle::from_der(wanted.clone(), &der)?),
        None => {
            let sent = sent.into_keys().collect();
            Err(WorkloadApiError::NotSent { wanted: wanted.to_string(), sent })
        }
    }
}
