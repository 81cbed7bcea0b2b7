//! Comparing what the steps signed with what the object says.

pub(super) mod artifacts;
pub(super) mod declared;
pub(super) mod image;
pub(super) mod message;
pub(super) mod outcomes;
pub(super) mod partial;
pub(super) mod program;
pub(super) mod status;
pub(super) mod tep0089;
pub(super) mod value;
pub(super) mod weak;
