//! What must hold of a walk as a whole: that no TaskRun which a gate relies on was left out.

use std::{
    collections::{BTreeSet, HashSet},
    sync::atomic::{AtomicBool, Ordering},
};

use unixtime::UnixMillis;

use crate::verify::{Breach, Demand, Detail, Finding, PolicyFile, Report, Rule, Verdict};

/// What is demanded of the TaskRuns of a walk together, and what of it was met so far: whoever judges may ask, too.
pub(super) struct Demanded<'a> {
    demands: &'a [Demand],
    file: Option<&'a PolicyFile>,
    /// For each demand: whether a TaskRun met it.
    met: Vec<AtomicBool>,
    /// For each rule: whether there are as many TaskRuns as it wants.
    enough: Vec<AtomicBool>,
}

impl<'a> Demanded<'a> {
    /// Nothing met yet.
    pub(super) fn new(demands: &'a [Demand], file: Option<&'a PolicyFile>) -> Self {
        let none = |count| std::iter::repeat_with(AtomicBool::default).take(count).collect();
        let rules = file.map_or(0, |file| file.rules().len());
        Self { demands, file, met: none(demands.len()), enough: none(rules) }
    }

    /// Whether a TaskRun of this namespace and name could meet something that was not met yet.
    pub(super) fn waits_for(&self, (namespace, name): (&str, &str)) -> bool {
        let is_open = |met: &AtomicBool| !met.load(Ordering::Relaxed);
        let is_of_demand = |(demand, met): (&Demand, &AtomicBool)| {
            demand.task_run.is_some() && is_open(met) && demand.is_of_name(name)
        };
        let is_of_rule = |(rule, enough): (&Rule, &AtomicBool)| {
            rule.min.is_some() && is_open(enough) && rule.is_of(namespace, name)
        };
        let rules = self.file.map(PolicyFile::rules).unwrap_or_default();
        self.demands.iter().zip(&self.met).any(is_of_demand) || rules.iter().zip(&self.enough).any(is_of_rule)
    }
}

/// Counts what the demands of a policy and of the command line speak of.
pub(super) struct Gate<'a> {
    finished: bool,
    demanded: &'a Demanded<'a>,
    /// For each rule.
    rules: Vec<Spoken>,
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
    runs: HashSet<(String, Option<(UnixMillis, UnixMillis)>)>,
}

impl Spoken {
    /// Counts a TaskRun, if it is not one that was counted already.
    fn count(&mut self, report: &Report) {
        let first = report.proof.as_ref().and_then(|proof| proof.basis.steps().next());
        // Tekton's own signatures bind neither UID nor time: then a name is counted once.
        let first = first.map(|step| (step.started(), step.signed()));
        let is_new_uid = report.uid.is_empty() || self.uids.insert(report.uid.clone());
        let is_new_run = self.runs.insert((report.task_run.clone(), first));
        self.count += u64::from(is_new_uid && is_new_run);
    }
}

/// Whether nothing is said of a run but that it has not finished.
pub(super) fn is_unfinished(report: &Report) -> bool {
    let is_unfinished = |finding: &Finding| finding.facts().detail == Some(Detail::UNFINISHED);
    let is_undecided =
        |finding: &Finding| matches!(finding, Finding::Policy { breach: Breach::Undecided, .. });
    report.findings.iter().any(is_unfinished)
        && report.findings.iter().all(|finding| is_unfinished(finding) || is_undecided(finding))
}

impl<'a> Gate<'a> {
    /// Nothing seen yet. `finished`: what has not finished is left out.
    pub(super) fn new(finished: bool, demanded: &'a Demanded<'a>) -> Self {
        let rules = demanded.enough.iter().map(|_| Spoken::default()).collect();
        Gate { finished, demanded, rules, left_out: 0 }
    }

    /// Whether what has not finished is left out.
    pub(super) fn is_of_finished(&self) -> bool {
        self.finished
    }

    /// Whether a run is left out; else it is counted. One whose earlier attempts contradict their evidence is not.
    pub(super) fn leaves_out(&mut self, report: &Report) -> bool {
        if self.finished && is_unfinished(report) {
            self.left_out += 1;
            return true;
        }
        self.count(report);
        false
    }

    /// Counts a run towards what is demanded.
    pub(super) fn count(&mut self, report: &Report) {
        // Demands speak of TaskRuns.
        if report.pipeline.is_some() {
            return;
        }
        let is_good = report.accepted || report.verdict == Verdict::Verified;
        for &index in &report.rules {
            let min = self.demanded.file.and_then(|file| file.rules().get(index)?.min);
            let Some(spoken) = self.rules.get_mut(index) else { continue };
            spoken.of_any = true;
            // More need not be told apart.
            if is_good && min.is_some_and(|min| spoken.count < min) {
                spoken.count(report);
            }
            if let (Some(enough), true) =
                (self.demanded.enough.get(index), min.is_some_and(|min| spoken.count >= min))
            {
                enough.store(true, Ordering::Relaxed);
            }
        }
        let name = report.task_run.split_once('/').map_or("", |(_, name)| name);
        for (demand, met) in self.demanded.demands.iter().zip(&self.demanded.met) {
            if is_good && demand.is_of_name(name) {
                met.store(true, Ordering::Relaxed);
            }
        }
    }

    /// What is demanded of the walk and is not there.
    pub(super) fn missing(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, spoken) in self.rules.iter().enumerate() {
            let Some((file, min)) =
                self.demanded.file.and_then(|file| Some((file, file.rules()[index].min?)))
            else {
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
        let demands = self.demanded.demands.iter().zip(&self.demanded.met);
        let is_missing = |(demand, met): &(&Demand, &AtomicBool)| {
            demand.task_run.is_some() && !met.load(Ordering::Relaxed)
        };
        findings.extend(demands.filter(is_missing).map(|(demand, _)| Finding::NoTaskRun {
            demanded: demand.to_string(),
            result: demand.name.clone(),
        }));
        findings
    }

    /// Rules that spoke of none although they need not: numbers from 0; `None` if no rule spoke of any.
    pub(super) fn idle_rules(&self) -> Option<BTreeSet<usize>> {
        let idle = |(index, spoken): (usize, &Spoken)| {
            let has_min = self.demanded.file.is_some_and(|file| file.rules()[index].min.is_some());
            (!spoken.of_any && !has_min).then_some(index)
        };
        let is_any = self.rules.iter().any(|spoken| spoken.of_any);
        is_any.then(|| self.rules.iter().enumerate().filter_map(idle).collect())
    }
}
