//! What a process finds around it: the clock and the environment. Only here are they asked (clippy.toml bans it elsewhere); what is
//! found is handed on as a parameter.

#![expect(clippy::disallowed_methods, reason = "the one place that asks")]

use std::{
    ffi::OsString,
    time::{SystemTime, UNIX_EPOCH},
};

/// The system's clock.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The system's clock in Unix seconds; 0 before 1970.
pub fn now_in_seconds() -> i64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A variable of the environment.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// All variables of the environment, in its order.
pub fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
