//! Timestamps: Go's time.Time as far as CEL shows it (Go time/format.go, cel-go common/types/timestamp.go).

use std::fmt;

use tz::UtcDateTime;

const DAY: i128 = 86_400;
pub(super) const NANOSECONDS: i64 = 1_000_000_000;

/// `0001-01-01T00:00:00Z` and `9999-12-31T23:59:59Z`, in seconds since 1970.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// An instant, and the offset in which it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    /// Since 1970, UTC.
    seconds: i64,
    nanoseconds: u32,
    /// Seconds east of UTC.
    offset: i32,
}

/// A date and time of day somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    /// From 0.
    pub(super) day_of_year: i64,
    /// From 0, which is Sunday.
    pub(super) day_of_week: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Moment {
    /// Nanoseconds may be any number: they carry over into the seconds.
    pub(super) fn utc(seconds: i64, nanoseconds: i64) -> Self {
        let carry = nanoseconds.div_euclid(NANOSECONDS);
        let nanoseconds = nanoseconds.rem_euclid(NANOSECONDS) as u32;
        Self { seconds: seconds.wrapping_add(carry), nanoseconds, offset: 0 }
    }

    pub(super) fn is_in_range(self) -> bool {
        RANGE.contains(&self.seconds)
    }

    pub(super) fn instant(self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }

    /// The instant a duration later, in nanoseconds; `None` beyond the range of timestamps.
    pub(super) fn plus(self, duration: i64) -> Option<Self> {
        let nanoseconds = i64::from(self.nanoseconds) + duration % NANOSECONDS;
        let seconds = self.seconds.checked_add(duration / NANOSECONDS)?;
        let seconds = seconds.checked_add(nanoseconds.div_euclid(NANOSECONDS))?;
        let nanoseconds = nanoseconds.rem_euclid(NANOSECONDS) as u32;
        Some(Self { seconds, nanoseconds, offset: self.offset }).filter(|moment| moment.is_in_range())
    }

    /// From an earlier instant to this one, in nanoseconds.
    pub(super) fn since(self, earlier: Self) -> Option<i64> {
        let seconds = self.seconds.checked_sub(earlier.seconds)?;
        let nanoseconds = i64::from(self.nanoseconds) - i64::from(earlier.nanoseconds);
        seconds.checked_mul(NANOSECONDS)?.checked_add(nanoseconds)
    }

    /// Date and time of day at an offset in seconds.
    pub(super) fn parts(self, offset: i64) -> Parts {
        let local = i128::from(self.seconds) + i128::from(offset);
        let (days, seconds) = (local.div_euclid(DAY), local.rem_euclid(DAY) as i64);
        // Eras of 400 years that begin on the first of March.
        let since_march_0 = days + 719_468;
        let era = since_march_0.div_euclid(146_097);
        let day_of_era = since_march_0.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = (year_of_era + era * 400 + i128::from(month <= 2)) as i64;
        let leap = i128::from(is_leap(year));
        let day_of_year = if month <= 2 { day_from_march - 306 } else { day_from_march + 59 + leap };
        Parts {
            year,
            month: month as i64,
            day: day as i64,
            day_of_year: day_of_year as i64,
            day_of_week: (days + 4).rem_euclid(7) as i64,
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    pub(super) fn milliseconds(self) -> i64 {
        i64::from(self.nanoseconds) / 1_000_000
    }

    /// Reads RFC 3339 as Go's time.Parse does: an hour of one digit and a comma before the fraction are allowed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.digits(4)?;
        rest.sign(b'-')?;
        let month = rest.digits(2)?;
        rest.sign(b'-')?;
        let day = rest.digits(2)?;
        rest.sign(b'T')?;
        let hour =
            if rest.0.get(1).is_some_and(u8::is_ascii_digit) { rest.digits(2)? } else { rest.digits(1)? };
        rest.sign(b':')?;
        let minute = rest.digits(2)?;
        rest.sign(b':')?;
        let second = rest.digits(2)?;
        let nanoseconds = rest.fraction();
        let offset = rest.offset()?;
        // That one knows the lengths of months; it lets leap seconds pass, as Go does not.
        let date =
            UtcDateTime::new(year as i32, month as u8, day as u8, hour as u8, minute as u8, second as u8, 0);
        let seconds = date.ok()?.unix_time() - offset;
        let valid = rest.0.is_empty() && second < 60;
        valid.then_some(Self { seconds, nanoseconds, offset: offset as i32 })
    }
}

/// RFC 3339 in its own offset, as many digits of a fraction as are needed (Go time.RFC3339Nano).
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { year, month, day, hour, minute, second, .. } = self.parts(self.offset.into());
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", year.unsigned_abs())?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let minutes = self.offset.unsigned_abs() / 60;
        let sign = if self.offset / 60 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// What is left of the text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.0 = rest;
        Some(value)
    }

    fn sign(&mut self, sign: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[sign])?;
        Some(())
    }

    /// Nanoseconds: nine digits count, more are read.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', fraction @ ..] = self.0 else { return 0 };
        let length = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if length == 0 {
            return 0;
        }
        let digits = fraction[..length].iter().map(|digit| u32::from(digit - b'0'));
        let nanoseconds =
            digits.chain(std::iter::repeat(0)).take(9).fold(0, |value, digit| value * 10 + digit);
        self.0 = &fraction[length..];
        nanoseconds
    }

    fn offset(&mut self) -> Option<i64> {
        if self.sign(b'Z').is_some() {
            return Some(0);
        }
        let sign = match self.0.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.digits(2)?;
        self.sign(b':')?;
        let minutes = self.digits(2)?;
        // Go lets 24 hours and 60 minutes pass.
        (hours <= 24 && minutes <= 60).then_some(sign * (hours * 60 + minutes) * 60)
    }
}
