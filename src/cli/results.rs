//! The arguments of `--from results`: where the archive is, what of it is meant, and with whose token.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use unixtime::UnixSeconds;
use ureq::Proxy;

use crate::{
    cli::{
        access::AccessArgs,
        asked::Asked,
        authorities::AuthoritiesArgs,
        refusal::{Refusal, usage},
    },
    http::proxies::Proxies,
    sources::{
        kubernetes::bearer::Bearer,
        results::{Caller, Parent, Question, Results, ResultsAddress, TokenSource, Window},
        run_name::RunName,
    },
    surroundings,
    verify::Detail,
};

/// Where the archive is, what of it is meant, and with whose token.
#[derive(Debug, Args)]
#[command(next_help_heading = "From Tekton Results")]
pub(super) struct ResultsArgs {
    /// The API of Tekton Results: grpcs://HOST or grpcs://HOST:PORT, or https:// (REST) where an ingress lets no gRPC through. Without TLS
    /// (grpc://, http://) only on this machine, and without a token
    #[arg(long, value_name = "URL")]
    results_api: Option<ResultsAddress>,
    /// The namespace whose archive is read, or - for all of them
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    parent: Option<Parent>,
    /// Only runs that were completed then or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only runs that were completed before then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A file with the bearer token; it is read again for each request. In a pod the default is its service account's;
    /// elsewhere --kubeconfig or --context may name a user with a token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl ResultsArgs {
    /// Each argument, and whether it is given.
    pub(super) fn given(&self) -> [(&'static str, bool); 5] {
        [
            ("--results-api", self.results_api.is_some()),
            ("--parent", self.parent.is_some()),
            ("--since", self.since.is_some()),
            ("--until", self.until.is_some()),
            ("--token-file", self.token_file.is_some()),
        ]
    }

    /// The file with the token, if one is named.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.token_file.clone()
    }

    /// The address, if there is one.
    pub(super) fn address(&self) -> String {
        self.results_api.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// What is asked for: these runs, if any.
    pub(super) fn asked(&self, runs: Vec<RunName>) -> Asked<'_> {
        let namespace = self.parent.as_ref().and_then(Parent::namespace);
        let mut absence = "not in the archive".to_owned();
        if let Some(namespace) = namespace {
            absence += &format!(" as one of {namespace}");
        }
        if self.since.is_some() || self.until.is_some() {
            absence += ", or was not completed within the time that is asked for";
        }
        Asked::new(namespace, runs, Detail::NOT_IN_ARCHIVE, absence)
    }

    /// The archive with what is asked of it, for these runs or all; `asks_cluster`: a cluster is asked for something else, so the
    /// kubeconfig is for that.
    pub(super) fn open(
        &self,
        runs: Vec<RunName>,
        authorities: &AuthoritiesArgs,
        access: &AccessArgs,
        asks_cluster: bool,
    ) -> Result<Results, Refusal> {
        let missing = |what: &str| usage(format!("--from results needs {what}"));
        let address = self.results_api.clone().ok_or_else(|| {
            missing(
                "--results-api URL, for example grpcs://tekton-results-api-service.tekton-pipelines.svc:8080",
            )
        })?;
        let parent = self.parent.clone();
        let parent = parent.ok_or_else(|| missing("--parent NS, the namespace, or --parent - for all"))?;
        let question = Question { parent, window: self.window()?, runs, pipeline_runs_alone: false };
        Ok(Results {
            authorities: if address.is_encrypted() { authorities.read()? } else { Default::default() },
            caller: self.caller(&address, access, asks_cluster)?,
            proxy: proxy_to(&address)?,
            address,
            question,
            patience: access.caller().patience(),
        })
    }

    fn window(&self) -> Result<Window, Refusal> {
        let time = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => UnixSeconds::parse(text).map(Some).ok_or_else(|| {
                usage(format!("{option} {text}: not an RFC 3339 time; it looks like 2026-11-22T05:30:00Z"))
            }),
        };
        let window = Window { since: time("--since", &self.since)?, until: time("--until", &self.until)? };
        match (window.since, window.until) {
            (Some(since), Some(until)) if until <= since => {
                Err(usage("--until is not after --since, so no run is meant".to_owned()))
            }
            _ => Ok(window),
        }
    }

    /// Who asks. Nobody's token of a cluster is sent to an archive unless its kubeconfig was named for it.
    fn caller(
        &self,
        address: &ResultsAddress,
        access: &AccessArgs,
        asks_cluster: bool,
    ) -> Result<Caller, Refusal> {
        let kubeconfig = access.given().into_iter().find(|(_, is_given)| *is_given && !asks_cluster);
        let kubeconfig = kubeconfig.map(|(name, _)| name);
        let given = self.token_file.as_ref().map(|_| "--token-file").or(kubeconfig);
        if let (Some(given), false) = (given, address.is_encrypted()) {
            return Err(usage(format!(
                "--results-api {address} is not encrypted, so a token would be there for others to read; use grpcs:// or https://, \
                 or leave out {given}"
            )));
        }
        if let (Some(_), Some(kubeconfig)) = (&self.token_file, kubeconfig) {
            return Err(usage(format!(
                "--token-file and {kubeconfig} both name a token; leave one of them out"
            )));
        }
        if kubeconfig.is_some() {
            let bearer = Bearer::new(access.find()?);
            let impersonation = bearer.impersonation();
            return Ok(Caller { token: Some(TokenSource::Kubeconfig(Arc::new(bearer))), impersonation });
        }
        let of_pod = || TokenSource::of_pod(Path::new("/")).filter(|_| address.is_encrypted());
        let token = self.token_file.clone().map(TokenSource::File).or_else(of_pod);
        Ok(Caller { token, impersonation: access.caller().impersonation()? })
    }
}

/// The proxy that the environment names for it.
fn proxy_to(address: &ResultsAddress) -> Result<Option<Proxy>, Refusal> {
    let Some(server) = address.for_proxies() else { return Ok(None) };
    let proxies = Proxies::of(&surroundings::variable);
    proxies.to(&server).map_err(|error| usage(format!("--results-api {address}: {error}")))
}
