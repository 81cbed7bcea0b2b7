//! The whole life of a step, top-down (docs/architecture.md 3.1, 4; Tekton cmd/entrypoint/main.go,
//! pkg/entrypoint/entrypointer.go).

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use go::{
    filepath::join,
    mkdir,
    zone::{LocalZone, Zones},
};
use nix::sys::signal::{SigSet, Signal};

use super::{
    args::{self, Args, FlagError, Refused},
    credentials::home,
    init, log,
    outcome::{End, Failure, Outcome},
    roots::Roots,
    substitute::{self, Subjects},
    when::{self, WhenError, WhenExpression},
};
use crate::{
    evidence::attestation::{KEY_PREFIX, is_reserved, is_result_name},
    step::{
        output::{
            collect::{self, Collected, Declarations},
            declared::Declared,
            message::Message,
            stood::{Looking, Standing},
            termination::{self, WriteError},
        },
        program::{
            command::{self, CommandError},
            environment::Environment,
            events::Events,
            hermetic,
            process::{self, Cancellation, Command, Ran},
            streams,
            sys::{self, MostDescriptors},
        },
        signing::{
            facts::Produced,
            given, position,
            sign::{self, Before, Signed, Signing},
        },
        turn::{
            breakpoint::{self, Decision},
            post::{self, PostError, PreparedExitCode, PreparedPost},
            told::{Evidence, Prepared, Told},
            wait::{self, DeadlySignal, WaitError},
        },
    },
    surroundings,
    tekton::termination::{Entry, EntryType},
};

/// Runs the program `entrypoint`: a subcommand, or one step from waiting for its turn to its post file. `args` begins with
/// the program's own name. Returns the exit status; only a signal that ends the process while it waits does not return.
pub fn main(args: Vec<OsString>, roots: &Roots) -> i32 {
    // This process is going to hold a key: no other one may open its memory, not even before that, and it leaves no core.
    let _ = nix::sys::prctl::set_dumpable(false);
    // From here on no signal ends us before the post file is written.
    let most_descriptors = MostDescriptors::raise();
    let events = Events::start();
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let arguments: Vec<OsString> = args.collect();
    post_on_panic(args::post_file(&arguments));
    let mut args = match args::parse(arguments, roots) {
        Ok(args) => args,
        Err(refused) => return refuse_flags(&program, &refused),
    };
    if let Some(done) = init::dispatch(&args.positionals, roots) {
        log::line(&done.message);
        return done.status;
    }
    for error in std::mem::take(&mut args.credentials).write(roots) {
        log::line(&format!("Error initializing credentials: {error}"));
    }
    let step = match Step::new(&args, roots, most_descriptors) {
        Ok(step) => step,
        Err(refusal) => {
            log::line(&refusal.to_string());
            post_failure(&args.post_file);
            return 1;
        }
    };
    for error in home::copy(&roots.creds(), step.environment.get("HOME")) {
        log::line(&error.to_string());
    }
    match events {
        Ok(events) => step.live(&events),
        Err(error) => {
            log::line(&format!("cannot receive signals: {error}"));
            post_failure(&args.post_file);
            1
        }
    }
}

/// Go's flag package: the error and the usage text on stderr, exit 2; help is exit 0.
fn refuse_flags(program: &OsStr, refused: &Refused) -> i32 {
    let usage = args::usage(program);
    let (text, status) = match &refused.error {
        FlagError::Help => (usage, 0),
        error => (format!("{error}\n{usage}"), 2),
    };
    let _ = streams::write_all(std::io::stderr(), text.as_bytes());
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

/// Tells the later steps of a failure (docs/architecture.md 4.4): without a post file they would wait for ever.
fn post_failure(post_file: &Path) {
    if let Err(error) = post::post(post_file, false) {
        log::line(&error.to_string());
    }
}

/// A command line that is refused before the step waits for its turn.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    When(#[from] WhenError),
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
    environment: Environment,
    command: Vec<OsString>,
    when: Vec<WhenExpression>,
    zone: LocalZone,
    task_results: Declared,
    step_results: Declared,
    most_descriptors: Option<MostDescriptors>,
}

impl<'a> Step<'a> {
    fn new(
        args: &'a Args,
        roots: &'a Roots,
        most_descriptors: Option<MostDescriptors>,
    ) -> Result<Self, Refusal> {
        let environment = Environment::of_process();
        let command = command::select(&args.entrypoint, &args.command_args, &environment)?;
        let when = when::parse(&args.when_expressions)?;
        let task_results = Declared::task(&args.results, roots);
        let step_results = Declared::step(&args.step_results, &args.step_metadata_dir);
        if args.signs() {
            signable(&task_results)?;
            signable(&step_results)?;
            log::line("SPIRE is enabled in this build, enableSpire is supported");
        }
        let zone = LocalZone::local(environment.get("TZ"));
        Ok(Step {
            args,
            roots,
            environment,
            command,
            when,
            zone,
            task_results,
            step_results,
            most_descriptors,
        })
    }

    fn live(mut self, events: &Events) -> i32 {
        if let Err(error) = self.make_directories() {
            let outcome = self.ended(End::NotRun(error));
            return self.conclude(events, outcome, Some(Message::default()), Told::default());
        }
        let Args { wait_file, wait_file_content, breakpoint_on_failure, .. } = self.args;
        match wait::for_files(events, wait_file, *wait_file_content, *breakpoint_on_failure) {
            Ok(()) => {}
            Err(WaitError::Signalled(signal)) => return self.die(signal),
            Err(error) => return self.not_our_turn(events, &error),
        }
        let decision = match self.debug_before_step(events) {
            Ok(decision) => decision,
            Err(signal) => return self.die(signal),
        };

        let started = surroundings::now();
        let largest = Declarations::largest(self.args);
        let looking =
            self.args.signs().then(|| Looking::start(&self.task_results, &self.step_results, largest));
        let mut signing = self.args.signs().then(|| self.start_signing());
        let mut cancellation = Cancellation::new(self.roots.cancel());
        if let Some(looking) = &looking {
            looking.wait();
        }
        let clock = Instant::now();
        let ran = match decision {
            Decision::Continue => self.run_program(events, &mut cancellation),
            Decision::Skip => Ran::not_started(End::DebugSkipped),
        };
        let duration = clock.elapsed();
        let mut outcome = self.ended(ran.end);
        // Not the shell of whoever debugs the step: it is there already.
        let ends_leftovers = ran.started && !outcome.is_broken();
        let asked_to_end = ran.asked_to_end | (ends_leftovers && process::end_leftovers(events));
        if let Some(signing) = &mut signing {
            signing.begin(Instant::now());
        }

        let hurried = asked_to_end || outcome.end == End::Cancelled;
        let before = looking.map(|looking| looking.standing());
        let mut collected = self.collect(before, started, &mut outcome);
        let prepared = self.prepare(&mut outcome);
        if matches!(outcome.failure, Some(Failure::Post(_))) {
            collected.message.drop_exit_code();
        }
        let evidence = match signing {
            None => Evidence::default(),
            Some(mut signing) => {
                // What could not be handed over is not signed, whoever we are.
                if outcome.failure.is_none() {
                    self.await_identity(events, &mut signing, &mut cancellation, hurried);
                }
                self.sign(signing, &mut collected, &mut outcome, started, duration)
            }
        };
        let nothing = collected.message.is_empty() && evidence.attestation.is_empty();
        let message = (!nothing).then_some(collected.message);
        self.conclude(events, outcome, message, Told { evidence, prepared })
    }

    fn ended(&self, end: End) -> Outcome {
        Outcome::new(end, self.args)
    }

    /// `results` and `artifacts` below the metadata directory (docs/tekton-contract.md 3.1).
    fn make_directories(&self) -> Result<(), String> {
        for name in ["results", "artifacts"] {
            let directory = join(&[self.args.step_metadata_dir.as_os_str(), OsStr::new(name)]);
            mkdir::make_all(&directory).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waiting failed: only the time, and the reason if an earlier step failed, are told. Nothing is signed.
    fn not_our_turn(&self, events: &Events, error: &WaitError) -> i32 {
        let end = match error {
            WaitError::EarlierStepFailed => End::EarlierStepFailed,
            other => End::WaitFailed(other.to_string()),
        };
        let mut outcome = self.ended(end);
        let entries = collect::skipped(self.args, self.started_at(surroundings::now()), &mut outcome);
        self.conclude(events, outcome, Some(entries.message), Told::default())
    }

    /// The pause before the program. A negative timeout fails the step whatever was decided (docs/tekton-contract.md 3.3).
    fn debug_before_step(&self, events: &Events) -> Result<Decision, DeadlySignal> {
        if !self.args.debug_before_step {
            return Ok(Decision::Continue);
        }
        let decision = breakpoint::before_step(events, &self.args.post_file)?;
        Ok(if self.args.timeout < 0 { Decision::Continue } else { decision })
    }

    fn start_signing(&self) -> Signing {
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

    /// What earlier steps left is put in, then the when expressions decide, then the program runs.
    fn run_program(&mut self, events: &Events, cancellation: &mut Cancellation) -> Ran {
        if self.args.timeout < 0 {
            return Ran::not_started(End::NotRun("negative timeout specified".into()));
        }
        let (environment, command) = (&mut self.environment, &mut self.command);
        let mut subjects = Subjects { environment, when: &mut self.when, command };
        if let Err(error) = substitute::apply(&mut subjects, self.roots) {
            return Ran::not_started(End::NotRun(error.to_string()));
        }
        let deadline = self.args.time_limit().and_then(|limit| Instant::now().checked_add(limit));
        let evaluate = |expression: &str| cel::evaluate(expression, &Zones::of_image(self.zone.clone()));
        match when::allow(&self.when, evaluate) {
            Ok(true) => {}
            Ok(false) => {
                log::line("INFO Step was skipped due to when expressions were evaluated to false.");
                return Ran::not_started(End::WhenFalse);
            }
            Err(error) => return Ran::not_started(End::NotRun(error.to_string())),
        }
        let command = Command {
            argv: &self.command,
            environment: &self.environment,
            stdout_path: &self.args.stdout_path,
            stderr_path: &self.args.stderr_path,
            hermetic: hermetic::is_wanted(&self.environment),
            roots: self.roots,
            most_descriptors: self.most_descriptors,
        };
        process::run(events, &command, deadline, cancellation)
    }

    fn collect(&self, before: Option<Standing>, started: SystemTime, outcome: &mut Outcome) -> Collected {
        let started_at = self.started_at(started);
        if outcome.end == End::WhenFalse {
            return collect::skipped(self.args, started_at, outcome);
        }
        if outcome.end == End::Cancelled {
            log::line("INFO Step was canceling");
        } else if outcome.is_broken() {
            log::line("INFO Skipping writing to PostFile");
        }
        let declared = Declarations { task: &self.task_results, step: &self.step_results, before };
        collect::collect(&declared, self.args, self.roots, started_at, outcome)
    }

    fn started_at(&self, started: SystemTime) -> Entry {
        Entry::new("StartedAt", self.zone.started_at(started), EntryType::Internal)
    }

    /// Waits until the signer can sign or never will. Cancellation, and a signal that asks us to end, do not cut it off
    /// but lower its deadline (docs/architecture.md 4.6).
    fn await_identity(
        &self,
        events: &Events,
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
    fn sign(
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

    /// Makes what tells the other steps, all but its name, and so finds what stands in its way before the outcome is signed.
    fn prepare(&self, outcome: &mut Outcome) -> Prepared {
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
    fn conclude(&self, events: &Events, mut outcome: Outcome, message: Option<Message>, told: Told) -> i32 {
        let Told { evidence, prepared: Prepared { exit_code, post } } = told;
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
    fn write_when_possible(&self, events: &Events, entries: &[Entry]) -> Result<(), WriteError> {
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

    fn debug_on_failure(&self, events: &Events) -> i32 {
        match breakpoint::on_failure(events, &self.args.post_file) {
            Ok(status) => status,
            Err(signal) => self.die(signal),
        }
    }

    /// A signal ended us before the post file was written.
    fn die(&self, signal: DeadlySignal) -> i32 {
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
