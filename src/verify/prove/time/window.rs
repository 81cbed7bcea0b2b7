//! From when until when a time stamp of a step's attestation proves that it signed while its certificates were valid.

use std::time::Duration;

use unixtime::UnixSeconds;
use x509::{
    Validity,
    time_stamp::{GenTime, Token},
};

use crate::verify::prove::{step::ProvenStep, time::error::TimeStampTokenError};

/// Why a token that is of the attestation, and by a TSA that counts, does not prove the time of signing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfWindow {
    /// Its time is yet to come.
    #[error("it is of {at}, which is in the future")]
    Future {
        /// The token's time.
        at: UnixSeconds,
    },
    /// Before the attestation says that it was signed, so one of the two is wrong.
    #[error("it is of {at}, before the step says that it signed")]
    BeforeSigning {
        /// The token's time.
        at: UnixSeconds,
    },
    /// Certificates had expired, or were not valid yet.
    #[error("it is of {at}, when not every certificate was valid")]
    NotValid {
        /// The token's time.
        at: UnixSeconds,
    },
    /// There is no token in it.
    #[error("{0}")]
    NoToken(TimeStampTokenError),
}

/// When a step says that it signed, and when its certificates are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verify) struct Window {
    signed_at: UnixSeconds,
    leaf: Validity,
    path: Validity,
}

impl Window {
    pub(in crate::verify) fn of(step: &ProvenStep) -> Self {
        Self { signed_at: step.signed_at, leaf: step.leaf.validity(), path: step.path.validity() }
    }

    /// Whether a token of this time proves something at `now`, if clocks are no more than `clock_skew` apart.
    pub(in crate::verify) fn place(
        &self,
        time: GenTime,
        now: UnixSeconds,
        clock_skew: Duration,
    ) -> Result<(), OutOfWindow> {
        let at = time.seconds;
        if time.earliest > now + clock_skew {
            return Err(OutOfWindow::Future { at });
        }
        if time.latest < self.signed_at - clock_skew {
            return Err(OutOfWindow::BeforeSigning { at });
        }
        // The end is what a token is for and is taken exactly; the start follows from the claimed time and may be off as clocks are.
        let (leaf, path) = (self.leaf, self.path);
        let started = leaf.not_before <= time.earliest + clock_skew
            && (path.contains(time.earliest) || path.contains(time.earliest + clock_skew));
        if !started || time.latest > leaf.not_after || !path.contains(time.latest) {
            return Err(OutOfWindow::NotValid { at });
        }
        Ok(())
    }
}

/// What a TSA is to witness of a step that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToStamp {
    /// The step's name.
    pub step: String,
    /// Its attestation, decoded.
    pub attestation: Vec<u8>,
    window: Window,
}

impl ToStamp {
    pub(in crate::verify) fn of(step: &ProvenStep) -> Self {
        Self { step: step.name.clone(), attestation: step.attestation.to_bytes(), window: Window::of(step) }
    }

    /// The last second of its certificates: a token of a later time proves nothing.
    pub fn not_after(&self) -> UnixSeconds {
        self.window.leaf.and(self.window.path).not_after
    }

    /// Whether a token (of this attestation, by a TSA that counts) proves when it was signed. One that does not may do harm: if it is from
    /// before the signature, the TaskRun is `invalid` (docs/verify.md "What makes a token good").
    pub fn check_time(
        &self,
        token: &[u8],
        now: UnixSeconds,
        clock_skew: Duration,
    ) -> Result<(), OutOfWindow> {
        let token = Token::parse(token).map_err(|error| OutOfWindow::NoToken(error.into()))?;
        self.window.place(token.gen_time(), now, clock_skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after the claimed time of signing, in which the leaf is valid from -10 to 100.
    const SKEW: Duration = Duration::from_secs(10);

    #[test]
    fn a_token_counts_from_the_start_of_the_certificates_as_far_as_clocks_may_be_apart() {
        let at = |second: i64| UnixSeconds::new(1_000_000 + second);
        let from_to = |from, to| Validity { not_before: at(from), not_after: at(to) };
        let leaf = from_to(-10, 100);
        for (case, path, (earliest, latest), proves) in [
            ("while all are valid", from_to(-10, 100), (50, 50), Ok(())),
            ("as the path starts", from_to(0, 100), (0, 0), Ok(())),
            ("as long before as clocks may be apart", from_to(0, 100), (-10, 0), Ok(())),
            ("earlier", from_to(0, 100), (-11, 0), Err("not valid")),
            ("its end before the path starts", from_to(0, 100), (-10, -1), Err("not valid")),
            ("the path ends sooner than clocks may be apart", from_to(-10, 55), (50, 50), Ok(())),
            ("the path's last second", from_to(-10, 50), (50, 50), Ok(())),
            ("after the path", from_to(-10, 49), (50, 50), Err("not valid")),
            ("its end after the path", from_to(-10, 50), (50, 51), Err("not valid")),
            ("the leaf's last second", from_to(-10, 200), (100, 100), Ok(())),
            ("after the leaf", from_to(-10, 200), (101, 101), Err("not valid")),
            ("the leaf's first second, clocks apart", from_to(-100, 200), (-20, -10), Ok(())),
            ("before the leaf", from_to(-100, 200), (-21, -10), Err("not valid")),
            ("before signing", from_to(-100, 200), (-12, -11), Err("before")),
            ("as far ahead as clocks may be apart", from_to(-10, 200), (90, 90), Ok(())),
            ("in the future", from_to(-10, 200), (91, 91), Err("future")),
        ] {
            let window = Window { signed_at: at(0), leaf, path };
            let time = GenTime { seconds: at(earliest), earliest: at(earliest), latest: at(latest) };
            // Only the last two look at the clock.
            let now = if earliest == 90 || earliest == 91 { at(80) } else { at(1000) };
            let placed = window.place(time, now, SKEW).map_err(|error| match error {
                OutOfWindow::NotValid { .. } => "not valid",
                OutOfWindow::BeforeSigning { .. } => "before",
                OutOfWindow::Future { .. } => "future",
                OutOfWindow::NoToken(_) => "no token",
            });
            assert_eq!(placed, proves, "{case}");
        }
    }
}
