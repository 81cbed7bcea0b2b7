//! For whom a server is asked, and how long it may take: the same for every source that is one.

use std::time::Duration;

use clap::Args;

use crate::{
    cli::{
        number,
        refusal::{Refusal, usage},
    },
    sources::impersonation::Impersonation,
};

/// For whom a server is asked, and how long it may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking a server")]
pub(super) struct CallerArgs {
    /// Ask as this user, whom the holder of the credential may impersonate
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// Ask as one of this group; may be given several times
    #[arg(long = "as-group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Ask as the user with this UID
    #[arg(long = "as-uid", value_name = "UID")]
    uid: Option<String>,
    /// How long to wait for each answer of the server, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = number::within(1..=3600_u64))]
    request_timeout: Option<u64>,
}

const TIMEOUT: u64 = 60;

impl CallerArgs {
    /// Each argument that says for whom a server is asked, and whether it is given.
    pub(super) fn given(&self) -> [(&'static str, bool); 3] {
        [
            ("--as", self.user.is_some()),
            ("--as-group", !self.groups.is_empty()),
            ("--as-uid", self.uid.is_some()),
        ]
    }

    /// The argument that is about every server, and whether it is given.
    pub(super) fn timeout_given(&self) -> [(&'static str, bool); 1] {
        [("--request-timeout", self.request_timeout.is_some())]
    }

    /// Whom the holder of the credential stands in for, if for anybody.
    pub(super) fn impersonation(&self) -> Result<Option<Impersonation>, Refusal> {
        let impersonation = Impersonation::new(self.user.as_deref(), &self.groups, self.uid.as_deref());
        impersonation.map_err(|error| usage(error.to_string()))
    }

    /// How long to wait for an answer, in whole seconds.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.request_timeout.unwrap_or(TIMEOUT))
    }
}
