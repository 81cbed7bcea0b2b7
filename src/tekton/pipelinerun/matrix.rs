//! Into which combinations a matrix fans out (Tekton `pkg/apis/pipeline/v1/matrix_types.go`, `FanOut`).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::tekton::{
    pipelinerun::{Matrix, Param},
    value::ResultValue,
};

/// The parameters of one run, by name; in this order they come first in its `spec.params`.
pub(crate) type Combination = BTreeMap<String, String>;

/// More parameters in all combinations, or more comparisons of combinations with included ones, than a PipelineRun that can be stored has
/// (an operator allows 256 combinations by default, `default-max-matrix-combinations-count`).
const MOST: usize = 1_000_000;

/// The combinations in the order of their runs. Values must have been put in. `None`: there are more than any controller makes.
pub(crate) fn fan_out(matrix: &Matrix) -> Option<Vec<Combination>> {
    let included: Vec<Combination> = matrix.include.iter().map(|include| texts(&include.params)).collect();
    if matrix.params.is_empty() {
        return Some(included);
    }
    let mut combinations = of_lists(&matrix.params)?;
    if combinations.len().checked_add(included.len())?.checked_mul(included.len())? > MOST {
        return None;
    }
    for combination in &mut combinations {
        for include in &included {
            let contradicts = |(name, value): (&String, &String)| {
                combination.get(name).is_some_and(|existing| existing != value)
            };
            if !include.iter().any(contradicts) {
                combination.extend(include.clone());
            }
        }
    }
    for include in included {
        let is_new = !include.is_empty()
            && !combinations
                .iter()
                .any(|combination| include.iter().any(|(name, value)| combination.get(name) == Some(value)));
        if is_new {
            combinations.push(include);
        }
    }
    Some(combinations)
}

/// Bytes of all names and texts that [`fan_out`] makes, at most.
pub(crate) fn bytes(matrix: &Matrix) -> usize {
    let lists = || {
        matrix.params.iter().filter_map(|param| match &param.value {
            ResultValue::Array(items) => Some((&param.name, items)),
            _ => None,
        })
    };
    let count = lists().fold(1_usize, |count, (_, items)| count.saturating_mul(items.len().max(1)));
    let of_lists = lists().map(|(name, items)| {
        let all: usize = items.iter().map(String::len).sum();
        let each = count / items.len().max(1);
        each.saturating_mul(all).saturating_add(count.saturating_mul(name.len()))
    });
    let included = matrix.include.iter().flat_map(|include| &include.params);
    let included: usize = included
        .map(|param| match &param.value {
            ResultValue::String(text) => param.name.len() + text.len(),
            _ => param.name.len(),
        })
        .sum();
    let of_included = included.saturating_mul(count.saturating_add(1));
    of_lists.fold(of_included, usize::saturating_add)
}

/// How many runs the controller makes, which is not always the number of combinations (Tekton `CountCombinations`): the run of a number
/// beyond them has no parameters of the matrix, and a combination beyond them has no run. `None`: more than can be counted.
pub(crate) fn count_runs(matrix: &Matrix) -> Option<usize> {
    if matrix.params.is_empty() {
        return Some(matrix.include.len());
    }
    let mut lists: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut count = 1_usize;
    for param in &matrix.params {
        let ResultValue::Array(items) = &param.value else { continue };
        count = count.checked_mul(items.len().max(1))?;
        // Of several lists with one name the last.
        lists.insert(&param.name, items.iter().map(String::as_str).collect());
    }
    for include in &matrix.include {
        for param in &include.params {
            let Some(items) = lists.get(param.name.as_str()) else { continue };
            match &param.value {
                ResultValue::String(text) if items.contains(text.as_str()) => break,
                _ => count = count.checked_add(1)?,
            }
        }
    }
    Some(count)
}

/// Every combination of the lists' items; the first list runs fastest.
fn of_lists(params: &[Param]) -> Option<Vec<Combination>> {
    let list = |param: &Param| match &param.value {
        ResultValue::Array(items) => items.clone(),
        _ => Vec::new(),
    };
    let lists: Vec<(&String, Vec<String>)> = params.iter().map(|param| (&param.name, list(param))).collect();
    // Behind an empty list Tekton begins anew.
    let behind = lists.iter().rposition(|(_, items)| items.is_empty()).map_or(0, |last| last + 1);
    let lists = &lists[behind..];
    if lists.is_empty() {
        return Some(Vec::new());
    }
    let count = lists.iter().try_fold(1_usize, |count, (_, items)| count.checked_mul(items.len()))?;
    if count.checked_mul(lists.len())? > MOST {
        return None;
    }
    let combination = |number: usize| {
        let mut rest = number;
        let mut item = |items: &Vec<String>| {
            let item = items[rest % items.len()].clone();
            rest /= items.len();
            item
        };
        lists.iter().map(|(name, items)| ((*name).clone(), item(items))).collect()
    };
    Some((0..count).map(combination).collect())
}

fn texts(params: &[Param]) -> Combination {
    let text = |value: &ResultValue| match value {
        ResultValue::String(text) => text.clone(),
        _ => String::new(),
    };
    params.iter().map(|param| (param.name.clone(), text(&param.value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fan_out;
    use crate::tekton::pipelinerun::Matrix;

    #[test]
    fn combinations_are_those_of_the_controller() {
        for (case, matrix, expected) in [
            ("nothing", json!({}), json!([])),
            (
                "two lists: the first one runs fastest",
                json!({"params": [{"name": "b", "value": ["1", "2"]}, {"name": "a", "value": ["x", "y"]}]}),
                json!([{"a": "x", "b": "1"}, {"a": "x", "b": "2"}, {"a": "y", "b": "1"}, {"a": "y", "b": "2"}]),
            ),
            (
                "only included",
                json!({"include": [{"params": [{"name": "a", "value": "1"}]}]}),
                json!([{"a": "1"}]),
            ),
            (
                "included into what it fits",
                json!({"params": [{"name": "a", "value": ["1", "2"]}],
                    "include": [{"params": [{"name": "a", "value": "2"}, {"name": "f", "value": "y"}]},
                        {"params": [{"name": "a", "value": "3"}]}]}),
                json!([{"a": "1"}, {"a": "2", "f": "y"}, {"a": "3"}]),
            ),
            ("an empty list", json!({"params": [{"name": "a", "value": []}]}), json!([])),
        ] {
            let matrix: Matrix = serde_json::from_value(matrix).unwrap();
            assert_eq!(json!(fan_out(&matrix).unwrap()), expected, "{case}");
        }
    }
}
