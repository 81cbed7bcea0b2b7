//! When expressions of a step: whether it runs (docs/tekton-contract.md 3.6; Tekton pkg/apis/pipeline/v1/types/when_types.go,
//! pkg/entrypoint allowExec).

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use go::{
    json::{self, Json, SyntaxError, TypeError, member, scalar},
    text::utf8,
};

/// One expression. An absent part is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhenExpression {
    /// What is looked for.
    pub input: OsString,
    /// `in`; anything else means not in.
    pub operator: String,
    /// Where it is looked for.
    pub values: Vec<OsString>,
    /// A CEL expression that must be true.
    pub cel: OsString,
}

/// Why `-when_expressions` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// No JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Not a list of expressions.
    #[error(transparent)]
    Type(#[from] TypeError),
}

/// Reads the flag's value; empty and `null` are no expressions.
pub fn parse(json: &OsStr) -> Result<Vec<WhenExpression>, WhenError> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let list = json::parse(json.as_bytes())?;
    let expressions = list.as_list("", "types.WhenExpressions", expression)?;
    Ok(expressions.unwrap_or_default())
}

fn expression(json: &Json) -> Result<WhenExpression, WhenError> {
    const VALUES: &str = "WhenExpression.values";
    let members = json.as_members("", "types.WhenExpression")?;
    let text = |field: &str| scalar(members, field).as_text(&format!("WhenExpression.{field}"));
    let values =
        member(members, "values").as_list(VALUES, "[]string", |value: &Json| value.as_text(VALUES))?;
    Ok(WhenExpression {
        input: text("input")?.into(),
        operator: text("operator")?,
        values: values.unwrap_or_default().into_iter().map(OsString::from).collect(),
        cel: text("cel")?.into(),
    })
}

/// True if the step is to run. First the CEL expressions in order, up to the first that is false; then all others.
pub fn allow<E>(
    expressions: &[WhenExpression],
    evaluate: impl Fn(&str) -> Result<bool, E>,
) -> Result<bool, E> {
    for expression in expressions.iter().filter(|expression| !expression.cel.is_empty()) {
        if !evaluate(&utf8(expression.cel.as_bytes()).0)? {
            return Ok(false);
        }
    }
    Ok(expressions
        .iter()
        .all(|expression| expression.values.contains(&expression.input) == (expression.operator == "in")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cel_first_then_the_others() {
        let never = |_: &str| Err::<bool, _>("evaluated");
        let decide = |json: &str, cel: &dyn Fn(&str) -> Result<bool, &'static str>| {
            allow(&parse(OsStr::new(json)).unwrap(), cel)
        };
        for (json, runs) in [
            ("", true),
            ("null", true),
            ("[]", true),
            (r#"[{"input":"a","operator":"in","values":["a","b"]}]"#, true),
            (r#"[{"input":"c","operator":"in","values":["a","b"]}]"#, false),
            (r#"[{"input":"c","operator":"notin","values":["a"]}]"#, true),
            (r#"[{"input":"a","operator":"IN","values":["a"]}]"#, false),
            (r#"[{"INPUT":"a","operator":"in","values":null}]"#, false),
            (r#"[null]"#, true),
        ] {
            assert_eq!(decide(json, &never), Ok(runs), "{json}");
        }
        let json = r#"[{"input":"c","operator":"in","values":[]},{"cel":"x"},{"cel":"y"}]"#;
        assert_eq!(decide(json, &|cel| if cel == "x" { Ok(false) } else { Err("too far") }), Ok(false));
        assert_eq!(decide(json, &|_| Err("bad")), Err("bad"));
        assert_eq!(decide(json, &|_| Ok(true)), Ok(false));
        assert_eq!(decide(r#"[{"cel":"x"}]"#, &|_| Ok(true)), Ok(true));
    }

    #[test]
    fn other_json_is_refused() {
        for (json, error) in [
            ("{", "unexpected end of JSON input"),
            ("{}", "json: cannot unmarshal object into Go value of type types.WhenExpressions"),
            ("[1]", "json: cannot unmarshal number into Go value of type types.WhenExpression"),
            (
                r#"[{"values":"x"}]"#,
                "json: cannot unmarshal string into Go struct field WhenExpression.values of type []string",
            ),
        ] {
            assert_eq!(parse(OsStr::new(json)).unwrap_err().to_string(), error, "{json}");
        }
    }
}
