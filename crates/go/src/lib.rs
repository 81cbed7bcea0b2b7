//! Go's rules as the users of Tekton meet them: what Go's standard library reads, refuses and prints.
//!
//! Tekton is written in Go, and scripts, logs and the controller depend on its texts, so they are reproduced here byte for
//! byte. Nothing here knows Tekton or signing. Each module names the Go package and file that it follows.
//!
//! * [`json`]: `encoding/json`, its values, errors and escapes; [`base64`]: `encoding/base64`; [`flag`]: values of flags.
//! * [`text`]: `strconv.Quote`, bytes that are not UTF-8; [`number`], [`duration`], [`zone`]: numbers, durations, time zones.
//! * [`errno`]: the system's errors in Go's words; [`filepath`], [`mkdir`], [`exec`]: paths, `os.MkdirAll`, look-up in `PATH`.
//! * [`url`], [`net`]: `net/url` and `net/netip`.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
#![deny(clippy::as_conversions)]

pub mod base64;
pub mod duration;
pub mod errno;
pub mod exec;
pub mod filepath;
pub mod flag;
pub mod json;
pub mod mkdir;
pub mod net;
pub mod number;
pub mod text;
pub mod url;
pub mod zone;
