//! A stand-in for Tekton Chains: its formats (v0.29.2), which `verify_chains` holds against what a real Chains made, and its signature.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use svidence::verify::ChainsKeys;
use x509::der::{SEQUENCE, bit_string, write};

const OBJECT_IDENTIFIER: u8 = 6;

/// A signer of Chains' with a key of its own.
pub struct Chains(EcdsaKeyPair);

impl Chains {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    /// `cosign.pub`.
    pub fn pem(&self) -> String {
        let ec = write(OBJECT_IDENTIFIER, &[b"\x2a\x86\x48\xce\x3d\x02\x01"]);
        let p256 = write(OBJECT_IDENTIFIER, &[b"\x2a\x86\x48\xce\x3d\x03\x01\x07"]);
        let point = bit_string(self.0.public_key().as_ref());
        let spki = write(SEQUENCE, &[&write(SEQUENCE, &[&ec, &p256]), &point]);
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki))
    }

    pub fn keys(&self) -> ChainsKeys {
        let mut keys = ChainsKeys::default();
        keys.trust_pem(&self.pem()).unwrap();
        keys
    }

    pub fn keyid(&self) -> String {
        self.keys().iter().next().unwrap().keyid().to_owned()
    }

    /// The envelope around a statement.
    pub fn envelope(&self, statement: &Value) -> Value {
        let payload = statement.to_string();
        let kind = "application/vnd.in-toto+json";
        let signed = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        json!({
            "payloadType": kind,
            "payload": STANDARD.encode(&payload),
            "signatures": [{"keyid": self.keyid(), "sig": STANDARD.encode(signature)}],
        })
    }
}

/// Whether `slsa/v2alpha4` leaves a result out.
fn is_hint(result: &Value) -> bool {
    let name = result["name"].as_str().unwrap();
    let is_artifact = name.ends_with("ARTIFACT_OUTPUTS")
        && (!result["value"].is_object() || result["value"]["isBuildArtifact"] == "true");
    name.ends_with("IMAGE_URL") || name.ends_with("IMAGE_DIGEST") || name == "IMAGES" || is_artifact
}

/// As Go writes JSON.
fn go(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn by_product(name: String, value: &Value) -> Value {
    json!({"name": name, "content": STANDARD.encode(go(value)), "mediaType": "application/json"})
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// By-products of a TaskRun in `slsa/v2alpha3`.
pub fn by_products_v2alpha3(run: &Value) -> Vec<Value> {
    let name = |result: &Value| format!("taskRunResults/{}", result["name"].as_str().unwrap());
    list(&run["status"]["results"]).map(|result| by_product(name(result), &result["value"])).collect()
}

/// By-products of a TaskRun in `slsa/v2alpha4`.
pub fn by_products_v2alpha4(run: &Value) -> Vec<Value> {
    let of = |kind: &str, result: &Value| {
        let (run, name) = (run["metadata"]["name"].as_str().unwrap(), result["name"].as_str().unwrap());
        by_product(format!("{kind}/{run}/{name}"), &result["value"])
    };
    let results = list(&run["status"]["results"]).filter(|result| !is_hint(result));
    let steps = list(&run["status"]["steps"]).flat_map(|step| list(&step["results"]));
    let steps = steps.filter(|result| !is_hint(result));
    results
        .map(|result| of("taskRunResults", result))
        .chain(steps.map(|result| of("stepResults", result)))
        .collect()
}

fn slsa_1(build_type: &str, run_spec: &Value, dependencies: Value, by_products: Value, run: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": build_type,
                "externalParameters": {"runSpec": run_spec},
                "internalParameters": {},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": "https://tekton.dev/chains/v2"},
                "byproducts": by_products,
                "metadata": {
                    "invocationId": run["metadata"]["uid"],
                    "startedOn": run["status"]["startTime"],
                    "finishedOn": run["status"]["completionTime"],
                },
            },
        },
    })
}

const SLSA: &str = "https://tekton.dev/chains/v2/slsa";

/// A TaskRun in `slsa/v2alpha3`.
pub fn v2alpha3(run: &Value) -> Value {
    slsa_1(SLSA, &run["spec"], json!([]), by_products_v2alpha3(run).into(), run)
}

/// A TaskRun in `slsa/v2alpha4`.
pub fn v2alpha4(run: &Value) -> Value {
    slsa_1(SLSA, &run["spec"], json!([]), by_products_v2alpha4(run).into(), run)
}

/// A TaskRun in `in-toto`.
pub fn in_toto() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {"buildType": "tekton.dev/v1/TaskRun", "buildConfig": {"steps": []}},
    })
}

/// A PipelineRun with these TaskRuns in `in-toto`; each is of the task of the pipeline that is called so.
pub fn pipeline_in_toto(runs: &[(&str, &Value)]) -> Value {
    let task = |(name, run): &(&str, &Value)| {
        let succeeded = list(&run["status"]["conditions"]).any(|condition| condition["status"] == "True");
        json!({
            "name": name,
            "startedOn": run["status"]["startTime"],
            "finishedOn": run["status"]["completionTime"],
            "status": if succeeded { "Succeeded" } else { "Failed" },
            "results": run["status"]["results"],
            "invocation": {"environment": {"labels": run["metadata"]["labels"]}},
        })
    };
    let tasks: Vec<Value> = runs.iter().map(task).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {"buildType": "tekton.dev/v1/PipelineRun", "buildConfig": {"tasks": tasks}},
    })
}

/// A PipelineRun with these TaskRuns in `slsa/v2alpha4` with deep inspection.
pub fn pipeline_deep(runs: &[&Value]) -> Value {
    let by_products: Vec<Value> = runs.iter().flat_map(|run| by_products_v2alpha4(run)).collect();
    slsa_1(SLSA, &json!({"pipelineRef": {"name": "p"}}), json!([]), by_products.into(), runs[0])
}

/// A PipelineRun with these TaskRuns with the build type slsa-tekton.
pub fn pipeline_tekton(runs: &[&Value]) -> Value {
    let whole = |run: &&Value| json!({"name": "pipelineTask", "content": STANDARD.encode(run.to_string())});
    let dependencies: Vec<Value> = runs.iter().map(whole).collect();
    let spec = json!({"pipelineRef": {"name": "p"}});
    slsa_1("https://tekton.dev/chains/v2/slsa-tekton", &spec, dependencies.into(), json!([]), runs[0])
}

/// Chains' formats of PipelineRuns in SLSA 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineFormat {
    V2alpha3,
    V2alpha4,
    /// `slsa/v2alpha4` with deep inspection.
    Deep,
    /// `slsa/v2alpha3` with the build type slsa-tekton.
    Tekton,
}

/// By-products of a PipelineRun.
pub fn by_products_of_pipeline_run(
    format: PipelineFormat,
    pipeline_run: &Value,
    task_runs: &[&Value],
) -> Vec<Value> {
    let is_v2alpha4 = matches!(format, PipelineFormat::V2alpha4 | PipelineFormat::Deep);
    let name = |result: &Value| match (is_v2alpha4, result["name"].as_str().unwrap()) {
        (true, name) => {
            format!("pipelineRunResults/{}/{name}", pipeline_run["metadata"]["name"].as_str().unwrap())
        }
        (false, name) => format!("pipelineRunResults/{name}"),
    };
    let own = list(&pipeline_run["status"]["results"]).filter(|result| !is_v2alpha4 || !is_hint(result));
    let mut all: Vec<Value> = own.map(|result| by_product(name(result), &result["value"])).collect();
    if format == PipelineFormat::Deep {
        all.extend(task_runs.iter().flat_map(|run| by_products_v2alpha4(run)));
    }
    all
}

/// A PipelineRun as it was run, with its TaskRuns.
pub fn of_pipeline_run(format: PipelineFormat, pipeline_run: &Value, task_runs: &[&Value]) -> Value {
    let by_products = by_products_of_pipeline_run(format, pipeline_run, task_runs).into();
    let whole = |run: &&Value| json!({"name": "pipelineTask", "content": STANDARD.encode(run.to_string())});
    let (build_type, dependencies) = match format {
        PipelineFormat::Tekton => {
            ("https://tekton.dev/chains/v2/slsa-tekton", task_runs.iter().map(whole).collect())
        }
        _ => (SLSA, json!([])),
    };
    slsa_1(build_type, &pipeline_run["spec"], dependencies, by_products, pipeline_run)
}

/// A TaskRun in `slsa/v2alpha3` with the build type slsa-tekton, which adds its labels.
pub fn v2alpha3_tekton(run: &Value) -> Value {
    let build_type = "https://tekton.dev/chains/v2/slsa-tekton";
    let mut statement = slsa_1(build_type, &run["spec"], json!([]), by_products_v2alpha3(run).into(), run);
    statement["predicate"]["buildDefinition"]["internalParameters"]["labels"] =
        run["metadata"]["labels"].clone();
    statement
}
