//! The when expressions that the status states for a run or a skipped task: the pipeline's, with what the controller put in.
//!
//! It puts in results only if all that a task refers to are there, so at each place the reference or what it stands for may be found
//! (Tekton `pkg/reconciler/pipelinerun/resources/pipelinerunstate.go`, `GetChildReferences` and `GetSkippedTasks`).

use std::collections::BTreeSet;

use go::json::escape_bytes;

use crate::{
    tekton::{
        pipelinerun::references::{Replacement, TaskResultReference, places, whole_expression},
        taskrun::DeclaredWhen,
        value::ResultValue,
    },
    verify::{
        Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            allowance::TOO_MUCH,
            differs, fault,
            task::Task,
            values::{TaskResult, Values},
        },
    },
};

/// Ways to read what was found that are followed at once; a text with more of them is no honest one.
const MOST_WAYS: usize = 256;

/// Holds what the status states of a task's when expressions against the pipeline and attested results. What it does not state it does
/// not contradict: some reasons for a skip come without them.
pub(crate) fn check(task: &Task<'_>, values: &Values<'_>, findings: &mut Findings) {
    for (place, stated) in &task.stated {
        let field = format!("{place}.whenExpressions");
        let name = &task.task.name;
        match become_all(&task.task.when, stated, values) {
            Ok(true) => {}
            Ok(false) => {
                let problem = format!(
                    "task {name}: {field} is not what the pipeline's when expressions become with attested results"
                );
                findings.push(differs(Detail::WHEN, problem, field, (None, None)));
            }
            Err(reason) => {
                let problem = format!("task {name}: {field} cannot be derived: {reason}");
                findings.push(fault(Verdict::Unchecked, Detail::NOT_DERIVED, problem));
            }
        }
    }
}

/// Whether the declared expressions may have become those that are stated; `Err`: why that is not known.
pub(super) fn become_all(
    declared: &[DeclaredWhen],
    stated: &[DeclaredWhen],
    values: &Values<'_>,
) -> Result<bool, String> {
    if declared.len() != stated.len() {
        return Ok(false);
    }
    for (declared, stated) in declared.iter().zip(stated) {
        let is_same = declared.operator == stated.operator
            && input_becomes(&declared.input, &stated.input, values)?
            && text_becomes(&declared.cel, &stated.cel, values)?
            && list_becomes(&declared.values, &stated.values, values)?;
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What takes the place of an expression there.
fn of(expression: &str, values: &Values<'_>) -> Replacement {
    match TaskResultReference::parse(expression).map(|result| values.result(&result)) {
        // It is not put in, so it stays.
        Some(TaskResult::None) => Replacement::Stays,
        _ => values.in_when(expression),
    }
}

/// A whole list as input becomes its JSON.
fn input_becomes(declared: &str, stated: &str, values: &Values<'_>) -> Result<bool, String> {
    match whole_expression(declared).map(|expression| of(expression, values)) {
        Some(Replacement::Value(ResultValue::Array(items))) if as_json(&items) == stated => Ok(true),
        _ => text_becomes(declared, stated, values),
    }
}

/// A list as Go writes it.
pub(super) fn as_json(items: &[String]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| format!("\"{}\"", escape_bytes(item.as_bytes()))).collect();
    format!("[{}]", items.join(","))
}

fn text_becomes(declared: &str, stated: &str, values: &Values<'_>) -> Result<bool, String> {
    let behind = |reached: &BTreeSet<usize>, text: &str| -> Result<BTreeSet<usize>, String> {
        if !values.allowance.take(reached.len().saturating_mul(text.len())) {
            return Err(TOO_MUCH.to_owned());
        }
        let ends =
            reached.iter().filter_map(|at| stated.get(*at..)?.starts_with(text).then_some(at + text.len()));
        Ok(ends.collect())
    };
    let (mut reached, mut unknown, mut end) = (BTreeSet::from([0]), None, 0);
    for (start, expression) in places(declared) {
        let next = start + "$(".len() + expression.len() + ")".len();
        let before = behind(&reached, declared.get(end..start).unwrap_or_default())?;
        reached = behind(&before, declared.get(start..next).unwrap_or_default())?;
        match of(expression, values) {
            Replacement::Value(ResultValue::String(value)) => reached.extend(behind(&before, &value)?),
            Replacement::Unknown => unknown = unknown.or(Some(expression)),
            Replacement::Value(_) | Replacement::Stays => {}
        }
        if reached.len() > MOST_WAYS {
            return Err("there are too many ways to read it".to_owned());
        }
        end = next;
    }
    let is_same = behind(&reached, declared.get(end..).unwrap_or_default())?.contains(&stated.len());
    known(is_same, unknown)
}

/// An item that is nothing but a list may have become all of that list's items.
fn list_becomes(declared: &[String], stated: &[String], values: &Values<'_>) -> Result<bool, String> {
    let (mut reached, mut unknown) = (BTreeSet::from([0]), None);
    for item in declared {
        let mut next = BTreeSet::new();
        let whole = whole_expression(item).map(|expression| (expression, of(expression, values)));
        if let Some((_, Replacement::Value(value))) = &whole
            && !values.allowance.take_copies(reached.len(), value)
        {
            return Err(TOO_MUCH.to_owned());
        }
        if let Some((expression, Replacement::Unknown)) = whole {
            unknown = unknown.or(Some(expression));
        }
        for at in &reached {
            if let Some((_, Replacement::Value(ResultValue::Array(items)))) = &whole
                && stated.get(*at..).is_some_and(|rest| rest.starts_with(items))
            {
                next.insert(at + items.len());
            }
            // Of one that is not known another item may still be the one that differs, so its reason is kept for the end.
            match stated.get(*at).map(|stated| text_becomes(item, stated, values)) {
                Some(Ok(true)) => drop(next.insert(at + 1)),
                Some(Err(_)) if values.allowance.is_used_up() => return Err(TOO_MUCH.to_owned()),
                Some(Err(reason)) if unknown.is_none() && whole.is_none() => return Err(reason),
                _ => {}
            }
        }
        if next.len() > MOST_WAYS {
            return Err("there are too many ways to read it".to_owned());
        }
        reached = next;
    }
    known(reached.contains(&stated.len()), unknown)
}

/// What does not fit may do so for a value that is not known.
fn known(is_same: bool, unknown: Option<&str>) -> Result<bool, String> {
    match unknown {
        Some(expression) if !is_same => Err(format!("$({expression}) is not known")),
        _ => Ok(is_same),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_counts_only_where_it_may_be_the_difference() {
        for (case, is_same, unknown, expected) in [
            ("the same", true, None, Ok(true)),
            ("another", false, None, Ok(false)),
            ("the same with an expression that stays", true, Some("context.x"), Ok(true)),
            (
                "another that may be the expression's",
                false,
                Some("context.x"),
                Err("$(context.x) is not known"),
            ),
        ] {
            assert_eq!(known(is_same, unknown), expected.map_err(str::to_owned), "{case}");
        }
    }
}
