//! The whole life of a step, top-down (docs/architecture.md 3.1, 4; Tekton cmd/entrypoint/main.go,
//! pkg/entrypoint/entrypointer.go).

mod conclude;
mod refusal;
mod signature;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use go::{
    filepath::join,
    mkdir,
    zone::{LocalZone, Zones},
};

use self::refusal::{Refusal, signable};
use super::{
    args::{self, Args, FlagError, Refused},
    credentials::home,
    init, log,
    outcome::{End, Failure, Outcome},
    roots::Roots,
    substitute::{self, Subjects},
    when::{self, WhenExpression},
};
use crate::{
    step::{
        output::{
            collect::{self, Collected, Declarations},
            declared::DeclaredResults,
            message::Message,
            stood::{Looking, Standing},
        },
        program::{
            command,
            environment::Environment,
            events::LoopEvents,
            hermetic,
            process::{self, Cancellation, Command, Ran},
            streams,
            sys::MostDescriptors,
        },
        turn::{
            breakpoint::{self, Decision},
            post,
            told::{Evidence, ToldOfStep},
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
    let events = LoopEvents::start();
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

/// One step and what it works with.
struct Step<'a> {
    args: &'a Args,
    roots: &'a Roots,
    environment: Environment,
    command: Vec<OsString>,
    when: Vec<WhenExpression>,
    zone: LocalZone,
    task_results: DeclaredResults,
    step_results: DeclaredResults,
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
        let task_results = DeclaredResults::task(&args.results, roots);
        let step_results = DeclaredResults::step(&args.step_results, &args.step_metadata_dir);
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

    fn live(mut self, events: &LoopEvents) -> i32 {
        if let Err(error) = self.make_directories() {
            let outcome = self.ended(End::NotRun(error));
            return self.conclude(events, outcome, Some(Message::default()), ToldOfStep::default());
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
        self.conclude(events, outcome, message, ToldOfStep { evidence, prepared })
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
    fn not_our_turn(&self, events: &LoopEvents, error: &WaitError) -> i32 {
        let end = match error {
            WaitError::EarlierStepFailed => End::EarlierStepFailed,
            other => End::WaitFailed(other.to_string()),
        };
        let mut outcome = self.ended(end);
        let entries = collect::skipped(self.args, self.started_at(surroundings::now()), &mut outcome);
        self.conclude(events, outcome, Some(entries.message), ToldOfStep::default())
    }

    /// The pause before the program. A negative timeout fails the step whatever was decided (docs/tekton-contract.md 3.3).
    fn debug_before_step(&self, events: &LoopEvents) -> Result<Decision, DeadlySignal> {
        if !self.args.debug_before_step {
            return Ok(Decision::Continue);
        }
        let decision = breakpoint::before_step(events, &self.args.post_file)?;
        Ok(if self.args.timeout < 0 { Decision::Continue } else { decision })
    }

    /// What earlier steps left is put in, then the when expressions decide, then the program runs.
    fn run_program(&mut self, events: &LoopEvents, cancellation: &mut Cancellation) -> Ran {
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
}
