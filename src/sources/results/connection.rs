//! Why there is no connection to the archive, or no TLS in it.

use std::io;

use super::error::ResultsError;
use crate::tls;

/// Why there is no connection.
pub(super) fn not_connected(error: &io::Error) -> ResultsError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => not_trusted(error),
        None => ResultsError::Connect { reason: crate::io_error::words(error) },
    }
}

/// Why there is no TLS.
pub(super) fn not_trusted(error: &rustls::Error) -> ResultsError {
    let reason = match error {
        rustls::Error::InvalidMessage(_) => return ResultsError::NoTls,
        rustls::Error::NoApplicationProtocol => return ResultsError::NoHttp2,
        rustls::Error::InvalidCertificate(error) => tls::words(error),
        other => return ResultsError::Connect { reason: other.to_string() },
    };
    ResultsError::Certificate { reason }
}
