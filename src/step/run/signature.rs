//! The step's signature, from what is noted before the program runs to what is put into the message (docs/architecture.md 4.5, 4.6).

use std::time::{Duration, Instant, SystemTime};

use super::Step;
use crate::{
    step::{
        log,
        outcome::Outcome,
        output::collect::Collected,
        program::{events::LoopEvents, process::Cancellation},
        signing::{
            facts::Produced,
            given, position,
            sign::{self, Before, Signed, Signing},
        },
        turn::told::Evidence,
    },
    surroundings,
};

impl Step<'_> {
    pub(super) fn start_signing(&self) -> Signing {
        let before = Before {
            position: position::step(self.roots, &self.args.step_metadata_dir),
            step_metadata_dir: self.args.step_metadata_dir.display().to_string(),
            program: given::digest(&self.command, &self.when, self.args, self.roots),
            results: self.task_results.texts(),
            step_results: self.step_results.texts(),
            socket_path: self.args.spire_socket_path.clone(),
        };
        Signing::start(before, self.roots, &self.environment)
    }

    /// Waits until the signer can sign or never will. Cancellation, and a signal that asks us to end, do not cut it off
    /// but lower its deadline (docs/architecture.md 4.6).
    pub(super) fn await_identity(
        &self,
        events: &LoopEvents,
        signing: &mut Signing,
        cancellation: &mut Cancellation,
        mut hurried: bool,
    ) {
        if hurried {
            signing.hurry(Instant::now());
        }
        let mut speaks_at = Some(Instant::now() + sign::SILENT_FOR);
        while !signing.ready() && Instant::now() < signing.deadline() {
            let now = Instant::now();
            if speaks_at.take_if(|at| *at <= now).is_some() {
                log::line(&signing.waits_for(now));
            }
            let looking = !hurried && {
                let cancelled = cancellation.look(events);
                if cancelled {
                    hurried = true;
                    signing.hurry(Instant::now());
                }
                !cancelled && cancellation.looking()
            };
            let descriptors: Vec<_> = signing.fd().into_iter().collect();
            let until = signing.deadline().min(speaks_at.unwrap_or(signing.deadline()));
            let woken = events.wait(&descriptors, Some(until), looking);
            if woken.asks_to_end() && !hurried {
                hurried = true;
                signing.hurry(Instant::now());
            }
        }
    }

    /// Signs, and returns what is put into the message.
    pub(super) fn sign(
        &self,
        signing: Signing,
        collected: &mut Collected,
        outcome: &mut Outcome,
        started: SystemTime,
        duration: Duration,
    ) -> Evidence {
        let others = collected.message.entries();
        let signed = signing.finish(&Produced {
            results: &collected.results,
            encoding: self.args.encoding(),
            step_artifacts: collected.artifacts.step.as_ref().map(|artifact| &artifact.raw[..]),
            task_artifacts: collected.artifacts.task.as_ref().map(|artifact| &artifact.raw[..]),
            outcome,
            started,
            duration,
            now: surroundings::now(),
            others: &others,
        });
        let evidence = match signed {
            Signed::Entries { tep0089, attestation } => Evidence { tep0089, attestation },
            Signed::Unsigned { reason, can_be_mended_by, entries, fail } => {
                log::line(&format!("the step is not signed: {reason}"));
                log::line(&format!("{}; {}", outcome.end, outcome.of_unsigned(fail)));
                log::line(&format!("this can be mended by {can_be_mended_by}"));
                if fail {
                    outcome.failed_unsigned = true;
                    collected.message.drop_exit_code();
                }
                Evidence { tep0089: Vec::new(), attestation: entries }
            }
        };
        // Results come first: they are never lost to evidence (docs/architecture.md 4.5).
        match collected.message.with_evidence(&evidence.tep0089, &evidence.attestation) {
            Ok(_) => evidence,
            Err(error) => {
                log::line(&format!("the step is not signed: the evidence does not fit. {error}"));
                outcome.failed_unsigned = true;
                collected.message.drop_exit_code();
                Evidence::default()
            }
        }
    }
}
