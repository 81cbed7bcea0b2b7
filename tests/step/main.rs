//! What a step does, from its arguments to its message, with the real Tekton and SPIRE beside it where they say what is right.

mod args;
#[cfg(feature = "cli")]
mod causes;
mod cel;
#[cfg(feature = "cli")]
mod compressed;
mod credentials;
mod credentials_files;
mod duties;
#[cfg(feature = "cli")]
mod ends;
#[cfg(feature = "cli")]
mod found;
mod hostile;
#[cfg(feature = "cli")]
mod idle;
mod life;
mod message;
#[cfg(feature = "cli")]
#[path = "../pki/mod.rs"]
mod pki;
#[cfg(feature = "cli")]
mod pods;
#[cfg(feature = "cli")]
mod sidecar_logs;
#[cfg(feature = "cli")]
mod signed;
#[cfg(feature = "cli")]
mod spire_sign;
#[cfg(feature = "cli")]
mod spire_unsigned;
mod static_binary;
#[path = "../support/mod.rs"]
mod support;
mod surroundings;
mod syscalls;
#[cfg(feature = "cli")]
mod unsigned;
