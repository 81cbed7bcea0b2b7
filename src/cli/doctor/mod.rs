//! `svidence doctor`: what would make signing or verifying fail here, before it does.
//!
//! * [`check`]: what a check found, and how that is told.
//! * [`cluster`]: who asks a cluster, and what that may do; [`tekton`]: how Tekton is set up there; [`agent`]: what the SPIFFE agent says.

mod agent;
mod check;
mod cluster;
mod tekton;

use std::{
    io::{Read, Write},
    time::Duration,
};

use clap::Args;
use x509::text::format_time;

use self::check::{Check, Form, Status};
use crate::{
    cli::{
        access::AccessArgs,
        input::Input,
        refusal::{Refusal, usage},
        trust::{TrustArgs, variable},
    },
    report::safe::Line,
    sources::kubernetes::{doctor::Examined, runs::Namespace},
    surroundings,
    workload::id::TrustDomain,
};

/// How long to wait for an agent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far clocks may be apart, seconds: what `verify` takes.
const CLOCK_SKEW: i64 = 10;
/// A bundle whose last authority expires sooner is to be looked at, seconds.
const DAY: i64 = 86400;

const BUNDLE: &str = "bundle";

/// Arguments of `svidence doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    trust: TrustArgs,
    /// The namespace of the runs that are to be verified [default: that of the context]
    #[arg(short, long, value_name = "NS", conflicts_with = "all_namespaces")]
    namespace: Option<Namespace>,
    /// Runs of all namespaces are to be verified
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// They are to be watched, too
    #[arg(long)]
    watch: bool,
    /// The namespace of Tekton's controller
    #[arg(long, value_name = "NS", default_value = "tekton-pipelines")]
    tekton_namespace: Namespace,
    #[command(flatten)]
    access: AccessArgs,
    /// How checks are told
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t)]
    form: Form,
}

const EXAMPLES: &str = "\
Examples:
  svidence doctor -n builds
  svidence doctor --trust-domain example.org --bundle-configmap spire/spire-bundle
  svidence doctor --trust-domain example.org --workload-api=unix:///run/spire/agent.sock -o json";

/// Runs `svidence doctor`; returns the exit code.
pub fn run(args: &DoctorArgs, stdin: &mut (dyn Read + Send), out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let mut is_bad = false;
    let mut tell = |checks: Vec<Check>| {
        for check in checks {
            is_bad |= check.status == Status::Failed;
            // What cannot be written is told by the stream.
            let _ = args.form.tell(&check, out);
        }
        let _ = out.flush();
    };
    match examine(args, &mut Input::new(stdin, &[]), &mut tell, err) {
        Ok(()) => u8::from(is_bad),
        Err(Refusal { exit_code, text }) => {
            let _ = writeln!(err, "svidence doctor: {}", Line(&text));
            exit_code
        }
    }
}

fn examine(
    args: &DoctorArgs,
    input: &mut Input<'_>,
    tell: &mut dyn FnMut(Vec<Check>),
    err: &mut dyn Write,
) -> Result<(), Refusal> {
    let now = surroundings::now_in_seconds();
    let trust_domain = args.trust.trust_domain(input, &variable)?;
    if let Some((text, address)) = args.trust.agent(&variable)? {
        tell(agent::examine((&text, &address), trust_domain.as_ref(), now, PATIENCE));
    }
    tell(vec![bundle(args, trust_domain.as_ref(), now, input, err)?]);
    tell(of_cluster(args, trust_domain.as_ref(), now)?);
    Ok(())
}

/// Whether the bundle is there, and its authorities are good.
fn bundle(
    args: &DoctorArgs,
    trust_domain: Option<&TrustDomain>,
    now: i64,
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<Check, Refusal> {
    if !args.trust.names_bundle(&variable) {
        return Ok(Check::skipped(BUNDLE, "no argument names one", None));
    }
    if trust_domain.is_none() {
        return Err(args.trust.missing());
    }
    let found = match args.trust.read(now, &args.access, input, &variable, err) {
        Ok(Some(trusted)) => trusted.bundle,
        Ok(None) => return Ok(Check::skipped(BUNDLE, "no argument names one", None)),
        Err(Refusal { exit_code, text }) if exit_code == usage(String::new()).exit_code => {
            return Err(Refusal { exit_code, text });
        }
        Err(Refusal { text, .. }) => return Ok(Check::failed(BUNDLE, text, None)),
    };
    let ends = found.authorities().iter().map(|authority| authority.validity());
    let good = ends.filter(|validity| validity.contains(now)).map(|validity| validity.not_after).max();
    let count = found.authorities().len();
    let authorities = if count == 1 { "authority" } else { "authorities" };
    Ok(match good {
        Some(until) if until - now > DAY => Check::ok(
            BUNDLE,
            format!(
                "{count} {authorities} of {}, the last one good until {}",
                found.trust_domain(),
                format_time(until)
            ),
        ),
        Some(until) => Check::warning(
            BUNDLE,
            format!("no authority is good for longer than {}", format_time(until)),
            "fetch the bundle anew; if it is new, see why the SPIRE server has not made another authority",
        ),
        None => Check::failed(
            BUNDLE,
            format!("none of its {count} {authorities} is valid now"),
            Some("fetch the bundle anew: spire-server bundle show".to_owned()),
        ),
    })
}

fn of_cluster(
    args: &DoctorArgs,
    trust_domain: Option<&TrustDomain>,
    now: i64,
) -> Result<Vec<Check>, Refusal> {
    let access = match args.access.find() {
        Ok(access) => access,
        Err(refusal) if refusal.exit_code == usage(String::new()).exit_code => return Err(refusal),
        Err(Refusal { text, .. }) if args.access.is_meant() => {
            return Ok(vec![Check::failed("kubeconfig", text, None)]);
        }
        Err(Refusal { text, .. }) => return Ok(vec![Check::skipped("kubeconfig", text, None)]),
    };
    let namespace = args.namespace.as_ref().map_or(access.namespace.as_str(), Namespace::as_str).to_owned();
    let namespace = Some(namespace.as_str()).filter(|_| !args.all_namespaces);
    let mut cluster = Examined::new(access, args.access.caller().patience());
    let (user, answer) = match cluster::identity(&mut cluster) {
        Ok(answer) => answer,
        Err(check) => return Ok(vec![check]),
    };
    // At once, as the clocks go on.
    let mut checks = vec![answer, cluster::clock(cluster.server_time(), now, CLOCK_SKEW)];
    checks.push(cluster::credential(&mut cluster, &user, now));
    let mut needed = cluster::needed(namespace, args.watch);
    needed.extend(args.trust.rule());
    checks.extend(cluster::rights(&mut cluster, &user, &needed));
    checks.extend(tekton::examine(&mut cluster, args.tekton_namespace.as_str(), trust_domain));
    Ok(checks)
}
