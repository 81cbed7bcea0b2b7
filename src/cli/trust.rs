//! What a command trusts: the arguments that say it, and what they stand for.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args};

use crate::{
    verify::Verdict,
    workload::{
        bundle::X509Bundle,
        certificate::{Certificate, Fingerprint},
        id::{TrustDomain, parse_trust_domain},
    },
};

use super::{USAGE_ERROR, config, report::safe::Line};

/// Which trust domain, by which certificates. A command that cannot do without makes the group `domain` and `bundle` required.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("domain").args(["trust_domain", "config"])))]
pub struct TrustArgs {
    /// The SPIFFE trust domain the TaskRuns must belong to, for example example.org
    #[arg(long, value_name = "TD", requires = "bundle")]
    trust_domain: Option<String>,
    /// The trust domain's bundle: PEM, or SPIFFE bundle JSON
    #[arg(long, value_name = "FILE", requires = "domain")]
    bundle: Option<PathBuf>,
    /// Take the trust domain from this config-spire ConfigMap, instead of --trust-domain
    #[arg(long, value_name = "FILE", requires = "bundle")]
    config: Option<PathBuf>,
    /// Intermediate certificates (PEM) that evidence may have left out
    #[arg(long, value_name = "FILE", requires = "bundle")]
    intermediates: Option<PathBuf>,
    /// Believe the CAs that this authority minted although they carry no SPIFFE ID (its SHA-256). You vouch that no other trust
    /// domain has its CAs from there; may be given several times
    #[arg(long, value_name = "SHA256", requires = "bundle")]
    authority_without_uri: Vec<Fingerprint>,
}

/// The certificates that [`TrustArgs`] name.
#[derive(Debug)]
pub(super) struct Trusted {
    /// The trust domain's authorities.
    pub(super) bundle: X509Bundle,
    /// Certificates between leaf and authority.
    pub(super) intermediates: Vec<Certificate>,
}

/// Why a command cannot begin.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) exit_code: u8,
    pub(super) text: String,
}

pub(super) fn usage(text: String) -> Refusal {
    Refusal { exit_code: USAGE_ERROR, text }
}

pub(super) fn unchecked(text: String) -> Refusal {
    Refusal { exit_code: Verdict::Unchecked.exit_code(), text }
}

impl TrustArgs {
    /// Reads the files; `None` if nothing is to be trusted. What is odd about them is told on `err`. A usage error is 64, a file
    /// that is of no use is `unchecked`.
    pub(super) fn read(&self, err: &mut dyn Write) -> Result<Option<Trusted>, Refusal> {
        let trust_domain = match (&self.trust_domain, &self.config) {
            (Some(text), _) => {
                parse_trust_domain(text).map_err(|error| usage(format!("--trust-domain {text} {error}")))?
            }
            (None, Some(file)) => {
                let config = config::load(file).map_err(|error| unchecked(format!("--config {error}")))?;
                config.trust_domain
            }
            (None, None) => return Ok(None),
        };
        let Some(bundle) = &self.bundle else { return Ok(None) };
        let bundle = authorities(&trust_domain, "--bundle", bundle, err)?
            .naming_without_uri(self.authority_without_uri.iter().copied());
        let intermediates = match &self.intermediates {
            None => Vec::new(),
            Some(file) => authorities(&trust_domain, "--intermediates", file, err)?.authorities().to_vec(),
        };
        Ok(Some(Trusted { bundle, intermediates }))
    }
}

/// The authorities in the file that an option names.
fn authorities(
    trust_domain: &TrustDomain,
    option: &str,
    file: &Path,
    err: &mut dyn Write,
) -> Result<X509Bundle, Refusal> {
    let refused = |reason: String| unchecked(format!("{option} {}: {reason}", file.display()));
    let contents = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
    let (bundle, warnings) = X509Bundle::from_file_contents(trust_domain.clone(), &contents)
        .map_err(|error| refused(error.to_string()))?;
    for warning in warnings {
        let _ = writeln!(
            err,
            "svidence: {option} {}: {}",
            Line(&file.display().to_string()),
            Line(&warning.to_string())
        );
    }
    Ok(bundle)
}
