//! Where a command takes TaskRuns from.

use std::{ffi::OsStr, fmt, fs, io::Read, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        access::AccessArgs,
        asked::Asked,
        authorities::AuthoritiesArgs,
        cluster::ClusterArgs,
        input, oci,
        refusal::{Refusal, usage},
        results::ResultsArgs,
    },
    sources::{
        error::SourceError,
        files::{COMPRESSED_ENDINGS, NamePattern, Sources},
        run_name::RunName,
        source::Source,
        walk::Walked,
    },
    tekton::{
        chains::{Stated, StatedPipelineRun, StatedTaskRun},
        unsuitable::Unsuitable,
    },
};

/// The ways in. One is chosen by its name, never by what an argument looks like: a file called `taskrun/x` must not stand in for a
/// cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum SourceKind {
    /// Files, folders and standard input; opens no socket
    #[default]
    Files,
    /// The runs of a cluster, from its API server
    Kubernetes,
    /// The archive of Tekton Results
    Results,
    /// Attestations of Tekton Chains beside images in a registry
    Oci,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Kubernetes => "kubernetes",
            Self::Results => "results",
            Self::Oci => "oci",
        })
    }
}

/// Those where attestations may be met that do not say whose they are.
const ATTESTED: &[SourceKind] = &[SourceKind::Files, SourceKind::Oci];

/// Those where a namespace says what is meant.
const NAMESPACED: &[SourceKind] = &[SourceKind::Files, SourceKind::Kubernetes, SourceKind::Oci];

/// Those that are asked over a network.
const SERVERS: &[SourceKind] = &[SourceKind::Kubernetes, SourceKind::Results, SourceKind::Oci];
/// Those that are asked for somebody who may be named.
const FOR_SOMEBODY: &[SourceKind] = &[SourceKind::Kubernetes, SourceKind::Results];

/// Where TaskRuns are read from, and what of it is meant.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Where the TaskRuns are read from
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t)]
    from: SourceKind,
    /// Files or folders with TaskRuns (JSON, JSON lines, YAML, Lists; also compressed: gzip, zstd), or - for standard input.
    /// In folders and their subfolders, files are read whose names end in .json, .jsonl, .ndjson, .yaml or .yml, also with .gz
    /// or .zst appended. Hidden folders (.git, ..data) are skipped; anything else found there is reported as not read. With
    /// --from oci: images, REGISTRY/REPOSITORY@sha256:…. With any other --from: taskrun/NAME or pipelinerun/NAME (with its TaskRuns), or
    /// nothing for all runs
    #[arg(required_unless_present = "from", required_if_eq_any([("from", "files"), ("from", "oci")]), value_name = "TASKRUN")]
    paths: Vec<PathBuf>,
    /// In folders, read the files whose names match this pattern, for example '*.json', and leave out all others; may be given
    /// several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<NamePattern>,
    /// Accept input without any TaskRun, but nothing that could not be read
    #[arg(long)]
    allow_empty: bool,
    /// The TaskRun whose results an attestation of Tekton Chains holds, where its format does not say (--namespace says of which
    /// namespace); TASK= for that of one task of a pipeline; may be given several times
    #[arg(long = "taskrun", value_name = "[TASK=]NAME")]
    task_runs: Vec<StatedTaskRun>,
    /// The PipelineRun that an attestation of Tekton Chains is about, where its format does not say (--namespace says of which
    /// namespace): it is judged, too; may be given several times
    #[arg(long = "pipelinerun", value_name = "NAME")]
    pipeline_runs: Vec<StatedPipelineRun>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    results: ResultsArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    authorities: AuthoritiesArgs,
}

impl SourceArgs {
    /// What is to be read; `-` is `stdin`. An argument that belongs to another way in is refused; `asks_cluster`: a cluster is asked
    /// for something else, too.
    pub(super) fn open<'a>(
        &'a self,
        stdin: &'a mut (dyn Read + Send),
        asks_cluster: bool,
    ) -> Result<Source<'a>, Refusal> {
        self.refuse(&[("--only", !self.only.is_empty())], &[SourceKind::Files])?;
        self.refuse(&[("--taskrun", !self.task_runs.is_empty())], ATTESTED)?;
        self.refuse(&[("--pipelinerun", !self.pipeline_runs.is_empty())], ATTESTED)?;
        self.refuse(&[("--namespace", self.cluster.namespace().is_some())], NAMESPACED)?;
        self.refuse(&self.cluster.given(), &[SourceKind::Kubernetes])?;
        self.refuse(&self.results.given(), &[SourceKind::Results])?;
        self.refuse(&self.authorities.given(), &[SourceKind::Results, SourceKind::Oci])?;
        if !asks_cluster {
            self.refuse(&self.access.given(), FOR_SOMEBODY)?;
            self.refuse(&self.access.caller().given(), FOR_SOMEBODY)?;
            self.refuse(&self.access.caller().timeout_given(), SERVERS)?;
        }
        match self.from {
            SourceKind::Files => Ok(Source::Files(self.files(), self.stated(), stdin)),
            SourceKind::Kubernetes => {
                Ok(Source::Kubernetes(Box::new(self.cluster.open(self.named()?, &self.access)?)))
            }
            SourceKind::Results => {
                let runs = self.named()?;
                let results = self.results.open(runs, &self.authorities, &self.access, asks_cluster)?;
                Ok(Source::Results(Box::new(results)))
            }
            SourceKind::Oci => {
                let images = oci::images(&self.paths)?;
                let oci = oci::open(images, &self.authorities, self.access.caller())?;
                Ok(Source::Oci(Box::new(oci), self.stated()))
            }
        }
    }

    /// The same for a first look, before it is opened to be judged; an error if it can be read only once, or does not mean all runs.
    pub(super) fn open_for_a_look<'a>(
        &'a self,
        nothing: &'a mut (dyn Read + Send),
        asks_cluster: bool,
    ) -> Result<Source<'a>, Refusal> {
        let refused =
            |reason: String| Err(usage(format!("--shard is for parts of all that there is, {reason}")));
        if self.are_named() {
            return refused("and these runs are asked for by name; leave one of both out".to_owned());
        }
        if self.never_ends() {
            return refused("and --watch has no end; leave one of both out".to_owned());
        }
        let is_read_once = |path: &&PathBuf| {
            let is_other = |file: fs::Metadata| !file.is_file() && !file.is_dir();
            input::is_stdin(path) || fs::metadata(path).is_ok_and(is_other)
        };
        if let Some(path) = self.paths().iter().find(is_read_once) {
            let name = input::name(path);
            return refused(format!(
                "which is read twice, and {name} can be read only once; write it to a file first"
            ));
        }
        self.open(nothing, asks_cluster)
    }

    /// Refuses arguments that are given and mean something to other ways in only.
    fn refuse(&self, arguments: &[(&str, bool)], to: &[SourceKind]) -> Result<(), Refusal> {
        let given = arguments.iter().find(|(_, is_given)| *is_given && !to.contains(&self.from));
        let Some((name, _)) = given else { return Ok(()) };
        let to = to.iter().map(|from| format!("--from {from}")).collect::<Vec<_>>().join(" or ");
        Err(usage(format!(
            "{name} is an argument for {to}, and this reads from {}; leave it out, or say {to}",
            self.from
        )))
    }

    /// Whose results attestations hold that do not say it.
    fn stated(&self) -> Stated {
        Stated {
            namespace: self.cluster.namespace().map(|namespace| namespace.as_str().to_owned()),
            task_runs: self.task_runs.clone(),
            pipeline_runs: self.pipeline_runs.clone(),
        }
    }

    /// The runs that are asked for by name: of a cluster or an archive.
    fn named(&self) -> Result<Vec<RunName>, Refusal> {
        let name = |path: &PathBuf| {
            let text = path.to_string_lossy();
            text.parse().map_err(|error| usage(format!("{text}: with --from {}, {error}", self.from)))
        };
        self.paths.iter().map(name).collect()
    }

    /// The files and folders that are read.
    pub(super) fn paths(&self) -> &[PathBuf] {
        match self.from {
            SourceKind::Files => &self.paths,
            SourceKind::Kubernetes | SourceKind::Results | SourceKind::Oci => &[],
        }
    }

    /// Whether a file of this name is read where it lies in a folder.
    pub(super) fn reads(&self, name: &OsStr) -> bool {
        self.files().reads(name)
    }

    /// What reports call it all.
    pub(super) fn name(&self) -> String {
        match self.from {
            SourceKind::Files => self.paths.first().map(|path| input::name(path)).unwrap_or_default(),
            SourceKind::Kubernetes => self.from.to_string(),
            SourceKind::Results => self.results.address(),
            SourceKind::Oci => self.paths.first().map(|path| path.display().to_string()).unwrap_or_default(),
        }
    }

    /// What is asked for by name, where that may not come.
    pub(super) fn asked(&self) -> Result<Option<Asked<'_>>, Refusal> {
        Ok(match self.from {
            SourceKind::Files => None,
            SourceKind::Kubernetes => Some(self.cluster.asked(self.named()?)),
            SourceKind::Results => Some(self.results.asked(self.named()?)),
            SourceKind::Oci => Some(oci::asked(&oci::images(&self.paths)?)),
        })
    }

    /// Whether runs that have not finished are left out although nobody says so: those of a cluster that are not named. `judged`: it
    /// was said that they are judged.
    pub(super) fn leaves_out_unfinished(&self, judged: bool) -> Result<bool, Refusal> {
        self.refuse(&[("--all-finished", judged)], &[SourceKind::Kubernetes])?;
        Ok(self.from == SourceKind::Kubernetes && self.paths.is_empty() && !judged)
    }

    /// Whether runs are asked for by name, or by their images: none of them may be left out.
    pub(super) fn are_named(&self) -> bool {
        self.from != SourceKind::Files && !self.paths.is_empty()
    }

    /// The files besides the sources that a server is asked with.
    pub(super) fn credentials(&self) -> impl Iterator<Item = PathBuf> {
        let of_registries = if self.from == SourceKind::Oci { oci::files() } else { Vec::new() };
        let named = self.results.file().into_iter().chain(self.authorities.file());
        self.access.files().into_iter().chain(named).chain(of_registries)
    }

    /// How a cluster is reached.
    pub(super) fn access(&self) -> &AccessArgs {
        &self.access
    }

    /// Whether it goes on until it is interrupted.
    pub(super) fn never_ends(&self) -> bool {
        self.from == SourceKind::Kubernetes && self.cluster.watches()
    }

    /// Whether a command that is about TaskRuns has no use for what this says is there: a PipelineRun that came along.
    pub(super) fn comes_along(&self, error: &SourceError) -> bool {
        let is_pipeline_run =
            matches!(error, SourceError::Unsuitable { what: Unsuitable::PipelineRun(..), .. });
        self.from != SourceKind::Files && is_pipeline_run
    }

    /// Whether places are records of an archive, which may be filed under another namespace than the run's.
    pub(super) fn is_archive(&self) -> bool {
        self.from == SourceKind::Results
    }

    fn files(&self) -> Sources<'_> {
        Sources { paths: &self.paths, only: &self.only }
    }

    /// Whether no TaskRun at all is fine.
    pub(super) fn allows_empty(&self) -> bool {
        self.allow_empty
    }

    /// Whether there may be several files.
    pub(super) fn are_several(&self) -> bool {
        self.from != SourceKind::Files || self.paths.len() > 1 || self.paths.iter().any(|path| path.is_dir())
    }

    /// The bytes of all of it, if it is files, and none of them seems to be compressed.
    pub(super) fn total_size(&self) -> Option<u64> {
        let size = |path: &PathBuf| {
            let name = path.to_string_lossy();
            let metadata = fs::metadata(path).ok()?;
            let is_counted =
                metadata.is_file() && !COMPRESSED_ENDINGS.iter().any(|ending| name.ends_with(ending));
            is_counted.then_some(metadata.len())
        };
        if self.from != SourceKind::Files {
            return None;
        }
        self.paths.iter().map(size).sum()
    }

    /// What is to be said if a walk that found nothing wrong found no TaskRun.
    pub(super) fn nothing_found(&self, walked: Walked) -> Option<&'static str> {
        match (walked.objects, walked.files_read) {
            _ if self.allow_empty => None,
            (0, 0) if !self.only.is_empty() => {
                Some("no TaskRun found: no file has a name that fits --only (--allow-empty accepts that)")
            }
            (0, _) if self.from == SourceKind::Results => {
                Some("no TaskRun found in the archive (--allow-empty accepts that)")
            }
            (0, _) if self.from == SourceKind::Oci => {
                Some("no TaskRun found in the attestations of the images (--allow-empty accepts that)")
            }
            (0, _) if self.from == SourceKind::Kubernetes => Some(
                "no run found in the cluster: see that -n and -l say what is meant (--allow-empty accepts that)",
            ),
            (0, 0) => Some("no TaskRun found: there is no file to read (--allow-empty accepts that)"),
            (0, _) => Some("no TaskRun found (--allow-empty accepts that)"),
            _ => None,
        }
    }
}
