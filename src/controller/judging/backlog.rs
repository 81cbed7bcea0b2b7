//! Which runs have ended and have no verdict, or not one on what they are now. Every replica keeps this; the one that acts works it off.
//!
//! Of a TaskRun that has its verdict no more is kept than digests; of a PipelineRun its name besides, since it is judged again after a run
//! that belongs to it has changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use unixtime::UnixSeconds;

use crate::{
    controller::{
        cache::Scope,
        judging::{
            annotation::Noted,
            ended::{EndedRun, Mark},
            run_id::{RunId, key_by_uid},
            turns::Turns,
        },
        objects::{Key, Listing, Seen},
    },
    sources::{
        kubernetes::follow::{Page, Told},
        run_name::RunKind,
    },
};

/// A run that was judged is judged again after this time at the earliest: what was told of it before its verdict was noted comes later.
const AGAIN: Duration = Duration::from_secs(2);
/// So many PipelineRuns above a run are judged again after it: their owner references may lead round in a circle.
const LEVELS: u8 = 8;

/// Runs that are remembered for having no time stamps.
const MOST_UNSTAMPED: usize = 10_000;

/// A run that is to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    scope: Scope,
    /// Whether it had ended when it was found, so that nobody waits for it.
    is_found: bool,
    /// When the verdict of somebody else's was noted that it was found with, as that says: if it is right, it stays.
    pub may_stand: Option<UnixSeconds>,
    /// What it was, with its verdict of ours, if only what belongs to it has changed: if the verdict is the same, it stays.
    pub as_noted: Option<Mark>,
    /// How many PipelineRuns above it may be judged again after it.
    above: u8,
    not_before: Instant,
    /// When it was told of last, or something that belongs to it was judged.
    changed: Instant,
    /// Since when it is to be judged.
    pub since: Instant,
    /// How often that has failed.
    pub failures: u32,
}

impl Open {
    fn new(scope: &Scope, at: Instant) -> Self {
        Self {
            scope: scope.clone(),
            is_found: true,
            may_stand: None,
            as_noted: None,
            above: LEVELS,
            not_before: at,
            changed: at,
            since: at,
            failures: 0,
        }
    }
}

/// Whose a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Ours; judging it was begun then.
    Us(Instant),
    /// Somebody else's, so it is not known to be right. It says that it was noted then.
    Others(UnixSeconds),
}

/// A run that has its verdict, or had one.
#[derive(Debug)]
struct Judged {
    /// What it was then; `None`: it is to be judged again, or has not ended any more.
    mark: Option<Mark>,
    by: By,
    /// The PipelineRuns that it said it belongs to.
    pipeline_runs: Box<[Key]>,
    /// Which one it is, if it may be that nothing else tells of it: a PipelineRun, or one whose verdict is not ours.
    id: Option<Arc<RunId>>,
}

impl Judged {
    fn new(id: &Arc<RunId>, ended: &EndedRun, by: By) -> Self {
        let is_ours = matches!(by, By::Us(_));
        Self {
            mark: Some(ended.mark),
            by,
            pipeline_runs: above(id, ended).collect(),
            id: (!is_ours || id.kind == RunKind::PipelineRun).then(|| id.clone()),
        }
    }
}

/// What the PipelineRuns are found by that a run says it belongs to: they are in its namespace.
fn above(id: &RunId, ended: &EndedRun) -> impl Iterator<Item = Key> {
    ended.pipeline_runs.iter().map(|uid| key_by_uid(&id.namespace, uid))
}

/// What is known of one kind in one scope.
#[derive(Debug, Default)]
struct Known {
    is_listed: bool,
    listing: Listing,
    judged: HashMap<Key, Judged>,
}

/// Which runs are to be judged.
#[derive(Debug, Default)]
pub struct Backlog {
    known: BTreeMap<(RunKind, Scope), Known>,
    open: BTreeMap<Arc<RunId>, Open>,
    turns: Turns,
    /// TaskRuns that lack time stamps and are to be looked at again for them, by when the first of their certificates expires.
    unstamped: BTreeSet<(UnixSeconds, RunId)>,
}

impl Backlog {
    /// The number of those that are to be judged.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Takes in what a watch has told at this time. `acts`: whether this replica is the one that judges. One that does not takes a verdict that
    /// is there for its own until it acts ([`Self::act`]).
    pub fn take(&mut self, kind: RunKind, scope: &Scope, told: Told<Seen>, acts: bool, at: Instant) {
        match told {
            Told::Listed(page) => self.take_page(kind, scope, page, acts, at),
            Told::Changed(seen) => {
                let id = RunId::of(kind, &seen);
                let open = Open { is_found: false, ..Open::new(scope, at) };
                self.look(id.into(), seen.ended.as_deref(), acts, open);
            }
            Told::Gone(seen) => {
                let id = RunId::of(kind, &seen);
                self.close(&id);
                self.judged(kind, scope).remove(&id.key());
            }
            Told::Failed(_) => {}
        }
    }

    fn take_page(&mut self, kind: RunKind, scope: &Scope, page: Page<Seen>, acts: bool, at: Instant) {
        let known = self.known.entry((kind, scope.clone())).or_default();
        let is_first = !known.is_listed;
        if let Some(listed) = known.listing.take(&page, |seen| RunId::of(kind, seen).key()) {
            known.is_listed = true;
            known.judged.retain(|key, _| listed.contains(key));
            let is_gone = |(id, open): &(&Arc<RunId>, &Open)| {
                id.kind == kind && open.scope == *scope && !listed.contains(&id.key())
            };
            let gone: Vec<Arc<RunId>> = self.open.iter().filter(is_gone).map(|(id, _)| id.clone()).collect();
            gone.iter().for_each(|id| drop(self.close(id)));
        }
        for seen in page.objects {
            let noted = seen.ended.as_ref().and_then(|ended| ended.noted.as_ref()?.at());
            let open = Open { may_stand: noted.filter(|_| is_first), ..Open::new(scope, at) };
            self.look(RunId::of(kind, &seen).into(), seen.ended.as_deref(), acts, open);
        }
    }

    fn judged(&mut self, kind: RunKind, scope: &Scope) -> &mut HashMap<Key, Judged> {
        &mut self.known.entry((kind, scope.clone())).or_default().judged
    }

    /// Looks at a run. `open`: how it is to be judged, if it is.
    fn look(&mut self, id: Arc<RunId>, ended: Option<&EndedRun>, acts: bool, open: Open) {
        let known = self.judged(id.kind, &open.scope).get_mut(&id.key());
        let Some(ended) = ended else {
            // It goes on. That it was judged is not forgotten: what it belongs to was judged with it.
            known.into_iter().for_each(|known| known.mark = None);
            self.close(&id);
            return;
        };
        let as_known = known.as_ref().filter(|known| known.mark == Some(ended.mark)).map(|known| known.by);
        if let (Some(By::Others(noted)), true) = (as_known, acts) {
            // What else has changed does not make it right.
            self.put(id, Open { may_stand: Some(noted), ..open });
        } else if as_known.is_some() {
            self.close(&id);
        } else if let Some(at) = ended.noted.as_ref().and_then(Noted::at).filter(|_| !acts) {
            let judged = Judged::new(&id, ended, By::Others(at));
            self.judged(id.kind, &open.scope).insert(id.key(), judged);
            self.close(&id);
        } else {
            let may_stand = open.may_stand.filter(|_| known.is_none());
            let not_before = if known.is_some() { open.changed + AGAIN } else { open.changed };
            self.put(id, Open { may_stand, not_before, ..open });
        }
    }

    /// From this time on this replica is the one that judges: what others have noted is to be looked at.
    pub fn act(&mut self, at: Instant) {
        let mut theirs = Vec::new();
        for ((_, scope), known) in &self.known {
            let open = |judged: &Judged| match (judged.by, judged.mark, &judged.id) {
                (By::Others(noted), Some(_), Some(id)) => {
                    Some((id.clone(), Open { may_stand: Some(noted), ..Open::new(scope, at) }))
                }
                _ => None,
            };
            theirs.extend(known.judged.values().filter_map(open));
        }
        theirs.into_iter().for_each(|(id, open)| self.put(id, open));
    }

    /// One is to be judged, if it is not already.
    fn put(&mut self, id: Arc<RunId>, open: Open) {
        if let Some(known) = self.open.get_mut(&id) {
            known.changed = known.changed.max(open.changed);
            return;
        }
        self.turns.put(open.is_found, open.not_before, &id);
        self.open.insert(id, open);
    }

    fn close(&mut self, id: &RunId) -> Option<(Arc<RunId>, Open)> {
        let (id, open) = self.open.remove_entry(id)?;
        self.turns.take_out(open.is_found, open.not_before, &id);
        Some((id, open))
    }

    /// How long there is nothing to judge if nothing else is told; `None`: for ever.
    pub fn wait(&self, at: Instant) -> Option<Duration> {
        self.turns.first().map(|not_before| not_before.saturating_duration_since(at))
    }

    /// The next one that may be judged at this time. It stays until it is said what has become of it.
    pub fn next(&self, at: Instant) -> Option<(Arc<RunId>, Open)> {
        let id = self.turns.next(at)?;
        Some((id.clone(), self.open.get(id)?.clone()))
    }

    /// Judging a run of this namespace has taken so long, until now.
    pub fn took(&mut self, namespace: &str, took: Duration, at: Instant) {
        self.turns.took(namespace, took, at);
    }

    /// It has its verdict, and is so now; judging it has begun then. `stands`: the verdict that was there is right. If not, PipelineRuns that
    /// it belongs to, and were judged before it was told of, are to be judged again.
    pub fn done(&mut self, id: &RunId, now: &EndedRun, stands: bool, began: Instant, at: Instant) {
        let Some((own, Open { scope, above: levels, changed, .. })) = self.close(id) else { return };
        let before = self.judged(id.kind, &scope).insert(id.key(), Judged::new(&own, now, By::Us(began)));
        let Some(levels) = levels.checked_sub(1).filter(|_| !stands) else { return };
        let before = before.map(|before| before.pipeline_runs).unwrap_or_default();
        let pipeline_runs = self.judged(RunKind::PipelineRun, &scope);
        let mut again = Vec::new();
        for key in above(id, now).chain(before) {
            let Some(known) = pipeline_runs.get_mut(&key) else { continue };
            let is_older = match known.by {
                By::Us(began) => began < changed,
                By::Others(_) => true,
            };
            let is_before = known.mark.is_some() && is_older;
            if let Some(id) = known.id.clone().filter(|_| is_before) {
                let mark = known.mark.take();
                again.push((id, mark.filter(|_| matches!(known.by, By::Us(_)))));
            }
        }
        for (id, as_noted) in again {
            let open = Open { as_noted, above: levels, not_before: at + AGAIN, ..Open::new(&scope, at) };
            self.put(id, open);
        }
    }

    /// A run that has its verdict lacks time stamps, and is to be looked at again for them, in time before `not_after`. Gives one that had to
    /// go for it, if there are too many.
    pub fn lacks_time_stamps(&mut self, not_after: UnixSeconds, id: RunId) -> Option<RunId> {
        self.unstamped.insert((not_after, id));
        let last = if self.unstamped.len() > MOST_UNSTAMPED { self.unstamped.pop_last() } else { None };
        last.map(|(_, id)| id)
    }

    /// Whether there are such runs.
    pub fn has_unstamped(&self) -> bool {
        !self.unstamped.is_empty()
    }

    /// The one of these whose certificates expire first, and when. It is forgotten.
    pub fn next_unstamped(&mut self) -> Option<(UnixSeconds, RunId)> {
        self.unstamped.pop_first()
    }

    /// There is nothing to judge.
    pub fn pass_over(&mut self, id: &RunId) {
        self.close(id);
    }

    /// It is to be tried again at this time.
    pub fn try_again(&mut self, id: &RunId, not_before: Instant) {
        if let Some((id, open)) = self.close(id) {
            let failures = open.failures.saturating_add(1);
            self.put(id, Open { not_before, failures, ..open });
        }
    }
}
