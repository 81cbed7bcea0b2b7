//! Asking for a token, and checking it before anybody keeps it.

use ring::rand::SecureRandom;
use x509::time_stamp::{Request, TimeStamp, TsaPolicy};

use crate::{
    tsa::service::{Service, ServiceError},
    verify::prove::time::{TimeStampTokenError, TimeStamps},
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The TSA gave no answer that could be one.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It gave one that proves nothing.
    #[error("the TSA's answer is not kept: {0}")]
    Answer(TimeStampTokenError),
    /// It could not be asked.
    #[error("no nonce: the operating system's random generator failed")]
    Random,
}

impl AskError {
    /// A short stable name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Service(error) => error.code(),
            Self::Answer(_) => "bad-answer",
            Self::Random => "random",
        }
    }
}

/// A TSA, and by what its answers are checked.
pub struct Authority {
    service: Service,
    /// Time stamps are asked for under this policy; `None`: under the TSA's own.
    policy: Option<TsaPolicy>,
    trusted: TimeStamps,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Authority {
    /// That of this service. `trusted` are the TSAs that count: without any, of a token is checked only that it is whole.
    pub fn new(service: Service, policy: Option<TsaPolicy>, trusted: TimeStamps) -> Self {
        Self { service, policy, trusted }
    }

    /// A token for a decoded attestation, checked: it answers this request, and is of this attestation.
    pub fn ask(
        &self,
        attestation: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<(TimeStamp, Vec<u8>), AskError> {
        let mut nonce = [0; 16];
        random.fill(&mut nonce).map_err(|_| AskError::Random)?;
        let request = Request::new(attestation, nonce, self.policy.clone());
        let answer = self.service.ask(&request.to_der())?;
        match self.trusted.check_answer(&request, &answer, attestation) {
            Ok(stamp) => Ok((stamp, answer)),
            Err(error) => Err(AskError::Answer(error)),
        }
    }

    /// The TSAs that count.
    pub fn trusted(&self) -> &TimeStamps {
        &self.trusted
    }
}
