//! A registry (OCI distribution-spec 1.1): the attestations that Tekton Chains stored beside the images that a run built.
//!
//! * [`mod@reference`], [`digest`]: which image is meant.
//! * [`registry`]: what is asked of a registry, and [`manifest`] what it answers with; [`connection`]: why it may not.
//! * [`challenge`], [`credentials`] with [`credential_helper`], [`token_service`]: how it lets somebody in; [`secret`]: what is not shown.
//! * [`attestations`]: all that lies beside one image, but what is about something else by its [`predicate`]; [`source`]: into the walk.

mod attestations;
mod challenge;
mod connection;
mod credential_helper;
mod credentials;
mod digest;
mod error;
mod link;
mod manifest;
mod predicate;
mod reference;
mod registry;
mod secret;
mod source;
mod token_service;

pub use credential_helper::HelperError;
pub use credentials::{CredentialOrigin, Keychain, RegistryCredentialError};
pub use digest::{Digest, DigestError};
pub use error::OciError;
pub use reference::{Image, ReferenceError};
pub use source::Oci;
