//! SPIFFE: identities, X509-SVIDs and bundles that are checked on construction, and the Workload API client.

#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
pub mod generated;
