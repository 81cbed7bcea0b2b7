//! Going through what was given: each file is read once, and what is not read is named.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use crate::sources::{
    failure::ReadFailure,
    files::{
        content,
        input::Input,
        only::{Meant, Sources},
    },
    not_read::{NotRead, UnnamedFiles},
    sink::{FoundDocument, Sink, Stopped},
};

/// Files that are not read are named up to this number, then counted.
const NAMED: usize = 10;

/// What tells one file from all others, also from one that gets its number after it is deleted.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    number: u64,
    changed: (i64, i64),
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            number: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Hands every document of `sources` to `sink`, one at a time; `-` is `stdin`.
pub(crate) fn read(sources: Sources<'_>, stdin: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let given = sources.paths.iter().flat_map(|path| [path.metadata(), path.symlink_metadata()]);
    let given = given.flatten().map(|found| Identity::from(&found)).collect();
    let mut walk =
        Walk { sources, given, met: HashSet::new(), named: 0, unnamed: UnnamedFiles::default(), sink };
    let mut stdin = Some(stdin);
    for path in sources.paths {
        if path == Path::new("-") {
            if let Some(stdin) = stdin.take() {
                walk.sink.begin("standard input".into());
                content::split(&mut Input::new(stdin, true), walk.sink)?;
            }
        } else if path.is_dir() {
            walk.folder(path)?;
            walk.say_unnamed(path)?;
        } else {
            walk.given(path)?;
        }
    }
    Ok(())
}

struct Walk<'a> {
    sources: Sources<'a>,
    /// What is given by a name of its own, and read under that: links, and what they lead to.
    given: HashSet<Identity>,
    /// What was read.
    met: HashSet<Identity>,
    /// How many files that are not read were named.
    named: usize,
    unnamed: UnnamedFiles,
    sink: &'a mut dyn Sink,
}

impl Walk<'_> {
    /// A file by its own name, whatever it is: a FIFO is what a shell gives for `<(kubectl …)`.
    fn given(&mut self, path: &Path) -> Result<(), Stopped> {
        match File::open(path).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) => self.file(path, file, &metadata),
            Err(error) => {
                self.sink.begin(path.display().to_string().into());
                self.sink.take(FoundDocument::Failed(ReadFailure::NotRead(NotRead::Failed(error))))
            }
        }
    }

    fn folder(&mut self, path: &Path) -> Result<(), Stopped> {
        match path.metadata() {
            Ok(metadata) if !self.met.insert(Identity::from(&metadata)) => return Ok(()),
            Ok(_) => {}
            Err(error) => return self.leave(path, NotRead::Failed(error)),
        }
        let listed = || -> io::Result<Vec<OsString>> {
            let mut names =
                fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
            names.sort_unstable();
            Ok(names)
        };
        match listed() {
            Ok(names) => names.iter().try_for_each(|name| self.entry(&path.join(name), name)),
            Err(error) => self.leave(path, NotRead::Failed(error)),
        }
    }

    fn entry(&mut self, path: &Path, name: &OsStr) -> Result<(), Stopped> {
        let found =
            fs::symlink_metadata(path).map_err(NotRead::Failed).and_then(|here| match here.is_symlink() {
                true => Ok((fs::metadata(path).map_err(|_| NotRead::DeadLink)?, here)),
                false => Ok((here.clone(), here)),
            });
        let (metadata, here) = match found {
            Ok(found) => found,
            Err(_) if self.sources.leaves_out(name) => return Ok(()),
            Err(reason) => return self.leave(path, reason),
        };
        if metadata.is_dir() && name.as_bytes().starts_with(b".") {
            return Ok(());
        }
        if here.is_dir() {
            return self.folder(path);
        }
        let is_read_elsewhere =
            self.given.contains(&Identity::from(if metadata.is_dir() { &here } else { &metadata }));
        match self.sources.means(name) {
            _ if is_read_elsewhere => Ok(()),
            Meant::No => Ok(()),
            _ if metadata.is_dir() => self.leave(path, NotRead::LinkToFolder),
            _ if !metadata.is_file() => self.leave(path, NotRead::Special(special(&metadata))),
            _ if self.met.contains(&Identity::from(&metadata)) => Ok(()),
            Meant::Unknown(reason) => self.leave(path, reason),
            Meant::Yes => self.found(path),
        }
    }

    /// A file of a folder. It may have become something else meanwhile, and a FIFO would be waited for.
    fn found(&mut self, path: &Path) -> Result<(), Stopped> {
        let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
        match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, _)) if !metadata.is_file() => {
                self.leave(path, NotRead::Special(special(&metadata)))
            }
            Ok((metadata, file)) => self.file(path, file, &metadata),
            Err(error) => self.leave(path, NotRead::Failed(error)),
        }
    }

    fn file(&mut self, path: &Path, mut file: File, metadata: &Metadata) -> Result<(), Stopped> {
        if metadata.is_file() && !self.met.insert(Identity::from(metadata)) {
            return Ok(());
        }
        self.sink.begin(path.display().to_string().into());
        content::split(&mut Input::new(&mut file, !metadata.is_file()), self.sink)
    }

    /// Says that something is not read.
    fn leave(&mut self, path: &Path, reason: NotRead) -> Result<(), Stopped> {
        if self.named == NAMED {
            self.unnamed.add(reason.several());
            return Ok(());
        }
        self.named += 1;
        self.sink.begin(path.display().to_string().into());
        self.sink.take(FoundDocument::Failed(ReadFailure::NotRead(reason)))
    }

    /// Says how many more files of a folder are not read.
    fn say_unnamed(&mut self, path: &Path) -> Result<(), Stopped> {
        let unnamed = std::mem::take(&mut self.unnamed);
        if unnamed.count() == 0 {
            return Ok(());
        }
        self.sink.begin(path.display().to_string().into());
        self.sink.take(FoundDocument::Failed(ReadFailure::Unnamed(unnamed)))
    }
}

fn special(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_fifo() => "FIFO",
        () if kind.is_socket() => "socket",
        () => "device",
    }
}
