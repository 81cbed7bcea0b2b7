//! Credential flags (docs/tekton-contract.md 1.4). `tests/step/credentials.rs` goes through them; here stand those that a
//! failure ends.

use crate::case::{Case, Stderr, bare, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        bare("basic-git without a URL", &["-basic-git=a", "-entrypoint=true"]).stderr(Stderr::All),
        bare("basic-git without its secret", &["-basic-git=a=https://example.org", "-entrypoint=true"])
            .stderr(Stderr::All),
        case("basic-git", &["-basic-git=a=https://example.org", "-entrypoint=true"])
            .file("creds-secrets/a/username", "user")
            .file("creds-secrets/a/password", "pass word")
            .prepare(|pod| std::fs::create_dir(pod.path("creds")).unwrap())
            .shows("https://user:pass%20word@example.org"),
    ]
}
