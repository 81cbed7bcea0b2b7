//! What the fuzz targets run; `tests/fuzz_corpus.rs` of the main package runs the same.

pub mod bodies;
