//! `svidence inspect`: what the evidence in TaskRuns says, with no verdict.

mod tree;

use std::{
    io::{self, IsTerminal as _, Read, Write},
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    asked::Asked,
    input::Input,
    sources::SourceArgs,
    trust::{TrustArgs, Trusted, variable},
};
use crate::{
    cli::refusal::{Refusal, usage},
    io_error,
    report::{
        self,
        colour::{Choice, Colour},
        safe::{Line, escaped_json},
    },
    sources::walk::{Event, Place, task_runs},
    surroundings,
    verify::{
        Trust, Verdict,
        inspect::{InspectedStep, Inspection, inspect},
    },
};

/// Arguments of `svidence inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("bundles", |bundles| bundles.help("Rebuild the certificates that the authorities of this bundle issued: PEM, DER or SPIFFE bundle JSON; a folder of such files; or -. May be given several times [env: SVIDENCE_BUNDLE]")))]
pub struct InspectArgs {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Colour on standard output
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = None::<&str>)]
    color: Choice,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Text, help_heading = None::<&str>)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  svidence demo --keep demo-files
  svidence inspect demo-files/taskrun.json
  svidence inspect demo-files/taskrun.json -o dsse \\
    --trust-domain example.org --bundle demo-files/bundle.pem";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON object per TaskRun
    Json,
    /// One DSSE envelope per step; needs --bundle
    Dsse,
}

/// The version of the JSON, see `docs/schemas/inspect-v2.json`.
const VERSION: u32 = 2;

const NOT_CHECKED: &str = "Nothing was checked: this is what is in the object, and anybody may have written it. To check it: svidence verify";

/// Runs `svidence inspect`; returns the exit code: 0, or 3 if something could not be read, rebuilt or written.
pub fn run(
    args: &InspectArgs,
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut input = Input::new(stdin, args.sources.paths());
    let trust = trust(args, &mut input, err).and_then(|trust| Ok((trust, args.sources.asked()?)));
    let opened = trust.and_then(|trust| {
        Ok((trust, args.sources.open(input.stdin(), args.trust.published().asks_cluster())?))
    });
    let ((trust, mut asked), source) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return refused(&refusal, err),
    };
    let colour = Colour::of(args.color, io::stdout().is_terminal(), surroundings::variable);
    let mut failed = false;
    let mut written = if args.output == Output::Text { writeln!(out, "{NOT_CHECKED}") } else { Ok(()) };
    let walked = task_runs(source, &mut |event| {
        let (place, object) = match event {
            Event::Object { place, outcome } => (place, outcome),
            Event::WaitingFor(reason) => {
                let _ = writeln!(err, "svidence inspect: {}", Line(&reason));
                return;
            }
            Event::Waiting | Event::Settled => {
                if written.is_ok() {
                    written = out.flush();
                }
                return;
            }
        };
        if let Some(asked) = &mut asked {
            asked.came_from(place);
            asked.note(&object);
        }
        let object = match object {
            Ok(object) => object,
            Err(error) if args.sources.comes_along(&error) => return,
            Err(error) => {
                let _ = writeln!(err, "svidence inspect: {}", Line(&error.to_string()));
                failed = true;
                return;
            }
        };
        let inspection = inspect(&object, trust.as_ref());
        if written.is_ok() {
            failed |= args.output == Output::Dsse && !rebuilt(&inspection, err);
            written = show(args.output, out, colour, place, &inspection);
        }
    });
    if let Err(error) = written.and_then(|()| out.flush()) {
        let reason = io_error::words(&error);
        let _ = writeln!(err, "svidence inspect: standard output could not be written: {reason}");
        return Verdict::Unchecked.exit_code();
    }
    let mut missing: Vec<String> =
        asked.iter().flat_map(Asked::missing).map(|missing| missing.to_string()).collect();
    if !failed && missing.is_empty() {
        missing.extend(args.sources.nothing_found(walked).map(str::to_owned));
    }
    failed |= !missing.is_empty();
    for text in missing {
        let _ = writeln!(err, "svidence inspect: {}", Line(&text));
    }
    if failed { Verdict::Unchecked.exit_code() } else { 0 }
}

fn refused(Refusal { exit_code, text }: &Refusal, err: &mut dyn Write) -> u8 {
    let _ = writeln!(err, "svidence inspect: {}", Line(text));
    *exit_code
}

/// Writes what is in one object.
fn show(
    output: Output,
    out: &mut dyn Write,
    colour: Colour,
    place: Place<'_>,
    inspection: &Inspection,
) -> io::Result<()> {
    match output {
        Output::Text => tree::write(out, colour, place, inspection),
        Output::Json => writeln!(out, "{}", escaped_json(&json(place, inspection).to_string())),
        Output::Dsse => envelopes(out, inspection),
    }
}

fn trust(args: &InspectArgs, input: &mut Input<'_>, err: &mut dyn Write) -> Result<Option<Trust>, Refusal> {
    let now = surroundings::now_in_seconds();
    let Some(Trusted { bundle, intermediates, .. }) =
        args.trust.read(now, args.sources.access(), input, &variable, err)?
    else {
        return match args.output {
            Output::Dsse => Err(usage(
                "-o dsse needs --trust-domain and --bundle: what is signed is not carried and has to be rebuilt".into(),
            )),
            Output::Text | Output::Json => Ok(None),
        };
    };
    Ok(Some(Trust { bundle, intermediates, now, at: None, clock_skew: Duration::ZERO }))
}

fn json(place: Place<'_>, inspection: &Inspection) -> Value {
    // Every member is text, a number or a list of such: that cannot fail.
    let mut value = serde_json::to_value(inspection).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("version".to_owned(), json!(VERSION));
        members.insert("place".to_owned(), report::place(place, Some(&inspection.uid)));
        members.insert("checked".to_owned(), json!(false));
    }
    value
}

/// Says which steps have no envelope. `false`: there is one.
fn rebuilt(inspection: &Inspection, err: &mut dyn Write) -> bool {
    let mut all = true;
    for step in inspection.steps.iter().filter(|step| step.envelope().is_none()) {
        let reason = match (step.problems.as_slice(), &step.unsigned) {
            ([], Some(reason)) => format!("it could not sign: {reason}"),
            ([], None) => "it has no attestation".to_owned(),
            (problems, _) => problems.join("; "),
        };
        let text = format!("{}, step {}: {reason}", inspection.task_run, step.name);
        let _ = writeln!(err, "svidence inspect: {}", Line(&text));
        all = false;
    }
    for problem in &inspection.problems {
        let _ = writeln!(err, "svidence inspect: {}", Line(&format!("{}: {problem}", inspection.task_run)));
        all = false;
    }
    all
}

fn envelopes(out: &mut dyn Write, inspection: &Inspection) -> io::Result<()> {
    inspection
        .steps
        .iter()
        .filter_map(InspectedStep::envelope)
        .try_for_each(|envelope| writeln!(out, "{}", envelope.to_json()))
}
