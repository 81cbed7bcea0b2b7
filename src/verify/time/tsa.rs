//! The rules for a TSA's certificate (RFC 3161 2.3) and its chain to one that the operator gave, at the token's time.

use super::{
    error::TokenError,
    fields::{BOOLEAN, OCTET_STRING, OID, tagged},
};
use crate::{
    tekton::taskrun::format_time,
    verify::chain::{Limits, Search},
    workload::{
        certificate::{Certificate, KeyPurpose, check_end_entity},
        der::{element, elements},
    },
};

/// What every certificate of the chain that says what its key is for must say.
const PURPOSES: &[KeyPurpose] = &[KeyPurpose::TimeStamping];
/// Many times what the chain of a TSA takes. Nobody vouches for the certificates in a token, and an object may hold many tokens.
const MOST_SIGNATURES: usize = 20;
/// Content of the identifier of extKeyUsage (RFC 5280 4.2.1.12).
const EXT_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
/// Content of id-kp-timeStamping.
const TIME_STAMPING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x08";
/// digitalSignature and contentCommitment, of which the key usage of a signer has one (RFC 5280 4.2.1.3).
const MAY_SIGN: u16 = 0b11;

/// Checks that `signer` may make time stamps and leads to one of `given` at `at` (Unix seconds), over `helpers` if need be.
///
/// A certificate of `given` that is no CA's vouches for itself alone. All dates are those at `at`: what expired later does not
/// matter.
pub(super) fn check(
    signer: &Certificate,
    helpers: &[Certificate],
    given: &[Certificate],
    at: i64,
) -> Result<(), TokenError> {
    may_time_stamp(signer)?;
    let chain = |reason: String| TokenError::Chain { at: format_time(at), reason };
    if given.iter().any(|own| own.der() == signer.der()) {
        check_end_entity(signer, PURPOSES).map_err(|error| chain(error.to_string()))?;
        let valid = signer.not_before() <= at && at <= signer.not_after();
        return if valid { Ok(()) } else { Err(chain("it was not valid then".to_owned())) };
    }
    let search = Search {
        intermediates: &helpers.iter().collect::<Vec<_>>(),
        authorities: &given.iter().collect::<Vec<_>>(),
        at,
        purposes: PURPOSES,
        limits: Limits { signatures: MOST_SIGNATURES, ..Limits::default() },
        issuer_rule: &|_, _| Ok(()),
    };
    search.issuers_of(signer).map(|_| ()).map_err(|error| chain(error.to_string()))
}

/// RFC 3161 2.3: the one purpose is to make time stamps, and that is critical.
fn may_time_stamp(signer: &Certificate) -> Result<(), TokenError> {
    let refuse = |reason| Err(TokenError::NoTsa { reason });
    if signer.key_usage().is_some_and(|usage| usage.bits & MAY_SIGN == 0) {
        return refuse("its key usage has neither digitalSignature nor contentCommitment");
    }
    match ext_key_usage(signer.tbs_der()) {
        None => refuse("its certificate has no extended key usage"),
        Some((_, purposes)) if purposes != [TIME_STAMPING] => {
            refuse("its certificate's extended key usage is not timeStamping alone")
        }
        Some((false, _)) => refuse("its certificate's extended key usage is not marked critical"),
        Some((true, _)) => Ok(()),
    }
}

/// Whether extKeyUsage is critical, and its purposes. `Certificate` has made sure that there is only one.
fn ext_key_usage(tbs: &[u8]) -> Option<(bool, Vec<&[u8]>)> {
    let (tbs, _) = element(tbs)?;
    let extensions = elements(tbs.content)?.into_iter().find(|field| field.tag == tagged(3))?;
    let (list, _) = element(extensions.content)?;
    for extension in elements(list.content)? {
        let fields = elements(extension.content)?;
        let [oid, critical @ .., value] = fields.as_slice() else { return None };
        if oid.tag != OID || oid.content != EXT_KEY_USAGE || value.tag != OCTET_STRING {
            continue;
        }
        let critical = critical.iter().any(|flag| flag.tag == BOOLEAN && flag.content == [0xff]);
        let (purposes, rest) = element(value.content)?;
        let purposes = elements(purposes.content)?;
        let purposes = purposes.iter().map(|purpose| purpose.content).collect();
        return rest.is_empty().then_some((critical, purposes));
    }
    None
}
