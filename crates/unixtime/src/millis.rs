//! Whole milliseconds since 1970.

use std::{
    ops::Add,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::UnixSeconds;

/// A point in time in whole milliseconds since 1970-01-01T00:00:00Z, without leap seconds; none is before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// So many milliseconds after 1970.
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since 1970.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The second that it is in.
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds::new(i64::try_from(self.0 / 1000).unwrap_or(i64::MAX))
    }

    /// How long it is after `earlier`; nothing if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds only: a fraction of the duration is cut off.
impl Add<Duration> for UnixMillis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_milliseconds(duration)))
    }
}

/// 1970 for everything before it.
impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        Self(whole_milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

/// A duration in whole milliseconds; a fraction is cut off.
pub fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
