//! The uncompressed form of a P-256 key.
//!
//! Every certificate that is rebuilt takes a square root, which is most of what rebuilding costs. `svidence` takes it with the
//! arithmetic of fiat-crypto and a square of its own, in a third of the time; `entrypoint`, which needs one a step, with what it
//! signs with anyhow.

/// SEC 1 2.3.4: the point (4, x, y) of a compressed one (2 or 3, x). `None`: it is not a point of P-256.
#[cfg(not(feature = "cli"))]
pub(super) fn uncompressed_p256(compressed: &[u8]) -> Option<[u8; 65]> {
    by_p256(compressed)
}

#[cfg(any(test, not(feature = "cli")))]
fn by_p256(compressed: &[u8]) -> Option<[u8; 65]> {
    use p256::elliptic_curve::sec1::ToSec1Point as _;

    let key = p256::PublicKey::from_sec1_bytes(compressed).ok()?;
    key.to_sec1_point(false).as_bytes().try_into().ok()
}

#[cfg(feature = "cli")]
pub(super) use fast::uncompressed_p256;

#[cfg(feature = "cli")]
mod fast {
    use fiat_crypto::p256_64::{
        fiat_p256_add, fiat_p256_from_bytes, fiat_p256_from_montgomery,
        fiat_p256_montgomery_domain_field_element as Element, fiat_p256_mul,
        fiat_p256_non_montgomery_domain_field_element as Plain, fiat_p256_opp, fiat_p256_square,
        fiat_p256_sub, fiat_p256_to_bytes, fiat_p256_to_montgomery,
    };

    /// The prime of the field, big endian.
    const P: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    /// The same, its lowest limb first.
    const LIMBS_OF_P: [u64; 4] = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];
    /// b of y² = x³ − 3x + b (FIPS 186-4 D.1.2.3), big endian.
    const B: [u8; 32] = [
        0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc, 0x65,
        0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
    ];

    /// SEC 1 2.3.4: the point (4, x, y) of a compressed one (2 or 3, x). `None`: it is not a point of P-256.
    pub(crate) fn uncompressed_p256(compressed: &[u8]) -> Option<[u8; 65]> {
        let (sign @ (2 | 3), x) = compressed.split_first()? else { return None };
        let x: &[u8; 32] = x.try_into().ok()?;
        let element = read(x)?;
        let three = add(&add(&element, &element), &element);
        let square = add(&sub(&mul(&mul(&element, &element), &element), &three), &read(&B)?);
        let root = square_root(&square)?;
        let mut y = bytes(&root);
        if y[31] & 1 != sign & 1 {
            let mut other = Element([0; 4]);
            fiat_p256_opp(&mut other, &root);
            y = bytes(&other);
        }
        let mut point = [4; 65];
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(&y);
        Some(point)
    }

    /// a to the power of (p + 1) / 4, which is a root if there is one, as p is 3 modulo 4.
    fn square_root(a: &Element) -> Option<Element> {
        let ones_2 = mul(&squared(a, 1), a);
        let ones_4 = mul(&squared(&ones_2, 2), &ones_2);
        let ones_8 = mul(&squared(&ones_4, 4), &ones_4);
        let ones_16 = mul(&squared(&ones_8, 8), &ones_8);
        let ones_32 = mul(&squared(&ones_16, 16), &ones_16);
        let power = mul(&squared(&ones_32, 32), a);
        let root = squared(&mul(&squared(&power, 96), a), 94);
        (squared_by_fiat_crypto(root.0) == a.0).then_some(root)
    }

    /// `None`: it is not below p.
    fn read(big_endian: &[u8; 32]) -> Option<Element> {
        if *big_endian >= P {
            return None;
        }
        let mut little_endian = *big_endian;
        little_endian.reverse();
        let (mut plain, mut element) = (Plain([0; 4]), Element([0; 4]));
        fiat_p256_from_bytes(&mut plain.0, &little_endian);
        fiat_p256_to_montgomery(&mut element, &plain);
        Some(element)
    }

    fn bytes(element: &Element) -> [u8; 32] {
        let (mut plain, mut bytes) = (Plain([0; 4]), [0; 32]);
        fiat_p256_from_montgomery(&mut plain, element);
        fiat_p256_to_bytes(&mut bytes, &plain.0);
        bytes.reverse();
        bytes
    }

    fn mul(a: &Element, b: &Element) -> Element {
        let mut product = Element([0; 4]);
        fiat_p256_mul(&mut product, a, b);
        product
    }

    fn add(a: &Element, b: &Element) -> Element {
        let mut sum = Element([0; 4]);
        fiat_p256_add(&mut sum, a, b);
        sum
    }

    fn sub(a: &Element, b: &Element) -> Element {
        let mut difference = Element([0; 4]);
        fiat_p256_sub(&mut difference, a, b);
        difference
    }

    /// Squared so many times. What comes of it need not be trusted: a root is one only if its square by fiat-crypto is the number.
    fn squared(a: &Element, times: usize) -> Element {
        Element((0..times).fold(a.0, |square, _| squared_once(square)))
    }

    pub(super) fn squared_by_fiat_crypto(a: [u64; 4]) -> [u64; 4] {
        let mut square = Element([0; 4]);
        fiat_p256_square(&mut square, &Element(a));
        square.0
    }

    /// The square in Montgomery's form, below p: faster than fiat-crypto's, which nearly all of the time would go to.
    pub(super) fn squared_once(a: [u64; 4]) -> [u64; 4] {
        // The products of two limbs, which count twice.
        let (t1, carry) = a[0].carrying_mul(a[1], 0);
        let (t2, carry) = a[0].carrying_mul(a[2], carry);
        let (t3, t4) = a[0].carrying_mul(a[3], carry);
        let (t3, carry) = a[1].carrying_mul_add(a[2], t3, 0);
        let (t4, t5) = a[1].carrying_mul_add(a[3], t4, carry);
        let (t5, t6) = a[2].carrying_mul(a[3], t5);
        let twice = |limb: u64, below: u64| limb << 1 | below >> 63;
        let mut t =
            [0, t1 << 1, twice(t2, t1), twice(t3, t2), twice(t4, t3), twice(t5, t4), twice(t6, t5), t6 >> 63];
        let mut carry = false;
        for i in 0..4 {
            let (low, high) = a[i].carrying_mul(a[i], 0);
            (t[2 * i], carry) = t[2 * i].carrying_add(low, carry);
            (t[2 * i + 1], carry) = t[2 * i + 1].carrying_add(high, carry);
        }
        // p is 2^256 − 2^224 + 2^192 + 2^96 − 1, so a limb times p, added where the limb is, clears it.
        let mut above = false;
        for i in 0..4 {
            let limb = t[i];
            let (low, high) = limb.carrying_mul(0xffff_ffff_0000_0001, 0);
            (t[i + 1], carry) = t[i + 1].carrying_add(limb << 32, false);
            (t[i + 2], carry) = t[i + 2].carrying_add(limb >> 32, carry);
            (t[i + 3], carry) = t[i + 3].carrying_add(low, carry);
            (t[i + 4], above) = t[i + 4].carrying_add(high + u64::from(carry), above);
        }
        let mut reduced = [0; 4];
        let mut borrow = false;
        for (i, limb) in LIMBS_OF_P.into_iter().enumerate() {
            (reduced[i], borrow) = t[i + 4].borrowing_sub(limb, borrow);
        }
        if borrow && !above { [t[4], t[5], t[6], t[7]] } else { reduced }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_point_is_refused() {
        let largest = [&[2][..], &[0xff; 32]].concat();
        let prime = [&[2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1][..], &[0; 12], &[0xff; 12]].concat();
        for (case, bytes) in [
            ("nothing", &[][..]),
            ("a sign alone", &[2]),
            ("too short", &[2; 32]),
            ("too long", &[2; 34]),
            ("another form", &[5; 33]),
            ("a number above the prime", &largest),
            ("the prime", &prime),
        ] {
            assert_eq!(uncompressed_p256(bytes), None, "{case}");
            assert!(bytes.first() == Some(&5) || by_p256(bytes).is_none(), "{case}");
        }
    }

    #[cfg(feature = "cli")]
    proptest! {
        #[test]
        fn squares_are_those_of_fiat_crypto(limbs in prop::array::uniform4(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)])) {
            prop_assume!(limbs[3] < 0xffff_ffff_0000_0001);
            prop_assert_eq!(fast::squared_once(limbs), fast::squared_by_fiat_crypto(limbs));
        }
    }

    proptest! {
        #[test]
        fn points_are_those_of_the_p256_crate(sign in 2u8..=3, x in any::<[u8; 32]>(), small in any::<bool>(), low in any::<u16>()) {
            // The p256 crate takes every x by chance, of which every second one is that of a point; small ones are rare.
            let mut x = x;
            if small {
                x[..30].fill(0);
                x[30..].copy_from_slice(&low.to_be_bytes());
            }
            let compressed = [&[sign][..], &x].concat();
            prop_assert_eq!(uncompressed_p256(&compressed), by_p256(&compressed));
        }
    }
}
