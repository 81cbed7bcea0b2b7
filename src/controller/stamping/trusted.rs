//! The TSAs whose tokens count, as the configuration names them.

use crate::verify::prove::time::{TimeStamps, TsaFileError};

/// Certificates of TSAs: roots, or TSAs' own.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    pem: String,
    time_stamps: TimeStamps,
}

impl PartialEq for Trusted {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Trusted {}

impl Trusted {
    /// Those in PEM. The error says why it is of no use, behind the name of its key.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let mut time_stamps = TimeStamps::default();
        match time_stamps.trust_pem(pem) {
            Ok(refused) => match refused.first() {
                None => Ok(Self { pem: pem.to_owned(), time_stamps }),
                Some(error) => Err(of_no_use(error)),
            },
            Err(error) => Err(of_no_use(&error)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pem.is_empty()
    }

    /// By what tokens are checked.
    pub fn time_stamps(&self) -> &TimeStamps {
        &self.time_stamps
    }
}

fn of_no_use(error: &TsaFileError) -> String {
    format!("is of no use: {error}")
}
