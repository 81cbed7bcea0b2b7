//! `svidence inspect`: what the evidence in TaskRuns says, with no verdict.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::verify::{
    Trust, Verdict,
    inspect::{AttestationFacts, CertificateFacts, InspectedStep, Inspection, Tep0089Facts, inspect},
    walk::{Place, for_each},
};

use super::{
    input::Input,
    report::{
        self,
        safe::{Line, escaped_json},
    },
    trust::{Refusal, TrustArgs, Trusted, usage, variable},
};

/// Arguments of `svidence inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("bundles", |bundles| bundles.help("Rebuild the certificates that the authorities of this bundle issued: PEM, DER or SPIFFE bundle JSON; a folder of such files; or -. May be given several times [env: SVIDENCE_BUNDLE]")))]
pub struct InspectArgs {
    /// Files or folders with TaskRuns (JSON, JSON lines, YAML, Lists), or - for standard input
    #[arg(required = true, value_name = "TASKRUN")]
    sources: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
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
    /// One JSON object a TaskRun
    Json,
    /// One DSSE envelope a step; needs --bundle
    Dsse,
}

/// The version of the JSON, see `docs/schemas/inspect-v2.json`.
const VERSION: u32 = 2;

const NOT_CHECKED: &str = "Nothing was checked: this is what stands in the object, and anybody may have written it. To check it: svidence verify";

/// Runs `svidence inspect`; returns the exit code: 0, or 3 if something could not be read, rebuilt or written.
pub fn run(
    args: &InspectArgs,
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut input = Input::new(stdin, &args.sources);
    let trust = match trust(args, &mut input, err) {
        Ok(trust) => trust,
        Err(Refusal { exit_code, text }) => {
            let _ = writeln!(err, "svidence inspect: {}", Line(&text));
            return exit_code;
        }
    };
    let mut seen = false;
    let mut failed = false;
    let mut written = if args.output == Output::Text { writeln!(out, "{NOT_CHECKED}") } else { Ok(()) };
    for_each(&args.sources, input.stdin(), &mut |place, object| {
        seen = true;
        let object = match object {
            Ok(object) => object,
            Err(error) => {
                let _ = writeln!(err, "svidence inspect: {}", Line(&error.to_string()));
                failed = true;
                return;
            }
        };
        let inspection = inspect(&object, trust.as_ref());
        if written.is_ok() {
            written = match args.output {
                Output::Text => text(out, place, &inspection),
                Output::Json => writeln!(out, "{}", escaped_json(&json(place, &inspection).to_string())),
                Output::Dsse => {
                    failed |= !rebuilt(&inspection, err);
                    envelopes(out, &inspection)
                }
            };
        }
    });
    if let Err(error) = written.and_then(|()| out.flush()) {
        let _ = writeln!(err, "svidence inspect: standard output could not be written: {error}");
        return Verdict::Unchecked.exit_code();
    }
    if !seen {
        let _ = writeln!(err, "svidence inspect: no TaskRun found");
    }
    if failed || !seen { Verdict::Unchecked.exit_code() } else { 0 }
}

fn trust(args: &InspectArgs, input: &mut Input<'_>, err: &mut dyn Write) -> Result<Option<Trust>, Refusal> {
    let Some(Trusted { bundle, intermediates, .. }) = args.trust.read(input, &variable, err)? else {
        return match args.output {
            Output::Dsse => Err(usage(
                "-o dsse needs --trust-domain and --bundle: what is signed is not carried and has to be rebuilt".into(),
            )),
            Output::Text | Output::Json => Ok(None),
        };
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    Ok(Some(Trust { bundle, intermediates, now, at: None, clock_skew: 0 }))
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

fn text(out: &mut dyn Write, place: Place<'_>, inspection: &Inspection) -> io::Result<()> {
    let mut line = |text: String| writeln!(out, "{}", Line(&text));
    line(format!("TaskRun {} in {place}", inspection.task_run))?;
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not stated".to_owned());
    line(format!("  UID {}, created {}", inspection.uid, unknown(&inspection.created)))?;
    line(format!("  succeeded: {}, pod {}", unknown(&inspection.succeeded), inspection.pod_name))?;
    line(format!("  evidence: {}", inspection.evidence))?;
    if inspection.earlier_attempts > 0 {
        line(format!("  earlier attempts, not looked at: {}", inspection.earlier_attempts))?;
    }
    for problem in &inspection.problems {
        line(format!("  cannot be read: {problem}"))?;
    }
    inspection.steps.iter().try_for_each(|step| step_text(out, step))
}

fn step_text(out: &mut dyn Write, step: &InspectedStep) -> io::Result<()> {
    let mut line = |text: String| writeln!(out, "{}", Line(&text));
    line(format!("  step {}", step.name))?;
    let sizes: Vec<String> =
        step.entries.iter().map(|entry| format!("{} {}", entry.key, entry.bytes)).collect();
    let sizes =
        if sizes.is_empty() { String::new() } else { format!("; bytes of each value: {}", sizes.join(", ")) };
    line(format!("    message: {} bytes{sizes}", step.message_bytes))?;
    for problem in &step.problems {
        line(format!("    cannot be read: {problem}"))?;
    }
    if let Some(reason) = &step.unsigned {
        line(format!("    it could not sign; it gives this reason: {reason}"))?;
    }
    if let Some(facts) = &step.attestation {
        attestation_text(out, facts, step.found_in.unwrap_or_default())?;
    }
    match &step.tep0089 {
        Some(facts) => tep0089_text(out, facts),
        None => Ok(()),
    }
}

fn attestation_text(out: &mut dyn Write, facts: &AttestationFacts, found_in: &str) -> io::Result<()> {
    let mut line = |text: String| writeln!(out, "{}", Line(&text));
    let or = |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.to_owned());
    line(format!("    attestation with {}: {} bytes, in {found_in}", facts.form, facts.bytes))?;
    line(format!("      run: {}, UID {}", facts.task_run, or(&facts.task_run_uid, "not carried")))?;
    line(format!(
        "      pod: {}, UID {}",
        or(&facts.pod_name, "not known"),
        or(&facts.pod_uid, "not known")
    ))?;
    line(format!("      step {} of {}: {}", facts.step_index + 1, facts.step_count, facts.outcome))?;
    line(format!(
        "      started {}, ran {} ms, signed {} ({} ms later)",
        facts.started, facts.duration_ms, facts.signed, facts.delay_ms
    ))?;
    for result in &facts.results {
        let names =
            if result.names.is_empty() { "no result found".to_owned() } else { result.names.join(" or ") };
        let value = match (&result.sha256, &result.hint) {
            (Some(digest), _) => format!("sha256 {digest}"),
            (None, hint) => format!("hint {}", or(hint, "none")),
        };
        let set = if result.set { "set" } else { "found" };
        line(format!("      {} result {names}: {set}, {value}", result.kind))?;
    }
    for artifacts in &facts.artifacts {
        line(format!("      artifacts of the {}: sha256 {}", artifacts.kind, artifacts.sha256))?;
    }
    if facts.tep0089_beside {
        line("      entries of Tekton's own form stand beside it".to_owned())?;
    }
    line(format!(
        "      signature: {} bytes; certificate: {}, {} bytes",
        facts.signature_bytes, facts.leaf.carried, facts.leaf.bytes
    ))?;
    if let Some(compact) = &facts.leaf.compact {
        line(format!(
            "        serial {}, valid from {} until {}, DNS name for: {}, issuer's key ID {}",
            compact.serial, compact.not_before, compact.not_after, compact.dns_name, compact.issuer_key_id
        ))?;
    }
    if let Some(certificate) = &facts.leaf.certificate {
        line(format!("        {}", certificate_text(certificate)))?;
    }
    for (i, certificate) in facts.intermediates.iter().enumerate() {
        line(format!("      intermediate {}: {}", i + 1, certificate_text(certificate)))?;
    }
    // A line of PEM has no character that would have to be escaped.
    match &facts.leaf.pem {
        Some(pem) => pem.lines().try_for_each(|line| writeln!(out, "        {line}")),
        None => Ok(()),
    }
}

fn tep0089_text(out: &mut dyn Write, facts: &Tep0089Facts) -> io::Result<()> {
    let mut line = |text: String| writeln!(out, "{}", Line(&text));
    line("    Tekton's own form (tep-0089)".to_owned())?;
    line(format!("      manifest: {}", facts.manifest.join(", ")))?;
    line(format!("      signatures for: {}", facts.signatures.join(", ")))?;
    match &facts.certificate {
        Some(certificate) => line(format!("      certificate: {}", certificate_text(certificate))),
        None => Ok(()),
    }
}

fn certificate_text(facts: &CertificateFacts) -> String {
    let names: Vec<&str> = facts.uris.iter().chain(&facts.dns_names).map(String::as_str).collect();
    let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "not stated".to_owned());
    format!(
        "{names}; {} key, valid from {} until {}, serial {}, key ID {}, issuer's key ID {}, {} bytes",
        facts.key,
        facts.not_before,
        facts.not_after,
        facts.serial,
        id(&facts.key_id),
        id(&facts.issuer_key_id),
        facts.bytes
    )
}
