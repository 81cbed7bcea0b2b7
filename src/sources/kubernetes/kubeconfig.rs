//! Kubeconfigs, as kubectl reads them (`k8s.io/client-go/tools/clientcmd`): several files are one, the first to name something wins, and
//! paths are relative to the file that they are in.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::error::AccessError;

/// What all files say together.
#[derive(Debug, Default)]
pub(super) struct Kubeconfig {
    current_context: String,
    contexts: BTreeMap<String, Context>,
    clusters: BTreeMap<String, Cluster>,
    users: BTreeMap<String, User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    current_context: Option<String>,
    contexts: Option<Vec<Named>>,
    clusters: Option<Vec<Named>>,
    users: Option<Vec<Named>>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    context: Option<Context>,
    cluster: Option<Cluster>,
    user: Option<User>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    cluster: String,
    user: String,
    pub(super) namespace: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) tls_server_name: Option<String>,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) certificate_authority: Option<PathBuf>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) proxy_url: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct User {
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) client_key_data: Option<String>,
    pub(super) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<PathBuf>,
    #[serde(rename = "as")]
    pub(super) impersonated: Option<String>,
    #[serde(rename = "as-uid")]
    pub(super) impersonated_uid: Option<String>,
    #[serde(rename = "as-groups")]
    pub(super) impersonated_groups: Option<Vec<String>>,
    #[serde(rename = "as-user-extra")]
    pub(super) impersonated_extra: Option<serde::de::IgnoredAny>,
    pub(super) username: Option<String>,
    pub(super) auth_provider: Option<serde::de::IgnoredAny>,
    pub(super) exec: Option<Exec>,
}

impl std::fmt::Debug for Cluster {
    /// Without `proxy-url`, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for User {
    /// Without what nobody should see.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

/// A program that gives the credential (`client.authentication.k8s.io`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Exec {
    pub(super) api_version: String,
    pub(super) command: String,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<Variable>>,
    pub(super) install_hint: Option<String>,
    pub(super) provide_cluster_info: bool,
    pub(super) interactive_mode: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// A context with what it names.
pub(super) struct Chosen {
    pub(super) context: Context,
    pub(super) cluster_name: String,
    pub(super) cluster: Cluster,
    pub(super) user_name: String,
    pub(super) user: User,
}

impl Kubeconfig {
    /// Reads the files in their order. One that does not exist is passed over unless it `must_exist`; `None` if none exists.
    pub(super) fn read(paths: &[PathBuf], must_exist: bool) -> Result<Option<Self>, AccessError> {
        let mut whole = None::<Self>;
        for path in paths {
            let text = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
                Err(error) => return Err(AccessError::File { path: path.clone(), error }),
            };
            whole.get_or_insert_default().add(path, &text)?;
        }
        Ok(whole)
    }

    fn add(&mut self, path: &Path, text: &str) -> Result<(), AccessError> {
        // An empty one says nothing, as with kubectl.
        let file: Option<File> = serde_saphyr::from_str(text).map_err(|error| AccessError::Kubeconfig {
            path: path.to_owned(),
            reason: error.without_snippet().to_string(),
        })?;
        let file = file.unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.current_context.is_empty() {
            self.current_context = file.current_context.unwrap_or_default();
        }
        for Named { name, context, .. } in file.contexts.unwrap_or_default() {
            self.contexts.entry(name).or_insert(context.unwrap_or_default());
        }
        for Named { name, cluster, .. } in file.clusters.unwrap_or_default() {
            let mut cluster = cluster.unwrap_or_default();
            relative_to(folder, &mut cluster.certificate_authority);
            self.clusters.entry(name).or_insert(cluster);
        }
        for Named { name, user, .. } in file.users.unwrap_or_default() {
            let mut user = user.unwrap_or_default();
            for path in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
                relative_to(folder, path);
            }
            if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.contains('/')) {
                exec.command = folder.join(&exec.command).display().to_string();
            }
            self.users.entry(name).or_insert(user);
        }
        Ok(())
    }

    /// Files that it names: certificates, keys, tokens, and programs that give credentials.
    pub(super) fn files(self) -> impl Iterator<Item = PathBuf> {
        let of_clusters = self.clusters.into_values().filter_map(|cluster| cluster.certificate_authority);
        let of_users = self.users.into_values().flat_map(|user| {
            let program = user.exec.map(|exec| exec.command).filter(|command| command.contains('/'));
            let credentials = [user.client_certificate, user.client_key, user.token_file];
            credentials.into_iter().flatten().chain(program.map(PathBuf::from))
        });
        of_clusters.chain(of_users)
    }

    /// What the context of this name, else the current one, leads to.
    pub(super) fn choose(mut self, context: Option<&str>) -> Result<Chosen, AccessError> {
        let name = context.unwrap_or(&self.current_context).to_owned();
        if name.is_empty() {
            return Err(AccessError::NoContext(self.contexts.into_keys().collect()));
        }
        let context = take(&mut self.contexts, "context", &name)?;
        let cluster = take(&mut self.clusters, "cluster", &context.cluster)?;
        let user = take(&mut self.users, "user", &context.user)?;
        let (cluster_name, user_name) = (context.cluster.clone(), context.user.clone());
        Ok(Chosen { context, cluster_name, cluster, user_name, user })
    }
}

fn take<T>(known: &mut BTreeMap<String, T>, kind: &'static str, name: &str) -> Result<T, AccessError> {
    known.remove(name).ok_or_else(|| AccessError::Missing {
        kind,
        name: name.to_owned(),
        known: known.keys().cloned().collect(),
    })
}

fn relative_to(folder: &Path, path: &mut Option<PathBuf>) {
    *path = path.take().filter(|path| !path.as_os_str().is_empty()).map(|path| folder.join(path));
}
