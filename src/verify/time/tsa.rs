//! The rules for a TSA's certificate (RFC 3161 2.3) and its chain to one that the operator gave, at the token's time.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{
    verify::{chain::ALGORITHMS, taskrun::format_time},
    workload::{
        certificate::Certificate,
        der::{element, elements},
    },
};

use super::{
    error::TokenError,
    fields::{BOOLEAN, OCTET_STRING, OID, tagged},
};

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
    let no_path = |reason: String| TokenError::Chain { at: format_time(at), reason };
    let invalid = |error: webpki::Error| no_path(error.to_string());
    let signer_der = CertificateDer::from(signer.der());
    let end_entity = EndEntityCert::try_from(&signer_der).map_err(invalid)?;
    let valid = |certificate: &Certificate| certificate.not_before() <= at && at <= certificate.not_after();
    if given.iter().any(|own| own.der() == signer.der()) {
        let dates = "it was not valid then";
        return if valid(signer) { Ok(()) } else { Err(no_path(dates.to_owned())) };
    }
    // A trust anchor of webpki has no dates and no constraints of its own.
    let authorities: Vec<&Certificate> = given.iter().filter(|one| may_issue(one) && valid(one)).collect();
    if authorities.is_empty() {
        return Err(no_path("none of those is a CA that was valid then".to_owned()));
    }
    let ders: Vec<CertificateDer<'_>> = authorities.iter().map(|authority| authority.der().into()).collect();
    let anchors =
        ders.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    // webpki does not look at key usage.
    let helpers: Vec<CertificateDer<'_>> =
        helpers.iter().filter(|helper| may_issue(helper)).map(|helper| helper.der().into()).collect();
    let seconds = Duration::from_secs(u64::try_from(at).unwrap_or_default());
    let path = end_entity
        .verify_for_usage(
            ALGORITHMS,
            &anchors,
            &helpers,
            UnixTime::since_unix_epoch(seconds),
            KeyUsage::required_if_present(TIME_STAMPING),
            None,
            None,
        )
        .map_err(invalid)?;
    let between = path.intermediate_certificates().count();
    let long_enough = authorities.iter().any(|authority| {
        anchor_from_trusted_cert(&authority.der().into()).is_ok_and(|anchor| anchor == *path.anchor())
            && authority.path_len().is_none_or(|most| between <= usize::try_from(most).unwrap_or(usize::MAX))
    });
    if long_enough { Ok(()) } else { Err(no_path("it allows fewer CAs below it".to_owned())) }
}

fn may_issue(certificate: &Certificate) -> bool {
    certificate.is_ca() && certificate.key_usage().is_none_or(|usage| usage.cert_sign())
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
