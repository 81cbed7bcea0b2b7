//! A step's artifacts as the results sidecar hands them over: decoded and written anew, so their canonical form is what is signed.
//!
//! Source of the rule: Tekton `internal/sidecarlogresults` (`extractArtifactsFromFile`) and
//! `pkg/apis/pipeline/v1/artifact_types.go`.

use go::json::{self, Json, TypeError, is_field};

use crate::tekton::{
    artifacts::{Artifact, ArtifactValue, Artifacts},
    canonical,
};

/// Why a file tells no artifacts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactsError {
    /// The sidecar refuses it and hands over nothing.
    #[error("it is not a list of artifacts as Tekton reads it")]
    Refused,
    /// What the sidecar makes of it cannot be told.
    #[error("{0}, of which readers make different things")]
    Ambiguous(&'static str),
}

impl From<TypeError> for ArtifactsError {
    fn from(_: TypeError) -> Self {
        Self::Refused
    }
}

/// Reads a `provenance.json` as Go does.
pub fn read(text: &[u8]) -> Result<Artifacts, ArtifactsError> {
    let json = json::parse(text).map_err(|error| match error.is_of_depth() {
        true => ArtifactsError::Ambiguous("it is nested too deep"),
        false => ArtifactsError::Refused,
    })?;
    let [inputs, outputs] = fields(&json, ["inputs", "outputs"])?;
    Ok(Artifacts { inputs: list(inputs, artifact)?, outputs: list(outputs, artifact)? })
}

impl Artifacts {
    /// Their canonical JSON (RFC 8785), whose SHA-256 is signed: with Tekton's names and without what is empty; `None` where all is.
    pub fn canonical_json(&self) -> Option<String> {
        let json = object([
            ("inputs", array(&self.inputs, Artifact::canonical_json)),
            ("outputs", array(&self.outputs, Artifact::canonical_json)),
        ]);
        (*self != Self::default()).then_some(json)
    }
}

impl Artifact {
    fn canonical_json(&self) -> String {
        object([
            ("name", text(&self.name)),
            ("values", array(&self.values, ArtifactValue::canonical_json)),
            ("buildOutput", self.build_output.then(|| "true".to_owned())),
        ])
    }
}

impl ArtifactValue {
    fn canonical_json(&self) -> String {
        let mut digest = String::new();
        canonical::object(
            &mut digest,
            self.digest.iter().map(|(name, value)| (&**name, canonical::quoted(value))),
        );
        object([("digest", (!self.digest.is_empty()).then_some(digest)), ("uri", text(&self.uri))])
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| canonical::quoted(text))
}

fn array<T>(items: &[T], item: fn(&T) -> String) -> Option<String> {
    let mut out = String::new();
    canonical::array(&mut out, items, |out, value| out.push_str(&item(value)));
    (!items.is_empty()).then_some(out)
}

fn object<const N: usize>(members: [(&str, Option<String>); N]) -> String {
    let mut out = String::new();
    canonical::object(&mut out, members.into_iter().filter_map(|(name, value)| Some((name, value?))));
    out
}

/// A struct's fields. One that appears twice is read over what the first has left, which need not be undone.
fn fields<'a, const N: usize>(json: &'a Json, names: [&str; N]) -> Result<[&'a Json; N], ArtifactsError> {
    let members = json.as_members("", "")?;
    let mut found = [&Json::Null; N];
    for (field, name) in found.iter_mut().zip(names) {
        let mut of_field = members.iter().filter(|(member, _)| is_field(member, name));
        match (of_field.next(), of_field.next()) {
            (None, _) => {}
            (Some((_, value)), None) => *field = value,
            (Some(_), Some(_)) => return Err(ArtifactsError::Ambiguous("a field appears twice in it")),
        }
    }
    Ok(found)
}

fn list<T>(json: &Json, item: fn(&Json) -> Result<T, ArtifactsError>) -> Result<Vec<T>, ArtifactsError> {
    Ok(json.as_list("", "", item)?.unwrap_or_default())
}

fn artifact(json: &Json) -> Result<Artifact, ArtifactsError> {
    let [name, values, build_output] = fields(json, ["name", "values", "buildOutput"])?;
    Ok(Artifact {
        name: name.as_text("")?,
        values: list(values, value)?,
        build_output: build_output.as_bool("")?,
    })
}

fn value(json: &Json) -> Result<ArtifactValue, ArtifactsError> {
    let [digest, uri] = fields(json, ["digest", "uri"])?;
    let digests = digest.as_members("", "")?.iter();
    Ok(ArtifactValue {
        digest: digests
            .map(|(name, value)| Ok((name.clone(), value.as_text("")?)))
            .collect::<Result<_, TypeError>>()?,
        uri: uri.as_text("")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_as_go_reads_and_writes_them() {
        use ArtifactsError::{Ambiguous, Refused};
        let twice = Err(Ambiguous("a field appears twice in it"));
        for (case, file, expected) in [
            ("nothing", "{}", Ok(None)),
            ("null", " null\n", Ok(None)),
            ("empty lists", r#"{"inputs":[],"outputs":null,"more":[{}]}"#, Ok(None)),
            (
                "everything",
                r#"{ "Outputs": [{"buildOutput":true, "values":[{"uri":"a<b","digest":{"sha256":"1","md5":null}}],"name":"x"}]}"#,
                Ok(Some(
                    r#"{"outputs":[{"buildOutput":true,"name":"x","values":[{"digest":{"md5":"","sha256":"1"},"uri":"a<b"}]}]}"#,
                )),
            ),
            (
                "empty ones",
                r#"{"inputs":[{},null,{"name":"","values":[{}]}]}"#,
                Ok(Some(r#"{"inputs":[{},{},{"values":[{}]}]}"#)),
            ),
            (
                "a digest twice",
                r#"{"inputs":[{"values":[{"digest":{"a":"1","a":"2"}}]}]}"#,
                Ok(Some(r#"{"inputs":[{"values":[{"digest":{"a":"2"}}]}]}"#)),
            ),
            ("a field twice", r#"{"inputs":[{"name":"a","Name":"b"}]}"#, twice.clone()),
            ("a list twice", r#"{"inputs":[],"inputs":[]}"#, twice),
            ("another type", r#"{"inputs":{}}"#, Err(Refused)),
            ("a number for a name", r#"{"inputs":[{"name":1}]}"#, Err(Refused)),
            ("a list", "[]", Err(Refused)),
            ("no JSON", "{", Err(Refused)),
        ] {
            let read = read(file.as_bytes());
            let written = read.map(|artifacts| artifacts.canonical_json());
            assert_eq!(written, expected.map(|json| json.map(str::to_owned)), "{case}");
        }
    }
}
