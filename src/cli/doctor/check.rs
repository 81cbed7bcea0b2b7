//! What one check found, and how that is told.

use std::io::{self, Write};

use serde_json::json;

use crate::report::safe::{Line, escaped_json};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing stands in the way.
    Ok,
    /// It works now, and should be changed.
    Warning,
    /// It stands in the way.
    Failed,
    /// It could not be looked at, or there was no need to.
    Skipped,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug)]
pub(super) struct Check {
    /// Its name, for programs.
    name: &'static str,
    pub(super) status: Status,
    /// What was found.
    found: String,
    /// What to do, if anything.
    action: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), action: None }
    }

    pub(super) fn warning(name: &'static str, found: impl Into<String>, action: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, found: found.into(), action: Some(action.into()) }
    }

    /// What was found may say itself what to do.
    pub(super) fn failed(name: &'static str, found: impl Into<String>, action: Option<String>) -> Self {
        Self { name, status: Status::Failed, found: found.into(), action }
    }

    /// What to do, if anything.
    #[cfg(test)]
    pub(super) fn action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    pub(super) fn skipped(name: &'static str, found: impl Into<String>, action: Option<String>) -> Self {
        Self { name, status: Status::Skipped, found: found.into(), action }
    }
}

/// How checks are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum CheckFormat {
    /// A line for each check, and one for what to do
    #[default]
    Text,
    /// A JSON object for each check
    Json,
}

impl CheckFormat {
    pub(super) fn tell(self, check: &Check, out: &mut dyn Write) -> io::Result<()> {
        let Check { name, status, found, action } = check;
        match self {
            Self::Json => {
                let line =
                    json!({"check": name, "status": status.as_str(), "found": found, "action": action});
                writeln!(out, "{}", escaped_json(&line.to_string()))
            }
            Self::Text => {
                writeln!(out, "{:<8} {name:<16} {}", status.as_str(), Line(found))?;
                match action {
                    Some(action) => writeln!(out, "{:<25} do: {}", "", Line(action)),
                    None => Ok(()),
                }
            }
        }
    }
}
