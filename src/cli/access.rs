//! How a cluster is reached, and for whom: the same for its runs and for a bundle that is kept there.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    cli::{
        caller::CallerArgs,
        refusal::{Refusal, unchecked},
    },
    sources::kubernetes::{
        access::{Access, AccessSurroundings, Wanted, kubeconfigs, with_files_named},
        error::AccessError,
    },
    surroundings,
};

/// How a cluster is reached, and for whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking a server")]
pub(super) struct AccessArgs {
    /// The kubeconfig; with --from results only if it is given, and for the token of its user [env: KUBECONFIG] [default: ~/.kube/config, or the service account of the pod that this runs in]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current-context]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    #[command(flatten)]
    caller: CallerArgs,
}

impl AccessArgs {
    /// Each argument that is about a cluster alone, and whether it is given.
    pub(super) fn given(&self) -> [(&'static str, bool); 2] {
        [("--kubeconfig", self.kubeconfig.is_some()), ("--context", self.context.is_some())]
    }

    fn all_given(&self) -> impl Iterator<Item = bool> {
        let (own, caller, timeout) = (self.given(), self.caller.given(), self.caller.timeout_given());
        own.into_iter().chain(caller).chain(timeout).map(|(_, is_given)| is_given)
    }

    /// For whom any server is asked.
    pub(super) fn caller(&self) -> &CallerArgs {
        &self.caller
    }

    /// The kubeconfigs that are read, if any is, and the files that they name.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        with_files_named(kubeconfigs(self.kubeconfig.as_deref(), &surroundings::variable))
    }

    /// The way to the cluster. Nothing is sent yet.
    pub(super) fn find(&self) -> Result<Access, Refusal> {
        self.found()?.map_err(|error| unchecked(error.to_string()))
    }

    /// The same; `None` if there is no trace of a cluster, and neither an argument nor `is_meant` says that there must be one.
    pub(super) fn find_if_any(&self, is_meant: bool) -> Result<Option<Access>, Refusal> {
        let is_meant = is_meant || self.all_given().any(|is_given| is_given);
        match self.found()? {
            Err(AccessError::NoKubeconfig { is_meant: false, .. }) if !is_meant => Ok(None),
            found => found.map(Some).map_err(|error| unchecked(error.to_string())),
        }
    }

    /// What there is; the outer `Err`: the arguments are wrong.
    fn found(&self) -> Result<Result<Access, AccessError>, Refusal> {
        let wanted = Wanted {
            kubeconfig: self.kubeconfig.as_deref(),
            context: self.context.as_deref(),
            impersonation: self.caller.impersonation()?,
        };
        let surroundings = AccessSurroundings {
            variable: &surroundings::variable,
            root: Path::new("/"),
            now: surroundings::now_in_seconds,
        };
        Ok(Access::find(wanted, &surroundings))
    }
}
