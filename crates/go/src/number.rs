//! Doubles as Go writes and reads them (Go strconv).

use std::fmt::Write as _;

/// Go's `%g`: as few digits as tell the number apart, with an exponent if it is large or small.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let mut out = digits.to_owned();
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    out
}

/// Go's strconv.ParseFloat. A number too large for a double is none.
pub fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefixed = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    if !underscores_fit(unsigned, prefixed) {
        return None;
    }
    if let Some(digits) = prefixed {
        let value = parse_hexadecimal(&digits.replace('_', ""))?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    if value.is_nan() {
        return (unsigned.len() == text.len()).then_some(value);
    }
    (value.is_finite() || unsigned.starts_with(['i', 'I'])).then_some(value)
}

/// Underscores are between digits, or after the prefix.
fn underscores_fit(unsigned: &str, prefixed: Option<&str>) -> bool {
    let digit = |c: u8| if prefixed.is_some() { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let number = prefixed.unwrap_or(unsigned).as_bytes();
    (0..number.len()).filter(|&at| number[at] == b'_').all(|at| {
        let before = if at == 0 { prefixed.is_some() } else { digit(number[at - 1]) };
        before && number.get(at + 1).is_some_and(|&c| digit(c))
    })
}

/// What follows `0x`: hexadecimal digits, and the power of two they are multiplied by.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (digits, power) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) || whole.len() + fraction.len() == 0 {
        return None;
    }
    // Beyond that it is zero or too large in any case.
    let power = digits.parse().unwrap_or(i64::MAX).min(1 << 40) * if power.starts_with('-') { -1 } else { 1 };
    let mut mantissa: u128 = 0;
    let mut power = power - 4 * i64::try_from(fraction.len()).ok()?;
    for c in whole.chars().chain(fraction.chars()) {
        let digit = u128::from(c.to_digit(16)?);
        if mantissa >> 100 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            // Too small to show but in how it is rounded.
            mantissa |= u128::from(digit != 0);
            power += 4;
        }
    }
    if mantissa == 0 {
        return Some(0.0);
    }
    // As many bits as a double of this size has; what is cut off rounds half to even.
    let bits = 128 - i64::from(mantissa.leading_zeros());
    let kept = (bits + power + 1_074).min(53);
    if kept < 0 {
        return Some(0.0);
    }
    let cut = bits - kept;
    if cut > 0 {
        let rest = mantissa & ((1 << cut) - 1);
        let half = 1 << (cut - 1);
        mantissa >>= cut;
        mantissa += u128::from(rest > half || rest == half && mantissa % 2 == 1);
        power += cut;
    }
    if power > 1_024 {
        return None;
    }
    // In two steps, as the power alone may be beyond a double.
    let power = i32::try_from(power).ok()?;
    let half = power / 2;
    #[expect(clippy::as_conversions, reason = "exact: it has no more bits than a double")]
    let mantissa = mantissa as f64;
    let value = mantissa * 2_f64.powi(half) * 2_f64.powi(power - half);
    value.is_finite().then_some(value)
}
