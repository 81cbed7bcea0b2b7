//! What the SPIFFE agent of this machine says to this process.

use std::{future::ready, time::Duration};

use tokio::{runtime::Builder, sync::Notify};
use x509::text::format_time;
use zeroize::Zeroizing;

use super::check::Check;
use crate::{
    io_error,
    workload::{
        address::Address,
        bundle::X509Bundle,
        client::{FetchError, attempt},
        generated::X509svidResponse,
        id::TrustDomain,
        svid::X509Svid,
    },
};

const AGENT: &str = "agent";
const SVID: &str = "svid";

/// Asks the agent, which takes no longer than `patience`. `now` is in Unix seconds.
pub(super) fn examine(
    (text, address): (&str, &Address),
    trust_domain: Option<&TrustDomain>,
    now: i64,
    patience: Duration,
) -> Vec<Check> {
    let message = match ask(address, patience) {
        Ok(message) => message,
        Err(found) => return vec![Check::failed(AGENT, format!("{text}: {found}"), None)],
    };
    let count = message.svids.len();
    let mut checks = vec![Check::ok(
        AGENT,
        format!("{text} answers, with {count} {}", if count == 1 { "identity" } else { "identities" }),
    )];
    checks.extend(message.svids.into_iter().map(|mut svid| {
        let key = Zeroizing::new(std::mem::take(&mut svid.x509_svid_key));
        let id = svid.spiffe_id.clone();
        let judged =
            X509Svid::from_response(&svid.spiffe_id, &svid.x509_svid, key, svid.hint).and_then(|found| {
                let bundle = X509Bundle::from_der(found.id().trust_domain().clone(), &svid.bundle);
                match bundle {
                    Ok(bundle) => found.led_to(&bundle, now).map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            });
        match judged {
            Ok(Ok(found)) => of_svid(&found, trust_domain, now),
            Ok(Err(error)) => {
                Check::failed(SVID, format!("the bundle that comes with {id} cannot be used: {error}"), None)
            }
            Err(error) => Check::failed(SVID, error.to_string(), None),
        }
    }));
    checks
}

fn of_svid(svid: &X509Svid, trust_domain: Option<&TrustDomain>, now: i64) -> Check {
    let id = svid.id();
    if let Err(error) = svid.check_valid_at(now) {
        let action = "see that the clocks of this machine and of the SPIRE server are right";
        return Check::failed(SVID, error.to_string(), Some(action.to_owned()));
    }
    let until = format_time(svid.validity().not_after);
    match trust_domain {
        Some(wanted) if id.trust_domain() != wanted => Check::failed(
            SVID,
            format!("{id} is not of the trust domain {wanted}"),
            Some("see that --trust-domain and the agent's trust_domain are the same".to_owned()),
        ),
        _ => Check::ok(SVID, format!("{id}, valid until {until}")),
    }
}

fn ask(address: &Address, patience: Duration) -> Result<X509svidResponse, String> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|error| io_error::words(&error))?;
    let answer = runtime.block_on(attempt(address, ready(patience), &Notify::new(), &Ok));
    let words = |error: FetchError| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    answer.and_then(|(message, _)| message).map_err(words)
}
