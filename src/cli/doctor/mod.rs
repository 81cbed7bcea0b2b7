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
use unixtime::UnixSeconds;
use x509::{Certificate, Validity};

use self::{
    agent::Answer,
    check::{Check, CheckFormat, Status},
};
use crate::{
    bundles::workload_api,
    cli::{
        access::AccessArgs,
        input::Input,
        refusal::Refusal,
        trust::{TrustArgs, variable},
    },
    report::{count, safe::Line},
    sources::kubernetes::{doctor::Examined, runs::Namespace},
    surroundings,
    workload::id::TrustDomain,
};

/// Where Tekton's own manifests put its controller.
const TEKTON_NAMESPACE: &str = "tekton-pipelines";
/// How far clocks may be apart: what `verify` takes.
const CLOCK_SKEW: Duration = Duration::from_secs(10);
/// A bundle whose last authority expires sooner is to be looked at: a SPIRE server has another one published by half the time
/// that an authority is good for, a day by default.
const SOON: Duration = Duration::from_secs(3600);

const BUNDLE: &str = "bundle";
const KUBECONFIG: &str = "kubeconfig";

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
    /// The namespace of Tekton's controller [default: tekton-pipelines]
    #[arg(long, value_name = "NS")]
    tekton_namespace: Option<Namespace>,
    #[command(flatten)]
    access: AccessArgs,
    /// How checks are told
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t)]
    form: CheckFormat,
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
    args.trust.check(&variable)?;
    let trust_domain = match args.trust.trust_domain(input, &variable) {
        Ok(trust_domain) => trust_domain,
        Err(refusal) if refusal.is_usage() => return Err(refusal),
        Err(Refusal { text, .. }) => {
            tell(vec![Check::failed("trust-domain", text, None)]);
            None
        }
    };
    let mut answer = None;
    if let Some((text, address)) = args.trust.published().agent(&variable)? {
        let patience = args.trust.published().patience();
        let (checks, said) = agent::examine((&text, &address), surroundings::now_in_seconds(), patience);
        tell(checks);
        answer = Some(said);
    }
    tell(vec![bundle(args, trust_domain.as_ref(), answer, input, err)?]);
    tell(of_cluster(args, trust_domain.as_ref())?);
    Ok(())
}

/// Whether the bundle is there, and its authorities are good.
fn bundle(
    args: &DoctorArgs,
    trust_domain: Option<&TrustDomain>,
    answer: Option<Answer>,
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<Check, Refusal> {
    if !args.trust.names_bundle(&variable) {
        return Ok(Check::skipped(BUNDLE, "no argument names one", None));
    }
    let Some(trust_domain) = trust_domain else {
        let action = "say whose bundle it must be: --trust-domain TD".to_owned();
        return Ok(Check::failed(BUNDLE, "the trust domain is not known", Some(action)));
    };
    let now = surroundings::now_in_seconds();
    // Who has said what it has to say is not asked again.
    let (known, trust) = match answer {
        Some(Answer::Svids(message)) => match workload_api::of_svids(trust_domain, message) {
            Ok(bundle) => (Some(bundle), args.trust.without_agent()),
            Err(error) => return Ok(Check::failed(BUNDLE, format!("--workload-api: {error}"), None)),
        },
        Some(Answer::Nothing) => {
            return Ok(Check::failed(BUNDLE, "the agent that --workload-api names did not answer", None));
        }
        Some(Answer::NoIdentity) | None => (None, Some(args.trust.clone())),
    };
    let read = trust.map(|trust| trust.read_in(trust_domain, now, &args.access, input, &variable, err));
    match read.transpose() {
        Ok(trusted) => {
            let bundles = trusted.map(|trusted| trusted.bundle).into_iter().chain(known);
            let authorities: Vec<Validity> = bundles
                .flat_map(|bundle| bundle.authorities().iter().map(Certificate::validity).collect::<Vec<_>>())
                .collect();
            Ok(of_authorities(&authorities, trust_domain, surroundings::now_in_seconds()))
        }
        Err(refusal) if refusal.is_usage() => Err(refusal),
        Err(Refusal { text, .. }) => Ok(Check::failed(BUNDLE, text, None)),
    }
}

/// Whether some authority is good now, and for how long.
fn of_authorities(authorities: &[Validity], trust_domain: &TrustDomain, now: UnixSeconds) -> Check {
    let good = authorities.iter().filter(|validity| validity.contains(now));
    let good = good.map(|validity| validity.not_after).max();
    let number = u64::try_from(authorities.len()).unwrap_or(u64::MAX);
    let count = count(number, "authority", "authorities");
    match good {
        Some(until) if until.since(now) > SOON => {
            Check::ok(BUNDLE, format!("{count} of {trust_domain}, the last one good until {until}"))
        }
        Some(until) => Check::warning(
            BUNDLE,
            format!("{count} of {trust_domain}, none good for longer than {until}"),
            "fetch the bundle anew; if it is new, see why the SPIRE server has not made another authority",
        ),
        None => Check::failed(
            BUNDLE,
            format!("none of its authorities is valid now ({count} of {trust_domain})"),
            Some("fetch the bundle anew: spire-server bundle show".to_owned()),
        ),
    }
}

fn of_cluster(args: &DoctorArgs, trust_domain: Option<&TrustDomain>) -> Result<Vec<Check>, Refusal> {
    let is_meant = args.namespace.is_some()
        || args.all_namespaces
        || args.watch
        || args.tekton_namespace.is_some()
        || args.trust.published().asks_cluster();
    let access = match args.access.find_if_any(is_meant) {
        Ok(Some(access)) => access,
        Ok(None) => {
            return Ok(vec![Check::skipped(KUBECONFIG, "there is none, so no cluster is looked at", None)]);
        }
        Err(refusal) if refusal.is_usage() => return Err(refusal),
        Err(Refusal { text, .. }) => return Ok(vec![Check::failed(KUBECONFIG, text, None)]),
    };
    let namespace = args.namespace.as_ref().map_or(access.namespace.as_str(), Namespace::as_str).to_owned();
    let namespace = Some(namespace.as_str()).filter(|_| !args.all_namespaces);
    let mut cluster = Examined::new(access, args.access.caller().patience());
    let (user, answer) = cluster::identity(&mut cluster);
    let Some(user) = user else { return Ok(vec![answer]) };
    let mut checks = vec![answer, cluster::clock(cluster.clocks(), CLOCK_SKEW)];
    checks.push(cluster::credential(&mut cluster, &user, surroundings::now_in_seconds()));
    let mut needed = cluster::needed(namespace, args.watch);
    needed.extend(args.trust.published().rule());
    checks.extend(cluster::rights(&mut cluster, &user, &needed));
    let of_tekton = args.tekton_namespace.as_ref().map_or(TEKTON_NAMESPACE, Namespace::as_str);
    checks.extend(tekton::examine(&mut cluster, of_tekton, trust_domain));
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use unixtime::UnixSeconds;
    use x509::Validity;

    use super::{SOON, check::Status, of_authorities};
    use crate::workload::id::parse_trust_domain;

    #[test]
    fn a_bundle_is_as_good_as_its_best_authority() {
        let at = |seconds: u64| UnixSeconds::EPOCH + Duration::from_secs(seconds);
        let until = |not_after: UnixSeconds| Validity { not_before: at(100), not_after };
        let trust_domain = parse_trust_domain("example.org").unwrap();
        for (authorities, status) in [
            (vec![until(at(1001) + SOON)], Status::Ok),
            (vec![until(at(999)), until(at(1001) + SOON)], Status::Ok),
            (vec![until(at(1000) + SOON)], Status::Warning),
            (vec![until(at(1000))], Status::Warning),
            (vec![until(at(999))], Status::Failed),
            (vec![Validity { not_before: at(1001), not_after: at(2000) + SOON }], Status::Failed),
            (vec![], Status::Failed),
        ] {
            assert_eq!(
                of_authorities(&authorities, &trust_domain, at(1000)).status,
                status,
                "{authorities:?}"
            );
        }
    }
}
