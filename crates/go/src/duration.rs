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
        let (number, after) = Decimal::read(rest)?;
        let end = after.iter().position(|&b| b == b'.' || b.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        rest = after;
        let part = number.of(unit(name)?)?;
        total = total.checked_add(part).filter(|&total| total <= 1 << 63)?;
    }
    if negative {
        // -2^63 is a duration, +2^63 is not.
        return Some(total.cast_signed().wrapping_neg());
    }
    i64::try_from(total).ok()
}

/// A number with a point in it, as far as Go keeps its digits.
struct Decimal {
    whole: u64,
    /// The digits after the point.
    fraction: u64,
    /// The power of ten that they are divided by.
    scale: f64,
}

impl Decimal {
    /// The number at the beginning, and what follows it.
    fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (digits, mut rest) = leading_digits(text);
        let mut whole: u64 = 0;
        for digit in digits {
            whole = whole.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            if whole > 1 << 63 {
                return None;
            }
        }
        let mut number = Self { whole, fraction: 0, scale: 1.0 };
        let mut decimals: &[u8] = &[];
        if let [b'.', after @ ..] = rest {
            (decimals, rest) = leading_digits(after);
            number.read_fraction(decimals);
        }
        (digits.len() + decimals.len() > 0).then_some((number, rest))
    }

    fn read_fraction(&mut self, decimals: &[u8]) {
        for digit in decimals {
            let next = self.fraction.checked_mul(10).and_then(|f| f.checked_add(u64::from(digit - b'0')));
            match next {
                Some(next) if self.fraction <= ((1 << 63) - 1) / 10 && next <= 1 << 63 => {
                    self.fraction = next;
                    self.scale *= 10.0;
                }
                // Digits beyond what fits are dropped, as Go does.
                _ => return,
            }
        }
    }

    /// So many units, in nanoseconds.
    fn of(&self, unit: u64) -> Option<u64> {
        let mut part = self.whole.checked_mul(unit).filter(|&part| part <= 1 << 63)?;
        if self.fraction > 0 {
            #[expect(clippy::as_conversions, reason = "Go's own: float64 and back, cut off")]
            let of_fraction = (self.fraction as f64 * (unit as f64 / self.scale)) as u64;
            part += of_fraction;
        }
        (part <= 1 << 63).then_some(part)
    }
}

/// Nanoseconds.
fn unit(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"ns" => 1,
        b"us" => 1_000,
        b"ms" => 1_000_000,
        b"s" => 1_000_000_000,
        b"m" => 60_000_000_000,
        b"h" => 3_600_000_000_000,
        // micro sign U+00B5 and Greek mu U+03BC
        _ if name == "µs".as_bytes() || name == "μs".as_bytes() => 1_000,
        _ => return None,
    })
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}
