//! The stack that a step runs on.

use std::thread;

use nix::sys::resource::{Resource, getrlimit};

/// Holds whatever is nested as deep as it may be.
const ENOUGH: usize = 2 << 20;

/// Does `work`, in a thread with a stack of its own where a limit leaves the process too little: with too little it would end without a
/// post file.
pub fn with_enough(work: &(dyn Fn() -> i32 + Sync)) -> i32 {
    let limited = getrlimit(Resource::RLIMIT_STACK)
        .is_ok_and(|(now, _)| usize::try_from(now).is_ok_and(|now| now < ENOUGH));
    if limited {
        let ended = thread::scope(|scope| {
            let worker = thread::Builder::new().stack_size(ENOUGH).spawn_scoped(scope, work)?;
            // A panic has told why by itself; this is the exit status of one.
            std::io::Result::Ok(worker.join().unwrap_or(101))
        });
        if let Ok(status) = ended {
            return status;
        }
        // No thread may be started; it may be enough all the same.
    }
    work()
}
