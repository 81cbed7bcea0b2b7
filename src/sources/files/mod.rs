//! Files and folders of JSON or YAML, and standard input, of any size.
//!
//! `folder` goes through files and folders, `compressed` decompresses, `input` splits into documents (`json`, `list`, `yaml`), and
//! `document` reads what is in one, on any core.

#[cfg(test)]
mod agreement;
pub(super) mod compressed;
mod content;
mod document;
pub(super) mod endings;
mod folder;
pub(super) mod input;
mod json;
mod list;
mod nesting;
mod only;
mod yaml;

pub(super) use document::Document;
pub use endings::{COMPRESSED_ENDINGS, ENDINGS};
pub(super) use folder::read;
pub(super) use list::{Page, page};
pub use only::{NamePattern, NamePatternError, Sources};
