//! How many runs may wait for their tokens in memory, so that no namespace takes the places of all others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Runs that may wait at a time; all others are found by their missing tokens.
pub const MOST: usize = 1000;
/// Those of one namespace.
pub const MOST_OF_NAMESPACE: usize = 250;

/// The places, shared by whoever hands runs over and whoever has them stamped.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_namespace: BTreeMap<String, usize>,
    /// The namespace that was last refused a place as it has its share.
    refused: Option<String>,
}

impl Taken {
    fn is_at_its_share(&self, namespace: &str) -> bool {
        self.by_namespace.get(namespace).is_some_and(|taken| *taken >= MOST_OF_NAMESPACE)
    }
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a run of a namespace; `false` if there is none for it.
    pub fn take(&self, namespace: &str) -> bool {
        let mut taken = self.lock();
        if taken.is_at_its_share(namespace) {
            taken.refused = Some(namespace.to_owned());
            return false;
        }
        if taken.all >= MOST {
            return false;
        }
        taken.all += 1;
        *taken.by_namespace.entry(namespace.to_owned()).or_default() += 1;
        true
    }

    /// Gives back a place of a namespace.
    pub fn give_back(&self, namespace: &str) {
        let mut taken = self.lock();
        let Some(of_namespace) = taken.by_namespace.get_mut(namespace) else { return };
        *of_namespace = of_namespace.saturating_sub(1);
        if *of_namespace == 0 {
            taken.by_namespace.remove(namespace);
        }
        taken.all = taken.all.saturating_sub(1);
    }

    /// Whether it makes sense to look for another run. Not while the namespace that was refused last still has its share: whoever looks
    /// would find the same run, and read it from the API server for nothing.
    pub fn has_room(&self) -> bool {
        let taken = self.lock();
        let waits = taken.refused.as_ref().is_some_and(|namespace| taken.is_at_its_share(namespace));
        taken.all < MOST && !waits
    }
}
