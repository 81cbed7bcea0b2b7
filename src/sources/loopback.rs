//! Hosts that are this machine: what is sent to one does not leave it, so it need not be encrypted.

use std::net::IpAddr;

/// Whether a host, a name or an IP address without brackets, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}
