//! A PipelineRun that has to wait for its TaskRuns: compressed, a tenth of what it takes when it is read.

use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec};
use serde_json::Value;

use crate::tekton::{pipelinerun::PipelineRun, strict::node::Node};

/// The quickest that finds repetitions: a PipelineRun has most of its pipeline twice.
const LEVEL: u8 = 1;

/// The JSON of a PipelineRun, in DEFLATE (RFC 1951).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Packed(Vec<u8>);

impl Packed {
    /// Levels of lists and objects: what serde_json reads.
    pub(crate) const DEEPEST: usize = 127;

    pub(crate) fn of(document: &Node) -> Self {
        // Empty, which is not a document, if there is no JSON of it.
        let json = serde_json::to_vec(document).unwrap_or_default();
        let mut deflated = compress_to_vec(&json, LEVEL);
        deflated.shrink_to_fit();
        Self(deflated)
    }

    /// Reads it again; `None` if that fails, which nothing that was read once should.
    pub(crate) fn unpack(&self) -> Option<PipelineRun> {
        let json = decompress_to_vec(&self.0).ok()?;
        let document: Value = serde_json::from_slice(&json).ok()?;
        Node::from(document).read().ok()
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
