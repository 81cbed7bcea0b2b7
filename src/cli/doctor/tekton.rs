//! Whether Tekton lets steps sign, and with our program.

use std::collections::BTreeMap;

use super::check::Check;
use crate::{
    controller::config::Configuration,
    sources::kubernetes::{doctor::Examined, error::KubernetesError},
    workload::id::TrustDomain,
};

const SIGNING: &str = "tekton-signing";
const CONFIGURATION: &str = "config-spire";
const IMAGE: &str = "entrypoint-image";
const REGISTRATION: &str = "registration";

/// Parts of the names of Tekton's own images, also in mirrors: where they are, what ko calls them (by an MD5 of their import path), and
/// what Red Hat calls them.
const TEKTONS: [&str; 5] = [
    "gcr.io/tekton-releases/",
    "ghcr.io/tektoncd/",
    "ko://github.com/tektoncd/",
    "/entrypoint-bff0a22da108bc2f16c818c97641a296",
    "pipelines-entrypoint",
];
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
        // Tekton takes it in any case.
        Some(flag) if flag.eq_ignore_ascii_case("spire") => {
            Check::ok(SIGNING, "steps are told to sign (enforce-nonfalsifiability: spire)")
        }
        other => Check::failed(
            SIGNING,
            format!("steps are not told to sign (enforce-nonfalsifiability: {})", other.unwrap_or("none")),
            Some(format!(
                "kubectl patch configmap feature-flags -n {namespace} --type merge -p \
                 '{{\"data\":{{\"enforce-nonfalsifiability\":\"spire\"}}}}', once the image is in place (under the Tekton Operator: in TektonConfig)"
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
    match Configuration::from_entries(entries) {
        Err(error) => Check::failed(CONFIGURATION, error.to_string(), None),
        Ok(Configuration { shared: config, .. }) => match trust_domain {
            Some(wanted) if *wanted != config.trust_domain => Check::failed(
                CONFIGURATION,
                format!("its trust domain is {}, not {wanted}", config.trust_domain),
                Some(
                    "correct it, and build the image again: steps use the copy in the image (docs/operations.md \"Roll out\")"
                        .to_owned(),
                ),
            ),
            _ => Check::ok(
                CONFIGURATION,
                format!("its trust domain is {}; steps use the copy in the image", config.trust_domain),
            ),
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
        Some("") => Check::failed(IMAGE, "the controller's argument -entrypoint-image is empty", None),
        Some(image) if TEKTONS.iter().any(|tektons| image.contains(tektons)) => Check::failed(
            IMAGE,
            format!("the controller gives every step Tekton's own entrypoint: {image}"),
            Some("put in the image of `make image` (docs/operations.md \"Roll out\")".to_owned()),
        ),
        Some(image) => Check::ok(
            IMAGE,
            format!(
                "the controller gives every step the entrypoint of {image}; see that `make image` built it"
            ),
        ),
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
    let mut not_seen = None;
    for (namespace, name) in CONTROLLER_MANAGERS {
        let texts = match cluster.config_map(namespace, name) {
            Ok(None) => continue,
            Ok(Some(texts)) => texts,
            Err(error @ KubernetesError::Forbidden { .. }) => {
                not_seen.get_or_insert(error);
                continue;
            }
            Err(error) => return unseen(REGISTRATION, &error),
        };
        let place = format!("ConfigMap {namespace}/{name}");
        let deleting = texts.values().find_map(|text| deletes(text));
        return match deleting {
            None => Check::ok(
                REGISTRATION,
                format!("spire-controller-manager keeps to its own entries ({place})"),
            ),
            Some(why) => Check::warning(
                REGISTRATION,
                format!(
                    "spire-controller-manager {why} ({place}): it deletes entries that were made by hand or by others"
                ),
                "change that before you make entries in another way than by ClusterSPIFFEID",
            ),
        };
    }
    match not_seen {
        Some(error) => unseen(REGISTRATION, &error),
        None => Check::skipped(REGISTRATION, "no configuration of spire-controller-manager was found", None),
    }
}

/// Why a controller-manager with this configuration deletes entries that it did not make, if it does.
fn deletes(configuration: &str) -> Option<&'static str> {
    let read = serde_saphyr::from_str::<serde_json::Value>(configuration).ok()?;
    let text = |key: &str| read.get(key).and_then(serde_json::Value::as_str);
    match (text("entryIDPrefix"), text("entryIDPrefixCleanup")) {
        (None | Some(""), _) => Some("has no entryIDPrefix"),
        // It takes all entries without a prefix for its own of former times.
        (Some(_), Some("")) => Some("has an empty entryIDPrefixCleanup"),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{deletes, entrypoint_image};

    #[test]
    fn a_controller_manager_without_a_prefix_deletes_the_entries_of_others() {
        for (configuration, is_deleting) in [
            ("kind: ControllerManagerConfig\nclusterName: x\n", true),
            ("entryIDPrefix: \"\"\n", true),
            ("entryIDPrefix: x\n", false),
            ("entryIDPrefix: x\nentryIDPrefixCleanup: \"\"\n", true),
            ("entryIDPrefix: x\nentryIDPrefixCleanup: y\n", false),
            ("{}", true),
            ("[", false),
        ] {
            assert_eq!(deletes(configuration).is_some(), is_deleting, "{configuration}");
        }
    }

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
