//! Whose turn it is: namespaces take turns by the time that their runs take, so that nobody who makes many runs, or large ones, keeps the
//! others waiting.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::controller::judging::run_id::RunId;

/// Runs by when they may be judged.
type ByTime = BTreeSet<(Instant, Arc<RunId>)>;

/// What waits in one namespace.
#[derive(Debug, Default)]
struct Waiting {
    /// Runs that have just ended.
    just_ended: ByTime,
    /// All others, which come after them.
    found: ByTime,
}

impl Waiting {
    fn queue(&mut self, is_found: bool) -> &mut ByTime {
        if is_found { &mut self.found } else { &mut self.just_ended }
    }

    /// The first of each queue, and whether it is one of those that were found.
    fn firsts(&self) -> impl Iterator<Item = (bool, &(Instant, Arc<RunId>))> {
        [(false, &self.just_ended), (true, &self.found)]
            .into_iter()
            .filter_map(|(is_found, queue)| Some((is_found, queue.first()?)))
    }
}

/// Runs that wait, and whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: BTreeMap<String, Waiting>,
    /// Until when a namespace comes after those that have none: as long as its last run took.
    after: BTreeMap<String, Instant>,
}

impl Turns {
    /// A run waits until it is taken out.
    pub fn put(&mut self, is_found: bool, not_before: Instant, id: &Arc<RunId>) {
        let waiting = self.waiting.entry(id.namespace.clone()).or_default();
        waiting.queue(is_found).insert((not_before, id.clone()));
    }

    /// A run waits no longer.
    pub fn take_out(&mut self, is_found: bool, not_before: Instant, id: &Arc<RunId>) {
        let Some(waiting) = self.waiting.get_mut(&id.namespace) else { return };
        waiting.queue(is_found).remove(&(not_before, id.clone()));
        if waiting.firsts().next().is_none() {
            self.waiting.remove(&id.namespace);
        }
    }

    /// When the first of all may be judged.
    pub fn first(&self) -> Option<Instant> {
        let firsts = self.waiting.values().flat_map(Waiting::firsts);
        firsts.map(|(_, (not_before, _))| *not_before).min()
    }

    /// The run whose turn it is, of those that may be judged at this time.
    pub fn next(&self, at: Instant) -> Option<&Arc<RunId>> {
        let due = self.waiting.iter().flat_map(|(namespace, waiting)| {
            let after = self.after.get(namespace).filter(|after| **after > at);
            waiting.firsts().map(move |(is_found, first)| ((after, is_found, first), &first.1))
        });
        let due = due.filter(|((_, _, (not_before, _)), _)| *not_before <= at);
        due.min_by_key(|(key, _)| *key).map(|(_, id)| id)
    }

    /// A run of this namespace has taken so long, until now: others have as long before it is its turn again.
    pub fn took(&mut self, namespace: &str, took: Duration, at: Instant) {
        self.after.retain(|_, after| *after > at);
        self.after.insert(namespace.to_owned(), at + took);
    }
}
