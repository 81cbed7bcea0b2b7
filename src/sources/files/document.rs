//! From one document to its runs.

use crate::{
    sources::{error::Rest, failure::ReadFailure, files::list},
    tekton::{
        chains::{self, Stated},
        pipelinerun::PipelineRun,
        run::Run,
        strict::node::{Content, Node},
        taskrun::{Inherited, TaskRun},
        unsuitable::Unsuitable,
    },
    verify::claimed_run,
};

/// One document, wherever its bytes are.
pub(crate) enum Document<'a> {
    /// JSON, not read yet; the line of the input that it starts in; what its list says of it.
    Json(&'a [u8], u64, Option<&'a Inherited>),
    /// YAML, read; what its list says of it.
    Yaml(Node, Option<&'a Inherited>),
}

impl Document<'_> {
    /// Its bytes, if it is JSON.
    pub(crate) fn json(&self) -> Option<&[u8]> {
        match self {
            Document::Json(bytes, ..) => Some(bytes),
            Document::Yaml(..) => None,
        }
    }

    /// Hands on its runs: one, those of a List, or none with the reason.
    pub(crate) fn runs(self, stated: &Stated, each: &mut dyn FnMut(Result<Run, ReadFailure>)) {
        let mut as_stated = |run: Result<Run, ReadFailure>| each(run.and_then(|run| as_stated(run, stated)));
        let each: &mut dyn FnMut(Result<Run, ReadFailure>) = &mut as_stated;
        let (bytes, line, inherited) = match self {
            Document::Yaml(node, inherited) => return objects(node, inherited, stated, each),
            Document::Json(bytes, line, inherited) => (bytes, line, inherited),
        };
        if let Some(object) = TaskRun::from_json(bytes, inherited) {
            return each(Ok(Run::TaskRun(object)));
        }
        for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Node>() {
            match value {
                Ok(node) => objects(node, inherited, stated, each),
                Err(error) => {
                    let failure = match bytes.first() {
                        Some(b'{' | b'[') => None,
                        _ => Unsuitable::of_text(bytes).map(ReadFailure::Unsuitable),
                    };
                    return each(Err(
                        failure.unwrap_or_else(|| ReadFailure::syntax(&error, line, Rest::Read))
                    ));
                }
            }
        }
    }
}

fn objects(
    node: Node,
    inherited: Option<&Inherited>,
    stated: &Stated,
    each: &mut dyn FnMut(Result<Run, ReadFailure>),
) {
    if chains::is_attestation(&node) {
        let failure = |error| ReadFailure::Chains(Box::new(error));
        let runs = chains::runs(node, stated, claimed_run);
        return runs.into_iter().map(|run| run.map_err(failure)).for_each(each);
    }
    let mut object = |node, list: Option<&Inherited>| each(run(node, list));
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    let items = node.get("items").map(|items| &items.content);
    if inherited.is_some() || !kind.ends_with("List") || !matches!(items, Some(Content::List(_))) {
        return object(node, inherited);
    }
    if let Err(reason) = list::check_list(&node) {
        return each(Err(ReadFailure::List(reason)));
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

fn run(node: Node, inherited: Option<&Inherited>) -> Result<Run, ReadFailure> {
    let text = |name: &str| node.get(name).and_then(Node::text).unwrap_or_default();
    let api_version = text("apiVersion").to_owned();
    if text("kind") == "PipelineRun" && api_version.starts_with("tekton.dev/") {
        let read = PipelineRun::from_node(node, &api_version).map_err(ReadFailure::PipelineRun)?;
        return Ok(Run::PipelineRun(Box::new(read)));
    }
    TaskRun::from_node(node, inherited).map(Run::TaskRun).map_err(ReadFailure::Object)
}

/// What is said of a run must be so.
fn as_stated(run: Run, stated: &Stated) -> Result<Run, ReadFailure> {
    let (metadata, contradicted) = match &run {
        Run::TaskRun(TaskRun { metadata, .. }) => {
            (metadata, stated.contradicted(&metadata.namespace, Some(&metadata.name)))
        }
        Run::PipelineRun(object) => {
            let metadata = &object.metadata;
            (metadata, stated.contradicted_of_pipeline_run(&metadata.namespace, &metadata.name))
        }
    };
    match contradicted {
        None => Ok(run),
        Some(stated) => {
            let found = format!("{}/{}", metadata.namespace, metadata.name);
            Err(ReadFailure::OtherRun { found, stated })
        }
    }
}
