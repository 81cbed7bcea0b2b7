//! When a certificate is valid (RFC 5280 4.1.2.5).

/// The seconds in which something is valid, both ends included. There is none if the end is before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second, Unix time.
    pub not_before: i64,
    /// The last second, Unix time.
    pub not_after: i64,
}

impl Validity {
    /// All seconds there are.
    pub const ALWAYS: Self = Self { not_before: i64::MIN, not_after: i64::MAX };

    /// The seconds from `at` on, and so many more.
    pub fn from_on(at: i64, seconds: i64) -> Self {
        Self { not_before: at, not_after: at.saturating_add(seconds) }
    }

    /// Whether `at` is one of them.
    pub fn contains(self, at: i64) -> bool {
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
