//! Which runs of a cluster are meant.

use std::str::FromStr;

use crate::{sources::run_name::RunName, tekton::taskrun::is_namespace};

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match is_namespace(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("not the name of a namespace: up to 63 small letters, digits and hyphens"),
        }
    }
}

/// The runs that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// These of one namespace, and what belongs to them.
    Named(Namespace, Vec<RunName>),
    /// As [`Runs::All`], each when it has finished, also those that are not there yet.
    Watched {
        /// `None` for every namespace.
        namespace: Option<Namespace>,
        /// As kubectl's `-l`.
        selector: Option<String>,
    },
    /// All of a namespace, or of all of them, that a selector speaks of.
    All {
        /// `None` for every namespace.
        namespace: Option<Namespace>,
        /// As kubectl's `-l`.
        selector: Option<String>,
    },
}
