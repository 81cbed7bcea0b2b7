//! Where TaskRuns come from: files and folders of JSON or YAML, and standard input.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    json::Unambiguous,
    taskrun::{TaskRun, TaskRunError},
};

/// Why an input gives no TaskRun.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// As given.
        path: String,
        /// From the operating system.
        error: io::Error,
    },
    /// Neither JSON nor YAML.
    #[error("{path}: not {format}: {error}")]
    Syntax {
        /// As given.
        path: String,
        /// JSON or YAML.
        format: &'static str,
        /// With line and column.
        error: String,
    },
    /// An object that is no TaskRun.
    #[error("{path}: {error}")]
    Object {
        /// As given, with the number of the object.
        path: String,
        /// Why not.
        error: TaskRunError,
    },
    /// Nothing in it.
    #[error("{path}: there is no object in it")]
    Empty {
        /// As given.
        path: String,
    },
}

/// Takes a TaskRun, or why there is none, with the name of its file.
pub type Each<'a> = dyn FnMut(&str, Result<TaskRun, SourceError>) + 'a;

/// Hands every TaskRun of `path` to `each`, one at a time: a file of one object, a List, JSON lines or several YAML
/// documents; a folder (its `.json`, `.jsonl`, `.yaml` and `.yml` files, by name, subfolders too); or `-` for `stdin`.
pub fn for_each(path: &Path, stdin: &mut dyn Read, each: &mut Each<'_>) {
    if path == Path::new("-") {
        return document("standard input", stdin, each);
    }
    let result = if path.is_dir() { folder(path, stdin, each) } else { file(path, each) };
    if let Err(error) = result {
        let path = path.display().to_string();
        each(&path, Err(SourceError::Read { path: path.clone(), error }));
    }
}

fn folder(path: &Path, stdin: &mut dyn Read, each: &mut Each<'_>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let extension = entry.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let is_named_so = ["json", "jsonl", "yaml", "yml"].contains(&extension);
        // A link to a folder may lead round in circles, and a FIFO would be waited for.
        let is_folder = fs::symlink_metadata(&entry)?.is_dir();
        if is_folder || (is_named_so && entry.metadata().is_ok_and(|target| target.is_file())) {
            for_each(&entry, stdin, each);
        }
    }
    Ok(())
}

fn file(path: &Path, each: &mut Each<'_>) -> io::Result<()> {
    document(&path.display().to_string(), &mut fs::File::open(path)?, each);
    Ok(())
}

fn document(path: &str, input: &mut dyn Read, each: &mut Each<'_>) {
    let mut input = BufReader::new(input);
    let is_json = loop {
        match input.fill_buf() {
            Err(error) => return each(path, Err(SourceError::Read { path: path.to_owned(), error })),
            Ok([]) => return each(path, Err(SourceError::Empty { path: path.to_owned() })),
            Ok(buffer) => match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(start) => {
                    let first = buffer[start];
                    break first == b'{' || first == b'[';
                }
                None => {
                    let length = buffer.len();
                    input.consume(length);
                }
            },
        }
    };
    let (mut count, mut empty_lists) = (0, 0);
    let mut object = |value: Value| {
        let items = items(value);
        empty_lists += usize::from(items.is_empty());
        for item in items {
            count += 1;
            let place = || if count == 1 { path.to_owned() } else { format!("{path} (object {count})") };
            each(
                path,
                TaskRun::from_value(item).map_err(|error| SourceError::Object { path: place(), error }),
            );
        }
    };
    let syntax = |format, error: String| SourceError::Syntax { path: path.to_owned(), format, error };
    if is_json {
        for value in serde_json::Deserializer::from_reader(input).into_iter::<Unambiguous>() {
            match value {
                Ok(Unambiguous(value)) => object(value),
                Err(error) => return each(path, Err(syntax("JSON", error.to_string()))),
            }
        }
    } else {
        let mut text = String::new();
        if let Err(error) = input.read_to_string(&mut text) {
            return each(path, Err(SourceError::Read { path: path.to_owned(), error }));
        }
        match serde_saphyr::from_multiple::<Unambiguous>(&text) {
            Ok(values) => values.into_iter().for_each(|Unambiguous(value)| object(value)),
            Err(error) => return each(path, Err(syntax("YAML", error.to_string()))),
        }
    }
    // An empty List holds no TaskRun, which is for the caller to judge, as an empty folder is.
    if count == 0 && empty_lists == 0 {
        each(path, Err(SourceError::Empty { path: path.to_owned() }));
    }
}

/// The items of a `List` or `TaskRunList`; anything else is one item. Items of a TaskRunList may leave out what they are.
fn items(value: Value) -> Vec<Value> {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.ends_with("List") {
        return vec![value];
    }
    let api_version = value.get("apiVersion").cloned();
    let Value::Object(mut list) = value else { return Vec::new() };
    let Some(Value::Array(mut items)) = list.remove("items") else { return vec![Value::Object(list)] };
    if kind == "TaskRunList" {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.entry("kind").or_insert_with(|| "TaskRun".into());
            if let Some(version) = &api_version {
                item.entry("apiVersion").or_insert_with(|| version.clone());
            }
        }
    }
    items
}
