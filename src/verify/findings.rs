//! The findings of one object: of each kind the first ones, and how many more there are.

use std::{fmt, ops::Deref};

use super::verdict::Verdict;
use crate::verify::finding::Finding;

/// So many findings of one kind are kept. An object can give rise to as many as it has bytes, and nobody reads them.
pub const KEPT: usize = 20;

/// Findings in the order in which they were found, at most [`KEPT`] of each code and verdict; others are counted. Whether there
/// are any, and the verdicts that they lead to, are those of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: Vec<More>,
}

/// Findings of one kind that are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// [`Finding::code`].
    pub code: &'static str,
    /// [`Finding::verdict`].
    pub verdict: Verdict,
    /// How many.
    pub count: usize,
}

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.count.to_string();
        write!(f, "… and ")?;
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                write!(f, ",")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, " more findings of the kind {}", self.code)
    }
}

impl Findings {
    /// Adds one.
    pub(crate) fn push(&mut self, finding: Finding) {
        let (code, verdict) = (finding.code(), finding.verdict());
        if self.count(code, verdict, 1) <= KEPT {
            self.kept.push(finding);
        }
    }

    /// Adds those of another object's part.
    pub(crate) fn append(&mut self, other: Self) {
        for finding in other.kept {
            self.push(finding);
        }
        for More { code, verdict, count } in other.counts {
            if let Some(more) = count.checked_sub(KEPT) {
                self.count(code, verdict, more);
            }
        }
    }

    /// Those of a PipelineRun, with what is `invalid` as no more than `unchecked`; whether there was such a one.
    pub(crate) fn at_most_unchecked(self) -> (Self, bool) {
        let (mut all, mut is_other) = (Self::default(), false);
        for mut finding in self.kept {
            if let Finding::Pipeline(fault) = &mut finding
                && fault.verdict == Verdict::Invalid
            {
                (fault.verdict, is_other) = (Verdict::Unchecked, true);
            }
            all.push(finding);
        }
        for More { code, verdict, count } in self.counts {
            if let Some(more) = count.checked_sub(KEPT) {
                all.count(code, verdict.min(Verdict::Unchecked), more);
            }
        }
        (all, is_other)
    }

    /// Those that are not kept, by kind.
    pub fn more(&self) -> impl Iterator<Item = More> {
        let more = self.counts.iter().filter(|counted| counted.count > KEPT);
        more.map(|counted| More { count: counted.count - KEPT, ..counted.clone() })
    }

    /// How many of a kind there are with so many more.
    fn count(&mut self, code: &'static str, verdict: Verdict, more: usize) -> usize {
        match self.counts.iter_mut().find(|counted| counted.code == code && counted.verdict == verdict) {
            Some(counted) => {
                counted.count += more;
                counted.count
            }
            None => {
                self.counts.push(More { code, verdict, count: more });
                more
            }
        }
    }
}

impl Deref for Findings {
    type Target = [Finding];

    fn deref(&self) -> &[Finding] {
        &self.kept
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.iter()
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self::from_iter([finding])
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        let mut all = Self::default();
        all.extend(findings);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_the_first_are_kept_and_the_others_counted() {
        let demanded = |i: usize| Finding::Demanded(i.to_string());
        let uncovered = |i: usize| Finding::Uncovered { step: i.to_string() };
        let mut findings: Findings = (0..KEPT).map(demanded).collect();
        assert_eq!((findings.len(), findings.more().count()), (KEPT, 0));
        findings.append((0..5).map(uncovered).chain((0..3432).map(demanded)).collect());
        findings.append((0..KEPT).map(uncovered).collect());
        let more: Vec<String> = findings.more().map(|more| more.to_string()).collect();
        assert_eq!(
            more,
            ["… and 3,432 more findings of the kind demanded", "… and 5 more findings of the kind uncovered"]
        );
        assert_eq!(findings.len(), 2 * KEPT);
        assert_eq!(findings[KEPT - 1], demanded(KEPT - 1));
        assert_eq!(findings.iter().map(Finding::verdict).max(), Some(Verdict::Invalid));
    }
}
