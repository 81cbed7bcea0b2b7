//! The signature checks alone, in a loop, with the library that the verifier uses.

use std::{thread, time::Instant};

use nix::time::{ClockId, clock_gettime};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey, VerificationAlgorithm,
};

use super::programs::{Corpus, ROUNDS};

/// At which rate one thread does the checks of whole TaskRuns.
pub(crate) fn task_runs_per_cpu_second(corpus: &Corpus) -> f64 {
    let before = cpu_seconds();
    check_rounds(corpus);
    (ROUNDS * corpus.count) as f64 / (cpu_seconds() - before)
}

/// At which rate by the clock on the wall one thread a core does them.
pub(crate) fn task_runs_per_second(corpus: &Corpus) -> f64 {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| check_rounds(corpus));
        }
    });
    (threads * ROUNDS * corpus.count) as f64 / start.elapsed().as_secs_f64()
}

fn check_rounds(corpus: &Corpus) {
    for _ in 0..ROUNDS {
        for check in &corpus.checks {
            let algorithm: &dyn VerificationAlgorithm =
                if check.is_fixed { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P256_SHA256_ASN1 };
            UnparsedPublicKey::new(algorithm, &check.public_key)
                .verify(&check.message, &check.signature)
                .expect("the corpus is genuine");
        }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the thread's clock");
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}
