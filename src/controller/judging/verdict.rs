//! What is noted of a run: an annotation, and a condition of its status if that is wanted.

use serde_json::{Value, json};
use unixtime::UnixSeconds;

use crate::{
    controller::judging::{
        annotation::{EvidenceDigest, Noted},
        ended::CONDITION,
    },
    report::safe::Line,
    sources::error::SourceError,
    verify::{Report, Verdict},
};

/// Characters of a condition's message, and of what is said of a finding elsewhere: a run may repeat a megabyte of its own in it.
const LONGEST_MESSAGE: usize = 1024;

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The code of the finding that decides (docs/verify.md "Codes"); `None` if nothing speaks against it.
    pub finding: Option<&'static str>,
    /// That finding in words, safe to print.
    pub words: String,
    /// What was judged.
    pub evidence: EvidenceDigest,
}

/// A text, safe to print, and no longer than a message.
fn short(text: &str) -> String {
    let start: String = text.chars().take(LONGEST_MESSAGE).collect();
    Line(&start).to_string()
}

impl Judged {
    /// What a report says.
    pub fn of_report(report: &Report, evidence: EvidenceDigest) -> Self {
        let decides = report.findings.iter().find(|finding| finding.verdict() == report.verdict);
        let finding = decides.or_else(|| report.findings.first());
        Self {
            verdict: report.verdict,
            finding: finding.map(|finding| finding.code()),
            words: finding.map(|finding| short(&finding.to_string())).unwrap_or_default(),
            evidence,
        }
    }

    /// What it means that a run cannot be read.
    pub fn of_unreadable(error: &SourceError, evidence: EvidenceDigest) -> Self {
        let words = short(&error.to_string());
        Self { verdict: error.verdict(), finding: Some(error.code()), words, evidence }
    }

    /// The status of the condition.
    pub fn condition_status(&self) -> &'static str {
        match self.verdict {
            Verdict::Verified => "True",
            Verdict::Unchecked => "Unknown",
            Verdict::Weak | Verdict::Absent | Verdict::Invalid => "False",
        }
    }

    /// The value of the annotation.
    pub fn annotation(&self, at: UnixSeconds) -> String {
        Noted::new(self.verdict, self.finding, at, &self.evidence).to_json()
    }

    /// The condition, in the place of `before`.
    pub fn condition(&self, pod: Option<&str>, before: Option<&Value>, at: UnixSeconds) -> Value {
        let status = self.condition_status();
        let reason = match self.verdict {
            Verdict::Verified => "Verified",
            Verdict::Weak => "Weak",
            Verdict::Absent => "Absent",
            Verdict::Unchecked => "Unchecked",
            Verdict::Invalid => "Invalid",
        };
        // A retry takes the condition along, so it says whose it is.
        let pod = pod.map(|pod| format!("pod {pod}: ")).unwrap_or_default();
        let what = match self.finding {
            Some(code) => format!("{code}: {}", self.words),
            None => "what its steps produced is what they signed".to_owned(),
        };
        let message: String = format!("{pod}{what}").chars().take(LONGEST_MESSAGE).collect();
        let is_as_before = |before: &&Value| before.get("status").and_then(Value::as_str) == Some(status);
        let since = before.filter(is_as_before).and_then(|before| before.get("lastTransitionTime")?.as_str());
        json!({
            "type": CONDITION, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since.map_or_else(|| at.to_string(), str::to_owned),
        })
    }
}
