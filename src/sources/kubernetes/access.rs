//! How a cluster is reached, and as whom: from kubeconfigs or from the pod that this runs in.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{IpAddr, ServerName};
use serde_json::{Value, json};
use unixtime::UnixSeconds;
use ureq::{Proxy, http::Uri, tls::Certificate};

use super::{
    error::AccessError,
    identity::{Credential, Identity, bytes, certificates},
    kubeconfig::{Chosen, Kubeconfig},
};
use crate::{
    http::proxies::{self, Proxies},
    sources::impersonation::Impersonation,
};

/// Where a pod finds its account (`rest.InClusterConfig` of client-go).
pub(crate) const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// What arguments say of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// `--kubeconfig`.
    pub kubeconfig: Option<&'a Path>,
    /// `--context`.
    pub context: Option<&'a str>,
    /// `--as`, `--as-group`, `--as-uid`; in place of what the kubeconfig says.
    pub impersonation: Option<Impersonation>,
}

/// What it is looked up in.
pub struct AccessSurroundings<'a> {
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The root of files that have fixed places.
    pub root: &'a Path,
    /// The clock.
    pub now: fn() -> UnixSeconds,
}

/// Access to a cluster.
pub struct Access {
    /// `https://host:port`, perhaps with a path, without a slash at its end.
    pub(super) server: String,
    /// `https://` and the name that its certificate must have, if that is not the host.
    pub(super) tls_server_name: Option<Uri>,
    pub(super) authorities: Vec<Certificate<'static>>,
    pub(super) proxy: Option<Proxy>,
    identity: Identity,
    pub(super) impersonation: Option<Impersonation>,
    /// Where runs are looked for unless an argument says so.
    pub namespace: String,
    /// What messages call the credential.
    pub(super) credential_of: String,
    pub(super) now: fn() -> UnixSeconds,
    /// What a plug-in may be told.
    cluster_info: Value,
}

impl std::fmt::Debug for Access {
    /// Without what nobody should see.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A variable of the environment that says something.
fn stated(variable: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

/// The kubeconfigs that are looked for: the one that an argument names, else those of `KUBECONFIG`, else the one at home.
pub fn kubeconfigs(named: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    match (named, stated(variable, "KUBECONFIG"), stated(variable, "HOME")) {
        (Some(path), ..) => vec![path.to_owned()],
        (None, Some(list), _) => {
            std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
        }
        (None, None, home) => home.into_iter().map(|home| Path::new(&home).join(".kube/config")).collect(),
    }
}

/// Kubeconfigs, and the files that each of them names, whichever context is chosen. One that cannot be read names none.
pub fn with_files_named(kubeconfigs: Vec<PathBuf>) -> Vec<PathBuf> {
    let named = |path: &PathBuf| Kubeconfig::read(std::slice::from_ref(path), false).ok().flatten();
    let named: Vec<_> = kubeconfigs.iter().filter_map(named).flat_map(Kubeconfig::files).collect();
    kubeconfigs.into_iter().chain(named).collect()
}

impl Access {
    /// From the kubeconfig that `wanted` or `KUBECONFIG` names, else the one at home, else from the pod that this runs in.
    pub fn find(wanted: Wanted<'_>, surroundings: &AccessSurroundings<'_>) -> Result<Self, AccessError> {
        let looked = kubeconfigs(wanted.kubeconfig, surroundings.variable);
        // What somebody named is never replaced by the pod's own account.
        let is_meant = stated(surroundings.variable, "KUBECONFIG").is_some() || wanted.context.is_some();
        let access = match Kubeconfig::read(&looked, wanted.kubeconfig.is_some())? {
            Some(kubeconfig) => {
                Some(Self::from_kubeconfig(kubeconfig.choose(wanted.context)?, surroundings)?)
            }
            None if is_meant => None,
            None => Self::in_cluster(surroundings)?,
        };
        let mut access = access.ok_or(AccessError::NoKubeconfig { looked, is_meant })?;
        access.impersonation = wanted.impersonation.or(access.impersonation);
        Ok(access)
    }

    fn from_kubeconfig(chosen: Chosen, surroundings: &AccessSurroundings<'_>) -> Result<Self, AccessError> {
        let Chosen { context, cluster_name, cluster, user_name, user } = chosen;
        if cluster.insecure_skip_tls_verify {
            return Err(AccessError::Insecure(cluster_name));
        }
        let of = format!("cluster {cluster_name:?}");
        let authority = bytes(
            ("certificate-authority-data", &of),
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?;
        let authority = authority.ok_or(AccessError::NoCa(cluster_name))?;
        let authorities = certificates(("certificate-authority", &of), &authority)?;
        let impersonation = Impersonation::new(
            user.impersonated.as_deref(),
            user.impersonated_groups.as_deref().unwrap_or_default(),
            user.impersonated_uid.as_deref(),
        );
        let impersonation = impersonation.map_err(|error| AccessError::Value {
            field: "as",
            of: format!("user {user_name:?}"),
            reason: error.to_string(),
        })?;
        let namespace = context.namespace.filter(|namespace| !namespace.is_empty());
        Ok(Self {
            proxy: proxy_to(cluster.proxy_url.as_deref(), &cluster.server, surroundings.variable)?,
            cluster_info: json!({
                "server": cluster.server,
                "tls-server-name": cluster.tls_server_name,
                "certificate-authority-data": STANDARD.encode(&authority),
                "proxy-url": cluster.proxy_url,
            }),
            server: server(&cluster.server)?,
            tls_server_name: cluster
                .tls_server_name
                .filter(|name| !name.is_empty())
                .map(|name| named(&name, &of))
                .transpose()?,
            authorities,
            credential_of: format!("user {user_name:?} of the kubeconfig"),
            identity: Identity::of(user, &user_name)?,
            impersonation,
            namespace: namespace.unwrap_or("default".to_owned()),
            now: surroundings.now,
        })
    }

    /// `None` if this does not run in a pod.
    fn in_cluster(surroundings: &AccessSurroundings<'_>) -> Result<Option<Self>, AccessError> {
        let variable =
            |name: &str| (surroundings.variable)(name)?.into_string().ok().filter(|value| !value.is_empty());
        let (Some(host), Some(port)) =
            (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
        else {
            return Ok(None);
        };
        let account = surroundings.root.join(ACCOUNT);
        let file = |name: &str| {
            let path = account.join(name);
            fs::read(&path).map_err(|error| AccessError::File { path, error })
        };
        let authorities = certificates(("ca.crt", "the pod's service account"), &file("ca.crt")?)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let address = format!("https://{host}:{port}");
        Ok(Some(Self {
            // As with client-go, the environment's proxies are meant for this, too.
            proxy: proxy_to(None, &address, surroundings.variable)?,
            server: server(&address)?,
            tls_server_name: None,
            authorities,
            identity: Identity { token_file: Some(account.join("token")), ..Identity::default() },
            impersonation: None,
            namespace: String::from_utf8_lossy(&file("namespace")?).trim().to_owned(),
            credential_of: "the pod's service account".to_owned(),
            now: surroundings.now,
            cluster_info: Value::Null,
        }))
    }

    /// What is to be sent now.
    pub(super) fn credential(&self) -> Result<Credential, AccessError> {
        self.identity.credential(&self.cluster_info, (self.now)())
    }
}

/// The proxy that leads to `server`: the kubeconfig's `proxy-url`, which `NO_PROXY` does not matter to, else the environment's.
fn proxy_to(
    proxy_url: Option<&str>,
    server: &str,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, AccessError> {
    let refused = |field, error: proxies::NotAProxy| AccessError::Value {
        field,
        of: format!("the way to {server}"),
        reason: error.to_string(),
    };
    if let Some(url) = proxy_url.filter(|url| !url.is_empty()) {
        return proxies::read(url).map(Some).map_err(|error| refused("proxy-url", error));
    }
    let uri: Uri = server.parse().map_err(|_| AccessError::NotHttps(server.to_owned()))?;
    Proxies::of(variable).to(&uri).map_err(|error| refused(error.variable, error.error))
}

/// A name for TLS, which is never passed over: the host's would be checked in its place.
fn named(name: &str, of: &str) -> Result<Uri, AccessError> {
    let host = match ServerName::try_from(name) {
        Ok(ServerName::IpAddress(IpAddr::V6(_))) => Some(format!("[{name}]")),
        Ok(_) => Some(name.to_owned()),
        Err(_) => None,
    };
    let uri = host.and_then(|host| format!("https://{host}").parse().ok());
    uri.ok_or_else(|| AccessError::Value {
        field: "tls-server-name",
        of: of.to_owned(),
        reason: format!("{name:?} is neither the name of a host nor an address"),
    })
}

fn server(text: &str) -> Result<String, AccessError> {
    match text.parse::<Uri>() {
        Ok(uri) if uri.scheme_str() == Some("https") && uri.query().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(AccessError::NotHttps(text.to_owned())),
    }
}
