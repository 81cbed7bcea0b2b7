//! The project holds to its own rules: parts, citations, words, documents, releases.

mod architecture;
mod citations;
#[cfg(feature = "cli")]
mod docs_examples;
mod generated;
mod make;
#[cfg(feature = "cli")]
mod plain_words;
mod sbom;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tree.rs"]
mod tree;
