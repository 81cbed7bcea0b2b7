//! What the parsers of JSON and YAML say, in plain words. They speak of Rust's types, and offer nothing but their text.

/// The error without the parser's own terms; its place (`at line 3 column 2`) stays. What is not known here stays as it is.
pub fn plain(error: &str) -> String {
    let (error, place) = split_place(error.trim());
    let words = message(error);
    if place.is_empty() { words } else { format!("{words} at {place}") }
}

/// `at line 3 column 2` at the end, as serde_json has it, with a comma in it or as `error: line 3 column 2: ` at the beginning.
fn split_place(error: &str) -> (&str, String) {
    let numbers = |text: &str| {
        let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let (line, column) = match [(); 4].map(|()| words.next()) {
            [Some("line"), Some(line), Some("column"), Some(column)] => (line, column),
            _ => return None,
        };
        [line, column]
            .iter()
            .all(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| format!("line {line} column {column}"))
    };
    if let Some((place, rest)) = error.strip_prefix("error: ").and_then(|rest| rest.split_once(": "))
        && let Some(place) = numbers(place)
    {
        return (rest, place);
    }
    if let Some((rest, place)) = error.rsplit_once(" at ")
        && let Some(place) = numbers(place)
    {
        return (rest, place);
    }
    (error, String::new())
}

fn message(error: &str) -> String {
    for prefix in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((found, wanted)) =
            error.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            let found = if prefix == "invalid length " { "a list".to_owned() } else { found_words(found) };
            return format!("{found} where {} is needed", wanted_words(wanted));
        }
    }
    for (prefix, problem) in
        [("unknown field ", "is not known here"), ("unknown variant ", "is not one of the values here")]
    {
        if let Some((name, known)) =
            error.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            let known = known.trim_start_matches("one of ").replace('`', "");
            return format!("{} {problem}: {known}", quoted(name));
        }
        if let Some(name) = error.strip_prefix(prefix) {
            return format!("{} {problem}", quoted(name.split(',').next().unwrap_or(name)));
        }
    }
    if let Some(name) = error.strip_prefix("missing field ") {
        return format!("{} is missing", quoted(name));
    }
    for prefix in ["duplicate field ", "duplicate mapping key: "] {
        if let Some(name) = error.strip_prefix(prefix) {
            return format!("{} appears twice", quoted(name.split(", set ").next().unwrap_or(name)));
        }
    }
    if error.starts_with("EOF while") {
        return "it is cut off".to_owned();
    }
    if error.starts_with("control character") {
        return "a control character in a text".to_owned();
    }
    known(error).map_or_else(|| missing(error), str::to_owned)
}

/// What is said without a name or a value in it.
fn known(error: &str) -> Option<&'static str> {
    Some(match error {
        "trailing characters" => "something follows its end",
        "trailing comma" => "a comma too many",
        "expected value" => "a value is missing",
        "expected ident" => "a word that is not true, false or null",
        "expected `:`" => "a colon is missing",
        "expected `,` or `}`" => "a comma or } is missing",
        "expected `,` or `]`" => "a comma or ] is missing",
        "key must be a string" => "a name that is not in quotes",
        "invalid escape" | "unexpected end of hex escape" => "an escape in a text that is not one",
        "lone leading surrogate in hex escape" => "half a character in a text",
        "recursion limit exceeded" => "it is nested too deeply",
        "IO error" | "stream did not contain valid UTF-8" => "it is not text in UTF-8",
        "did not find expected <document start>" => "something follows its end",
        _ => return None,
    })
}

fn missing(error: &str) -> String {
    match error.split_once("did not find expected ") {
        Some((_, "alphabetic or numeric character")) => {
            "a text that begins with * or & must be in quotes".to_owned()
        }
        Some((_, "key")) => "no name where one belongs (see the indentation)".to_owned(),
        Some((_, what)) => format!("{what} is missing"),
        None => error.to_owned(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('`', ""))
}

/// Characters of a text that are shown: it may be long, or a key that was given by mistake.
const SHOWN: usize = 40;

fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…\"", &text[..end]),
    }
}

fn found_words(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "string" | "character" => format!("the text {}", beginning(value)),
        "integer" => format!("the number {}", value.replace('`', "")),
        "floating" => format!("the number {}", value.trim_start_matches("point ").replace('`', "")),
        "boolean" => value.replace('`', ""),
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "unit" | "null" | "Option" => "nothing".to_owned(),
        _ => found.replace('`', ""),
    }
}

fn wanted_words(wanted: &str) -> &str {
    match wanted.split(' ').next().unwrap_or(wanted) {
        "struct" | "map" => "an object",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "enum" => "one of certain texts",
        "unit" => "nothing",
        _ => match wanted {
            "a string" | "a borrowed string" | "string" | "a character" => "a text",
            "a sequence" | "sequence" => "a list",
            "a map" => "an object",
            "a boolean" => "true or false",
            "string or map" => "one of certain texts",
            _ if wanted.starts_with("a nonzero") => "a number above zero",
            _ if wanted.starts_with("tuple") => "a list",
            _ => wanted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn parsers_speak_plainly() {
        for (said, words) in [
            (
                r#"invalid type: string "a, expected b", expected struct Document"#,
                r#"the text "a, expected b" where an object is needed"#,
            ),
            (
                "invalid type: integer `1`, expected a string at line 1 column 19",
                "the number 1 where a text is needed at line 1 column 19",
            ),
            ("invalid type: map, expected a sequence", "an object where a list is needed"),
            ("invalid type: null, expected a map", "nothing where an object is needed"),
            ("invalid type: boolean `true`, expected u64", "true where a whole number is needed"),
            (
                "invalid type: floating point `1.5`, expected i64",
                "the number 1.5 where a whole number is needed",
            ),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                "the number 0 where a number above zero is needed",
            ),
            (
                "unknown field `a`, expected one of `x`, `y` at line 2 column 1",
                r#""a" is not known here: x, y at line 2 column 1"#,
            ),
            ("unknown field `a`, expected `x`", r#""a" is not known here: x"#),
            (
                "invalid length 0, expected struct Document with 3 elements",
                "a list where an object is needed",
            ),
            (
                "invalid type: boolean `true`, expected string or map",
                "true where one of certain texts is needed",
            ),
            (
                "invalid type: string \"-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49\", expected struct Document",
                "the text \"-----BEGIN PRIVATE KEY----- MIGHAgEAMBM…\" where an object is needed",
            ),
            (
                "while scanning an alias, did not find expected alphabetic or numeric character at line 5, column 12",
                "a text that begins with * or & must be in quotes at line 5 column 12",
            ),
            ("unknown field `a`, there are no fields", r#""a" is not known here"#),
            ("unknown variant `a`, expected `x` or `y`", r#""a" is not one of the values here: x or y"#),
            ("missing field `keys` at line 223 column 1", r#""keys" is missing at line 223 column 1"#),
            ("duplicate field `a`", r#""a" appears twice"#),
            (
                "error: line 2 column 1: duplicate mapping key: a, set DuplicateKeyPolicy in Options if acceptable",
                r#""a" appears twice at line 2 column 1"#,
            ),
            ("EOF while parsing a string at line 1 column 36", "it is cut off at line 1 column 36"),
            (
                "while parsing a block mapping, did not find expected key at line 3, column 2",
                "no name where one belongs (see the indentation) at line 3 column 2",
            ),
            (
                "while parsing a flow mapping, did not find expected ',' or '}' at line 1, column 12",
                "',' or '}' is missing at line 1 column 12",
            ),
            ("invalid type: sequence, expected a boolean", "a list where true or false is needed"),
            ("invalid type: unit value, expected sequence", "nothing where a list is needed"),
            ("invalid type: Option value, expected a map", "nothing where an object is needed"),
            ("invalid type: map, expected a string", "an object where a text is needed"),
            ("trailing characters at line 1 column 3", "something follows its end at line 1 column 3"),
            ("trailing comma at line 1 column 8", "a comma too many at line 1 column 8"),
            ("expected value at line 1 column 6", "a value is missing at line 1 column 6"),
            (
                "expected ident at line 1 column 2",
                "a word that is not true, false or null at line 1 column 2",
            ),
            ("expected `:` at line 1 column 5", "a colon is missing at line 1 column 5"),
            ("expected `,` or `}` at line 1 column 8", "a comma or } is missing at line 1 column 8"),
            ("expected `,` or `]` at line 1 column 4", "a comma or ] is missing at line 1 column 4"),
            ("key must be a string at line 1 column 2", "a name that is not in quotes at line 1 column 2"),
            ("invalid escape at line 1 column 4", "an escape in a text that is not one at line 1 column 4"),
            ("recursion limit exceeded at line 1 column 128", "it is nested too deeply at line 1 column 128"),
            ("stream did not contain valid UTF-8", "it is not text in UTF-8"),
            ("IO error", "it is not text in UTF-8"),
            ("a text at line here column there", "a text at line here column there"),
            ("something new", "something new"),
        ] {
            assert_eq!(plain(said), words, "{said}");
        }
    }
}
