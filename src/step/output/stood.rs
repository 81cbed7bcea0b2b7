//! How the declared results stood before the step's program started: what tells a result that the step set from one that it found.
//!
//! The program does not wait for a storage that is slow or hangs, so the files are looked at in a thread of its own. A look takes
//! metadata only. It shows that nothing changed as long as every change would change it, which is so for a file that has not been
//! changed in the last tick of its file system's clock; a file that has been is read at once. All others are read beside the
//! program, which counts where metadata still shows the file as it stood when it has been read. In a FUSE file system no file is
//! read, since a program that is started meanwhile would wait for the read.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    evidence::Sha256,
    step::output::{
        beneath::{self, FileIdentity},
        declared::DeclaredResults,
    },
    surroundings,
};

/// How long the program waits for the looks.
const LOOKS: Duration = Duration::from_secs(1);
/// How long it waits besides for files to be read: most are, so that one which the program merely touches counts as found.
const READS: Duration = Duration::from_millis(10);
/// When to look again at a file that was changed just now.
const SETTLING: Duration = Duration::from_millis(5);

/// How one result file stood when the program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stood {
    /// There was none that could be a result.
    Absent,
    /// A file, and the SHA-256 of its bytes.
    Read([u8; 32]),
    /// A file that is the same as long as this is.
    As(FileIdentity),
    /// Its storage did not answer in time.
    Unseen,
}

impl Stood {
    /// Whether the file is the same now, when it has this identity and these bytes; `None` if that cannot be told.
    pub fn is_same(&self, identity: FileIdentity, digest: impl FnOnce() -> [u8; 32]) -> Option<bool> {
        match self {
            Self::Absent => Some(false),
            Self::Read(before) => Some(*before == digest()),
            // Touched before it could be read: the step answers for it.
            Self::As(before) => Some(*before == identity),
            Self::Unseen => None,
        }
    }
}

/// How the declared results stood, by kind and in their order.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Those of the task.
    pub task: Vec<Stood>,
    /// Those of the step.
    pub step: Vec<Stood>,
}

/// The looks, as far as they have come.
#[derive(Default)]
struct Progress {
    stood: Vec<Stood>,
    looked: bool,
    read: bool,
    /// What is seen from now on says nothing any more of how it was before.
    started: bool,
}

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// Looks at results in the background.
pub struct Looking {
    shared: Arc<Shared>,
    of_task: usize,
}

impl Looking {
    /// Starts to look. `limit`: the largest file that can be a result.
    pub fn start(task: &DeclaredResults, step: &DeclaredResults, limit: usize) -> Self {
        let (of_task, count) = (task.names.len(), task.names.len() + step.names.len());
        let shared = Arc::new(Shared::default());
        shared.lock().stood = vec![Stood::Unseen; count];
        if count > 0 {
            let (declared, looking) = ([task.clone(), step.clone()], shared.clone());
            let look = move || look(&declared, limit, &looking);
            // Where no thread may be started the program waits for all of it.
            if thread::Builder::new().stack_size(STACK).spawn(look.clone()).is_err() {
                look();
            }
        }
        Self { shared, of_task }
    }

    /// Gives the looks the time that they may take; then the program starts.
    pub fn wait(&self) {
        let mut progress = self.shared.lock();
        let begin = Instant::now();
        while !progress.stood.is_empty() && !progress.read {
            let until = begin + if progress.looked { READS } else { LOOKS };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        progress.started = true;
    }

    /// What is known now.
    pub fn standing(&self) -> Standing {
        let mut task = self.shared.lock().stood.clone();
        let step = task.split_off(self.of_task);
        Standing { task, step }
    }
}

/// A thread that reads and hashes needs no more.
const STACK: usize = 256 * 1024;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut Progress)) {
        what(&mut self.lock());
        self.changed.notify_all();
    }

    /// Notes how a file stood, unless that has come too late.
    fn note(&self, at: usize, stood: Stood) -> bool {
        let mut progress = self.lock();
        if !progress.started {
            progress.stood[at] = stood;
        }
        !progress.started
    }
}

fn look(declared: &[DeclaredResults; 2], limit: usize, shared: &Shared) {
    let of = |declared: &'_ DeclaredResults| {
        let place = |name| (declared.directory.clone(), declared.below.join(name));
        declared.names.iter().map(place).collect::<Vec<_>>()
    };
    let files = declared.each_ref().map(of).concat();
    for (at, (directory, file)) in files.iter().enumerate() {
        if !shared.note(at, first(directory, file, limit)) {
            return;
        }
    }
    shared.tell(|progress| progress.looked = true);
    for (at, (directory, file)) in files.iter().enumerate() {
        let stood = shared.lock().stood[at];
        if let Stood::As(before) = stood
            && !before.waits_to_close()
            && let Some((digest, after)) = read(directory, file, limit)
            && after == before
        {
            shared.lock().stood[at] = Stood::Read(digest);
        }
    }
    shared.tell(|progress| progress.read = true);
}

/// The first look at a file.
fn first(directory: &Path, file: &Path, limit: usize) -> Stood {
    for _ in 0..LOOKS.as_millis() / SETTLING.as_millis() {
        // The clock is read first, so that the file's times seem younger rather than older than they are.
        let now = surroundings::now();
        let is_larger =
            |identity: &FileIdentity| usize::try_from(identity.size()).ok().is_none_or(|size| size > limit);
        match beneath::identity(directory, file) {
            Ok(Some(identity)) if identity.is_settled(now) || is_larger(&identity) => {
                return Stood::As(identity);
            }
            Ok(Some(identity)) if identity.waits_to_close() => thread::sleep(SETTLING),
            Ok(Some(_)) => {
                return read(directory, file, limit).map_or(Stood::Absent, |(digest, _)| Stood::Read(digest));
            }
            Ok(None) | Err(_) => return Stood::Absent,
        }
    }
    Stood::Unseen
}

fn read(directory: &Path, file: &Path, limit: usize) -> Option<([u8; 32], FileIdentity)> {
    let mut digest = Sha256::default();
    match beneath::stream(directory, file, limit, |piece| digest.update(piece)) {
        Ok(Some((true, identity))) => Some((digest.finish(), identity)),
        _ => None,
    }
}
