//! From one document to its runs.

use crate::{
    sources::{error::Rest, failure::Failure, files::list},
    tekton::{
        pipelinerun::PipelineRun,
        run::Run,
        strict::node::{Content, Node},
        taskrun::{Inherited, TaskRun},
        unsuitable::Unsuitable,
    },
};

/// One document, wherever its bytes are.
pub(crate) enum Document<'a> {
    /// JSON, not read yet; the line of the input that it starts in; what its list says of it.
    Json(&'a [u8], u64, Option<&'a Inherited>),
    /// YAML, read; what its list says of it.
    Yaml(Node, Option<&'a Inherited>),
}

impl Document<'_> {
    /// Hands on its runs: one, those of a List, or none with the reason.
    pub(crate) fn runs(self, each: &mut dyn FnMut(Result<Run, Failure>)) {
        let (bytes, line, inherited) = match self {
            Document::Yaml(node, inherited) => return objects(node, inherited, each),
            Document::Json(bytes, line, inherited) => (bytes, line, inherited),
        };
        if let Some(object) = TaskRun::from_json(bytes, inherited) {
            return each(Ok(Run::TaskRun(object)));
        }
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Node>() {
            match value {
                Ok(node) => objects(node, inherited, each),
                Err(error) => {
                    let failure = match bytes.first() {
                        Some(b'{' | b'[') => None,
                        _ => Unsuitable::of_text(bytes).map(Failure::Unsuitable),
                    };
                    return each(Err(failure.unwrap_or_else(|| Failure::syntax(&error, line, Rest::Read))));
                }
            }
        }
    }
}

fn objects(node: Node, inherited: Option<&Inherited>, each: &mut dyn FnMut(Result<Run, Failure>)) {
    let mut object = |node, list: Option<&Inherited>| each(run(node, list));
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    let items = node.get("items").map(|items| &items.content);
    if inherited.is_some() || !kind.ends_with("List") || !matches!(items, Some(Content::List(_))) {
        return object(node, inherited);
    }
    if let Err(reason) = list::check_list(&node) {
        return each(Err(Failure::List(reason)));
    }
    let (inherited, part) = (list::inherited(&node), list::part(&node));
    let Content::Object(members) = node.content else { return };
    let items = members.into_iter().find(|member| member.key == "items").map(|member| member.value.content);
    let Some(Content::List(items)) = items else { return };
    items.into_iter().for_each(|item| object(item, Some(&inherited)));
    if let Some(part) = part {
        each(Err(part));
    }
}

fn run(node: Node, inherited: Option<&Inherited>) -> Result<Run, Failure> {
    let text = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default();
    let api_version = text("apiVersion").to_owned();
    if text("kind") == "PipelineRun" && api_version.starts_with("tekton.dev/") {
        let read = PipelineRun::from_node(node, &api_version).map_err(Failure::PipelineRun)?;
        return Ok(Run::PipelineRun(Box::new(read)));
    }
    TaskRun::from_node(node, inherited).map(Run::TaskRun).map_err(Failure::Object)
}
