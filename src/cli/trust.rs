//! What a command trusts: the arguments that say it, and what they stand for.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use unixtime::UnixSeconds;
use x509::{Certificate, Fingerprint};

use super::{
    access::AccessArgs,
    bundle::{
        args::BundleArgs,
        files::{self, INTERMEDIATES},
        found,
        published::PublishedArgs,
    },
    config,
    input::{self, Input},
};
use crate::{
    cli::refusal::{Refusal, unchecked, usage},
    report::origins::Origins,
    surroundings,
    workload::{
        bundle::X509Bundle,
        id::{TrustDomain, parse_trust_domain},
    },
};

/// Which trust domain.
#[derive(Debug, Clone, Args)]
pub struct TrustDomainArgs {
    /// The SPIFFE trust domain the TaskRuns must belong to, for example example.org [env: SVIDENCE_TRUST_DOMAIN]
    #[arg(long, value_name = "TD")]
    trust_domain: Option<String>,
    /// Take the trust domain from this config-spire ConfigMap, instead of --trust-domain
    #[arg(long, value_name = "FILE", conflicts_with = "trust_domain")]
    config: Option<PathBuf>,
}

impl TrustDomainArgs {
    /// The one that an argument names, or the environment.
    pub(super) fn read(
        &self,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<TrustDomain>, Refusal> {
        match (&self.trust_domain, &self.config, variable("SVIDENCE_TRUST_DOMAIN")) {
            (Some(text), ..) => trust_domain("--trust-domain", text).map(Some),
            (None, Some(file), _) => {
                let text = input.text("--config", file)?;
                let config = config::parse(Path::new(&input::name(file)), &text)
                    .map_err(|error| unchecked(format!("--config {error}")))?;
                Ok(Some(config.trust_domain))
            }
            (None, None, Some(text)) => {
                trust_domain("SVIDENCE_TRUST_DOMAIN", &text.to_string_lossy()).map(Some)
            }
            (None, None, None) => Ok(None),
        }
    }

    fn is_given(&self) -> bool {
        self.trust_domain.is_some() || self.config.is_some()
    }
}

/// Which trust domain, by which certificates.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is trusted")]
pub struct TrustArgs {
    #[command(flatten)]
    trust_domain: TrustDomainArgs,
    #[command(flatten)]
    bundles: BundleArgs,
    /// Intermediate certificates (PEM) that evidence may have left out
    #[arg(long, value_name = "FILE")]
    intermediates: Option<PathBuf>,
    /// Trust the CAs that this authority (by its SHA-256) has minted even though they carry no SPIFFE ID. You vouch that it mints
    /// CAs for no other trust domain; may be given several times
    #[arg(long, value_name = "SHA256")]
    authority_without_uri: Vec<Fingerprint>,
}

/// The certificates that [`TrustArgs`] name.
#[derive(Debug)]
pub(super) struct Trusted {
    /// The trust domain's authorities.
    pub(super) bundle: X509Bundle,
    /// Certificates between leaf and authority.
    pub(super) intermediates: Vec<Certificate>,
    /// Where each authority is from.
    pub(super) origins: Origins,
}

/// An environment variable's value; an empty one is none.
pub(super) fn variable(name: &str) -> Option<OsString> {
    surroundings::variable(name).filter(|value| !value.is_empty())
}

impl TrustArgs {
    /// Reads and fetches all of it; `None` if nothing is to be trusted. What is odd about it is told on `err`. A usage error is 64,
    /// what is of no use is `unchecked`. `access` leads to the cluster of a ConfigMap.
    pub(super) fn read(
        &self,
        now: UnixSeconds,
        access: &AccessArgs,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
        err: &mut dyn Write,
    ) -> Result<Option<Trusted>, Refusal> {
        match self.trust_domain.read(input, variable)? {
            Some(trust_domain) if self.names_bundle(variable) => {
                self.read_in(&trust_domain, now, access, input, variable, err).map(Some)
            }
            trust_domain => self.incomplete(trust_domain.is_some()),
        }
    }

    /// The same of a trust domain that is known, and with a bundle that is named.
    pub(super) fn read_in(
        &self,
        trust_domain: &TrustDomain,
        now: UnixSeconds,
        access: &AccessArgs,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
        err: &mut dyn Write,
    ) -> Result<Trusted, Refusal> {
        let found = self.bundles.read(trust_domain, now, access, input, variable, err)?;
        let (bundle, origins) = found::all(found).ok_or_else(|| unchecked("--bundle: no file".to_owned()))?;
        let bundle = bundle.naming_without_uri(self.authority_without_uri.iter().copied());
        let intermediates = match &self.intermediates {
            None => Vec::new(),
            Some(file) => {
                let contents = input.bytes(INTERMEDIATES, file)?;
                files::authorities(trust_domain, INTERMEDIATES, &input::name(file), &contents, err)?
                    .authorities()
                    .to_vec()
            }
        };
        Ok(Trusted { bundle, intermediates, origins })
    }

    /// The files and folders that the arguments name, or the environment.
    pub(super) fn files(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let more = self.trust_domain.config.iter().chain(&self.intermediates).cloned();
        self.bundles.files(variable).into_iter().chain(more).collect()
    }

    /// The trust domain, if an argument names one, or the environment.
    pub(super) fn trust_domain(
        &self,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<TrustDomain>, Refusal> {
        self.trust_domain.read(input, variable)
    }

    /// Whether an argument names a bundle, or the environment.
    pub(super) fn names_bundle(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
        self.bundles.is_given() || variable("SVIDENCE_BUNDLE").is_some()
    }

    /// What of the bundle is fetched from where it is published.
    pub(super) fn published(&self) -> &PublishedArgs {
        self.bundles.published()
    }

    /// The same without the agent, whose answer is known; `None` if no other bundle is named.
    pub(super) fn without_agent(&self) -> Option<Self> {
        let bundles = self.bundles.without_agent();
        bundles.is_given().then(|| Self { bundles, ..self.clone() })
    }

    /// Refuses what has no effect without a bundle.
    pub(super) fn check(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<(), Refusal> {
        let needs_one = self.intermediates.is_some() || !self.authority_without_uri.is_empty();
        match needs_one && !self.names_bundle(variable) {
            true => Err(usage(BUNDLE_MISSING.to_owned())),
            false => self.published().check(),
        }
    }

    /// Nothing to trust is fine where no argument speaks of it: half of what is needed in the environment is not a demand.
    fn incomplete(&self, has_trust_domain: bool) -> Result<Option<Trusted>, Refusal> {
        let given = self.trust_domain.is_given()
            || self.bundles.is_given()
            || self.intermediates.is_some()
            || !self.authority_without_uri.is_empty();
        match (given, has_trust_domain) {
            (false, _) => Ok(None),
            (true, true) => Err(usage(BUNDLE_MISSING.to_owned())),
            (true, false) => Err(usage(TRUST_DOMAIN_MISSING.to_owned())),
        }
    }

    /// What a command says that cannot do without.
    pub(super) fn missing(&self) -> Refusal {
        usage(format!("{TRUST_DOMAIN_MISSING}; so is --bundle PATH"))
    }
}

const BUNDLE_MISSING: &str =
    "--bundle PATH is missing: the authorities that the trust domain's certificates lead to";
pub(super) const TRUST_DOMAIN_MISSING: &str =
    "--trust-domain TD (or --config FILE) is missing: the trust domain that the TaskRuns must belong to";

fn trust_domain(option: &str, text: &str) -> Result<TrustDomain, Refusal> {
    parse_trust_domain(text).map_err(|error| usage(format!("{option} {text} {error}")))
}
