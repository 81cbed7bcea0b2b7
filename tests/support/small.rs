//! A file system of one's own, small enough to be filled. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A tmpfs that is mounted as long as this lives.
#[derive(Debug)]
pub struct SmallFs(PathBuf);

impl SmallFs {
    /// Mounts one at this folder, which is made, for everybody to write to. `options`: of mount(8), `size=64k` for example.
    pub fn at(folder: &Path, options: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("mode=0777,{options}"), "tmpfs"]).arg(folder);
        assert!(mount.status().unwrap().success(), "mount a tmpfs at {}", folder.display());
        Self(folder.to_owned())
    }

    /// The same, already mounted: from now on it cannot be written to.
    pub fn make_read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
