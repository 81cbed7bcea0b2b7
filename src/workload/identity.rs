//! From a Workload API message to the one identity that is this step's.

use unixtime::UnixSeconds;
use zeroize::Zeroizing;

use super::{
    bundle::X509Bundle,
    client::FetchError,
    generated::X509svidResponse,
    select::SelectError,
    svid::{SvidError, X509Svid},
};

/// Chooses among the SVIDs of a message, or says why none of them will do.
pub type Accept = Box<dyn Fn(Vec<X509Svid>) -> Result<X509Svid, SelectError> + Send>;

/// An identity and the authorities of its trust domain, from the same message.
#[derive(Debug)]
pub struct Identity {
    /// The SVID with its key.
    pub svid: X509Svid,
    /// The authorities of the SVID's own trust domain.
    pub bundle: X509Bundle,
}

/// Takes a message apart. Its keys are erased as far as they are not taken over; the copies that the transport's buffers
/// hold are out of reach.
///
/// An SVID that is refused does not spoil the others: a workload may hold identities that are no concern of ours. Its
/// error is reported if no other one will do.
///
/// The chain is led to the bundle at `now`.
pub fn from_message(
    message: X509svidResponse,
    now: UnixSeconds,
    accept: &dyn Fn(Vec<X509Svid>) -> Result<X509Svid, SelectError>,
) -> Result<Identity, FetchError> {
    // All keys first, so that they are erased whatever happens next.
    let parts: Vec<_> = message
        .svids
        .into_iter()
        .map(|mut part| (Zeroizing::new(std::mem::take(&mut part.x509_svid_key)), part))
        .collect();
    let mut svids = Vec::with_capacity(parts.len());
    let mut bundles = Vec::with_capacity(parts.len());
    let mut refused: Option<SvidError> = None;
    for (key, part) in parts {
        match X509Svid::from_response(&part.spiffe_id, &part.x509_svid, key, part.hint) {
            Ok(svid) => {
                bundles.push((svid.leaf().clone(), part.bundle));
                svids.push(svid);
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let svid = match (accept(svids), refused) {
        (Ok(svid), _) => svid,
        (Err(_), Some(error)) => return Err(error.into()),
        (Err(error), None) => return Err(error.into()),
    };
    let bundle = bundles.into_iter().find(|(leaf, _)| leaf == svid.leaf()).map(|(_, bundle)| bundle);
    let bundle = X509Bundle::from_der(svid.id().trust_domain().clone(), &bundle.unwrap_or_default())?;
    Ok(Identity { svid: svid.led_to(&bundle, now)?, bundle })
}
