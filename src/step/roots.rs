//! Where the well-known places of a step are.

use std::path::PathBuf;

/// The file system roots a step works under. All paths that Tekton has hard-coded derive from these, so that tests and
/// the demo can use another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/tekton`
    pub tekton: PathBuf,
    /// `/proc`
    pub proc: PathBuf,
    /// `/var/run/secrets/kubernetes.io/serviceaccount`
    pub service_account: PathBuf,
    /// The host name, which in a pod is the pod's name; `None` asks the system.
    pub hostname: Option<String>,
}

impl Roots {
    /// The places inside a pod.
    pub fn real() -> Self {
        Self {
            tekton: PathBuf::from("/tekton"),
            proc: PathBuf::from("/proc"),
            service_account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
            hostname: None,
        }
    }

    /// The termination message file when `-termination_path` is not given (docs/tekton-contract.md 1.1).
    pub fn termination(&self) -> PathBuf {
        self.tekton.join("termination")
    }

    /// Where task results are written; no flag changes it (docs/tekton-contract.md 1.1).
    pub fn results(&self) -> PathBuf {
        self.tekton.join("results")
    }

    /// The links `<name>` and `<index>` that lead to each step's metadata directory (docs/tekton-contract.md 2).
    pub fn steps(&self) -> PathBuf {
        self.tekton.join("steps")
    }

    /// Where the controller puts the scripts of steps (docs/tekton-contract.md 5.1).
    pub fn scripts(&self) -> PathBuf {
        self.tekton.join("scripts")
    }

    /// Where the Secrets of the TaskRun's service account are mounted, a folder each (docs/tekton-contract.md 1.4).
    pub fn creds_secrets(&self) -> PathBuf {
        self.tekton.join("creds-secrets")
    }

    /// Where credentials are written for the step's program (docs/tekton-contract.md 1.4).
    pub fn creds(&self) -> PathBuf {
        self.tekton.join("creds")
    }

    /// The file whose content asks the step to stop (docs/tekton-contract.md 3.7.2).
    pub fn cancel(&self) -> PathBuf {
        self.tekton.join("downward").join("cancel")
    }

    /// The host name given, or else the system's.
    pub fn hostname(&self) -> Option<String> {
        self.hostname
            .clone()
            .or_else(|| nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()))
    }
}
