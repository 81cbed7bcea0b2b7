//! A PipelineRun of `tekton.dev/v1beta1` by the names of v1, as Tekton converts it (`pkg/apis/pipeline/v1beta1/pipelinerun_conversion.go`
//! and `pipeline_conversion.go`). What the conversion loses, and verification needs, is an error.
//!
//! Besides, it reads what Tekton wrote before v0.45: children in `status.taskRuns` and `status.runs`, which the conversion drops.

use std::collections::BTreeSet;

use crate::tekton::{
    pipelinerun::PipelineRunError,
    strict::node::{Content, Member, Node},
};

/// Maps of v1beta1 from the name of a child to what became of it, and the kind of those children.
const EMBEDDED: [(&str, &str); 2] = [("taskRuns", "TaskRun"), ("runs", "Run")];

/// Gives what v1beta1 calls by other names the names of v1.
pub(super) fn as_in_v1(node: &mut Node) -> Result<(), PipelineRunError> {
    if let Some(spec) = member(node, "spec")
        && let Some(pipeline) = member(spec, "pipelineSpec")
    {
        pipeline_as_in_v1(pipeline, "spec.pipelineSpec")?;
    }
    let Some(status) = member(node, "status") else { return Ok(()) };
    results_as_in_v1(status)?;
    children_as_in_v1(status)?;
    match member(status, "pipelineSpec") {
        Some(pipeline) => pipeline_as_in_v1(pipeline, "status.pipelineSpec"),
        None => Ok(()),
    }
}

fn members(node: &mut Node) -> Option<&mut Vec<Member>> {
    match &mut node.content {
        Content::Object(members) => Some(members),
        _ => None,
    }
}

fn member<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    members(node)?.iter_mut().find(|member| member.key == key).map(|member| &mut member.value)
}

fn not_converted(problem: String) -> PipelineRunError {
    PipelineRunError::NotConverted(problem)
}

/// Whether a field is not there, as far as Go's JSON is concerned.
fn is_empty(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::List(items) => items.is_empty(),
        Content::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn results_as_in_v1(status: &mut Node) -> Result<(), PipelineRunError> {
    let Some(members) = members(status) else { return Ok(()) };
    if members.iter().any(|member| member.key == "results") {
        let problem = "v1beta1 has no field status.results (there it is status.pipelineResults)";
        return Err(not_converted(problem.to_owned()));
    }
    if let Some(results) = members.iter_mut().find(|member| member.key == "pipelineResults") {
        results.key = "results".to_owned();
    }
    Ok(())
}

/// `status.taskRuns` and `status.runs` as `status.childReferences`. Where both are there, they must name the same children.
fn children_as_in_v1(status: &mut Node) -> Result<(), PipelineRunError> {
    let Some(members) = members(status) else { return Ok(()) };
    let mut embedded = Vec::new();
    for (field, kind) in EMBEDDED {
        let Some(at) = members.iter().position(|member| member.key == field) else { continue };
        match members.remove(at).value.content {
            Content::Null => {}
            Content::Object(children) => {
                embedded.extend(children.into_iter().map(|child| reference(child, kind)));
            }
            _ => return Err(not_converted(format!("status.{field} must be an object"))),
        }
    }
    if embedded.is_empty() {
        return Ok(());
    }
    let stated = members.iter().position(|member| member.key == "childReferences");
    match stated.and_then(|at| members.get_mut(at)).map(|member| &mut member.value) {
        Some(references) if !is_empty(references) => {
            let Content::List(stated) = &references.content else { return Ok(()) };
            if names(stated) == names(&embedded) {
                return Ok(());
            }
            let problem =
                "status.childReferences does not name the same children as status.taskRuns and status.runs";
            Err(not_converted(problem.to_owned()))
        }
        Some(references) => {
            references.content = Content::List(embedded);
            Ok(())
        }
        None => {
            let value = Node { line: 0, content: Content::List(embedded) };
            members.push(Member { key: "childReferences".to_owned(), line: 0, value });
            Ok(())
        }
    }
}

fn names(references: &[Node]) -> BTreeSet<&str> {
    references.iter().filter_map(|reference| reference.get("name")?.text()).collect()
}

/// A child of the maps as a child reference: name, kind, task of the pipeline and when expressions.
fn reference(child: Member, kind: &str) -> Node {
    let Member { key, line, value } = child;
    let text = |text: String| Node { line, content: Content::Text(text) };
    let mut reference = vec![
        Member { key: "kind".to_owned(), line, value: text(kind.to_owned()) },
        Member { key: "name".to_owned(), line, value: text(key) },
    ];
    if let Content::Object(members) = value.content {
        let is_kept = |member: &Member| matches!(member.key.as_str(), "pipelineTaskName" | "whenExpressions");
        reference.extend(members.into_iter().filter(is_kept));
    }
    Node { line, content: Content::Object(reference) }
}

fn pipeline_as_in_v1(pipeline: &mut Node, place: &str) -> Result<(), PipelineRunError> {
    refuse(pipeline, "resources", place)?;
    for list in ["tasks", "finally"] {
        let Some(Node { content: Content::List(tasks), .. }) = member(pipeline, list) else { continue };
        for (i, task) in tasks.iter_mut().enumerate() {
            task_as_in_v1(task, &format!("{place}.{list}[{i}]"))?;
        }
    }
    Ok(())
}

fn task_as_in_v1(task: &mut Node, place: &str) -> Result<(), PipelineRunError> {
    refuse(task, "resources", place)?;
    refuse(task, "conditions", place)?;
    if let Some(embedded) = member(task, "taskSpec") {
        refuse(embedded, "resources", &format!("{place}.taskSpec"))?;
    }
    let Some(members) = members(task) else { return Ok(()) };
    let is_there = |key: &&str| members.iter().any(|member| member.key == **key && !is_null(&member.value));
    // Tekton's conversion of what is kept as v1 leaves out pipelines in pipelines.
    if !["taskRef", "taskSpec", "pipelineRef", "pipelineSpec"].iter().any(is_there) {
        let problem = format!(
            "{place} says neither which task nor which pipeline it runs: the conversion to v1beta1 leaves pipelines in pipelines out"
        );
        return Err(not_converted(problem));
    }
    // A matrix of nothing is none (`IsMatrixed`).
    members.retain(|member| member.key != "matrix" || !is_empty_matrix(&member.value));
    Ok(())
}

fn is_null(node: &Node) -> bool {
    node.content == Content::Null
}

fn is_empty_matrix(matrix: &Node) -> bool {
    let is_empty_list = |key: &str| matrix.get(key).is_none_or(is_empty);
    matches!(matrix.content, Content::Object(_)) && is_empty_list("params") && is_empty_list("include")
}

/// Refuses what v1 has no place for: without it a task would seem to depend on less than it does.
fn refuse(object: &Node, field: &str, place: &str) -> Result<(), PipelineRunError> {
    match object.get(field) {
        Some(value) if !is_empty(value) => {
            Err(not_converted(format!("{place}.{field} is a field that v1 has no place for")))
        }
        _ => Ok(()),
    }
}
