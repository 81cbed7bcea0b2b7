//! Credential plug-ins: programs that a kubeconfig names (`client.authentication.k8s.io`, `exec` of client-go).

use std::{
    io::{self, IsTerminal as _},
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::AccessError, kubeconfig::Exec};

/// What a program gave.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Given {
    pub(super) token: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key_data: Option<String>,
    pub(super) expiration_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    kind: String,
    api_version: String,
    status: Option<Given>,
}

/// Runs the program. `cluster` is what it may be told of the server.
pub(super) fn run(exec: &Exec, cluster: &Value) -> Result<Given, AccessError> {
    let failed = |reason: String| AccessError::Plugin { command: exec.command.clone(), reason };
    if !matches!(
        exec.api_version.as_str(),
        "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1"
    ) {
        return Err(failed(format!(
            "has the apiVersion {:?}; it must be client.authentication.k8s.io/v1 or v1beta1",
            exec.api_version
        )));
    }
    let may_ask = exec.interactive_mode.as_deref() != Some("Never") && io::stdin().is_terminal();
    if exec.interactive_mode.as_deref() == Some("Always") && !may_ask {
        return Err(failed(
            "has to ask somebody (interactiveMode: Always), and there is no terminal".to_owned(),
        ));
    }
    let mut spec = json!({"interactive": may_ask});
    if exec.provide_cluster_info {
        spec["cluster"] = cluster.clone();
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    let output = Command::new(&exec.command)
        .args(exec.args.iter().flatten())
        .envs(exec.env.iter().flatten().map(|variable| (&variable.name, &variable.value)))
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(if may_ask { Stdio::inherit() } else { Stdio::null() })
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            let hint =
                exec.install_hint.as_deref().map(|hint| format!("; {}", hint.trim())).unwrap_or_default();
            failed(format!("cannot be started: {}{hint}", crate::io_error::words(&error)))
        })?;
    if !output.status.success() {
        return Err(failed(format!("failed ({}); run it by hand to see why", output.status)));
    }
    // Its output is a credential, so no error repeats it.
    let answer: ExecCredential = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("does not print an ExecCredential; run it by hand".to_owned()))?;
    if answer.kind != "ExecCredential" || answer.api_version != exec.api_version {
        return Err(failed(format!("answers in another version than {}", exec.api_version)));
    }
    let given = answer.status.unwrap_or_default();
    if given.token.is_none() && given.client_certificate_data.is_none() {
        return Err(failed("gives neither a token nor a certificate; log in with it first".to_owned()));
    }
    Ok(given)
}
