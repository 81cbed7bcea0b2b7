//! The families of a source: which PipelineRuns are in which.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Kin, Shard, number};
use crate::{
    sources::{
        judge::Judge,
        run_name::RunKind,
        source::Source,
        walk::{Event, Progress, walk_by},
    },
    tekton::run::Run,
};

/// Where a run is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Here.
    Here,
    /// In another shard; but a PipelineRun that is judged here may need it, too.
    Beside,
    /// In another shard.
    Elsewhere,
}

/// The families of one shard, and enough of the others to tell which runs are not of it.
#[derive(Debug)]
pub struct Families {
    shard: Shard,
    /// UID of a PipelineRun in another one → UID of the outermost one.
    roots: HashMap<String, String>,
    /// Numbers of the full names of TaskRuns that PipelineRuns of this shard call their own.
    named: HashSet<u64>,
    /// A PipelineRun came that was not there when the families were made.
    changed: AtomicBool,
}

/// Reads a source for its families alone, with `jobs` workers. What cannot be read is not told: whoever reads it again is.
pub fn families(shard: Shard, source: Source<'_>, jobs: NonZeroUsize) -> Families {
    let mut known = Known::default();
    let progress = Progress::default();
    walk_by(source.of_pipeline_runs(), jobs, &progress, || Kinship, &mut |event| {
        if let Event::Object { outcome: Ok(Some(kin)), .. } = event {
            known.add(&kin, shard);
        }
    });
    known.families(shard)
}

/// Says which PipelineRuns there are.
struct Kinship;

impl Judge<Option<Kin>> for Kinship {
    fn glance(&mut self, json: &[u8]) -> Option<Option<Kin>> {
        Kin::glance(json).map(|kin| Some(kin).filter(|kin| kin.kind == RunKind::PipelineRun))
    }

    fn judge(&mut self, run: Run) -> Option<Kin> {
        Some(Kin::of(&run)).filter(|kin| kin.kind == RunKind::PipelineRun)
    }
}

/// PipelineRuns that came.
#[derive(Default)]
struct Known {
    /// UID of a PipelineRun → UID of the one that it is in.
    owners: HashMap<String, String>,
    /// Of a PipelineRun that is in another one: its UID, and the numbers of its TaskRuns' names.
    nested: Vec<(String, Vec<u64>)>,
    named: HashSet<u64>,
}

impl Known {
    fn add(&mut self, kin: &Kin, shard: Shard) {
        let (uid, named) = (kin.identity(), kin.task_runs.iter().map(|name| number(name)));
        match kin.owners.first() {
            Some(owner) => {
                self.nested.push((uid.clone(), named.collect()));
                // Of several objects with one UID it must not matter which comes first.
                let owners = self.owners.entry(uid).or_insert_with(|| owner.clone());
                if owner < owners {
                    owners.clone_from(owner);
                }
            }
            None if shard.has(&uid) => self.named.extend(named),
            None => {}
        }
    }

    fn families(self, shard: Shard) -> Families {
        let Self { owners, nested, mut named } = self;
        let roots = roots(&owners);
        let is_here = |(uid, _): &(String, Vec<u64>)| roots.get(uid).is_some_and(|root| shard.has(root));
        named.extend(nested.into_iter().filter(is_here).flat_map(|(_, names)| names));
        Families { shard, roots, named, changed: AtomicBool::new(false) }
    }
}

/// The outermost PipelineRun of each; of those that are in each other, in however wide a circle, the one with the smallest UID.
fn roots(owners: &HashMap<String, String>) -> HashMap<String, String> {
    let mut roots = HashMap::<String, String>::new();
    for uid in owners.keys() {
        let (mut path, mut place_of) = (Vec::new(), HashMap::new());
        let mut current = uid;
        let root = loop {
            if let Some(root) = roots.get(current) {
                break root.clone();
            }
            if let Some(&place) = place_of.get(current) {
                let circle = path.iter().skip(place).min().copied();
                break circle.unwrap_or(current).clone();
            }
            let Some(owner) = owners.get(current) else { break current.clone() };
            place_of.insert(current, path.len());
            path.push(current);
            current = owner;
        };
        roots.extend(path.into_iter().map(|uid| (uid.clone(), root.clone())));
    }
    roots
}

impl Families {
    /// Where a run is to be judged.
    pub fn membership(&self, kin: &Kin) -> Membership {
        let identity = kin.identity();
        let root = match (kin.kind, kin.owners.first()) {
            (_, None) => &identity,
            (RunKind::TaskRun, Some(owner)) => self.root(owner),
            (RunKind::PipelineRun, Some(owner)) => {
                if !self.roots.contains_key(&identity) {
                    self.changed.store(true, Ordering::Relaxed);
                }
                self.roots.get(&identity).map_or_else(|| self.root(owner), String::as_str)
            }
        };
        if self.shard.has(root) {
            return Membership::Here;
        }
        let is_of_one_here = || kin.owners.iter().any(|owner| self.shard.has(self.root(owner)));
        let is_named_here = || self.named.contains(&number(&kin.full_name()));
        match kin.kind == RunKind::TaskRun && (is_of_one_here() || is_named_here()) {
            true => Membership::Beside,
            false => Membership::Elsewhere,
        }
    }

    fn root<'a>(&'a self, uid: &'a str) -> &'a str {
        self.roots.get(uid).map_or(uid, String::as_str)
    }

    /// Whether a pipeline in a pipeline came that was not there before, so that runs may have been taken for another shard's.
    pub fn have_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }
}
