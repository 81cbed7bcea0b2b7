//! Texts of objects that are kept: none is longer than it can rightly be, whatever somebody has stored.

use serde_json::Value;

/// Bytes of the longest text that is kept: a name (RFC 1123, by which Kubernetes names objects). The API server does not check all
/// that it stores, such as the names in owner references.
const LONGEST_TEXT: usize = 253;
/// Bytes of the longest `imageID` that is kept: a name of an image has at most 255 (OCI distribution-spec), beside it are a registry and a
/// digest.
pub(super) const LONGEST_IMAGE_ID: usize = 1024;
/// Bytes of the longest UID that is kept; those of Kubernetes are UUIDs.
const LONGEST_UID: usize = 64;

/// The text at a place of an object, if it says something and is no longer than a name may be.
pub(super) fn text(object: &Value, place: &str) -> Option<String> {
    short(object, place, LONGEST_TEXT)
}

pub(super) fn uid(object: &Value, place: &str) -> Option<String> {
    short(object, place, LONGEST_UID)
}

pub(super) fn short(object: &Value, place: &str, longest: usize) -> Option<String> {
    let text = object.pointer(place)?.as_str()?;
    (1..=longest).contains(&text.len()).then(|| text.to_owned())
}
