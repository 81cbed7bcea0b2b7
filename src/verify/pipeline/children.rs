//! The runs that may belong to PipelineRuns, by kind, name and owner. Several objects may have one name: one object in two files, an
//! attestation beside the object, or a run that was made again.

use std::collections::HashMap;

use crate::verify::pipeline::child::{Child, Since};

/// Runs of one name that are told apart by their UIDs, of those that do not say whose they are.
const MOST_OF_A_NAME: usize = 8;

/// Children by kind and full name, `<kind> <namespace>/<name>`.
#[derive(Debug, Default)]
pub(crate) struct Children {
    all: Vec<Child>,
    /// Those that say that they belong to the PipelineRun of a UID, all of a name as one.
    by_owner: HashMap<String, HashMap<String, usize>>,
    /// Those that do not say whose they are, of each name all of a UID as one.
    ownerless: HashMap<String, Vec<usize>>,
    /// Of all of a name that say whose they are the one that counts least.
    owned: HashMap<String, usize>,
    /// Some had no room.
    pub(crate) overflowed: bool,
}

impl Children {
    pub(crate) fn add(&mut self, child: Child) {
        let name = format!("{} {}", child.kind, child.name);
        if child.owners.is_empty() {
            return self.add_ownerless(name, child);
        }
        let new = self.all.len();
        let mut places: Vec<usize> = Vec::new();
        for owner in &child.owners {
            let named = self.by_owner.entry(owner.clone()).or_default();
            let place = *named.entry(name.clone()).or_insert(new);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for &place in &places {
            self.put(place, child.clone());
        }
        let Self { all, owned, .. } = self;
        let rank = |place: usize| all.get(place).map(Child::rank);
        for place in places {
            // No better one can be laid over a worse one.
            let keep = |known: &mut usize| {
                if rank(place) >= rank(*known) {
                    *known = place;
                }
            };
            owned.entry(name.clone()).and_modify(keep).or_insert(place);
        }
    }

    fn add_ownerless(&mut self, name: String, child: Child) {
        let new = self.all.len();
        let places = self.ownerless.entry(name).or_default();
        let of_uid = |place: &&usize| self.all.get(**place).is_some_and(|known| known.uid == child.uid);
        let known = places.iter().find(of_uid).or(places.get(MOST_OF_A_NAME)).copied();
        if known.is_none() {
            places.push(new);
        }
        self.put(known.unwrap_or(new), child);
    }

    /// Puts one in a new place, or together with the one that is there.
    fn put(&mut self, place: usize, child: Child) {
        match self.all.get_mut(place) {
            Some(known) => known.merge(child),
            None => self.all.push(child),
        }
    }

    /// The child of that kind and name which says that it belongs to the PipelineRun of that UID; if none does, one that does not say
    /// whose it is; if there is none, one that belongs to another.
    pub(crate) fn find(&self, kind: &str, full_name: &str, uid: &str, since: Since) -> Option<&Child> {
        let of_other = || self.all.get(*self.owned.get(&format!("{kind} {full_name}"))?);
        self.find_own(kind, full_name, uid, since).or_else(of_other)
    }

    /// The same, if it may belong to the PipelineRun of that UID: it does not say that it belongs to others alone.
    pub(crate) fn find_own(&self, kind: &str, full_name: &str, uid: &str, since: Since) -> Option<&Child> {
        let name = format!("{kind} {full_name}");
        let worst = || self.ownerless(&name, since).max_by_key(|child| (child.rank(), child.has_spec));
        self.own(&name, uid).or_else(worst)
    }

    /// Whether something else of that name may be meant: it is one that does not say whose it is, and there is another one.
    pub(crate) fn is_contested(&self, kind: &str, full_name: &str, uid: &str, since: Since) -> bool {
        let name = format!("{kind} {full_name}");
        if self.own(&name, uid).is_some() {
            return false;
        }
        let mut found = self.ownerless(&name, since);
        let Some(first) = found.next() else { return false };
        self.owned.contains_key(&name) || found.any(|other| first.contradicts(other))
    }

    fn own(&self, name: &str, uid: &str) -> Option<&Child> {
        self.all.get(*self.by_owner.get(uid)?.get(name)?)
    }

    /// Those that do not say whose they are, but for what is older than the PipelineRun: that is of an earlier one of the same name.
    fn ownerless<'a>(&'a self, name: &str, since: Since) -> impl Iterator<Item = &'a Child> {
        let places = self.ownerless.get(name).into_iter().flatten();
        places.filter_map(|place| self.all.get(*place)).filter(move |child| !child.is_older(since))
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
