//! The files and folders of `--bundle`.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::found::Found;
use crate::{
    bundles::store::BundleStore,
    cli::{
        input::{self, Input},
        refusal::{Refusal, unchecked},
    },
    io_error,
    report::safe::Line,
    workload::{
        bundle::{BundleError, X509Bundle},
        id::TrustDomain,
    },
};

/// What the names of a folder's bundles end with.
pub(super) const ENDINGS: [&str; 6] = ["pem", "crt", "cer", "der", "json", "bundle"];

/// The option for certificates between leaf and authority.
pub(in crate::cli) const INTERMEDIATES: &str = "--intermediates";

/// What is in the files and folders that `option` names. What is odd about it is told on `err`.
pub(super) fn read(
    trust_domain: &TrustDomain,
    option: &str,
    paths: &[PathBuf],
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<Vec<Found>, Refusal> {
    let mut all = Vec::new();
    for path in paths {
        let files = if path.is_dir() { in_folder(option, path, err)? } else { vec![path.clone()] };
        for file in files {
            let contents = input.bytes(option, &file)?;
            let name = input::name(&file);
            all.push(match BundleStore::is_one(&contents) {
                true => store(trust_domain, &contents, name.clone())
                    .map_err(|reason| unchecked(format!("{option} {name}: {reason}")))?,
                false => Found::bundle(authorities(trust_domain, option, &name, &contents, err)?, name),
            });
        }
    }
    Ok(all)
}

/// What a store holds, or why it is of no use.
fn store(trust_domain: &TrustDomain, contents: &[u8], name: String) -> Result<Found, String> {
    let store = BundleStore::parse(trust_domain, contents).map_err(|error| error.to_string())?;
    Found::store(&store, name).map_err(|error| error.to_string())
}

/// The authorities in a file's contents.
pub(in crate::cli) fn authorities(
    trust_domain: &TrustDomain,
    option: &str,
    name: &str,
    contents: &[u8],
    err: &mut dyn Write,
) -> Result<X509Bundle, Refusal> {
    let (bundle, warnings) = X509Bundle::from_file_contents(trust_domain.clone(), contents)
        .map_err(|error| unchecked(format!("{option} {name}: {}", words(option, &error))))?;
    for warning in warnings {
        let _ = writeln!(err, "svidence: {option} {}: {}", Line(name), Line(&warning.to_string()));
    }
    Ok(bundle)
}

/// What is wrong with a file. One of intermediates is not a bundle, and SPIRE prints none.
fn words(option: &str, error: &BundleError) -> String {
    match error {
        BundleError::Empty { .. } if option == INTERMEDIATES => {
            "it holds no certificate of a certificate authority".to_owned()
        }
        BundleError::Unrecognised { found } if option == INTERMEDIATES => {
            format!("it is {found}; intermediates are certificates in PEM (-----BEGIN CERTIFICATE-----)")
        }
        error => error.to_string(),
    }
}

/// The bundles of a folder by name. Hidden files are not looked at; what else is passed over is told.
fn in_folder(option: &str, folder: &Path, err: &mut dyn Write) -> Result<Vec<PathBuf>, Refusal> {
    let unreadable =
        |error: io::Error| unchecked(format!("{option} {}: {}", folder.display(), io_error::words(&error)));
    let entries =
        fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    paths.sort();
    let known: HashSet<&str> = HashSet::from(ENDINGS);
    let is_bundle = |path: &PathBuf| {
        path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| known.contains(ending))
            && !path.is_dir()
    };
    let (bundles, others): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(is_bundle);
    let endings = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
    for other in others {
        let name = other.display().to_string();
        let why = match other.is_dir() {
            true => "folders in the folder are not looked at".to_owned(),
            false => format!("bundles end with {endings}; name the file itself with another --bundle"),
        };
        let _ = writeln!(err, "svidence: {option} {} is left out: {why}", Line(&name));
    }
    match bundles.is_empty() {
        true => Err(unchecked(format!(
            "{option} {}: no bundle in this folder; their names end with {endings}",
            folder.display()
        ))),
        false => Ok(bundles),
    }
}
