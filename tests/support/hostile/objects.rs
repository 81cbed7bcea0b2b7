//! What one object may hold many of.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use svidence::{
    evidence::attestation::{Covered, Form, hint},
    tekton::result_kind::ResultKind,
};

use super::{
    Shape, Step, attestation_of, declare, declared_results, forged, genuine, large_intermediate, leaf_of_rsa,
    leaf_of_run, leaf_with_extensions, many, mapped_results, one_step, own_hints, push, results_only, shape,
    signed, status_result, step_results, steps_with, task_results, tekton_signed, verified, with_attestation,
    with_leaf, with_message, with_value,
};
use crate::pki::{Key, Plan};

pub(super) const SHAPES: &[Shape] = &[
    // --- well signed ---
    verified("signed results", 1800, |n| one_step(task_results(n), &declared_results(n)).to_string()),
    verified("signed results, found by another step", 1100, |n| {
        let steps = [Step::new("one", task_results(n)), Step::new("two", task_results(n))];
        signed(&steps, &declared_results(n)).to_string()
    }),
    verified("signed results, up to 40,000", 5000, |n| {
        one_step(task_results(n), &declared_results(n)).to_string()
    }),
    verified("signed results with hints", 2000, |n| {
        // Of two results with one hint nobody could tell which one is meant.
        let mut seen = HashSet::new();
        let results = task_results(2 * n).filter(|(_, name, _)| seen.insert(hint(name))).take(n);
        let step = Step { form: Form::Hints, ..Step::new("one", results) };
        let names = step.results.iter().map(|(_, name, _)| name.clone());
        let task = declare(names);
        signed(&[step], &task).to_string()
    }),
    verified("signed step results, mapped", 1200, |n| {
        one_step(step_results(n), &mapped_results(n)).to_string()
    }),
    verified("signed step results, not mapped", 1800, |n| one_step(step_results(n), &[]).to_string()),
    verified("signed lists", 1300, |n| {
        let results = (0..n).map(|i| (ResultKind::Task, format!("r{i}"), format!("[\"a{i}\",\"b\"]")));
        let task: Vec<Value> = (0..n).map(|i| json!({"name": format!("r{i}"), "type": "array"})).collect();
        let mut object = one_step(results, &task);
        let in_status = object["status"]["results"].as_array_mut().unwrap();
        for result in in_status.iter_mut().filter(|result| result["value"].as_str().unwrap().starts_with('['))
        {
            result["value"] = serde_json::from_str(result["value"].as_str().unwrap()).unwrap();
            result["type"] = json!("array");
        }
        object.to_string()
    }),
    verified("signed results beside Tekton's signatures", 100, |n| {
        let step = Step { beside: true, ..Step::new("one", task_results(n)) };
        signed(&[step], &declared_results(n)).to_string()
    }),
    verified("signed steps", 100, |n| {
        let steps: Vec<Step> = (0..n).map(|i| Step::new(&format!("s{i}"), [])).collect();
        signed(&steps, &[]).to_string()
    }),
    verified("signed steps of a task with many results", 80, |n| {
        let steps: Vec<Step> = (0..n).map(|i| Step::new(&format!("s{i}"), [])).collect();
        signed(&steps, &declared_results(40 * n)).to_string()
    }),
    shape("signed attempts of a task with many results", 50, |n| {
        let attempt = signed(&[Step::new("one", [])], &declared_results(50 * n));
        forged(|object| {
            object["spec"] = json!({"taskSpec": attempt["status"]["taskSpec"]});
            object["status"] = attempt["status"].clone();
            let mut earlier = attempt["status"].clone();
            earlier.as_object_mut().unwrap().remove("taskSpec");
            object["status"]["retriesStatus"] = vec![earlier; n].into();
        })
    }),
    shape("signed results that a failed run lacks, and conditions", 1900, |n| {
        let mut object = one_step(task_results(n), &declared_results(n));
        object["status"]["conditions"] = (0..n)
            .map(|i| json!({"type": format!("C{i}"), "status": "True"}))
            .chain([json!({"type": "Succeeded", "status": "False"})])
            .collect();
        object["status"]["results"]
            .as_array_mut()
            .unwrap()
            .retain(|result| result["name"] == "SVIDENCE.one.sig");
        object.to_string()
    }),
    shape("signed results, all changed", 1900, |n| {
        let mut object = one_step(task_results(n), &declared_results(n));
        for result in object["status"]["results"].as_array_mut().unwrap() {
            if result["name"] != "SVIDENCE.one.sig" {
                result["value"] = json!("other");
            }
        }
        object.to_string()
    }),
    verified("results alone, of one signed value", 2000, |n| {
        let results = (0..n).map(|i| (ResultKind::Step, format!("r{i}"), "same".to_owned()));
        let mut object = one_step(results, &[]);
        results_only(&mut object);
        push(&mut object, "/status/results", (0..n).map(|i| status_result(&format!("m{i}"), "same")));
        object.to_string()
    }),
    shape("results alone, beside step results with hints", 2000, |n| {
        let step = Step { form: Form::Hints, ..Step::new("one", []) };
        let mut object = signed(&[step], &[]);
        results_only(&mut object);
        push(&mut object, "/status/results", many(n));
        object.to_string()
    }),
    // --- nobody vouches for it ---
    shape("hints in two lists", 30_000, |n| {
        with_attestation(|attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            (attestation.set_hints, attestation.found_hints) = (own_hints(n, 0), own_hints(n, 1));
            attestation.leaf = vec![0x30, 0];
        })
    }),
    shape("hints of nothing, well signed but for them", 20_000, |n| {
        with_attestation(|attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            attestation.set_hints = own_hints(n, 0);
        })
    }),
    shape("hints in every step", 100, |n| {
        let object = genuine();
        let value = attestation_of(&object, |attestation| {
            (attestation.form, attestation.results) = (Form::Hints, Vec::new());
            attestation.set_hints = vec![hint("digest")];
        })
        .to_value();
        let object = steps_with(n, |_| value.clone());
        let mut object: Value = serde_json::from_str(&object).unwrap();
        push(&mut object, "/status/results", many(40 * n));
        object.to_string()
    }),
    shape("covered results", 4000, |n| {
        with_attestation(|attestation| {
            attestation.results = (0..n)
                .map(|i| Covered {
                    kind: ResultKind::Task,
                    name: format!("r{i:06}"),
                    set: true,
                    digest: [0; 32],
                    decoded: None,
                })
                .collect();
        })
    }),
    shape("intermediates of RSA-8192 in every step", 30, |n| {
        let object = genuine();
        let value = attestation_of(&object, |attestation| {
            attestation.intermediates = (0..8).map(large_intermediate).collect();
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("intermediates that sign each other in every step", 60, |n| {
        let object = genuine();
        let ca = Plan::ca("ca", "ca", "example.org");
        let value = attestation_of(&object, |attestation| {
            attestation.intermediates = (20..28).map(|i| ca.issue(&Key::new(i), &Key::new(47 - i))).collect();
            attestation.leaf = leaf_of_run().issue(&Key::new(9), &Key::new(20));
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("intermediates that are none", 1 << 17, |n| {
        with_attestation(|attestation| attestation.intermediates = vec![vec![0x30; n / 8]; 8])
    }),
    shape("extensions of certificates", 700, |n| {
        with_attestation(|attestation| attestation.leaf = leaf_with_extensions(n))
    }),
    shape("certificates of 6,000 extensions", 2, |n| {
        let value = attestation_of(&genuine(), |attestation| {
            attestation.leaf = leaf_with_extensions(6000);
        })
        .to_value();
        steps_with(n, |_| value.clone())
    }),
    shape("names in a certificate", 1000, |n| {
        with_leaf(|leaf| leaf.dns = (0..n).map(|i| format!("n{i}.example.org")).collect())
    }),
    shape("URIs in a certificate", 1000, |n| {
        with_leaf(|leaf| leaf.uris = (0..n).map(|i| format!("spiffe://example.org/n{i}")).collect())
    }),
    shape("a long URI in a certificate", 7000, |n| {
        with_leaf(|leaf| leaf.uris = vec![format!("spiffe://example.org{}", "/a".repeat(n))])
    }),
    shape("a long issuer in a certificate", 7000, |n| with_leaf(|leaf| leaf.issuer = "x".repeat(n))),
    shape("leaves signed by any of several RSA-8192 keys", 8, |n| {
        let object = genuine();
        let intermediates: Vec<Vec<u8>> = (0..8).map(large_intermediate).collect();
        steps_with(n, |step| {
            attestation_of(&object, |attestation| {
                attestation.intermediates = intermediates.clone();
                attestation.leaf = leaf_of_rsa(step);
            })
            .to_value()
        })
    }),
    shape("what is no attestation", 1 << 17, |n| {
        forged(|object| with_value(object, &format!("sv1.{}", "A".repeat(n))))
    }),
    shape("Tekton's signatures, the manifest being empty", 1200, |n| tekton_signed(n, |i| format!("r{i}"))),
    shape("Tekton's signatures of names that end alike", 1000, |n| {
        tekton_signed(n, |i| format!("{}r{i}", "x".repeat(20)))
    }),
    // --- anybody may write it ---
    shape("results in the status", 8000, |n| forged(|run| push(run, "/status/results", many(n)))),
    shape("results of one name", 8000, |n| {
        forged(|run| push(run, "/status/results", (0..n).map(|_| status_result("r0", "x"))))
    }),
    shape("results, and no message", 8000, |n| {
        forged(|run| {
            push(run, "/status/results", many(n));
            for step in run["status"]["steps"].as_array_mut().unwrap() {
                step["terminated"].as_object_mut().unwrap().remove("message");
            }
        })
    }),
    shape("evidence of steps that are not there", 8000, |n| {
        forged(|run| {
            push(run, "/status/results", (0..n).map(|i| status_result(&format!("SVIDENCE.{i}.sig"), "x")))
        })
    }),
    shape("evidence of one step, many times", 300, |n| {
        forged(|run| {
            let value = "x".repeat(10 * n);
            push(run, "/status/results", [status_result("SVIDENCE.one.sig", &value)]);
            push(run, "/status/results", (0..10 * n).map(|_| status_result("SVIDENCE.one.sig", "x")));
        })
    }),
    shape("entries of a message", 8000, |n| {
        forged(|run| {
            with_message(run, |entries| {
                entries.extend((0..n).map(|i| json!({"key": format!("r{i}x"), "value": "x", "type": 1})));
            })
        })
    }),
    shape("entries of one key", 8000, |n| {
        forged(|run| {
            with_message(run, |entries| {
                entries.extend((0..n).map(|_| json!({"key": "r0", "value": "x", "type": 1})));
            })
        })
    }),
    shape("steps in the status", 120, |n| {
        forged(|run| push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("steps, more than are looked at", 8000, |n| {
        forged(|run| push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("steps in the status, and results", 100, |n| {
        forged(|run| {
            push(run, "/status/steps", (0..n).map(|i| json!({"name": format!("s{i}")})));
            push(run, "/status/results", many(40 * n));
        })
    }),
    shape("step results in the status", 8000, |n| {
        forged(|run| run["status"]["steps"][1]["results"] = many(n).collect())
    }),
    shape("declared results", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", declare((0..n).map(|i| format!("r{i}x")))))
    }),
    shape("declared results of one name", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", declare((0..n).map(|_| "r0".to_owned()))))
    }),
    verified("mapped results", 6000, |n| {
        forged(|run| push(run, "/status/taskSpec/results", mapped_results(n)))
    }),
    verified("references within one mapping", 60_000, |n| {
        forged(|run| {
            let mapping = json!({"name": "m", "value": "$(steps.".repeat(n)});
            push(run, "/status/taskSpec/results", [mapping]);
        })
    }),
    shape("declared steps", 8000, |n| {
        forged(|run| push(run, "/status/taskSpec/steps", (0..n).map(|i| json!({"name": format!("s{i}")}))))
    }),
    shape("results that a step declares", 8000, |n| {
        forged(|run| run["status"]["taskSpec"]["steps"][1]["results"] = declared_results(n).into())
    }),
    shape("artifacts", 8000, |n| {
        forged(|run| {
            let artifacts: Vec<Value> = (0..n).map(|i| json!({"name": format!("a{}", i % 7)})).collect();
            run["status"]["artifacts"] = json!({"outputs": artifacts});
            run["status"]["steps"][0]["outputs"] = json!(artifacts);
        })
    }),
    shape("conditions", 10_000, |n| {
        forged(|run| {
            push(run, "/status/conditions", (0..n).map(|_| json!({"type": "Succeeded", "status": "False"})));
        })
    }),
    shape("attempts, more than are looked at", 10_000, |n| {
        forged(|run| run["status"]["retriesStatus"] = vec![json!({"steps": []}); n].into())
    }),
    shape("attempts of a task with many results", 120, |n| {
        forged(|run| {
            run["spec"] = json!({"taskSpec": {"results": declared_results(40 * n), "steps": []}});
            run["status"]["retriesStatus"] = vec![json!({}); n].into();
        })
    }),
    shape("results alone, none of them a step's", 8000, |n| {
        forged(|run| {
            results_only(run);
            push(run, "/status/results", many(n));
        })
    }),
    verified("members that nobody reads", 20_000, |n| {
        forged(|run| {
            let members: Map<String, Value> = (0..n).map(|i| (format!("m{i}"), json!("x"))).collect();
            run["more"] = members.into();
        })
    }),
    shape("a number of many digits", 1 << 18, |n| {
        forged(|run| run["status"]["steps"][0]["terminated"]["exitCode"] = json!("PLACE"))
            .replace("\"PLACE\"", &"1".repeat(n))
    }),
    verified("labels", 20_000, |n| {
        forged(|run| {
            run["metadata"]["labels"] =
                (0..n).map(|i| (format!("l{i}"), json!("x"))).collect::<Map<_, _>>().into();
        })
    }),
    shape("members of a result", 10_000, |n| {
        forged(|run| {
            let members: Map<String, Value> = (0..n).map(|i| (format!("m{i}"), json!("x"))).collect();
            run["status"]["results"][0] = json!({"name": "r0", "type": "object", "value": members});
        })
    }),
    verified("sidecars", 9000, |n| {
        forged(|run| {
            let sidecar = |i| json!({"name": format!("s{i}"), "container": "sidecar", "running": {}});
            run["status"]["sidecars"] = (0..n).map(sidecar).collect();
        })
    }),
    shape("a long UID, and steps of another run", 100, |n| {
        let (name, uid) = ("x".repeat(400 * n), "y".repeat(400 * n));
        let object = steps_with(n, |_| attestation_of(&genuine(), |_| ()).to_value());
        let mut object: Value = serde_json::from_str(&object).unwrap();
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["creationTimestamp"] = json!(name);
        object.to_string()
    }),
    verified("a long annotation of time stamps", 1 << 18, |n| {
        forged(|run| {
            run["metadata"]["annotations"] =
                json!({"svidence.dev/timestamps": json!({"one": "A".repeat(n)}).to_string()});
        })
    }),
    verified("time stamps of steps that are not there", 8000, |n| {
        forged(|run| {
            let stamps: Map<String, Value> = (0..n).map(|i| (format!("s{i}"), json!("AAAA"))).collect();
            run["metadata"]["annotations"] =
                json!({"svidence.dev/timestamps": Value::from(stamps).to_string()});
        })
    }),
];
