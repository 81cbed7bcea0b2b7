//! Puts PipelineRuns and their children together, in whatever order a source hands them over, and judges each when it is whole.

use std::collections::{HashMap, HashSet};

use crate::{
    tekton::pipelinerun::PipelineRun,
    verify::{
        Report, Trust,
        pipeline::{child::Child, judge},
    },
};

/// Bytes that are kept of children until all PipelineRuns are there.
const MOST_KEPT: usize = 256 << 20;

/// A PipelineRun's report, with what the caller noted of it.
#[derive(Debug)]
pub struct Judged<P> {
    /// What the caller gave with it.
    pub place: P,
    /// Its report.
    pub report: Report,
}

/// Children by kind and full name, `<kind> <namespace>/<name>`. Several objects may have one name: of runs that were made again, or of one object in two files.
#[derive(Debug, Default)]
pub(crate) struct Children {
    all: Vec<Child>,
    /// Of all of a name the one that counts least.
    by_name: HashMap<String, usize>,
    /// The same among those that say that they belong to the PipelineRun of a UID.
    by_owner: HashMap<String, HashMap<String, usize>>,
    weight: usize,
    /// Some had no room.
    pub(crate) overflowed: bool,
}

impl Children {
    fn add(&mut self, child: Child) {
        let weight = child.weight();
        if self.weight + weight > MOST_KEPT {
            self.overflowed = true;
            return;
        }
        self.weight += weight;
        let new = self.all.len();
        self.all.push(child);
        let Self { all, by_name, by_owner, .. } = self;
        let Some(child) = all.get(new) else { return };
        // No better one can be laid over a worse one.
        let rank = |place: usize| all.get(place).map(|child| (!child.accepted, child.verdict));
        let keep = |known: &mut usize| {
            if rank(new) >= rank(*known) {
                *known = new;
            }
        };
        let name = format!("{} {}", child.kind, child.name);
        by_name.entry(name.clone()).and_modify(keep).or_insert(new);
        for owner in &child.owners {
            let named = by_owner.entry(owner.clone()).or_default();
            named.entry(name.clone()).and_modify(keep).or_insert(new);
        }
    }

    /// The child of that kind and name which says that it belongs to the PipelineRun of that UID; if none does, one of that name.
    pub(crate) fn find(&self, kind: &str, full_name: &str, pipeline_run_uid: &str) -> Option<&Child> {
        let name = format!("{kind} {full_name}");
        let own = self.by_owner.get(pipeline_run_uid).and_then(|named| named.get(&name));
        self.all.get(*own.or_else(|| self.by_name.get(&name))?)
    }

    /// Full names of those that say that they belong to the PipelineRun of that UID.
    pub(crate) fn names_of(&self, pipeline_run_uid: &str) -> impl Iterator<Item = &str> {
        self.by_owner
            .get(pipeline_run_uid)
            .into_iter()
            .flat_map(HashMap::keys)
            .filter_map(|name| Some(name.split_once(' ')?.1))
    }
}

/// PipelineRuns and their children as a source hands them over, in any order.
#[derive(Debug)]
pub struct Pipelines<P> {
    waiting: Vec<(Box<PipelineRun>, P)>,
    children: Children,
}

impl<P> Default for Pipelines<P> {
    fn default() -> Self {
        Self { waiting: Vec::new(), children: Children::default() }
    }
}

impl<P> Pipelines<P> {
    /// A PipelineRun. `place` comes back with its report.
    pub fn pipeline_run(&mut self, object: Box<PipelineRun>, place: P) {
        self.waiting.push((object, place));
    }

    /// A judged TaskRun that belongs to a PipelineRun.
    pub fn child(&mut self, child: Child) {
        self.children.add(child);
    }

    /// Judges all PipelineRuns, nested ones before those that they belong to; nothing more will come. In the order in which they came.
    pub fn finish(mut self, trust: &Trust) -> Vec<Judged<P>> {
        let mut reports: Vec<Option<Report>> = self.waiting.iter().map(|_| None).collect();
        for place in nested_first(&self.waiting) {
            let Some((object, _)) = self.waiting.get(place) else { continue };
            let report = judge(object, &self.children, trust);
            if let Some(child) = as_child(object, &report) {
                self.children.add(child);
            }
            reports[place] = Some(report);
        }
        let judged = self.waiting.into_iter().zip(reports);
        judged.filter_map(|((_, place), report)| Some(Judged { place, report: report? })).collect()
    }
}

/// The places of all, each behind those of the PipelineRuns that it refers to; what refers to itself, in however wide a circle, comes last.
fn nested_first<P>(waiting: &[(Box<PipelineRun>, P)]) -> Vec<usize> {
    let mut of_name: HashMap<String, usize> = HashMap::new();
    for (object, _) in waiting {
        *of_name.entry(object.full_name()).or_default() += 1;
    }
    let mut awaited_by: HashMap<String, Vec<usize>> = HashMap::new();
    let mut awaits = vec![0_usize; waiting.len()];
    for (place, (object, _)) in waiting.iter().enumerate() {
        let namespace = &object.metadata.namespace;
        let names: HashSet<String> = object
            .status
            .child_references
            .iter()
            .map(|child| format!("{namespace}/{}", child.name))
            .filter(|name| of_name.contains_key(name))
            .collect();
        awaits[place] = names.len();
        for name in names {
            awaited_by.entry(name).or_default().push(place);
        }
    }
    let mut order: Vec<usize> = (0..waiting.len()).filter(|&place| awaits[place] == 0).collect();
    let mut next = 0;
    while let Some(&place) = order.get(next) {
        next += 1;
        let name = waiting[place].0.full_name();
        let Some(left) = of_name.get_mut(&name) else { continue };
        *left -= 1;
        if *left > 0 {
            continue;
        }
        for parent in awaited_by.remove(&name).unwrap_or_default() {
            awaits[parent] -= 1;
            if awaits[parent] == 0 {
                order.push(parent);
            }
        }
    }
    order.extend((0..waiting.len()).filter(|&place| awaits[place] > 0));
    order
}

/// A PipelineRun that belongs to another one.
fn as_child(object: &PipelineRun, report: &Report) -> Option<Child> {
    let metadata = &object.metadata;
    let by_owner = metadata.owner_references.iter().filter(|owner| owner.kind == "PipelineRun");
    let owners: Vec<String> = by_owner.map(|owner| owner.uid.clone()).collect();
    let condition = object.status.conditions.iter().find(|condition| condition.kind == "Succeeded");
    (!owners.is_empty()).then(|| Child {
        kind: "PipelineRun",
        name: object.full_name(),
        owners,
        created: None,
        verdict: report.verdict,
        accepted: report.accepted,
        succeeded: object.succeeded().map(|status| status == "True"),
        reason: condition.map(|condition| condition.reason.clone()).unwrap_or_default(),
        params: object.spec.params.iter().map(|param| (param.name.clone(), param.value.clone())).collect(),
        in_program: HashSet::new(),
        proven: None,
    })
}
