//! The controller: it registers each TaskRun's steps with SPIRE before they need their identity, takes that back when the run has ended, and
//! then judges it.
//!
//! * [`config`]: what the ConfigMap says; [`objects`]: what is kept of pods and TaskRuns; [`cache`]: all of them.
//! * [`registration`]: from a pod and its TaskRun to the entries that it should have, and from those to what has to change.
//! * [`identity`]: the controller's own SVID; [`spire`]: the SPIRE server's Entry API; [`registrar`] keeps its entries like those
//!   and has [`news`]. Or [`static_entries`]: entries as objects of the cluster; [`place`]: where they are kept.
//! * [`judging`]: the verdict on each run that has ended; [`stamping`]: its time stamps.
//! * [`run`]: the loop around it; [`leading`]: which of several controllers acts; [`log`], [`metrics`], [`probes`]: what it says.

pub mod cache;
pub mod config;
pub mod identity;
pub mod judging;
pub mod leading;
pub mod log;
pub mod metrics;
pub mod news;
pub mod objects;
pub mod place;
pub mod probes;
pub mod registrar;
pub mod registration;
pub mod run;
pub mod spire;
pub mod stamping;
pub mod static_entries;
mod text;
