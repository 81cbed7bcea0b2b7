//! `$(…)` in a pipeline, and what takes its place (Tekton `pkg/substitution`, `pkg/internal/resultref`,
//! `pkg/reconciler/pipelinerun/resources/{apply,resultrefresolution}.go`).
//!
//! All places of one text are replaced in one pass: what a value brings in is not looked at again.

use crate::tekton::{taskrun::DeclaredWhen, value::ResultValue};

/// A result of a task of the pipeline: `tasks.<task>.results.<result>`, with `[*]`, `[n]` or `.<key>` behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskResultReference<'a> {
    /// Of `finally`, which only results of the pipeline may use.
    pub(crate) is_of_finally: bool,
    /// Name of the task in the pipeline.
    pub(crate) task: &'a str,
    /// Name of the result.
    pub(crate) result: &'a str,
    /// Which part of it.
    pub(crate) part: TaskResultPart<'a>,
}

/// A part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskResultPart<'a> {
    /// All of it.
    Whole,
    /// `[*]`.
    Star,
    /// `[n]`, from 0.
    Item(usize),
    /// `.<key>`.
    Member(&'a str),
}

impl<'a> TaskResultPart<'a> {
    /// Reads what is behind a name: nothing, `[*]`, `[n]` or `.<key>`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(key) = text.strip_prefix('.') {
            return Some(Self::Member(key));
        }
        match text {
            "" => Some(Self::Whole),
            "[*]" => Some(Self::Star),
            _ => {
                let digits = text.strip_prefix('[')?.strip_suffix(']')?;
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                digits.parse().ok().filter(|_| is_number).map(Self::Item)
            }
        }
    }

    /// That part of a value, if it has such parts and this one.
    pub(crate) fn of(self, value: &ResultValue) -> Option<ResultValue> {
        match (value, self) {
            (_, Self::Whole) | (ResultValue::Array(_) | ResultValue::Object(_), Self::Star) => {
                Some(value.clone())
            }
            (ResultValue::Array(items), Self::Item(index)) => {
                items.get(index).cloned().map(ResultValue::String)
            }
            (ResultValue::Object(members), Self::Member(key)) => {
                members.get(key).cloned().map(ResultValue::String)
            }
            _ => None,
        }
    }
}

impl<'a> TaskResultReference<'a> {
    /// Reads what is between `$(` and `)`.
    pub(crate) fn parse(expression: &'a str) -> Option<Self> {
        let mut parts = expression.splitn(4, '.');
        let is_of_finally = match parts.next()? {
            "tasks" => false,
            "finally" => true,
            _ => return None,
        };
        let (task, "results", rest) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
        let (result, part) = rest.split_at(rest.find(['[', '.']).unwrap_or(rest.len()));
        let part = TaskResultPart::parse(part)?;
        let is_member = !matches!(part, TaskResultPart::Member(member) if !is_plain(member));
        (is_plain(task) && is_plain(result) && is_member).then_some(Self {
            is_of_finally,
            task,
            result,
            part,
        })
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The parameter that an expression begins with, `params.<name>`, `params["<name>"]` or `params['<name>']`, and what is behind it
/// (Tekton `pkg/substitution`).
pub(crate) fn param_of(expression: &str) -> Option<(&str, &str)> {
    let behind = expression.strip_prefix("params")?;
    if let Some(name) = behind.strip_prefix('.') {
        return Some(name.split_at(name.find(['[', '.']).unwrap_or(name.len())));
    }
    let quoted = behind.strip_prefix('[')?;
    let quote = quoted.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let (name, rest) = quoted[1..].split_once(quote)?;
    Some((name, rest.strip_prefix(']')?))
}

/// What takes the place of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replacement {
    /// This.
    Value(ResultValue),
    /// Nothing: it is no expression of a pipeline, and stays.
    Stays,
    /// It is one, and its value is not known here.
    Unknown,
}

/// A value with everything put in; `Err`: an expression whose value is not known.
pub(crate) fn replaced<E: Fn(&str) -> Replacement>(
    value: &ResultValue,
    of: &E,
) -> Result<ResultValue, String> {
    match value {
        ResultValue::String(text) => match whole_expression(text) {
            None => in_text(text, of).map(ResultValue::String),
            Some(expression) => match of(expression) {
                Replacement::Value(value) => Ok(value),
                Replacement::Stays => Ok(value.clone()),
                Replacement::Unknown => Err(expression.to_owned()),
            },
        },
        ResultValue::Array(items) => in_list(items, of).map(ResultValue::Array),
        ResultValue::Object(members) => {
            let members = members.iter().map(|(key, text)| Ok((key.clone(), in_text(text, of)?)));
            members.collect::<Result<_, String>>().map(ResultValue::Object)
        }
    }
}

/// A list, in which an item that is nothing but a list takes the place of all of that list's items.
pub(crate) fn in_list<E: Fn(&str) -> Replacement>(items: &[String], of: &E) -> Result<Vec<String>, String> {
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        match whole_expression(item).map(|expression| (expression, of(expression))) {
            Some((_, Replacement::Value(ResultValue::Array(items)))) => list.extend(items),
            Some((expression, Replacement::Unknown)) => return Err(expression.to_owned()),
            _ => list.push(in_text(item, of)?),
        }
    }
    Ok(list)
}

/// A text; lists and objects have no place in the middle of one, so an expression that means one stays.
pub(crate) fn in_text<E: Fn(&str) -> Replacement>(text: &str, of: &E) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut end_of_last = 0;
    for (start, expression) in places(text) {
        match of(expression) {
            Replacement::Value(ResultValue::String(value)) => {
                out.push_str(&text[end_of_last..start]);
                out.push_str(&value);
                end_of_last = start + 2 + expression.len() + 1;
            }
            Replacement::Unknown => return Err(expression.to_owned()),
            Replacement::Value(_) | Replacement::Stays => {}
        }
    }
    out.push_str(&text[end_of_last..]);
    Ok(out)
}

/// Every `$(…)` in which no other one begins: where it is, and what is between the brackets. Each byte is looked at once.
pub(crate) fn places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let (mut at, mut start) = (0, None);
    std::iter::from_fn(move || {
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'$' if bytes.get(at) == Some(&b'(') => {
                    start = Some(at - 1);
                    at += 1;
                }
                b')' => {
                    if let Some(start) = start.take() {
                        return Some((start, &text[start + 2..at - 1]));
                    }
                }
                _ => {}
            }
        }
        None
    })
}

/// The expression that a text consists of.
pub(crate) fn whole_expression(text: &str) -> Option<&str> {
    let expression = text.strip_prefix("$(")?.strip_suffix(')')?;
    (!expression.contains([')', '('])).then_some(expression)
}

/// Every expression in a value.
pub(crate) fn expressions(value: &ResultValue) -> Vec<&str> {
    match value {
        ResultValue::String(text) => in_one(text).collect(),
        ResultValue::Array(items) => items.iter().flat_map(|item| in_one(item)).collect(),
        ResultValue::Object(members) => members.values().flat_map(|text| in_one(text)).collect(),
    }
}

/// Every expression in a text.
pub(crate) fn in_one(text: &str) -> impl Iterator<Item = &str> {
    places(text).map(|(_, expression)| expression)
}

/// Whether it is one of those that the controller puts in when it makes a task's runs, and nowhere before that (Tekton
/// `ApplyPipelineTaskContexts`).
pub(crate) fn is_of_task(expression: &str) -> bool {
    expression == "context.pipelineTask.retries" || length_of(expression).is_some()
}

/// The task whose runs are counted, and the result, if only those with one are.
pub(crate) fn length_of(expression: &str) -> Option<(&str, Option<&str>)> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !expression.bytes().all(is_plain) {
        return None;
    }
    match expression.split('.').collect::<Vec<_>>().as_slice() {
        ["tasks", task, "matrix", "length"] => Some((task, None)),
        ["tasks", task, "matrix", result, "length"] => Some((task, Some(result))),
        _ => None,
    }
}

/// Every expression in when expressions.
pub(crate) fn in_when(when: &[DeclaredWhen]) -> impl Iterator<Item = &str> {
    when.iter()
        .flat_map(|when| [&when.input, &when.cel].into_iter().chain(&when.values))
        .flat_map(|text| in_one(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tekton::pipelinerun::Param;

    #[test]
    fn references_are_read_as_tekton_reads_them() {
        let of = |task, result, part| Some(TaskResultReference { is_of_finally: false, task, result, part });
        for (text, expected) in [
            ("tasks.a.results.r", of("a", "r", TaskResultPart::Whole)),
            ("tasks.a.results.r[*]", of("a", "r", TaskResultPart::Star)),
            ("tasks.a.results.r[12]", of("a", "r", TaskResultPart::Item(12))),
            ("tasks.a.results.o.key", of("a", "o", TaskResultPart::Member("key"))),
            ("tasks.a.results.o.key.more", None),
            ("tasks.a.results.r[-1]", None),
            ("tasks.a.results.r[x]", None),
            ("tasks.a.status", None),
            ("params.a.results.r", None),
            ("tasks..results.r", None),
        ] {
            assert_eq!(TaskResultReference::parse(text), expected, "{text}");
        }
        assert!(TaskResultReference::parse("finally.a.results.r").unwrap().is_of_finally);
    }

    #[test]
    fn values_are_put_in_as_tekton_does() {
        let of = |expression: &str| match expression {
            "s" => Replacement::Value(ResultValue::String("$(s)".to_owned())),
            "l" | "l[*]" => Replacement::Value(ResultValue::Array(vec!["1".to_owned(), "2".to_owned()])),
            "o" => Replacement::Value(ResultValue::Object([("k".to_owned(), "v".to_owned())].into())),
            "u" => Replacement::Unknown,
            _ => Replacement::Stays,
        };
        for (value, expected) in [
            (json!("a"), Ok(json!("a"))),
            (json!("<$(s)>$(s)"), Ok(json!("<$(s)>$(s)"))),
            (json!("$(l[*])"), Ok(json!(["1", "2"]))),
            (json!("$(o)"), Ok(json!({"k": "v"}))),
            (json!("in $(l)"), Ok(json!("in $(l)"))),
            (json!(["0", "$(l[*])", "$(s)"]), Ok(json!(["0", "1", "2", "$(s)"]))),
            (json!({"a": "$(s)!"}), Ok(json!({"a": "$(s)!"}))),
            (json!("$(date)"), Ok(json!("$(date)"))),
            (json!("$($(s))"), Ok(json!("$($(s))"))),
            (json!("$("), Ok(json!("$("))),
            (json!("a $(u)"), Err("u")),
            (json!(["$(u)"]), Err("u")),
        ] {
            let param: Param = serde_json::from_value(json!({"name": "p", "value": value})).unwrap();
            let expected = expected.map(|value| {
                serde_json::from_value::<Param>(json!({"name": "p", "value": value})).unwrap().value
            });
            assert_eq!(replaced(&param.value, &of), expected.map_err(str::to_owned), "{value}");
        }
    }
}
