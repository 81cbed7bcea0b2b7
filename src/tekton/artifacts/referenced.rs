//! An earlier step's artifacts as the entrypoint of a later one reads them and puts them in for a reference.
//!
//! Source of the rule: Tekton `pkg/entrypoint/entrypointer.go` (`loadStepArtifacts`, `getArtifactValues`). The names in Go's errors are
//! those of `pkg/apis/pipeline/v1/types/artifacts_types.go`.

use go::json::{Json, TypeError, escape_bytes, member, scalar};

use crate::tekton::artifacts::{ArtifactValue, Artifacts};

/// What a reference to an artifact needs of it.
pub(crate) struct Referenced {
    /// Its name.
    pub(crate) name: String,
    /// Its values as Go writes them: `null` if the file gives none.
    pub(crate) json: String,
}

/// Reads a `provenance.json` as Go does, of a field that appears twice the last.
pub(crate) fn read(json: &Json) -> Result<Artifacts<Referenced>, TypeError> {
    let members = json.as_members("", "types.Artifacts")?;
    let [inputs, outputs] = ["inputs", "outputs"].map(|field| {
        let list = format!("Artifacts.{field}");
        let of = |json: &Json| artifact(json, field);
        member(members, field).as_list(&list, "[]types.Artifact", of).map(Option::unwrap_or_default)
    });
    Ok(Artifacts { inputs: inputs?, outputs: outputs? })
}

/// `list`: the member of the file that it is in, which Go names in its errors.
fn artifact(json: &Json, list: &str) -> Result<Referenced, TypeError> {
    let members = json.as_members(&format!("Artifacts.{list}"), "types.Artifact")?;
    let field = |name: &str| format!("Artifact.{list}.{name}");
    let (values, of) = (field("values"), |json: &Json| value(json, list));
    scalar(members, "buildOutput").as_bool(&field("buildOutput"))?;
    let name = scalar(members, "name").as_text(&field("name"))?;
    let values: Option<Vec<ArtifactValue>> =
        member(members, "values").as_list(&values, "[]types.ArtifactValue", of)?;
    let json = values.map_or_else(
        || "null".to_owned(),
        |values| format!("[{}]", values.iter().map(to_json).collect::<Vec<_>>().join(",")),
    );
    Ok(Referenced { name, json })
}

fn value(json: &Json, list: &str) -> Result<ArtifactValue, TypeError> {
    let members = json.as_members(&format!("Artifact.{list}.values"), "types.ArtifactValue")?;
    let field = |name: &str| format!("ArtifactValue.{list}.values.{name}");
    let digest_field = field("digest");
    let digest = member(members, "digest").as_members(&digest_field, "map[types.Algorithm]string")?;
    let digest = digest
        .iter()
        .map(|(algorithm, hex)| Ok((algorithm.clone(), hex.as_text(&digest_field)?)))
        .collect::<Result<_, _>>()?;
    Ok(ArtifactValue { digest, uri: scalar(members, "uri").as_text(&field("uri"))? })
}

/// As Go's `encoding/json` writes it: digests sorted by algorithm, nothing that is empty.
fn to_json(value: &ArtifactValue) -> String {
    let quoted = |text: &str| format!("\"{}\"", escape_bytes(text.as_bytes()));
    let mut fields = Vec::new();
    if !value.digest.is_empty() {
        let digests: Vec<String> = value
            .digest
            .iter()
            .map(|(algorithm, hex)| format!("{}:{}", quoted(algorithm), quoted(hex)))
            .collect();
        fields.push(format!("\"digest\":{{{}}}", digests.join(",")));
    }
    if !value.uri.is_empty() {
        fields.push(format!("\"uri\":{}", quoted(&value.uri)));
    }
    format!("{{{}}}", fields.join(","))
}
