//! The policy file: what it refuses to be, what its rules demand, and that nothing in it widens anything.

use crate::support;

use std::sync::OnceLock;

use serde_json::{Value, json};
use support::signed::{Cluster, judge_with, reasons, trust};
use svidence::{
    standin::taskrun::assemble,
    tekton::value::{ResultValue, decode},
    verify::{
        Detail, Policy, PolicyFile, Report, Trust, Verdict,
        policy::{MaxAge, Pattern},
    },
};
use unixtime::UnixSeconds;

/// A genuine TaskRun `default/build-7` of three steps: `build` sets `digest`, `commit` and the list `images`, `flaky` fails
/// and continues with the step result `own`, `check` sets `commit` again.
struct Genuine {
    object: Value,
    trust: Trust,
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let cluster = Cluster::new("build-7");
        let pod = cluster.pod(&["build", "flaky", "check"], &[("svidence-containers", "1")]);
        let results = ["digest", "commit", "images"];
        let steps = [
            pod.step(0).results(&results).script(
                "printf sha256:0123 >$RESULTS/digest; printf one >$RESULTS/commit; printf '[\"a\"]' >$RESULTS/images",
            ),
            pod.step(1)
                .results(&results)
                .step_results(&["own"])
                .flags(&["-on_error", "continue"])
                .script("printf mine >$STEP_RESULTS/own; exit 3"),
            pod.step(2).results(&results).script("printf two >$RESULTS/commit"),
        ];
        let reports: Vec<_> = steps
            .into_iter()
            .map(|step| {
                let outcome = step.signed(&cluster.agent.address()).run();
                assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
                outcome.report
            })
            .collect();
        let spec = cluster.spec(json!({
            "results": [
                {"name": "digest", "type": "string"}, {"name": "commit", "type": "string"},
                {"name": "images", "type": "array"},
                {"name": "from-step", "type": "string", "value": "$(steps.flaky.results.own)"},
            ],
            "steps": [
                {"name": "build"}, {"name": "flaky", "results": [{"name": "own", "type": "string"}]}, {"name": "check"},
            ],
        }));
        Genuine { object: assemble(&spec, &reports), trust: trust(&cluster.ca.bundle_pem()) }
    })
}

/// The policy with these rules, good for a day.
fn policy(rules: &Value) -> PolicyFile {
    let expires = (genuine().trust.now + std::time::Duration::from_secs(86400)).to_string();
    let text = json!({"version": 1, "expires": expires, "rules": rules}).to_string();
    PolicyFile::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One rule for `default/build-*` with these members.
fn rule(members: Value) -> Value {
    let mut rule = json!({"namespace": "default", "taskRun": "build-*"});
    rule.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!([rule])
}

fn under(object: &Value, trust: &Trust, file: PolicyFile) -> Report {
    judge_with(object, trust, &Policy { file: Some(file), ..Policy::default() })
}

#[test]
fn a_file_that_is_no_policy_is_refused() {
    let good = "version: 1\nexpires: 2030-01-01T00:00:00Z\nrules:\n- {namespace: a, taskRun: '*'}\n";
    assert!(PolicyFile::parse(good).is_ok());
    for (case, text, reason) in [
        ("not YAML", "a: [b\nc: }".to_owned(), "not YAML"),
        ("not JSON", "{\"version\": 1,".to_owned(), "not JSON"),
        ("two documents", format!("{good}---\n{good}"), "holds 2 documents"),
        ("nothing", String::new(), "it is empty"),
        ("a key of JSON twice", "{\"version\": 1, \"version\": 1}".to_owned(), "appears twice"),
        ("a key twice", good.replace("version: 1", "version: 1\nversion: 1"), "appears twice"),
        (
            "a key of a rule twice",
            good.replace("namespace: a", "namespace: a, namespace: b"),
            "appears twice",
        ),
        (
            "unknown field",
            format!("{good}extra: 1\n"),
            "line 5: there is no field \"extra\"; there are version, expires, rules",
        ),
        (
            "unknown field of a rule",
            good.replace("namespace: a", "namespace: a, skip: true"),
            "rules[0] (line 4): there is no field \"skip\"; there are name, namespace",
        ),
        ("no version", good.replace("version: 1\n", ""), "version (line 1): it is missing"),
        ("another version", good.replace("version: 1", "version: 2"), "its version is 2"),
        ("no expiry", good.replace("expires: 2030-01-01T00:00:00Z\n", ""), "expires (line 1): it is missing"),
        ("an expiry that is no time", good.replace("2030-01-01T00:00:00Z", "soon"), "not an RFC 3339 time"),
        ("no rules", "version: 1\nexpires: 2030-01-01T00:00:00Z\nrules: []\n".to_owned(), "no rules"),
        ("no namespace", good.replace("namespace: a, ", ""), "rules[0].namespace (line 4): it is missing"),
        ("no name", good.replace(", taskRun: '*'", ""), "rules[0].taskRun (line 4): it is missing"),
        ("an impossible pattern", good.replace("namespace: a", "namespace: 'A?'"), "matches no name"),
        ("an empty pattern", good.replace("namespace: a", "namespace: ''"), "matches no name"),
        (
            "no age",
            good.replace("namespace: a", "namespace: a, maxAge: 30"),
            "rules[0].maxAge (line 4): the number 30",
        ),
        (
            "an age without a unit",
            good.replace("namespace: a", "namespace: a, maxAge: '30'"),
            "is not an age",
        ),
        (
            "an unknown time",
            good.replace("namespace: a", "namespace: a, time: [ever]"),
            "rules[0].time[0] (line 4): \"ever\" is none of valid-now",
        ),
        ("no time at all", good.replace("namespace: a", "namespace: a, time: []"), "nothing meets"),
        (
            "an unknown form",
            good.replace("namespace: a", "namespace: a, evidence: [none]"),
            "rules[0].evidence[0] (line 4): \"none\" is none of attestation",
        ),
        (
            "a result twice",
            good.replace("namespace: a", "namespace: a, results: [{name: x}, {name: x}]"),
            "appears twice",
        ),
        (
            "no result name",
            good.replace("namespace: a", "namespace: a, results: [{name: 'x y'}]"),
            "is not the name of a result",
        ),
        (
            "min of none",
            good.replace("namespace: a", "namespace: a, min: 0"),
            "min is 0, which demands nothing",
        ),
        (
            "min that is no number",
            good.replace("namespace: a", "namespace: a, min: few"),
            "rules[0].min (line 4): the text \"few\" stands where a whole number belongs",
        ),
        (
            "an unknown field of a result",
            good.replace("namespace: a", "namespace: a, results: [{name: x, is: z}]"),
            "rules[0].results[0] (line 4): there is no field \"is\"",
        ),
        (
            "a value that is a number",
            good.replace("namespace: a", "namespace: a, results: [{name: x, value: 3}]"),
            "rules[0].results[0].value (line 4): 3 cannot be the value of a result",
        ),
        (
            "a list of numbers",
            good.replace("namespace: a", "namespace: a, results: [{name: x, value: [3]}]"),
            "[3] cannot be the value of a result",
        ),
        (
            "one of none",
            good.replace("namespace: a", "namespace: a, results: [{name: x, oneOf: []}]"),
            "has an empty oneOf",
        ),
        (
            "no pattern",
            good.replace("namespace: a", "namespace: a, results: [{name: x, matches: 'a)(b'}]"),
            "\"a)(b\" is not a pattern (RE2): unexpected )",
        ),
        (
            "what RE2 has not",
            good.replace("namespace: a", "namespace: a, results: [{name: x, matches: '(?=a)'}]"),
            "is not a pattern (RE2)",
        ),
        (
            "a huge pattern",
            good.replace(
                "namespace: a",
                "namespace: a, results: [{name: x, matches: '((a{0,30}b{0,30}){0,30}c{0,30}){0,30}'}]",
            ),
            "is not a pattern (RE2)",
        ),
        (
            "a value that is not in oneOf",
            good.replace("namespace: a", "namespace: a, results: [{name: x, value: a, oneOf: [b, c]}]"),
            "has a value that is not in its oneOf",
        ),
        (
            "a value of another type",
            good.replace("namespace: a", "namespace: a, results: [{name: x, type: array, value: a}]"),
            "has a value of another type",
        ),
        (
            "a value that does not match",
            good.replace("namespace: a", "namespace: a, results: [{name: x, value: a, matches: b+}]"),
            "has a value that its pattern does not match",
        ),
        (
            "a step result of no step",
            good.replace("namespace: a", "namespace: a, results: [{name: x, stepResult: own}]"),
            "no step that it is from",
        ),
    ] {
        let error = PolicyFile::parse(&text).map(|_| ()).expect_err(case).to_string();
        assert!(error.contains(reason), "{case}: {error}");
    }
}

#[test]
fn patterns_fit_whole_names() {
    for (pattern, name, expected) in [
        ("build", "build", true),
        ("build", "build-1", false),
        ("build", "a-build", false),
        ("*", "", true),
        ("*", "anything", true),
        ("build-*", "build-", true),
        ("build-*", "build-7", true),
        ("build-*", "rebuild-7", false),
        ("*-release", "app-release", true),
        ("*-release", "app-release-2", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "acb", false),
        ("ab*ab", "ab", false),
        ("ab*ab", "abab", true),
        ("a**b", "ab", true),
        ("*a*a*", "a", false),
        ("*a*a*", "xaxa", true),
        ("a.b", "axb", false),
    ] {
        let parsed = Pattern::try_from(pattern.to_owned()).unwrap();
        assert_eq!(parsed.matches(name), expected, "{pattern} and {name}");
    }
}

#[test]
fn ages_have_a_number_and_a_unit() {
    for (text, seconds) in
        [("1s", 1), ("90m", 5400), ("720h", 2_592_000), ("30d", 2_592_000), ("007d", 604_800)]
    {
        let age = MaxAge::try_from(text.to_owned()).unwrap();
        assert!(!age.is_exceeded(UnixSeconds::new(1000), UnixSeconds::new(1000 + seconds)), "{text}");
        assert!(age.is_exceeded(UnixSeconds::new(1000), UnixSeconds::new(1001 + seconds)), "{text}");
        assert!(
            !age.is_exceeded(UnixSeconds::new(i64::MAX), UnixSeconds::new(0)),
            "{text}: signed in the future"
        );
    }
    for text in [
        "",
        "s",
        "0s",
        "-1h",
        "+1h",
        "1",
        "1w",
        "1.5h",
        " 1h",
        "1h ",
        "1h30m",
        "99999999999999999999d",
        "9223372036854775807d",
    ] {
        assert!(MaxAge::try_from(text.to_owned()).is_err(), "{text:?}");
    }
}

#[test]
fn rules_hold_or_say_what_is_broken() {
    let Genuine { object, trust } = genuine();
    let verified = Verdict::Verified;
    for (case, members, verdict, reason) in [
        ("nothing more", json!({}), verified, ""),
        ("a result", json!({"results": [{"name": "digest"}]}), verified, ""),
        ("its type", json!({"results": [{"name": "images", "type": "array"}]}), verified, ""),
        ("its step", json!({"results": [{"name": "digest", "from": "build"}]}), verified, ""),
        (
            "the step that set it last",
            json!({"results": [{"name": "commit", "from": "check"}]}),
            verified,
            "",
        ),
        (
            "a mapped one",
            json!({"results": [{"name": "from-step", "from": "flaky", "stepResult": "own"}]}),
            verified,
            "",
        ),
        ("an age", json!({"maxAge": "1h"}), verified, ""),
        ("a time", json!({"time": ["valid-now"]}), verified, ""),
        ("a value", json!({"results": [{"name": "digest", "value": "sha256:0123"}]}), verified, ""),
        ("a list", json!({"results": [{"name": "images", "value": ["a"]}]}), verified, ""),
        ("one of two", json!({"results": [{"name": "commit", "oneOf": ["one", "two"]}]}), verified, ""),
        ("one of two types", json!({"results": [{"name": "images", "oneOf": ["a", ["a"]]}]}), verified, ""),
        ("a pattern", json!({"results": [{"name": "digest", "matches": "sha256:[0-9a-f]+"}]}), verified, ""),
        (
            "a pattern of items",
            json!({"results": [{"name": "images", "type": "array", "matches": "a|b"}]}),
            verified,
            "",
        ),
        (
            "another value",
            json!({"results": [{"name": "digest", "value": "sha256:0124"}]}),
            Verdict::Invalid,
            "result digest must be \"sha256:0124\", but it is \"sha256:0123\"",
        ),
        (
            "text where there is a list",
            json!({"results": [{"name": "images", "value": "[\"a\"]"}]}),
            Verdict::Invalid,
            "result images must be \"[\\\"a\\\"]\", but it is [\"a\"]",
        ),
        (
            "a longer list",
            json!({"results": [{"name": "images", "value": ["a", "b"]}]}),
            Verdict::Invalid,
            "but it is [\"a\"]",
        ),
        (
            "none of two",
            json!({"results": [{"name": "commit", "oneOf": ["one", "three"]}]}),
            Verdict::Invalid,
            "result commit must be one of \"one\", \"three\", but it is \"two\"",
        ),
        (
            "a pattern that matches a part",
            json!({"results": [{"name": "digest", "matches": "[0-9a-f]+"}]}),
            Verdict::Invalid,
            "the whole of result digest must match [0-9a-f]+, but it is \"sha256:0123\"",
        ),
        (
            "an alternative that matches a part",
            json!({"results": [{"name": "digest", "matches": "sha256|x"}]}),
            Verdict::Invalid,
            "must match sha256|x",
        ),
        (
            "an item that does not match",
            json!({"results": [{"name": "images", "type": "array", "matches": "b"}]}),
            Verdict::Invalid,
            "the whole of result images must match b",
        ),
        (
            "a missing result",
            json!({"results": [{"name": "sbom"}]}),
            Verdict::Absent,
            "policy, rule 1: result sbom must be there, but it is not",
        ),
        (
            "another type",
            json!({"results": [{"name": "digest", "type": "array"}]}),
            Verdict::Invalid,
            "result digest must be of type array, but it is of type string",
        ),
        (
            "another step",
            json!({"results": [{"name": "digest", "from": "check"}]}),
            Verdict::Invalid,
            "must be the value that step check set, but it is the value of step build",
        ),
        (
            "a later step changed it",
            json!({"results": [{"name": "commit", "from": "build"}]}),
            Verdict::Invalid,
            "must be the value that step build set, but it is the value of step check",
        ),
        (
            "another step result",
            json!({"results": [{"name": "from-step", "from": "flaky", "stepResult": "other"}]}),
            Verdict::Invalid,
            "but it is the step result own",
        ),
        (
            "no step result",
            json!({"results": [{"name": "digest", "from": "build", "stepResult": "own"}]}),
            Verdict::Invalid,
            "but it is not a step result",
        ),
        (
            "a failed step",
            json!({"failures": "none"}),
            Verdict::Invalid,
            "no step may have failed, but step flaky failed",
        ),
        (
            "the run in the certificate",
            json!({"attestedBy": "run"}),
            Verdict::Weak,
            "every step's certificate must attest the run, but that of step build attests none of them",
        ),
        (
            "a proven time",
            json!({"time": ["valid-then"]}),
            Verdict::Weak,
            "must be valid-then, but it is valid-now",
        ),
        (
            "a name",
            json!({"name": "images", "results": [{"name": "sbom"}]}),
            Verdict::Absent,
            "policy, rule 1 (images): ",
        ),
        (
            "two demands",
            json!({"results": [{"name": "sbom"}], "failures": "none"}),
            Verdict::Invalid,
            "result sbom must",
        ),
    ] {
        let report = under(object, trust, policy(&rule(members)));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
        assert!(reasons(&report).contains(reason), "{case}: {}", reasons(&report));
        assert_eq!(report.proof.is_some(), verdict == verified, "{case}");
        assert_eq!(report.rules, [0], "{case}");
        assert!(
            report.findings.iter().all(|finding| finding.code() == "policy"),
            "{case}: {}",
            reasons(&report)
        );
        for finding in &report.findings {
            let (text, facts) = (finding.to_string(), finding.facts());
            let named = facts.result.map(|result| format!("result {} must", result.name));
            assert_eq!(named.is_some(), text.contains("result ") && text.contains(" must"), "{case}: {text}");
            assert!(named.is_none_or(|named| text.contains(&named)), "{case}: {text}");
            let step = text.split_once("but ").and_then(|(_, found)| found.split_once("step "));
            let step = step.map(|(_, rest)| rest.split(' ').next().unwrap());
            let is_of_step =
                matches!(facts.detail, Some(Detail::ATTESTED_BY | Detail::FAILURES | Detail::MAX_AGE));
            assert_eq!(facts.step, step.filter(|_| is_of_step), "{case}: {text}");
        }
    }
}

#[test]
fn all_rules_that_match_must_hold_and_one_must_match() {
    let Genuine { object, trust } = genuine();
    let any = json!({"namespace": "*", "taskRun": "*"});
    let strict = json!({"namespace": "default", "taskRun": "build-7", "results": [{"name": "sbom"}]});
    let other = json!({"namespace": "other", "taskRun": "*", "results": [{"name": "sbom"}]});
    let other_name = json!({"namespace": "default", "taskRun": "build"});
    for (case, rules, verdict, used) in [
        ("a rule that does not match demands nothing", json!([any, other]), Verdict::Verified, &[0][..]),
        ("both match", json!([any, strict]), Verdict::Absent, &[0, 1]),
        ("in any order", json!([strict, any]), Verdict::Absent, &[0, 1]),
        ("another namespace", json!([other]), Verdict::Unchecked, &[]),
        ("another name", json!([other_name]), Verdict::Unchecked, &[]),
    ] {
        let report = under(object, trust, policy(&rules));
        assert_eq!(
            (report.verdict, report.rules.as_slice()),
            (verdict, used),
            "{case}: {}",
            reasons(&report)
        );
        assert_eq!(report.proof.is_some(), verdict == Verdict::Verified, "{case}");
        let says = reasons(&report).contains("the policy says nothing about default/build-7");
        assert_eq!(says, used.is_empty(), "{case}: {}", reasons(&report));
    }
}

#[test]
fn an_expired_policy_decides_nothing() {
    let Genuine { object, trust } = genuine();
    let late = Trust {
        now: trust.now + std::time::Duration::from_secs(2 * 86400),
        at: Some(trust.now),
        ..trust.clone()
    };
    let file = policy(&rule(json!({"time": ["asserted"]})));
    let report = under(object, &late, file.clone());
    assert_eq!(report.verdict, Verdict::Unchecked, "{}", reasons(&report));
    assert!(reasons(&report).contains("it may be used until"), "{}", reasons(&report));
    let in_time =
        Trust { now: trust.now + std::time::Duration::from_secs(3600), at: Some(trust.now), ..trust.clone() };
    let report = under(object, &in_time, file);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn of_command_line_and_policy_the_stricter_wins() {
    let Genuine { object, trust } = genuine();
    let late = Trust { now: trust.now + std::time::Duration::from_secs(7200), ..trust.clone() };
    let unproven = json!({"time": ["valid-now", "unproven"]});
    for (case, rules, accepts, accepted) in [
        ("neither", json!({}), false, false),
        ("the command line alone", json!({}), true, false),
        ("the policy alone", unproven.clone(), false, false),
        ("both", unproven, true, true),
    ] {
        let policy =
            Policy { accept_unproven_time: accepts, file: Some(policy(&rule(rules))), ..Policy::default() };
        let report = judge_with(object, &late, &policy);
        assert_eq!(report.verdict, Verdict::Weak, "{case}: {}", reasons(&report));
        assert_eq!(
            (report.accepted, report.proof.is_some()),
            (accepted, accepted),
            "{case}: {}",
            reasons(&report)
        );
    }
    let mut lacking = object.clone();
    lacking["status"].as_object_mut().unwrap().remove("steps");
    lacking["status"]["results"].as_array_mut().unwrap().retain(|result| result["name"] != "digest");
    for (case, rules, accepts, accepted) in [
        ("a result not carried, accepted by the command line", json!({}), true, false),
        ("by the policy", json!({"notCarried": true}), false, false),
        ("by both", json!({"notCarried": true}), true, true),
    ] {
        let policy =
            Policy { accept_not_carried: accepts, file: Some(policy(&rule(rules))), ..Policy::default() };
        let report = judge_with(&lacking, trust, &policy);
        assert_eq!(
            (report.verdict, report.accepted),
            (Verdict::Weak, accepted),
            "{case}: {}",
            reasons(&report)
        );
    }
    let stated = Trust { at: Some(trust.now), ..late };
    for (case, time, verdict) in [
        ("a time that is only asserted", json!(["valid-now", "valid-then"]), Verdict::Weak),
        ("accepted", json!(["asserted"]), Verdict::Verified),
    ] {
        let report = under(object, &stated, policy(&rule(json!({"time": time}))));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
    let old = Trust { at: Some(trust.now + std::time::Duration::from_secs(1800)), ..stated };
    let aged = |age: &str| policy(&rule(json!({"time": ["asserted"], "maxAge": age})));
    let report = under(object, &old, aged("20m"));
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
    assert!(reasons(&report).contains("no step may have signed longer than 20m ago"), "{}", reasons(&report));
    assert_eq!(under(object, &old, aged("40m")).verdict, Verdict::Verified, "counted to the stated time");
}

#[test]
fn tekton_s_own_signatures_need_both_to_accept_them() {
    let cluster = Cluster::new("build-8");
    let pod = cluster.pod(&["build"], &[("svidence-evidence", "tep-0089"), ("svidence-containers", "1")]);
    let outcome = pod
        .step(0)
        .results(&["digest"])
        .script("printf sha256:0123 >$RESULTS/digest")
        .signed(&cluster.agent.address())
        .run();
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    let spec = cluster.spec(json!({"results": [{"name": "digest"}], "steps": [{"name": "build"}]}));
    let object = assemble(&spec, &[outcome.report]);
    let trust = trust(&cluster.ca.bundle_pem());
    let accepting = json!({"evidence": ["tep-0089"], "time": ["unproven"], "results": [{"name": "digest"}]});
    let more = |name: &str, value: Value| {
        let mut rule = accepting.clone();
        rule[name] = value;
        rule
    };
    for (case, members, accepts, accepted) in [
        ("the command line alone", json!({"time": ["unproven"]}), true, false),
        ("the policy alone", accepting.clone(), false, false),
        ("both", accepting.clone(), true, true),
        ("both, but not without a time", more("time", json!(["valid-now"])), true, false),
        ("both, but of a run", more("attestedBy", json!("run")), true, false),
        ("both, but of an age", more("maxAge", json!("1h")), true, false),
        ("both, but of a step", more("results", json!([{"name": "digest", "from": "build"}])), true, false),
    ] {
        let policy =
            Policy { accept_tep0089: accepts, file: Some(policy(&rule(members))), ..Policy::default() };
        let report = judge_with(&object, &trust, &policy);
        assert_eq!(
            (report.verdict, report.accepted),
            (Verdict::Weak, accepted),
            "{case}: {}",
            reasons(&report)
        );
    }
}

#[test]
fn what_nobody_signs_holds_only_if_the_policy_says_the_same() {
    let Genuine { object, trust } = genuine();
    // The task is not inline, so names of mapped results and types of ambiguous values are only claimed.
    let mut object = object.clone();
    object["spec"].as_object_mut().unwrap().remove("taskSpec");
    let result = |report: &Report, name: &str| {
        report.proof.as_ref().unwrap().results.iter().find(|result| result.name == name).cloned().unwrap()
    };
    let report = under(&object, trust, policy(&rule(json!({}))));
    assert!(result(&report, "from-step").name_is_claimed && result(&report, "images").type_is_claimed);
    let report = under(&object, trust, policy(&rule(json!({"results": [{"name": "from-step"}]}))));
    assert_eq!(report.verdict, Verdict::Absent, "{}", reasons(&report));
    let vouched = json!({"results": [
        {"name": "from-step", "from": "flaky", "stepResult": "own"}, {"name": "images", "type": "array"},
    ]});
    let report = under(&object, trust, policy(&rule(vouched)));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    assert!(!result(&report, "from-step").name_is_claimed && !result(&report, "images").type_is_claimed);
}

#[test]
fn a_failed_taskrun_is_refused_unless_failures_are_allowed() {
    let cluster = Cluster::new("build-9");
    let pod = cluster.pod(&["build"], &[]);
    let outcome = pod
        .step(0)
        .results(&["digest"])
        .script("printf sha256:0123 >$RESULTS/digest; exit 2")
        .signed(&cluster.agent.address())
        .run();
    let spec = cluster.spec(json!({"results": [{"name": "digest"}], "steps": [{"name": "build"}]}));
    let object = assemble(&spec, &[outcome.report]);
    let trust = trust(&cluster.ca.bundle_pem());
    for (failures, verdict) in
        [("none", Verdict::Invalid), ("continued", Verdict::Invalid), ("any", Verdict::Verified)]
    {
        let report = under(&object, &trust, policy(&rule(json!({"failures": failures}))));
        assert_eq!(report.verdict, verdict, "{failures}: {}", reasons(&report));
    }
    let report = under(&object, &trust, policy(&rule(json!({}))));
    assert!(reasons(&report).contains("the TaskRun must have succeeded"), "{}", reasons(&report));
}

#[test]
fn a_broken_rule_does_not_hide_a_forgery() {
    let Genuine { object, trust } = genuine();
    let mut altered = object.clone();
    let results = altered["status"]["results"].as_array_mut().unwrap();
    results.iter_mut().find(|result| result["name"] == "digest").unwrap()["value"] = json!("sha256:bad");
    let report = under(&altered, trust, policy(&json!([{"namespace": "other", "taskRun": "*"}])));
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code()).collect();
    assert!(codes.contains(&"result-changed") && codes.contains(&"policy"), "{codes:?}");
}

/// Texts that may be read in more than one way, and some that may not.
const TEXTS: [&str; 13] = [
    "null",
    "\"sha256:good\"",
    "\"\"",
    "\"\\u0041\"",
    " \"spaced\" ",
    "[\"a\"]",
    "[]",
    "[null]",
    "{\"k\":\"v\"}",
    "5",
    "true",
    "\"broken",
    "plain",
];

/// The object as its status would have to be if its task declared every result to be of this type.
fn declared_as(object: &Value, kind: &str, in_steps: bool) -> Value {
    let mut object = object.clone();
    let status = &mut object["status"];
    let declared = match in_steps {
        true => &mut status["taskSpec"]["steps"][0]["results"],
        false => &mut status["taskSpec"]["results"],
    };
    for result in declared.as_array_mut().unwrap() {
        result["type"] = json!(kind);
    }
    let value_of = |name: &str| {
        let text = name.strip_prefix('r').and_then(|number| TEXTS.get(number.parse::<usize>().ok()?))?;
        let decoded = if kind == "string" { ResultValue::String((*text).to_owned()) } else { decode(text) };
        Some((decoded.type_name(), serde_json::from_str::<Value>(&decoded.canonical_json()).unwrap()))
    };
    let lists = ["/status/results", "/status/steps/0/results"];
    for list in &lists[..if in_steps { 2 } else { 1 }] {
        for result in object.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some((kind, value)) = value_of(result["name"].as_str().unwrap()) {
                (result["type"], result["value"]) = (json!(kind), value);
            }
        }
    }
    object
}

/// Whoever may write a status may write a `taskSpec` that makes the controller's decoding fit another value.
#[test]
fn a_demanded_type_decides_how_the_text_that_a_step_wrote_is_read() {
    let names: Vec<String> = (0..TEXTS.len()).map(|i| format!("r{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cluster = Cluster::new("build-8");
    let pod = cluster.pod(&["one"], &[("svidence-containers", "1"), ("svidence-evidence", "attestation")]);
    let run = |folder: &str| {
        let script =
            TEXTS.iter().enumerate().map(|(i, text)| format!("printf '%s' '{text}' >{folder}/r{i}\n"));
        let step = pod.step(0).signed(&cluster.agent.address());
        let step = match folder {
            "$RESULTS" => step.results(&names),
            _ => step.step_results(&names),
        };
        step.script(&script.collect::<String>()).run().report
    };
    let plain: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": "string"})).collect();
    let mapped = names
        .iter()
        .map(|name| json!({"name": name, "type": "string", "value": format!("$(steps.one.results.{name})")}));
    let of_task = json!({"results": plain, "steps": [{"name": "one"}]});
    let of_step =
        json!({"results": mapped.collect::<Vec<_>>(), "steps": [{"name": "one", "results": plain}]});
    let trust = trust(&cluster.ca.bundle_pem());
    for (form, folder, task) in [("task", "$RESULTS", of_task), ("step", "$STEP_RESULTS", of_step)] {
        let in_steps = form == "step";
        let object = assemble(&cluster.spec(task), &[run(folder)]);
        for claimed in ["string", "array"] {
            let whole = declared_as(&object, claimed, in_steps);
            let mut without_messages = whole.clone();
            without_messages["status"]["steps"][0]["terminated"]["message"] = json!("");
            for (place, object) in [("messages", &whole), ("no messages", &without_messages)] {
                for (i, text) in TEXTS.iter().enumerate() {
                    for kind in ["string", "array", "object"] {
                        let case =
                            format!("{form} result, {place}, {text:?} claimed {claimed}, demanded {kind}");
                        let from =
                            if in_steps { json!({"from": "one", "stepResult": names[i]}) } else { json!({}) };
                        let mut demanded = json!({"name": names[i], "type": kind});
                        demanded.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
                        let report = under(object, &trust, policy(&rule(json!({"results": [demanded]}))));
                        let value = if claimed == "string" {
                            ResultValue::String((*text).to_owned())
                        } else {
                            decode(text)
                        };
                        let is_raw = value == ResultValue::String((*text).to_owned());
                        let good = value.type_name() == kind && (kind != "string" || is_raw);
                        let expected = if good { Verdict::Verified } else { Verdict::Invalid };
                        assert_eq!(report.verdict, expected, "{case}: {}", reasons(&report));
                        let result =
                            report.proof.iter().flat_map(|proof| &proof.results).find(|r| r.name == names[i]);
                        assert!(result.is_none_or(|result| !result.type_is_claimed), "{case}: {result:?}");
                    }
                }
            }
        }
    }
}

/// `testdata/attacks`: it was accepted, and the type counted as vouched for.
#[test]
fn a_demanded_string_is_the_text_and_not_what_it_means_as_json() {
    let object: Value =
        serde_json::from_str(include_str!("../../testdata/attacks/policy-type-forged.json")).unwrap();
    let now = UnixSeconds::parse("2026-11-28T08:30:00Z").unwrap();
    let trust = Trust { now, at: Some(now), ..trust(include_str!("../../testdata/attacks/policy-type.pem")) };
    let file = PolicyFile::parse(include_str!("../../testdata/attacks/policy-type.policy.json")).unwrap();
    let report = under(&object, &trust, file);
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
    assert_eq!(reasons(&report).matches("must be of type string").count(), 2, "{}", reasons(&report));
}

/// Whether `["a"]` is a list or text rests on the task of the object: a pattern could be made to match either.
#[test]
fn a_pattern_needs_a_type_where_only_a_task_says_how_text_is_read() {
    let Genuine { object, trust } = genuine();
    let mut by_name = object.clone();
    by_name["spec"] = json!({"taskRef": {"name": "build"}});
    for (place, object) in [("a task by name", &by_name), ("an inline task", object)] {
        for (case, demanded, verdict) in [
            ("a pattern alone", json!({"name": "images", "matches": "a"}), Verdict::Absent),
            ("with its type", json!({"name": "images", "matches": "a", "type": "array"}), Verdict::Verified),
            ("with its value", json!({"name": "images", "matches": "a", "value": ["a"]}), Verdict::Verified),
            ("of plain text", json!({"name": "digest", "matches": "sha256:.*"}), Verdict::Verified),
        ] {
            let report = under(object, trust, policy(&rule(json!({"results": [demanded]}))));
            assert_eq!(report.verdict, verdict, "{place}, {case}: {}", reasons(&report));
        }
        let mut rules = rule(json!({"results": [{"name": "images", "matches": "a"}]}));
        let mut others = rule(json!({"results": [{"name": "images", "type": "array"}]}));
        rules.as_array_mut().unwrap().append(others.as_array_mut().unwrap());
        let report = under(object, trust, policy(&rules));
        assert_eq!(report.verdict, Verdict::Verified, "{place}, typed by another rule: {}", reasons(&report));
    }
}

/// A writer of files forges the inline task with the one in the status: the step wrote `"sha256:good"` with its quotes.
#[test]
fn a_pattern_is_not_met_by_what_a_forged_inline_task_makes_of_the_text() {
    let mut object: Value =
        serde_json::from_str(include_str!("../../testdata/attacks/policy-type-forged.json")).unwrap();
    object["spec"] = json!({"taskSpec": object["status"]["taskSpec"].clone()});
    let now = UnixSeconds::parse("2026-11-28T08:30:00Z").unwrap();
    let trust = Trust { now, at: Some(now), ..trust(include_str!("../../testdata/attacks/policy-type.pem")) };
    let time = json!(["asserted"]);
    for demanded in [
        json!({"name": "note", "matches": "sha256:good"}),
        json!({"name": "note", "matches": "sha256:good", "type": "string"}),
        json!({"name": "note", "oneOf": ["sha256:good"], "matches": "sha256:.*"}),
        json!({"name": "note", "value": "sha256:good"}),
        json!({"name": "digest", "matches": ""}),
    ] {
        let rules = rule(json!({"time": time, "results": [demanded]}));
        let report = under(&object, &trust, policy(&rules));
        let refused = matches!(report.verdict, Verdict::Invalid | Verdict::Absent);
        assert!(refused && !report.accepted, "{demanded}: {:?} {}", report.verdict, reasons(&report));
    }
}
