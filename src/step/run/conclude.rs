//! The end of a step: message, then `exitCode`, then the post file (docs/architecture.md 4.1, 4.4).

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::sys::signal::{SigSet, Signal};

use super::{Step, post_failure};
use crate::{
    step::{
        log,
        outcome::{Failure, Outcome},
        output::{
            message::Message,
            termination::{self, WriteError},
        },
        program::{events::LoopEvents, sys},
        turn::{
            breakpoint,
            post::{self, PostError, PreparedExitCode, PreparedPost},
            told::{Evidence, Prepared, ToldOfStep},
            wait::DeadlySignal,
        },
    },
    tekton::termination::Entry,
};

impl Step<'_> {
    /// Makes what tells the other steps, all but its name, and so finds what stands in its way before the outcome is signed.
    pub(super) fn prepare(&self, outcome: &mut Outcome) -> Prepared {
        let mut prepared = Prepared::default();
        let mut failed = None;
        if let Some(content) = outcome.exit_code_file() {
            let made = PreparedExitCode::new(&self.args.step_metadata_dir, content);
            prepared.exit_code = made.map_err(|error| failed = Some(error)).ok();
        }
        if !outcome.pauses() {
            let ok = outcome.succeeds() && failed.is_none();
            let made = PreparedPost::new(&self.args.post_file, ok);
            prepared.post = made.map_err(|error| failed = Some(error)).ok();
        }
        if let Some(error) = failed {
            outcome.failure = Some(Failure::Post(error.to_string()));
        }
        prepared
    }

    /// The end of every life: message, then `exitCode`, then the post file, which starts the next step
    /// (docs/architecture.md 4.1), unless whoever debugs the step decides about that.
    pub(super) fn conclude(
        &self,
        events: &LoopEvents,
        mut outcome: Outcome,
        message: Option<Message>,
        told: ToldOfStep,
    ) -> i32 {
        let ToldOfStep { evidence, prepared: Prepared { exit_code, post } } = told;
        let entries = message.as_ref().map(|message| evidence.among(message));
        if let Some(entries) = &entries
            && let Err(error) = self.write_when_possible(events, entries)
        {
            outcome.failure = Some(Failure::Message(error.to_string()));
        }
        let written = message.as_ref().filter(|_| outcome.failure.is_none());
        match (exit_code, outcome.exit_code_file()) {
            (Some(file), Some(_)) => {
                if let Err(error) = file.publish() {
                    self.take_back(&error, &mut outcome, written, &evidence);
                }
            }
            (Some(file), None) => file.withdraw(),
            (None, _) => {}
        }
        if outcome.pauses() {
            if let Some(post) = post {
                post.withdraw();
            }
            return self.debug_on_failure(events);
        }
        let ok = outcome.succeeds();
        let posted = match post {
            Some(post) => post.publish(ok),
            None => post::post(&self.args.post_file, ok),
        };
        if let Err(error) = posted {
            self.take_back(&error, &mut outcome, written, &evidence);
            if ok && !outcome.succeeds() {
                let _ = post::post(&self.args.post_file, false);
            }
        }
        if let Some(line) = outcome.last_line() {
            log::line(&line);
        }
        outcome.exit_status()
    }

    /// Writes the message, if need be when what signing has opened is closed: its thread ends by itself.
    fn write_when_possible(&self, events: &LoopEvents, entries: &[Entry]) -> Result<(), WriteError> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            match self.write(entries) {
                Err(error) if error.lacks_descriptors() && Instant::now() < deadline => {
                    events.wait(&[], Some(Instant::now() + Duration::from_millis(20)), false);
                }
                written => return written,
            }
        }
    }

    fn write(&self, entries: &[Entry]) -> Result<(), WriteError> {
        termination::write(&self.termination_path(), entries, self.args.encoding())
    }

    /// The other steps cannot be told, which was not to be foreseen, so the step fails. What `written` says with a signature it
    /// must not say then; where that cannot be taken back the step ends as it says.
    fn take_back(
        &self,
        error: &PostError,
        outcome: &mut Outcome,
        written: Option<&Message>,
        evidence: &Evidence,
    ) {
        if let Some(mut message) = written.cloned() {
            message.drop_exit_code();
            if let Err(again) = self.write(&evidence.taken_back(error).among(&message))
                && evidence.is_signed()
            {
                log::line(&format!("{error}; the step ends as was signed, since that stands: {again}"));
                return;
            }
        }
        outcome.failure = Some(Failure::Post(error.to_string()));
    }

    fn debug_on_failure(&self, events: &LoopEvents) -> i32 {
        match breakpoint::on_failure(events, &self.args.post_file) {
            Ok(status) => status,
            Err(signal) => self.die(signal),
        }
    }

    /// A signal ended us before the post file was written.
    pub(super) fn die(&self, signal: DeadlySignal) -> i32 {
        log::line(&signal.to_string());
        post_failure(&self.args.post_file);
        die(signal)
    }

    fn termination_path(&self) -> PathBuf {
        self.args.termination_path.clone().unwrap_or_else(|| self.roots.termination())
    }
}

/// Ends as a Go program does that nobody made handle the signal: as the first process of its PID namespace, and for
/// signals that make it dump its state, with status 2; else by the signal (docs/tekton-contract.md 3.7.3).
fn die(DeadlySignal { signal, kills }: DeadlySignal) -> i32 {
    if kills
        && nix::unistd::getpid().as_raw() != 1
        && let Ok(known) = Signal::try_from(signal)
    {
        let mut only = SigSet::empty();
        only.add(known);
        let _ = only.thread_unblock();
        sys::default_action(known);
        // Not raise(3), whose tkill a seccomp profile may refuse.
        sys::send(nix::unistd::getpid().as_raw(), signal);
    }
    2
}
