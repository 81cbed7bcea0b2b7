//! What of a list is handed on: nothing of another namespace may stand in for what was asked for, and not everything is wanted.

use std::sync::Arc;

use super::{error::KubernetesError, family::Head};
use crate::sources::{
    failure::ReadFailure,
    sink::{FoundDocument, Sink, Stopped},
};

/// Whether an object is to be handed on.
pub(super) type Wanted<'a> = dyn FnMut(Head) -> bool + 'a;

/// Hands on what is of a namespace and wanted, and refuses what is of another one.
pub(super) struct Screen<'a, 'w> {
    /// `None`: any.
    pub(super) namespace: Option<&'a str>,
    /// `None`: everything.
    pub(super) wanted: Option<&'a mut Wanted<'w>>,
    pub(super) sink: &'a mut dyn Sink,
}

impl Sink for Screen<'_, '_> {
    fn begin(&mut self, path: Arc<str>) {
        self.sink.begin(path);
    }

    fn take(&mut self, found: FoundDocument<'_>) -> Result<(), Stopped> {
        let head = match &found {
            FoundDocument::Json { bytes, .. } if self.namespace.is_some() || self.wanted.is_some() => {
                Head::of(bytes)
            }
            _ => None,
        };
        // What cannot be read is told by whoever judges it.
        let Some(head) = head else { return self.sink.take(found) };
        if let Some(namespace) = self.namespace.filter(|namespace| head.metadata.namespace != *namespace) {
            let reason = format!("in a list of namespace {namespace} there is a run of another one");
            let odd = KubernetesError::Odd { reason };
            return self.sink.take(FoundDocument::Failed(ReadFailure::Kubernetes(Box::new(odd))));
        }
        match self.wanted.as_mut().is_none_or(|wanted| wanted(head)) {
            true => self.sink.take(found),
            false => Ok(()),
        }
    }

    fn waiting(&mut self) -> Result<(), Stopped> {
        self.sink.waiting()
    }

    fn wait_for(&mut self, reason: String) -> Result<(), Stopped> {
        self.sink.wait_for(reason)
    }

    fn settle(&mut self) -> Result<(), Stopped> {
        self.sink.settle()
    }

    fn count(&mut self, bytes: usize) {
        self.sink.count(bytes);
    }
}
