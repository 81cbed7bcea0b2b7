//! The authorities by which the controller judges: none that was ever seen is lost, whatever becomes of the folder that keeps them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

use ring::rand::SystemRandom;
use svidence::{
    bundles::store::{BundleStore, FILE},
    controller::judging::authorities::{Authorities, AuthoritiesError},
    standin::ca::DevCa,
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use unixtime::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds::new(1_764_460_800);

fn trust_domain() -> TrustDomain {
    TrustDomain::new("example.org").unwrap()
}

/// A bundle with one authority that no other one has.
fn bundle() -> X509Bundle {
    let ca = DevCa::new("example.org", NOW, &SystemRandom::new()).unwrap();
    X509Bundle::from_der(trust_domain(), ca.certificate()).unwrap()
}

fn all(bundles: &[&X509Bundle]) -> BTreeSet<Vec<u8>> {
    bundles.iter().flat_map(|bundle| bundle.authorities()).map(|authority| authority.der().to_vec()).collect()
}

fn kept(folder: &Path) -> BTreeSet<Vec<u8>> {
    let store = BundleStore::read(&folder.join(FILE), &trust_domain()).unwrap();
    store.authorities().iter().map(|sighted| sighted.certificate.der().to_vec()).collect()
}

#[test]
fn what_was_seen_while_the_folder_could_not_be_used_is_kept_when_it_can() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("authorities");
    // A file in its place.
    fs::write(&folder, "").unwrap();
    let bundles = [bundle(), bundle(), bundle()];
    let [first, second, third] = &bundles;
    let mut authorities = Authorities::new(trust_domain(), Some(folder.clone()));
    for (number, bundle) in [first, second].into_iter().enumerate() {
        let error = authorities.see(bundle, NOW).unwrap_err();
        assert!(matches!(error, AuthoritiesError::Folder { .. }), "{number}: {error}");
    }
    assert_eq!(all(&[&authorities.bundle().unwrap()]), all(&[first, second]), "in memory");
    fs::remove_file(&folder).unwrap();
    authorities.see(third, NOW + Duration::from_secs(60)).unwrap();
    assert_eq!(all(&[&authorities.bundle().unwrap()]), all(&[first, second, third]), "known");
    assert_eq!(kept(&folder), all(&[first, second, third]), "kept");

    // Another process, and what it adds.
    let mut other = Authorities::new(trust_domain(), Some(folder.clone()));
    let fourth = bundle();
    other.see(&fourth, NOW + Duration::from_secs(120)).unwrap();
    let everything = all(&[first, second, third, &fourth]);
    assert_eq!(all(&[&other.bundle().unwrap()]), everything, "of earlier processes");
    assert_eq!(kept(&folder), everything, "of both");
    let store = BundleStore::read(&folder.join(FILE), &trust_domain()).unwrap();
    assert_eq!(
        all(&[&store.current().unwrap()]),
        all(&[&fourth]),
        "the last one is the one that is published"
    );
}

#[test]
fn whoever_does_not_let_go_of_the_folder_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (bundle(), bundle());
    let mut authorities = Authorities::new(trust_domain(), Some(folder.path().to_owned()));
    let lock = File::open(folder.path()).unwrap();
    lock.lock().unwrap();
    let begun = Instant::now();
    let error = authorities.see(&first, NOW).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(30), "it waits no longer: {:?}", begun.elapsed());
    assert!(matches!(error, AuthoritiesError::Locked { .. }), "{error}");
    assert_eq!(error.code(), "authorities-not-kept");
    assert_eq!(all(&[&authorities.bundle().unwrap()]), all(&[&first]), "known all the same");
    assert!(!folder.path().join(FILE).exists(), "nothing is written beside whoever has the lock");
    drop(lock);
    authorities.see(&second, NOW).unwrap();
    assert_eq!(kept(folder.path()), all(&[&first, &second]), "kept later");
}
