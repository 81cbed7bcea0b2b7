//! What the step left, read in Tekton's order and with its rules of what a failure leaves out (docs/tekton-contract.md 3.10 to
//! 3.12).

use crate::{
    step::{
        args::Args,
        log,
        outcome::{Failure, Outcome},
        output::{
            artifacts::ProvenanceFiles,
            declared::DeclaredResults,
            logged::{self, Logged, LoggedError},
            message::Message,
            results::{RawResult, ResultError},
            stood::Standing,
        },
        roots::Roots,
    },
    tekton::termination::{Entry, EntryType},
};

/// The results that are handed over, by the way they take.
#[derive(Debug)]
pub enum CollectedResults {
    /// In the termination message.
    InMessage(Vec<RawResult>),
    /// By the results sidecar's log; hashed only if the step is to be signed. An error is a reason not to sign.
    Logged(Result<Logged, LoggedError>),
}

impl CollectedResults {
    /// The name of a result of which it is not known whether the step set it or found it so.
    pub fn unseen(&self) -> Option<&str> {
        match self {
            Self::InMessage(results) => {
                results.iter().find(|result| result.found.is_none()).map(|result| &result.name[..])
            }
            Self::Logged(logged) => {
                let results = &logged.as_ref().ok()?.results;
                results.iter().find(|result| result.found.is_none()).map(|result| &result.name[..])
            }
        }
    }
}

/// What the step produced, as far as it is handed over.
#[derive(Debug)]
pub struct Collected {
    /// Its results.
    pub results: CollectedResults,
    /// Its artifacts.
    pub artifacts: ProvenanceFiles,
    /// The message without evidence.
    pub message: Message,
}

/// The results a step declares, and how they stood when its program started; that only if it is to be signed.
pub struct Declarations<'a> {
    /// The task's.
    pub task: &'a DeclaredResults,
    /// The step's own.
    pub step: &'a DeclaredResults,
    /// How both stood.
    pub before: Option<Standing>,
}

impl Declarations<'_> {
    /// The largest result file that needs to be looked at.
    pub fn largest(args: &Args) -> usize {
        if args.results_in_message() { args.encoding().largest() } else { logged::LARGEST }
    }
}

/// Nothing yet.
fn nothing(args: &Args) -> Collected {
    Collected {
        results: match args.results_in_message() {
            true => CollectedResults::InMessage(Vec::new()),
            false => CollectedResults::Logged(Ok(Logged::default())),
        },
        artifacts: ProvenanceFiles::default(),
        message: Message::new(args.encoding()),
    }
}

/// For a step that its when expressions skip: nothing is read (docs/tekton-contract.md 3.6).
pub fn skipped(args: &Args, started_at: Entry, outcome: &mut Outcome) -> Collected {
    let mut collected = nothing(args);
    finish(&mut collected, started_at, outcome);
    collected
}

/// Reads results and artifacts. What goes wrong is told by `outcome`.
pub fn collect(
    declared: &Declarations<'_>,
    args: &Args,
    roots: &Roots,
    started_at: Entry,
    outcome: &mut Outcome,
) -> Collected {
    let mut collected = nothing(args);
    if !args.results_in_message() {
        collected.results = CollectedResults::Logged(log_results(declared, args, outcome));
    } else if read_results(declared, &mut collected, args, outcome) {
        match ProvenanceFiles::read(&args.step_metadata_dir, roots, args.encoding().largest()) {
            Ok(artifacts) => collected.artifacts = artifacts,
            Err(error) => {
                outcome.failure = Some(Failure::Artifacts(error));
                return collected;
            }
        }
    }
    finish(&mut collected, started_at, outcome);
    collected
}

/// True if all results are in the message.
fn read_results(
    declared: &Declarations<'_>,
    collected: &mut Collected,
    args: &Args,
    outcome: &mut Outcome,
) -> bool {
    let none = Standing::default();
    let before = declared.before.as_ref().unwrap_or(&none);
    let mut results = Vec::new();
    for (declared, before) in [(declared.task, &before.task), (declared.step, &before.step)] {
        let round = declared.read(before, args.encoding().largest()).and_then(|round| {
            collected.message.add_results(&round)?;
            Ok(round)
        });
        match round {
            Ok(round) => results.extend(round),
            Err(error) => {
                failed(outcome, error);
                break;
            }
        }
    }
    collected.results = CollectedResults::InMessage(results);
    outcome.failure.is_none()
}

/// The controller gets them from the sidecar, but a file that cannot be read fails the step here as well.
fn log_results(
    declared: &Declarations<'_>,
    args: &Args,
    outcome: &mut Outcome,
) -> Result<Logged, LoggedError> {
    let rounds = [declared.task, declared.step];
    if let Some(error) = rounds.into_iter().find_map(|declared| declared.probe().err()) {
        failed(outcome, ResultError::Read(error));
        return Ok(Logged::default());
    }
    let Some(before) = &declared.before else { return Ok(Logged::default()) };
    let mut results = Vec::new();
    for (declared, before) in rounds.into_iter().zip([&before.task, &before.step]) {
        results.extend(logged::hash(declared, before)?);
    }
    Ok(Logged { results, artifacts: logged::artifacts(&args.step_metadata_dir)? })
}

fn failed(outcome: &mut Outcome, error: ResultError) {
    // Tekton's words, whatever failed there.
    log::error("Error while substituting step artifacts:", &error.to_string());
    outcome.failure = Some(match error {
        ResultError::TooLarge(error) => Failure::TooLarge(error),
        ResultError::Read(error) => Failure::Results(error),
    });
}

fn finish(collected: &mut Collected, started_at: Entry, outcome: &mut Outcome) {
    let mut tail = vec![started_at];
    tail.extend(outcome.entry().map(|(key, value)| Entry::new(key, value, EntryType::Internal)));
    tail.extend(collected.artifacts.entries());
    if let Err(error) = collected.message.set_tail(tail) {
        collected.artifacts = ProvenanceFiles::default();
        outcome.failure = Some(Failure::Message(error.to_string()));
    }
}
