//! The arguments of `--from oci`: which images.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    cli::{
        asked::Asked,
        authorities::AuthoritiesArgs,
        caller::CallerArgs,
        refusal::{Refusal, usage},
    },
    http::proxies::Proxies,
    sources::oci::{Image, Keychain, Oci},
    surroundings,
};

/// The images that are named, each once.
pub(super) fn images(names: &[PathBuf]) -> Result<Vec<Image>, Refusal> {
    let image = |name: &PathBuf| {
        let text = name.to_string_lossy();
        text.parse::<Image>().map_err(|error| usage(format!("{text}: with --from oci, {error}")))
    };
    let mut seen = BTreeSet::new();
    let all: Result<Vec<Image>, Refusal> = names.iter().map(image).collect();
    Ok(all?.into_iter().filter(|image| seen.insert(image.clone())).collect())
}

/// What is asked for: an attestation of each.
pub(super) fn asked(images: &[Image]) -> Asked<'static> {
    let absence = |image: &Image| {
        format!(
            "{image} has no attestation of a run: neither its tag {} nor a referrer holds one",
            image.attestation_tag()
        )
    };
    Asked::images(images.iter().map(|image| (image.to_string(), absence(image))).collect())
}

/// The registries with what is asked of them.
pub(super) fn open(
    images: Vec<Image>,
    authorities: &AuthoritiesArgs,
    caller: &CallerArgs,
) -> Result<Oci, Refusal> {
    let needs_tls = images.iter().any(Image::needs_tls);
    Ok(Oci {
        authorities: if needs_tls { authorities.read()? } else { Default::default() },
        keychain: keychain(),
        patience: caller.patience(),
        proxies: Proxies::of(&surroundings::variable),
        images,
    })
}

/// The files with credentials that may be read.
pub(super) fn files() -> Vec<PathBuf> {
    keychain().files().to_vec()
}

fn keychain() -> Keychain {
    Keychain::of(&surroundings::variable)
}
