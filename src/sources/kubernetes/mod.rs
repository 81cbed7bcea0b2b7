//! A cluster, by its API server: its runs, and what a ConfigMap of it holds.
//!
//! * [`access`]: how it is reached, from a [`kubeconfig`] or from within a pod; [`identity`]: as whom, perhaps by
//!   credential plug-ins ([`plugin`]).
//! * [`bearer`]: the token of the same user, for another server.
//! * [`client`] sends a [`request`]; [`error`] says why there is no answer, and which [`rule`] would allow it.
//! * [`runs`]: which runs are meant; [`read`]: reading them, page by page; [`screen`]: what of a list counts; [`family`]: what belongs to a run that is
//!   named; [`watch`]: runs as they finish; [`watched`]: what a watch says.
//! * [`config_map`]: what a ConfigMap holds; [`doctor`]: what would stand in the way.
//! * For a controller: [`follow`]: objects as they change; [`by_name`]: runs that it reads and changes; [`event`]: what people are told about
//!   an object; [`cluster_id`]: which cluster it is; [`lease`]: which of several processes acts; [`static_entry`]: registration entries
//!   that spire-controller-manager is to make.

pub mod access;
pub mod bearer;
pub mod by_name;
mod client;
pub mod cluster_id;
pub mod config_map;
pub mod doctor;
pub mod error;
pub mod event;
mod family;
pub mod follow;
mod identity;
mod kubeconfig;
pub mod lease;
mod plugin;
mod read;
mod request;
pub mod rule;
pub mod runs;
mod screen;
pub mod static_entry;
mod watch;
mod watched;

pub use read::Kubernetes;
pub use request::PatchedPart;
