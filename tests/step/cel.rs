//! CEL as in when expressions, against what cel-go says: recorded answers, and the real thing where it is built.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cel::{CelError, Limit, evaluate};
use go::zone::{LocalZone, UnknownZone, Zones};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

#[allow(unreachable_pub)]
use crate::support::peers;

use peers::require;

/// What is expected of an expression: its value, or the text of its error.
type Answer = Result<bool, String>;

struct Case {
    expression: String,
    answer: Answer,
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A table of quoted expression, `true`, `false` or `ERROR`, and quoted error.
fn table(name: &str) -> Vec<Case> {
    let text = fs::read_to_string(testdata(name)).unwrap();
    let cases = text.lines().map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [expression, outcome, error] = columns[..] else { panic!("not three columns: {line}") };
        let unquote = |quoted: &str| serde_json::from_str::<String>(quoted).unwrap();
        let answer = match outcome {
            "true" => Ok(true),
            "false" => Ok(false),
            "ERROR" => Err(unquote(error)),
            other => panic!("unknown outcome {other}"),
        };
        Case { expression: unquote(expression), answer }
    });
    cases.collect()
}

fn zones() -> Zones {
    Zones::in_folder(&testdata("zoneinfo"), LocalZone::utc())
}

fn ours(expression: &str) -> Answer {
    evaluate(expression, &zones()).map_err(|error| error.to_string())
}

/// Whether two answers are the same as far as they can be: after a syntax error cel-go reads on, and may report more of
/// them, in words that come from its parser generator.
fn same(theirs: &Answer, ours: &Answer) -> bool {
    let syntax = |answer: &Answer| matches!(answer, Err(text) if text.contains(": Syntax error: "));
    theirs == ours || syntax(theirs) && syntax(ours)
}

fn differing<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<String> {
    let differs = |case: &Case| {
        let ours = ours(&case.expression);
        let wrong = !same(&case.answer, &ours);
        wrong.then(|| format!("{:?}\n  cel-go {:?}\n  ours   {ours:?}", case.expression, case.answer))
    };
    cases.into_iter().filter_map(differs).collect()
}

#[test]
fn the_contract_s_vectors_hold_to_the_letter() {
    let vectors = table("cel-vectors.tsv");
    assert!(vectors.len() > 70, "{} vectors", vectors.len());
    for Case { expression, answer } in vectors {
        assert_eq!(ours(&expression), answer, "{expression:?}");
    }
}

#[test]
fn recorded_answers_of_cel_go_hold() {
    let cases = table("cel-cases.tsv");
    assert!(cases.len() > 5_000, "{} cases", cases.len());
    let differing = differing(&cases);
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

/// Asks the real cel-go.
fn ask(peer: &Path, expressions: &[String]) -> Vec<Answer> {
    let mut child = Command::new(peer)
        .env("TZ", "UTC")
        .env("ZONEINFO", testdata("zoneinfo"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            for expression in expressions {
                writeln!(stdin, "{}", serde_json::to_string(expression).unwrap()).unwrap();
            }
        });
        child.wait_with_output().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Answer> = text
        .lines()
        .map(|line| {
            let answer: serde_json::Value = serde_json::from_str(line).unwrap();
            match (&answer["value"], &answer["error"]) {
                (serde_json::Value::Bool(value), _) => Ok(*value),
                (_, serde_json::Value::String(error)) => Err(error.clone()),
                _ => panic!("neither value nor error: {line}"),
            }
        })
        .collect();
    assert_eq!(answers.len(), expressions.len(), "an expression ended {}", peer.display());
    answers
}

/// With `SVIDENCE_REGENERATE=1` the answers in the table are written anew, for the expressions in it.
#[test]
fn cel_go_still_answers_as_recorded() {
    let Some(peer) = require("tekton-when") else { return };
    let expressions: Vec<String> = table("cel-cases.tsv").into_iter().map(|case| case.expression).collect();
    let mut text = String::new();
    for (expression, answer) in expressions.iter().zip(ask(&peer, &expressions)) {
        let (outcome, error) = match answer {
            Ok(value) => (value.to_string(), String::new()),
            Err(error) => ("ERROR".to_owned(), error),
        };
        let quote = |text: &str| serde_json::to_string(text).unwrap();
        text += &format!("{}\t{outcome}\t{}\n", quote(expression), quote(&error));
    }
    if std::env::var_os("SVIDENCE_REGENERATE").is_some() {
        fs::write(testdata("cel-cases.tsv"), &text).unwrap();
    }
    assert!(
        text == fs::read_to_string(testdata("cel-cases.tsv")).unwrap(),
        "cel-go answers otherwise than recorded"
    );
}

/// Expressions with every operator, macro and many functions over values of every type. Most values are dyn, or hardly any
/// expression would get past type-checking.
fn expression() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "2",
        "9223372036854775807",
        "-9223372036854775808",
        "0u",
        "1u",
        "18446744073709551615u",
        "0.0",
        "1.0",
        "-0.5",
        "1e300",
        "''",
        "'a'",
        "'ab'",
        "'1'",
        "'é'",
        "b''",
        "b'a'",
        "true",
        "false",
        "null",
        "[]",
        "[1, 2]",
        "['a']",
        "[1, 'a', null]",
        "{}",
        "{'a': 1}",
        "{1: 2, 1u: 3}",
        "{'a': {'b': [1]}}",
        "int",
        "string",
        "timestamp(0)",
        "timestamp('2024-02-29T12:30:00+01:00')",
        "duration('1s')",
        "duration('-1h30m')",
        "google.protobuf.Int32Value{value: 1}",
    ]);
    let leaf = prop_oneof![
        1 => value.clone().prop_map(str::to_owned),
        6 => value.prop_map(|value| format!("dyn({value})")),
        3 => prop::sample::select(vec!["x", "y", "true", "false"]).prop_map(str::to_owned),
    ];
    let operator = prop::sample::select(vec![
        "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
    ]);
    let function = prop::sample::select(vec![
        "dyn",
        "type",
        "size",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "timestamp",
        "duration",
        "!",
        "-",
    ]);
    let method =
        prop::sample::select(vec!["size", "getHours", "getFullYear", "getDayOfWeek", "getMilliseconds"]);
    let with_argument =
        prop::sample::select(vec!["contains", "startsWith", "endsWith", "matches", "getMinutes"]);
    let fold = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
    let variable = prop::sample::select(vec!["x", "y"]);
    let part = leaf.prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            6 => (inner.clone(), operator.clone(), inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            2 => (function.clone(), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            2 => inner.clone().prop_map(|a| format!("dyn({a})")),
            1 => (inner.clone(), method.clone()).prop_map(|(a, m)| format!("{a}.{m}()")),
            1 => inner.clone().prop_map(|a| format!("has({a}.a)")),
            1 => inner.clone().prop_map(|a| format!("{a}.a")),
            1 => (inner.clone(), with_argument.clone(), inner.clone()).prop_map(|(a, m, b)| format!("{a}.{m}({b})")),
            3 => (inner.clone(), fold.clone(), variable.clone(), inner.clone())
                .prop_map(|(a, f, v, b)| format!("{a}.{f}({v}, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    });
    (part.clone(), part, 0..4).prop_map(|(a, b, how)| {
        let tested = match how {
            0 => a,
            1 => format!("{a} == {b}"),
            2 => format!("dyn({a}) == {b} || true"),
            _ => format!("dyn({a}) && {b}"),
        };
        format!("[dyn(1)].exists(x, [dyn('a')].all(y, {tested}))")
    })
}

#[test]
fn generated_expressions_get_cel_go_s_answers() {
    let Some(peer) = require("tekton-when") else { return };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let strategy = expression();
    let expressions: Vec<String> =
        (0..6_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let answers = ask(&peer, &expressions);
    let meaningful = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(meaningful > 500, "only {meaningful} of the expressions have a value");
    // The keys of a map come in a random order there, which shows in the first error of several.
    let outcome = |answer: &Answer| answer.clone().map_err(|_| ());
    let differing: Vec<String> = expressions
        .iter()
        .zip(&answers)
        .filter_map(|(expression, theirs)| {
            let ours = ours(expression);
            (outcome(theirs) != outcome(&ours))
                .then(|| format!("{expression:?}\n  cel-go {theirs:?}\n  ours   {ours:?}"))
        })
        .collect();
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

/// The expression is refused or answered, and that soon.
fn within_bounds(name: &str, expression: &str) -> Result<bool, CelError> {
    let start = Instant::now();
    let outcome = evaluate(expression, &zones());
    // Tests are built without optimisation: what is measured is "not for ever".
    assert!(start.elapsed() < Duration::from_secs(60), "{name}: took {:?}", start.elapsed());
    outcome
}

#[test]
fn no_expression_is_too_large_to_be_refused() {
    let syntax = |issues: &str| Err(CelError::Syntax { issues: format!("ERROR: <input>:-1:0: {issues}") });
    let rules = || syntax("expression recursion limit exceeded: 250");
    let operations = || syntax("max recursion depth exceeded");
    let steps = || Err(CelError::TooLarge { limit: Limit::Steps(10_000_000) });
    let bytes = || Err(CelError::TooLarge { limit: Limit::Bytes(64 << 20) });
    let nest = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let many = |what: &str, between: &str, times: usize| vec![what; times].join(between);
    let ten = "[0,1,2,3,4,5,6,7,8,9]";
    let cases = [
        ("parentheses", "(".repeat(99_000), rules()),
        ("closed parentheses", nest("(", "true", ")", 40_000), rules()),
        ("lists", nest("[", "", "]", 40_000), rules()),
        ("maps", nest("{1:", "1", "}", 20_000), rules()),
        ("messages", nest("google.protobuf.Value{list_value:[", "", "]}", 2_000), rules()),
        ("calls", nest("dyn(", "true", ")", 15_000), rules()),
        ("ternaries", "true?true:".repeat(9_000) + "true", rules()),
        ("macros in macros", nest("[1].all(x,", "true", ")", 8_000), rules()),
        ("sums in sums", nest("1+(", "1", ")", 20_000), rules()),
        ("a sum", many("1", "+", 49_000), operations()),
        ("a sum of 20,000 terms", many("1", "+", 20_000) + " == 20000", operations()),
        ("relations", many("1", "<", 49_000), operations()),
        ("fields", "a".to_owned() + &".a".repeat(49_000), operations()),
        ("indexes", "[1]".to_owned() + &"[0]".repeat(30_000), operations()),
        ("macros after macros", "[1]".to_owned() + &".map(x,x)".repeat(9_000), operations()),
        ("nots", "!".repeat(99_000) + "true", Ok(true)),
        ("minuses", "-".repeat(99_000) + "(1) == 1", Ok(true)),
        ("ands", many("true", "&&", 16_000), Ok(true)),
        ("ors in ands", many("(false||true)", "&&", 6_000), Ok(true)),
        ("a long list", format!("[{}].size() == 49000", many("1", ",", 49_000)), Ok(true)),
        ("a long map", format!("{{{}}}.size() == 1", many("1:1", ",", 24_000)), Ok(true)),
        ("a long text", format!("'{}'.size() == 99000", "é".repeat(99_000 - 18)), Ok(false)),
        (
            "too long",
            "1".repeat(100_001),
            syntax("expression code point size exceeds limit: size: 100001, limit 100000"),
        ),
        ("nested loops", format!("[{ten}].all(l, {})", nest("l.all(x, ", "true", ")", 9)), steps()),
        ("nested loops over literals", nest(&format!("{ten}.all(x, "), "true", ")", 9), bytes()),
        ("nested gathering", nest(&format!("{ten}.map(x, "), "x", ")", 9), bytes()),
        ("doubling texts", format!("['ab']{}.size() == 1", ".map(x, x + x)".repeat(40)), bytes()),
        ("doubling bytes", format!("[b'ab']{}.size() == 1", ".map(x, x + x)".repeat(40)), bytes()),
        ("doubling lists", format!("[[1]]{}.size() == 1", ".map(x, x + x)".repeat(40)), bytes()),
        (
            "comparing what was shared",
            format!("[[1]]{m}.size() == 1 && [[1]]{m} == [[1]]{m}", m = ".map(x, [x, x])".repeat(40)),
            steps(),
        ),
        (
            "types of types",
            format!("[1]{}.size() == 1", ".map(x, {x: x})".repeat(60)),
            Err(CelError::TooLarge { limit: Limit::Types }),
        ),
        (
            "errors about large types",
            format!(
                "[1]{}.map(v, [{}]) == []",
                ".map(x, {x: x})".repeat(14),
                many("google.protobuf.Int32Value{value: v}", ",", 200)
            ),
            Err(CelError::TooLarge { limit: Limit::Types }),
        ),
        ("a large pattern", format!("'a'.matches('{}')", "[a-z]{1000}".repeat(100)), steps()),
        (
            "comparing long texts",
            format!(
                "['ab']{}.all(s, {ten}.all(x, {ten}.all(y, s == s && s < s + 'a' && s.contains('c') || s in {{s: 1}})))",
                ".map(x, x + x)".repeat(20)
            ),
            bytes(),
        ),
        (
            "looking at long texts",
            format!(
                "['ab']{}.all(s, {{s: 1}}.all(k, [{ten}].all(l, {})))",
                ".map(x, x + x)".repeat(22),
                nest("l.all(x, ", "s == k && s <= k && k.startsWith(s) && s.size() > 0", ")", 4)
            ),
            steps(),
        ),
        (
            "a grown pattern",
            format!("['(a)']{}.all(p, 'a'.matches(p))", ".map(x, x + x)".repeat(20)),
            steps(),
        ),
        ("many classes", format!("'a'.matches('{}')", r"\\pL".repeat(20_000)), steps()),
        (
            "many patterns",
            format!("{ten}.all(x, {ten}.all(y, 'a'.matches('^a{{999}}' + string(x) + string(y) + '|a')))"),
            steps(),
        ),
        (
            "a slow pattern",
            format!("{ten}.exists(x, '{}'.matches('(a*)*b{{900}}(x+x+)+y'))", "a".repeat(30_000)),
            steps(),
        ),
    ];
    for (name, expression, expected) in cases {
        assert_eq!(within_bounds(name, &expression), expected, "{name}");
    }
    let evaluation = |pattern: String| match within_bounds("pattern", &format!("'a'.matches('{pattern}')")) {
        Err(CelError::Evaluation { reason }) => reason,
        other => panic!("{other:?}"),
    };
    for (pattern, reason) in [
        (nest("(", "a", ")", 1_001), "expression nests too deeply"),
        ("(".repeat(50_000), "expression nests too deeply"),
        ("((a{1,100}){1,10}){1,2}".to_owned(), "invalid repeat count"),
        (r"\\pL{200}".to_owned(), "needs more than 1048576 bytes of memory"),
        (r"\\pL".repeat(200), "needs more than 1048576 bytes of memory"),
    ] {
        let said = evaluation(pattern);
        assert!(said.contains(reason), "{said:.200}");
    }
    let groups = nest("(", "a", ")", 1_000);
    assert_eq!(within_bounds("groups", &format!("'a'.matches('{groups}')")), Ok(true));
    // As deep as cel-go goes, with every kind of operation on the way.
    for (name, expression) in [
        ("macros", nest("[1].all(x, x == 1 && ", "true", ")", 124)),
        ("lists and ands", nest("[true && [", "", "] == []]", 120) + " == []"),
        ("ands in lists", nest(&format!("[{}", "true&&".repeat(31)), "true", "]", 249) + " == []"),
        ("the deepest tree", nest(&format!("{}{}[", "1||".repeat(63), "1&&".repeat(63)), "", "]", 249)),
        ("the deepest tree with a value", nest(&format!("({}", "false||".repeat(31)), "true", ")", 249)),
        ("ands in parentheses", nest(&format!("({}", "true&&".repeat(63)), "true", ")", 249)),
        ("ors in ands", nest("(true&&true&&true&&(false||false||false||", "true", "))", 124)),
        ("maps", nest("{1:{2:", "true", "}}", 124) + " == {}"),
        ("gathering", nest("[1].map(x, ", "x", ")", 240) + ".size() == 1"),
    ] {
        let outcome = within_bounds(name, &expression);
        assert!(
            !matches!(outcome, Err(CelError::Syntax { .. } | CelError::TooLarge { .. })),
            "{name}: {outcome:?}"
        );
    }
}

#[test]
fn errors_are_told_apart() {
    for (expression, expected) in [
        ("true &&", "Syntax"),
        ("if", "Syntax"),
        ("1 == 'x'", "Type"),
        ("x", "Type"),
        ("[int].all(t, t == int)", "Type"),
        ("1/0 == 1", "Evaluation"),
        ("{b'a': 1}.size() == 1 || true", "Evaluation"),
        ("1", "NotBoolean"),
        ("dyn('true')", "NotBoolean"),
    ] {
        let outcome = evaluate(expression, &zones());
        let kind = match outcome {
            Err(CelError::Syntax { .. }) => "Syntax",
            Err(CelError::Type { .. }) => "Type",
            Err(CelError::Evaluation { .. }) => "Evaluation",
            Err(CelError::NotBoolean { .. }) => "NotBoolean",
            ref other => panic!("{expression}: {other:?}"),
        };
        assert_eq!(kind, expected, "{expression}");
    }
}

#[test]
fn time_zones_are_read_from_files_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    // Fixed at two hours east: a header of no transitions, one type, its name.
    let mut zone = b"TZif".to_vec();
    zone.resize(20, 0);
    for count in [0_u32, 0, 0, 0, 1, 4] {
        zone.extend(count.to_be_bytes());
    }
    zone.extend(7_200_i32.to_be_bytes());
    zone.extend([0, 0]);
    zone.extend(b"EET\0");
    fs::create_dir(folder.path().join("My")).unwrap();
    fs::write(folder.path().join("My/Zone"), &zone).unwrap();
    fs::write(folder.path().join("Broken"), b"TZif").unwrap();
    nix::unistd::mkfifo(&folder.path().join("Pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let zones = Zones::in_folder(folder.path(), LocalZone::utc());
    let evaluated = |zone: &str| evaluate(&format!("timestamp(0).getHours('{zone}') == 2"), &zones);
    assert_eq!(evaluated("My/Zone"), Ok(true));
    assert_eq!(evaluated("UTC"), Ok(false));
    assert_eq!(evaluated("Local"), Ok(false));
    assert_eq!(evaluated("+02:00"), Ok(true));
    for name in ["Nowhere", "My", "Broken", "Pipe"] {
        let reason = UnknownZone::Unknown { name: name.to_owned() }.to_string();
        assert_eq!(evaluated(name), Err(CelError::Evaluation { reason }), "{name}");
    }
    for name in ["../My/Zone", "/etc/localtime"] {
        let reason = UnknownZone::InvalidName.to_string();
        assert_eq!(evaluated(name), Err(CelError::Evaluation { reason }), "{name}");
    }
}
