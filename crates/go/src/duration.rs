//! Durations as Go writes and reads them.

/// Go time.ParseDuration: nanoseconds, or `None` for what it refuses.
pub fn parse(text: &[u8]) -> Option<i64> {
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = leading_digits(rest);
        let mut number: u64 = 0;
        for digit in whole {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            if number > 1 << 63 {
                return None;
            }
        }
        rest = after;
        let (mut fraction, mut scale) = (0u64, 1f64);
        let mut digits = whole.len();
        if let [b'.', after @ ..] = rest {
            let (decimals, after) = leading_digits(after);
            digits += decimals.len();
            let mut full = false;
            for digit in decimals {
                // Digits beyond what fits are dropped, as Go does.
                let next = fraction.checked_mul(10).and_then(|f| f.checked_add(u64::from(digit - b'0')));
                match next {
                    Some(next) if !full && fraction <= ((1 << 63) - 1) / 10 && next <= 1 << 63 => {
                        fraction = next;
                        scale *= 10.0;
                    }
                    _ => full = true,
                }
            }
            rest = after;
        }
        if digits == 0 {
            return None;
        }
        let end = rest.iter().position(|&b| b == b'.' || b.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        rest = after;
        let unit: u64 = match unit {
            b"ns" => 1,
            b"us" => 1_000,
            b"ms" => 1_000_000,
            b"s" => 1_000_000_000,
            b"m" => 60_000_000_000,
            b"h" => 3_600_000_000_000,
            // micro sign U+00B5 and Greek mu U+03BC
            _ if unit == "µs".as_bytes() || unit == "μs".as_bytes() => 1_000,
            _ => return None,
        };
        let mut part = number.checked_mul(unit).filter(|&part| part <= 1 << 63)?;
        if fraction > 0 {
            #[expect(clippy::as_conversions, reason = "Go's own: float64 and back, cut off")]
            let of_fraction = (fraction as f64 * (unit as f64 / scale)) as u64;
            part += of_fraction;
            if part > 1 << 63 {
                return None;
            }
        }
        total = total.checked_add(part).filter(|&total| total <= 1 << 63)?;
    }
    if negative {
        // -2^63 is a duration, +2^63 is not.
        return Some(total.cast_signed().wrapping_neg());
    }
    i64::try_from(total).ok()
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}
