//! The files and folders of `--bundle`, and which of them each authority is from.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::input::{self, Input};
use crate::{
    cli::refusal::{Refusal, unchecked},
    evidence::{sha256, statement::hex},
    io_error,
    report::{
        origins::{Origin, Origins},
        safe::Line,
    },
    workload::{
        bundle::{BundleError, X509Bundle},
        id::TrustDomain,
    },
};

/// What the names of a folder's bundles end with.
pub(super) const ENDINGS: [&str; 6] = ["pem", "crt", "cer", "der", "json", "bundle"];

/// The option for certificates between leaf and authority.
pub(super) const INTERMEDIATES: &str = "--intermediates";

/// Every authority in the files and folders that `option` names, each once. What is odd about them is told on `err`.
pub(super) fn read(
    trust_domain: &TrustDomain,
    option: &str,
    paths: &[PathBuf],
    input: &mut Input<'_>,
    err: &mut dyn Write,
) -> Result<(X509Bundle, Origins), Refusal> {
    let mut bundles = Vec::new();
    let mut origins = Origins::new();
    for path in paths {
        let files = if path.is_dir() { in_folder(option, path, err)? } else { vec![path.clone()] };
        for file in files {
            let contents = input.bytes(option, &file)?;
            let name = input::name(&file);
            let bundle = authorities(trust_domain, option, &name, &contents, err)?;
            for authority in bundle.authorities() {
                let origin = || Origin { name: authority.label(), file: name.clone() };
                origins.entry(hex(&sha256(authority.der()))).or_insert_with(origin);
            }
            bundles.push(bundle);
        }
    }
    let bundle = X509Bundle::of_all(bundles).ok_or_else(|| unchecked(format!("{option}: no file")))?;
    Ok((bundle, origins))
}

/// The authorities in a file's contents.
pub(super) fn authorities(
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
