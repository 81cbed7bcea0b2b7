//! By what runs are judged: every authority that the controller's trust domain was ever seen to have, as `svidence bundle add` keeps them.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    time::Duration,
};

use unixtime::UnixSeconds;

use crate::{
    bundles::{
        lock::lock_within,
        store::{BundleStore, FILE, FileError, StoreError},
    },
    io_error,
    report::output::write_whole_alone,
    workload::{
        bundle::{BundleError, X509Bundle},
        id::TrustDomain,
    },
};

/// How long another process may hold the lock of the folder: runs wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where authorities were seen.
const FROM: &str = "the SPIFFE agent of the controller";

/// Why authorities are not kept.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The folder cannot be used.
    #[error("{}: {}; authorities are kept in memory alone until it can be used", folder.display(), io_error::words(error))]
    Folder {
        /// Which.
        folder: PathBuf,
        /// From the operating system.
        error: io::Error,
    },
    /// Another process does not let go of it.
    #[error(
        "{}: another process has held its lock for {} s (fuser -v names it); authorities are kept in memory alone until the agent gives the next \
         identity",
        folder.display(), PATIENCE.as_secs()
    )]
    Locked {
        /// Which.
        folder: PathBuf,
    },
    /// What is in it cannot be used.
    #[error("{}: {error}; authorities are kept in memory alone until it can be used", folder.display())]
    Store {
        /// Which.
        folder: PathBuf,
        /// Why not.
        error: StoreError,
    },
    /// There is none that can be used.
    #[error("the SPIFFE agent's bundle cannot be used: {0}")]
    Bundle(#[from] BundleError),
}

impl AuthoritiesError {
    /// A short stable name, for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } | Self::Locked { .. } | Self::Store { .. } => "authorities-not-kept",
            Self::Bundle(_) => "no-authorities",
        }
    }
}

/// All authorities that were seen.
#[derive(Debug)]
pub struct Authorities {
    store: BundleStore,
    /// Where they are kept besides.
    folder: Option<PathBuf>,
}

impl Authorities {
    /// Of this trust domain, none of which was seen yet. With a folder, those of earlier processes count, too.
    pub fn new(trust_domain: TrustDomain, folder: Option<PathBuf>) -> Self {
        Self { store: BundleStore::new(trust_domain), folder }
    }

    /// Takes in a bundle that was seen at this time, and keeps it. What is not kept is known all the same.
    pub fn see(&mut self, bundle: &X509Bundle, now: UnixSeconds) -> Result<(), AuthoritiesError> {
        let folder = self.folder.clone().unwrap_or_default();
        add(&mut self.store, bundle, now).map_err(|error| AuthoritiesError::Store { folder, error })?;
        self.folder.clone().map_or(Ok(()), |folder| self.keep(folder, bundle, now))
    }

    fn keep(
        &mut self,
        folder: PathBuf,
        bundle: &X509Bundle,
        now: UnixSeconds,
    ) -> Result<(), AuthoritiesError> {
        let of_folder = |error| AuthoritiesError::Folder { folder: folder.clone(), error };
        let of_store = |error| AuthoritiesError::Store { folder: folder.clone(), error };
        fs::create_dir_all(&folder).map_err(of_folder)?;
        let lock = File::open(&folder).map_err(of_folder)?;
        if !lock_within(&lock, PATIENCE).map_err(of_folder)? {
            return Err(AuthoritiesError::Locked { folder });
        }
        let file = folder.join(FILE);
        let mut kept = BundleStore::read(&file, bundle.trust_domain()).map_err(|error| match error {
            FileError::Unreadable(error) => of_folder(error),
            FileError::Store(error) => of_store(error),
        })?;
        // Some may have been seen while the folder could not be used.
        kept.take_in(&self.store);
        let added = add(&mut kept, bundle, now);
        self.store = kept;
        added.map_err(of_store)?;
        write_whole_alone(&file, self.store.to_json().as_bytes()).map_err(of_folder)
    }

    /// All of them.
    pub fn bundle(&self) -> Result<X509Bundle, AuthoritiesError> {
        Ok(self.store.bundle()?)
    }
}

fn add(store: &mut BundleStore, bundle: &X509Bundle, now: UnixSeconds) -> Result<(), StoreError> {
    store.supersede();
    store.add(bundle, true, FROM, now).map(drop)
}
