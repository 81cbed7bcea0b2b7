//! Whether Tekton lets steps sign, and with our program.

use std::collections::BTreeMap;

use super::check::Check;
use crate::{
    sources::kubernetes::{doctor::Examined, error::KubernetesError},
    step::signing::config::Config,
    workload::id::TrustDomain,
};

const SIGNING: &str = "tekton-signing";
const CONFIGURATION: &str = "config-spire";
const IMAGE: &str = "entrypoint-image";
const REGISTRATION: &str = "registration";

/// Where Tekton's own images are.
const TEKTONS: [&str; 3] = ["gcr.io/tekton-releases/", "ghcr.io/tektoncd/", "ko://github.com/tektoncd/"];
/// Where spire-controller-manager's configuration is, by its own manifests and by the hardened chart.
const CONTROLLER_MANAGERS: [(&str, &str); 4] = [
    ("spire", "spire-controller-manager-config"),
    ("spire-system", "spire-controller-manager-config"),
    ("spire-system", "spire-controller-manager"),
    ("spire-server", "spire-controller-manager"),
];

/// Looks at Tekton's settings in the namespace of its controller.
pub(super) fn examine(
    cluster: &mut Examined,
    namespace: &str,
    trust_domain: Option<&TrustDomain>,
) -> Vec<Check> {
    vec![
        signing(cluster, namespace),
        configuration(cluster, namespace, trust_domain),
        image(cluster, namespace),
        registration(cluster),
    ]
}

/// What is not allowed to be seen is not a fault.
fn unseen(name: &'static str, error: &KubernetesError) -> Check {
    match error {
        KubernetesError::Forbidden { .. } => Check::skipped(name, error.to_string(), None),
        error => Check::failed(name, error.to_string(), None),
    }
}

fn absent(name: &'static str, kind: &str, namespace: &str, object: &str) -> Check {
    Check::failed(
        name,
        format!("there is no {kind} {object} in namespace {namespace}"),
        Some("install Tekton Pipelines, or name its namespace: --tekton-namespace".to_owned()),
    )
}

fn signing(cluster: &mut Examined, namespace: &str) -> Check {
    let flags = match cluster.config_map(namespace, "feature-flags") {
        Err(error) => return unseen(SIGNING, &error),
        Ok(None) => return absent(SIGNING, "ConfigMap", namespace, "feature-flags"),
        Ok(Some(flags)) => flags,
    };
    match flags.get("enforce-nonfalsifiability").map(String::as_str) {
        Some("spire") => Check::ok(SIGNING, "steps are told to sign (enforce-nonfalsifiability: spire)"),
        other => Check::failed(
            SIGNING,
            format!("steps are not told to sign (enforce-nonfalsifiability: {})", other.unwrap_or("none")),
            Some(format!(
                "kubectl patch configmap feature-flags -n {namespace} --type merge -p \
                 '{{\"data\":{{\"enforce-nonfalsifiability\":\"spire\"}}}}', once the image is in place"
            )),
        ),
    }
}

fn configuration(cluster: &mut Examined, namespace: &str, trust_domain: Option<&TrustDomain>) -> Check {
    let entries: BTreeMap<String, String> = match cluster.config_map(namespace, "config-spire") {
        Err(error) => return unseen(CONFIGURATION, &error),
        Ok(None) => return absent(CONFIGURATION, "ConfigMap", namespace, "config-spire"),
        Ok(Some(entries)) => entries,
    };
    // Kubernetes' way to explain keys.
    let entries = entries.into_iter().filter(|(key, _)| key != "_example");
    match Config::from_entries(entries) {
        Err(error) => Check::failed(CONFIGURATION, error.to_string(), None),
        Ok(config) => match trust_domain {
            Some(wanted) if *wanted != config.trust_domain => Check::failed(
                CONFIGURATION,
                format!("steps sign in the trust domain {}, not in {wanted}", config.trust_domain),
                Some("see that --trust-domain and spire-trust-domain are the same".to_owned()),
            ),
            _ => Check::ok(CONFIGURATION, format!("steps sign in the trust domain {}", config.trust_domain)),
        },
    }
}

fn image(cluster: &mut Examined, namespace: &str) -> Check {
    const CONTROLLER: &str = "tekton-pipelines-controller";
    let arguments = match cluster.arguments(namespace, CONTROLLER) {
        Err(error) => return unseen(IMAGE, &error),
        Ok(None) => return absent(IMAGE, "Deployment", namespace, CONTROLLER),
        Ok(Some(arguments)) => arguments,
    };
    match entrypoint_image(&arguments) {
        None => Check::failed(IMAGE, "the controller has no argument -entrypoint-image", None),
        Some(image) if TEKTONS.iter().any(|tektons| image.starts_with(tektons)) => Check::failed(
            IMAGE,
            format!("the controller gives every step Tekton's own entrypoint: {image}"),
            Some("put in the image of `make image` (docs/operations.md \"Roll out\")".to_owned()),
        ),
        Some(image) => Check::ok(IMAGE, format!("the controller gives every step the entrypoint of {image}")),
    }
}

/// The value of `-entrypoint-image`, in any of the forms that Go's `flag` takes; the last one counts.
fn entrypoint_image(arguments: &[String]) -> Option<&str> {
    let mut image = None;
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else { continue };
        match flag.strip_prefix("entrypoint-image") {
            Some("") => image = arguments.next().or(image),
            Some(rest) => image = rest.strip_prefix('=').or(image),
            None => {}
        }
    }
    image
}

fn registration(cluster: &mut Examined) -> Check {
    for (namespace, name) in CONTROLLER_MANAGERS {
        let texts = match cluster.config_map(namespace, name) {
            Err(error) => return unseen(REGISTRATION, &error),
            Ok(None) => continue,
            Ok(Some(texts)) => texts,
        };
        let place = format!("ConfigMap {namespace}/{name}");
        let is_set = |text: &String| {
            let value = serde_saphyr::from_str::<serde_json::Value>(text).ok();
            value.and_then(|value| value.get("entryIDPrefix")?.as_str().map(|prefix| !prefix.is_empty()))
                == Some(true)
        };
        return match texts.values().any(is_set) {
            true => Check::ok(
                REGISTRATION,
                format!("spire-controller-manager keeps to its own entries ({place})"),
            ),
            false => Check::warning(
                REGISTRATION,
                format!(
                    "spire-controller-manager has no entryIDPrefix ({place}): it deletes entries that were made by hand or by others"
                ),
                "set entryIDPrefix before you make entries in another way than by ClusterSPIFFEID",
            ),
        };
    }
    Check::skipped(REGISTRATION, "no configuration of spire-controller-manager was found", None)
}

#[cfg(test)]
mod tests {
    use super::entrypoint_image;

    #[test]
    fn the_image_is_the_one_that_go_would_read() {
        for (arguments, image) in [
            (&["-entrypoint-image", "a"][..], Some("a")),
            (&["--entrypoint-image", "a"], Some("a")),
            (&["-entrypoint-image=a"], Some("a")),
            (&["-nop-image", "b", "--entrypoint-image=a"], Some("a")),
            (&["-entrypoint-image", "a", "-entrypoint-image", "b"], Some("b")),
            (&["-entrypoint-image-x", "a"], None),
            (&["entrypoint-image", "a"], None),
            (&["-entrypoint-image"], None),
            (&[], None),
        ] {
            let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(entrypoint_image(&arguments), image, "{arguments:?}");
        }
    }
}
