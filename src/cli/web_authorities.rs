//! The certificates that vouch for web servers.

use std::path::Path;

use ureq::tls::Certificate;
use x509::pem;

use super::input::Input;
use crate::cli::refusal::{Refusal, unchecked};

/// Where Debian and its kin keep them.
pub(super) const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Those in the file (PEM) that `option` names.
pub(super) fn read(
    option: &str,
    file: &Path,
    input: &mut Input<'_>,
) -> Result<Vec<Certificate<'static>>, Refusal> {
    let advise = |refusal: Refusal| Refusal {
        text: format!("{}; name another file with it", refusal.text),
        ..refusal
    };
    let text = input.bytes(option, file).map_err(advise)?;
    // Whatever else is in it, or damaged, vouches for nobody.
    let found: Vec<_> = pem::certificates(&String::from_utf8_lossy(&text))
        .filter_map(|block| Some(Certificate::from_der(&block.ok()?).to_owned()))
        .collect();
    match found.is_empty() {
        true => {
            Err(advise(unchecked(format!("{option} {}: it holds no certificate in PEM", file.display()))))
        }
        false => Ok(found),
    }
}
