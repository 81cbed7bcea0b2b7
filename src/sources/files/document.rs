//! From one document to its TaskRuns.

use crate::{
    sources::{failure::Failure, files::list, source::Rest},
    tekton::{
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
    /// Hands on its TaskRuns: one, those of a List, or none with the reason.
    pub(crate) fn task_runs(self, each: &mut dyn FnMut(Result<TaskRun, Failure>)) {
        let (bytes, line, inherited) = match self {
            Document::Yaml(node, inherited) => return objects(node, inherited, each),
            Document::Json(bytes, line, inherited) => (bytes, line, inherited),
        };
        if let Some(object) = TaskRun::from_json(bytes, inherited) {
            return each(Ok(object));
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

fn objects(node: Node, inherited: Option<&Inherited>, each: &mut dyn FnMut(Result<TaskRun, Failure>)) {
    let mut object =
        |node, list: Option<&Inherited>| each(TaskRun::from_node(node, list).map_err(Failure::Object));
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
