//! `svidence timestamp`: has a time-stamp authority witness what the steps of a TaskRun signed, while their certificates last.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use ring::rand::SecureRandom;
use serde_json::{Map, Value, json};
use x509::{
    text::hex,
    time_stamp::{TimeStamp, TsaPolicy},
};

use super::{asked::Asked, input::Input, number, sources::SourceArgs, verify::time_stamps, web_authorities};
use crate::{
    cli::refusal::{Refusal, unchecked, usage},
    evidence::sha256,
    http::proxies::Proxies,
    io_error,
    report::{output::write_whole, safe::Line},
    sources::{
        error::SourceError,
        walk::{Event, Walked, task_runs},
    },
    surroundings,
    tekton::taskrun::{ANNOTATION, TaskRun},
    tsa::{
        authority::{AskError, Authority},
        service::Service,
        url::TsaUrl,
    },
    verify::{
        Finding, Findings, Verdict,
        prove::time::{TimeStampTokenError, attestations, read_annotation},
    },
};

/// Arguments of `svidence timestamp`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TimestampArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// The time-stamp authority: http:// or https://
    #[arg(long, value_name = "URL")]
    tsa: TsaUrl,
    /// Check each token fully: certificates (PEM) of TSAs that you trust, roots or a TSA's own
    #[arg(long = "tsa-certificate", value_name = "FILE")]
    tsa_certificates: Vec<PathBuf>,
    /// Ask for time stamps under this policy of the TSA
    #[arg(long, value_name = "OID")]
    policy: Option<TsaPolicy>,
    /// Write NAMESPACE_TASKRUN_STEP_DIGEST.tsr into this folder; without it, a merge patch for one TaskRun goes to stdout
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// How long to wait for each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = number::within(1..=300_u64))]
    timeout: u64,
    /// Authorities (PEM) of the web server's certificate, for https
    #[arg(long, value_name = "FILE", default_value = web_authorities::SYSTEM)]
    tls_ca: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  svidence timestamp --tsa http://tsa.example.org --tsa-certificate tsa.pem \\
    --output tokens taskrun.json
  kubectl get taskrun build-7 -o json |
    svidence timestamp --tsa http://tsa.example.org --tsa-certificate tsa.pem - |
    kubectl patch taskrun build-7 --type merge --patch-file /dev/stdin";

/// What file systems allow (255 bytes) with room for digest, ending and what marks a file as unfinished.
const LONGEST_NAME: usize = 200;

/// Why a TaskRun was not time-stamped.
#[derive(Debug, thiserror::Error)]
enum StampError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Evidence(Findings),
    #[error(transparent)]
    Ask(AskError),
    #[error("step {step}: {error}")]
    Answer { step: String, error: AskError },
    #[error("{path} exists and is not a time stamp of this attestation ({error}); move it away")]
    Occupied { path: String, error: TimeStampTokenError },
    #[error("{name:?} is not a name that Kubernetes admits, so no file is named after it")]
    Name { name: String },
    #[error("{path}: {}", io_error::words(error))]
    File { path: String, error: io::Error },
}

impl StampError {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Evidence(findings) => {
                findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Unchecked)
            }
            _ => Verdict::Unchecked,
        }
    }

    /// The same would befall every other TaskRun.
    fn is_about_all(&self) -> bool {
        matches!(self, Self::Ask(_))
    }
}

fn at(path: &Path, error: io::Error) -> StampError {
    StampError::File { path: path.display().to_string(), error }
}

/// Runs `svidence timestamp`; returns the exit code.
pub fn run(
    args: &TimestampArgs,
    random: &dyn SecureRandom,
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut input = Input::new(stdin, args.sources.paths());
    let prepared = prepare(args, &mut input, err).and_then(|prepared| Ok((prepared, args.sources.asked()?)));
    let opened = prepared.and_then(|prepared| {
        has_an_end(args)?;
        let leaves_out = args.sources.leaves_out_unfinished(false)?;
        Ok((prepared, leaves_out, args.sources.open(input.stdin(), false)?))
    });
    let ((authority, mut asked), leaves_out_unfinished, source) = match opened {
        Ok(opened) => opened,
        Err(Refusal { exit_code, text }) => {
            let _ = writeln!(err, "svidence timestamp: {text}");
            return exit_code;
        }
    };
    let stamping = Stamping { authority, random };
    let mut progress = Progress { worst: Verdict::Verified, stop: false };
    let (mut only, mut left_out) = (None, 0);
    let walked = task_runs(source, &mut |event| {
        let (place, object) = match event {
            Event::Object { place, outcome } => (place, outcome),
            Event::WaitingFor(reason) => {
                let _ = writeln!(err, "svidence timestamp: {}", Line(&reason));
                return;
            }
            Event::Waiting | Event::Settled => return,
        };
        if let Some(asked) = &mut asked {
            asked.came_from(place);
            asked.note(&object);
        }
        match (object, &args.output) {
            (Err(error), _) if args.sources.comes_along(&error) => {}
            (Err(error), _) => progress.unread(&error, err),
            (Ok(object), _) if leaves_out_unfinished && !has_finished(&object) => {
                left_out += 1;
                left_out_of(&object, err);
            }
            (Ok(_), _) if progress.stop => {}
            (Ok(object), Some(folder)) => {
                let written = stamping.write(&object, folder, err);
                progress.note(&object, written, err);
            }
            // One patch is for one TaskRun, so no TSA is asked before it is known that there is one.
            (Ok(object), None) => only = Some(object),
        }
    });
    progress.missing(asked.as_ref(), err);
    if let Some(Refusal { exit_code, text }) = not_as_meant(args, walked, left_out, progress.worst) {
        let _ = writeln!(err, "svidence timestamp: {text}");
        return exit_code;
    }
    if let Some(object) = only {
        let patch = stamping.annotate(&object, err);
        if let Some(patch) = progress.note(&object, patch, err)
            && writeln!(out, "{patch}").and_then(|()| out.flush()).is_err()
        {
            let _ = writeln!(err, "svidence timestamp: standard output could not be written");
            return Verdict::Unchecked.exit_code();
        }
    }
    progress.worst.exit_code()
}

/// What is said of a TaskRun that is passed over.
fn left_out_of(object: &TaskRun, err: &mut dyn Write) {
    let name = format!("{}/{}", object.metadata.namespace, object.metadata.name);
    let _ = writeln!(err, "left out  {}: it has not finished", Line(&name));
}

/// A patch is written at the end.
fn has_an_end(args: &TimestampArgs) -> Result<(), Refusal> {
    if args.sources.never_ends() && args.output.is_none() {
        let text = "--watch goes on and on, and a patch is for one TaskRun; name a folder with --output";
        return Err(usage(text.to_owned()));
    }
    Ok(())
}

/// That there was nothing to time-stamp, or more than a patch is for.
fn not_as_meant(args: &TimestampArgs, walked: Walked, left_out: u64, worst: Verdict) -> Option<Refusal> {
    if worst == Verdict::Verified
        && let Some(text) = args.sources.nothing_found(walked)
    {
        return Some(unchecked(text.to_owned()));
    }
    if left_out > 0 && left_out == walked.objects && !args.sources.allows_empty() {
        let text = "no TaskRun has finished, so none was time-stamped (--allow-empty accepts that)";
        return Some(unchecked(text.to_owned()));
    }
    let is_one_too_many = args.output.is_none() && walked.objects - left_out > 1;
    let text = "there are several TaskRuns, and a patch is for one; name a folder with --output";
    is_one_too_many.then(|| usage(text.to_owned()))
}

/// Whether its status says that it has ended: before that there may be steps that have not signed.
fn has_finished(object: &TaskRun) -> bool {
    matches!(object.succeeded(), Some("True" | "False"))
}

/// How a walk has gone so far.
struct Progress {
    worst: Verdict,
    /// Nothing more is asked.
    stop: bool,
}

impl Progress {
    fn unread(&mut self, error: &SourceError, err: &mut dyn Write) {
        let verdict = error.verdict();
        let _ = writeln!(err, "{} {}", verdict.as_str(), Line(&error.to_string()));
        self.worst = self.worst.max(verdict);
    }

    fn missing(&mut self, asked: Option<&Asked<'_>>, err: &mut dyn Write) {
        for missing in asked.iter().flat_map(|asked| asked.missing()) {
            let _ = writeln!(err, "absent {}", Line(&missing.to_string()));
            self.worst = self.worst.max(missing.verdict());
        }
    }

    fn note<T>(&mut self, object: &TaskRun, done: Result<T, StampError>, err: &mut dyn Write) -> Option<T> {
        let error = match done {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        self.stop = error.is_about_all();
        self.worst = self.worst.max(error.verdict());
        let name = format!("{}/{}", object.metadata.namespace, object.metadata.name);
        let _ = writeln!(err, "failed    {}: {}", Line(&name), Line(&error.to_string()));
        None
    }
}

fn prepare(args: &TimestampArgs, input: &mut Input<'_>, err: &mut dyn Write) -> Result<Authority, Refusal> {
    let trusted = time_stamps(&args.tsa_certificates, &[], input, err)?;
    let authorities = match web_authorities::read("--tls-ca", &args.tls_ca, input) {
        // A redirect may still lead to https, which then finds no authority.
        Err(_) if !args.tsa.is_https() => Vec::new(),
        found => found?,
    };
    let timeout = Duration::from_secs(args.timeout);
    let proxies = Proxies::of(&surroundings::variable);
    let service = Service::new(args.tsa.clone(), &authorities, proxies, timeout);
    Ok(Authority::new(service, args.policy.clone(), trusted))
}

struct Stamping<'a> {
    authority: Authority,
    random: &'a dyn SecureRandom,
}

impl Stamping<'_> {
    /// The merge patch with a token for every step. A good token that is there is kept: it is of an earlier time.
    fn annotate(&self, object: &TaskRun, err: &mut dyn Write) -> Result<Value, StampError> {
        let there =
            object.metadata.annotations.timestamps.as_ref().and_then(read_annotation).unwrap_or_default();
        let mut tokens = Map::new();
        for (step, attestation) in attestations(object).map_err(StampError::Evidence)? {
            let old = there.get(&step).and_then(|text| STANDARD.decode(text).ok());
            let old = old
                .and_then(|token| Some((self.authority.trusted().check(&token, &attestation).ok()?, token)));
            let token = match old {
                Some((stamp, token)) => {
                    say(err, "kept", object, &step, stamp);
                    token
                }
                None => {
                    let (stamp, token) = self.ask(&step, &attestation)?;
                    say(err, "stamped", object, &step, stamp);
                    token
                }
            };
            tokens.insert(step, json!(STANDARD.encode(token)));
        }
        Ok(json!({"metadata": {"annotations": {ANNOTATION: Value::Object(tokens).to_string()}}}))
    }

    /// One file for every step. A good one that is there is kept: it is of an earlier time.
    fn write(&self, object: &TaskRun, folder: &Path, err: &mut dyn Write) -> Result<(), StampError> {
        let attestations = attestations(object).map_err(StampError::Evidence)?;
        fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        for (step, attestation) in attestations {
            let path = folder.join(file_name(object, &step, &attestation)?);
            if path.exists() {
                let token = fs::read(&path).map_err(|error| at(&path, error))?;
                let stamp = self
                    .authority
                    .trusted()
                    .check(&token, &attestation)
                    .map_err(|error| StampError::Occupied { path: path.display().to_string(), error })?;
                say(err, "kept", object, &step, stamp);
                continue;
            }
            let (stamp, token) = self.ask(&step, &attestation)?;
            write_whole(&path, &token).map_err(|error| at(&path, error))?;
            say(err, "stamped", object, &step, stamp);
        }
        Ok(())
    }

    /// A token from the TSA, checked.
    fn ask(&self, step: &str, attestation: &[u8]) -> Result<(TimeStamp, Vec<u8>), StampError> {
        self.authority.ask(attestation, self.random).map_err(|error| match error {
            AskError::Answer(_) => StampError::Answer { step: step.to_owned(), error },
            AskError::Service(_) | AskError::Random => StampError::Ask(error),
        })
    }
}

fn say(err: &mut dyn Write, what: &str, object: &TaskRun, step: &str, stamp: TimeStamp) {
    let metadata = &object.metadata;
    let place = format!("{}/{}, step {step}", metadata.namespace, metadata.name);
    let _ = writeln!(err, "{what:<9} {}: {}", Line(&place), stamp.gen_time);
}

/// `<namespace>_<taskrun>_<step>_<digest>.tsr`: no name of Kubernetes has an underscore or a slash in it, and the beginning of
/// what is time-stamped (SHA-256 of the attestation) tells runs of one name apart. Names that are too long for a file are cut.
fn file_name(object: &TaskRun, step: &str, attestation: &[u8]) -> Result<String, StampError> {
    let names = [object.metadata.namespace.as_str(), object.metadata.name.as_str(), step];
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    match names.iter().find(|name| name.is_empty() || !name.bytes().all(is_allowed)) {
        None => {
            let mut name = names.join("_");
            name.truncate(LONGEST_NAME);
            Ok(format!("{name}_{}.tsr", hex(&sha256(attestation)[..8])))
        }
        Some(name) => Err(StampError::Name { name: (*name).to_owned() }),
    }
}
