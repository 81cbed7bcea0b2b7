//! A time-stamp authority (TSA, RFC 3161) that is asked to witness attestations.
//!
//! * [`url`]: its address; [`service`]: asking over HTTP; [`authority`]: asking for a token, and checking it.

pub mod authority;
pub mod service;
pub mod url;
