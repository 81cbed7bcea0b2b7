//! The few shapes that the certificate parser does not hold its input to.

use crate::der::{self, BIT_STRING, SEQUENCE, tagged};

/// A certificate's outer parts.
pub(super) struct Shape<'a> {
    /// All of it.
    pub(super) whole: &'a [u8],
    /// tbsCertificate.
    pub(super) tbs: &'a [u8],
    /// signatureAlgorithm.
    pub(super) algorithm: &'a [u8],
    /// signature, the algorithm stated inside tbsCertificate.
    pub(super) signed_algorithm: &'a [u8],
}

/// Takes a certificate off the input: SEQUENCE { tbs, algorithm, signature } with nothing behind the last field, and
/// extensions that fill their list and are `{ oid, [critical], value }` each.
pub(super) fn read(input: &[u8]) -> Option<(Shape<'_>, &[u8])> {
    const EXTENSIONS: u8 = tagged(3);
    let (outer, rest) = der::read(input)?;
    let (tbs, fields) = der::read(outer.content)?;
    let (algorithm, fields) = der::read(fields)?;
    let (signature, fields) = der::read(fields)?;
    if outer.tag != SEQUENCE || tbs.tag != SEQUENCE || signature.tag != BIT_STRING || !fields.is_empty() {
        return None;
    }
    let mut signed_algorithm = None;
    der::visit(tbs.content, |field| {
        match field.tag {
            // The first one behind the version, which is tagged, and the serial number.
            SEQUENCE if signed_algorithm.is_none() => signed_algorithm = Some(field.whole),
            EXTENSIONS => {
                let list = der::read_only(field.content)?;
                der::visit(list.content, |extension| {
                    let mut parts = 0;
                    der::visit(extension.content, |_| {
                        parts += 1;
                        Some(())
                    })?;
                    matches!(parts, 2 | 3).then_some(())
                })?;
            }
            _ => {}
        }
        Some(())
    })?;
    let shape = Shape {
        whole: outer.whole,
        tbs: tbs.whole,
        algorithm: algorithm.whole,
        signed_algorithm: signed_algorithm?,
    };
    Some((shape, rest))
}
