//! Result values: Tekton's decoding and canonical forms, against vectors that Tekton's own code made.

use svidence::tekton::value::{ResultValue, decode, decoded_json};

/// Reads a string as Go's `%q` writes it. Bytes that are not UTF-8 become U+FFFD, as they do in a termination message.
fn go_unquote(quoted: &str) -> String {
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).expect("a quoted string");
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = chars.next().expect("an escape");
        let mut hex = |digits: usize| {
            let digits: String = chars.by_ref().take(digits).collect();
            u32::from_str_radix(&digits, 16).expect("hexadecimal digits")
        };
        out.push(match escape {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'x' => match hex(2) {
                byte @ 0..=0x7f => char::from_u32(byte).unwrap(),
                _ => '\u{fffd}',
            },
            'u' => char::from_u32(hex(4)).unwrap(),
            'U' => char::from_u32(hex(8)).unwrap(),
            other => other,
        });
    }
    out
}

#[test]
fn every_vector_of_tekton_decodes_and_joins_as_tekton_does() {
    let vectors = include_str!("../../testdata/canonical-vectors.tsv");
    let mut count = 0;
    for line in vectors.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [input, kind, canonical, ..] = columns[..] else { panic!("malformed vector {line}") };
        let value = decode(&go_unquote(input));
        assert_eq!(value.type_name(), kind, "type of {input}");
        assert_eq!(value.tep0089_text(), go_unquote(canonical), "canonical text of {input}");
        count += 1;
    }
    assert_eq!(count, 49, "number of vectors");
}

#[test]
fn only_json_that_the_controller_may_decode_counts_as_json() {
    for (raw, json) in [
        ("hello", None),
        ("", None),
        ("42", None),
        ("true", None),
        ("[1]", None),
        (" [\"a\"]", None),
        ("{\"a\":1}", None),
        ("null", Some("\"\"")),
        (" null ", Some("\"\"")),
        ("\"hello\"", Some("\"hello\"")),
        ("\"\\ud83d\\ude00\"", Some("\"😀\"")),
        ("\"\\ud83dx\"", Some("\"\u{fffd}x\"")),
        ("\"\\ud83d\\u0041\"", Some("\"\u{fffd}A\"")),
        ("[ \"a\" ,null]", Some("[\"a\",\"\"]")),
        ("[]", Some("[]")),
        ("{\"b\":\"2\",\"a\":\"<\\u0001\"}", Some("{\"a\":\"<\\u0001\",\"b\":\"2\"}")),
        // RFC 8785 sorts by UTF-16 code units: a character beyond the BMP comes before U+FFFF.
        ("{\"\u{ffff}\":\"1\",\"😀\":\"2\"}", Some("{\"😀\":\"2\",\"\u{ffff}\":\"1\"}")),
    ] {
        let decoded = decoded_json(raw).map(|value| value.canonical_json());
        assert_eq!(decoded.as_deref(), json, "{raw:?}");
    }
}

#[test]
fn values_of_different_types_share_one_tep0089_text() {
    let texts: Vec<String> =
        ["a,b", "[\"a\",\"b\"]", "[\"a,b\"]", "{\"a\":\"b\"}"].map(|raw| decode(raw).tep0089_text()).into();
    assert!(texts.iter().all(|text| text == "a,b"), "{texts:?}");
    assert_ne!(decode("[\"a\",\"b\"]"), ResultValue::String("a,b".into()));
}
