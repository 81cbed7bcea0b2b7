//! Genuine TaskRuns of every kind, made by the real entrypoint below one authority, and what is true of each: the ground that forgeries
//! are cut from, and the measure that verdicts are held to.

use std::{collections::BTreeMap, path::Path};

use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::{
    standin::{
        agent::DevAgent,
        ca::{DevCa, IssuedSvid},
        taskrun::{LogLine, RunSpec, StepReport, assemble_with_log},
    },
    tekton::{
        taskrun::TaskRun,
        value::{ResultValue, decode},
    },
    verify::{Policy, Proof, Report, Trust, verify},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

use super::{pod::Pod, signed::trust};

/// What one step produced, as it is in its termination message or in the results sidecar's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub step: String,
    pub is_step_result: bool,
    pub name: String,
    pub raw: String,
}

/// A genuine TaskRun and the truth about it.
#[derive(Clone)]
pub struct Genuine {
    /// What it is there for.
    pub label: &'static str,
    pub object: Value,
    /// Every value that a step of it signed.
    pub facts: Vec<Fact>,
    /// Task results that no declared mapping makes, by name: the last value.
    pub effective: BTreeMap<String, String>,
    /// Whether its certificates name its UID.
    pub attests_uid: bool,
}

/// Genuine TaskRuns of one trust domain, and what an attacker may hold besides.
pub struct Fleet {
    pub runs: Vec<Genuine>,
    pub trust: Trust,
    pub ca: DevCa,
    /// Identities of the trust domain that are none of the fleet's TaskRuns.
    pub others: Vec<IssuedSvid>,
    agent: DevAgent,
    folder: tempfile::TempDir,
}

/// How one TaskRun of the fleet is run.
struct Plan<'a> {
    label: &'static str,
    name: &'a str,
    uid: &'a str,
    /// The DNS name in each step's certificate: `<uid>.taskrun.internal`, or with the step's name before it.
    attests: Attests,
    attempt: usize,
    configuration: &'a [(&'a str, &'a str)],
    results: Value,
    steps: Vec<Step<'a>>,
    sidecar_logs: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attests {
    Nothing,
    Run,
    Step,
}

struct Step<'a> {
    name: &'a str,
    results: Value,
    flags: &'a [&'a str],
    script: &'a str,
    exit_code: i32,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Plan {
            label: "",
            name: "",
            uid: "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70",
            attests: Attests::Nothing,
            attempt: 0,
            configuration: &[],
            results: json!([]),
            steps: Vec::new(),
            sidecar_logs: false,
        }
    }
}

fn step<'a>(name: &'a str, script: &'a str) -> Step<'a> {
    Step { name, results: json!([]), flags: &[], script, exit_code: 0 }
}

const UID_A: &str = "0a000000-0000-4000-8000-00000000000a";
const UID_B: &str = "0b000000-0000-4000-8000-00000000000b";
const SIDECAR_LOGS: [&str; 2] = ["-result_from", "sidecar-logs"];
const ATTESTATION: &[(&str, &str)] = &[("svidence-containers", "1"), ("svidence-evidence", "attestation")];

impl Fleet {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let ca = DevCa::new("example.org", UnixSeconds::new(now), &random).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let agent = DevAgent::start(&folder.path().join("a.sock")).unwrap();
        let trust = trust(&ca.bundle_pem());
        let other = |path: &str, dns: &[String]| {
            ca.issue(path, dns, UnixSeconds::new(now), std::time::Duration::from_secs(3600), &random).unwrap()
        };
        let others = vec![
            other("/ns/default/sa/default", &[]),
            other("/ns/default/taskrun/stranger", &[]),
            other("/ns/default/taskrun/stranger", &[format!("build.{UID_A}.taskrun.internal")]),
            other("/ns/elsewhere/taskrun/both", &[]),
        ];
        let mut fleet = Self { runs: Vec::new(), trust, ca, others, agent, folder };
        fleet.fill();
        fleet.trust.now = UnixSeconds::from(OffsetDateTime::now_utc());
        fleet
    }

    /// The TaskRun with this label.
    pub fn run(&self, label: &str) -> &Genuine {
        self.runs.iter().find(|run| run.label == label).unwrap_or_else(|| panic!("no TaskRun {label}"))
    }

    fn fill(&mut self) {
        let rich = || {
            json!([
                {"name": "digest", "type": "string"}, {"name": "commit", "type": "string"},
                {"name": "images", "type": "array"}, {"name": "map", "type": "object", "properties": {"k": {}}},
                {"name": "from-step", "type": "string", "value": "$(steps.flaky.results.own)"},
            ])
        };
        let rich_steps = || {
            let own = json!([{"name": "own", "type": "string"}, {"name": "list", "type": "array"}]);
            vec![
                step("build", "printf sha256:0123 >$RESULTS/digest; printf main >$RESULTS/commit"),
                Step {
                    results: own,
                    flags: &["-on_error", "continue"],
                    ..step(
                        "flaky",
                        "printf mine >$STEP_RESULTS/own; printf '[\"x\"]' >$STEP_RESULTS/list; exit 3",
                    )
                },
                step(
                    "report",
                    "printf '[\"a\", \"b\"]' >$RESULTS/images; printf '{\"k\":\"v\"}' >$RESULTS/map; printf side >$RESULTS/commit",
                ),
            ]
        };
        for (label, name, configuration) in [
            ("both", "both", &[("svidence-containers", "1")][..]),
            ("digests", "digests", ATTESTATION),
            ("hints", "hints", &[("svidence-containers", "14")]),
        ] {
            let plan =
                Plan { label, name, configuration, results: rich(), steps: rich_steps(), ..Plan::default() };
            self.add(&plan);
        }
        let plain = || json!([{"name": "digest", "type": "string"}, {"name": "commit", "type": "string"}]);
        let artifacts = r#"mkdir -p $STEP_RESULTS/../artifacts $RESULTS/../artifacts
            printf '{"outputs":[{"name":"img","buildOutput":true,"values":[{"uri":"pkg:x","digest":{"sha256":"00"}}]}]}' >$STEP_RESULTS/../artifacts/provenance.json
            printf '{"inputs":[{"name":"src","values":[{"uri":"git:x","digest":{"sha1":"11"}}]}]}' >$RESULTS/../artifacts/provenance.json
            printf x >$RESULTS/digest"#;
        self.add(&Plan {
            label: "artifacts",
            name: "artifacts",
            configuration: ATTESTATION,
            results: plain(),
            steps: vec![step("build", artifacts), step("push", "true")],
            ..Plan::default()
        });
        self.add(&Plan {
            label: "failed",
            name: "failed",
            configuration: ATTESTATION,
            results: plain(),
            steps: vec![
                step("build", "printf one >$RESULTS/digest"),
                Step { exit_code: 3, ..step("test", "printf two >$RESULTS/commit; exit 3") },
                Step { exit_code: 1, ..step("push", "printf pushed >$RESULTS/digest") },
            ],
            ..Plan::default()
        });
        self.add(&Plan {
            label: "skipped",
            name: "skipped",
            results: plain(),
            steps: vec![
                step("build", "printf one >$RESULTS/digest; printf main >$RESULTS/commit"),
                Step {
                    flags: &["-when_expressions", r#"[{"input":"a","operator":"in","values":["b"]}]"#],
                    ..step("push", "printf pushed >$RESULTS/digest")
                },
            ],
            ..Plan::default()
        });
        self.add(&Plan {
            label: "sidecar-logs",
            name: "sidecar-logs",
            results: json!([{"name": "digest", "type": "string"}, {"name": "images", "type": "array"}]),
            steps: vec![Step {
                results: json!([{"name": "own", "type": "string"}]),
                ..step(
                    "build",
                    "printf x >$RESULTS/digest; printf '[\"a\"]' >$RESULTS/images; printf mine >$STEP_RESULTS/own",
                )
            }],
            sidecar_logs: true,
            ..Plan::default()
        });
        self.add(&Plan {
            label: "one step",
            name: "one-step",
            results: plain(),
            steps: vec![step("build", "printf x >$RESULTS/digest; printf main >$RESULTS/commit")],
            ..Plan::default()
        });
        // Two runs of one name, and two attempts of one run; the values differ, so that a mixture shows.
        for (label, uid, attests) in
            [("first of its name", UID_A, Attests::Run), ("second of its name", UID_B, Attests::Run)]
        {
            let (build, push) = match uid {
                UID_A => ("printf old >$RESULTS/digest; printf a >$RESULTS/commit", "printf a >$RESULTS/tag"),
                _ => ("printf new >$RESULTS/digest; printf b >$RESULTS/commit", "printf b >$RESULTS/tag"),
            };
            let mut results = plain();
            results.as_array_mut().unwrap().push(json!({"name": "tag", "type": "string"}));
            self.add(&Plan {
                label,
                name: "twice",
                uid,
                attests,
                configuration: ATTESTATION,
                results,
                steps: vec![step("build", build), step("push", push)],
                ..Plan::default()
            });
        }
        self.add(&Plan {
            label: "steps attested",
            name: "named",
            uid: UID_A,
            attests: Attests::Step,
            results: plain(),
            steps: vec![
                step("build", "printf x >$RESULTS/digest"),
                step("push", "printf main >$RESULTS/commit"),
            ],
            ..Plan::default()
        });
        for (label, attempt, value) in
            [("first attempt", 0, "printf first"), ("second attempt", 1, "printf again")]
        {
            let script = format!("{value} >$RESULTS/digest; {value} >$RESULTS/commit");
            let exit_code = if attempt == 0 { 4 } else { 0 };
            let last = format!("true; exit {exit_code}");
            self.add(&Plan {
                label,
                name: "retried",
                attempt,
                configuration: ATTESTATION,
                results: plain(),
                steps: vec![step("build", &script), Step { exit_code, ..step("push", &last) }],
                ..Plan::default()
            });
        }
        // What Tekton leaves of the first attempt once the second has run.
        let first = self.run("first attempt").object["status"].clone();
        let second = self.runs.iter_mut().find(|run| run.label == "second attempt").unwrap();
        second.object["status"]["retriesStatus"] = json!([first]);
    }

    fn add(&mut self, plan: &Plan<'_>) {
        let random = SystemRandom::new();
        let created = OffsetDateTime::now_utc();
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name).collect();
        let mut pod = Pod::new(plan.name, &names);
        if plan.attempt > 0 {
            pod.name = format!("{}-pod-retry{}", plan.name, plan.attempt);
        }
        let mut entries = json!({"spire-socket-path": self.agent.address()});
        for (key, value) in plan.configuration {
            entries[*key] = json!(value);
        }
        pod.write("tekton/bin/svidence.json", &entries.to_string());
        let collected = names_of(&plan.results);
        let mut reports: Vec<StepReport> = Vec::new();
        for (i, step) in plan.steps.iter().enumerate() {
            let dns = match plan.attests {
                Attests::Nothing => vec![],
                Attests::Run => vec![format!("{}.taskrun.internal", plan.uid)],
                Attests::Step => vec![format!("{}.{}.taskrun.internal", step.name, plan.uid)],
            };
            let path = format!("/ns/default/taskrun/{}", plan.name);
            let svid = self
                .ca
                .issue(&path, &dns, UnixSeconds::from(created), std::time::Duration::from_secs(3600), &random)
                .unwrap();
            self.agent.serve(&self.ca, &svid);
            let own = names_of(&step.results);
            let mut command = pod.step(i).signed(&self.agent.address());
            command = command.results(&collected.iter().map(String::as_str).collect::<Vec<_>>());
            command = command.step_results(&own.iter().map(String::as_str).collect::<Vec<_>>());
            if plan.sidecar_logs {
                command = command.flags(&SIDECAR_LOGS);
            }
            let outcome = command.flags(step.flags).script(step.script).run();
            let case = format!("{}, {}", plan.label, step.name);
            assert_eq!(outcome.output.status.code(), Some(step.exit_code), "{case}: {}", outcome.stderr());
            reports.push(outcome.report);
        }
        let steps: Vec<Value> = plan
            .steps
            .iter()
            .map(|step| {
                let arguments = ["-c".to_owned(), step.script.replace("$$", "$$$$")];
                let mut declared =
                    json!({"name": step.name, "image": "busybox", "command": ["sh"], "args": arguments});
                for flag in step.flags.chunks_exact(2) {
                    match flag {
                        ["-on_error", value] => declared["onError"] = json!(value),
                        ["-when_expressions", json] => declared["when"] = serde_json::from_str(json).unwrap(),
                        other => panic!("{other:?} has no place in a declared step here"),
                    }
                }
                if step.results != json!([]) {
                    declared["results"] = step.results.clone();
                }
                declared
            })
            .collect();
        let spec = RunSpec {
            namespace: "default".into(),
            name: plan.name.into(),
            uid: plan.uid.into(),
            pod_name: pod.name.clone(),
            created,
            task_spec: json!({"results": plan.results, "steps": steps}),
        };
        let log = if plan.sidecar_logs { log(&pod, plan, &collected) } else { Vec::new() };
        let object = assemble_with_log(&spec, &reports, &log);
        let facts = facts(&reports, &log);
        let of_task = facts.iter().filter(|fact| !fact.is_step_result);
        let effective = of_task.map(|fact| (fact.name.clone(), fact.raw.clone())).collect();
        let attests_uid = plan.attests != Attests::Nothing;
        self.runs.push(Genuine { label: plan.label, object, facts, effective, attests_uid });
    }

    /// Where the fleet's sockets are; kept as long as the fleet.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The names of declared results that are collected from files.
fn names_of(declared: &Value) -> Vec<String> {
    let declared = declared.as_array().unwrap().iter().filter(|result| result.get("value").is_none());
    declared.map(|result| result["name"].as_str().unwrap().to_owned()).collect()
}

/// What the results sidecar would print of a pod of one step.
fn log(pod: &Pod, plan: &Plan<'_>, collected: &[String]) -> Vec<LogLine> {
    let line = |step: Option<&str>, path: String, name: &str| {
        let value = std::fs::read_to_string(pod.root().join(path).join(name)).ok()?;
        Some(LogLine { step: step.map(str::to_owned), name: name.to_owned(), value })
    };
    let of_task = collected.iter().filter_map(|name| line(None, "tekton/results".into(), name));
    let of_steps = plan.steps.iter().enumerate().flat_map(|(i, step)| {
        let own = names_of(&step.results).into_iter();
        own.filter_map(move |name| line(Some(step.name), format!("tekton/run/{i}/status/results"), &name))
    });
    of_task.chain(of_steps).collect()
}

fn reference(step: &str, result: &str) -> String {
    format!("$(steps.{step}.results.{result})")
}

/// Names of evidence among the entries of a message.
pub fn is_evidence(key: &str) -> bool {
    key.starts_with("SVIDENCE.")
        || key == "SVID"
        || key.starts_with("RESULT_MANIFEST")
        || key.ends_with(".sig")
}

fn facts(reports: &[StepReport], log: &[LogLine]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for report in reports {
        let entries: Vec<Value> = serde_json::from_slice(&report.message).unwrap_or_default();
        let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        let results = entries.iter().filter(|entry| entry["type"] == 1 || entry["type"] == 4);
        facts.extend(results.filter(|entry| !is_evidence(&text(entry, "key"))).map(|entry| Fact {
            step: report.name.clone(),
            is_step_result: entry["type"] == 4,
            name: text(entry, "key"),
            raw: text(entry, "value"),
        }));
    }
    facts.extend(log.iter().map(|line| Fact {
        step: line.step.clone().unwrap_or_else(|| reports[0].name.clone()),
        is_step_result: line.step.is_some(),
        name: line.name.clone(),
        raw: line.value.clone(),
    }));
    facts
}

/// How property tests draw their cases: the same ones every time, others with `SVIDENCE_SEED`, and `SVIDENCE_CASES` times as many.
pub fn drawing(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().unwrap());
    ProptestConfig {
        cases: cases * number("SVIDENCE_CASES").unwrap_or(1),
        rng_seed: RngSeed::Fixed(number("SVIDENCE_SEED").unwrap_or(0).into()),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Everything that can be accepted is: what is refused under this policy is refused under any.
pub fn everything() -> Policy {
    Policy { accept_tep0089: true, accept_unproven_time: true, accept_not_carried: true, ..Policy::default() }
}

/// The report on an object, or `None` if it is no TaskRun.
pub fn report(object: &Value, trust: &Trust, policy: &Policy) -> Option<Report> {
    TaskRun::from_value(object.clone()).ok().map(|object| verify(&object, trust, policy))
}

/// Who made the object, and so which parts of it cannot have been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attacker {
    /// May write `status` alone.
    StatusWriter,
    /// May write the whole object, as the writer of an archive can.
    ArchiveWriter,
}

impl Fleet {
    /// What a proof says that is not true of the run it names; empty if all is.
    ///
    /// The measure is what the steps left behind, never what the verifier makes of it.
    pub fn untruths(&self, object: &Value, proof: &Proof, attacker: Attacker) -> Vec<String> {
        let metadata = &object["metadata"];
        let named = |run: &&Genuine| {
            run.object["metadata"]["name"] == metadata["name"]
                && run.object["metadata"]["namespace"] == metadata["namespace"]
                && (!run.attests_uid || run.object["metadata"]["uid"] == metadata["uid"])
        };
        let candidates: Vec<&Genuine> = self.runs.iter().filter(named).collect();
        if candidates.is_empty() {
            return vec![format!("no TaskRun {} of UID {} has ever run", metadata["name"], metadata["uid"])];
        }
        // Attempts of one run share its name and UID: the proof must be about one of them as a whole.
        let mut untruths: Vec<Vec<String>> =
            candidates.iter().map(|run| run.untruths(object, proof, attacker)).collect();
        untruths.sort_by_key(Vec::len);
        untruths.swap_remove(0)
    }
}

impl Genuine {
    fn untruths(&self, object: &Value, proof: &Proof, attacker: Attacker) -> Vec<String> {
        let mut untruths = Vec::new();
        let steps: Vec<&str> = proof.basis.steps().map(|step| step.name.as_str()).collect();
        let succeeded = |object: &Value| object["status"]["conditions"][0]["status"] == "True";
        if succeeded(object) && !succeeded(&self.object) {
            untruths.push(format!("{} did not succeed", self.label));
        }
        if proof.run_bound_by_certificate != self.attests_uid {
            untruths.push(format!("{}: whether certificates name the run", self.label));
        }
        for result in &proof.results {
            let is_so = |fact: &&Fact| {
                fact.step == result.step
                    && match &result.step_result {
                        Some(own) => fact.is_step_result && fact.name == *own,
                        None => !fact.is_step_result && fact.name == result.name,
                    }
            };
            let says = |raw: &str| {
                let text = ResultValue::String(raw.to_owned());
                match attacker {
                    // Types rest on the inline task, which an archive's writer can change, or are claimed.
                    _ if attacker == Attacker::ArchiveWriter || result.type_is_claimed => {
                        result.value == text || result.value == decode(raw)
                    }
                    _ => match self.declared_type(&result.name).as_deref() {
                        Some("string") | None => result.value == text,
                        Some(_) => result.value == decode(raw),
                    },
                }
            };
            if !self.facts.iter().filter(is_so).any(|fact| says(&fact.raw)) {
                untruths.push(format!("{}: {result:?} was not signed so", self.label));
            }
            match &result.step_result {
                Some(_) if result.name_is_claimed || attacker == Attacker::ArchiveWriter => {}
                Some(own) if self.mapping(&result.name).as_deref() != Some(&reference(&result.step, own)) => {
                    untruths.push(format!("{}: {result:?} is no mapping of its task", self.label));
                }
                Some(_) => {}
                None if !self.effective.get(&result.name).is_some_and(|raw| says(raw)) => {
                    untruths.push(format!("{}: {result:?} is not the last value", self.label));
                }
                None => {}
            }
        }
        if proof.basis.tep0089_values().is_none() {
            untruths.extend(self.additions(object, proof));
            for name in self.effective.keys() {
                if proof.results.iter().all(|result| result.name != *name || result.step_result.is_some()) {
                    untruths.push(format!("{}: {name} is withheld", self.label));
                }
            }
            let states = self.object["status"]["steps"].as_array().unwrap().iter().enumerate();
            let of_run: Vec<&str> = states
                .filter(|(i, _)| self.signed(*i))
                .filter_map(|(_, state)| state["name"].as_str())
                .collect();
            if steps != of_run {
                untruths.push(format!("{}: it rests on the steps {steps:?}, not {of_run:?}", self.label));
            }
        }
        untruths
    }

    /// What an accepted object holds besides: a reader takes all of it for verified.
    fn additions(&self, object: &Value, proof: &Proof) -> Vec<String> {
        let mut additions = Vec::new();
        let status = &object["status"];
        let results = [&status["results"], &status["taskResults"]].into_iter().filter_map(Value::as_array);
        for result in results.flatten() {
            let name = result["name"].as_str().unwrap_or_default();
            let is_proven = proof.results.iter().any(|proven| proven.name == name);
            let of_run = self.object["status"]["results"].as_array().unwrap();
            if !is_proven && !of_run.contains(result) {
                additions.push(format!("{}: it holds {result} besides", self.label));
            }
        }
        for state in status["steps"].as_array().into_iter().flatten() {
            let message = state["terminated"]["message"].as_str().unwrap_or_default();
            let entries: Vec<Value> = serde_json::from_str(message).unwrap_or_default();
            for entry in entries.iter().filter(|entry| entry["type"] == 1 || entry["type"] == 4) {
                let is_so = |fact: &Fact| {
                    state["name"] == *fact.step
                        && fact.is_step_result == (entry["type"] == 4)
                        && entry["key"] == *fact.name
                        && entry["value"] == *fact.raw
                };
                if !is_evidence(entry["key"].as_str().unwrap()) && !self.facts.iter().any(is_so) {
                    additions.push(format!("{}: a message holds {entry} besides", self.label));
                }
            }
        }
        additions
    }

    /// Whether the step at this place of the status signed.
    pub fn signed(&self, step: usize) -> bool {
        let key = format!("SVIDENCE.{}.sig", self.object["status"]["steps"][step]["name"].as_str().unwrap());
        self.object["status"]["results"].as_array().unwrap().iter().any(|result| result["name"] == *key)
    }

    fn declared(&self, name: &str) -> Option<&Value> {
        let declared = self.object["spec"]["taskSpec"]["results"].as_array()?;
        declared.iter().find(|result| result["name"] == name)
    }

    fn declared_type(&self, name: &str) -> Option<String> {
        self.declared(name)?["type"].as_str().map(str::to_owned)
    }

    fn mapping(&self, name: &str) -> Option<String> {
        self.declared(name)?["value"].as_str().map(str::to_owned)
    }
}

/// Every place below `path`, leaves and branches, as JSON pointers.
pub fn places(value: &Value, path: &str, out: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (segment, child) in children {
        let path = format!("{path}/{segment}");
        places(child, &path, out);
        out.push(path);
    }
}
