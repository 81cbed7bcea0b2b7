//! What the servers of the tests are started with.

#[allow(dead_code)]
#[path = "../../tests/support/peers.rs"]
pub mod peers;
#[path = "../../tests/support/skip.rs"]
pub mod skip;
#[allow(dead_code)]
#[path = "../../tests/support/tls.rs"]
pub mod tls;
