//! A small ext4 in a file, mounted over a loop device.
//!
//! The loop device is detached by the kernel with the mount, and the mount ends with this value.
//! `cargo xtask kill` runs this program in a mount namespace of its own on top, so that a mount
//! goes with the process even where it was killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub(crate) struct Filesystem {
    image: PathBuf,
    mounted: PathBuf,
}

impl Filesystem {
    /// Makes `folder/image` and mounts it on `folder/mounted`.
    pub(crate) fn mount(folder: &Path, bytes: u64) -> Result<Self> {
        let (image, mounted) = (folder.join("image"), folder.join("mounted"));
        std::fs::create_dir_all(&mounted)?;
        File::create(&image)?.set_len(bytes)?;
        // No blocks kept for root: the server may run as root, and would have them.
        run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-m", "0"]).arg(&image))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", "loop"]).arg(&image).arg(&mounted);
        run(&mut mount).context(
            "a file system can not be mounted over a loop device here: that needs root \
             (CAP_SYS_ADMIN), /dev/loop-control and the kernel's loop and ext4",
        )?;
        Ok(Self { image, mounted })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mounted
    }

    /// How to look at what is on it later.
    pub(crate) fn how_to_mount(&self) -> String {
        format!("mount -o loop {} {}", self.image.display(), self.mounted.display())
    }

    pub(crate) fn unmount(self) -> Result<()> {
        run(Command::new("umount").arg(&self.mounted))?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Filesystem {
    /// After a failure: what still uses it does not keep it mounted for others.
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.mounted)) {
            eprintln!("{error:#}");
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}: {}", output.status, said.trim());
    }
    Ok(())
}
