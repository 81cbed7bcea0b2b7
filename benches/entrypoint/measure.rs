//! What is measured, and how.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::mpsc::RecvTimeoutError,
    thread::sleep,
    time::Duration,
};

use nix::sys::wait::waitpid;
use serde_json::json;

use super::{
    agent::{Calls, watch},
    figures::{Pair, Row, Samples},
    spire::{EntryOptions, Spire, SpireOptions},
    step::{Command, Ended, OTHER_USER, Posts, Running, Step, ms, now},
};

/// Runs of each program for what takes milliseconds.
const RUNS: usize = 200;
/// Runs of each program for what takes longer.
const LONG_RUNS: usize = 50;
/// The first ones fill the page cache.
const WARM_UP: usize = 5;
/// Steps of each program that wait for one entry, and how often that is repeated.
const LATE_STEPS: usize = 4;
const LATE_ENTRIES: usize = 13;
/// Each is seven variables. A namespace may have that many services.
const SERVICE_LINKS: usize = 5000;
/// Steps that the agent refuses, for how long it is looked at, and how often that is repeated for each program.
const REFUSED_STEPS: usize = 100;
const REFUSED_FOR: Duration = Duration::from_secs(10);
const REFUSED_ROUNDS: usize = 2;
/// A second of Linux's accounting (`USER_HZ`).
const TICKS: u32 = 100;
/// Often enough to wait for, and seldom enough not to take the processor from what is measured.
pub(crate) const SYNC: Duration = Duration::from_millis(100);
/// A command that takes this long leaves time to fetch an identity.
const LONG_COMMAND: Duration = Duration::from_millis(100);
const NO_TIME_TO_FETCH: &str = "the identity is asked for when the command starts, and this one has ended before the agent has taken \
     the new connection and found out who calls; the agent's median is for a connection that was open already";
const AT_ONCE: Command = Command::Child { takes: Duration::ZERO, results: 0 };

/// The two programs, in a `/tekton` that nobody else sees.
pub(crate) struct Bench {
    tekton: PathBuf,
    ours: PathBuf,
    posts: Posts,
}

impl Bench {
    /// Copies both programs to where a pod has its entrypoint, and compiles the steps' command.
    pub(crate) fn new(tekton: &Path, ours: &Path) -> Self {
        for folder in ["bin", "downward", "steps", "artifacts", "results"] {
            fs::create_dir_all(Path::new("/tekton").join(folder)).unwrap();
        }
        fs::set_permissions("/tekton/results", fs::Permissions::from_mode(0o777)).unwrap();
        fs::write("/tekton/downward/ready", "READY").unwrap();
        let bin = Path::new("/tekton/bin");
        let bench = Self { tekton: bin.join("tekton"), ours: bin.join("svidence"), posts: Posts::watch() };
        for (from, to) in [(tekton, &bench.tekton), (ours, &bench.ours)] {
            fs::copy(from, to).unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/entrypoint/child.c");
        let mut compiler = process::Command::new("cc");
        compiler.args(["-O2", "-static", "-o"]).arg(bin.join("child")).arg(source);
        let compiled = compiler.status().is_ok_and(|status| status.success());
        assert!(compiled, "the steps' command cannot be compiled; install a C compiler with a static libc");
        bench
    }

    /// Has both programs take turns, and each be first as often as the other.
    fn take_turns(&self, runs: usize, mut turn: impl FnMut(&Path) -> f64) -> Pair {
        let mut pair = Pair::default();
        for run in 0..runs + WARM_UP {
            for ours in [run % 2 == 0, run % 2 == 1] {
                let sample = turn(if ours { &self.ours } else { &self.tekton });
                if run >= WARM_UP {
                    pair.push(ours, sample);
                }
            }
        }
        pair
    }

    pub(crate) fn unsigned(&self) -> Vec<Row> {
        let (mut start, mut cpu) = (Pair::default(), Pair::default());
        let total = self.take_turns(RUNS, |program| {
            let timed = Step::new(program, AT_ONCE).start().end();
            let plain = Step::new(program, Command::True).start().end();
            let ours = program == self.ours;
            start.push(ours, ms(timed.started, timed.child.0));
            cpu.push(ours, plain.cpu.as_secs_f64() * 1e3);
            ms(plain.started, plain.ended)
        });
        vec![
            Row::new("entrypoint's exec → command's main", "ms", start).at_most(2.0, None),
            Row::new("the whole step, `/bin/true`", "ms", total),
            Row::new("CPU time of that", "ms", cpu),
        ]
    }

    /// The variables of many services: what is quadratic in them shows.
    pub(crate) fn service_links(&self) -> Vec<Row> {
        let mut cpu = Pair::default();
        let start = self.take_turns(LONG_RUNS, |program| {
            let step = Step { service_links: SERVICE_LINKS, ..Step::new(program, AT_ONCE) };
            let ended = step.start().end();
            cpu.push(program == self.ours, ended.cpu.as_secs_f64() * 1e3);
            ms(ended.started, ended.child.0)
        });
        vec![
            Row::new("exec → command's main, 5,000 service links", "ms", start),
            Row::new("CPU time of that step", "ms", cpu),
        ]
    }

    /// Both wait for a file each; the files are made at moments that are spread over Tekton's second.
    pub(crate) fn waiting(&self) -> Vec<Row> {
        let mut latency = Pair::default();
        for run in 0..LONG_RUNS {
            let mut steps = [&self.tekton, &self.ours].map(|program| {
                let index = usize::from(*program == self.ours);
                Step { index, waits: true, ..Step::new(program, AT_ONCE) }
            });
            if run % 2 == 1 {
                steps.reverse();
            }
            let running = steps.map(|step| step.start());
            sleep(Duration::from_millis(50) + Duration::from_secs(1) * run as u32 / LONG_RUNS as u32);
            for (step, running) in steps.iter().zip(running) {
                let made = now();
                fs::File::create(step.wait_file()).unwrap();
                let sample = ms(made, running.end().child.0);
                latency.push(step.program == self.ours, sample);
            }
        }
        vec![Row::new("awaited file created → command's main", "ms", latency).at_most(2.0, Some(10.0))]
    }
}

/// A SPIRE of one's own that has the steps' identity at hand.
pub(crate) struct WarmAgent<'a> {
    bench: &'a Bench,
    spire: Spire,
    sync: Duration,
    socket: String,
}

impl WarmAgent<'_> {
    /// `sync`: how often SPIRE's agent and server look for changes.
    pub(crate) fn start(bench: &Bench, sync: Duration) -> WarmAgent<'_> {
        let spire = Spire::start(SpireOptions { sync, ..SpireOptions::default() }).expect("SPIRE is built");
        spire.entry(EntryOptions::new("/ns/default/taskrun/bench"));
        let socket = spire.socket_uri();
        let agent = WarmAgent { bench, spire, sync, socket };
        agent.reckon_with_containers(3);
        agent.step(&bench.ours, AT_ONCE).start().end();
        agent
    }

    fn step<'a>(&'a self, program: &'a Path, command: Command) -> Step<'a> {
        Step { socket: Some(&self.socket), ..Step::new(program, command) }
    }

    /// Writes the operator's file: so many containers share the 12288 bytes that the kubelet keeps.
    fn reckon_with_containers(&self, containers: usize) {
        let entries = json!({"spire-trust-domain": "example.org", "spire-socket-path": self.socket,
            "svidence-containers": containers.to_string()});
        fs::write("/tekton/bin/svidence.json", entries.to_string()).unwrap();
    }

    /// The agent's own time is taken in the same run, a call before each step. Our post file comes after signing; Tekton's
    /// comes before, so that the end of its process has to tell.
    pub(crate) fn signing(&self) -> Vec<Row> {
        let mut calls = Calls::new(&self.socket);
        let (mut cpu, mut end) = (Pair::default(), Pair::default());
        let mut after = |takes| {
            self.bench.take_turns(RUNS / 2, |program| {
                calls.sample();
                self.bench.posts.clear();
                let ended = self.step(program, Command::Child { takes, results: 3 }).start().end();
                let posted = self.bench.posts.of(0);
                let ours = program == self.bench.ours;
                cpu.push(ours, ended.cpu.as_secs_f64() * 1e3);
                if !takes.is_zero() {
                    end.push(ours, ms(ended.child.1, ended.ended));
                }
                ms(ended.child.1, if ours { posted } else { ended.ended })
            })
        };
        let (long, short) = (after(LONG_COMMAND), after(Duration::ZERO));
        let agent = calls.samples.median().unwrap();
        let beyond = |pair: &Pair| Pair { tekton: pair.tekton.less(agent), ours: pair.ours.less(agent) };
        let (long_beyond, short_beyond) = (beyond(&long), beyond(&short));
        let alone = Pair { ours: calls.samples, tekton: Samples::default() };
        vec![
            Row::new("the agent alone: FetchX509SVID on an open connection", "ms", alone),
            Row::new("command of 100 ms: its exit → signed", "ms", long),
            Row::new("command of 100 ms: … beyond the agent's median", "ms", long_beyond).at_most(1.0, None),
            Row::new("command that ends at once: its exit → signed", "ms", short),
            Row::new("command that ends at once: … beyond the agent's median", "ms", short_beyond)
                .at_most(1.0, None)
                .because(NO_TIME_TO_FETCH),
            Row::new("command of 100 ms: its exit → end of the process", "ms", end),
            Row::new("CPU time of a signed step", "ms", cpu),
        ]
    }

    pub(crate) fn size(&self) -> Vec<Row> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let unsigned = self.bench.take_turns(LONG_RUNS, |program| {
            megabytes(Step { waits: true, ..Step::new(program, AT_ONCE) }.start().largest_memory())
        });
        let signed = self.bench.take_turns(LONG_RUNS, |program| {
            let command = Command::Child { takes: Duration::ZERO, results: 3 };
            megabytes(Step { waits: true, ..self.step(program, command) }.start().largest_memory())
        });
        let binary = |program: &Path| Samples::from(megabytes(fs::metadata(program).unwrap().len()));
        let binary = Pair { tekton: binary(&self.bench.tekton), ours: binary(&self.bench.ours) };
        vec![
            Row::new("largest resident memory, unsigned", "MB", unsigned).at_most(3.0, None),
            Row::new("largest resident memory, signed", "MB", signed).at_most(6.0, None),
            Row::new("program", "MB", binary).at_most(5.0, None),
        ]
    }

    /// Steps that wait for an identity of another user than ours, which the agent refuses, or which has another SVID already.
    pub(crate) fn late_entry(&self) -> Vec<Row> {
        const WHAT: &str = "SVID at the agent of an entry made late → signed";
        if !may_change_user() {
            return vec![Row::new(format!("{WHAT} (not measured: needs root)"), "ms", Pair::default())];
        }
        let refused = self.late_entries(true);
        let other = self.spire.entry(EntryOptions {
            selectors: vec![format!("unix:uid:{OTHER_USER}")],
            ..EntryOptions::new("/ns/default/sa/other")
        });
        let pushed = self.late_entries(false);
        self.spire.delete_entry(&other);
        vec![
            Row::new(format!("{WHAT}; refused until then"), "ms", refused).at_most(250.0, Some(600.0)),
            Row::new(format!("{WHAT}; has another one"), "ms", pushed).at_most(60.0, Some(150.0)),
        ]
    }

    /// Steps, started one after the other within a second, wait for an identity. Its entry is made together with one for us,
    /// whose arrival on our open stream says that the agent has it. Tekton's signs with whatever SVID comes first.
    fn late_entries(&self, with_tekton: bool) -> Pair {
        let news = watch(&self.socket);
        let entries = json!({"entries": [
            entry("0-late", OTHER_USER, "taskrun/bench"),
            entry("1-seen", nix::unistd::getuid().as_raw(), "sa/seen"),
        ]});
        let file = Path::new("/tekton/entries.json");
        fs::write(file, entries.to_string()).unwrap();
        let mut pair = Pair::default();
        for _ in 0..LATE_ENTRIES {
            let mut running: Vec<(bool, usize, Running<'_>)> = Vec::new();
            self.bench.posts.clear();
            for index in 0..2 * LATE_STEPS {
                let ours = index % 2 == 0 || !with_tekton;
                let step = self.waits_for_identity(ours, index);
                running.push((ours, index, step.start()));
                sleep(Duration::from_secs(1) / (2 * LATE_STEPS) as u32);
            }
            while news.try_recv().is_ok() {}
            self.spire.command(&["entry", "create", "-data", file.to_str().unwrap()]);
            let seen = |wanted: bool| loop {
                match news.recv_timeout(Duration::from_secs(10) + 4 * self.sync) {
                    Ok((at, ids)) if ids.iter().any(|id| id.ends_with("/sa/seen")) == wanted => return at,
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        panic!("the agent has not followed the server in time")
                    }
                }
            };
            let visible = seen(true);
            for (ours, index, ended) in all_succeed(running) {
                let signed = if ours { self.bench.posts.of(index) } else { ended };
                pair.push(ours, ms(visible, signed));
            }
            for id in ["0-late", "1-seen"] {
                self.spire.delete_entry(id);
            }
            seen(false);
        }
        pair
    }

    /// A step of another user than ours that has ended and is to be signed. Tekton's signs only if there are results.
    fn waits_for_identity(&self, ours: bool, index: usize) -> Step<'_> {
        let program = if ours { &self.bench.ours } else { &self.bench.tekton };
        let command = Command::Child { takes: Duration::ZERO, results: 1 };
        Step { index, as_other: true, ..self.step(program, command) }
    }

    /// The agent's CPU time while nobody waits, and what steps that are refused add to it.
    pub(crate) fn waiting_steps(&self) -> Vec<Row> {
        const WHAT: &str = "CPU time of the agent in 10 s for 100 steps that it refuses";
        if !may_change_user() {
            return vec![Row::new(format!("{WHAT} (not measured: needs root)"), "ms", Pair::default())];
        }
        let pid = self.spire.agent_pid();
        let window = || {
            let before = cpu_of(pid);
            sleep(REFUSED_FOR);
            (cpu_of(pid) - before).as_secs_f64() * 1e3
        };
        let mut pair = Pair::default();
        for round in 0..2 * REFUSED_ROUNDS {
            let ours = round % 2 == 0;
            let idle = window();
            let steps =
                (0..REFUSED_STEPS).map(|index| (ours, index, self.waits_for_identity(ours, index).start()));
            let running: Vec<_> = steps.collect();
            pair.push(ours, window() - idle);
            let late = self.spire.entry(EntryOptions {
                selectors: vec![format!("unix:uid:{OTHER_USER}")],
                ..EntryOptions::new("/ns/default/taskrun/bench")
            });
            all_succeed(running);
            self.bench.posts.clear();
            self.spire.delete_entry(&late);
            sleep(10 * self.sync);
        }
        let mean = |samples: &Samples| Samples::from(samples.mean());
        vec![Row::new(WHAT, "ms", Pair { tekton: mean(&pair.tekton), ours: mean(&pair.ours) })]
    }

    /// Results of 71 characters are added until a signed message is larger than the kubelet keeps.
    pub(crate) fn room(&self) -> Vec<Row> {
        [(3, 4096), (9, 1365), (12, 1024)]
            .map(|(containers, limit)| {
                self.reckon_with_containers(containers);
                let most =
                    |program: &Path| (1..).find(|count| !self.fits(program, *count, limit)).unwrap() - 1;
                let most = |program: &Path| Samples::from(most(program) as f64);
                let pair = Pair { tekton: most(&self.bench.tekton), ours: most(&self.bench.ours) };
                Row::new(format!("signed results that fit in {limit} bytes"), "", pair)
            })
            .to_vec()
    }

    fn fits(&self, program: &Path, results: usize, limit: usize) -> bool {
        let step = self.step(program, Command::Child { takes: Duration::ZERO, results });
        let running = step.start();
        let status = waitpid(running.pid, None).unwrap();
        let succeeded = running.ended(status, now()).succeeded;
        let message = step.message();
        let is_signed = message.contains("RESULT_MANIFEST.sig") || message.contains("SVIDENCE.bench-0.sig");
        succeeded && is_signed && message.len() <= limit
    }
}

/// Waits for the end of all, each of which must be a success.
fn all_succeed(mut running: Vec<(bool, usize, Running<'_>)>) -> Vec<(bool, usize, u64)> {
    let mut all = Vec::new();
    while !running.is_empty() {
        let status = waitpid(None, None).unwrap();
        let at = now();
        let ended = running.iter().position(|(_, _, step)| status.pid() == Some(step.pid));
        let (ours, index, step) = running.remove(ended.expect("only steps end"));
        let Ended { ended, succeeded, .. } = step.ended(status, at);
        assert!(succeeded, "a step failed, so nothing can be said");
        all.push((ours, index, ended));
    }
    all
}

/// User and system time of a process, proc(5).
fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 =
        behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_secs(1) * u32::try_from(ticks).unwrap() / TICKS
}

fn entry(id: &str, user: u32, path: &str) -> serde_json::Value {
    json!({
        "entry_id": id,
        "selectors": [{"type": "unix", "value": format!("uid:{user}")}],
        "spiffe_id": format!("spiffe://example.org/ns/default/{path}"),
        "parent_id": "spiffe://example.org/node",
    })
}

/// Not as the only user of a user namespace.
fn may_change_user() -> bool {
    let mut command = process::Command::new("setpriv");
    command.args([&format!("--reuid={OTHER_USER}"), "--regid=65532", "--clear-groups", "true"]);
    command.stderr(process::Stdio::null()).status().is_ok_and(|status| status.success())
}
