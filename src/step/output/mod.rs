//! What the step left: its results and artifacts, and the termination message that carries them.

pub mod artifacts;
pub mod beneath;
pub mod collect;
pub mod declared;
pub mod logged;
pub mod message;
pub mod results;
pub mod stood;
pub mod termination;
