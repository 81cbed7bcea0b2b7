//! The families of a source: which PipelineRuns are in which.

use std::{
    cmp,
    collections::{HashMap, HashSet},
    mem,
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Kin, Shard, number};
use crate::{
    sources::{
        judge::Judge,
        run_name::RunKind,
        source::Source,
        walk::{Event, WalkProgress, walk_by},
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
    /// UID of a PipelineRun → the smallest UID of its family, if that is another one.
    roots: HashMap<String, String>,
    /// Numbers of the full names of TaskRuns that PipelineRuns of this shard call their own.
    named: HashSet<u64>,
    /// Any TaskRun may be one of a PipelineRun of this shard: that is an attestation, or turned out to be of this shard after its TaskRuns'
    /// names were let go.
    is_any_named: bool,
    /// A PipelineRun came that was not there when the families were made.
    changed: AtomicBool,
}

/// Reads a source for its families alone, with `jobs` workers. What cannot be read is not told: whoever reads it again is.
pub fn families(shard: Shard, source: Source<'_>, jobs: NonZeroUsize) -> Families {
    let mut known = Known::default();
    let progress = WalkProgress::default();
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
    linked: Linked,
    /// Of a PipelineRun that is in others, or has others in it: its UID, and the numbers of its TaskRuns' names.
    related: Vec<(String, Vec<u64>)>,
    named: HashSet<u64>,
    /// Numbers of the UIDs of those of other shards, as far as it is known, whose TaskRuns' names are not kept.
    dropped: HashSet<u64>,
    /// The UID of an attested one. All of them are one family, since they may be in each other by their names.
    attested: Option<String>,
}

impl Known {
    fn add(&mut self, kin: &Kin, shard: Shard) {
        let (uid, named) = (kin.identity(), kin.task_runs.iter().map(|name| number(name)));
        kin.owners.iter().for_each(|owner| self.linked.link(&uid, owner));
        if kin.is_attested {
            let one = self.attested.get_or_insert_with(|| uid.clone());
            self.linked.link(&uid, one);
        }
        if !kin.owners.is_empty() || kin.has_pipeline_runs {
            self.related.push((uid, named.collect()));
        } else if shard.has(&uid) {
            self.named.extend(named);
        } else {
            self.dropped.insert(number(&uid));
        }
    }

    fn families(self, shard: Shard) -> Families {
        let Self { linked, related, mut named, dropped, attested } = self;
        let roots = linked.roots();
        let is_here = |uid: &String| shard.has(roots.get(uid).unwrap_or(uid));
        let is_any_named = attested.as_ref().is_some_and(is_here)
            || roots.keys().any(|uid| is_here(uid) && dropped.contains(&number(uid)));
        named.extend(related.into_iter().filter(|(uid, _)| is_here(uid)).flat_map(|(_, names)| names));
        Families { shard, roots, named, is_any_named, changed: AtomicBool::new(false) }
    }
}

/// UIDs of PipelineRuns that belong together.
#[derive(Default)]
struct Linked {
    /// UID → a smaller one of the same family.
    smaller: HashMap<String, String>,
}

impl Linked {
    fn link(&mut self, one: &str, other: &str) {
        let (one, other) = (self.smallest(one), self.smallest(other));
        match one.cmp(&other) {
            cmp::Ordering::Less => self.smaller.insert(other, one),
            cmp::Ordering::Equal => None,
            cmp::Ordering::Greater => self.smaller.insert(one, other),
        };
    }

    /// The smallest of a family so far. What was passed on the way leads to it at once from then on.
    fn smallest(&mut self, uid: &str) -> String {
        let mut smallest = uid;
        while let Some(smaller) = self.smaller.get(smallest) {
            smallest = smaller;
        }
        let (smallest, mut passed) = (smallest.to_owned(), uid.to_owned());
        while let Some(smaller) = self.smaller.get_mut(&passed) {
            passed = mem::replace(smaller, smallest.clone());
        }
        smallest
    }

    /// Each UID that is not the smallest of its family → the one that is.
    fn roots(mut self) -> HashMap<String, String> {
        let all: Vec<String> = self.smaller.keys().cloned().collect();
        for uid in all {
            self.smallest(&uid);
        }
        self.smaller
    }
}

impl Families {
    /// Where a run is to be judged.
    pub fn membership(&self, kin: &Kin) -> Membership {
        let identity = kin.identity();
        let root = match (kin.kind, kin.owners.first()) {
            (RunKind::TaskRun, Some(owner)) => self.root(owner),
            _ => self.root(&identity),
        };
        let is_pipeline_run = kin.kind == RunKind::PipelineRun;
        if is_pipeline_run && kin.owners.iter().any(|owner| self.root(owner) != root) {
            self.changed.store(true, Ordering::Relaxed);
        }
        if self.shard.has(root) {
            return Membership::Here;
        }
        let is_of_one_here = || kin.owners.iter().any(|owner| self.shard.has(self.root(owner)));
        let is_named_here = || self.is_any_named || self.named.contains(&number(&kin.full_name()));
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
