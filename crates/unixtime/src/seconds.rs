//! Whole seconds since 1970.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Longer than a time with nanoseconds and an offset.
const LONGEST: usize = 64;

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, without leap seconds. It is displayed as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// Before every other time.
    pub const MIN: Self = Self(i64::MIN);
    /// After every other time.
    pub const MAX: Self = Self(i64::MAX);

    /// So many seconds after 1970, or before it if negative.
    pub const fn new(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970, negative before.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; a fraction of a second is cut off. `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        // Whoever reads the times of an object may read them for each of its steps, and as many digits of a second as one likes would do.
        let text = Some(text).filter(|text| text.len() <= LONGEST)?;
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::from)
    }

    /// With a calendar's date; `None` before the year -9999 and after 9999.
    pub fn date_time(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.0).ok()
    }

    /// How long it is after `earlier`; nothing if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier { Duration::ZERO } else { Duration::from_secs(self.0.abs_diff(earlier.0)) }
    }
}

/// Whole seconds only: a fraction of the duration is cut off.
impl Add<Duration> for UnixSeconds {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(duration.as_secs()))
    }
}

/// Whole seconds only: a fraction of the duration is cut off.
impl Sub<Duration> for UnixSeconds {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(duration.as_secs()))
    }
}

impl From<OffsetDateTime> for UnixSeconds {
    fn from(time: OffsetDateTime) -> Self {
        Self(time.unix_timestamp())
    }
}

/// 1970 for everything before it.
impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        Self::EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// RFC 3339 in UTC, or the number if no calendar has it.
impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date_time().and_then(|time| time.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s since 1970", self.0),
        }
    }
}
