//! One attempt at the Workload API: connect, ask, take the first message and keep its stream.
//!
//! SPIRE's agent holds a call whose entry it knows but whose SVID is not signed yet, and looks at it again only after
//! 500 ms. A call that comes later is answered as soon as the SVID is there. So a call that hangs is joined by another
//! one, again and again, while the first one stays: giving that up would throw away what the agent has already found out
//! about this process. Each has a connection of its own: what hangs may be the first one's, to an agent that was frozen
//! or has been replaced since.
//!
//! As long as nobody waits for the identity, because the step's command runs, a call is joined only at first, in case the
//! command is short. Then it is left alone, without a deadline: it wakes nobody. When somebody begins to wait, it is
//! joined at once.

use std::{
    cell::Cell,
    future::Future,
    io,
    os::unix::fs::FileTypeExt as _,
    path::Path,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status, Streaming,
    codegen::{Service, http::Uri},
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use super::{
    address::Address,
    bundle::BundleError,
    generated::{X509svidRequest, X509svidResponse, spiffe_workload_api_client::SpiffeWorkloadApiClient},
    retry,
    select::SelectError,
    socket::Socket,
    svid::SvidError,
};
use crate::io_error;

/// A thousand SVIDs are 1.2 MB; gRPC's usual limit of 4 MiB would be met at some 3,400.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// How long a call may hang before it is joined by another one.
const HELD_AFTER: Duration = Duration::from_millis(50);

/// How long each of the calls that join a held one lasts: below 500 ms at first, since by then the agent looks by itself.
const JOIN_FOR: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(500),
];

/// Why an attempt brought no identity, or why an open stream ended.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// Nobody listens.
    #[error("cannot connect to the SPIRE agent: {reason}")]
    Connect {
        /// Kind of the error.
        kind: io::ErrorKind,
        /// The system's words.
        reason: String,
    },
    /// What is there is not a socket.
    #[error("cannot connect to the SPIRE agent: at its address there is {found}, not a socket")]
    NotASocket {
        /// What it is.
        found: &'static str,
    },
    /// The call was answered with a status.
    #[error("the SPIRE agent refused the call: {code:?} {message:?}")]
    Refused {
        /// gRPC status.
        code: Code,
        /// The agent's words.
        message: String,
    },
    /// An open stream ended.
    #[error("the SPIRE agent ended the stream: {code:?} {message:?}")]
    Ended {
        /// gRPC status; Ok if it ended without one.
        code: Code,
        /// The agent's words.
        message: String,
    },
    /// The stream ended properly and brought nothing.
    #[error("the SPIRE agent answered without a message")]
    NoMessage,
    /// No answer in time.
    #[error("the SPIRE agent did not answer within {}", Seconds(*after))]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The message carries an SVID that is refused, and no other one fits.
    #[error("{0}")]
    Svid(#[from] SvidError),
    /// The message's bundle is refused.
    #[error("the SPIRE agent sent an unusable bundle: {0}")]
    Bundle(#[from] BundleError),
    /// None of the SVIDs is this step's.
    #[error("{0}")]
    Select(#[from] SelectError),
}

impl FetchError {
    fn refused(status: &Status) -> Self {
        Self::Refused { code: status.code(), message: status.message().to_owned() }
    }

    /// The gRPC status behind the error, if one was received.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } | Self::Ended { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether asking again is pointless.
    pub fn is_final(&self) -> bool {
        self.code().is_some_and(retry::is_final)
    }

    /// Whether what the agent sent will be refused however often it is sent.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Svid(error) => error.is_permanent(),
            Self::Bundle(BundleError::Certificate { .. } | BundleError::NotAnAuthority { .. }) => true,
            _ => false,
        }
    }

    /// What an operator should look at.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect { kind: io::ErrorKind::NotFound, .. } => {
                "the socket is not there: check that the SPIFFE CSI driver mounts it into this pod, under this name, and \
                 that the SPIRE agent runs on this node and has attested to its server"
            }
            Self::Connect { kind: io::ErrorKind::ConnectionRefused, .. } => {
                "the socket is a left-over and nobody listens: check that the SPIRE agent runs on this node"
            }
            Self::Connect { kind: io::ErrorKind::PermissionDenied, .. } => {
                "this user may not open the socket: check the permissions of its folder"
            }
            Self::Connect { kind: io::ErrorKind::WouldBlock, .. } => {
                "the agent takes no connections: it hangs or is overloaded, check its log"
            }
            Self::NotASocket { .. } | Self::Connect { kind: io::ErrorKind::NotADirectory, .. } => {
                "check that spire-socket-path names the agent's socket and how it is mounted"
            }
            Self::Refused { code: Code::PermissionDenied, .. }
            | Self::Ended { code: Code::PermissionDenied, .. } => {
                "no registration entry matches this pod: check that the entry exists, that its selectors match and \
                 that its parent is this node's agent; unix:sha256 and unix:path match only if the agent has \
                 discover_workload_path"
            }
            // Whether the agent cuts it before or in the call is a matter of moments.
            Self::Refused { code: Code::Unavailable, message } if message == CLOSED => CUT,
            Self::Refused { code: Code::Unknown | Code::Internal, .. } => CUT,
            Self::Refused { code: Code::Unavailable, message } if message.contains("rate limit") => {
                "the agent limits how often it is called: check the ratelimit of its configuration"
            }
            Self::Refused { code: Code::Unavailable | Code::Unauthenticated, .. } => {
                "the agent could not attest this process: its log says why"
            }
            Self::Refused { code: Code::ResourceExhausted, .. } => {
                "the agent is overloaded or limits its calls: its log says why"
            }
            Self::Refused { code: Code::OutOfRange, .. } => {
                "too many registration entries match this pod: narrow their selectors"
            }
            Self::Refused { code: Code::InvalidArgument | Code::Unimplemented, .. } => {
                "this socket does not speak the SPIFFE Workload API: check the address"
            }
            Self::Ended { .. } => "the agent has gone away: check that it runs on this node, and its log",
            Self::TimedOut { .. } | Self::NoMessage => {
                "check that it is a SPIRE agent that listens there, and the agent's log"
            }
            Self::Svid(SvidError::NotYetValid { .. }) => {
                "check the clocks of this node and of the SPIRE server"
            }
            Self::Svid(SvidError::Expired { .. }) => {
                "check that the agent reaches the SPIRE server, and the clock of this node"
            }
            _ => return None,
        })
    }
}

/// A duration for people: to a tenth of a second below ten of them, else whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        match tenths {
            0..100 if !tenths.is_multiple_of(10) => write!(f, "{}.{} s", tenths / 10, tenths % 10),
            _ => write!(f, "{} s", (tenths + 5) / 10),
        }
    }
}

/// A stream of Workload API messages.
pub type MessageStream = Streaming<X509svidResponse>;

/// Decides whether a message is of use, and turns it into what is kept.
pub type MessageJudge<'a, T> = dyn Fn(X509svidResponse) -> Result<T, FetchError> + 'a;

/// What a message was judged to be, and the stream that brought it, which brings the next one.
pub type Answer<T> = (Result<T, FetchError>, MessageStream);

/// Makes one attempt: the first message, of use or not.
///
/// A new connection for each call: an agent that was restarted listens on a new socket of the same path, and it
/// attests the caller once for each call.
///
/// `begun` resolves when somebody begins to wait for the answer, to how long the attempt may take from then on. Until then
/// it may take as long as it will. `news` resolves when it is worth joining a call that is held.
pub async fn attempt<T>(
    address: &Address,
    begun: impl Future<Output = Duration>,
    news: &Notify,
    judge: &MessageJudge<'_, T>,
) -> Result<Answer<T>, FetchError> {
    let (awaited, is_awaited) = oneshot::channel();
    let heard = Cell::new(None);
    let mut work = pin!(first_answer(address, is_awaited, news, judge, &heard));
    let deadline = tokio::select! {
        biased;
        deadline = begun => deadline,
        answer = &mut work => return answer,
    };
    // The receiver is there as long as the work is.
    let _ = awaited.send(());
    let cut = || heard.take().unwrap_or(FetchError::TimedOut { after: deadline });
    timeout(deadline, work).await.unwrap_or_else(|_| Err(cut()))
}

/// The generated client on one connection.
pub type Client = SpiffeWorkloadApiClient<Channel>;

/// Connects. When the connection is lost the client fails; it does not make another one.
pub async fn connect(address: &Address) -> Result<Client, FetchError> {
    Ok(SpiffeWorkloadApiClient::new(channel(address).await?).max_decoding_message_size(MAX_MESSAGE))
}

/// A connection, whatever is called on it.
pub(crate) async fn channel(address: &Address) -> Result<Channel, FetchError> {
    let refused =
        |error: io::Error| FetchError::Connect { kind: error.kind(), reason: io_error::words(&error) };
    // Connected here and not by the channel, which would hide the system's error.
    let socket = match address {
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await.map_err(|error| {
            match not_a_socket(path).filter(|_| error.kind() == io::ErrorKind::ConnectionRefused) {
                Some(found) => FetchError::NotASocket { found },
                None => refused(error),
            }
        })?),
        Address::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await.map_err(refused)?),
    };
    // The name is not looked up, it only fills HTTP/2's authority. No keep-alive: gRPC servers cut clients that ping
    // more often than every five minutes.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(Once(Some(socket)))
        .await
        .map_err(|error| FetchError::Refused { code: Code::Unknown, message: error.to_string() })
}

/// What Linux says of any file that is connected to is that the connection is refused.
fn not_a_socket(path: &Path) -> Option<&'static str> {
    let kind = path.metadata().ok()?.file_type();
    match (kind.is_socket(), kind.is_dir()) {
        (true, _) => None,
        (false, true) => Some("a directory"),
        (false, false) => Some("a file"),
    }
}

/// What is said of a connection that was lost before the call.
const CLOSED: &str = "the connection was closed";
/// What to do about an agent that ends the connection.
const CUT: &str = "the agent cuts the connection of a process it cannot identify: check that the agent runs with hostPID, that this pod \
                   is not in a sandboxed runtime (gVisor, Kata), and that it is a SPIRE agent that listens there";

/// A connector with one connection to give: a channel that has lost it must not quietly make another one.
struct Once(Option<Socket>);

impl Service<Uri> for Once {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let socket = self.0.take().map(TokioIo::new);
        std::future::ready(socket.ok_or_else(|| io::Error::other(CLOSED)))
    }
}

/// What is asked, with the header that is demanded exactly once (SPIFFE Workload Endpoint 6.1).
pub fn request() -> Request<X509svidRequest> {
    let mut request = Request::new(X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
    request
}

/// One call on a new connection, until its first message.
async fn call<T>(address: &Address, judge: &MessageJudge<'_, T>) -> Result<Answer<T>, FetchError> {
    let mut client = connect(address).await?;
    let response = client.fetch_x509svid(request()).await.map_err(|status| FetchError::refused(&status))?;
    let mut stream = response.into_inner();
    match stream.message().await {
        Ok(Some(message)) => Ok((judge(message), stream)),
        Ok(None) => Err(FetchError::NoMessage),
        Err(status) => Err(FetchError::refused(&status)),
    }
}

/// One call, joined by others while it is held: at first, when there is `news`, and from when `awaited` says that somebody
/// waits for it. What those bring that is of no use is left in `heard`.
async fn first_answer<T>(
    address: &Address,
    mut awaited: oneshot::Receiver<()>,
    news: &Notify,
    judge: &MessageJudge<'_, T>,
    heard: &Cell<Option<FetchError>>,
) -> Result<Answer<T>, FetchError> {
    let mut first = pin!(call(address, judge));
    tokio::select! {
        answer = &mut first => return answer,
        () = sleep(HELD_AFTER) => {}
        () = news.notified() => {}
    }
    let mut is_awaited = awaited.try_recv().is_ok();
    let mut pauses = JOIN_FOR.iter();
    loop {
        let Some(pause) = pauses.next().or(JOIN_FOR.last().filter(|_| is_awaited)) else {
            tokio::select! {
                answer = &mut first => return answer,
                Ok(()) = &mut awaited => {
                    is_awaited = true;
                    pauses = JOIN_FOR.iter();
                }
            }
            continue;
        };
        let mut over = pin!(sleep(*pause));
        let mut second = pin!(call(address, judge));
        let mut refused = false;
        loop {
            tokio::select! {
                answer = &mut first => {
                    // The call beside it was made later, so it may do better than this one.
                    return match answer {
                        Err(error) if error.is_final() => Err(error),
                        Ok((Err(_), _)) | Err(_) if !refused => match timeout(*pause, &mut second).await {
                            Ok(Ok((Ok(of_use), stream))) => Ok((Ok(of_use), stream)),
                            _ => answer,
                        },
                        Err(error) => Err(heard.take().unwrap_or(error)),
                        answer => answer,
                    };
                }
                answer = &mut second, if !refused => match answer {
                    Ok((Ok(of_use), stream)) => return Ok((Ok(of_use), stream)),
                    Ok((Err(error), _)) | Err(error) => {
                        refused = true;
                        heard.set(Some(error));
                    }
                },
                Ok(()) = &mut awaited, if !is_awaited => {
                    is_awaited = true;
                    pauses = JOIN_FOR.iter();
                    break;
                }
                () = news.notified() => break,
                () = &mut over => break,
            }
        }
    }
}
