//! What the time of signing is known by.

use unixtime::UnixSeconds;
use x509::time_stamp::TimeStamp;

/// How the time of signing is known, from strong to weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeProof {
    /// Every certificate is valid now.
    ValidNow,
    /// Every certificate was valid when a trusted TSA saw the attestation.
    ValidThen(TimeStamp),
    /// Every certificate was valid at a time that the operator asserted.
    Asserted(UnixSeconds),
    /// Accepted without proof.
    Unproven,
}

impl TimeProof {
    /// The weaker of two; of two time stamps the later one, by which both attestations were there.
    pub fn weaker(self, other: Self) -> Self {
        let rank = |proof: &Self| match proof {
            Self::ValidNow => (0, UnixSeconds::EPOCH),
            Self::ValidThen(stamp) => (1, stamp.gen_time),
            Self::Asserted(_) => (2, UnixSeconds::EPOCH),
            Self::Unproven => (3, UnixSeconds::EPOCH),
        };
        std::cmp::max_by_key(self, other, rank)
    }
}
