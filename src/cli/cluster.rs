//! The arguments of `--from kubernetes`: which runs of the cluster.

use std::time::Duration;

use clap::Args;

use crate::{
    cli::{
        access::AccessArgs,
        asked::Asked,
        refusal::{Refusal, unchecked, usage},
    },
    sources::{
        kubernetes::{
            Kubernetes,
            runs::{Namespace, Runs},
        },
        run_name::RunName,
    },
    verify::Detail,
};

/// A duration as kubectl and Tekton write them.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let nanoseconds = go::duration::parse(text.as_bytes()).and_then(|duration| u64::try_from(duration).ok());
    nanoseconds.map(Duration::from_nanos).ok_or("not a duration; it looks like 90s, 30m or 1h30m")
}

/// Which runs of a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "From a cluster")]
pub(super) struct ClusterArgs {
    /// The namespace of the runs [default: that of the context]; also of an attestation of Tekton Chains that does not say it
    #[arg(short, long, value_name = "NS", conflicts_with = "all_namespaces")]
    namespace: Option<Namespace>,
    /// Runs of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only runs with these labels, for example tekton.dev/pipelineRun=build-7
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Wait so long for the runs that are named to finish, for example 30m; each is judged as soon as it has
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "paths")]
    wait: Option<Duration>,
    /// Go on until interrupted, and judge each run when it has finished, the TaskRuns of a PipelineRun with it
    #[arg(long, conflicts_with_all = ["wait", "paths"])]
    watch: bool,
}

impl ClusterArgs {
    /// The namespace that is named.
    pub(super) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// Each argument that no other way in has, and whether it is given.
    pub(super) fn given(&self) -> [(&'static str, bool); 4] {
        [
            ("--all-namespaces", self.all_namespaces),
            ("--selector", self.selector.is_some()),
            ("--wait", self.wait.is_some()),
            ("--watch", self.watch),
        ]
    }

    /// Whether it goes on until it is interrupted.
    pub(super) fn watches(&self) -> bool {
        self.watch
    }

    /// What is asked for: these runs, if any.
    pub(super) fn asked(&self, runs: Vec<RunName>) -> Asked<'_> {
        let absence = match &self.namespace {
            Some(namespace) => format!("not in namespace {} of the cluster", namespace.as_str()),
            None => "not in the cluster, in the namespace of the context (-n names another)".to_owned(),
        };
        Asked::new(None, runs, Detail::NOT_IN_CLUSTER, absence)
    }

    /// The cluster with what is asked of it: these runs, else all that the arguments speak of.
    pub(super) fn open(&self, runs: Vec<RunName>, access: &AccessArgs) -> Result<Kubernetes, Refusal> {
        if !runs.is_empty() && (self.all_namespaces || self.selector.is_some()) {
            return Err(usage("a run that is named needs neither -A nor -l; leave them out".to_owned()));
        }
        let patience = access.caller().patience();
        let access = access.find()?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => access.namespace.parse().map_err(|reason| {
                unchecked(format!("the namespace {:?} of the context is {reason}", access.namespace))
            })?,
        };
        let meant = Some(namespace.clone()).filter(|_| !self.all_namespaces);
        let selector = self.selector.clone();
        let runs = match runs.is_empty() {
            false => Runs::Named(namespace, runs),
            true if self.watch => Runs::Watched { namespace: meant, selector },
            true => Runs::All { namespace: meant, selector },
        };
        Ok(Kubernetes::new(access, runs, patience).waiting(self.wait.unwrap_or_default()))
    }
}
