//! What the names of files that hold TaskRuns end with.

/// Endings of files that are read in folders; upper or lower case.
pub const ENDINGS: [&str; 5] = [".json", ".jsonl", ".ndjson", ".yaml", ".yml"];

/// Endings that may come behind those.
pub const COMPRESSED_ENDINGS: [&str; 2] = [".gz", ".zst"];
