//! Time stamps (RFC 3161): asking an authority (TSA) for one, and what its answer proves.

mod ber;
mod error;
mod request;
mod signer;
mod token;
mod tsa;

use unixtime::UnixSeconds;

pub use error::TokenError;
pub use request::{NotAPolicy, Request, TsaPolicy};
pub use signer::Digest;
pub use token::{GenTime, Imprint, Token};

use crate::der::{
    OID,
    fields::{Fields, Malformed},
};

/// More bytes than any token in use, certificates included.
pub const MAX_TOKEN: usize = 64 * 1024;

/// id-ct-TSTInfo (RFC 3161 2.4.2).
const TST_INFO: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";

/// What a good token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeStamp {
    /// When what was time-stamped was there.
    pub gen_time: UnixSeconds,
    /// SHA-256 of the TSA's certificate.
    pub tsa: [u8; 32],
}

/// The object identifier of an AlgorithmIdentifier. No algorithm that is checked has parameters that matter, and authorities differ in
/// whether they write NULL for none.
fn read_algorithm<'a>(content: &'a [u8], what: &'static str) -> Result<&'a [u8], Malformed> {
    let mut fields = Fields::new(content, what);
    let oid = fields.next(OID)?;
    if fields.all()?.len() > 1 { Err(Malformed(what)) } else { Ok(oid) }
}
