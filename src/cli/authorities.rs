//! Who vouches for a server that is no cluster: the same for an archive and for a registry.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    cli::{
        refusal::{Refusal, unchecked},
        web_authorities,
    },
    io_error,
    sources::authorities::ServerAuthorities,
};

/// Who vouches for a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking a server")]
pub(super) struct AuthoritiesArgs {
    /// Authorities (PEM) of the certificate of Tekton Results or of a registry [default: /etc/ssl/certs/ca-certificates.crt]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl AuthoritiesArgs {
    /// The argument, and whether it is given.
    pub(super) fn given(&self) -> [(&'static str, bool); 1] {
        [("--ca-file", self.ca_file.is_some())]
    }

    /// The file, if one is named.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.ca_file.clone()
    }

    /// Those in the file, or the system's.
    pub(super) fn read(&self) -> Result<ServerAuthorities, Refusal> {
        let file = self.ca_file.as_deref().unwrap_or(Path::new(web_authorities::SYSTEM));
        let refused = |error: String| unchecked(format!("--ca-file {}: {error}", file.display()));
        let text = std::fs::read(file).map_err(|error| refused(io_error::words(&error)))?;
        ServerAuthorities::from_pem(&text).map_err(|error| refused(error.to_string()))
    }
}
