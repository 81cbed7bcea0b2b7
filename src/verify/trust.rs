//! What the operator trusts, and when.

use std::time::Duration;

use unixtime::UnixSeconds;
use x509::Certificate;

use crate::workload::bundle::X509Bundle;

/// What the operator trusts, and when.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The authorities of the operator's trust domain.
    pub bundle: X509Bundle,
    /// Intermediates that evidence may have left out; they are not trusted by themselves.
    pub intermediates: Vec<Certificate>,
    /// Now.
    pub now: UnixSeconds,
    /// A time that the operator asserts for the check.
    pub at: Option<UnixSeconds>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

impl Trust {
    pub(crate) fn spiffe_id(&self, namespace: &str, task_run: &str) -> String {
        format!("spiffe://{}/ns/{namespace}/taskrun/{task_run}", self.bundle.trust_domain())
    }

    /// The asserted time, else a claimed one, else now.
    pub(crate) fn check_time_or(&self, claimed: Option<UnixSeconds>) -> UnixSeconds {
        self.at.or(claimed).unwrap_or(self.now)
    }
}
