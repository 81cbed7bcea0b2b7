//! The controller's configuration: the ConfigMap `config-spire`, with keys of its own beside those that the steps read
//! ([`crate::step::signing::config`]).

use std::time::Duration;

use go::duration;

use crate::{
    controller::stamping::trusted::Trusted,
    step::signing::config::{Config, ConfigError, NODE_ALIAS_PREFIX, edits_between},
    tekton::taskrun::is_namespace,
    tsa::url::TsaUrl,
    workload::id::{SpiffeId, parse_strict},
};

/// Key of [`Settings::registration`].
pub const REGISTRATION: &str = "svidence-registration";
/// Key of [`Settings::attest`].
pub const ATTEST: &str = "svidence-attest";
/// Key of [`Settings::programs`].
pub const ENTRYPOINT_SHA256: &str = "svidence-entrypoint-sha256";
/// Key of [`Settings::svid_ttl`].
pub const SVID_TTL: &str = "svidence-svid-ttl";
/// Key of [`Settings::agent_namespace`].
pub const AGENT_NAMESPACE: &str = "svidence-agent-namespace";
/// Key of [`Settings::agent_cluster`].
pub const AGENT_CLUSTER: &str = "svidence-agent-cluster";
/// Key of [`Settings::judging`].
pub const JUDGING: &str = "svidence-judging";
/// Key of [`Settings::condition`].
pub const CONDITION: &str = "svidence-condition";
/// Key of [`Settings::timestamp_url`].
pub const TIMESTAMP_URL: &str = "svidence-timestamp-url";
/// Key of [`Settings::timestamp_certificates`].
pub const TIMESTAMP_CERTIFICATES: &str = "svidence-timestamp-certificates";

/// Key of [`Settings::class_name`].
pub const CLASS_NAME: &str = "svidence-class-name";

/// Every key that is the controller's alone.
pub const KEYS: [&str; 11] = [
    REGISTRATION,
    ATTEST,
    ENTRYPOINT_SHA256,
    SVID_TTL,
    AGENT_NAMESPACE,
    AGENT_CLUSTER,
    CLASS_NAME,
    JUDGING,
    CONDITION,
    TIMESTAMP_URL,
    TIMESTAMP_CERTIFICATES,
];

/// Keys whose values no error repeats: a URL may hold a password, and certificates are so long that an Event would end before the reason.
const UNSHOWN: [&str; 2] = [TIMESTAMP_URL, TIMESTAMP_CERTIFICATES];
/// In the place of such a value.
const NOT_SHOWN: &str = "(not shown)";

/// Below a minute an agent would do nothing but renew (SPIRE renews at half of an SVID's life).
const SHORTEST_SVID: Duration = Duration::from_secs(60);
const LONGEST_SVID: Duration = Duration::from_secs(24 * 3600);
/// Programs that may be in use at the same time: each makes one more entry for each step.
const MOST_PROGRAMS: usize = 4;

/// How TaskRuns are registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// By their pod, as soon as it has a node.
    #[default]
    Pod,
    /// By the owner reference of their pods, as soon as the TaskRun is there: earlier, and weaker.
    Owner,
    /// By their pod, too, but as objects of which spire-controller-manager makes entries.
    ClusterStaticEntry,
    /// Nothing new; what has entries keeps them until its run ends.
    Off,
}

impl Registration {
    const ALL: [Self; 4] = [Self::Pod, Self::Owner, Self::ClusterStaticEntry, Self::Off];

    /// The value as it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Owner => "owner",
            Self::ClusterStaticEntry => "cluster-static-entry",
            Self::Off => "off",
        }
    }
}

/// What a certificate attests besides namespace and name of the TaskRun (docs/evidence.md 8), and so what its entry selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attest {
    /// The run.
    Run,
    /// And the step.
    #[default]
    Step,
    /// And the program that holds the key.
    Executable,
    /// And the image of its container, as soon as the kubelet has said it.
    Image,
}

impl Attest {
    const ALL: [Self; 4] = [Self::Run, Self::Step, Self::Executable, Self::Image];

    /// The value as it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Step => "step",
            Self::Executable => "executable",
            Self::Image => "image",
        }
    }

    /// Whether it pins the program.
    pub fn pins(self) -> bool {
        matches!(self, Self::Executable | Self::Image)
    }
}

/// In the place of a node's name: the alias of all nodes. No node is called so.
pub const ALL_NODES: &str = "_all";

/// SHA-256 of a program.
pub type ProgramDigest = [u8; 32];

/// What the controller's own keys say. The defaults are what a missing key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How TaskRuns are registered.
    pub registration: Registration,
    /// What certificates attest.
    pub attest: Attest,
    /// The entrypoints that may hold a key. More than one while pods with an older one are still running.
    pub programs: Vec<ProgramDigest>,
    /// How long a step's SVID is valid, in whole seconds.
    pub svid_ttl: Duration,
    /// The namespace of SPIRE's agents.
    pub agent_namespace: String,
    /// What the agents' node attestor calls this cluster, if that is to be selected, too.
    pub agent_cluster: Option<String>,
    /// Which spire-controller-manager is to make the entries (its `className`); `None` for whichever looks at objects without a class.
    pub class_name: Option<String>,
    /// Whether runs that have ended are judged.
    pub judging: bool,
    /// Whether a verdict is also a condition of the run's status.
    pub condition: bool,
    /// The time-stamp authority that is asked for tokens of verified runs.
    pub timestamp_url: Option<TsaUrl>,
    /// Those whose tokens count.
    pub timestamp_certificates: Trusted,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration: Registration::default(),
            attest: Attest::default(),
            programs: Vec::new(),
            svid_ttl: Duration::from_secs(15 * 60),
            agent_namespace: "spire".to_owned(),
            agent_cluster: None,
            class_name: None,
            judging: true,
            condition: false,
            timestamp_url: None,
            timestamp_certificates: Trusted::default(),
        }
    }
}

/// The whole ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What the steps read, too.
    pub shared: Config,
    /// What the controller alone reads.
    pub settings: Settings,
}

impl Configuration {
    /// Reads the keys and values of the ConfigMap's `data`.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut settings = Settings::default();
        let (mut shared, mut seen) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                shared.push((key, value));
                continue;
            };
            if seen.contains(&known) {
                return Err(ConfigError::Twice { key });
            }
            seen.push(known);
            settings.set(known, &value).map_err(|reason| {
                let value = if UNSHOWN.contains(&known) { NOT_SHOWN.to_owned() } else { value };
                ConfigError::Value { key: known, value, reason }
            })?;
        }
        let shared = Config::from_entries(shared).map_err(closest)?;
        if settings.attest.pins() && settings.programs.is_empty() {
            let reason =
                format!("needs the program's hash in {ENTRYPOINT_SHA256}: sha256sum dist/entrypoint");
            let value = settings.attest.as_str().to_owned();
            return Err(ConfigError::Value { key: ATTEST, value, reason });
        }
        if let Some(reason) = settings.contradicts_owner() {
            let value = settings.registration.as_str().to_owned();
            return Err(ConfigError::Value { key: REGISTRATION, value, reason });
        }
        if settings.timestamp_url.is_some() && settings.timestamp_certificates.is_empty() {
            let reason = format!(
                "needs the certificate of the time-stamp authority, or that of its root, in {TIMESTAMP_CERTIFICATES}: a token that nobody can \
                 check is not kept"
            );
            return Err(ConfigError::Value { key: TIMESTAMP_URL, value: NOT_SHOWN.to_owned(), reason });
        }
        let configuration = Self { shared, settings };
        // Any cluster and node: what may be wrong is the prefix.
        configuration.node_alias("cluster", ALL_NODES).map_err(|reason| ConfigError::Value {
            key: NODE_ALIAS_PREFIX,
            value: configuration.shared.node_alias_prefix.clone(),
            reason,
        })?;
        Ok(configuration)
    }

    /// The SPIFFE ID that the agent of a node, or that of each ([`ALL_NODES`]), has beside its own. `cluster` is what tells this cluster's
    /// from those of another one, whose nodes may have the same names.
    pub fn node_alias(&self, cluster: &str, node: &str) -> Result<SpiffeId, String> {
        let Config { trust_domain, node_alias_prefix, .. } = &self.shared;
        if node_alias_prefix.starts_with("/spire/") {
            return Err("begins with \"/spire/\", which SPIRE keeps for itself".to_owned());
        }
        parse_strict(&format!("spiffe://{trust_domain}{node_alias_prefix}{cluster}/{node}"))
            .map_err(|error| format!("makes no SPIFFE ID with a node's name: {error}"))
    }
}

/// The key that resembles an unknown one most may be one of the controller's.
fn closest(error: ConfigError) -> ConfigError {
    let ConfigError::UnknownKey { key, closest } = error else { return error };
    let all = [closest].into_iter().chain(KEYS);
    // Whoever has left out `svidence-` means the key that ends so.
    let distance = |known: &&str| (!known.ends_with(&key), edits_between(&key, known));
    let closest = all.min_by_key(distance).unwrap_or(closest);
    ConfigError::UnknownKey { key, closest }
}

impl Settings {
    /// Why runs cannot be registered by their owner reference, if they are to be.
    fn contradicts_owner(&self) -> Option<String> {
        if self.registration != Registration::Owner {
            return None;
        }
        match (self.attest, &self.agent_cluster) {
            (Attest::Run, Some(_)) => None,
            (Attest::Run, None) => Some(format!(
                "is served by all agents of the cluster: it needs {AGENT_CLUSTER}, which tells them from those of another one"
            )),
            _ => Some(format!("can attest the run and no more: it needs {ATTEST}: \"run\"")),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            REGISTRATION => self.registration = one_of(value, &Registration::ALL, |way| way.as_str())?,
            ATTEST => self.attest = one_of(value, &Attest::ALL, |what| what.as_str())?,
            ENTRYPOINT_SHA256 => self.programs = programs(value)?,
            SVID_TTL => self.svid_ttl = svid_ttl(value)?,
            AGENT_NAMESPACE if is_namespace(value) => self.agent_namespace = value.to_owned(),
            AGENT_NAMESPACE => return Err("is not the name of a namespace".to_owned()),
            CLASS_NAME if is_word(value) => self.class_name = Some(value.to_owned()),
            CLASS_NAME => {
                return Err("is not the name of a class; leave the key out if there is none".to_owned());
            }
            JUDGING => self.judging = one_of(value, &[true, false], |on| if on { "on" } else { "off" })?,
            CONDITION => {
                self.condition = one_of(value, &[true, false], |on| if on { "true" } else { "false" })?;
            }
            TIMESTAMP_URL => {
                self.timestamp_url =
                    Some(value.parse::<TsaUrl>().map_err(|why| format!("is no address: {why}"))?)
            }
            TIMESTAMP_CERTIFICATES => self.timestamp_certificates = Trusted::from_pem(value)?,
            _ if is_word(value) => self.agent_cluster = Some(value.to_owned()),
            _ => return Err("is not the name of a cluster; leave the key out to select none".to_owned()),
        }
        Ok(())
    }
}

fn is_word(value: &str) -> bool {
    !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn one_of<T: Copy>(value: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|known| name(*known) == value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|known| name(*known)).collect();
        format!("must be one of: {}", names.join(", "))
    })
}

fn programs(value: &str) -> Result<Vec<ProgramDigest>, String> {
    let mut programs = Vec::new();
    for hash in value.split(',').map(str::trim) {
        let program = program(hash)
            .ok_or("is not a SHA-256 in 64 small hexadecimal digits, or several with commas between them")?;
        if !programs.contains(&program) {
            programs.push(program);
        }
    }
    match programs.len() {
        1..=MOST_PROGRAMS => Ok(programs),
        count => Err(format!("names {count} programs, at most {MOST_PROGRAMS} can be registered at a time")),
    }
}

fn program(hash: &str) -> Option<ProgramDigest> {
    if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut program = ProgramDigest::default();
    for (byte, at) in program.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hash.get(at..at + 2)?, 16).ok()?;
    }
    Some(program)
}

fn svid_ttl(value: &str) -> Result<Duration, String> {
    let nanoseconds = duration::parse(value.as_bytes())
        .ok_or("is not a duration such as \"15m\" or \"1h\" (a number needs its unit)")?;
    let ttl = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    match (SHORTEST_SVID..=LONGEST_SVID).contains(&ttl) && ttl.subsec_nanos() == 0 {
        true => Ok(ttl),
        false => Err("must be from 1m to 24h, in whole seconds".to_owned()),
    }
}
