//! The annotation that holds the verdict on a run.

use serde::{Deserialize, Serialize};
use unixtime::UnixSeconds;
use x509::text::hex;

use crate::verify::Verdict;

/// Its name, in the run's `metadata`. It is for people and dashboards: `svidence verify` never looks at it.
pub const ANNOTATION: &str = "svidence.dev/verdict";

/// Bytes of one that is looked at: more than ours ever has.
const LONGEST: usize = 1024;

/// The digest of all that a verdict on a run rests on, but the clock, what is trusted, and runs that belong to it
/// (docs/operations.md "Verdicts on runs" says of what).
pub type EvidenceDigest = [u8; 32];

/// The content of the annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
    /// RFC 3339.
    time: String,
    evidence: String,
}

impl Noted {
    /// A verdict, and the code of its finding, at this time.
    pub fn new(verdict: Verdict, finding: Option<&str>, at: UnixSeconds, evidence: &EvidenceDigest) -> Self {
        Self {
            verdict: verdict.as_str().to_owned(),
            finding: finding.map(str::to_owned),
            time: at.to_string(),
            evidence: named(evidence),
        }
    }

    /// As it is written.
    pub fn to_json(&self) -> String {
        // Texts, which are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What an annotation says, if it is of this form. Whoever may write to the run may have written it.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|noted: &Self| text.len() <= LONGEST && noted.at().is_some())
    }

    /// When it was noted, as it says.
    pub fn at(&self) -> Option<UnixSeconds> {
        UnixSeconds::parse(&self.time)
    }

    /// Whether it says the same, whenever it was noted.
    pub fn says(&self, verdict: Verdict, finding: Option<&str>) -> bool {
        self.verdict == verdict.as_str() && self.finding.as_deref() == finding
    }

    /// Whether it is about this evidence.
    pub fn is_of(&self, evidence: &EvidenceDigest) -> bool {
        self.evidence == named(evidence)
    }
}

fn named(evidence: &EvidenceDigest) -> String {
    format!("sha256:{}", hex(evidence))
}
