//! Artifacts (docs/tekton-contract.md 3.11).

use crate::case::{Case, Stderr, shell};

pub(crate) fn cases() -> Vec<Case> {
    let both = ["-results", "foo,bar", "-step_results", "baz"];
    let escapes = r#"cd /tekton; printf '{"a":"<\377\342\200"}\n' >run/0/status/artifacts/provenance.json; printf '{}' >artifacts/provenance.json"#;
    vec![
        shell("artifacts", escapes, &both).shows(r#"\"type\":5"#).shows(r#"\"type\":6"#),
        shell("artifacts without result flags", escapes, &[]),
        shell(
            "artifacts and results",
            "cd /tekton; printf '[\\357\\277\\275]' >artifacts/provenance.json; printf a >results/foo",
            &both,
        ),
        shell("artifacts of a failure", "printf '{}' >/tekton/artifacts/provenance.json; exit 3", &[]),
        shell(
            "artifacts and exit code",
            "printf '{}' >/tekton/artifacts/provenance.json; exit 3",
            &["-on_error=continue"],
        ),
        shell("artifacts that are empty", ": >/tekton/artifacts/provenance.json", &[]),
        shell("artifacts that are no JSON", "printf 'no {' >/tekton/artifacts/provenance.json", &[]),
        shell(
            "artifacts too large",
            "cd /tekton; printf a >results/foo; head -c 9999 /dev/zero | tr '\\0' a >artifacts/provenance.json",
            &both,
        ),
        shell(
            "artifact is a directory",
            "cd /tekton; printf a >results/foo; mkdir artifacts/provenance.json",
            &both,
        )
        .stderr(Stderr::Names("Error while handling task artifacts")),
        shell(
            "step artifact is a directory",
            "cd /tekton; printf a >results/foo; mkdir run/0/status/artifacts/provenance.json",
            &both,
        )
        .stderr(Stderr::Names("Error while handling step artifacts")),
        shell(
            "artifact is a link",
            "printf '{}' >/tekton/f; ln -s /tekton/f /tekton/artifacts/provenance.json",
            &[],
        ),
        shell("no folder for artifacts", "rm -r /tekton/artifacts", &[]),
        shell(
            "metadata path is cleaned",
            "printf '{}' >/tekton/run/0/status/artifacts/provenance.json",
            &["-step_metadata_dir", "/tekton//run/./0/status/"],
        ),
        shell(
            "artifacts without a metadata directory",
            "mkdir -p artifacts; printf '{}' >artifacts/provenance.json",
            &["-step_metadata_dir="],
        ),
        shell("artifacts when cancelled", "exec sleep 10", &[])
            .file("artifacts/provenance.json", "{}")
            .file("downward/cancel", "x"),
    ]
}
