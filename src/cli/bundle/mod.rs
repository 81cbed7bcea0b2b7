//! Where a command takes the trust domain's bundle from, and `svidence bundle`, which keeps what was seen of it.
//!
//! * [`args`]: the arguments; [`files`]: files and folders; [`published`]: where SPIRE publishes it.
//! * [`found`]: bundles, and where each authority was found; [`add`]: `svidence bundle add`.

pub mod add;
pub(super) mod args;
pub(super) mod files;
pub(super) mod found;
pub(super) mod published;
