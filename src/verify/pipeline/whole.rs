//! Puts PipelineRuns and their children together, in whatever order a source hands them over, and judges each when it is whole.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use crate::{
    tekton::{
        chains::PipelineRunOrigin,
        pipelinerun::{PipelineRun, packed::Packed},
    },
    verify::{
        Policy, Report, Trust,
        pipeline::{
            NO_ROOM,
            allowance::Allowance,
            child::{Child, Proven},
            children::Children,
            judge, not_kept,
        },
    },
};

/// Bytes that are kept of PipelineRuns and their children until all are there.
const MOST_KEPT: usize = 256 << 20;

/// A PipelineRun's report, with what the caller noted of it.
#[derive(Debug)]
pub struct JudgedPipelineRun<P> {
    /// What the caller gave with it.
    pub place: P,
    /// Its report.
    pub report: Report,
}

/// A PipelineRun whose children may not all have come.
#[derive(Debug)]
struct Waiting<P> {
    full_name: String,
    uid: String,
    /// Full names of the PipelineRuns and other runs that it made.
    children: HashSet<String>,
    /// UIDs of the PipelineRuns that it belongs to.
    owners: Vec<String>,
    packed: Packed,
    chains: Option<Box<PipelineRunOrigin>>,
    place: P,
}

impl<P> Waiting<P> {
    fn new(object: PipelineRun, place: P) -> Self {
        let namespace = &object.metadata.namespace;
        let of_status = object.status.child_references.iter().map(|child| child.name.clone());
        let children = of_status.chain(object.attested_pipelines());
        let children = children.map(|name| format!("{namespace}/{name}")).collect();
        Self {
            owners: owners(&object).map(str::to_owned).collect(),
            full_name: object.full_name(),
            uid: object.metadata.uid,
            children,
            packed: object.packed,
            chains: object.chains,
            place,
        }
    }

    /// Bytes that it takes in memory, about.
    fn weight(&self) -> usize {
        let children = self.children.iter().map(|child| child.len() + 48);
        let owners = self.owners.iter().map(|owner| owner.len() + 48);
        let chains = self.chains.as_ref().map_or(0, |origin| origin.weight());
        256 + chains
            + owners.sum::<usize>()
            + 2 * self.full_name.len()
            + self.packed.len()
            + children.sum::<usize>()
    }

    /// Its report, and what one that it belongs to needs of it.
    fn judge(
        self,
        children: &Children,
        allowance: &Allowance,
        by: (&Trust, &Policy),
    ) -> (JudgedPipelineRun<P>, Option<Child>) {
        let Self { full_name, uid, packed, chains, place, .. } = self;
        let Some(object) = packed.unpack().map(|object| PipelineRun { chains, ..object }) else {
            return (
                JudgedPipelineRun { place, report: not_kept(full_name, uid, "it could not be read again") },
                None,
            );
        };
        let report = judge(&object, children, allowance, by);
        let child = as_child(&object, &report);
        (JudgedPipelineRun { place, report }, child)
    }
}

/// PipelineRuns and their children as a source hands them over, in any order.
#[derive(Debug)]
pub struct Pipelines<P> {
    waiting: Vec<Waiting<P>>,
    children: Children,
    /// Bytes that are left for both.
    room: usize,
    /// What judging each family may take.
    allowance: Allowance,
}

impl<P> Default for Pipelines<P> {
    fn default() -> Self {
        Self::with_room(MOST_KEPT)
    }
}

impl<P> Pipelines<P> {
    /// Keeps that many bytes at most.
    pub fn with_room(room: usize) -> Self {
        let allowance = Allowance::default();
        Self { waiting: Vec::new(), children: Children::default(), room, allowance }
    }

    /// Judges each family with that much.
    #[cfg(test)]
    pub(crate) fn with_allowance(allowance: Allowance) -> Self {
        Self { allowance, ..Self::default() }
    }

    /// A PipelineRun, which waits for its children; `Some` if there is no room for it. `place` comes back with its report.
    #[must_use = "a PipelineRun that has no room is reported at once"]
    pub fn pipeline_run(&mut self, object: PipelineRun, place: P) -> Option<JudgedPipelineRun<P>> {
        let waiting = Waiting::new(object, place);
        if !self.has_room(waiting.weight()) {
            let Waiting { full_name, uid, place, .. } = waiting;
            // It may be what another one needs.
            self.children.overflowed = true;
            return Some(JudgedPipelineRun { place, report: not_kept(full_name, uid, NO_ROOM) });
        }
        self.waiting.push(waiting);
        None
    }

    /// A judged run that belongs to a PipelineRun.
    pub fn child(&mut self, child: Child) {
        if self.has_room(child.weight()) {
            self.children.add(child);
        } else {
            self.children.overflowed = true;
        }
    }

    /// Takes room, if there is that much.
    fn has_room(&mut self, weight: usize) -> bool {
        let left = self.room.checked_sub(weight);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Judges all PipelineRuns; nothing more will come. In the order in which they came, but nested ones before those that they belong to.
    pub fn finish(mut self, trust: &Trust, policy: &Policy, each: &mut dyn FnMut(JudgedPipelineRun<P>)) {
        let order = nested_first(&self.waiting);
        let families = families(&self.waiting);
        let mut allowances: HashMap<usize, Allowance> = HashMap::new();
        let mut waiting: Vec<Option<Waiting<P>>> =
            mem::take(&mut self.waiting).into_iter().map(Some).collect();
        for place in order {
            let Some(next) = waiting.get_mut(place).and_then(Option::take) else { continue };
            self.room += next.weight();
            let allowance = allowances.entry(families[place]).or_insert_with(|| self.allowance.clone());
            let (judged, child) = next.judge(&self.children, allowance, (trust, policy));
            if let Some(child) = child {
                self.child(child);
            }
            each(judged);
        }
    }
}

/// The places of all, each behind those of the PipelineRuns that it refers to; what refers to itself, in however wide a circle, comes last.
fn nested_first<P>(waiting: &[Waiting<P>]) -> Vec<usize> {
    let mut of_name: HashMap<&str, usize> = HashMap::new();
    for object in waiting {
        *of_name.entry(&object.full_name).or_default() += 1;
    }
    let mut awaited_by: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut awaits = vec![0_usize; waiting.len()];
    for (place, object) in waiting.iter().enumerate() {
        for name in &object.children {
            if of_name.contains_key(name.as_str()) {
                awaits[place] += 1;
                awaited_by.entry(name).or_default().push(place);
            }
        }
    }
    let mut order: Vec<usize> = (0..waiting.len()).filter(|&place| awaits[place] == 0).collect();
    let mut next = 0;
    while let Some(&place) = order.get(next) {
        next += 1;
        let name = waiting[place].full_name.as_str();
        let Some(left) = of_name.get_mut(name) else { continue };
        *left -= 1;
        if *left > 0 {
            continue;
        }
        for parent in awaited_by.remove(name).unwrap_or_default() {
            awaits[parent] -= 1;
            if awaits[parent] == 0 {
                order.push(parent);
            }
        }
    }
    order.extend((0..waiting.len()).filter(|&place| awaits[place] > 0));
    order
}

/// UIDs of the PipelineRuns that own it.
fn owners(object: &PipelineRun) -> impl Iterator<Item = &str> {
    let owners = object.metadata.owner_references.iter();
    owners.filter(|owner| owner.kind == "PipelineRun").map(|owner| owner.uid.as_str())
}

/// The family of each: all that are connected by owners have one.
fn families<P>(waiting: &[Waiting<P>]) -> Vec<usize> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut next: Vec<usize> = Vec::new();
    for object in waiting {
        let mut own = None;
        for uid in std::iter::once(&object.uid).chain(&object.owners) {
            let number = *numbers.entry(uid).or_insert(next.len());
            if number == next.len() {
                next.push(number);
            }
            let root = root(&mut next, number);
            // Those of one object become one.
            next[root] = *own.get_or_insert(root);
        }
    }
    waiting
        .iter()
        .map(|object| numbers.get(object.uid.as_str()).map_or(0, |&number| root(&mut next, number)))
        .collect()
}

/// Where the way from a number ends; it is shorter the next time.
fn root(next: &mut [usize], mut number: usize) -> usize {
    while next[number] != number {
        next[number] = next[next[number]];
        number = next[number];
    }
    number
}

/// What a PipelineRun that counts as verified hands on.
fn proven(report: &Report) -> Option<Proven> {
    let pipeline = report.pipeline.as_ref().filter(|_| report.accepted)?;
    let results = pipeline.results.iter().map(|result| (result.name.clone(), result.value.clone()));
    Some(Proven { results: results.collect(), span: None })
}

/// A PipelineRun that belongs to another one.
fn as_child(object: &PipelineRun, report: &Report) -> Option<Child> {
    let owners: Vec<String> = owners(object).map(str::to_owned).collect();
    let condition = object.status.conditions.iter().find(|condition| condition.kind == "Succeeded");
    (!owners.is_empty()).then(|| Child {
        kind: "PipelineRun",
        name: object.full_name(),
        uid: object.metadata.uid.clone(),
        owners,
        pipeline_run: None,
        created: None,
        verdict: report.verdict,
        accepted: report.accepted,
        succeeded: object.succeeded().map(|status| status == "True"),
        reason: condition.map(|condition| condition.reason.clone()).unwrap_or_default(),
        params: object.spec.params.iter().map(|param| (param.name.clone(), param.value.clone())).collect(),
        also_given: Vec::new(),
        in_program: HashSet::new(),
        has_spec: true,
        is_partial: object.chains.is_some(),
        differs: false,
        proven: proven(report),
    })
}
