//! An in-toto statement of Chains': which format it is in, and the runs in it.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use unixtime::UnixSeconds;

use super::{
    ChainsEnvelope, ChainsError, ChainsFormat, Origin, Stated, build_config,
    by_products::{ByProduct, OwnResult},
    envelope::base64,
    pipeline_run::Kept as KeptPipelineRun,
    run::Kept,
    stated::Claim,
};
use crate::tekton::{
    null::null_is_default,
    pipelinerun::PipelineRun,
    result_kind::ResultKind,
    run::Run,
    strict::node::Node,
    taskrun::{Labels, TaskRun},
    unsuitable::shown,
};

const STATEMENT: &str = "https://in-toto.io/Statement/";
const SLSA_0_2: &str = "https://slsa.dev/provenance/v0.2";
const SLSA_1: &str = "https://slsa.dev/provenance/v1";
/// Build types of SLSA 1 (Chains `pkg/chains/formats/slsa/internal/build_types`).
const SLSA: &str = "https://tekton.dev/chains/v2/slsa";
const SLSA_TEKTON: &str = "https://tekton.dev/chains/v2/slsa-tekton";
/// The dependency that is a TaskRun of a PipelineRun (Chains `internal/resolved_dependencies`).
const PIPELINE_TASK: &str = "pipelineTask";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    predicate: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slsa02 {
    build_type: String,
    #[serde(default)]
    build_config: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slsa1 {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    #[serde(default)]
    external_parameters: ExternalParameters,
    #[serde(default, deserialize_with = "null_is_default")]
    internal_parameters: InternalParameters,
    #[serde(default, deserialize_with = "null_is_default")]
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalParameters {
    run_spec: Option<Node>,
}

/// Labels are carried with the build type slsa-tekton alone.
#[derive(Default, Deserialize)]
struct InternalParameters {
    #[serde(default, deserialize_with = "null_is_default")]
    labels: Labels,
}

#[derive(Deserialize)]
struct Dependency {
    #[serde(default)]
    name: String,
    content: Option<String>,
}

#[derive(Deserialize)]
struct RunDetails {
    #[serde(default, deserialize_with = "null_is_default")]
    byproducts: Vec<ByProduct>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    invocation_id: String,
    started_on: Option<String>,
    finished_on: Option<String>,
}

/// Bytes of a UID as Kubernetes makes them.
const UID: usize = 36;

impl Metadata {
    /// Each TaskRun of a PipelineRun gets a copy.
    fn check(&self) -> Result<(), ChainsError> {
        let is_time = |time: &String| UnixSeconds::parse(time).is_some();
        let are_times = [&self.started_on, &self.finished_on].into_iter().flatten().all(is_time);
        match are_times && self.invocation_id.len() <= UID {
            true => Ok(()),
            false => {
                let reason = "its start or end is not a time, or its invocation not a UID";
                Err(ChainsError::Shape(reason.to_owned()))
            }
        }
    }
}

/// Whether a document is an in-toto statement, or an envelope around one.
pub(crate) fn is_attestation(document: &Node) -> bool {
    let is_statement =
        document.get("_type").and_then(Node::text).is_some_and(|kind| kind.starts_with(STATEMENT));
    document.get("kind").is_none() && (is_statement || ChainsEnvelope::is_in(document))
}

/// Whether a document is an envelope around an in-toto statement, or a bundle with one.
pub(crate) fn is_enveloped(document: &Node) -> bool {
    ChainsEnvelope::is_in(document)
}

/// What may be read of an attestation: a TaskRun each, or why there is none.
type TaskRuns = Result<Vec<Result<TaskRun, ChainsError>>, ChainsError>;

/// Whose results they are, where an attestation does not say.
struct Names<'a> {
    stated: &'a Stated,
    claim: Claim,
}

/// What an attestation holds.
struct Attested {
    task_runs: TaskRuns,
    /// Of an attestation of a PipelineRun itself, if it is known which one that is.
    pipeline_run: Option<Result<PipelineRun, ChainsError>>,
}

impl From<TaskRuns> for Attested {
    fn from(task_runs: TaskRuns) -> Self {
        Self { task_runs, pipeline_run: None }
    }
}

/// The runs in an attestation, each or why not, the PipelineRun last. What it does not carry is as `stated`; `claim` tells what evidence
/// claims.
pub(crate) fn runs(document: Node, stated: &Stated, claim: Claim) -> Vec<Result<Run, ChainsError>> {
    let names = Names { stated, claim };
    let attested = match ChainsEnvelope::is_in(&document) {
        false => of_statement(document, &names),
        true => enveloped(document, &names),
    };
    let Attested { task_runs, pipeline_run } = attested.unwrap_or_else(|error| TaskRuns::Err(error).into());
    let mut runs: Vec<Result<Run, ChainsError>> = match (task_runs, &pipeline_run) {
        // There may be something beside it.
        (Err(ChainsError::HoldsNothing { .. }), Some(_)) => Vec::new(),
        (Err(error), _) => return vec![Err(error)],
        (Ok(task_runs), _) => task_runs.into_iter().map(|run| run.map(Run::TaskRun)).collect(),
    };
    runs.extend(pipeline_run.map(|run| run.map(|run| Run::PipelineRun(Box::new(run)))));
    runs
}

fn enveloped(document: Node, names: &Names<'_>) -> Result<Attested, ChainsError> {
    let envelope = Arc::new(ChainsEnvelope::read(document)?);
    let mut attested = of_statement(parsed(&envelope.payload, "the envelope's payload")?, names)?;
    let task_runs = attested.task_runs.iter_mut().flatten().flatten();
    for origin in task_runs.filter_map(|task_run| task_run.chains.as_mut()) {
        origin.envelope = Some(envelope.clone());
    }
    let pipeline_run = attested.pipeline_run.iter_mut().flatten();
    for origin in pipeline_run.filter_map(|pipeline_run| pipeline_run.chains.as_mut()) {
        origin.envelope = Some(envelope.clone());
    }
    Ok(attested)
}

/// The TaskRuns in the payload of an envelope.
pub(crate) fn of_payload(payload: &[u8], stated: &Stated, claim: Claim) -> TaskRuns {
    of_statement(parsed(payload, "the envelope's payload")?, &Names { stated, claim })?.task_runs
}

/// What an attestation of a PipelineRun says of that itself.
pub(crate) struct AttestedPipelineRun {
    /// The UIDs that are carried: once, or once for each task.
    pub(crate) uids: Vec<String>,
    /// Its own results, where they are carried.
    pub(crate) results: Vec<OwnResult>,
}

/// What the payload of an envelope says of a PipelineRun itself.
pub(crate) fn pipeline_run(payload: &[u8]) -> Result<AttestedPipelineRun, ChainsError> {
    let Statement { predicate_type, predicate } = parsed(payload, "the envelope's payload")?.read()?;
    match predicate_type.as_str() {
        SLSA_0_2 => {
            let Slsa02 { build_type, build_config } = predicate.read()?;
            if !["tekton.dev/v1/PipelineRun", "tekton.dev/v1beta1/PipelineRun"].contains(&build_type.as_str())
            {
                return Err(ChainsError::BuildType(shown(&build_type)));
            }
            let tasks = build_config.map(build_config::task_runs).transpose()?.unwrap_or_default();
            let uids = tasks.into_iter().filter_map(|task| task.pipeline_run_uid).collect();
            Ok(AttestedPipelineRun { uids, results: Vec::new() })
        }
        SLSA_1 => {
            let Slsa1 { build_definition, run_details } = predicate.read()?;
            if ![SLSA, SLSA_TEKTON].contains(&build_definition.build_type.as_str()) {
                return Err(ChainsError::BuildType(shown(&build_definition.build_type)));
            }
            let results = run_details.byproducts.iter().filter_map(|kept| kept.own_result().transpose());
            Ok(AttestedPipelineRun {
                uids: vec![run_details.metadata.invocation_id],
                results: results.collect::<Result<_, _>>()?,
            })
        }
        _ => Err(ChainsError::Predicate(shown(&predicate_type))),
    }
}

fn parsed(json: &[u8], what: &str) -> Result<Node, ChainsError> {
    serde_json::from_slice(json)
        .map_err(|error| ChainsError::Json { what: what.to_owned(), error: error.to_string() })
}

fn of_statement(statement: Node, names: &Names<'_>) -> Result<Attested, ChainsError> {
    let Statement { predicate_type, predicate } = statement.read()?;
    match predicate_type.as_str() {
        SLSA_0_2 => Ok(of_slsa_0_2(predicate.read()?, names).into()),
        SLSA_1 => of_slsa_1(predicate.read()?, names),
        _ => Err(ChainsError::Predicate(shown(&predicate_type))),
    }
}

fn of_slsa_0_2(predicate: Slsa02, names: &Names<'_>) -> TaskRuns {
    let format = match predicate.build_type.as_str() {
        "tekton.dev/v1/TaskRun" | "tekton.dev/v1beta1/TaskRun" => ChainsFormat::TaskRunInToto,
        "tekton.dev/v1/PipelineRun" | "tekton.dev/v1beta1/PipelineRun" => ChainsFormat::PipelineRunInToto,
        _ => return Err(ChainsError::BuildType(shown(&predicate.build_type))),
    };
    match (format, predicate.build_config) {
        (ChainsFormat::PipelineRunInToto, Some(tasks)) => {
            made(build_config::task_runs(tasks)?, format, names)
        }
        _ => Err(ChainsError::HoldsNothing { format }),
    }
}

fn of_slsa_1(predicate: Slsa1, names: &Names<'_>) -> Result<Attested, ChainsError> {
    let Slsa1 { build_definition, run_details: RunDetails { byproducts, metadata } } = predicate;
    let BuildDefinition { build_type, external_parameters, internal_parameters, resolved_dependencies } =
        build_definition;
    if ![SLSA, SLSA_TEKTON].contains(&build_type.as_str()) {
        return Err(ChainsError::BuildType(shown(&build_type)));
    }
    metadata.check()?;
    let spec = external_parameters.run_spec;
    let has = |name: &str| spec.as_ref().is_some_and(|spec| spec.get(name).is_some());
    let is_pipeline_run = has("pipelineSpec") || has("pipelineRef");
    let (Some(spec), true) = (&spec, is_pipeline_run) else {
        let kept = by_task_run(byproducts, &metadata)?;
        return Ok(of_one_task_run(kept, (spec, internal_parameters.labels), &metadata, names).into());
    };
    let results = byproducts.iter().filter_map(|kept| kept.own_result().transpose());
    let results = results.collect::<Result<Vec<OwnResult>, _>>()?;
    let mut task_runs = match build_type == SLSA_TEKTON {
        true => whole_task_runs(resolved_dependencies),
        false => of_pipeline_run(by_task_run(byproducts, &metadata)?, &metadata, names),
    };
    let format = match &task_runs {
        _ if build_type == SLSA_TEKTON => ChainsFormat::PipelineRunTekton,
        Err(ChainsError::HoldsNothing { .. }) => ChainsFormat::PipelineRunSlsa1,
        _ => ChainsFormat::PipelineRunDeep,
    };
    let Metadata { invocation_id: uid, started_on: started, .. } = metadata;
    let kept = KeptPipelineRun { format, uid, spec: spec.clone(), started, results };
    let known = task_runs.as_deref().unwrap_or_default();
    let pipeline_run = kept.pipeline_run(known, names.stated).transpose();
    if pipeline_run.is_none() {
        let origins =
            task_runs.iter_mut().flatten().flatten().filter_map(|task_run| task_run.chains.as_mut());
        origins.for_each(|origin| origin.is_of_unnamed = true);
    }
    Ok(Attested { task_runs, pipeline_run })
}

/// The results in by-products, by their TaskRuns, in the order in which these come.
fn by_task_run(by_products: Vec<ByProduct>, metadata: &Metadata) -> Result<Vec<Kept>, ChainsError> {
    let mut all: Vec<Kept> = Vec::new();
    let mut places: HashMap<Option<String>, usize> = HashMap::new();
    for by_product in by_products {
        let Some(found) = by_product.result()? else { continue };
        let place = *places.entry(found.task_run.clone()).or_insert(all.len());
        if place == all.len() {
            all.push(new(found.task_run, metadata));
        }
        let Some(kept) = all.get_mut(place) else { continue };
        match found.kind {
            ResultKind::Task => kept.results.push(found.result),
            ResultKind::Step => kept.step_results.push(found.result),
        }
    }
    Ok(all)
}

/// What is known of a TaskRun before any of its results.
fn new(name: Option<String>, metadata: &Metadata) -> Kept {
    Kept {
        name,
        task: None,
        uid: String::new(),
        pipeline_run_uid: None,
        spec: None,
        started: metadata.started_on.clone(),
        finished: metadata.finished_on.clone(),
        succeeded: None,
        results: Vec::new(),
        step_results: Vec::new(),
    }
}

fn of_pipeline_run(kept: Vec<Kept>, metadata: &Metadata, names: &Names<'_>) -> TaskRuns {
    if kept.is_empty() {
        return Err(ChainsError::HoldsNothing { format: ChainsFormat::PipelineRunSlsa1 });
    }
    if kept.iter().any(|kept| kept.name.is_none()) {
        return Err(ChainsError::Shape("a by-product does not name its TaskRun".to_owned()));
    }
    let uid = &metadata.invocation_id;
    let kept = kept.into_iter().map(|kept| Kept { pipeline_run_uid: Some(uid.clone()), ..kept });
    made(kept.collect(), ChainsFormat::PipelineRunDeep, names)
}

fn of_one_task_run(
    mut kept: Vec<Kept>,
    (spec, labels): (Option<Node>, Labels),
    metadata: &Metadata,
    names: &Names<'_>,
) -> TaskRuns {
    let (uid, pipeline_run_uid) = (metadata.invocation_id.clone(), labels.pipeline_run_uid);
    let Some(first) = kept.pop() else {
        let nothing = Kept { uid, pipeline_run_uid, spec, ..new(None, metadata) };
        return made(vec![nothing], ChainsFormat::TaskRunSlsa1, names);
    };
    if !kept.is_empty() {
        let reason = "the attestation of one TaskRun holds by-products of several";
        return Err(ChainsError::Shape(reason.to_owned()));
    }
    let format =
        if first.name.is_some() { ChainsFormat::TaskRunV2alpha4 } else { ChainsFormat::TaskRunV2alpha3 };
    made(vec![Kept { uid, pipeline_run_uid, spec, ..first }], format, names)
}

fn made(kept: Vec<Kept>, format: ChainsFormat, names: &Names<'_>) -> TaskRuns {
    if kept.is_empty() {
        return Err(ChainsError::HoldsNothing { format });
    }
    Ok(kept.into_iter().map(|kept| kept.task_run(format, names.stated, names.claim)).collect())
}

/// The TaskRuns that the build type slsa-tekton keeps as they were.
fn whole_task_runs(dependencies: Vec<Dependency>) -> TaskRuns {
    let dependencies = dependencies.into_iter().filter(|dependency| dependency.name == PIPELINE_TASK);
    let task_runs: Vec<_> =
        dependencies.enumerate().map(|(i, dependency)| whole(i + 1, dependency)).collect();
    match task_runs.is_empty() {
        true => Err(ChainsError::HoldsNothing { format: ChainsFormat::PipelineRunTekton }),
        false => Ok(task_runs),
    }
}

fn whole(number: usize, dependency: Dependency) -> Result<TaskRun, ChainsError> {
    let what = format!("number {number} of the TaskRuns in it");
    let json = base64(&dependency.content.unwrap_or_default(), &what)?;
    let node = parsed(&json, &what)?;
    let mut task_run =
        TaskRun::from_node(node, None).map_err(|error| ChainsError::TaskRun { what, error })?;
    let format = ChainsFormat::PipelineRunTekton;
    let origin =
        Origin { format, envelope: None, step_results: Vec::new(), is_whole: true, is_of_unnamed: false };
    task_run.chains = Some(Box::new(origin));
    Ok(task_run)
}
