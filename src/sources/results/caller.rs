//! Who asks: a bearer token from a file, and whom it stands in for.

use std::{fmt, path::PathBuf};

use ureq::http::{HeaderMap, header::AUTHORIZATION};

use super::error::ResultsError;
use crate::sources::{
    impersonation::Impersonation,
    token::{Token, quote},
};

/// A file with a bearer token. It is read for every request: Kubernetes replaces a pod's token while the pod runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile(pub PathBuf);

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Without one nobody is named, which only a server without authorization accepts.
    pub token: Option<TokenFile>,
    /// The token's bearer, if nobody else.
    pub impersonation: Option<Impersonation>,
}

impl TokenFile {
    fn read(&self) -> Result<Token, ResultsError> {
        Token::of_file(&self.0)
            .map_err(|error| ResultsError::Token { file: self.0.display().to_string(), error })
    }
}

impl Caller {
    /// What one request says of who asks.
    pub(super) fn credential(&self) -> Result<Credential, ResultsError> {
        let token = self.token.as_ref().map(TokenFile::read).transpose()?;
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
    token: Option<Token>,
}

impl Credential {
    /// What a server says, without the token.
    pub(super) fn quote(&self, text: &str) -> String {
        quote(text, self.token.as_ref())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("headers", &self.headers).finish_non_exhaustive()
    }
}
