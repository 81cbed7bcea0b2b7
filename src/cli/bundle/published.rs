//! The arguments for a bundle that is fetched from where SPIRE publishes it.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use unixtime::UnixSeconds;

use super::{files, found::Found};
use crate::{
    bundles::{
        endpoint::{Endpoint, EndpointUrl, Profile},
        workload_api,
    },
    cli::{
        access::AccessArgs,
        input::Input,
        number,
        refusal::{Refusal, unchecked, usage},
        web_authorities,
    },
    http::proxies::Proxies,
    sources::kubernetes::{
        config_map::{self, ConfigMapKey},
        rule::RbacRule,
    },
    workload::{
        address::Address,
        bundle::X509Bundle,
        id::{SpiffeId, TrustDomain, parse_strict},
    },
};

/// Seconds.
const TIMEOUT: u64 = 10;

/// The profiles of SPIFFE Federation 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// The certificate of a web server, from --endpoint-ca
    #[value(name = "https_web")]
    Web,
    /// An X509-SVID with --endpoint-id, from --endpoint-bundle
    #[value(name = "https_spiffe")]
    Spiffe,
}

/// What is fetched, and from whom.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct PublishedArgs {
    /// Fetch the bundle from this SPIFFE bundle endpoint, https://HOST:PORT
    #[arg(long, value_name = "URL", requires = "endpoint_profile")]
    bundle_endpoint: Option<EndpointUrl>,
    /// How the bundle endpoint proves who it is
    #[arg(long, value_enum, value_name = "PROFILE", requires = "bundle_endpoint")]
    endpoint_profile: Option<ProfileName>,
    /// With https_spiffe: its SPIFFE ID, for example spiffe://example.org/spire/server
    #[arg(long, value_name = "ID", requires = "bundle_endpoint")]
    endpoint_id: Option<String>,
    /// With https_spiffe: a bundle that is known already of the trust domain of that ID, such as the folder of `svidence bundle add`
    #[arg(long = "endpoint-bundle", value_name = "PATH", requires = "bundle_endpoint")]
    endpoint_bundles: Vec<PathBuf>,
    /// With https_web: authorities (PEM) of the web server's certificate [default: /etc/ssl/certs/ca-certificates.crt]
    #[arg(long, value_name = "FILE", requires = "bundle_endpoint")]
    endpoint_ca: Option<PathBuf>,
    /// Take the bundle from the SPIFFE agent that listens there, for example unix:///run/spire/agent.sock; without ADDRESS, at
    /// SPIFFE_ENDPOINT_SOCKET
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true)]
    workload_api: Option<Option<String>>,
    /// Take the bundle from this ConfigMap of the cluster, for example spire/spire-bundle; which cluster is said as for
    /// --from kubernetes. KEY is needed if it has several
    #[arg(long, value_name = "NS/NAME[:KEY]")]
    bundle_configmap: Option<ConfigMapKey>,
    /// How long to wait for a bundle endpoint or an agent, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = number::within(1..=300_u64))]
    bundle_timeout: Option<u64>,
}

impl PublishedArgs {
    /// Whether anything is to be fetched.
    pub(super) fn is_given(&self) -> bool {
        self.bundle_endpoint.is_some() || self.workload_api.is_some() || self.asks_cluster()
    }

    /// Whether a cluster is asked.
    pub(in crate::cli) fn asks_cluster(&self) -> bool {
        self.bundle_configmap.is_some()
    }

    /// The agent that is asked, if one is: as it was written, and its address.
    pub(in crate::cli) fn agent(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<(String, Address)>, Refusal> {
        self.workload_api.as_ref().map(|stated| workload_api_address(stated.as_deref(), variable)).transpose()
    }

    /// The same without it.
    pub(super) fn without_agent(&self) -> Self {
        let bundle_timeout = self.bundle_timeout.filter(|_| self.bundle_endpoint.is_some());
        Self { workload_api: None, bundle_timeout, ..self.clone() }
    }

    /// What a cluster must allow that is asked.
    pub(in crate::cli) fn rule(&self) -> Option<RbacRule> {
        self.bundle_configmap.as_ref().map(ConfigMapKey::rule)
    }

    /// The files that the arguments name.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.endpoint_bundles.iter().chain(&self.endpoint_ca)
    }

    /// How long to wait for an agent or a bundle endpoint.
    pub(in crate::cli) fn patience(&self) -> Duration {
        Duration::from_secs(self.bundle_timeout.unwrap_or(TIMEOUT))
    }

    /// Refuses what has no effect.
    pub(in crate::cli) fn check(&self) -> Result<(), Refusal> {
        if self.bundle_timeout.is_some() && self.bundle_endpoint.is_none() && self.workload_api.is_none() {
            return Err(usage(
                "--bundle-timeout is for --bundle-endpoint and --workload-api, and neither is given; leave it out".to_owned(),
            ));
        }
        Ok(())
    }

    /// Fetches all of it. `access` leads to the cluster of a ConfigMap.
    pub(super) fn fetch(
        &self,
        trust_domain: &TrustDomain,
        now: UnixSeconds,
        access: &AccessArgs,
        input: &mut Input<'_>,
        variable: &dyn Fn(&str) -> Option<OsString>,
        err: &mut dyn Write,
    ) -> Result<Vec<Found>, Refusal> {
        self.check()?;
        let patience = self.patience();
        let mut found = Vec::new();
        if let (Some(url), Some(profile)) = (&self.bundle_endpoint, self.endpoint_profile) {
            let profile = self.profile(profile, input, err)?;
            let proxies = Proxies::of(variable);
            let endpoint = Endpoint { url: url.clone(), profile, patience, proxies };
            let document = endpoint
                .fetch(now)
                .map_err(|error| unchecked(format!("--bundle-endpoint {url}: {error}")))?;
            let bundle =
                files::authorities(trust_domain, "--bundle-endpoint", &url.to_string(), &document, err)?;
            found.push(Found::fetched(bundle, url.to_string()));
        }
        if let Some((text, address)) = self.agent(variable)? {
            let bundle = workload_api::fetch(&address, trust_domain, patience)
                .map_err(|error| unchecked(format!("--workload-api={text}: {error}")))?;
            found.push(Found::fetched(bundle, text));
        }
        if let Some(key) = &self.bundle_configmap {
            let content = config_map::fetch(access.find()?, key, access.caller().patience())
                .map_err(|error| unchecked(format!("--bundle-configmap {key}: {error}")))?;
            let name = key.to_string();
            let bundle = files::authorities(trust_domain, "--bundle-configmap", &name, &content, err)?;
            found.push(Found::fetched(bundle, format!("ConfigMap {name}")));
        }
        Ok(found)
    }

    fn profile(
        &self,
        name: ProfileName,
        input: &mut Input<'_>,
        err: &mut dyn Write,
    ) -> Result<Profile, Refusal> {
        match (name, &self.endpoint_id, self.endpoint_bundles.as_slice()) {
            (ProfileName::Web, None, []) => {
                let file = self.endpoint_ca.as_deref().unwrap_or(Path::new(web_authorities::SYSTEM));
                web_authorities::read("--endpoint-ca", file, input).map(Profile::Web)
            }
            (ProfileName::Web, ..) => Err(usage(
                "--endpoint-id and --endpoint-bundle are for --endpoint-profile https_spiffe; leave them out, or say that".to_owned(),
            )),
            (ProfileName::Spiffe, _, _) if self.endpoint_ca.is_some() => Err(usage(
                "--endpoint-ca is for --endpoint-profile https_web; leave it out, or say that".to_owned(),
            )),
            (ProfileName::Spiffe, Some(id), paths @ [_, ..]) => {
                let id: SpiffeId =
                    parse_strict(id).map_err(|error| usage(format!("--endpoint-id: {error}")))?;
                let found = files::read(id.trust_domain(), "--endpoint-bundle", paths, input, err)?;
                let bundles: Vec<X509Bundle> = found.into_iter().map(Found::current).collect();
                let bootstrap = X509Bundle::of_all(bundles)
                    .ok_or_else(|| unchecked("--endpoint-bundle: no file".to_owned()))?;
                Ok(Profile::Spiffe { id, bootstrap })
            }
            (ProfileName::Spiffe, ..) => Err(usage(
                "--endpoint-profile https_spiffe needs --endpoint-id ID, the endpoint's SPIFFE ID, and --endpoint-bundle PATH, a bundle of \
                 its trust domain that is known already; `spire-server bundle show` prints one"
                    .to_owned(),
            )),
        }
    }
}

/// The address of the agent, as it was written and as it was read.
fn workload_api_address(
    stated: Option<&str>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(String, Address), Refusal> {
    let (option, text) = match (stated, variable("SPIFFE_ENDPOINT_SOCKET")) {
        (Some(text), _) => ("--workload-api", text.to_owned()),
        (None, Some(text)) => ("SPIFFE_ENDPOINT_SOCKET", text.to_string_lossy().into_owned()),
        (None, None) => {
            return Err(usage(
                "--workload-api needs the agent's address: --workload-api=unix:///PATH, or SPIFFE_ENDPOINT_SOCKET".to_owned(),
            ));
        }
    };
    let address = text.parse().map_err(|error| usage(format!("{option}: {error}")))?;
    Ok((text, address))
}
