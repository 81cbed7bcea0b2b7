//! What the SPIFFE agent of this machine says to this process.

use std::{future::ready, io, time::Duration};

use tokio::{runtime::Builder, sync::Notify};
use tonic::Code;
use unixtime::UnixSeconds;
use zeroize::Zeroizing;

use super::check::Check;
use crate::{
    io_error,
    report::count,
    workload::{
        address::Address,
        bundle::X509Bundle,
        client::{FetchError, attempt},
        generated::X509svidResponse,
        svid::X509Svid,
    },
};

const AGENT: &str = "agent";
const SVID: &str = "svid";

/// What the agent said to this process.
pub(super) enum Answer {
    /// SVIDs, without their keys, and the bundles beside them.
    Svids(X509svidResponse),
    /// It has none for this process, which may have bundles nevertheless.
    NoIdentity,
    /// None.
    Nothing,
}

/// Asks the agent, which takes no longer than `patience`.
pub(super) fn examine(
    (text, address): (&str, &Address),
    now: UnixSeconds,
    patience: Duration,
) -> (Vec<Check>, Answer) {
    let mut message = match ask(address, patience) {
        Ok(message) => message,
        Err(error) => {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            let answer = match error.code() {
                Some(Code::PermissionDenied) => Answer::NoIdentity,
                _ => Answer::Nothing,
            };
            return (vec![Check::failed(AGENT, format!("{text}: {error}{hint}"), None)], answer);
        }
    };
    let mut checks = vec![match message.svids.len() {
        0 => Check::failed(AGENT, format!("{text} answers, and gives this process no identity"), None),
        number => {
            let identities = count(u64::try_from(number).unwrap_or(u64::MAX), "identity", "identities");
            Check::ok(AGENT, format!("{text} answers, with {identities}"))
        }
    }];
    checks.extend(message.svids.iter_mut().map(|svid| {
        let key = Zeroizing::new(std::mem::take(&mut svid.x509_svid_key));
        let id = svid.spiffe_id.clone();
        let judged = X509Svid::from_response(&svid.spiffe_id, &svid.x509_svid, key, svid.hint.clone())
            .and_then(|found| {
                let bundle = X509Bundle::from_der(found.id().trust_domain().clone(), &svid.bundle);
                match bundle {
                    Ok(bundle) => found.led_to(&bundle, now).map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            });
        match judged {
            Ok(Ok(found)) => of_svid(&found, now),
            Ok(Err(error)) => {
                Check::failed(SVID, format!("the bundle that comes with {id} cannot be used: {error}"), None)
            }
            Err(error) => Check::failed(SVID, error.to_string(), None),
        }
    }));
    (checks, Answer::Svids(message))
}

fn of_svid(svid: &X509Svid, now: UnixSeconds) -> Check {
    match svid.check_valid_at(now) {
        Ok(()) => Check::ok(SVID, format!("{}, valid until {}", svid.id(), svid.validity().not_after)),
        Err(error) => {
            let action = "see that the clocks of this machine and of the SPIRE server are right";
            Check::failed(SVID, error.to_string(), Some(action.to_owned()))
        }
    }
}

fn ask(address: &Address, patience: Duration) -> Result<X509svidResponse, FetchError> {
    let not_asked =
        |error: io::Error| FetchError::Connect { kind: error.kind(), reason: io_error::words(&error) };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(not_asked)?;
    let answer = runtime.block_on(attempt(address, ready(patience), &Notify::new(), &Ok));
    answer.and_then(|(message, _)| message)
}
