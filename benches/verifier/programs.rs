//! The programs that are compared, and what they are given.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::{evidence::attestation, standin::ca::DevCa};
use time::{Duration, OffsetDateTime};
use unixtime::UnixSeconds;

use super::corpus::{Check, Shape, task_run};

/// How often svidence and the bare loop go through the corpus in one turn: so often that a start is little beside it. Tekton's
/// verifier, whose start is not measured, goes through it once.
pub(crate) const ROUNDS: usize = 6;

/// Genuine TaskRuns of one shape, as each program wants them.
pub(crate) struct Corpus {
    pub(crate) shape: Shape,
    pub(crate) count: usize,
    pub(crate) checks: Vec<Check>,
    /// JSON lines.
    pub(crate) task_runs: PathBuf,
    /// The same, all rounds of them: a file that is named twice would be read once.
    rounds: PathBuf,
    /// The messages for Tekton's verifier. Where the TaskRuns have no TEP-0089 entries, those of the same results in that form alone.
    messages: PathBuf,
    pub(crate) bundle: PathBuf,
    folder: PathBuf,
}

impl Corpus {
    pub(crate) fn create(folder: &Path, shape: Shape, count: usize) -> Self {
        let random = SystemRandom::new();
        let created = OffsetDateTime::now_utc() - Duration::minutes(5);
        let before = created.unix_timestamp() - 60;
        let ca = DevCa::new("example.org", UnixSeconds::new(before), &random).expect("a CA");
        let folder = folder.join(format!("{}-{}", shape.steps, shape.beside));
        fs::create_dir(&folder).expect("a folder");
        let (mut lines, mut messages, mut checks) = (String::new(), String::new(), Vec::new());
        for number in 0..count {
            let signed = task_run(&ca, number, shape, created);
            lines.push_str(&format!("{}\n", signed.object));
            checks.extend(signed.checks);
            let for_tekton = match shape.beside {
                true => signed.messages,
                false => messages_in_tep0089_form(&ca, number, shape, created),
            };
            for message in for_tekton {
                messages.push_str(&format!("{}\n", json!({"name": signed.name, "message": message})));
            }
        }
        let svid = ca
            .issue(
                "/controller",
                &[],
                UnixSeconds::new(before),
                std::time::Duration::from_secs(24 * 3600),
                &random,
            )
            .expect("an SVID");
        let write = |name: &str, content: &[u8]| {
            let file = folder.join(name);
            fs::write(&file, content).expect("writing the corpus");
            file
        };
        write("svid.der", &svid.certificate);
        write("svid.key", &svid.key);
        write("authority.der", ca.certificate());
        Self {
            shape,
            count,
            checks,
            task_runs: write("taskruns.jsonl", lines.as_bytes()),
            rounds: write("rounds.jsonl", lines.repeat(ROUNDS).as_bytes()),
            messages: write("messages.jsonl", messages.as_bytes()),
            bundle: write("bundle.pem", ca.bundle_pem().as_bytes()),
            folder,
        }
    }

    /// `svidence verify` of these sources.
    pub(crate) fn verify(&self, sources: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command
            .arg("verify")
            .args(sources)
            .args(["--trust-domain", "example.org", "--bundle"])
            .arg(&self.bundle);
        command
    }
}

/// What the steps of Tekton's own entrypoint would have left of the same results: no attestations.
fn messages_in_tep0089_form(ca: &DevCa, number: usize, shape: Shape, created: OffsetDateTime) -> Vec<String> {
    let signed = task_run(ca, number, Shape { beside: true, ..shape }, created);
    let without_attestation = |message: &String| {
        let mut entries: Vec<Value> = serde_json::from_str(message).expect("a message");
        entries.retain(|entry| !entry["key"].as_str().is_some_and(attestation::is_reserved));
        Value::from(entries).to_string()
    };
    signed.messages.iter().map(without_attestation).collect()
}

fn verify_rounds(corpus: &Corpus, jobs: Option<usize>) {
    let mut command = corpus.verify([&corpus.rounds]);
    command.args(jobs.map(|jobs| format!("--jobs={jobs}")));
    // Verdicts go to standard error.
    let (said, tally) =
        (corpus.folder.join("said"), format!("{0} TaskRuns: {0} verified", ROUNDS * corpus.count));
    let errors = fs::File::create(&said).expect("a file");
    let status = command.stdout(Stdio::null()).stderr(errors).status().expect("svidence runs");
    let said = fs::read_to_string(&said).expect("what it said");
    assert!(status.success() && said.contains(&tally), "svidence refuses the corpus: {said}");
}

/// At which rate `svidence verify` judges TaskRuns, all of its threads together.
pub(crate) fn svidence_per_cpu_second(corpus: &Corpus, jobs: usize) -> f64 {
    let cpu_seconds = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
        (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
    };
    let before = cpu_seconds();
    verify_rounds(corpus, Some(jobs));
    (ROUNDS * corpus.count) as f64 / (cpu_seconds() - before)
}

/// At which rate by the clock on the wall, with as many workers as it likes.
pub(crate) fn svidence_per_second(corpus: &Corpus) -> f64 {
    let start = Instant::now();
    verify_rounds(corpus, None);
    (ROUNDS * corpus.count) as f64 / start.elapsed().as_secs_f64()
}

/// A Workload API that Tekton's verifier asks for the bundle, in a process of its own.
pub(crate) struct WorkloadApi {
    program: PathBuf,
    socket: PathBuf,
    child: Child,
}

impl WorkloadApi {
    pub(crate) fn start(program: &Path, corpus: &Corpus) -> Self {
        let file = |name: &str| corpus.folder.join(name);
        let socket = file("api.sock");
        let mut child = Command::new(program)
            .arg("-serve")
            .arg(&socket)
            .arg("-svid")
            .arg(file("svid.der"))
            .arg("-key")
            .arg(file("svid.key"))
            .arg("-authority")
            .arg(file("authority.der"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tekton-verify runs");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("it says that it serves");
        Self { program: program.to_owned(), socket, child }
    }

    /// At which rate Tekton's verifier, with one core, accepts TaskRuns: the message of each of their steps.
    pub(crate) fn task_runs_per_cpu_second(&self, corpus: &Corpus) -> f64 {
        let output = Command::new(&self.program)
            .env("GOMAXPROCS", "1")
            .arg("-messages")
            .arg(&corpus.messages)
            .args(["-rounds", "1"])
            .arg("-socket")
            .arg(format!("unix://{}", self.socket.display()))
            .stderr(Stdio::inherit())
            .output()
            .expect("tekton-verify runs");
        assert!(output.status.success(), "Tekton's verifier refuses the corpus");
        let text = String::from_utf8(output.stdout).expect("text");
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [count, cpu, _wall] => count / corpus.shape.steps as f64 / cpu,
            _ => panic!("tekton-verify says {text:?}"),
        }
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        // It ends with its input.
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = self.child.wait();
    }
}
