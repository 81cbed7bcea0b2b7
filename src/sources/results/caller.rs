//! Who asks: a bearer token from a file or a kubeconfig, and whom its bearer stands in for.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ureq::http::{HeaderMap, header::AUTHORIZATION};

use super::error::ResultsError;
use crate::sources::{
    impersonation::Impersonation,
    kubernetes::{access::ACCOUNT, bearer::Bearer},
    token::{Token, quote},
};

/// Where the bearer token is. It is never kept for longer than it is good.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file, which is read for every request: Kubernetes replaces a pod's token while the pod runs.
    File(PathBuf),
    /// A kubeconfig that somebody named for this.
    Kubeconfig(Arc<Bearer>),
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Without one nobody is named, which only a server without authorization accepts.
    pub token: Option<TokenSource>,
    /// The token's bearer, if nobody else.
    pub impersonation: Option<Impersonation>,
}

impl TokenSource {
    /// That of the service account of the pod that this runs in; `None` if it has none. `root` is that of files with fixed places.
    pub fn of_pod(root: &Path) -> Option<Self> {
        let account = root.join(ACCOUNT);
        account.is_dir().then(|| Self::File(account.join("token")))
    }

    fn token(&self) -> Result<Arc<Token>, ResultsError> {
        match self {
            Self::File(file) => Token::of_file(file)
                .map(Arc::new)
                .map_err(|error| ResultsError::Token { file: file.display().to_string(), error }),
            Self::Kubeconfig(bearer) => {
                bearer.token().map_err(|error| ResultsError::Kubeconfig(Box::new(error)))
            }
        }
    }
}

impl Caller {
    /// What one request says of who asks.
    pub(super) fn credential(&self) -> Result<Credential, ResultsError> {
        let token = self.token.as_ref().map(TokenSource::token).transpose()?;
        let mut headers = HeaderMap::new();
        headers.extend(token.iter().map(|token| (AUTHORIZATION, token.header())));
        if let Some(impersonation) = &self.impersonation {
            impersonation.add_to(&mut headers);
        }
        Ok(Credential { headers, token })
    }
}

/// The headers of one request.
pub(super) struct Credential {
    pub(super) headers: HeaderMap,
    token: Option<Arc<Token>>,
}

impl Credential {
    /// What a server says, without the token.
    pub(super) fn quote(&self, text: &str) -> String {
        quote(text, self.token.as_deref())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("headers", &self.headers).finish_non_exhaustive()
    }
}
