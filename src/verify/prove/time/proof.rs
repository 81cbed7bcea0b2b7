//! What the time of signing is known by.

use x509::time_stamp::TimeStamp;

/// How the time of signing is known, from strong to weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeProof {
    /// Every certificate is valid now.
    ValidNow,
    /// Every certificate was valid when a trusted TSA saw the attestation.
    ValidThen(TimeStamp),
    /// Every certificate was valid at a time that the operator asserted.
    Asserted(i64),
    /// Accepted without proof.
    Unproven,
}

impl TimeProof {
    /// The weaker of two; of two time stamps the later one, by which both attestations were there.
    pub fn weaker(self, other: Self) -> Self {
        let rank = |proof: &Self| match proof {
            Self::ValidNow => (0, 0),
            Self::ValidThen(stamp) => (1, stamp.gen_time),
            Self::Asserted(_) => (2, 0),
            Self::Unproven => (3, 0),
        };
        std::cmp::max_by_key(self, other, rank)
    }
}
