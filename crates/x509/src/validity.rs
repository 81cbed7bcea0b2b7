//! When a certificate is valid (RFC 5280 4.1.2.5).

use std::time::Duration;

use unixtime::UnixSeconds;

/// The seconds in which something is valid, both ends included. There is none if the end is before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: UnixSeconds,
    /// The last second.
    pub not_after: UnixSeconds,
}

impl Validity {
    /// All seconds there are.
    pub const ALWAYS: Self = Self { not_before: UnixSeconds::MIN, not_after: UnixSeconds::MAX };

    /// The second `at`, and those that follow within `duration`.
    pub fn from_on(at: UnixSeconds, duration: Duration) -> Self {
        Self { not_before: at, not_after: at + duration }
    }

    /// Whether `at` is one of them.
    pub fn contains(self, at: UnixSeconds) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// The seconds that both have.
    pub fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }

    /// Whether there is no second in it.
    pub fn is_empty(self) -> bool {
        self.not_before > self.not_after
    }
}
