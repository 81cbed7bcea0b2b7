//! `svidence demo`: the main job end to end, without a cluster, a network or a SPIRE.
//!
//! Three steps run under the real entrypoint, an embedded Workload API hands out their identity, the TaskRun is put together
//! as Tekton's controller does, verified, and then altered in several ways.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

use crate::{
    io_error,
    standin::{
        agent::DevAgent,
        ca::{CaError, DevCa},
        taskrun::{RunSpec, StepReport, assemble},
    },
    surroundings,
    tekton::taskrun::{TaskRun, TaskRunError},
    verify::{Policy, Report, Trust, Verdict, verify},
    workload::{
        bundle::{BundleError, X509Bundle},
        id::TrustDomain,
    },
};

const TRUST_DOMAIN: &str = "example.org";
const NAMESPACE: &str = "default";
const TASK_RUN: &str = "build-app";
const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";
const POD: &str = "build-app-pod";
const SHELL: &str = "/bin/sh";
const RESULTS: &str = "digest,images,commit,report";
const STEPS: [(&str, &str); 3] = [
    (
        "build",
        "printf 'sha256:4be1f1f1a9b6f7e4c9b0f2e51d7b9a3c' > \"$RESULTS/digest\"; printf main-7f3c2a > \"$RESULTS/commit\"",
    ),
    ("images", "printf '[\"app\",\"sidecar\"]' > \"$RESULTS/images\""),
    ("report", "printf '{\"url\":\"https://example.org/app\",\"tests\":\"214\"}' > \"$RESULTS/report\""),
];

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file, folder, socket or process.
    #[error("{what}: {}", io_error::words(error))]
    Io {
        /// What was being done.
        what: String,
        /// From the operating system.
        error: io::Error,
    },
    /// The folder to keep the files in has something in it already.
    #[error("{0} is not empty; name a new folder")]
    NotEmpty(String),
    /// No key.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The CA's own bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The assembled object.
    #[error(transparent)]
    TaskRun(#[from] TaskRunError),
    /// A step failed.
    #[error("step {step} ended with exit code {code}; its output is in {log}")]
    Step {
        /// Its name.
        step: String,
        /// Its exit code.
        code: i32,
        /// Where its stderr went.
        log: String,
    },
    /// The verdict is not the one it must be.
    #[error(
        "{case}: the verdict is {verdict}, which is a bug in svidence; please report it with the files of --keep"
    )]
    Verdict {
        /// What was verified.
        case: String,
        /// The wrong verdict.
        verdict: &'static str,
    },
}

fn io<T>(what: impl Into<String>, result: io::Result<T>) -> Result<T, DemoError> {
    result.map_err(|error| DemoError::Io { what: what.into(), error })
}

/// Tells the story on `out`; leaves the files in `keep` if given.
pub fn run(keep: Option<PathBuf>, out: &mut dyn Write) -> Result<(), DemoError> {
    let folder = Folder::create(keep)?;
    let result = story(&folder, out);
    match (&result, folder.temporary) {
        (_, false) | (Err(DemoError::Step { .. }), _) => {}
        (_, true) => io("removing the demo's files", fs::remove_dir_all(&folder.path))?,
    }
    result
}

struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn create(keep: Option<PathBuf>) -> Result<Self, DemoError> {
        let temporary = keep.is_none();
        let path = keep
            .unwrap_or_else(|| std::env::temp_dir().join(format!("svidence-demo-{}", std::process::id())));
        io(format!("creating {}", path.display()), fs::create_dir_all(&path))?;
        let path = io(format!("finding {}", path.display()), path.canonicalize())?;
        if io(format!("reading {}", path.display()), fs::read_dir(&path))?.next().is_some() {
            return Err(DemoError::NotEmpty(path.display().to_string()));
        }
        Ok(Self { path, temporary })
    }
}

fn story(folder: &Folder, out: &mut dyn Write) -> Result<(), DemoError> {
    let created = OffsetDateTime::from(surroundings::now());
    let (ca, bundle_file, agent) = identity(folder, created.into(), out)?;
    let reports = steps(folder, &agent, out)?;
    let spec = RunSpec {
        namespace: NAMESPACE.into(),
        name: TASK_RUN.into(),
        uid: UID.into(),
        pod_name: POD.into(),
        created,
        task_spec: task_spec(),
    };
    let genuine = assemble(&spec, &reports);
    let genuine_file = save(&folder.path, "taskrun.json", &genuine)?;
    let trust_domain = TrustDomain::new(TRUST_DOMAIN)
        .map_err(|_| DemoError::Verdict { case: "trust domain".into(), verdict: "unknown" })?;
    let trust = Trust {
        bundle: X509Bundle::from_pem(trust_domain, &ca.bundle_pem())?,
        intermediates: Vec::new(),
        now: surroundings::now_in_seconds(),
        at: None,
        clock_skew: Duration::from_secs(10),
    };
    verification(&genuine, &trust, out)?;
    forgeries(folder, &genuine, created, &trust, out)?;
    match folder.temporary {
        true => say(out, format!("Keep the files and try it by hand: {} demo --keep demo-files", own_name())),
        false => say(
            out,
            format!(
                "Try it by hand:\n  {} verify {} --trust-domain {TRUST_DOMAIN} --bundle {}",
                own_name(),
                for_shell(&genuine_file),
                for_shell(&bundle_file)
            ),
        ),
    }
}

fn say(out: &mut dyn Write, text: impl fmt::Display) -> Result<(), DemoError> {
    io("writing", writeln!(out, "{text}"))
}

/// The CA, the file with its bundle, and the Workload API that hands out the TaskRun's SVID.
fn identity(
    folder: &Folder,
    now: UnixSeconds,
    out: &mut dyn Write,
) -> Result<(DevCa, PathBuf, DevAgent), DemoError> {
    let random = SystemRandom::new();
    say(
        out,
        "1. An identity. A small CA and Workload API stand in for SPIRE: the steps of this TaskRun get an X509-SVID.",
    )?;
    let ca = DevCa::new(TRUST_DOMAIN, now, &random)?;
    let bundle_file = folder.path.join("bundle.pem");
    io("writing the bundle", fs::write(&bundle_file, ca.bundle_pem()))?;
    // A socket's path may have 107 bytes, which a folder of the user's choice may exceed.
    let socket = std::env::temp_dir().join(format!("svidence-{}.sock", std::process::id()));
    let agent = io("starting the Workload API", DevAgent::start(&socket))?;
    let dns_names = [format!("{UID}.taskrun.internal")];
    let svid = ca.issue(
        &format!("/ns/{NAMESPACE}/taskrun/{TASK_RUN}"),
        &dns_names,
        now,
        Duration::from_secs(3600),
        &random,
    )?;
    agent.serve(&ca, &svid);
    say(out, format!("   {} (certificate also names this run's UID)\n", svid.spiffe_id))?;
    Ok((ca, bundle_file, agent))
}

fn steps(folder: &Folder, agent: &DevAgent, out: &mut dyn Write) -> Result<Vec<StepReport>, DemoError> {
    say(
        out,
        "2. Three steps run under the entrypoint, each waiting for the one before, as in a Tekton pod.",
    )?;
    let pod = PodFiles::create(&folder.path.join("pod"))?;
    let reports = pod.run(agent)?;
    for report in &reports {
        let size = report.message.len();
        say(
            out,
            format!(
                "   step {:<7} exit code {}, termination message {size} bytes (limit 4096)",
                report.name, report.exit_code
            ),
        )?;
    }
    Ok(reports)
}

fn verification(genuine: &Value, trust: &Trust, out: &mut dyn Write) -> Result<(), DemoError> {
    say(
        out,
        "\n3. Tekton's controller puts their messages into one TaskRun. Is it what the steps of this run produced?",
    )?;
    let report = judge(genuine.clone(), trust)?;
    expect("the genuine TaskRun", &report, Verdict::Verified)?;
    say(out, "   verified. These values may be relied on:")?;
    for result in report.proof.iter().flat_map(|proof| &proof.results) {
        let value = result.value.canonical_json();
        say(out, format!("     {:<8} {value}  (step {})", result.name, result.step))?;
    }
    for step in report.proof.iter().flat_map(|proof| proof.basis.steps()) {
        say(out, format!("   what step {} ran (its program): {}", step.name, step.program.as_str()))?;
    }
    Ok(())
}

fn forgeries(
    folder: &Folder,
    genuine: &Value,
    created: OffsetDateTime,
    trust: &Trust,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    say(out, "\n4. Now somebody who may write taskruns/status alters it:")?;
    for (number, forgery) in (1..).zip(&FORGERIES) {
        let mut altered = genuine.clone();
        (forgery.alter)(&mut altered, created);
        save(&folder.path, &format!("altered-{number}.json"), &altered)?;
        let report = judge(altered, trust)?;
        expect(forgery.what, &report, forgery.verdict)?;
        let reason = report.findings.first().map(ToString::to_string).unwrap_or_default();
        let verdict = report.verdict.as_str();
        say(out, format!("   {number}. {}\n      {verdict}: {reason}", forgery.what))?;
    }
    say(out, format!("\nEvery forgery was refused; the genuine TaskRun ({TASK_RUN}) was verified."))
}

/// What this program was called by, which is what finds it again in the same place.
fn own_name() -> String {
    std::env::args_os().next().map_or_else(|| "svidence".into(), |name| for_shell(Path::new(&name)))
}

/// A path as a shell takes it for one word.
fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn judge(object: Value, trust: &Trust) -> Result<Report, DemoError> {
    Ok(verify(&TaskRun::from_value(object)?, trust, &Policy::default()))
}

fn expect(case: &str, report: &Report, verdict: Verdict) -> Result<(), DemoError> {
    if report.verdict == verdict {
        return Ok(());
    }
    let reasons: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let case = format!("{case} ({})", reasons.join("; "));
    Err(DemoError::Verdict { case, verdict: report.verdict.as_str() })
}

fn save(folder: &Path, name: &str, object: &Value) -> Result<PathBuf, DemoError> {
    let path = folder.join(name);
    io(format!("writing {}", path.display()), fs::write(&path, format!("{object:#}\n")))?;
    Ok(path)
}

fn task_spec() -> Value {
    let steps: Vec<Value> =
        STEPS.iter().map(|(name, script)| json!({"name": name, "image": "demo", "command": [SHELL, "-c"], "args": [script]})).collect();
    json!({
        "results": [
            {"name": "digest", "type": "string"},
            {"name": "images", "type": "array"},
            {"name": "commit", "type": "string"},
            {"name": "report", "type": "object", "properties": {"url": {"type": "string"}, "tests": {"type": "string"}}},
        ],
        "steps": steps,
    })
}

/// The files of a pod below one root.
struct PodFiles {
    root: PathBuf,
}

impl PodFiles {
    fn create(root: &Path) -> Result<Self, DemoError> {
        for folder in
            ["tekton/results", "tekton/downward", "tekton/steps", "messages", "logs", "serviceaccount"]
        {
            let path = root.join(folder);
            io(format!("creating {}", path.display()), fs::create_dir_all(&path))?;
        }
        io("writing the namespace", fs::write(root.join("serviceaccount/namespace"), NAMESPACE))?;
        let pod = Self { root: root.to_owned() };
        let names: Vec<String> = STEPS.iter().map(|(name, _)| format!("step-{name}")).collect();
        let status = io(
            "running step-init",
            pod.entrypoint()?.arg("step-init").args(&names).stderr(Stdio::null()).status(),
        )?;
        match status.success() {
            true => Ok(pod),
            false => Err(DemoError::Step {
                step: "init".into(),
                code: status.code().unwrap_or(255),
                log: "nowhere".into(),
            }),
        }
    }

    fn entrypoint(&self) -> Result<Command, DemoError> {
        let program = io("finding this program", std::env::current_exe())?;
        let mut command = Command::new(program);
        command.arg("entrypoint").arg("--root").arg(&self.root).args(["--pod-name", POD]);
        Ok(command)
    }

    /// Starts all steps at once, as a kubelet does; they take turns by themselves.
    fn run(&self, agent: &DevAgent) -> Result<Vec<StepReport>, DemoError> {
        let tekton = self.root.join("tekton");
        let mut children: Vec<(Child, OffsetDateTime)> = Vec::new();
        for (index, (name, script)) in STEPS.iter().enumerate() {
            let run = |step: usize| tekton.join("run").join(step.to_string());
            let mut command = self.entrypoint()?;
            match index.checked_sub(1) {
                None => {
                    command.arg("-wait_file").arg(tekton.join("downward/ready")).arg("-wait_file_content")
                }
                Some(previous) => command.arg("-wait_file").arg(run(previous).join("out")),
            };
            command.arg("-post_file").arg(run(index).join("out"));
            command.arg("-termination_path").arg(self.root.join("messages").join(name));
            command.arg("-step_metadata_dir").arg(run(index).join("status"));
            command.args(["-enable_spire", "-spire_socket_path"]).arg(agent.address());
            command.args(["-results", RESULTS, "-entrypoint", SHELL, "--", "-c", script]);
            command.env("RESULTS", tekton.join("results"));
            let log = io("creating a log", fs::File::create(self.root.join("logs").join(name)))?;
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
            children.push((
                io(format!("starting step {name}"), child)?,
                OffsetDateTime::from(surroundings::now()),
            ));
        }
        io("making the pod ready", fs::write(tekton.join("downward/ready"), "READY"))?;
        let mut reports = Vec::new();
        for ((name, _), (mut child, started)) in STEPS.iter().zip(children) {
            let status = io(format!("waiting for step {name}"), child.wait())?;
            let code = status.code().unwrap_or(255);
            if code != 0 {
                let log = self.root.join("logs").join(name).display().to_string();
                return Err(DemoError::Step { step: (*name).into(), code, log });
            }
            let message = io(
                format!("reading the message of step {name}"),
                fs::read(self.root.join("messages").join(name)),
            )?;
            let finished = OffsetDateTime::from(surroundings::now());
            reports.push(StepReport { name: (*name).into(), message, exit_code: code, started, finished });
        }
        Ok(reports)
    }
}

struct Forgery {
    what: &'static str,
    verdict: Verdict,
    alter: fn(&mut Value, OffsetDateTime),
}

const FORGERIES: [Forgery; 9] = [
    Forgery {
        what: "The image digest in status.results is replaced.",
        verdict: Verdict::Invalid,
        alter: |run, _| *result(run, "digest") = json!("sha256:00000000000000000000000000000bad"),
    },
    Forgery {
        what: "Again, and this time in the steps' messages as well.",
        verdict: Verdict::Invalid,
        alter: |run, _| {
            *result(run, "digest") = json!("sha256:00000000000000000000000000000bad");
            messages(run, |entries| set(entries, "digest", "sha256:00000000000000000000000000000bad"));
        },
    },
    Forgery {
        what: "The values of two results are swapped everywhere.",
        verdict: Verdict::Invalid,
        alter: |run, _| {
            let (digest, commit) = (result(run, "digest").clone(), result(run, "commit").clone());
            *result(run, "digest") = commit.clone();
            *result(run, "commit") = digest.clone();
            messages(run, |entries| {
                set(entries, "digest", commit.as_str().unwrap_or_default());
                set(entries, "commit", digest.as_str().unwrap_or_default());
            });
        },
    },
    Forgery {
        what: "The list of images becomes one text, which Tekton's own signature would not notice.",
        verdict: Verdict::Invalid,
        alter: |run, _| {
            *result(run, "images") = json!("app,sidecar");
            if let Some(entry) = find(&mut run["status"]["results"], "name", "images") {
                entry["type"] = json!("string");
            }
        },
    },
    Forgery {
        what: "A result is dropped everywhere.",
        verdict: Verdict::Invalid,
        alter: |run, _| {
            remove(&mut run["status"]["results"], "name", "commit");
            messages(run, |entries| remove(entries, "key", "commit"));
        },
    },
    Forgery {
        what: "A result is added everywhere.",
        verdict: Verdict::Invalid,
        alter: |run, _| {
            push(
                &mut run["status"]["results"],
                json!({"name": "approved", "type": "string", "value": "yes"}),
            );
            messages(run, |entries| push(entries, json!({"key": "approved", "value": "yes", "type": 1})));
        },
    },
    Forgery {
        what: "The whole status is copied into another TaskRun.",
        verdict: Verdict::Invalid,
        alter: |run, _| run["metadata"]["name"] = json!("build-other"),
    },
    Forgery {
        what: "It is replayed into a later run of the same name.",
        verdict: Verdict::Invalid,
        alter: |run, created| {
            let later = created + Duration::from_secs(3600);
            run["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
            run["metadata"]["creationTimestamp"] = json!(UnixSeconds::from(later).to_string());
        },
    },
    Forgery {
        what: "Every trace of a signature is removed.",
        verdict: Verdict::Absent,
        alter: |run, _| {
            let signed = |entry: &Value, name: &str| {
                let name = entry[name].as_str().unwrap_or_default();
                name.ends_with(".sig") || name == "SVID" || name == "RESULT_MANIFEST"
            };
            retain(&mut run["status"]["results"], |entry| !signed(entry, "name"));
            messages(run, |entries| retain(entries, |entry| !signed(entry, "key")));
        },
    },
];

fn result<'a>(run: &'a mut Value, name: &str) -> &'a mut Value {
    match find(&mut run["status"]["results"], "name", name) {
        Some(result) => &mut result["value"],
        None => unreachable!("the demo's steps set every result"),
    }
}

fn find<'a>(list: &'a mut Value, member: &str, name: &str) -> Option<&'a mut Value> {
    list.as_array_mut()?.iter_mut().find(|entry| entry[member] == name)
}

fn set(entries: &mut Value, key: &str, value: &str) {
    if let Some(entry) = find(entries, "key", key) {
        entry["value"] = json!(value);
    }
}

fn remove(list: &mut Value, member: &str, name: &str) {
    retain(list, |entry| entry[member] != name);
}

fn retain(list: &mut Value, keep: impl Fn(&Value) -> bool) {
    if let Some(list) = list.as_array_mut() {
        list.retain(keep);
    }
}

fn push(list: &mut Value, entry: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(entry);
    }
}

/// Applies a change to the termination message of every step.
fn messages(run: &mut Value, change: impl Fn(&mut Value)) {
    for step in run["status"]["steps"].as_array_mut().into_iter().flatten() {
        let message = &mut step["terminated"]["message"];
        if let Some(mut entries) = message.as_str().and_then(|text| serde_json::from_str(text).ok()) {
            change(&mut entries);
            *message = json!(entries.to_string());
        }
    }
}
