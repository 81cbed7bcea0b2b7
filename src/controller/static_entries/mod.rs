//! The other way to register: not by the SPIRE server's Entry API, but as `ClusterStaticEntry` objects, of which spire-controller-manager
//! makes entries. That takes no right at the SPIRE server.
//!
//! * [`object`]: from an entry to such an object, and back; [`kept`]: keeping them in the cluster.

pub mod kept;
pub mod object;
