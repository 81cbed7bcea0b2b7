//! Log lines on stderr as Go's `log` package writes them (docs/tekton-contract.md 1.7).

use std::sync::OnceLock;

use go::{text::quote, zone::LocalZone};

use crate::{step::program::streams, surroundings};

static ZONE: OnceLock<LocalZone> = OnceLock::new();

/// Writes `2026/08/01 10:00:00 <text>` to stderr, local time. Nobody reads it if stderr is closed: that is no error.
pub fn line(text: &str) {
    let zone = ZONE.get_or_init(|| LocalZone::local(surroundings::variable("TZ").as_deref()));
    let line = format!("{} {text}\n", zone.log_prefix(surroundings::now()));
    let _ = streams::write_all(std::io::stderr(), line.as_bytes());
}

/// An error as Go's `log/slog` writes it to the same place: `ERROR <text> error="<error>"`, quoted where it must be.
pub fn error(text: &str, error: &str) {
    let plain =
        !error.is_empty() && error.chars().all(|c| c > ' ' && !matches!(c, '"' | '=' | '\u{7f}'..='\u{a0}'));
    let error = if plain { error.to_owned() } else { quote(error.as_ref()) };
    line(&format!("ERROR {text} error={error}"));
}
