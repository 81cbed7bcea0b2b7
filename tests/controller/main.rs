//! `svidence controller` against a real kube-apiserver with Tekton's definitions, and a real SPIRE server and agent.
//!
//! There are no kubelet, no scheduler and no Tekton controller: the tests stand in for them, so pods and TaskRuns are objects to which the
//! tests give a node and a status. What selectors a real agent finds on a real kubelet is not tested here; which the entries have is.
//!
//! * [`cluster_objects`]: pods and TaskRuns as Tekton makes them; [`process`]: the controller as a process; [`relay`]:
//!   connections that can be cut; [`ended_runs`]: runs with what their steps have signed.
//! * [`registers`]: what honest runs get, and when it goes; [`hostile`], and [`claims`] as a table: objects that get nothing; [`outages`]: crashes and interruptions;
//!   [`judges`]: the verdict on runs that have ended; [`noted_by_others`]: verdicts that others have noted; [`time_stamps`]: their time stamps, and [`stamping_queue`] without a cluster;
//!   [`configuration`]: what the ConfigMap says; [`rights`]: what the cluster must allow;
//!   [`static_entries`]: entries as objects; [`replicas`]: several of
//!   them, and what they answer; [`hand_over`]: runs that wait for a verdict when somebody goes.

#![cfg(feature = "cli")]

mod claims;
#[path = "../support/cluster.rs"]
mod cluster;
mod cluster_objects;
mod configuration;
mod ended_runs;
mod hand_over;
mod hostile;
mod judges;
mod judging_authorities;
mod judging_backlog;
mod noted_by_others;
#[path = "../support/one_step.rs"]
mod one_step;
mod outages;
#[path = "../pki/mod.rs"]
mod pki;
mod process;
mod registers;
mod registrar;
mod registration;
mod relay;
mod replicas;
mod rights;
mod stamping_queue;
mod static_entries;
mod static_entry_objects;
#[path = "../support/mod.rs"]
mod support;
mod time_stamps;
#[path = "../support/tsa.rs"]
mod tsa;
