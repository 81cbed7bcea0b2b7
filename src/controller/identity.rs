//! The controller's own X509-SVID, from the agent of its node, kept fresh.

use std::{
    collections::BTreeSet,
    fmt,
    future::ready,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    runtime::Builder,
    sync::Notify,
    time::{sleep, timeout},
};
use unixtime::UnixSeconds;
use x509::Validity;
use zeroize::{Zeroize as _, Zeroizing};

use crate::workload::{
    address::Address,
    bundle::X509Bundle,
    client::{FetchError, MessageStream, attempt},
    generated::{X509svid, X509svidResponse},
    id::SpiffeId,
    retry::{ATTEMPT_DEADLINE, Backoff},
    svid::{Position, SvidError, X509Svid},
};

/// How long an open stream may be silent before another one is opened: an agent that hangs does not say so.
const SILENCE: Duration = Duration::from_secs(600);

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// The agent was not asked yet.
    #[error("the SPIRE agent has not answered yet")]
    NotYet,
    /// No answer that is of use.
    #[error("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Fetch {
        /// What happened.
        error: FetchError,
    },
    /// Several SVIDs, and nothing says which.
    #[error(
        "the SPIRE agent offers {}; say which one is the controller's with --spiffe-id", .0.join(", ")
    )]
    Which(Vec<String>),
    /// Another SVID than the one that is wanted.
    #[error(
        "the SPIRE agent does not offer {wanted}, only {}; see the registration entry of the controller's pod", .offered.join(", ")
    )]
    NotOffered {
        /// The one that is wanted.
        wanted: String,
        /// Those that are there.
        offered: Vec<String>,
    },
    /// The one that there was has expired.
    #[error("{0}; see that the agent reaches the SPIRE server")]
    NotValid(SvidError),
}

/// An identity, in the form in which TLS needs it.
pub struct Own {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// The authorities of its trust domain.
    pub bundle: X509Bundle,
    /// Leaf first, in DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// When it is valid.
    pub validity: Validity,
    key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Own {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("id", &self.id).field("validity", &self.validity).finish_non_exhaustive()
    }
}

impl Own {
    /// The key, in PKCS #8.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_vec()).into()
    }
}

/// What is known now.
type Known = Result<Arc<Own>, IdentityError>;

/// The identity of this process, shared with the thread that keeps it fresh.
#[derive(Clone)]
pub struct OwnIdentity {
    known: Arc<Mutex<Known>>,
}

impl fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnIdentity").finish_non_exhaustive()
    }
}

/// How the identity is fetched.
pub struct IdentitySettings {
    /// Where the agent listens.
    pub address: Address,
    /// The SPIFFE ID that is wanted; `None`: the only one that is offered.
    pub wanted: Option<SpiffeId>,
    /// The clock.
    pub now: fn() -> UnixSeconds,
    /// A number that spreads the attempts.
    pub random: u64,
    /// What is told that something has changed.
    pub changed: Box<dyn Fn() + Send>,
}

impl fmt::Debug for IdentitySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySettings").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OwnIdentity {
    /// Starts the thread, which ends with the process.
    pub fn start(settings: IdentitySettings) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let known = Arc::new(Mutex::new(Err(IdentityError::NotYet)));
        let work = Work { known: Arc::clone(&known), settings };
        thread::Builder::new().name("svid".to_owned()).spawn(move || runtime.block_on(work.run()))?;
        Ok(Self { known })
    }

    /// The identity, if one is valid at `now`.
    pub fn get(&self, now: UnixSeconds) -> Result<Arc<Own>, IdentityError> {
        let own = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let Validity { not_before, not_after } = own.validity;
        match own.validity.contains(now) {
            true => Ok(own),
            false => {
                let (id, position) = (own.id.to_string(), Position::Leaf);
                Err(IdentityError::NotValid(match now < not_before {
                    true => SvidError::NotYetValid { id, position, not_before, now },
                    false => SvidError::Expired { id, position, not_after, now },
                }))
            }
        }
    }
}

struct Work {
    known: Arc<Mutex<Known>>,
    settings: IdentitySettings,
}

impl Work {
    async fn run(self) {
        let mut pauses = Backoff::new();
        loop {
            let (judge, news) = (|message| Ok(self.judge(message)), Notify::new());
            let answer = attempt(&self.settings.address, ready(ATTEMPT_DEADLINE), &news, &judge);
            match answer.await {
                Ok((Ok(known), stream)) => {
                    if known.is_ok() {
                        pauses = Backoff::new();
                    }
                    self.keep(known);
                    self.follow(stream).await;
                }
                Ok((Err(error), _)) | Err(error) => self.keep(Err(IdentityError::Fetch { error })),
            }
            sleep(pauses.next_unhurried(self.settings.random)).await;
        }
    }

    /// Takes what the stream brings until it ends.
    async fn follow(&self, mut stream: MessageStream) {
        while let Ok(Ok(Some(message))) = timeout(SILENCE, stream.message()).await {
            self.keep(self.judge(message));
        }
    }

    /// Keeps what is newer. A valid identity is not given up for an agent that is gone; but what a message does not offer is withdrawn
    /// (SPIFFE Workload API 4.3).
    fn keep(&self, newer: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.settings.now)();
        let is_kept = matches!(newer, Err(IdentityError::Fetch { .. }))
            && known.as_ref().is_ok_and(|own| own.validity.contains(now));
        if !is_kept {
            *known = newer;
            drop(known);
            (self.settings.changed)();
        }
    }

    /// The one SVID of a message that is wanted.
    fn judge(&self, message: X509svidResponse) -> Known {
        let mut offered = message.svids;
        // Several entries may give one and the same identity.
        let names: BTreeSet<String> = offered.iter().map(|svid| svid.spiffe_id.clone()).collect();
        let names: Vec<String> = names.into_iter().collect();
        let is_wanted = |svid: &X509svid| match &self.settings.wanted {
            Some(wanted) => svid.spiffe_id == wanted.to_string(),
            None => true,
        };
        let chosen = offered.iter().position(is_wanted).map(|place| offered.swap_remove(place));
        offered.iter_mut().for_each(|svid| svid.x509_svid_key.zeroize());
        match (chosen, &self.settings.wanted) {
            (Some(mut svid), None) if names.len() > 1 => {
                svid.x509_svid_key.zeroize();
                Err(IdentityError::Which(names))
            }
            (Some(svid), _) => {
                own(svid, (self.settings.now)()).map(Arc::new).map_err(|error| IdentityError::Fetch { error })
            }
            (None, Some(wanted)) => {
                Err(IdentityError::NotOffered { wanted: wanted.to_string(), offered: names })
            }
            (None, None) => Err(IdentityError::Fetch { error: FetchError::NoMessage }),
        }
    }
}

/// Takes an SVID over, checked as a step's is.
fn own(mut message: X509svid, now: UnixSeconds) -> Result<Own, FetchError> {
    let key = Zeroizing::new(std::mem::take(&mut message.x509_svid_key));
    let svid = X509Svid::from_response(&message.spiffe_id, &message.x509_svid, key.clone(), message.hint)?;
    let bundle = X509Bundle::from_der(svid.id().trust_domain().clone(), &message.bundle)?;
    let svid = svid.led_to(&bundle, now)?;
    let chain = std::iter::once(svid.leaf()).chain(svid.intermediates());
    let chain = chain.map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    Ok(Own { id: svid.id().clone(), chain, validity: svid.validity(), key, bundle })
}
