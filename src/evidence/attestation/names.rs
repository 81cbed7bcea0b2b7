//! Names of steps and of results, as Tekton forms and admits them.

/// The name of a step as its container's tells it: without `step-`, and cut where Kubernetes' limit of 63 characters cuts
/// that (Tekton `pkg/names/generate.go`, `RestrictLength`).
pub fn step_name(container: &str) -> &str {
    let cut = match container.get(..63) {
        Some(cut) if container.len() > 63 => cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        _ => container,
    };
    cut.strip_prefix("step-").unwrap_or(cut)
}

/// Whether a name is one that Tekton admits for a result (Tekton `pkg/apis/pipeline/v1/resultref.go`).
pub fn is_result_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
