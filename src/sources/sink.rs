//! What a source hands over, one object at a time, and who takes it.

use std::sync::Arc;

use crate::{
    sources::failure::ReadFailure,
    tekton::{strict::node::Node, taskrun::Inherited},
};

/// Nobody takes any more documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// What the reader finds, in order.
pub(crate) enum FoundDocument<'a> {
    /// One JSON document, or what should be one.
    Json {
        /// All of it.
        bytes: &'a [u8],
        /// The line of the input that it starts in, from 1.
        line: u64,
        /// What its list says of it.
        inherited: Option<&'a Inherited>,
    },
    /// An object of YAML, read.
    Yaml {
        /// All of it.
        node: Node,
        /// Bytes that it came from.
        weight: usize,
        /// What its list says of it.
        inherited: Option<&'a Inherited>,
    },
    /// Something that cannot be read.
    Failed(ReadFailure),
}

/// Takes what the reader finds.
pub(crate) trait Sink {
    /// What comes from now on is from this input.
    fn begin(&mut self, path: Arc<str>);
    /// Takes one thing.
    fn take(&mut self, found: FoundDocument<'_>) -> Result<(), Stopped>;
    /// The reader may have to wait for more: what was taken should not.
    fn waiting(&mut self) -> Result<(), Stopped>;
    /// What comes next may take long, for this reason; what was taken so far should not wait for it.
    fn wait_for(&mut self, reason: String) -> Result<(), Stopped>;
    /// What was taken so far is whole: nothing of what follows belongs to a PipelineRun in it.
    fn settle(&mut self) -> Result<(), Stopped>;
    /// So many bytes more were read.
    fn count(&mut self, bytes: usize);
}
