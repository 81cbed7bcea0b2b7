//! Names of character classes.

/// Scripts whose full name is as short as the others' abbreviations.
const SHORT_SCRIPTS: [&str; 8] = ["Ahom", "Cham", "Kawi", "Lisu", "Modi", "Newa", "Thai", "Toto"];

/// As which properties a name in `\p{name}` is looked up: general categories and scripts, as in Go. The `regex` crate knows
/// further properties, and the scripts' short names, which have four letters.
pub(super) fn kinds(name: &str) -> &'static [&'static str] {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_- ".contains(c));
    let short = name.len() == 4 && !SHORT_SCRIPTS.iter().any(|script| name.eq_ignore_ascii_case(script));
    match (plain, short) {
        (false, _) => &[],
        (true, true) => &["gc"],
        (true, false) => &["gc", "sc"],
    }
}

/// The POSIX classes, which are ASCII.
pub(super) fn posix_class(name: &str) -> Option<&'static str> {
    Some(match name {
        "[:alnum:]" => "[0-9A-Za-z]",
        "[:^alnum:]" => "[^0-9A-Za-z]",
        "[:alpha:]" => "[A-Za-z]",
        "[:^alpha:]" => "[^A-Za-z]",
        "[:ascii:]" => "[\\x00-\\x7F]",
        "[:^ascii:]" => "[^\\x00-\\x7F]",
        "[:blank:]" => "[\\t\\x20]",
        "[:^blank:]" => "[^\\t\\x20]",
        "[:cntrl:]" => "[\\x00-\\x1F\\x7F]",
        "[:^cntrl:]" => "[^\\x00-\\x1F\\x7F]",
        "[:digit:]" => "[0-9]",
        "[:^digit:]" => "[^0-9]",
        "[:graph:]" => "[!-\\x7E]",
        "[:^graph:]" => "[^!-\\x7E]",
        "[:lower:]" => "[a-z]",
        "[:^lower:]" => "[^a-z]",
        "[:print:]" => "[\\x20-\\x7E]",
        "[:^print:]" => "[^\\x20-\\x7E]",
        "[:punct:]" => "[!-/:-@\\x5B-`\\x7B-\\x7E]",
        "[:^punct:]" => "[^!-/:-@\\x5B-`\\x7B-\\x7E]",
        "[:space:]" => "[\\t\\n\\x0B\\f\\r\\x20]",
        "[:^space:]" => "[^\\t\\n\\x0B\\f\\r\\x20]",
        "[:upper:]" => "[A-Z]",
        "[:^upper:]" => "[^A-Z]",
        "[:word:]" => "[0-9A-Za-z_]",
        "[:^word:]" => "[^0-9A-Za-z_]",
        "[:xdigit:]" => "[0-9A-Fa-f]",
        "[:^xdigit:]" => "[^0-9A-Fa-f]",
        _ => return None,
    })
}
