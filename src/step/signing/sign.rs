//! Signing what the step produced (docs/architecture.md 4.5, 4.6): the identity is fetched while the command runs, the
//! signature is made when it has ended, and results are never lost for want of one.

use std::{
    ffi::OsString,
    fs, io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use ring::rand::SystemRandom;

use crate::{
    evidence::attestation::{self, DECLARED},
    io_error,
    step::{
        log,
        output::{collect::CollectedResults, logged::LoggedError},
        program::environment::Environment,
        roots::Roots,
        signing::{
            config::{Config, ConfigError, SigningFailure},
            emit,
            facts::{Produced, SigningFacts},
            position::{self, StepPosition},
        },
    },
    tekton::termination::{Entry, EntryType, MAX_MESSAGE},
    workload::{
        address::{Address, AddressError},
        client::Seconds,
        fetch::{FetchSettings, FetchState, Fetcher, Identity},
        id::Attested,
        select::{self, Expectation},
    },
};

/// From TERM or cancellation on, signing may take this long.
const HURRY: Duration = Duration::from_secs(5);
/// The longest reason that is put into a message, in bytes; all of it is on stderr.
const LONGEST_REASON: usize = 400;
/// Signing may take this long before the log says what is waited for.
pub const SILENT_FOR: Duration = Duration::from_secs(2);
/// The fewest users that the user namespace of a container maps (Kubernetes, user namespaces: 65536 a pod).
const USERS_OF_A_CONTAINER: u64 = 65536;
/// The operator's file beside the copied binary, put there by `init`.
const OPERATORS_FILE: &str = "svidence.json";
/// SPIFFE Workload Endpoint, section 4.
const SPIFFE_ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";

/// Why a step is not signed.
#[derive(Debug, thiserror::Error)]
enum NotSigned {
    #[error(
        "the step's name is not known: no link in {steps} leads to {metadata}; \
         the pod's init container must run `init` with the names of the steps"
    )]
    Position { steps: String, metadata: String },
    #[error("the operator's configuration {file} cannot be used: {error}")]
    Config { file: String, error: ConfigError },
    #[error("the operator's configuration {file} cannot be read: {}", io_error::words(error))]
    ConfigFile { file: String, error: io::Error },
    #[error("the Workload API address {text:?} cannot be used: {error}")]
    Address { text: String, error: AddressError },
    #[error("the identity cannot be fetched: no thread could be started: {}", io_error::words(.0))]
    Thread(io::Error),
    #[error("no identity: {0}")]
    NoIdentity(String),
    #[error("the identity {id} is not of the configured trust domain {expected}")]
    TrustDomain { id: String, expected: String },
    #[error(
        "the certificate is pinned to the entrypoint, which must then be the container's first process: process {pid}, \
         parent {parent}; a pod with a shared process namespace cannot use pinned registration"
    )]
    NotFirst { pid: i32, parent: i32 },
    #[error("the certificate is pinned to the entrypoint, but another process traces it")]
    Traced,
    #[error("the certificate is pinned to the entrypoint, which runs in namespaces of a step's own making")]
    Nested,
    #[error("what the step produced could not be handed over: {0}")]
    Failed(String),
    #[error(
        "it is not known whether this step set result {name} or found it so: when the command started, the storage of the \
         results did not answer within a second"
    )]
    Unseen { name: String },
    #[error(transparent)]
    Logged(LoggedError),
    #[error(transparent)]
    Emit(#[from] emit::EmitError),
}

impl NotSigned {
    /// Who can do something about it.
    fn can_be_mended_by(&self) -> &'static str {
        match self {
            Self::NoIdentity(_) | Self::TrustDomain { .. } => {
                "whoever runs SPIRE for this cluster; not the step's author"
            }
            Self::NotFirst { .. } | Self::Traced | Self::Nested => {
                "the step's author, or whoever registers this TaskRun with SPIRE"
            }
            Self::Failed(_) | Self::Logged(_) | Self::Unseen { .. } => "the step's author",
            Self::Emit(emit::EmitError::Identity(_)) => "whoever registers this TaskRun with SPIRE",
            Self::Emit(_) => {
                "the step's author (fewer or shorter results), or whoever sets this cluster's config-spire"
            }
            Self::Position { .. }
            | Self::Config { .. }
            | Self::ConfigFile { .. }
            | Self::Address { .. }
            | Self::Thread(_) => "whoever put svidence into this cluster; not the step's author",
        }
    }
}

/// A step that is going to be signed.
pub struct Signing {
    fetcher: Result<Fetcher, NotSigned>,
    config: Config,
    /// Only an operator's file states a trust domain.
    trust_domain_is_stated: bool,
    position: Option<StepPosition>,
    declared: [u8; DECLARED],
    program: Option<[u8; 32]>,
    declared_names: Vec<String>,
    pod_name: Option<String>,
    pod_uid: Option<[u8; 16]>,
    traced: bool,
    nested: bool,
    deadline: Instant,
}

/// Everything the signer needs that is known before the child starts.
pub struct Before {
    /// Which step this is, if the links tell.
    pub position: Option<StepPosition>,
    /// `-step_metadata_dir`
    pub step_metadata_dir: String,
    /// Digest of what it is given to run, if that could be told.
    pub program: Option<[u8; 32]>,
    /// `-results`
    pub results: Vec<String>,
    /// `-step_results`
    pub step_results: Vec<String>,
    /// `-spire_socket_path`, if given.
    pub socket_path: Option<OsString>,
}

/// What comes of it.
pub enum Signed {
    /// Evidence.
    Entries {
        /// Entries of the TEP-0089 form.
        tep0089: Vec<Entry>,
        /// The attestation's entry.
        attestation: Vec<Entry>,
    },
    /// None.
    Unsigned {
        /// Why.
        reason: String,
        /// Who can do something about it.
        can_be_mended_by: &'static str,
        /// What is in the attestation's place.
        entries: Vec<Entry>,
        /// Whether the step fails for it.
        fail: bool,
    },
}

impl Signing {
    /// Opens the Workload API's stream in a thread of its own; does not wait for anything.
    pub fn start(before: Before, roots: &Roots, environment: &Environment) -> Self {
        let file = roots.tekton.join("bin").join(OPERATORS_FILE);
        let stated = operators_config(&file);
        let (config, trust_domain_is_stated, config_error) = match stated {
            Ok(Some(config)) => (config, true, None),
            Ok(None) => (Config::default(), false, None),
            Err(error) => (Config::default(), false, Some(error)),
        };
        let pod_name = roots.hostname();
        let pod_uid = position::pod_uid(roots);
        let traced = is_traced(roots);
        let nested = is_nested(roots);
        let fetcher = match (config_error, &before.position) {
            (Some(error), _) => Err(error),
            (None, None) => Err(NotSigned::Position {
                steps: roots.steps().display().to_string(),
                metadata: before.step_metadata_dir.clone(),
            }),
            (None, Some(position)) => {
                let expectation = Expectation {
                    pod_name: pod_name.clone(),
                    namespace: fs::read_to_string(roots.service_account.join("namespace"))
                        .ok()
                        .map(|namespace| namespace.trim().to_owned())
                        .filter(|namespace| !namespace.is_empty()),
                    step: Some(position.name.clone()),
                };
                let stated = trust_domain_is_stated.then_some(&config.socket_path);
                fetcher(before.socket_path, stated, environment, &config, expectation)
            }
        };
        Self {
            fetcher,
            trust_domain_is_stated,
            declared: attestation::declared(
                before.results.iter().map(String::as_str),
                before.step_results.iter().map(String::as_str),
            ),
            program: before.program,
            declared_names: before.results.into_iter().chain(before.step_results).collect(),
            deadline: Instant::now() + config.signing_timeout,
            config,
            position: before.position,
            pod_name,
            pod_uid,
            traced,
            nested,
        }
    }

    /// Readable when the state changed.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fetcher.as_ref().ok().map(Fetcher::fd)
    }

    /// The child has ended: the total deadline runs from now.
    pub fn begin(&mut self, now: Instant) {
        // A timeout of zero means one attempt, which has a deadline of its own.
        let total = match self.config.signing_timeout {
            Duration::ZERO => crate::workload::retry::attempt_deadline(None),
            total => total,
        };
        self.deadline = now + total;
        if let Ok(fetcher) = &self.fetcher {
            fetcher.begin(now);
        }
    }

    /// TERM or cancellation: at most five seconds from now.
    pub fn hurry(&mut self, now: Instant) {
        self.deadline = self.deadline.min(now + HURRY);
    }

    /// When to give up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is waited for and until when, for the log.
    pub fn waits_for(&self, now: Instant) -> String {
        let left = Seconds(self.deadline.saturating_duration_since(now));
        let so_far =
            self.fetcher.as_ref().map_or_else(ToString::to_string, |fetcher| fetcher.report(now).to_string());
        format!(
            "the command has ended; waiting for an identity from SPIRE to sign its results with, for {left} more at most. \
             So far: {so_far}"
        )
    }

    /// True if there is an identity, or it is certain that none will come.
    pub fn ready(&mut self) -> bool {
        let Ok(fetcher) = &self.fetcher else { return true };
        fetcher.clear();
        match fetcher.state() {
            FetchState::Ready | FetchState::Failed(_) => true,
            FetchState::Waiting { attempts, last } => {
                self.config.signing_timeout.is_zero() && attempts > 0 && last.is_some()
            }
        }
    }

    /// Signs, or says why not.
    pub fn finish(self, produced: &Produced<'_>) -> Signed {
        let step = self.position.as_ref().map(|position| position.name.clone());
        let fail = self.config.signing_failure == SigningFailure::Fail;
        let containers = self.config.containers;
        let steps = self.position.as_ref().map_or(1, |position| position.count);
        match self.sign(produced) {
            Ok(evidence) => {
                for warning in &evidence.warnings {
                    log::line(&format!("signing: {warning}"));
                }
                Signed::Entries { tep0089: evidence.tep0089, attestation: evidence.attestation }
            }
            Err(error) => {
                let reason = error.to_string();
                let limit = emit::estimated_limit(containers, steps);
                let entries =
                    step.map(|step| placeholder(&step, &error, produced, limit)).unwrap_or_default();
                Signed::Unsigned { reason, can_be_mended_by: error.can_be_mended_by(), entries, fail }
            }
        }
    }

    fn sign(self, produced: &Produced<'_>) -> Result<emit::SignedEntries, NotSigned> {
        let fetcher = self.fetcher?;
        if let Some(failure) = &produced.outcome.failure {
            return Err(NotSigned::Failed(failure.to_string()));
        }
        if let CollectedResults::Logged(Err(error)) = produced.results {
            return Err(NotSigned::Logged(error.clone()));
        }
        if let Some(name) = produced.results.unseen() {
            return Err(NotSigned::Unseen { name: name.to_owned() });
        }
        let identity = fetcher
            .take()
            .ok_or_else(|| NotSigned::NoIdentity(fetcher.report(Instant::now()).to_string()))?;
        drop(fetcher);
        let id = identity.svid.id();
        if self.trust_domain_is_stated && *id.trust_domain() != self.config.trust_domain {
            let expected = self.config.trust_domain.to_string();
            return Err(NotSigned::TrustDomain { id: id.to_string(), expected });
        }
        let attested = identity.svid.attested().ok().flatten();
        check_pin(attested.as_ref(), self.traced, self.nested)?;
        let Some(position) = &self.position else {
            return Err(NotSigned::NoIdentity("the step's name is not known".into()));
        };
        let Identity { svid, bundle } = &identity;
        for left_out in bundle.left_out() {
            log::line(&format!("signing: the SPIRE agent's bundle: {left_out}; nothing is verified by it"));
        }
        if let Some(caution) = svid.caution() {
            log::line(&format!(
                "signing: verifiers leave this unchecked until they are told more: {caution}"
            ));
        }
        let facts = SigningFacts {
            svid,
            bundle,
            attested,
            position,
            declared: self.declared,
            program: self.program,
            declared_names: &self.declared_names,
            pod_name: self.pod_name.as_deref(),
            pod_uid: self.pod_uid,
        };
        Ok(emit::evidence(&facts, produced, &self.config, &SystemRandom::new())?)
    }
}

/// The operator's file, if `init` put one beside the binary.
fn operators_config(file: &std::path::Path) -> Result<Option<Config>, NotSigned> {
    let name = || file.display().to_string();
    match fs::read(file) {
        Ok(json) => {
            Config::from_json(&json).map(Some).map_err(|error| NotSigned::Config { file: name(), error })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NotSigned::ConfigFile { file: name(), error }),
    }
}

/// The address is the first of: the flag, the operator's file, the environment, the default (docs/architecture.md 4.10).
fn fetcher(
    flag: Option<OsString>,
    stated: Option<&Address>,
    environment: &Environment,
    config: &Config,
    expectation: Expectation,
) -> Result<Fetcher, NotSigned> {
    let given = flag.or_else(|| match stated {
        Some(_) => None,
        None => {
            environment.get(SPIFFE_ENDPOINT_SOCKET).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        }
    });
    let address = match given {
        Some(text) => {
            let text = text.to_string_lossy().into_owned();
            text.parse().map_err(|error| NotSigned::Address { text, error })?
        }
        None => config.socket_path.clone(),
    };
    let settings = FetchSettings {
        signing_timeout: config.signing_timeout,
        ..FetchSettings::new(address, expectation.to_string())
    };
    let accept = Box::new(move |svids| select::take(svids, &expectation));
    Fetcher::start(settings, accept).map_err(NotSigned::Thread)
}

/// With a pinned certificate only the container's first process signs, untraced: a step can run the entrypoint itself, and
/// a `kubectl exec` has no parent either (docs/threat-model.md "What a certificate attests").
fn check_pin(attested: Option<&Attested>, traced: bool, nested: bool) -> Result<(), NotSigned> {
    if attested.is_none_or(|attested| attested.pin.is_none()) {
        return Ok(());
    }
    let (pid, parent) = (nix::unistd::getpid().as_raw(), nix::unistd::getppid().as_raw());
    if pid != 1 || parent != 0 {
        return Err(NotSigned::NotFirst { pid, parent });
    }
    if nested {
        return Err(NotSigned::Nested);
    }
    if traced { Err(NotSigned::Traced) } else { Ok(()) }
}

/// `TracerPid` of proc(5); if it cannot be read, nobody vouches for there being none.
fn is_traced(roots: &Roots) -> bool {
    let status = fs::read_to_string(roots.proc.join("self").join("status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(str::trim) != Some("0")
}

/// Whether we run in namespaces of a step's own making, or of hermetic mode: in them, any process can be the first one. Without
/// privilege such a user namespace maps a single user, a container's thousands; and our process then has an ID in each PID
/// namespace from the one of `/proc` down to its own, where a container's first process has one alone.
fn is_nested(roots: &Roots) -> bool {
    let own = |file: &str| fs::read_to_string(roots.proc.join("self").join(file)).unwrap_or_default();
    let (map, status) = (own("uid_map"), own("status"));
    let mapped = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    mapped.fold(0, u64::saturating_add) < USERS_OF_A_CONTAINER
        || ids.is_some_and(|ids| ids.split_whitespace().count() > 1)
}

/// What is in the attestation's place. Results come first: it is shortened, and left out where there is no room.
fn placeholder(step: &str, error: &NotSigned, produced: &Produced<'_>, limit: usize) -> Vec<Entry> {
    let Produced { others, encoding, .. } = *produced;
    let short = match error {
        NotSigned::NoIdentity(_) => "no identity",
        NotSigned::Emit(emit::EmitError::NoRoom { .. }) => "no room",
        NotSigned::Logged(LoggedError::TooLarge { .. } | LoggedError::LargeArtifacts) => "too large",
        _ => "see the step's log",
    };
    let long = match error {
        NotSigned::Emit(emit::EmitError::NoRoom { .. }) => String::new(),
        _ => error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
    };
    let limit = if encoding.encode(others).len() <= limit { limit } else { MAX_MESSAGE };
    for reason in shortened(&long, LONGEST_REASON).chain([short.to_owned()]) {
        let value = format!("{}{reason}", attestation::UNSIGNED);
        let entry = Entry::new(attestation::key(step), value, EntryType::TaskResult);
        let mut entries = others.to_vec();
        entries.push(entry.clone());
        if encoding.fit(&entries).is_ok_and(|message| message.len() <= limit) {
            return vec![entry];
        }
    }
    Vec::new()
}

/// The text if it has at most `longest` bytes, and then what is left of it when words are cut off from its end, with `…`.
fn shortened(text: &str, longest: usize) -> impl Iterator<Item = String> + '_ {
    let whole = (text.len() <= longest && !text.is_empty()).then(|| text.to_owned());
    let ends =
        text.rmatch_indices(' ').map(|(end, _)| end).filter(move |end| end + '…'.len_utf8() <= longest);
    whole
        .into_iter()
        .chain(ends.map(|end| format!("{}…", text[..end].trim_end_matches([' ', ';', ',', ':']))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_words() {
        let all = |text: &str, longest| shortened(text, longest).collect::<Vec<_>>();
        assert_eq!(all("one; two three", 14), ["one; two three", "one; two…", "one…"]);
        assert_eq!(all("one; two three", 13), ["one; two…", "one…"]);
        assert_eq!(all("one; two three", 10), ["one…"]);
        assert_eq!(all("ä ö", 4), ["ä…"; 0]);
        assert_eq!(all("ä ö", 5), ["ä ö", "ä…"]);
        assert_eq!(all("", 5), [""; 0]);
    }
}
