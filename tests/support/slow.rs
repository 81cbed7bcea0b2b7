//! A file system that answers late, as slow storage does, or not at all: the kernel's FUSE protocol (linux/fuse.h), as far as it takes
//! to read one file. Needs root.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The file's inode number; 1 is that of the folder.
const FILE: u64 = 2;

/// One file, with this content, in a folder.
#[derive(Debug)]
pub struct SlowFs {
    folder: PathBuf,
    hangs: Arc<AtomicBool>,
}

impl SlowFs {
    /// Mounts one at this folder. Reading the file takes so long each time.
    pub fn at(folder: &Path, name: &str, content: &str, reads_take: Duration) -> Self {
        fs::create_dir_all(folder).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        fcntl(&device, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let mounted =
            Command::new("mount").args(["-i", "-t", "fuse", "-o", &options, "none"]).arg(folder).status();
        assert!(mounted.unwrap().success(), "mount a FUSE file system");
        fcntl(&device, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let hangs = Arc::new(AtomicBool::new(false));
        let served = Served {
            device,
            name: name.as_bytes().to_vec(),
            content: content.as_bytes().to_vec(),
            reads_take,
            hangs: hangs.clone(),
            changed: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 100,
        };
        thread::spawn(move || served.serve());
        Self { folder: folder.to_owned(), hangs }
    }

    /// From now on nothing is answered, or everything again.
    pub fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

impl Drop for SlowFs {
    fn drop(&mut self) {
        self.hang(false);
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}

struct Served {
    device: File,
    name: Vec<u8>,
    content: Vec<u8>,
    reads_take: Duration,
    hangs: Arc<AtomicBool>,
    changed: u64,
}

impl Served {
    fn serve(mut self) {
        let mut request = vec![0; 1 << 20];
        // The end comes when it is unmounted.
        while let Ok(length) = self.device.read(&mut request) {
            let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
            let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
            let (operation, unique, node) = (number(4), &request[8..16], long(16));
            let body = &request[40..length];
            while self.hangs.load(Ordering::SeqCst) && operation != INIT {
                thread::sleep(Duration::from_millis(5));
            }
            let answer = match operation {
                FORGET | INTERRUPT | BATCH_FORGET => continue,
                INIT => Ok([
                    &7_u32.to_ne_bytes()[..],
                    &31_u32.to_ne_bytes(),
                    &[0; 12],
                    &(1_u32 << 17).to_ne_bytes(),
                    &[0; 40],
                ]
                .concat()),
                LOOKUP if body.strip_suffix(&[0]) == Some(&self.name[..]) => {
                    Ok([&FILE.to_ne_bytes()[..], &[0; 32], &self.attributes(FILE)].concat())
                }
                LOOKUP => Err(nix::libc::ENOENT),
                GETATTR => Ok([&[0; 16][..], &self.attributes(node)].concat()),
                OPEN => Ok([&[0; 8][..], &DIRECT_IO.to_ne_bytes(), &[0; 4]].concat()),
                READ => {
                    thread::sleep(self.reads_take);
                    let from = usize::try_from(long(48)).unwrap().min(self.content.len());
                    let to = (from + number(56) as usize).min(self.content.len());
                    Ok(self.content[from..to].to_vec())
                }
                FLUSH | RELEASE => Ok(Vec::new()),
                _ => Err(nix::libc::ENOSYS),
            };
            let (error, data) = match answer {
                Ok(data) => (0, data),
                Err(errno) => (-errno, Vec::new()),
            };
            let size = u32::try_from(16 + data.len()).unwrap();
            let answer = [&size.to_ne_bytes()[..], &error.to_ne_bytes(), unique, &data].concat();
            let _ = self.device.write(&answer);
        }
    }

    fn attributes(&self, node: u64) -> Vec<u8> {
        let (mode, size) = if node == FILE { (0o100_644, self.content.len() as u64) } else { (0o40_755, 0) };
        let long = [node, size, 1, self.changed, self.changed, self.changed];
        let short = [1, 1, 1, mode, 1, 0, 0, 0, 4096, 0_u32];
        long.iter().flat_map(|n| n.to_ne_bytes()).chain(short.iter().flat_map(|n| n.to_ne_bytes())).collect()
    }
}

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
/// Reads are not kept in the page cache.
const DIRECT_IO: u32 = 1;
