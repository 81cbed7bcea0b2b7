//! What must hold of a walk as a whole: that no TaskRun which a gate relies on was left out.

use std::collections::{BTreeSet, HashSet};

use crate::verify::{Breach, Demand, Detail, Finding, PolicyFile, Report, Verdict};

/// Counts what the demands of a policy and of the command line speak of.
pub(super) struct Gate<'a> {
    finished: bool,
    demanded: &'a [Demand],
    file: Option<&'a PolicyFile>,
    /// For each rule.
    rules: Vec<Spoken>,
    /// For each demand: whether a TaskRun met it.
    met: Vec<bool>,
    /// Runs that have not finished and are left out.
    pub(super) left_out: u64,
}

/// The TaskRuns that one rule speaks of.
#[derive(Default)]
struct Spoken {
    of_any: bool,
    count: u64,
    uids: HashSet<String>,
    /// Name, start and end of a first step, as signed: a run has one of them, whatever UID the object claims.
    runs: HashSet<(String, u64, u64)>,
}

impl Spoken {
    /// Counts a TaskRun, if it is not one that was counted already.
    fn count(&mut self, report: &Report) {
        let first = report.proof.as_ref().and_then(|proof| proof.basis.steps().next());
        // Tekton's own signatures bind neither UID nor time: then a name is counted once.
        let (started, signed) = first.map_or((0, 0), |step| (step.started_ms(), step.signed_ms()));
        let is_new_uid = report.uid.is_empty() || self.uids.insert(report.uid.clone());
        let is_new_run = self.runs.insert((report.task_run.clone(), started, signed));
        self.count += u64::from(is_new_uid && is_new_run);
    }
}

impl<'a> Gate<'a> {
    /// Nothing seen yet. `finished`: what has not finished is left out.
    pub(super) fn new(finished: bool, demanded: &'a [Demand], file: Option<&'a PolicyFile>) -> Self {
        let rules = file.map_or(0, |file| file.rules().len());
        let rules = (0..rules).map(|_| Spoken::default()).collect();
        Gate { finished, demanded, file, rules, met: vec![false; demanded.len()], left_out: 0 }
    }

    /// Whether a run is left out; else it is counted. One whose earlier attempts contradict their evidence is not.
    pub(super) fn leaves_out(&mut self, report: &Report) -> bool {
        let is_unfinished = |finding: &Finding| finding.facts().detail == Some(Detail::UNFINISHED);
        let is_undecided =
            |finding: &Finding| matches!(finding, Finding::Policy { breach: Breach::Undecided, .. });
        if self.finished
            && report.findings.iter().any(is_unfinished)
            && report.findings.iter().all(|finding| is_unfinished(finding) || is_undecided(finding))
        {
            self.left_out += 1;
            return true;
        }
        // Demands speak of TaskRuns.
        if report.pipeline.is_some() {
            return false;
        }
        let is_good = report.accepted || report.verdict == Verdict::Verified;
        for &index in &report.rules {
            let min = self.file.and_then(|file| file.rules().get(index)?.min);
            let Some(spoken) = self.rules.get_mut(index) else { continue };
            spoken.of_any = true;
            // More need not be told apart.
            if is_good && min.is_some_and(|min| spoken.count < min) {
                spoken.count(report);
            }
        }
        let name = report.task_run.split_once('/').map_or("", |(_, name)| name);
        for (demand, met) in self.demanded.iter().zip(&mut self.met) {
            *met |= is_good && demand.is_of_name(name);
        }
        false
    }

    /// What is demanded of the walk and is not there.
    pub(super) fn missing(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, spoken) in self.rules.iter().enumerate() {
            let Some((file, min)) = self.file.and_then(|file| Some((file, file.rules()[index].min?))) else {
                continue;
            };
            if spoken.count < min {
                findings.push(Finding::Policy {
                    rule: file.rule_name(index),
                    detail: Detail::MIN,
                    step: None,
                    result: None,
                    demanded: match min {
                        1 => "at least 1 TaskRun that it speaks of must be verified".to_owned(),
                        _ => format!("at least {min} TaskRuns that it speaks of must be verified"),
                    },
                    found: match spoken.count {
                        0 => "none is".to_owned(),
                        1 => "only 1 is".to_owned(),
                        count => format!("only {count} are"),
                    },
                    breach: Breach::Missing,
                });
            }
        }
        let demands = self.demanded.iter().zip(&self.met);
        findings.extend(demands.filter(|(demand, met)| demand.task_run.is_some() && !**met).map(
            |(demand, _)| Finding::NoTaskRun { demanded: demand.to_string(), result: demand.name.clone() },
        ));
        findings
    }

    /// Rules that spoke of none although they need not: numbers from 0; `None` if no rule spoke of any.
    pub(super) fn idle_rules(&self) -> Option<BTreeSet<usize>> {
        let idle = |(index, spoken): (usize, &Spoken)| {
            let has_min = self.file.is_some_and(|file| file.rules()[index].min.is_some());
            (!spoken.of_any && !has_min).then_some(index)
        };
        let is_any = self.rules.iter().any(|spoken| spoken.of_any);
        is_any.then(|| self.rules.iter().enumerate().filter_map(idle).collect())
    }
}
