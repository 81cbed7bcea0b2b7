//! An in-process Workload API with its own CA, and the status that Tekton's controller would write: for the demo and tests.
//! Nothing here is a substitute for a SPIRE: it attests nobody.

pub mod agent;
pub mod ca;
pub mod taskrun;
