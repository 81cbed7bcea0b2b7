//! What all that asks a web server has in common.
//!
//! * [`proxies`]: which proxy leads there; [`location`]: where a redirect leads.

pub(crate) mod location;
pub mod proxies;
