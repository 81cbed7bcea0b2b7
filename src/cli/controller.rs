//! `svidence controller`: registers TaskRuns with SPIRE, until it is told to end.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    ops::ControlFlow,
    path::{Path, PathBuf},
    str::FromStr,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{
    cli::{
        access::AccessArgs,
        input::Input,
        refusal::{Refusal, unchecked, usage},
        web_authorities,
    },
    controller::{
        cache::Scope,
        identity::{self, OwnIdentity},
        judging::{
            self,
            run::{JudgingHeard, JudgingSaid},
        },
        leading::{Leadership, hold},
        log::Log,
        metrics::Metrics,
        objects::{POD_LABEL, Seen, WatchedTaskRun, each},
        probes,
        registrar::pause_after,
        registration::entry::ClusterTag,
        run::{Change, LoopEnded, Surroundings, run as keep},
        stamping::{self, run::Stamper},
        static_entries::kept::KeptEntries,
    },
    http::proxies::Proxies,
    io_error,
    sources::{
        kubernetes::{
            by_name::RunsByName,
            cluster_id,
            event::{Events, Warning},
            follow::{Follow, Followed, Objects, Told},
            lease::Lease,
            runs::Namespace,
            static_entry::StaticEntries,
        },
        run_name::{Name, RunKind},
    },
    surroundings,
    verify::Verdict,
    workload::{
        address::Address,
        id::{SpiffeId, parse_strict},
    },
};

/// Where the CSI driver mounts the folder of the agent's socket, and what SPIRE's own manifests call that.
const SOCKET: &str = "unix:///spiffe-workload-api/spire-agent.sock";
/// What events say they are from.
const COMPONENT: &str = "svidence-controller";
/// How long the API server may take to answer about the lease: one that is not renewed in time is lost.
const LEASE_PATIENCE: Duration = Duration::from_secs(3);
/// And about an object: who has begun to ask while it held the lease has its answer before another may take that.
const OBJECT_PATIENCE: Duration = Duration::from_secs(3);
/// Warnings that may wait to be noted.
const MOST_WARNINGS: usize = 1000;

/// An object of a namespace: `NS/NAME`.
#[derive(Debug, Clone)]
struct ObjectName {
    namespace: Namespace,
    name: Name,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) =
            text.split_once('/').ok_or("it must be NS/NAME, for example tekton-pipelines/config-spire")?;
        Ok(Self {
            namespace: namespace.parse().map_err(|reason| format!("the namespace is {reason}"))?,
            name: name.parse().map_err(|reason| format!("the name is {reason}"))?,
        })
    }
}

/// Arguments of `svidence controller`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ControllerArgs {
    /// The ConfigMap that says what is registered, and where
    #[arg(long, value_name = "NS/NAME", default_value = "tekton-pipelines/config-spire")]
    config: ObjectName,
    /// Register only the TaskRuns of this namespace; may be given several times [default: all namespaces]
    #[arg(short, long = "namespace", value_name = "NS")]
    namespaces: Vec<Namespace>,
    /// The SPIFFE agent that gives the controller its own identity [env: SPIFFE_ENDPOINT_SOCKET] [default:
    /// unix:///spiffe-workload-api/spire-agent.sock]
    #[arg(long, value_name = "ADDRESS")]
    workload_api: Option<String>,
    /// The controller's own SPIFFE ID, if the agent offers it several
    #[arg(long, value_name = "ID")]
    spiffe_id: Option<String>,
    /// Keep every authority that the trust domain was ever seen to have in this folder, as `svidence bundle add` does
    #[arg(long, value_name = "DIR")]
    authorities: Option<PathBuf>,
    /// Act only while holding this Lease, so that of several replicas one acts
    #[arg(long, value_name = "NS/NAME")]
    lease: Option<ObjectName>,
    /// Answer /healthz, /readyz and /metrics at this address, for example 0.0.0.0:8080
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Authorities (PEM) of the time-stamp authority's web server, if svidence-timestamp-url is https [default:
    /// /etc/ssl/certs/ca-certificates.crt, if it is there]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
}

const EXAMPLES: &str = "\
Examples:
  svidence controller
  svidence controller --lease=tekton-pipelines/svidence-controller
  svidence controller -n builds --spiffe-id=spiffe://example.org/svidence";

/// Runs `svidence controller`; returns the exit code. Lines of JSON go to `err`, unless it is the arguments that are wrong.
pub fn run(args: &ControllerArgs, err: &mut dyn Write) -> u8 {
    // The allocator asks for huge pages, each of which is in memory as a whole, for each of a dozen threads that need little: 50 MB. A kernel
    // that refuses costs these and nothing else.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let ended = begin(args, err);
    let mut log = Log::new(err, surroundings::now_in_seconds);
    match ended {
        Ok(LoopEnded::Told) => 0,
        Ok(LoopEnded::Lost) => {
            log.error("the lease is lost: another controller may act now", &[]);
            Verdict::Unchecked.exit_code()
        }
        Err(refusal) => {
            let Refusal { exit_code, text } = &refusal;
            match refusal.is_usage() {
                true => drop(writeln!(err, "svidence controller: {text}")),
                false => log.error(text, &[]),
            }
            *exit_code
        }
    }
}

fn begin(args: &ControllerArgs, err: &mut dyn Write) -> Result<LoopEnded, Refusal> {
    let address = workload_api(args.workload_api.as_deref())?;
    let wanted = args.spiffe_id.as_deref().map(parse_strict).transpose();
    let wanted = wanted.map_err(|error| usage(format!("--spiffe-id: {error}")))?;
    let now = surroundings::now_in_seconds;
    let (metrics, mut log) = (Metrics::default(), Log::new(err, now));
    let leadership = args.lease.as_ref().map_or_else(Leadership::undisputed, |_| Leadership::by_lease());
    let (tell, changes) = channel();
    // Before there are other threads, which inherit it.
    end_on_signals(&leadership, &tell)?;
    listen(args, &metrics, &leadership, &mut log)?;
    let Some(tag) = cluster(args, &changes, &mut log)? else { return Ok(LoopEnded::Told) };
    let scopes: Vec<Option<Namespace>> = match args.namespaces.as_slice() {
        [] => vec![None],
        named => named.iter().cloned().map(Some).collect(),
    };
    let identity = own_identity(address, wanted, &tell)?;
    let (judging, heard) = channel();
    follow_all(args, &scopes, &tell, &judging)?;
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let warnings = note_events(args, &host, &tell)?;
    let stamper = stamp(args, (&leadership, &metrics, &warnings), &tell)?;
    judge(args, heard, (&identity, &leadership, &metrics, &warnings), stamper, &tell)?;
    let held = lead(args, &host, &leadership, tell)?;
    let scopes: Vec<Scope> = scopes.iter().map(scope).collect();
    let objects = StaticEntries::new(args.access.find()?, OBJECT_PATIENCE);
    let static_entries = KeptEntries::new(objects, leadership.clone(), now);
    let surroundings =
        Surroundings { changes, warnings, judging, identity, static_entries, leadership, metrics, log, now };
    let ended = keep(surroundings, &scopes, tag).map_err(|error| not_started(&error))?;
    if let Some((end, holder)) = held {
        // Given up, so that another one need not wait.
        drop(end);
        let _ = holder.join();
    }
    Ok(ended)
}

/// Which cluster it is, asked for until that is known; `None` if it is told to end before.
fn cluster(
    args: &ControllerArgs,
    changes: &Receiver<Change>,
    log: &mut Log<'_>,
) -> Result<Option<ClusterTag>, Refusal> {
    let mut failures = 0_u32;
    loop {
        let error = match cluster_id::fetch(args.access.find()?, args.access.caller().patience()) {
            Ok(uid) => {
                let odd = || unchecked(format!("the UID {uid:?} of the namespace kube-system is not a UUID"));
                return ClusterTag::of(&uid).ok_or_else(odd).map(Some);
            }
            Err(error) => error,
        };
        failures = failures.saturating_add(1);
        let pause = pause_after(failures);
        log.error(&error.to_string(), &[("againInSeconds", pause.as_secs_f64().into())]);
        // Nothing else is told yet.
        match changes.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Notes warnings as events, in a thread of its own.
fn note_events(
    args: &ControllerArgs,
    host: &str,
    tell: &Sender<Change>,
) -> Result<SyncSender<Warning>, Refusal> {
    let (warnings, to_note) = sync_channel(MOST_WARNINGS);
    let source = (COMPONENT, host.to_owned());
    let mut events = Events::new(args.access.find()?, source, args.access.caller().patience());
    let tell = tell.clone();
    spawn("events", move || {
        for warning in to_note {
            if let Err(error) = events.warn(&warning) {
                let _ = tell.send(Change::NotNoted(error));
            }
        }
    })?;
    Ok(warnings)
}

/// Answers the kubelet and Prometheus, if that is wanted.
fn listen(
    args: &ControllerArgs,
    metrics: &Metrics,
    leadership: &Leadership,
    log: &mut Log<'_>,
) -> Result<(), Refusal> {
    let Some(address) = args.listen else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .map_err(|error| unchecked(format!("--listen {address}: {}", io_error::words(&error))))?;
    let address = listener.local_addr().map_err(|error| not_started(&error))?;
    log.info("the controller listens", &[("address", address.to_string().into())]);
    for _ in 0..probes::THREADS {
        let listener = listener.try_clone().map_err(|error| not_started(&error))?;
        let (metrics, leadership) = (metrics.clone(), leadership.clone());
        spawn("probes", move || probes::serve(&listener, &metrics, &leadership))?;
    }
    Ok(())
}

/// What ends the thread that holds the lease, and the thread.
type Held = (Sender<()>, JoinHandle<()>);

/// Holds the lease, if there is one.
fn lead(
    args: &ControllerArgs,
    host: &str,
    leadership: &Leadership,
    tell: Sender<Change>,
) -> Result<Option<Held>, Refusal> {
    let Some(ObjectName { namespace, name }) = args.lease.clone() else { return Ok(None) };
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| unchecked("there is no randomness".to_owned()))?;
    let identity = format!("{host}_{}", x509::text::hex(&random));
    let lease = Lease::new(args.access.find()?, (namespace, name), identity, LEASE_PATIENCE);
    let (end, ends) = channel();
    let held = leadership.clone();
    let thread = spawn("lease", move || {
        let tell = |turn| drop(tell.send(Change::Lease(turn)));
        hold(lease, &held, &tell, &ends, surroundings::now_in_seconds);
    })?;
    Ok(Some((end, thread)))
}

/// Follows pods and TaskRuns of all scopes, and the ConfigMap, each in a thread that ends with the process.
fn follow_all(
    args: &ControllerArgs,
    scopes: &[Option<Namespace>],
    tell: &Sender<Change>,
    judging: &Sender<JudgingHeard>,
) -> Result<(), Refusal> {
    for namespace in scopes {
        let (pods, task_runs) = (scope(namespace), scope(namespace));
        follow(args, Objects::Pods(namespace.clone(), POD_LABEL), tell, move |told| {
            Some(Change::Pods(pods.clone(), told, Instant::now()))
        })?;
        let judge = judging.clone();
        follow(args, Objects::TaskRuns(namespace.clone()), tell, move |mut told| {
            let at = Instant::now();
            // At once: whoever judges must not wait for who registers.
            if let Some(seen) = each(&mut told, WatchedTaskRun::take_seen) {
                let _ = judge.send(JudgingHeard::Runs(RunKind::TaskRun, task_runs.clone(), seen, at));
            }
            Some(Change::TaskRuns(task_runs.clone(), told, at))
        })?;
        let (judge, pipeline_runs) = (judging.clone(), scope(namespace));
        follow(args, Objects::PipelineRuns(namespace.clone()), tell, move |told: Told<Seen>| match told {
            Told::Failed(error) => Some(Change::Judging(JudgingSaid::NotFollowed(error))),
            told => {
                let heard =
                    JudgingHeard::Runs(RunKind::PipelineRun, pipeline_runs.clone(), told, Instant::now());
                let _ = judge.send(heard);
                None
            }
        })?;
    }
    let ObjectName { namespace, name } = args.config.clone();
    let config_map = Objects::ConfigMap(namespace, name.as_str().to_owned());
    follow(args, config_map, tell, |told| Some(Change::ConfigMap(told)))
}

fn follow<T: Followed + 'static>(
    args: &ControllerArgs,
    objects: Objects,
    tell: &Sender<Change>,
    change: impl Fn(Told<T>) -> Option<Change> + Send + 'static,
) -> Result<(), Refusal> {
    let follow = Follow::new(args.access.find()?, objects, args.access.caller().patience());
    let tell = tell.clone();
    spawn("follow", move || {
        follow.run(&mut |told| match change(told).is_none_or(|change| tell.send(change).is_ok()) {
            true => ControlFlow::Continue(()),
            // Nobody listens any more.
            false => ControlFlow::Break(()),
        });
    })
    .map(drop)
}

/// Judges runs that have ended, in a thread of its own.
fn judge(
    args: &ControllerArgs,
    heard: Receiver<JudgingHeard>,
    (identity, leadership, metrics, warnings): (&OwnIdentity, &Leadership, &Metrics, &SyncSender<Warning>),
    stamper: Stamper,
    tell: &Sender<Change>,
) -> Result<(), Refusal> {
    let tell = tell.clone();
    let surroundings = judging::run::JudgingSurroundings {
        heard,
        runs: RunsByName::new(args.access.find()?, args.access.caller().patience()),
        identity: identity.clone(),
        leadership: leadership.clone(),
        metrics: metrics.clone(),
        warnings: warnings.clone(),
        folder: args.authorities.clone(),
        stamper,
        say: Box::new(move |said| drop(tell.send(Change::Judging(said)))),
        now: surroundings::now_in_seconds,
    };
    spawn("judging", move || judging::run::run(surroundings)).map(drop)
}

/// Has verified runs time-stamped, in a thread of its own.
fn stamp(
    args: &ControllerArgs,
    (leadership, metrics, warnings): (&Leadership, &Metrics, &SyncSender<Warning>),
    tell: &Sender<Change>,
) -> Result<Stamper, Refusal> {
    let mut nothing = std::io::empty();
    let mut input = Input::new(&mut nothing, &[]);
    let authorities = match &args.tls_ca {
        Some(file) => web_authorities::read("--tls-ca", file, &mut input)?,
        // It is needed for https alone.
        None => web_authorities::read("--tls-ca", Path::new(web_authorities::SYSTEM), &mut input)
            .unwrap_or_default(),
    };
    let (stamper, handed_over) = Stamper::new();
    let tell = tell.clone();
    let surroundings = stamping::run::StampingSurroundings {
        handed_over,
        runs: RunsByName::new(args.access.find()?, args.access.caller().patience()),
        authorities,
        proxies: Proxies::of(&surroundings::variable),
        leadership: leadership.clone(),
        metrics: metrics.clone(),
        warnings: warnings.clone(),
        say: Box::new(move |said| drop(tell.send(Change::Stamping(said)))),
        now: surroundings::now_in_seconds,
    };
    spawn("stamping", move || stamping::run::run(surroundings))?;
    Ok(stamper)
}

fn scope(namespace: &Option<Namespace>) -> Scope {
    namespace.as_ref().map(|namespace| namespace.as_str().to_owned())
}

fn own_identity(
    address: Address,
    wanted: Option<SpiffeId>,
    tell: &Sender<Change>,
) -> Result<OwnIdentity, Refusal> {
    let mut random = [0; 8];
    // Without randomness the attempts are merely not spread.
    let _ = SystemRandom::new().fill(&mut random);
    let tell = tell.clone();
    let settings = identity::IdentitySettings {
        address,
        wanted,
        now: surroundings::now_in_seconds,
        random: u64::from_ne_bytes(random),
        changed: Box::new(move || {
            let _ = tell.send(Change::Identity);
        }),
    };
    OwnIdentity::start(settings).map_err(|error| not_started(&error))
}

fn workload_api(stated: Option<&str>) -> Result<Address, Refusal> {
    let variable = surroundings::variable("SPIFFE_ENDPOINT_SOCKET").filter(|value| !value.is_empty());
    let (option, text) = match (stated, variable) {
        (Some(text), _) => ("--workload-api", text.to_owned()),
        (None, Some(text)) => ("SPIFFE_ENDPOINT_SOCKET", text.to_string_lossy().into_owned()),
        (None, None) => ("--workload-api", SOCKET.to_owned()),
    };
    text.parse().map_err(|error| usage(format!("{option}: {error}")))
}

/// SIGTERM, which Kubernetes sends, and SIGINT end the loop, and the call that it waits for, and not the process at once.
fn end_on_signals(leadership: &Leadership, tell: &Sender<Change>) -> Result<(), Refusal> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(|error| not_started(&error.into()))?;
    let (leadership, tell) = (leadership.clone(), tell.clone());
    spawn("signals", move || {
        if signals.wait().is_ok() {
            // What it waits for may take long.
            leadership.end();
            let _ = tell.send(Change::End);
        }
    })
    .map(drop)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Refusal> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| not_started(&error))
}

fn not_started(error: &std::io::Error) -> Refusal {
    unchecked(format!("it cannot start: {}", io_error::words(error)))
}
