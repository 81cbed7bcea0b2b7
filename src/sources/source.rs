//! Where TaskRuns are read from.
//!
//! One thread reads and only splits the input into documents; their contents are read elsewhere, so that all cores take part. What a
//! source cannot read whole it hands over as a failure, so that it is `unchecked`: nothing is left out silently.

use std::{fmt, io::Read};

use crate::{
    sources::{
        files::{self, Sources},
        kubernetes::Kubernetes,
        oci::Oci,
        results::Results,
        sink::{Sink, Stopped},
    },
    tekton::chains::Stated,
};

/// One way in. Somebody chose it: it is never guessed from what is to be read.
pub enum Source<'a> {
    /// Files and folders, where `-` is the reader, and whose results the attestations in them hold. Opens no socket.
    Files(Sources<'a>, Stated, &'a mut (dyn Read + Send)),
    /// Runs of a cluster, from its API server.
    Kubernetes(Box<Kubernetes>),
    /// The archive of Tekton Results.
    Results(Box<Results>),
    /// Attestations beside images in a registry.
    Oci(Box<Oci>, Stated),
}

impl<'a> Source<'a> {
    /// Files and folders, where `-` is `stdin`.
    pub fn files(paths: impl Into<Sources<'a>>, stdin: &'a mut (dyn Read + Send)) -> Self {
        Self::Files(paths.into(), Stated::default(), stdin)
    }

    /// Whose results an attestation holds, where it does not say.
    pub(crate) fn stated(&self) -> Stated {
        match self {
            Self::Files(_, stated, _) | Self::Oci(_, stated) => stated.clone(),
            Self::Kubernetes(_) | Self::Results(_) => Stated::default(),
        }
    }

    /// Where it can ask for PipelineRuns alone, that: for a look at which of them are in which.
    pub(crate) fn of_pipeline_runs(self) -> Self {
        match self {
            Self::Files(..) | Self::Oci(..) => self,
            Self::Kubernetes(kubernetes) => Self::Kubernetes(Box::new(kubernetes.of_pipeline_runs())),
            Self::Results(results) => Self::Results(Box::new(results.of_pipeline_runs())),
        }
    }

    /// Hands every document to `sink`, one at a time, in an order of its own.
    pub(crate) fn read(self, sink: &mut dyn Sink) -> Result<(), Stopped> {
        match self {
            Self::Files(sources, _, stdin) => files::read(sources, stdin, sink),
            Self::Kubernetes(kubernetes) => kubernetes.read(sink),
            Self::Results(results) => results.read(sink),
            Self::Oci(oci, _) => oci.read(sink),
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(sources, ..) => f.debug_tuple("Files").field(sources).finish(),
            Self::Kubernetes(kubernetes) => kubernetes.fmt(f),
            Self::Results(results) => f.debug_tuple("Results").field(results).finish(),
            Self::Oci(oci, _) => oci.fmt(f),
        }
    }
}
