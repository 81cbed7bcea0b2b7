//! The few shapes of DER (X.690) that the certificate parser does not hold its input to.

/// The DER of an empty SEQUENCE, such as a subject without any attribute.
pub(super) const EMPTY_SEQUENCE: &[u8] = &[0x30, 0];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
const EXTENSIONS: u8 = 0xa3;

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

/// A tag with its content.
pub(crate) struct Element<'a> {
    /// The identifier octet.
    pub(crate) tag: u8,
    /// Identifier, length and content.
    pub(crate) whole: &'a [u8],
    /// What it holds.
    pub(crate) content: &'a [u8],
}

/// Takes one element off the input. Lengths must be definite and as short as they can be (X.690 10.1).
pub(crate) fn element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 || digits[0] == 0 {
            return None;
        }
        let length = digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit));
        if length < 0x80 {
            return None;
        }
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &input[..input.len() - rest.len()];
    // Tags above 30 take more bytes; no certificate has them.
    (tag & 0x1f != 0x1f).then_some((Element { tag, whole, content }, rest))
}

/// The elements that fill `content`.
pub(crate) fn elements(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (next, rest) = element(content)?;
        found.push(next);
        content = rest;
    }
    Some(found)
}

/// Visits the elements that fill `content`; every certificate passes here, so nothing is allocated.
fn visit<'a>(mut content: &'a [u8], mut each: impl FnMut(Element<'a>) -> Option<()>) -> Option<()> {
    while !content.is_empty() {
        let (next, rest) = element(content)?;
        each(next)?;
        content = rest;
    }
    Some(())
}

/// Takes a certificate off the input: SEQUENCE { tbs, algorithm, signature } with nothing behind the last field, and
/// extensions that fill their list and are `{ oid, [critical], value }` each.
pub(super) fn certificate(input: &[u8]) -> Option<(Shape<'_>, &[u8])> {
    let (outer, rest) = element(input)?;
    let (tbs, fields) = element(outer.content)?;
    let (algorithm, fields) = element(fields)?;
    let (signature, fields) = element(fields)?;
    if outer.tag != SEQUENCE || tbs.tag != SEQUENCE || signature.tag != BIT_STRING || !fields.is_empty() {
        return None;
    }
    let mut signed_algorithm = None;
    visit(tbs.content, |field| {
        match field.tag {
            // The first one behind the version, which is tagged, and the serial number.
            SEQUENCE if signed_algorithm.is_none() => signed_algorithm = Some(field.whole),
            EXTENSIONS => {
                let (list, rest) = element(field.content)?;
                if !rest.is_empty() {
                    return None;
                }
                visit(list.content, |extension| {
                    let mut parts = 0;
                    visit(extension.content, |_| {
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

/// Length of the modulus of an RSAPublicKey (RFC 8017 A.1.1) whose exponent is one that signatures are checked with: odd, of at
/// most 33 bits, and not 1.
pub(super) fn rsa_modulus_bits(key: &[u8]) -> Option<usize> {
    let (outer, rest) = element(key)?;
    let numbers = elements(outer.content)?;
    let [modulus, exponent] = numbers.as_slice() else { return None };
    if outer.tag != SEQUENCE || !rest.is_empty() || modulus.tag != INTEGER || exponent.tag != INTEGER {
        return None;
    }
    let exponent = exponent
        .content
        .iter()
        .try_fold(0u64, |number, digit| (number < 1 << 33).then_some(number << 8 | u64::from(*digit)))?;
    if exponent < 3 || exponent % 2 == 0 || exponent >= 1 << 33 {
        return None;
    }
    let start = modulus.content.iter().position(|byte| *byte != 0)?;
    let digits = &modulus.content[start..];
    Some(digits.len() * 8 - digits[0].leading_zeros() as usize)
}
