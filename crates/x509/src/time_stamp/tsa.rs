//! The rules for a TSA's certificate (RFC 3161 2.3) and its path to one that is trusted, at the token's time.

use std::time::Duration;

use unixtime::UnixSeconds;

use super::error::TokenError;
use crate::{
    certificate::{Certificate, KeyPurpose, check_end_entity},
    path::{Limits, Search},
};

/// What every certificate of the chain that says what its key is for must say.
const PURPOSES: &[KeyPurpose] = &[KeyPurpose::TimeStamping];
/// Many times what the chain of a TSA takes. Nobody vouches for the certificates in a token, and there may be many tokens.
const MOST_SIGNATURES: usize = 20;
/// digitalSignature and contentCommitment, of which the key usage of a signer has one (RFC 5280 4.2.1.3).
const MAY_SIGN: u16 = 0b11;

/// Checks that `signer` may make time stamps and leads to one of `given` at `at`, over `helpers` if need be.
///
/// A certificate of `given` that is no CA's vouches for itself alone. All dates are those at `at`: what expired later does not
/// matter.
pub(super) fn check(
    signer: &Certificate,
    helpers: &[Certificate],
    given: &[Certificate],
    at: UnixSeconds,
) -> Result<(), TokenError> {
    may_time_stamp(signer)?;
    let chain = |reason: String| TokenError::Chain { at: at.to_string(), reason };
    if given.iter().any(|own| own.der() == signer.der()) {
        check_end_entity(signer, PURPOSES).map_err(|error| chain(error.to_string()))?;
        return if signer.validity().contains(at) {
            Ok(())
        } else {
            Err(chain("it was not valid then".to_owned()))
        };
    }
    let search: Search<'_> = Search {
        intermediates: &helpers.iter().collect::<Vec<_>>(),
        trust_anchors: &given.iter().collect::<Vec<_>>(),
        at,
        slow_by: Duration::ZERO,
        purposes: PURPOSES,
        limits: Limits { signatures: MOST_SIGNATURES, ..Limits::default() },
        issuer_rule: &|_, _| Ok(()),
        path_rule: &|_| Ok(()),
    };
    search.find_path(signer).map(|_| ()).map_err(|error| chain(error.to_string()))
}

/// RFC 3161 2.3: the one purpose is to make time stamps, and that is critical.
fn may_time_stamp(signer: &Certificate) -> Result<(), TokenError> {
    let refuse = |reason| Err(TokenError::NoTsa { reason });
    if signer.key_usage().is_some_and(|usage| usage.bits & MAY_SIGN == 0) {
        return refuse("its key usage has neither digitalSignature nor contentCommitment");
    }
    match signer.ext_key_usages() {
        None => refuse("its certificate has no extended key usage"),
        Some(usages) if !usages.has_only(KeyPurpose::TimeStamping) => {
            refuse("its certificate's extended key usage is not timeStamping alone")
        }
        Some(usages) if !usages.is_critical() => {
            refuse("its certificate's extended key usage is not marked critical")
        }
        Some(_) => Ok(()),
    }
}
