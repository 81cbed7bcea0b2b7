//! `svidence verify`.
//!
//! People read stderr: one line a TaskRun, a line for each cause, a tally. Programs read stdout: only what was verified is there.

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, IsTerminal as _, Read, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clap::{ArgAction, Args, ValueEnum};
use serde_json::json;
use unixtime::UnixSeconds;

use super::{
    answer::Bench,
    asked::Asked,
    gate::{Demanded, Gate},
    input::{self, Input},
    number,
    progress::Bar,
    sources::SourceArgs,
    told::{Elsewhere, Told, changed, nothing},
    trust::{TrustArgs, Trusted, variable},
};
use crate::{
    cli::refusal::{Refusal, unchecked, usage},
    io_error,
    report::{
        Destination, People, ReportError, Reports, Verbosity, Walk,
        colour::{Choice, Colour},
        origins::Origins,
        safe::Line,
    },
    sources::{
        shard::{Families, Shard, families},
        source::Source,
        walk::{WalkProgress, Walked, walk_by},
    },
    surroundings,
    verify::{
        ChainsKeys, Demand, Finding, Policy, PolicyFile, Trust, Verdict, Verifier, pipeline::Pipelines,
        prove::time::TimeStamps,
    },
};

/// Arguments of `svidence verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// Judge part I of N, counted from 0, and leave the others to other machines: families of PipelineRuns stay together, and each run
    /// is in exactly one part. Reads its source twice
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Check certificates as of this time, which you vouch for (RFC 3339, for example 2026-11-22T05:30:00Z)
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    at: Option<String>,
    /// Certificates (PEM) of time-stamp authorities that you trust: roots, or a TSA's own; may be given several times
    #[arg(long = "tsa-certificate", value_name = "FILE", help_heading = TIME)]
    tsa_certificates: Vec<PathBuf>,
    /// A time-stamp token, or a folder of .tsr files; those in the annotation svidence.dev/timestamps are used anyway
    #[arg(long, value_name = "PATH", requires = "tsa_certificates", help_heading = TIME)]
    timestamps: Vec<PathBuf>,
    /// A file with public keys of Tekton Chains (PEM, cosign.pub): its signature must be by one of them wherever the TaskRun is from an
    /// attestation, or has one in its annotations; may be given several times
    #[arg(long = "chains-key", value_name = "FILE", help_heading = DEMANDS)]
    chains_keys: Vec<PathBuf>,
    /// How far apart clocks may be, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = number::within(0..=3600_u64), allow_negative_numbers = true, help_heading = TIME)]
    clock_skew: u64,
    /// Accept a weaker proof; may be given several times
    #[arg(long, value_enum, value_name = "WEAKNESS", help_heading = DEMANDS)]
    accept: Vec<Weakness>,
    /// A result that every TaskRun must have, with this value if one is given; with TASKRUN: (a name, or a pattern with *) only those
    /// TaskRuns, and there must be at least one; may be given several times
    #[arg(long = "require-result", value_name = "[TASKRUN:]NAME[=VALUE]", value_parser = str::parse::<Demand>, help_heading = DEMANDS)]
    demanded: Vec<Demand>,
    /// Refuse runs that failed; otherwise what their steps produced before that counts
    #[arg(long, help_heading = DEMANDS)]
    require_success: bool,
    /// Leave out runs that have not finished: they are named and counted, but not judged
    #[arg(long, help_heading = DEMANDS)]
    finished: bool,
    /// Judge runs that have not finished, too, which fails: without names, those of a cluster are left out otherwise
    #[arg(long, conflicts_with_all = ["finished", "watch"], help_heading = DEMANDS)]
    all_finished: bool,
    /// A policy file (YAML or JSON): what TaskRuns must meet beyond good evidence
    #[arg(long, value_name = "FILE", help_heading = DEMANDS)]
    policy: Option<PathBuf>,
    /// Write a report: text, json, sarif, junit, dsse, vsa, markdown, html or summary, to FILE or standard output; may be given several times.
    /// Without it, text goes to standard output
    #[arg(short, long = "output", value_name = "FORMAT[=FILE]", help_heading = REPORTS)]
    outputs: Vec<Destination>,
    /// How many TaskRuns to check at once [default: one per core]
    #[arg(long, value_name = "N", value_parser = number::at_least_one, allow_negative_numbers = true, help_heading = None::<&str>)]
    jobs: Option<NonZeroUsize>,
    /// false: exit with 0 whatever the verdicts are, if everything could be read and every report is written; to look before you enforce
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, help_heading = DEMANDS)]
    strict: bool,
    /// Print only failures on standard error, and nothing if there are none
    #[arg(short, long, help_heading = REPORTS)]
    quiet: bool,
    /// Print everything: each finding, notes, steps, authorities, digests
    #[arg(short, long, conflicts_with = "quiet", help_heading = REPORTS)]
    verbose: bool,
    /// Colour on standard error
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = REPORTS)]
    color: Choice,
}

const TIME: &str = "Proof of time";
const DEMANDS: &str = "What is accepted and demanded";
const REPORTS: &str = "Reports";

const EXAMPLES: &str = "\
Examples:
  svidence demo --keep demo-files
  svidence verify demo-files/taskrun.json \\
    --trust-domain example.org --bundle demo-files/bundle.pem
  export SVIDENCE_TRUST_DOMAIN=example.org SVIDENCE_BUNDLE=demo-files/bundle.pem
  svidence verify demo-files/taskrun.json --require-result digest
  kubectl get taskrun build-7 -o json | svidence verify - -o json=report.json";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weakness {
    /// Tekton's own signatures, which prove neither names, run, step nor time
    #[value(name = "tep-0089")]
    Tep0089,
    /// Certificates that have since expired, without proof of when they signed
    UnprovenTime,
    /// Objects without status.steps that lack signed results, or when the TaskRun was created
    NotCarried,
}

const NAMED_AND_FINISHED: &str = "--finished leaves out runs that have not finished, and these are asked for by name; leave one of both out";

/// Runs `svidence verify`; returns the exit code.
pub fn run(args: &VerifyArgs, stdin: &mut (dyn Read + Send), out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    verify(args, stdin, out, err).unwrap_or_else(|Refusal { exit_code, text }| {
        let _ = writeln!(err, "svidence verify: {}", Line(&text));
        exit_code
    })
}

fn verify(
    args: &VerifyArgs,
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Refusal> {
    let mut input = Input::new(stdin, args.sources.paths());
    let (trust, policy, origins) = prepare(args, &mut input, err)?;
    let asked = args.sources.asked()?;
    let leaves_out_unfinished = leaves_out_unfinished(args)?;
    let asks_cluster = args.trust.published().asks_cluster();
    let mut no_input = io::empty();
    let first_look =
        args.shard.map(|_| args.sources.open_for_a_look(&mut no_input, asks_cluster)).transpose()?;
    let source = args.sources.open(input.stdin(), asks_cluster)?;
    let mut out = BufWriter::new(out);
    let reports = open_reports(args, about(args, &trust, &policy, &origins), &mut out)?;
    let demanded = Demanded::new(&policy.demanded, policy.file.as_ref());
    let jobs = args.jobs.or(thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let families = first_look.zip(args.shard).map(|(source, shard)| families(shard, source, jobs));
    let families = families.as_ref();
    let is_terminal = io::stderr().is_terminal();
    let mut told = Told {
        judged_by: (&trust, &policy),
        pipelines: Pipelines::default(),
        gate: Gate::new(leaves_out_unfinished, &demanded),
        people: people(args, is_terminal, &origins),
        reports,
        asked,
        is_archive: args.sources.is_archive(),
        worst: None,
        unread: false,
        elsewhere: Elsewhere::default(),
    };
    let judge = || Bench { verifier: Verifier::new(&trust, &policy), demanded: &demanded, families };
    let bar = Bar::new(is_terminal, args.sources.total_size(), Instant::now());
    let walked = walk(source, jobs, judge, bar, &mut told, err);
    Ok(end(args, told, walked, families, err))
}

/// Whether runs that have not finished are left out.
fn leaves_out_unfinished(args: &VerifyArgs) -> Result<bool, Refusal> {
    if args.finished && args.sources.are_named() {
        return Err(usage(NAMED_AND_FINISHED.to_owned()));
    }
    Ok(args.finished || args.sources.leaves_out_unfinished(args.all_finished)?)
}

/// The reports that are asked for, where nothing is in their way.
fn open_reports<'a>(
    args: &VerifyArgs,
    walk: Walk<'a>,
    out: &'a mut dyn Write,
) -> Result<Reports<'a>, Refusal> {
    let text_alone = [Destination::text()];
    let destinations = if args.outputs.is_empty() { &text_alone[..] } else { &args.outputs };
    if let Some(refusal) = replaces_input(args).or_else(|| never_written(args, destinations)) {
        return Err(usage(refusal));
    }
    Reports::open(destinations, walk, out).map_err(|error| match error {
        ReportError::Usage(text) => usage(text),
        ReportError::Write { .. } => unchecked(error.to_string()),
    })
}

fn people<'a>(args: &VerifyArgs, is_terminal: bool, origins: &'a Origins) -> People<'a> {
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    };
    let colour = Colour::of(args.color, is_terminal, surroundings::variable);
    People::new(verbosity, colour, args.sources.are_several(), origins)
}

/// Judges what the source holds, and tells it while it comes.
fn walk<'a>(
    source: Source<'_>,
    jobs: NonZeroUsize,
    judge: impl Fn() -> Bench<'a> + Sync,
    mut bar: Bar,
    told: &mut Told<'_>,
    err: &mut dyn Write,
) -> Walked {
    let mut lines = BufWriter::new(err);
    let progress = WalkProgress::default();
    let walked = walk_by(source, jobs, &progress, judge, &mut |event| {
        // Nothing is written while it is there.
        let _ = bar.hide(&mut lines);
        if told.hear(event, &mut lines) {
            bar.count();
        }
        let now = Instant::now();
        if bar.is_due(now) {
            told.reports.flush();
            let _ = bar.draw(now, progress.bytes(), &mut lines);
        }
    });
    let _ = bar.hide(&mut lines);
    told.settle(&mut lines);
    walked
}

/// Says what is only known when everything has come; returns the exit code.
fn end(
    args: &VerifyArgs,
    told: Told<'_>,
    walked: Walked,
    families: Option<&Families>,
    err: &mut dyn Write,
) -> u8 {
    let Told {
        judged_by: (_, policy), gate, people, mut reports, asked, mut worst, unread, elsewhere, ..
    } = told;
    let mut missing = gate.missing();
    missing.extend(asked.iter().flat_map(Asked::missing));
    let is_judged = worst.is_some();
    let has_changed = families.is_some_and(|families| families.have_changed());
    missing.extend(has_changed.then(changed));
    worst = worst.max(missing.iter().map(Finding::verdict).max());
    let is_any = worst.is_some();
    if !is_any {
        missing.extend(nothing(&args.sources, walked, &gate, &elsewhere));
        worst = missing.iter().map(Finding::verdict).max();
    }
    reports.missing(&missing);
    // Where something could not be read, or nothing was judged, there is nothing to look at.
    let mut is_strict = args.strict || unread || has_changed || !is_judged;
    if let Err(errors) = reports.finish() {
        is_strict = true;
        for error in errors {
            let _ = writeln!(err, "svidence verify: {}", Line(&error.to_string()));
        }
        // Nobody has the report; a verdict that is worse is told all the same.
        worst = worst.max(Some(Verdict::Unchecked));
    }
    let _ = people.missing(&missing, err);
    // Other shards may hold what a rule speaks of.
    if let (Some(file), true, None) = (&policy.file, is_any, args.shard) {
        unused(file, gate.idle_rules(), err);
    }
    let exit_code = worst.map_or(0, Verdict::exit_code);
    let _ = people.end(exit_code, elsewhere.count(), err);
    if is_strict || exit_code == 0 {
        return exit_code;
    }
    let _ = writeln!(err, "svidence verify: exit code 0 all the same, because of --strict=false");
    0
}

/// What is wrong with a report that would take the place of a file that is read: it may be the only copy.
fn replaces_input(args: &VerifyArgs) -> Option<String> {
    let of_output = |file: &Path| file.canonicalize().ok().filter(|file| file.is_file());
    let files = args.outputs.iter().filter_map(|output| output.file.as_deref());
    let existing: Vec<(&Path, PathBuf)> = files.filter_map(|file| Some((file, of_output(file)?))).collect();
    // Mostly nothing is there, and then what is read need not be known: kubeconfigs are opened for that.
    if existing.is_empty() {
        return None;
    }
    let paths = args.sources.paths();
    let trusted = args.trust.files(&variable);
    let named: Vec<PathBuf> = (paths.iter())
        .chain(&trusted)
        .chain(&args.policy)
        .chain(&args.chains_keys)
        .chain(&args.tsa_certificates)
        .chain(&args.timestamps)
        .cloned()
        .chain(args.sources.credentials())
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    // Whatever lies there is read as a bundle, or said to be left out.
    let of_bundles: Vec<PathBuf> =
        (trusted.iter()).filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()).collect();
    let folders: Vec<PathBuf> =
        (paths.iter()).filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()).collect();
    let is_read = |file: &PathBuf| {
        let is_meant = file.file_name().is_some_and(|name| args.sources.reads(name));
        named.contains(file)
            || of_bundles.iter().any(|folder| file.parent() == Some(folder))
            || (is_meant && folders.iter().any(|folder| file.starts_with(folder)))
    };
    let (replaced, _) = existing.iter().find(|(_, file)| is_read(file))?;
    Some(format!("the report would replace {}, which is read; name another file", replaced.display()))
}

/// What is wrong with a report that is written at the end, where there is none.
fn never_written(args: &VerifyArgs, destinations: &[Destination]) -> Option<String> {
    let is_written = destinations.iter().all(Destination::is_of_lines);
    (args.sources.never_ends() && !is_written)
        .then(|| "--watch writes text and json: other reports need an end".to_owned())
}

/// Says which rules spoke of no TaskRun: a mistake in a name would otherwise go unnoticed. If none did, every TaskRun is
/// `unchecked` already.
fn unused(file: &PolicyFile, idle: Option<BTreeSet<usize>>, err: &mut dyn Write) {
    let Some(idle) = idle else {
        let text = "no rule of the policy speaks of any of the TaskRuns; compare its namespaces and names with theirs";
        let _ = writeln!(err, "svidence verify: {text}");
        return;
    };
    for index in idle {
        let name = file.rule_name(index);
        let _ = writeln!(err, "svidence verify: {} of the policy speaks of no TaskRun", Line(&name));
    }
}

/// What the reports say about the walk.
fn about<'a>(args: &'a VerifyArgs, trust: &'a Trust, policy: &'a Policy, origins: &'a Origins) -> Walk<'a> {
    let name = args.policy.as_deref().and_then(Path::to_str).unwrap_or("policy");
    Walk {
        trust_domain: trust.bundle.trust_domain().as_str(),
        source: args.sources.name(),
        now: trust.now,
        origins,
        policy_file: policy.file.as_ref().map(|file| (name, file)),
        command_line: json!({
            "acceptTep0089": policy.accept_tep0089,
            "acceptUnprovenTime": policy.accept_unproven_time,
            "acceptNotCarried": policy.accept_not_carried,
            "requiredResults": policy.demanded.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
        .to_string(),
    }
}

/// What is trusted, accepted and demanded, from the arguments and the files that they name.
fn prepare(
    args: &VerifyArgs,
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<(Trust, Policy, Origins), Refusal> {
    let now = surroundings::now_in_seconds();
    let Some(Trusted { bundle, intermediates, origins }) =
        args.trust.read(now, args.sources.access(), input, &variable, err)?
    else {
        return Err(args.trust.missing());
    };
    let at = match &args.at {
        None => None,
        Some(text) => Some(UnixSeconds::parse(text).ok_or_else(|| {
            usage(format!("--at {text}: not an RFC 3339 time; it looks like 2026-11-22T05:30:00Z"))
        })?),
    };
    let trust = Trust { bundle, intermediates, now, at, clock_skew: Duration::from_secs(args.clock_skew) };
    let policy = Policy {
        accept_tep0089: args.accept.contains(&Weakness::Tep0089),
        accept_unproven_time: args.accept.contains(&Weakness::UnprovenTime),
        accept_not_carried: args.accept.contains(&Weakness::NotCarried),
        demanded: args.demanded.clone(),
        success: args.require_success,
        chains_keys: chains_keys(&args.chains_keys, input)?,
        time_stamps: time_stamps(&args.tsa_certificates, &args.timestamps, input, err)?,
        file: args.policy.as_deref().map(|file| policy_file(file, input)).transpose()?,
    };
    Ok((trust, policy, origins))
}

fn policy_file(file: &Path, input: &mut Input<'_>) -> Result<PolicyFile, Refusal> {
    let text = input.text("--policy", file)?;
    PolicyFile::parse(&text).map_err(|error| {
        unchecked(format!("--policy {}: the policy cannot be used: {error}", input::name(file)))
    })
}

fn chains_keys(files: &[PathBuf], input: &mut Input<'_>) -> Result<ChainsKeys, Refusal> {
    let mut keys = ChainsKeys::default();
    for file in files {
        let text = input.text("--chains-key", file)?;
        keys.trust_pem(&text)
            .map_err(|error| unchecked(format!("--chains-key {}: {error}", input::name(file))))?;
    }
    Ok(keys)
}

/// TSAs and tokens from their files. A file that holds no token is said to be left out.
pub(super) fn time_stamps(
    certificates: &[PathBuf],
    tokens: &[PathBuf],
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<TimeStamps, Refusal> {
    let mut time_stamps = TimeStamps::default();
    for file in certificates {
        let text = String::from_utf8(input.bytes("--tsa-certificate", file)?).map_err(|_| {
            let file = input::name(file);
            unchecked(format!(
                "--tsa-certificate {file}: it is not PEM; `openssl x509 -inform DER -in {file}` makes PEM of a certificate in DER"
            ))
        })?;
        let at = |error: &dyn std::fmt::Display| format!("--tsa-certificate {}: {error}", input::name(file));
        for refused in time_stamps.trust_pem(&text).map_err(|error| unchecked(at(&error)))? {
            let _ = writeln!(err, "{}; it is left out", Line(&at(&refused)));
        }
    }
    for path in tokens {
        let refused = if path.is_dir() {
            time_stamps.add_path(path).map_err(|error| {
                unchecked(format!("--timestamps {}: {}", path.display(), io_error::words(&error)))
            })?
        } else {
            let token = input.bytes("--timestamps", path)?;
            time_stamps.add(&token).err().map(|error| (path.clone(), error)).into_iter().collect()
        };
        for (file, error) in refused {
            let _ = writeln!(
                err,
                "svidence verify: --timestamps {} is left out: {error}",
                Line(&input::name(&file))
            );
        }
    }
    Ok(time_stamps)
}
