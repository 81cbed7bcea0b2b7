//! The termination message: entries, their JSON as Go writes it, and how it is compressed (docs/tekton-contract.md 3.12; Tekton
//! pkg/termination/write.go, pkg/result/result.go).

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use go::{
    json::{escape, escape_bytes},
    text::utf8,
};
use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

/// The most that Tekton writes and the kubelet keeps.
pub const MAX_MESSAGE: usize = 4096;

/// The type of an entry (docs/tekton-contract.md 3.12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryType {
    /// A result of the task, or evidence, which travels as one.
    TaskResult,
    /// `StartedAt`, `Reason`, `ExitCode`.
    Internal,
    /// A result of the step.
    StepResult,
    /// The step's artifacts.
    StepArtifacts,
    /// The task's artifacts.
    TaskArtifacts,
}

impl EntryType {
    /// Its number in the message.
    pub const fn number(self) -> i64 {
        match self {
            Self::TaskResult => 1,
            Self::Internal => 3,
            Self::StepResult => 4,
            Self::StepArtifacts => 5,
            Self::TaskArtifacts => 6,
        }
    }
}

/// One entry of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its value. For artifacts (types 5 and 6) the text between the quotes of the JSON, already escaped: there Tekton
    /// leaves each invalid byte as the six characters `\ufffd`, which differ from U+FFFD itself. See [`Entry::artifact`].
    pub value: String,
    /// Its type.
    pub kind: EntryType,
}

impl Entry {
    /// An entry whose value is text.
    pub fn new(key: impl Into<String>, value: impl Into<String>, kind: EntryType) -> Self {
        Self { key: key.into(), value: value.into(), kind }
    }

    /// The entry of an artifact file.
    pub fn artifact(path: &Path, raw: &[u8], kind: EntryType) -> Self {
        Self { key: utf8(path.as_os_str().as_bytes()).0, value: escape_bytes(raw), kind }
    }

    fn write(&self, out: &mut String) {
        out.push_str("{\"key\":\"");
        escape(out, &self.key);
        out.push_str("\",\"value\":\"");
        match self.kind {
            EntryType::StepArtifacts | EntryType::TaskArtifacts => out.push_str(&self.value),
            _ => escape(out, &self.value),
        }
        out.push_str("\",\"type\":");
        out.push_str(&self.kind.number().to_string());
        out.push('}');
    }
}

/// What a compressed message begins with (Tekton pkg/termination/write.go).
pub const COMPRESSED: &str = "tknz:";
/// The most that the controller decompresses; a longer message is lost to it as a whole.
pub const MAX_DECOMPRESSED: usize = 128 * 1024;
/// The highest level of miniz.
const LEVEL: i32 = 10;
/// Neither a header nor a checksum around the DEFLATE stream.
const RAW: i32 = 0;
/// What is tried. The usual strategy alone makes texts of hexadecimal digits, such as digests, a tenth longer than Go's best; the
/// others, for which few or no repetitions are worth a reference, make them shorter.
const STRATEGIES: [CompressionStrategy; 3] =
    [CompressionStrategy::Default, CompressionStrategy::Filtered, CompressionStrategy::HuffmanOnly];

/// How a message is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As JSON.
    #[default]
    Json,
    /// As JSON or compressed (`tknz:`, unpadded base64, raw DEFLATE), whichever is shorter; in doubt as JSON.
    Compressed,
}

impl Encoding {
    /// The most bytes that any part of the message may have before it is encoded.
    pub fn largest(self) -> usize {
        match self {
            Self::Json => MAX_MESSAGE,
            Self::Compressed => MAX_DECOMPRESSED,
        }
    }

    /// The message as it is written; `Err` if it does not fit.
    pub fn fit(self, entries: &[Entry]) -> Result<String, TooLarge> {
        if self == Self::Compressed && to_json(entries).len() > MAX_DECOMPRESSED {
            return Err(TooLarge);
        }
        let message = self.encode(entries);
        if message.len() > MAX_MESSAGE { Err(TooLarge) } else { Ok(message) }
    }

    /// The message as it is written, whether it fits or not.
    pub fn encode(self, entries: &[Entry]) -> String {
        let json = to_json(entries);
        if self == Self::Json {
            return json;
        }
        let mut compressed = String::from(COMPRESSED);
        STANDARD_NO_PAD.encode_string(deflate(json.as_bytes()), &mut compressed);
        if compressed.len() < json.len() { compressed } else { json }
    }
}

/// The shortest of what the strategies make of it.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let with = |strategy| {
        let mut deflated = Vec::new();
        #[expect(clippy::as_conversions, reason = "the library takes the number of its own enumeration")]
        let flags = create_comp_flags_from_zip_params(LEVEL, RAW, strategy as i32);
        compress_to_output(&mut CompressorOxide::new(flags), bytes, TDEFLFlush::Finish, |piece| {
            deflated.extend_from_slice(piece);
            true
        });
        deflated
    };
    STRATEGIES.into_iter().map(with).min_by_key(Vec::len).unwrap_or_default()
}

/// The message as JSON.
pub fn to_json(entries: &[Entry]) -> String {
    let mut out = String::from("[");
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        entry.write(&mut out);
    }
    out.push(']');
    out
}

/// The message does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Termination message is above max allowed size 4096, caused by large task result.")]
pub struct TooLarge;
