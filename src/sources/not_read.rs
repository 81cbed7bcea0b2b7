//! Files that are not read, and why.

use std::{collections::BTreeMap, fmt, io};

use crate::sources::files::endings::{COMPRESSED_ENDINGS, ENDINGS};

/// Why a file is not read.
#[derive(Debug)]
pub enum NotRead {
    /// Its name does not say that it holds TaskRuns.
    Ending,
    /// Packed or compressed in a way that is not read; its name.
    Packed(&'static str),
    /// A link to a folder.
    LinkToFolder,
    /// A link that leads nowhere.
    DeadLink,
    /// Neither a file nor a folder: a FIFO, a socket, a device.
    Special(&'static str),
    /// The operating system's answer.
    Failed(io::Error),
}

impl NotRead {
    /// What several of the kind are called.
    pub(crate) fn several(&self) -> &'static str {
        match self {
            Self::Ending => "with other endings",
            Self::Packed(_) => "packed in a way that is not read",
            Self::LinkToFolder => "links to folders",
            Self::DeadLink => "links that lead nowhere",
            Self::Special(_) => "FIFOs, sockets or devices",
            Self::Failed(_) => "unreadable",
        }
    }
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ending => write!(
                f,
                "not read: its name does not end in {} ({} may follow); --only PATTERN says which files are meant",
                ENDINGS.join(", "),
                COMPRESSED_ENDINGS.join(", ")
            ),
            Self::Packed(name) => write!(
                f,
                "not read: it is packed ({name}); unpack it, or leave it out with --only PATTERN of what is meant"
            ),
            Self::LinkToFolder => {
                f.write_str("not read: links to folders are not followed; give the folder that it leads to")
            }
            Self::DeadLink => f.write_str("not read: it is a link that leads nowhere"),
            Self::Special(what) => {
                write!(f, "not read: it is a {what}; give it by its own name to read it")
            }
            Self::Failed(error) => match error.kind() {
                io::ErrorKind::NotFound => f.write_str("not read: there is no such file or folder"),
                io::ErrorKind::PermissionDenied => {
                    f.write_str("not read: permission denied; run this as a user who may read it")
                }
                _ => write!(f, "not read: {}", crate::io_error::words(error)),
            },
        }
    }
}

/// Files that are not named: how many, by what they are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnnamedFiles(BTreeMap<&'static str, u64>);

impl UnnamedFiles {
    /// One more of what is called so.
    pub(crate) fn add(&mut self, several: &'static str) {
        *self.0.entry(several).or_default() += 1;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for UnnamedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        write!(f, "{} more files are not read: {}", self.count(), kinds.join(", "))
    }
}
