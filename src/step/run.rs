//! The whole life of a step, top-down (design 4; Tekton cmd/entrypoint/main.go, pkg/entrypoint/entrypointer.go).

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{SigSet, Signal, raise};

use crate::evidence::attestation::{KEY_PREFIX, is_reserved, is_result_name};

use super::args::{self, Args, FlagError, Refused};
use super::artifacts::Artifacts;
use super::clock::LocalZone;
use super::environment::{self, Environment};
use super::events::Events;
use super::go_text::join;
use super::message::Message;
use super::outcome::{End, Outcome};
use super::post::ExitCode;
use super::process::{self, Cancellation, Command, Ran};
use super::results::{Declared, Digests, RawResult, ResultError};
use super::roots::Roots;
use super::sign::{Before, Produced, Signed, Signing};
use super::termination::{self, Entry, EntryType};
use super::wait::{self, WaitError};
use super::{directories, init, log, position, post};

/// Runs the program `entrypoint`: a subcommand, or one step from waiting for its turn to its post file. `args` begins with
/// the program's own name. Returns the exit status; only a signal that ends the process while it waits does not return.
pub fn main(args: Vec<OsString>, roots: &Roots) -> i32 {
    // This process is going to hold a key: no other one may open its memory, not even before that, and it leaves no core.
    let _ = nix::sys::prctl::set_dumpable(false);
    // From here on no signal ends us before the post file is written.
    let events = Events::start();
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let args = match args::parse(args.collect()) {
        Ok(args) => args,
        Err(refused) => return refuse_flags(&program, &refused),
    };
    post_on_panic(args.post_file.clone());
    if let Some(done) = init::dispatch(&args.positionals, roots) {
        log::line(&done.message);
        return done.status;
    }
    if let Err(refusal) = acceptable(&args, roots) {
        log::line(&refusal.to_string());
        post_failure(&args.post_file);
        return refusal.exit_status();
    }
    let events = match events {
        Ok(events) => events,
        Err(error) => {
            log::line(&format!("cannot receive signals: {error}"));
            post_failure(&args.post_file);
            return 1;
        }
    };
    let environment = Environment::of_process();
    let zone = LocalZone::local(environment.get("TZ"));
    let task_results = Declared::task(&args.results, roots);
    let step_results = Declared::step(&args.step_results, &args.step_metadata_dir);
    Step { args: &args, roots, events, environment, zone, task_results, step_results }.live()
}

/// Go's flag package: the error and the usage text on stderr, exit 2; help is exit 0.
fn refuse_flags(program: &OsStr, refused: &Refused) -> i32 {
    let usage = args::usage(program);
    let (text, status) = match &refused.error {
        FlagError::Help => (usage, 0),
        error => (format!("{error}\n{usage}"), 2),
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    post_failure(&refused.post_file);
    status
}

/// A panic ends the program at once, in whichever thread: the steps after this one must be told all the same.
fn post_on_panic(post_file: PathBuf) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        post_failure(&post_file);
    }));
}

/// Tells the later steps of a failure (design 4.4): without a post file they would wait for ever.
fn post_failure(post_file: &Path) {
    if let Err(error) = post::post(post_file, false) {
        log::line(&error.to_string());
    }
}

/// A command line that is refused before the step waits for its turn.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("-{}: not supported by this version of svidence yet; use Tekton's own entrypoint image for this task", .flags.join(", -"))]
    Unsupported { flags: Vec<&'static str> },
    #[error(
        "no -entrypoint: taking the command from TEKTON_PLATFORM_COMMANDS is not supported by this version of svidence \
         yet; state the step's command in the task"
    )]
    PlatformCommands,
    #[error(
        "result {name:?}: names that begin with {KEY_PREFIX} are reserved for evidence; rename the result"
    )]
    Reserved { name: String },
    #[error(
        "result {name:?} cannot be signed: its name has other characters than [-A-Za-z0-9_.]; rename the result"
    )]
    Name { name: String },
    #[error("result {name:?} is declared twice, so it cannot be signed; declare it once")]
    Twice { name: String },
}

impl Refusal {
    fn exit_status(&self) -> i32 {
        match self {
            Refusal::Unsupported { .. } => 2,
            _ => 1,
        }
    }
}

fn acceptable(args: &Args, roots: &Roots) -> Result<(), Refusal> {
    let flags = args.unsupported();
    if !flags.is_empty() {
        return Err(Refusal::Unsupported { flags });
    }
    if args.entrypoint.is_empty() {
        return Err(Refusal::PlatformCommands);
    }
    if args.signs() {
        signable(&Declared::task(&args.results, roots))?;
        signable(&Declared::step(&args.step_results, &args.step_metadata_dir))?;
    }
    Ok(())
}

/// What is signed must be nameable, once, and not pass for evidence.
fn signable(declared: &Declared) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::new();
    for name in declared.texts() {
        if is_reserved(&name) {
            return Err(Refusal::Reserved { name });
        }
        if !is_result_name(&name) {
            return Err(Refusal::Name { name });
        }
        if !seen.insert(name.clone()) {
            return Err(Refusal::Twice { name });
        }
    }
    Ok(())
}

/// One step and what it works with.
struct Step<'a> {
    args: &'a Args,
    roots: &'a Roots,
    events: Events,
    environment: Environment,
    zone: LocalZone,
    task_results: Declared,
    step_results: Declared,
}

/// What the step produced, as far as it is handed over.
struct Collected {
    results: Vec<RawResult>,
    artifacts: Artifacts,
    message: Message,
}

impl Step<'_> {
    fn live(&self) -> i32 {
        if let Err(error) = self.make_directories() {
            return self.conclude(failed(error), Some(&[]), None);
        }
        match wait::for_files(&self.events, &self.args.wait_file, self.args.wait_file_content) {
            Ok(()) => {}
            Err(error @ WaitError::Signalled { signal, kills }) => {
                log::line(&error.to_string());
                post_failure(&self.args.post_file);
                return die(signal, kills);
            }
            Err(error) => return self.not_our_turn(&error),
        }

        let started = SystemTime::now();
        let mut signing = self.args.signs().then(|| self.start_signing());
        let before =
            signing.is_some().then(|| [&self.task_results, &self.step_results].map(Declared::digests_now));
        let mut cancellation = Cancellation::new(self.roots.cancel());
        let clock = Instant::now();
        let ran = self.run_program(&mut cancellation);
        let duration = clock.elapsed();
        let asked_to_end = ran.asked_to_end | (ran.started && process::end_leftovers(&self.events));
        if let Some(signing) = &mut signing {
            signing.begin(Instant::now());
        }

        let hurried = asked_to_end || ran.end == End::Cancelled;
        let mut outcome = Outcome::new(ran.end, self.args.on_error_continue());
        let mut collected = self.collect(&before.unwrap_or_default(), started, &mut outcome);
        let exit_code = self.open_exit_code(&mut outcome);
        let entries = match signing {
            None => collected.message.entries(),
            Some(mut signing) => {
                self.await_identity(&mut signing, &mut cancellation, hurried);
                self.sign(signing, &mut collected, &mut outcome, started, duration)
            }
        };
        let nothing = entries.is_empty();
        self.conclude(outcome, if nothing { None } else { Some(&entries) }, exit_code)
    }

    /// `results` and `artifacts` below the metadata directory (contract 3.1).
    fn make_directories(&self) -> Result<(), String> {
        for name in ["results", "artifacts"] {
            let directory = join(&[self.args.step_metadata_dir.as_os_str(), OsStr::new(name)]);
            directories::make_all(&directory).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waiting failed: only the time, and the reason if an earlier step failed, are told. Nothing is signed.
    fn not_our_turn(&self, error: &WaitError) -> i32 {
        let end = match error {
            WaitError::EarlierStepFailed => End::EarlierStepFailed,
            other => End::WaitFailed(other.to_string()),
        };
        let outcome = Outcome::new(end, self.args.on_error_continue());
        let entries = self.internal_entries(SystemTime::now(), &outcome);
        self.conclude(outcome, Some(&entries), None)
    }

    fn start_signing(&self) -> Signing {
        log::line("SPIRE is enabled in this build, enableSpire is supported");
        let before = Before {
            position: position::step(self.roots, &self.args.step_metadata_dir),
            step_metadata_dir: self.args.step_metadata_dir.display().to_string(),
            results: self.task_results.texts(),
            step_results: self.step_results.texts(),
            socket_path: self.args.spire_socket_path.clone(),
        };
        Signing::start(before, self.roots, &self.environment)
    }

    fn run_program(&self, cancellation: &mut Cancellation) -> Ran {
        let mut argv = vec![self.args.entrypoint.clone()];
        argv.extend(self.args.command_args.iter().cloned());
        if let Err(reason) = self.runnable(&argv) {
            return Ran { end: End::NotRun(reason), started: false, asked_to_end: false };
        }
        let command = Command {
            argv: &argv,
            environment: &self.environment,
            stdout_path: &self.args.stdout_path,
            stderr_path: &self.args.stderr_path,
        };
        let timeout =
            u64::try_from(self.args.timeout).ok().filter(|&limit| limit > 0).map(Duration::from_nanos);
        process::run(&self.events, &command, timeout, cancellation)
    }

    /// Refuses what would otherwise run differently from what the task asks for.
    fn runnable(&self, argv: &[OsString]) -> Result<(), String> {
        if self.args.timeout < 0 {
            return Err("negative timeout specified".into());
        }
        let refuse = |place: String, found: &OsStr| {
            Err(format!(
                "{place} refers to another step's result or artifact, {}: not supported by this version yet",
                found.display()
            ))
        };
        for (name, value) in self.environment.iter() {
            if let Some(found) = environment::reference(value) {
                return refuse(format!("environment variable {}", name.display()), found);
            }
        }
        for (index, arg) in argv.iter().enumerate() {
            if let Some(found) = environment::reference(arg) {
                return refuse(
                    if index == 0 { "the command".into() } else { format!("argument {index}") },
                    found,
                );
            }
        }
        // Tekton cmd/entrypoint/runner.go: only then is the program to run without a network.
        let named = self.environment.get("TEKTON_RESOURCE_NAME").is_some_and(|name| !name.is_empty());
        if !named && self.environment.get("TEKTON_HERMETIC").is_some_and(|hermetic| hermetic == "1") {
            return Err("hermetic mode is not supported by this version yet".into());
        }
        Ok(())
    }

    /// Reads what the step left, in Tekton's order and with its rules of what a failure leaves out.
    fn collect(&self, before: &[Digests; 2], started: SystemTime, outcome: &mut Outcome) -> Collected {
        let mut collected =
            Collected { results: Vec::new(), artifacts: Artifacts::default(), message: Message::default() };
        for (declared, before) in [&self.task_results, &self.step_results].into_iter().zip(before) {
            let round = declared.read(before).and_then(|round| {
                collected.message.add_results(&round)?;
                Ok(round)
            });
            match round {
                Ok(round) => collected.results.extend(round),
                Err(error) => {
                    outcome.failure = Some(match error {
                        ResultError::TooLarge(error) => error.to_string(),
                        ResultError::Read(error) => format!("Error executing command: {error}"),
                    });
                    break;
                }
            }
        }
        if outcome.failure.is_none() {
            match Artifacts::read(&self.args.step_metadata_dir, self.roots) {
                Ok(artifacts) => collected.artifacts = artifacts,
                Err(error) => {
                    outcome.failure = Some(error.to_string());
                    return collected;
                }
            }
        }
        let mut tail = self.internal_entries(started, outcome);
        tail.extend(collected.artifacts.entries());
        if let Err(error) = collected.message.set_tail(tail) {
            collected.artifacts = Artifacts::default();
            outcome.failure = Some(format!("Error while writing message: {error}"));
        }
        collected
    }

    fn internal_entries(&self, started: SystemTime, outcome: &Outcome) -> Vec<Entry> {
        let mut entries = vec![Entry::new("StartedAt", self.zone.started_at(started), EntryType::Internal)];
        entries.extend(outcome.entry().map(|(key, value)| Entry::new(key, value, EntryType::Internal)));
        entries
    }

    /// Waits until the signer can sign or never will. Cancellation, and a signal that asks us to end, do not cut it off
    /// but lower its deadline (design 4.6).
    fn await_identity(&self, signing: &mut Signing, cancellation: &mut Cancellation, mut hurried: bool) {
        if hurried {
            signing.hurry(Instant::now());
        }
        while !signing.ready() && Instant::now() < signing.deadline() {
            let looking = !hurried && {
                let cancelled = cancellation.look(&self.events);
                if cancelled {
                    hurried = true;
                    signing.hurry(Instant::now());
                }
                !cancelled && cancellation.looking()
            };
            let descriptors: Vec<_> = signing.fd().into_iter().collect();
            let woken = self.events.wait(&descriptors, Some(signing.deadline()), looking);
            if woken.asks_to_end() && !hurried {
                hurried = true;
                signing.hurry(Instant::now());
            }
        }
    }

    /// Signs, and returns the whole message.
    fn sign(
        &self,
        signing: Signing,
        collected: &mut Collected,
        outcome: &mut Outcome,
        started: SystemTime,
        duration: Duration,
    ) -> Vec<Entry> {
        let others = collected.message.entries();
        let signed = signing.finish(&Produced {
            results: &collected.results,
            step_artifacts: collected.artifacts.step.as_ref().map(|artifact| &artifact.raw[..]),
            task_artifacts: collected.artifacts.task.as_ref().map(|artifact| &artifact.raw[..]),
            outcome,
            started,
            duration,
            now: SystemTime::now(),
            others: &others,
        });
        let (tep0089, attestation) = match signed {
            Signed::Entries { tep0089, attestation } => (tep0089, attestation),
            Signed::Unsigned { reason, entries, fail } => {
                log::line(&format!("the step is not signed: {reason}"));
                if fail {
                    outcome.failed_unsigned = true;
                    collected.message.drop_exit_code();
                }
                (Vec::new(), entries)
            }
        };
        // Results come first: they are never lost to evidence (design 4.5).
        collected.message.with_evidence(&tep0089, &attestation).unwrap_or_else(|error| {
            log::line(&format!("the step is not signed: the evidence does not fit. {error}"));
            outcome.failed_unsigned = true;
            collected.message.drop_exit_code();
            collected.message.entries()
        })
    }

    /// Opens the `exitCode` file if there is to be one.
    fn open_exit_code(&self, outcome: &mut Outcome) -> Option<ExitCode> {
        outcome.exit_code_file()?;
        ExitCode::open(&self.args.step_metadata_dir)
            .inspect_err(|error| outcome.failure = Some(error.to_string()))
            .ok()
    }

    /// The end of every life: message, then `exitCode`, then the post file, which starts the next step (design 4.1).
    fn conclude(&self, mut outcome: Outcome, entries: Option<&[Entry]>, exit_code: Option<ExitCode>) -> i32 {
        if let Some(entries) = entries
            && let Err(error) = termination::write(&self.termination_path(), entries)
        {
            outcome.failure = Some(format!("Error while writing message: {error}"));
        }
        match (exit_code, outcome.exit_code_file()) {
            (Some(file), Some(content)) => {
                if let Err(error) = file.write(&content) {
                    outcome.failure = Some(error.to_string());
                }
            }
            (Some(file), None) => file.withdraw(),
            (None, _) => {}
        }
        if let Err(error) = post::post(&self.args.post_file, outcome.succeeds()) {
            outcome.failure = Some(error.to_string());
        }
        if let Some(line) = outcome.last_line() {
            log::line(&line);
        }
        outcome.exit_status()
    }

    fn termination_path(&self) -> PathBuf {
        self.args.termination_path.clone().unwrap_or_else(|| self.roots.termination())
    }
}

fn failed(error: String) -> Outcome {
    Outcome::new(End::NotRun(error), false)
}

/// Ends as a Go program does that nobody made handle the signal: as the first process of its PID namespace, and for
/// signals that make it dump its state, with status 2; else by the signal (contract 3.7.3).
fn die(signal: i32, kills: bool) -> i32 {
    if kills
        && nix::unistd::getpid().as_raw() != 1
        && let Ok(known) = Signal::try_from(signal)
    {
        let mut only = SigSet::empty();
        only.add(known);
        let _ = only.thread_unblock();
        let _ = raise(known);
    }
    2
}
