//! The bearer token of a kubeconfig's user, for another server than the cluster's: one that asks Kubernetes whose token it is.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{access::Access, client::AHEAD, error::AccessError, identity::Credential};
use crate::sources::{impersonation::Impersonation, token::Token};

/// A user of a kubeconfig, whose token is read again, or asked for again, before it expires.
pub struct Bearer {
    access: Access,
    current: Mutex<Option<Credential>>,
}

impl fmt::Debug for Bearer {
    /// Without what nobody should see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Bearer {
    /// Who asks a cluster by this access. Nothing is sent to the cluster.
    pub fn new(access: Access) -> Self {
        Self { access, current: Mutex::default() }
    }

    /// Whom the user stands in for, by an argument or by the kubeconfig.
    pub fn impersonation(&self) -> Option<Impersonation> {
        self.access.impersonation.clone()
    }

    /// The token of now.
    pub(crate) fn token(&self) -> Result<Arc<Token>, AccessError> {
        let now = (self.access.now)();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good =
            |credential: &Credential| credential.expires.is_none_or(|expires| now < expires - AHEAD);
        let credential = match current.take().filter(is_good) {
            Some(credential) => credential,
            None => self.access.credential()?,
        };
        let token = credential.token.clone();
        *current = Some(credential);
        token.ok_or_else(|| AccessError::Value {
            field: "token",
            of: self.access.credential_of.clone(),
            reason: "it has none, and only a token says to this server who asks; name a file with one by --token-file \
                     (kubectl create token makes one)"
                .to_owned(),
        })
    }
}
