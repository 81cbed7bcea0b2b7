//! What is asked of the archive. Filters are made of fixed templates, and what is put into them was checked before: the server
//! copies texts of a filter into SQL as they are.

use std::{fmt, str::FromStr};

use time::format_description::well_known::Rfc3339;
use unixtime::UnixSeconds;

use crate::sources::run_name::{Name, RunKind, RunName};

/// Bytes of names, with what stands around them in an address, that one filter holds: servers and proxies refuse long addresses.
const NAMES_IN_A_FILTER: usize = 4 << 10;
/// Records of TaskRuns; `TASK_RUN` stands for `tekton.dev/v1.TaskRun`.
const TASK_RUNS: &str = r#"data_type in [TASK_RUN, "tekton.dev/v1beta1.TaskRun"]"#;
/// Records of PipelineRuns.
const PIPELINE_RUNS: &str = r#"data_type in [PIPELINE_RUN, "tekton.dev/v1beta1.PipelineRun"]"#;
/// Both.
const RUNS: &str = r#"data_type in [TASK_RUN, "tekton.dev/v1beta1.TaskRun", PIPELINE_RUN, "tekton.dev/v1beta1.PipelineRun"]"#;
/// What an object's name must be.
const NAME: &str = "data.metadata.name";
/// What Tekton's controller writes into the children of a PipelineRun.
const PIPELINE_RUN_OF: &str = r#"data.metadata.labels["tekton.dev/pipelineRun"]"#;

/// A namespace, or `-` for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(String);

impl FromStr for Parent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=63).contains(&text.len()) && text.bytes().all(is_of_a_name) {
            return Ok(Self(text.to_owned()));
        }
        Err("it is a namespace (1 to 63 of a-z, 0-9, -), or - for all of them")
    }
}

impl Parent {
    /// The namespace, if it is one.
    pub fn namespace(&self) -> Option<&str> {
        (self.0 != "-").then_some(&self.0)
    }

    /// Every result of it.
    pub(super) fn results(&self) -> String {
        format!("{}/results/-", self.0)
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which runs by when they were completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// Then or later.
    pub since: Option<UnixSeconds>,
    /// Before then.
    pub until: Option<UnixSeconds>,
}

impl Window {
    /// The conditions that a run in it meets.
    fn inside(self) -> Vec<String> {
        let since = self.since.and_then(|at| completed(">=", at));
        let until = self.until.and_then(|at| completed("<", at));
        since.into_iter().chain(until).collect()
    }

    /// Those of which a run outside of it meets one.
    fn outside(self) -> Vec<String> {
        let since = self.since.and_then(|at| completed("<", at));
        let until = self.until.and_then(|at| completed(">=", at));
        since.into_iter().chain(until).collect()
    }
}

/// A condition on when a run was completed.
fn completed(operator: &str, at: UnixSeconds) -> Option<String> {
    let at = at.date_time()?.format(&Rfc3339).ok()?;
    Some(format!(r#"timestamp(data.status.completionTime) {operator} timestamp("{at}")"#))
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub parent: Parent,
    /// When.
    pub window: Window,
    /// Which; empty: all.
    pub runs: Vec<RunName>,
    /// Of all runs that are meant, only PipelineRuns.
    pub pipeline_runs_alone: bool,
}

impl Question {
    /// The filters whose records are read first, one after the other. Together they select each record once.
    pub(super) fn filters(&self) -> Vec<String> {
        let inside = self.window.inside();
        if self.runs.is_empty() {
            return vec![all(self.records(), &inside)];
        }
        let of_kind = |kind, records: &str| {
            let names = self.runs.iter().filter(|run| run.kind == kind).map(|run| run.name.as_str());
            among(&all(records, &inside), NAME, names.collect())
        };
        let task_runs = of_kind(RunKind::TaskRun, TASK_RUNS);
        task_runs.into_iter().chain(of_kind(RunKind::PipelineRun, PIPELINE_RUNS)).collect()
    }

    /// What the records hold.
    fn records(&self) -> &'static str {
        if self.pipeline_runs_alone { PIPELINE_RUNS } else { RUNS }
    }

    /// Whether all runs are meant.
    pub(super) fn is_everything(&self) -> bool {
        self.runs.is_empty() && self.window == Window::default()
    }

    /// Those of what belongs to PipelineRuns that came, as far as [`Self::filters`] leaves it out: of runs that are named, what
    /// belongs to them is meant, too, and of runs of some time what they were made of, whenever that was.
    pub(super) fn filters_of_children<'a>(
        &self,
        pipeline_runs: impl Iterator<Item = &'a Name>,
    ) -> Vec<String> {
        let names: Vec<&str> = pipeline_runs.map(Name::as_str).collect();
        let conditions = match self.runs.is_empty() {
            false => vec![self.records().to_owned()],
            // Nothing meets two of them.
            true => {
                self.window.outside().into_iter().map(|outside| all(self.records(), &[outside])).collect()
            }
        };
        conditions.iter().flat_map(|condition| among(condition, PIPELINE_RUN_OF, names.clone())).collect()
    }
}

fn all(first: &str, others: &[String]) -> String {
    std::iter::once(first).chain(others.iter().map(String::as_str)).collect::<Vec<_>>().join(" && ")
}

/// Filters that together select what meets a condition and has one of these names in a field.
fn among(condition: &str, field: &str, mut names: Vec<&str>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    let mut lists: Vec<(usize, Vec<String>)> = Vec::new();
    for name in names {
        // Quotes and comma are three bytes each in an address.
        let weight = name.len() + 9;
        match lists.last_mut() {
            Some((filled, list)) if *filled + weight <= NAMES_IN_A_FILTER => {
                *filled += weight;
                list.push(format!(r#""{name}""#));
            }
            _ => lists.push((weight, vec![format!(r#""{name}""#)])),
        }
    }
    let filter = |(_, list): (usize, Vec<String>)| format!("{condition} && {field} in [{}]", list.join(","));
    lists.into_iter().map(filter).collect()
}
