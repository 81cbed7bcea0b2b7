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
    json::{self, SyntaxError, TypeError},
    text::utf8,
};

use super::{Earlier, EarlierError, Subjects};
use crate::{
    step::program::environment::Environment,
    tekton::{
        artifacts::{
            Artifacts,
            referenced::{self, Referenced},
        },
        references::{ArtifactReference, to_artifacts},
    },
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
    loaded: RefCell<HashMap<Vec<u8>, Rc<Artifacts<Referenced>>>>,
}

impl Provenance<'_> {
    /// `None` if the text has no reference.
    fn in_text(&self, text: &[u8]) -> Replaced<Option<Vec<u8>>> {
        let mut replaced: Option<Vec<u8>> = None;
        for reference in to_artifacts(text) {
            let with = self.values(reference)?;
            let so_far = replaced.as_deref().unwrap_or(text);
            replaced = Some(self.earlier.replace_all(so_far, reference.text, with.as_bytes())?);
        }
        Ok(replaced)
    }

    /// The values of an artifact as Go writes them.
    fn values(&self, reference: ArtifactReference<'_>) -> Replaced<String> {
        let artifacts = self.load(reference.step)?;
        let artifacts = if reference.is_output { &artifacts.outputs } else { &artifacts.inputs };
        let found = artifacts.iter().find(|artifact| artifact.name.as_bytes() == reference.artifact);
        let not_found = || ArtifactReferenceError::NotFound { reference: utf8(reference.text).0 };
        found.map(|artifact| artifact.json.clone()).ok_or_else(not_found)
    }

    fn load(&self, step: &[u8]) -> Replaced<Rc<Artifacts<Referenced>>> {
        if let Some(artifacts) = self.loaded.borrow().get(step) {
            return Ok(artifacts.clone());
        }
        let raw = self.earlier.read(step, "artifacts", b"provenance.json")?;
        let artifacts = Rc::new(referenced::read(&json::parse(&raw)?)?);
        self.loaded.borrow_mut().insert(step.to_vec(), artifacts.clone());
        Ok(artifacts)
    }
}
