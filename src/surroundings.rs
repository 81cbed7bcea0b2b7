//! What a process finds around it: the clock and the environment. Only here are they asked (clippy.toml bans it elsewhere); what is
//! found is handed on as a parameter.

#![expect(clippy::disallowed_methods, reason = "the one place that asks")]

use std::{ffi::OsString, time::SystemTime};

use unixtime::UnixSeconds;

/// The system's clock.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The system's clock in whole seconds; 1970 before that.
pub fn now_in_seconds() -> UnixSeconds {
    now().into()
}

/// A variable of the environment.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// All variables of the environment, in its order.
pub fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
