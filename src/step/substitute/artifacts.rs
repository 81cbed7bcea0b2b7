//! References to artifacts of earlier steps: `$(steps.<step>.outputs.<artifact>)`, `$(steps.<step>.inputs.<artifact>)`.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
    rc::Rc,
};

use go::{
    errno::path_error,
    json::{self, Json, SyntaxError, TypeError, escape_bytes, member, scalar},
    text::utf8,
};

use super::{Earlier, EarlierError, Subjects};
use crate::{
    step::program::environment::Environment,
    tekton::references::{inner, to_artifacts},
};

/// Why a reference cannot be replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArtifactReferenceError {
    #[error(transparent)]
    Earlier(#[from] EarlierError),
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error(transparent)]
    Type(#[from] TypeError),
    #[error("values for template {reference} not found")]
    NotFound { reference: String },
    #[error("{}", path_error(.operation, .path, .error))]
    Script { operation: &'static str, path: PathBuf, error: io::Error },
}

type Replaced<T> = Result<T, ArtifactReferenceError>;

/// The script or the command, then the environment.
pub(super) fn apply(subjects: &mut Subjects<'_>, earlier: &Earlier<'_>) -> Replaced<()> {
    let provenance = Provenance { earlier, loaded: RefCell::default() };
    if super::is_script(subjects.command, earlier.roots) {
        script(subjects, &provenance)?;
    } else {
        let in_word = |word: &OsString| {
            let replaced = provenance.in_text(word.as_bytes())?;
            Ok(replaced.map_or_else(|| word.clone(), OsString::from_vec))
        };
        *subjects.command = subjects.command.iter().map(in_word).collect::<Replaced<_>>()?;
    }
    subjects.environment.replace(|value| provenance.in_text(value))
}

/// The script is read-only: what takes its place is a new file, which then is the command.
fn script(subjects: &mut Subjects<'_>, provenance: &Provenance<'_>) -> Replaced<()> {
    let path = PathBuf::from(&subjects.command[0]);
    let failed = |operation| {
        let path = path.clone();
        move |error| ArtifactReferenceError::Script { operation, path, error }
    };
    let content = fs::read(&path).map_err(failed("open"))?;
    if let Some(replaced) = provenance.in_text(&content)?.filter(|replaced| *replaced != content) {
        let file = write_script(&replaced, subjects.environment).map_err(failed("write the script of"))?;
        *subjects.command = vec![file.into_os_string()];
    }
    Ok(())
}

/// A file of a name that nobody can guess, in `$TMPDIR` or `/tmp`.
fn write_script(content: &[u8], environment: &Environment) -> io::Result<PathBuf> {
    let folder = environment.get("TMPDIR").filter(|folder| !folder.is_empty());
    let template = Path::new(folder.unwrap_or(OsStr::new("/tmp"))).join("script-XXXXXX");
    let (descriptor, path) = nix::unistd::mkstemp(&template)?;
    let mut file = fs::File::from(descriptor);
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    file.write_all(content)?;
    Ok(path)
}

/// The provenance files of earlier steps, each read once.
struct Provenance<'a> {
    earlier: &'a Earlier<'a>,
    loaded: RefCell<HashMap<Vec<u8>, Rc<Artifacts>>>,
}

impl Provenance<'_> {
    /// `None` if the text has no reference.
    fn in_text(&self, text: &[u8]) -> Replaced<Option<Vec<u8>>> {
        let mut replaced: Option<Vec<u8>> = None;
        for reference in to_artifacts(text) {
            let with = self.values(reference)?;
            let so_far = replaced.as_deref().unwrap_or(text);
            replaced = Some(self.earlier.replace_all(so_far, reference, with.as_bytes())?);
        }
        Ok(replaced)
    }

    /// The values of an artifact as Go writes them.
    fn values(&self, reference: &[u8]) -> Replaced<String> {
        let parts: Vec<&[u8]> = inner(reference).split(|&b| b == b'.').collect();
        let [_, step, direction, name] = parts[..] else { return Err(not_found(reference)) };
        let artifacts = self.load(step)?;
        let artifacts = if direction == b"outputs" { &artifacts.outputs } else { &artifacts.inputs };
        let found = artifacts.iter().find(|artifact| artifact.name.as_bytes() == name);
        found.map(|artifact| artifact.json.clone()).ok_or_else(|| not_found(reference))
    }

    fn load(&self, step: &[u8]) -> Replaced<Rc<Artifacts>> {
        if let Some(artifacts) = self.loaded.borrow().get(step) {
            return Ok(artifacts.clone());
        }
        let raw = self.earlier.read(step, "artifacts", b"provenance.json")?;
        let artifacts = Rc::new(Artifacts::of(&json::parse(&raw)?)?);
        self.loaded.borrow_mut().insert(step.to_vec(), artifacts.clone());
        Ok(artifacts)
    }
}

fn not_found(reference: &[u8]) -> ArtifactReferenceError {
    ArtifactReferenceError::NotFound { reference: utf8(reference).0 }
}

/// A provenance file (Tekton pkg/apis/pipeline/v1/types/artifacts_types.go).
struct Artifacts {
    inputs: Vec<Artifact>,
    outputs: Vec<Artifact>,
}

impl Artifacts {
    fn of(json: &Json) -> Result<Self, TypeError> {
        let members = json.as_members("", "types.Artifacts")?;
        let [inputs, outputs] = ["inputs", "outputs"].map(|field| {
            let list = format!("Artifacts.{field}");
            let of = |json: &Json| Artifact::of(json, field);
            member(members, field).as_list(&list, "[]types.Artifact", of).map(Option::unwrap_or_default)
        });
        Ok(Self { inputs: inputs?, outputs: outputs? })
    }
}

struct Artifact {
    name: String,
    /// Its values as Go writes them.
    json: String,
}

struct ArtifactValue {
    /// By algorithm, sorted.
    digest: std::collections::BTreeMap<String, String>,
    uri: String,
}

impl Artifact {
    /// `list`: the member of the file that it is in, which Go names in its errors.
    fn of(json: &Json, list: &str) -> Result<Self, TypeError> {
        let members = json.as_members(&format!("Artifacts.{list}"), "types.Artifact")?;
        let field = |name: &str| format!("Artifact.{list}.{name}");
        let (values, of) = (field("values"), |json: &Json| ArtifactValue::of(json, list));
        scalar(members, "buildOutput").as_bool(&field("buildOutput"))?;
        let name = scalar(members, "name").as_text(&field("name"))?;
        let values: Option<Vec<ArtifactValue>> =
            member(members, "values").as_list(&values, "[]types.ArtifactValue", of)?;
        let json = values.map_or_else(
            || "null".to_owned(),
            |values| format!("[{}]", values.iter().map(ArtifactValue::to_json).collect::<Vec<_>>().join(",")),
        );
        Ok(Self { name, json })
    }
}

impl ArtifactValue {
    fn of(json: &Json, list: &str) -> Result<Self, TypeError> {
        let members = json.as_members(&format!("Artifact.{list}.values"), "types.ArtifactValue")?;
        let field = |name: &str| format!("ArtifactValue.{list}.values.{name}");
        let digest_field = field("digest");
        let digest = member(members, "digest").as_members(&digest_field, "map[types.Algorithm]string")?;
        let digest = digest
            .iter()
            .map(|(algorithm, hex)| Ok((algorithm.clone(), hex.as_text(&digest_field)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { digest, uri: scalar(members, "uri").as_text(&field("uri"))? })
    }

    fn to_json(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", escape_bytes(text.as_bytes()));
        let mut fields = Vec::new();
        if !self.digest.is_empty() {
            let digests: Vec<String> = self
                .digest
                .iter()
                .map(|(algorithm, hex)| format!("{}:{}", quoted(algorithm), quoted(hex)))
                .collect();
            fields.push(format!("\"digest\":{{{}}}", digests.join(",")));
        }
        if !self.uri.is_empty() {
            fields.push(format!("\"uri\":{}", quoted(&self.uri)));
        }
        format!("{{{}}}", fields.join(","))
    }
}
