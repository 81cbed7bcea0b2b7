//! One round of calls: what has to change is changed, and what has become of each entry is kept.

use std::collections::BTreeSet;

use tonic::Code;
use unixtime::UnixSeconds;

use super::{Registrar, is_valid};
use crate::controller::{
    news::Obstacle,
    registration::{
        difference::{Difference, Kept, expiry},
        entry::{EntryId, Subject, sort},
    },
    spire::{
        client::{AT_ONCE, Entries, EntryOutcome},
        error::SpireError,
        generated::RegistrationEntry,
    },
};

/// What has become of one round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// What is to be looked at again.
    pub(super) again: BTreeSet<Subject>,
    /// An alias was not made: whatever needs it is to be looked at again.
    pub(super) is_all_again: bool,
    /// Entries that were not done for a reason that may pass.
    pub(super) failed: Option<SpireError>,
    /// Entries that were deleted.
    pub(super) removed: usize,
    pub(super) obstacles: Vec<(EntryId, Obstacle)>,
}

impl Round {
    fn look_again(&mut self, subject: Option<Subject>) {
        self.is_all_again |= subject.is_none();
        self.again.extend(subject);
    }

    fn failed(&mut self, what: &'static str, id: &EntryId, outcome: EntryOutcome) {
        match &mut self.failed {
            Some(SpireError::Entries { count, .. }) => *count += 1,
            failed => {
                let EntryOutcome { code, message, .. } = outcome;
                *failed = Some(SpireError::Entries { count: 1, what, id: id.to_string(), code, message });
            }
        }
    }
}

impl Registrar {
    /// Changes what has to change, and keeps what has become of it.
    pub(super) fn apply(
        &mut self,
        api: &dyn Entries,
        difference: &Difference,
        now: UnixSeconds,
        round: &mut Round,
    ) -> Result<(), SpireError> {
        for entries in difference.create.chunks(AT_ONCE) {
            for (entry, outcome) in entries.iter().zip(api.create(entries)?) {
                self.created(entry, outcome, now, round);
            }
        }
        for entries in difference.update.chunks(AT_ONCE) {
            for (entry, outcome) in entries.iter().zip(api.update(entries)?) {
                self.updated(entry, outcome, round);
            }
        }
        for entries in difference.delete.chunks(AT_ONCE) {
            let ids: Vec<String> = entries.iter().map(ToString::to_string).collect();
            self.leaving.extend(entries.iter().cloned());
            for (id, outcome) in entries.iter().zip(api.delete(&ids)?) {
                self.deleted(id, outcome, round);
            }
        }
        Ok(())
    }

    fn created(
        &mut self,
        entry: &RegistrationEntry,
        outcome: EntryOutcome,
        now: UnixSeconds,
        round: &mut Round,
    ) {
        let id = EntryId::of(entry);
        let subject = self.tag.subject_of(&id);
        match (outcome.code, &outcome.entry) {
            (Code::Ok, _) => self.keep(entry.clone()),
            // It was there, perhaps otherwise: that is seen when it is looked at again.
            (Code::AlreadyExists, Some(known)) if known.id == entry.id && self.tag.is_ours(known) => {
                self.keep(known.clone());
                round.look_again(subject);
            }
            // A node may have its alias from somebody else.
            (Code::AlreadyExists, Some(known)) if subject.is_none() && serves(known, entry, now) => {
                self.accepted.insert(id, expiry(known));
            }
            (Code::AlreadyExists, known) => {
                let by = known.as_ref().map(|known| known.id.clone()).unwrap_or_default();
                round.obstacles.push((id, Obstacle::Occupied { by }));
            }
            _ => not_done("create", id, subject, outcome, round),
        }
    }

    fn updated(&mut self, entry: &RegistrationEntry, outcome: EntryOutcome, round: &mut Round) {
        let id = EntryId::of(entry);
        let subject = self.tag.subject_of(&id);
        match outcome.code {
            Code::Ok => self.keep(entry.clone()),
            Code::NotFound => {
                self.present.as_mut().map(|present| present.remove(&id));
                round.look_again(subject);
            }
            _ => not_done("update", id, subject, outcome, round),
        }
    }

    fn deleted(&mut self, id: &EntryId, outcome: EntryOutcome, round: &mut Round) {
        self.leaving.remove(id);
        match outcome.code {
            Code::Ok | Code::NotFound => {
                self.present.as_mut().map(|present| present.remove(id));
                round.removed += 1;
            }
            _ => {
                round.look_again(self.tag.subject_of(id));
                round.failed("delete", id, outcome);
            }
        }
    }

    fn keep(&mut self, entry: RegistrationEntry) {
        let id = EntryId::of(&entry);
        // An alias has nobody who would forget its obstacle.
        self.obstructed.remove(&id);
        self.present.get_or_insert_default().insert(id, Kept::of(entry));
    }
}

/// One was not created or updated. What the server calls invalid stays so: it is tried again with the next comparison only.
fn not_done(
    what: &'static str,
    id: EntryId,
    subject: Option<Subject>,
    outcome: EntryOutcome,
    round: &mut Round,
) {
    if outcome.code == Code::InvalidArgument {
        round.obstacles.push((id, Obstacle::Rejected { message: outcome.message }));
        return;
    }
    round.look_again(subject);
    round.failed(what, &id, outcome);
}

/// Whether somebody else's entry gives a node's agent the alias that ours would.
fn serves(known: &RegistrationEntry, ours: &RegistrationEntry, now: UnixSeconds) -> bool {
    let mut known = known.clone();
    sort(&mut known);
    (&known.spiffe_id, &known.parent_id, &known.selectors)
        == (&ours.spiffe_id, &ours.parent_id, &ours.selectors)
        && is_valid(expiry(&known), now)
}
