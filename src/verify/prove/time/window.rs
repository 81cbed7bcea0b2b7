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
