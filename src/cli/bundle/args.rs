//! The arguments that say where the bundle comes from.

use std::{ffi::OsString, io::Write, path::PathBuf};

use clap::Args;
use unixtime::UnixSeconds;

use super::{files, found::Found, published::PublishedArgs};
use crate::{
    cli::{access::AccessArgs, input::Input, refusal::Refusal},
    workload::id::TrustDomain,
};

/// Where the bundle comes from.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct BundleArgs {
    /// The trust domain's bundle: PEM, DER or SPIFFE bundle JSON; a folder of such files, or that of `svidence bundle add`; or -. May
    /// be given several times [env: SVIDENCE_BUNDLE]
    #[arg(long = "bundle", value_name = "PATH")]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    published: PublishedArgs,
}

impl BundleArgs {
    /// Whether an argument names a bundle.
    pub(in crate::cli) fn is_given(&self) -> bool {
        !self.bundles.is_empty() || self.published.is_given()
    }

    /// What is fetched from where it is published.
    pub(in crate::cli) fn published(&self) -> &PublishedArgs {
        &self.published
    }

    /// The same without the agent.
    pub(in crate::cli) fn without_agent(&self) -> Self {
        Self { published: self.published.without_agent(), ..self.clone() }
    }

    /// The files and folders that the arguments name, or the environment.
    pub(in crate::cli) fn files(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let of_environment = self.of_environment(variable);
        self.bundles.iter().chain(self.published.files()).cloned().chain(of_environment).collect()
    }

    /// The bundle of the environment, which counts if no argument names one.
    fn of_environment(&self, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        variable("SVIDENCE_BUNDLE").filter(|_| !self.is_given()).map(PathBuf::from)
    }

    /// Every bundle that is named; if none is, the one of the environment's variable, unless that is not meant. What is odd about them
    /// is told on `err`. `access` leads to the cluster of a ConfigMap.
    pub(in crate::cli) fn read(
        &self,
        trust_domain: &TrustDomain,
        now: UnixSeconds,
        access: &AccessArgs,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
        err: &mut dyn Write,
    ) -> Result<Vec<Found>, Refusal> {
        let of_environment = self.of_environment(variable);
        let (option, paths) = match &of_environment {
            Some(path) => ("SVIDENCE_BUNDLE", std::slice::from_ref(path)),
            None => ("--bundle", self.bundles.as_slice()),
        };
        let mut found = files::read(trust_domain, option, paths, input, err)?;
        found.extend(self.published.fetch(trust_domain, now, access, input, variable, err)?);
        Ok(found)
    }
}
