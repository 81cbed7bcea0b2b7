//! What honest pods leave behind, in every form of evidence and as far as an object may hold it: all of it verifies, or is
//! said to be undecided, and never contradicts itself.

use crate::support;

use std::{collections::BTreeMap, fs, process::Stdio, thread, time::Duration};

use serde_json::{Value, json};
use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, judge, reasons, trust},
};
use svidence::{
    evidence::attestation::{Attestation, Form},
    standin::taskrun::{LogLine, SidecarLog, assemble_from_log},
    verify::{NotCarriedItem, Report, Verdict},
};
use time::OffsetDateTime;

/// Forms of evidence, by what `svidence.json` says. Hints are written where there are so many containers that no other form fits:
/// the most with which every step still signs.
const FORMS: [(&str, &str); 3] = [("both", "both"), ("digests", "attestation"), ("hints", "attestation")];

type View = (&'static str, fn(&mut Value));

/// What of the TaskRun an object holds.
const VIEWS: [View; 3] = [
    ("whole", |_| {}),
    ("without messages", |run| {
        for step in run["status"]["steps"].as_array_mut().unwrap() {
            step["terminated"].as_object_mut().unwrap().remove("message");
        }
    }),
    // Also without any task, as an archive of results has it.
    ("results alone", |run| {
        run["spec"] = json!({});
        run["status"]
            .as_object_mut()
            .unwrap()
            .retain(|field, _| field == "results" || field == "completionTime");
    }),
];

/// One step of a case.
#[derive(Clone, Copy, Default)]
struct Step {
    script: &'static str,
    step_results: &'static [&'static str],
    flags: &'static [&'static str],
    /// Its TaskRun is cancelled while it runs.
    cancelled: bool,
}

/// A TaskRun, and what verification shows of it.
struct Case {
    name: &'static str,
    /// Name and type of each result; of the mapped ones with their value.
    results: &'static [(&'static str, &'static str, &'static str)],
    steps: &'static [Step],
    /// `name=value (step)` of each result, sorted.
    shown: &'static [&'static str],
    /// Results come by the results sidecar's log.
    logged: bool,
    /// Forms and views in which it cannot be decided.
    undecided: &'static [(&'static str, &'static str)],
}

const CONTINUE: &[&str] = &["-on_error", "continue"];
const NEVER: &[&str] = &["-when_expressions", r#"[{"input":"a","operator":"in","values":["b"]}]"#];
const A: &[(&str, &str, &str)] = &[("a", "string", "")];
const BY_HINTS: &[(&str, &str)] = &[("hints", "without messages"), ("hints", "results alone")];

fn cases() -> Vec<Case> {
    let plain = |name, steps, shown| Case { name, results: A, steps, shown, logged: false, undecided: &[] };
    const SET: Step =
        Step { script: "printf v >$RESULTS/a", step_results: &[], flags: &[], cancelled: false };
    const NOTHING: Step = Step { script: "true", step_results: &[], flags: &[], cancelled: false };
    vec![
        plain("one step", const { &[SET] }, &[r#"a="v" (s0)"#]),
        plain("several steps", const { &[NOTHING, SET, NOTHING] }, &[r#"a="v" (s1)"#]),
        Case {
            // The short form of the first step is completed by a value that is gone.
            undecided: BY_HINTS,
            ..plain(
                "a later value wins",
                const { &[SET, Step { script: "printf w >$RESULTS/a", ..SET }] },
                &[r#"a="w" (s1)"#],
            )
        },
        plain(
            "a result removed by a later step",
            const { &[SET, Step { script: "rm $RESULTS/a", ..SET }] },
            &[r#"a="v" (s0)"#],
        ),
        plain(
            "a file that nothing declares",
            const { &[Step { script: "printf v >$RESULTS/a; printf x >$RESULTS/more", ..SET }] },
            &[r#"a="v" (s0)"#],
        ),
        plain("nothing at all", const { &[NOTHING] }, &[]),
        Case {
            results: &[("a", "string", ""), ("m", "string", "$(steps.s0.results.own)")],
            ..plain(
                "a mapped result",
                const {
                    &[
                        Step {
                            script: "printf mine >$STEP_RESULTS/own; printf 1 >$STEP_RESULTS/other",
                            step_results: &["own", "other"],
                            ..SET
                        },
                        SET,
                    ]
                },
                &[r#"a="v" (s1)"#, r#"m="mine" (s0)"#],
            )
        },
        Case {
            results: &[
                ("list", "array", ""),
                ("map", "object", ""),
                ("null", "string", ""),
                ("quoted", "string", ""),
            ],
            ..plain(
                "an array, an object and texts that are JSON",
                const {
                    &[Step {
                        script: r#"cd $RESULTS; printf '["x","y"]' >list; printf '{"k":"v"}' >map
                            printf null >null; printf '"q"' >quoted"#,
                        ..SET
                    }]
                },
                &[
                    r#"list=["x","y"] (s0)"#,
                    r#"map={"k":"v"} (s0)"#,
                    r#"null="null" (s0)"#,
                    r#"quoted="\"q\"" (s0)"#,
                ],
            )
        },
        Case {
            results: &[("list", "array", "")],
            undecided: BY_HINTS,
            ..plain(
                "an array whose text is not canonical",
                const { &[Step { script: r#"printf '["x", "y" ]' >$RESULTS/list"#, ..SET }] },
                &[r#"list=["x","y"] (s0)"#],
            )
        },
        plain("a skipped step", const { &[Step { flags: NEVER, ..SET }, SET] }, &[r#"a="v" (s1)"#]),
        plain("a skipped last step", const { &[SET, Step { flags: NEVER, ..SET }] }, &[r#"a="v" (s0)"#]),
        plain("a failed step", const { &[SET, Step { script: "exit 3", ..SET }, SET] }, &[r#"a="v" (s0)"#]),
        plain(
            "a step that timed out",
            const { &[SET, Step { script: "exec sleep 30", flags: &["-timeout", "300ms"], ..SET }, SET] },
            &[r#"a="v" (s0)"#],
        ),
        plain(
            "a cancelled step",
            const {
                &[
                    SET,
                    Step { script: "touch $STEP_RESULTS/begun; exec sleep 30", cancelled: true, ..SET },
                    SET,
                ]
            },
            &[r#"a="v" (s0)"#],
        ),
        plain(
            "failures that were let pass",
            const {
                &[
                    Step { script: "printf v >$RESULTS/a; exit 3", flags: CONTINUE, ..SET },
                    Step { script: "kill -KILL $$", flags: CONTINUE, ..SET },
                    NOTHING,
                ]
            },
            &[r#"a="v" (s0)"#],
        ),
        plain(
            "compressed messages",
            const { &[Step { flags: &["-compress_termination_message=true"], ..SET }, NOTHING] },
            &[r#"a="v" (s0)"#],
        ),
        Case {
            undecided: const {
                &[
                    ("both", "without messages"),
                    ("digests", "without messages"),
                    ("hints", "without messages"),
                ]
            },
            ..plain(
                "artifacts of step and task",
                const {
                    &[
                        Step {
                            script: r#"printf v >$RESULTS/a; f=artifacts/provenance.json
                                printf '{"outputs":[{"name":"o","buildOutput":true}]}' >$STEP_RESULTS/../$f
                                printf '{"inputs":[{"name":"i","values":[{"uri":"u"}]}]}' >$RESULTS/../$f"#,
                            ..SET
                        },
                        NOTHING,
                    ]
                },
                &[r#"a="v" (s0)"#],
            )
        },
        Case {
            results: &[("ExitCode", "string", "")],
            ..plain(
                "a result that Tekton takes for an exit code",
                const { &[Step { script: "printf 7 >$RESULTS/ExitCode", ..SET }] },
                &[r#"ExitCode="7" (s0)"#],
            )
        },
        Case {
            results: &[("a", "string", ""), ("m", "string", "$(steps.s0.results.own)")],
            logged: true,
            ..plain(
                "results by a log",
                const {
                    &[
                        Step {
                            script: "printf v >$RESULTS/a; printf o >$STEP_RESULTS/own",
                            step_results: &["own"],
                            ..SET
                        },
                        Step { flags: NEVER, ..SET },
                        NOTHING,
                    ]
                },
                &[r#"a="v" (s0)"#, r#"m="o" (s0)"#],
            )
        },
        Case {
            logged: true,
            ..plain(
                "a result removed before the log is written",
                const { &[SET, Step { script: "rm $RESULTS/a", ..SET }, Step { flags: NEVER, ..SET }] },
                &[],
            )
        },
        Case {
            logged: true,
            ..plain(
                "a failed step before a log",
                const { &[SET, Step { script: "exit 1", ..SET }, SET] },
                &[r#"a="v" (s0)"#],
            )
        },
    ]
}

/// Runs the case's steps; the object is what the controller would make of them.
fn run(cluster: &Cluster, case: &Case, configuration: &[(&str, &str)]) -> Value {
    let names: Vec<String> = (0..case.steps.len()).map(|i| format!("s{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pod = cluster.pod(&names, configuration);
    let collected: Vec<&str> =
        case.results.iter().filter(|(.., value)| value.is_empty()).map(|(name, ..)| *name).collect();
    let outcomes: Vec<StepOutcome> =
        (0..case.steps.len()).map(|i| run_step(cluster, case, &pod, i, &collected)).collect();
    let log = if case.logged { log(&pod, &collected, case.steps) } else { SidecarLog::default() };
    let declared = |(name, kind, value): &(&str, &str, &str)| match *value {
        "" => json!({"name": name, "type": kind}),
        value => json!({"name": name, "type": kind, "value": value}),
    };
    let steps = case.steps.iter().zip(&names).map(|(step, name)| {
        let results = step.step_results.iter().map(|name| json!({"name": name, "type": "string"}));
        json!({"name": name, "results": results.collect::<Value>()})
    });
    let spec = cluster.spec(json!({
        "results": case.results.iter().map(declared).collect::<Value>(), "steps": steps.collect::<Value>(),
    }));
    let reports: Vec<_> = outcomes.into_iter().map(|outcome| outcome.report).collect();
    assemble_from_log(&spec, &reports, &log)
}

fn run_step(cluster: &Cluster, case: &Case, pod: &Pod, i: usize, results: &[&str]) -> StepOutcome {
    let Step { script, step_results, flags, cancelled } = case.steps[i];
    let mut step = pod.step(i).signed(&cluster.agent.address()).results(results).flags(flags);
    if case.logged {
        step = step.flags(&["-result_from", "sidecar-logs"]);
    }
    step = step.step_results(step_results).script(script);
    if !cancelled {
        return step.run();
    }
    let started = OffsetDateTime::now_utc();
    let mut child = step.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = pod.root().join(format!("tekton/run/{i}/status/results/begun"));
    while !begun.exists() && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    pod.write("tekton/downward/cancel", "CANCEL");
    step.outcome(child.wait_with_output().unwrap(), started)
}

/// What the results sidecar prints of the pod's files.
fn log(pod: &Pod, task: &[&str], steps: &[Step]) -> SidecarLog {
    let line = |step: Option<String>, name: &str, path: String| {
        let value = fs::read_to_string(pod.root().join(path)).ok()?;
        Some(LogLine { step, name: name.to_owned(), value })
    };
    let of_task = task.iter().filter_map(|name| line(None, name, format!("tekton/results/{name}")));
    let of_steps = steps.iter().enumerate().flat_map(|(i, step)| {
        let name = move |name: &&str| {
            line(Some(format!("s{i}")), name, format!("tekton/run/{i}/status/results/{name}"))
        };
        step.step_results.iter().filter_map(name)
    });
    SidecarLog { results: of_task.chain(of_steps).collect(), artifacts: BTreeMap::new() }
}

/// Whether a step's attestation has hints.
fn has_hints(object: &Value) -> bool {
    let results = object["status"]["results"].as_array().unwrap().iter();
    let values = results.filter_map(|result| result["value"].as_str());
    let mut attestations = values.filter_map(|value| Attestation::from_value(value).ok());
    attestations.any(|attestation| attestation.form == Form::Hints)
}

fn shown(report: &Report) -> Vec<String> {
    let results = report.proof.iter().flat_map(|proof| &proof.results);
    let mut shown: Vec<String> =
        results.map(|r| format!("{}={} ({})", r.name, r.value.canonical_json(), r.step)).collect();
    shown.sort();
    shown
}

#[test]
fn every_honest_taskrun_verifies_in_every_form_and_view() {
    let cluster = Cluster::new("honest");
    let mut wrong = Vec::new();
    let mut with_hints = 0;
    for case in cases() {
        for (form, evidence) in FORMS {
            let run = |containers: u32| {
                let containers = containers.to_string();
                run(
                    &cluster,
                    &case,
                    &[("svidence-evidence", evidence), ("svidence-containers", &*containers)],
                )
            };
            let judge = |object: &Value| judge(object, &trust(&cluster.ca.bundle_pem()));
            let (mut fitting, mut too_many) = if form == "hints" { (9, 32) } else { (1, 2) };
            let mut object = run(fitting);
            while too_many - fitting > 1 {
                let between = (fitting + too_many) / 2;
                let tried = run(between);
                match judge(&tried).verdict {
                    Verdict::Absent => too_many = between,
                    _ => (fitting, object) = (between, tried),
                }
            }
            assert!(form == "hints" || !has_hints(&object), "{} ({form})", case.name);
            with_hints += usize::from(has_hints(&object));
            for (view, strip) in VIEWS {
                let mut object = object.clone();
                strip(&mut object);
                let report = judge(&object);
                let expected = match case.undecided.contains(&(form, view)) {
                    true => (Verdict::Unchecked, Vec::new()),
                    false => {
                        (Verdict::Verified, case.shown.iter().map(|shown| (*shown).to_owned()).collect())
                    }
                };
                if (report.verdict, shown(&report)) != expected {
                    let shown = shown(&report);
                    wrong.push(format!("{} ({form}, {view}): {} {shown:?}", case.name, reasons(&report)));
                }
                if let Some(proof) = &report.proof {
                    let outcomes =
                        proof.not_carried.iter().filter(|other| other.item == NotCarriedItem::Outcome);
                    let signed = proof.basis.steps().count();
                    let expected = if view == "results alone" { signed } else { 0 };
                    assert_eq!(outcomes.count(), expected, "{} ({form}, {view})", case.name);
                    assert_eq!(proof.is_partial, view == "results alone", "{} ({form}, {view})", case.name);
                }
            }
        }
    }
    // Where step results decide how much room there is, digests fit in the other steps.
    assert!(with_hints >= 15, "{with_hints} cases with hints");
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), wrong.join("\n"));
}

/// What became of a result whose value is not the one that counts is told; of all others nothing is.
#[test]
fn results_that_were_hidden_removed_or_changed_between_steps_are_noted() {
    let cluster = Cluster::new("noted");
    let configuration = [("svidence-evidence", "attestation"), ("svidence-containers", "1")];
    let both = "printf v >$RESULTS/a; printf w >$RESULTS/b";
    let hidden = "result a of step s0 is hidden by the one of step s1";
    for (case, logged, second, changed, expected) in [
        ("nothing", false, "true", None, &[][..]),
        ("the same value again", false, "printf v >$RESULTS/a", None, &[]),
        ("a later value", false, "printf x >$RESULTS/a", None, &[hidden]),
        (
            "a value of nobody's",
            false,
            "true",
            Some("x"),
            &[hidden, "result a: between the steps s0 and s1 something other than a step changed it"],
        ),
        ("nothing, by a log", true, "true", None, &[]),
        (
            "removed before the log is written",
            true,
            "rm $RESULTS/a",
            None,
            &["result a of step s0 was removed by a later step"],
        ),
    ] {
        let pod = cluster.pod(&["s0", "s1"], &configuration);
        let flags: &[&str] = if logged { &["-result_from", "sidecar-logs"] } else { &[] };
        let step = |i: usize, script: &str| {
            let step = pod.step(i).signed(&cluster.agent.address()).results(&["a", "b"]);
            step.flags(flags).script(script).run().report
        };
        let first = step(0, both);
        if let Some(value) = changed {
            pod.write("tekton/results/a", value);
        }
        let reports = [first, step(1, second)];
        let log = if logged { log(&pod, &["a", "b"], &[]) } else { SidecarLog::default() };
        let spec = cluster.spec(json!({
            "results": [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}],
            "steps": [{"name": "s0"}, {"name": "s1"}],
        }));
        let report = judge(&assemble_from_log(&spec, &reports, &log), &trust(&cluster.ca.bundle_pem()));
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        let noted: Vec<&str> =
            report.notes.iter().map(String::as_str).filter(|note| note.starts_with("result ")).collect();
        assert_eq!(noted, expected, "{case}");
    }
}
