//! Keeping `ClusterStaticEntry` objects like the entries that there should be.

use std::{cell::RefCell, fmt, time::Instant};

use serde_json::{Value, json};
use tonic::Code;
use unixtime::UnixSeconds;

use super::object::{LABEL, Lack, entry, is_labelled, lack, object};
use crate::{
    controller::{
        leading::Leadership,
        news::Obstacle,
        registration::entry::EntryId,
        spire::{
            client::{Entries, EntryOutcome},
            error::SpireError,
            generated::RegistrationEntry,
        },
    },
    sources::kubernetes::{
        error::KubernetesError,
        static_entry::{StaticEntries, Written},
    },
};

/// How often an object that changes meanwhile is read and replaced.
const ATTEMPTS: usize = 3;

/// The objects of a cluster's controller, which are written only while it may act.
pub struct KeptEntries {
    objects: RefCell<StaticEntries>,
    leadership: Leadership,
    now: fn() -> UnixSeconds,
    class_name: RefCell<Option<String>>,
    /// What was lacking when they were listed last.
    unserved: RefCell<Vec<(EntryId, Obstacle)>>,
}

impl fmt::Debug for KeptEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptEntries").field("class_name", &self.class_name).finish_non_exhaustive()
    }
}

impl KeptEntries {
    /// Of this cluster. An answer may take no longer than the lease is left to others after this controller has stopped acting.
    pub fn new(objects: StaticEntries, leadership: Leadership, now: fn() -> UnixSeconds) -> Self {
        Self {
            objects: RefCell::new(objects),
            leadership,
            now,
            class_name: RefCell::new(None),
            unserved: RefCell::new(Vec::new()),
        }
    }

    /// From now on they are for the spire-controller-manager of this class.
    pub fn set_class_name(&self, class_name: Option<String>) {
        self.class_name.replace(class_name);
    }

    fn ask<T>(
        &self,
        ask: impl FnOnce(&mut StaticEntries) -> Result<T, KubernetesError>,
    ) -> Result<T, SpireError> {
        if !self.leadership.is_held(Instant::now()) {
            return Err(SpireError::Stopped);
        }
        ask(&mut self.objects.borrow_mut())
            .map_err(|error| SpireError::StaticEntries { message: error.to_string() })
    }

    fn object(&self, entry: &RegistrationEntry) -> Value {
        object(entry, self.class_name.borrow().as_deref())
    }

    fn entry(&self, object: &Value, hint: &str) -> Option<RegistrationEntry> {
        entry(object, hint, self.class_name.borrow().as_deref())
    }

    fn create_one(&self, wanted: &RegistrationEntry) -> Result<EntryOutcome, SpireError> {
        let object = self.object(wanted);
        Ok(match self.ask(|objects| objects.create(&object))? {
            Written::Done => outcome(Code::Ok, Some(wanted.clone())),
            Written::Conflict => {
                let found = self.ask(|objects| objects.get(&wanted.id))?;
                // Without our label it is somebody else's.
                let other = RegistrationEntry { id: wanted.id.clone(), ..RegistrationEntry::default() };
                let known = found.map(|found| self.entry(&found, &wanted.hint).unwrap_or(other));
                outcome(Code::AlreadyExists, known)
            }
            Written::Missing => outcome(Code::NotFound, None),
            Written::Invalid { message } => {
                EntryOutcome { code: Code::InvalidArgument, message, entry: None }
            }
        })
    }

    /// By its name alone, somebody else's could be deleted that has taken it meanwhile.
    fn delete_one(&self, id: &str) -> Result<EntryOutcome, SpireError> {
        for _ in 0..ATTEMPTS {
            let found = self.ask(|objects| objects.get(id))?;
            let Some(found) = found.filter(is_labelled) else { return Ok(outcome(Code::NotFound, None)) };
            match self.ask(|objects| objects.delete(id, &found))? {
                Written::Missing => return Ok(outcome(Code::NotFound, None)),
                Written::Done => return Ok(outcome(Code::Ok, None)),
                Written::Conflict => {}
                Written::Invalid { message } => {
                    return Ok(EntryOutcome { code: Code::InvalidArgument, message, entry: None });
                }
            }
        }
        Ok(changes())
    }

    fn update_one(&self, wanted: &RegistrationEntry) -> Result<EntryOutcome, SpireError> {
        for _ in 0..ATTEMPTS {
            let found = self.ask(|objects| objects.get(&wanted.id))?;
            let Some(found) = found.filter(|found| self.entry(found, &wanted.hint).is_some()) else {
                return Ok(outcome(Code::NotFound, None));
            };
            let mut object = self.object(wanted);
            if let (Some(metadata), Some(version)) =
                (object.get_mut("metadata"), found.pointer("/metadata/resourceVersion"))
            {
                metadata["resourceVersion"] = json!(version);
            }
            match self.ask(|objects| objects.replace(&wanted.id, &object))? {
                Written::Done => return Ok(outcome(Code::Ok, None)),
                Written::Conflict => {}
                Written::Missing => return Ok(outcome(Code::NotFound, None)),
                Written::Invalid { message } => {
                    return Ok(EntryOutcome { code: Code::InvalidArgument, message, entry: None });
                }
            }
        }
        Ok(changes())
    }
}

/// What cannot be written, as it is another one each time.
fn changes() -> EntryOutcome {
    let message = "somebody else changes it again and again".to_owned();
    EntryOutcome { code: Code::Aborted, message, entry: None }
}

fn outcome(code: Code, entry: Option<RegistrationEntry>) -> EntryOutcome {
    EntryOutcome { code, message: String::new(), entry }
}

impl Entries for KeptEntries {
    fn list(&self, hint: &str, each: &mut dyn FnMut(RegistrationEntry)) -> Result<(), SpireError> {
        let found = self.ask(|objects| objects.list(&format!("{LABEL}={hint}")))?;
        let now = (self.now)();
        let lacking = |object: &Value| {
            let id = EntryId::of(&self.entry(object, hint)?);
            let obstacle = match lack(object, now)? {
                Lack::NotTakenUp => Obstacle::NotTakenUp,
                Lack::Masked => Obstacle::Masked,
            };
            Some((id, obstacle))
        };
        self.unserved.replace(found.iter().filter_map(lacking).collect());
        found.iter().filter_map(|object| self.entry(object, hint)).for_each(each);
        Ok(())
    }

    fn create(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        entries.iter().map(|entry| self.create_one(entry)).collect()
    }

    fn update(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        entries.iter().map(|entry| self.update_one(entry)).collect()
    }

    fn delete(&self, ids: &[String]) -> Result<Vec<EntryOutcome>, SpireError> {
        ids.iter().map(|id| self.delete_one(id)).collect()
    }

    fn unserved(&self) -> Vec<(EntryId, Obstacle)> {
        self.unserved.borrow().clone()
    }
}
