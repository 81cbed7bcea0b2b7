//! The committed protobuf code is what the files in `proto/` generate. `SVIDENCE_REGENERATE=1` writes it anew.

use std::{fs, path::Path};

const GENERATED: [(&str, &str, &str); 5] = [
    ("workload.proto", "_.rs", "src/workload/generated.rs"),
    ("bundles.proto", "_.rs", "src/bundles/generated.rs"),
    ("attestation.proto", "svidence.v1.rs", "src/evidence/generated.rs"),
    ("results.proto", "tekton.results.v1alpha2.rs", "src/sources/results/generated.rs"),
    ("spire.proto", "spire.api.server.entry.v1.rs", "src/controller/spire/generated.rs"),
];

#[test]
fn committed_code_is_what_the_protos_generate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (proto, output, committed) in GENERATED {
        let folder = tempfile::tempdir().unwrap();
        let descriptors = protox::compile([proto], [root.join("proto")]).unwrap();
        tonic_prost_build::configure()
            .out_dir(folder.path())
            // A record's object is not copied again.
            .bytes(".tekton.results.v1alpha2.Any")
            // Nothing here is a Tekton Results or a SPIRE server, or gives out bundles.
            .build_server(!["bundles.proto", "results.proto", "spire.proto"].contains(&proto))
            .server_mod_attribute(".", "#[cfg(feature = \"cli\")]")
            .compile_fds(descriptors)
            .unwrap();
        let fresh = fs::read_to_string(folder.path().join(output)).unwrap();
        let committed = root.join(committed);
        if std::env::var_os("SVIDENCE_REGENERATE").is_some() {
            fs::write(&committed, &fresh).unwrap();
        }
        let stands = fs::read_to_string(&committed).unwrap();
        assert!(stands == fresh, "{} is not what {proto} generates", committed.display());
    }
}
