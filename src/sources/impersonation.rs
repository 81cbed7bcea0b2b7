//! For whom a server of Kubernetes' kind is asked: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation>.

use ureq::http::{HeaderMap, HeaderValue};

/// Whom the holder of a credential stands in for (`Impersonate-User`, `-Group`, `-Uid`), which Kubernetes must allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonation {
    user: HeaderValue,
    groups: Vec<HeaderValue>,
    uid: Option<HeaderValue>,
}

/// Why nobody can be impersonated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpersonationError {
    /// Groups or a UID alone.
    #[error("--as-group and --as-uid need --as: whose they are")]
    NoUser,
    /// Not a header's value.
    #[error("{0:?} holds characters that no user, group or UID has")]
    Characters(String),
}

impl Impersonation {
    /// `None` if nobody is named.
    pub fn new(
        user: Option<&str>,
        groups: &[String],
        uid: Option<&str>,
    ) -> Result<Option<Self>, ImpersonationError> {
        let value = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            let value = HeaderValue::from_str(text).ok().filter(|_| is_plain);
            value.ok_or_else(|| ImpersonationError::Characters(text.to_owned()))
        };
        let Some(user) = user else {
            let is_nobody = groups.is_empty() && uid.is_none();
            return if is_nobody { Ok(None) } else { Err(ImpersonationError::NoUser) };
        };
        Ok(Some(Self {
            user: value(user)?,
            groups: groups.iter().map(|group| value(group)).collect::<Result<_, _>>()?,
            uid: uid.map(value).transpose()?,
        }))
    }

    /// Adds it to the headers of a request.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let Self { user, groups, uid } = self;
        headers.insert("impersonate-user", user.clone());
        for group in groups {
            headers.append("impersonate-group", group.clone());
        }
        if let Some(uid) = uid {
            headers.insert("impersonate-uid", uid.clone());
        }
    }
}
