//! Disk images that are not raw, read by `qemu-img` (Debian: qemu-utils).
//!
//! What is given is somebody's file, and a qcow2 image can name others: a backing file, or one that
//! holds its data. Either is refused when it is looked at, and the image is opened without a
//! backing file in any case. `qemu-img` is handed the open file, not its name, and writes to the
//! scratch volume as a client of the server's own NBD socket.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ebb_control::Converter;
use serde_json::Value;

use crate::master_key::program;

/// The image is its standard input; opened by this name, it can be read at any place.
const IMAGE: &str = "/dev/stdin";

/// The source without what else it might name.
const SOURCE: &str =
    r#"json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"/dev/stdin"}}"#;

/// `qemu-img`, and the socket it writes to.
pub(crate) struct QemuImg {
    socket: PathBuf,
}

impl QemuImg {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }
}

fn command(image: &File) -> Result<Command, String> {
    let image = image.try_clone().map_err(|error| error.to_string())?;
    let mut command = program("qemu-img");
    command.stdin(image).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// What it wrote, if it ended well; else what it said.
fn ended(output: io::Result<Output>) -> Result<Vec<u8>, String> {
    let output = output.map_err(|error| format!("qemu-img: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("qemu-img failed and did not say why").to_owned())
}

impl Converter for QemuImg {
    fn is_there(&self) -> bool {
        let mut command = program("qemu-img");
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn inspect(&self, image: &File) -> Result<u64, String> {
        let told =
            ended(command(image)?.args(["info", "--output=json", "-f", "qcow2", IMAGE]).output())?;
        virtual_size(&told)
    }

    fn copy(
        &self,
        image: &File,
        export: &str,
        reached: &mut dyn FnMut(u8) -> bool,
    ) -> Result<(), String> {
        // A comma in the path would begin the next option.
        let socket = self.socket.display().to_string().replace(',', ",,");
        let target = format!(
            "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={socket},\
             file.export={export}"
        );
        let mut child = command(image)?
            .args(["convert", "-p", "-n", "--target-is-zero", "--target-image-opts", SOURCE])
            .arg(target)
            .spawn()
            .map_err(|error| format!("qemu-img: {error}"))?;
        let mut progress = child.stdout.take().expect("its output is piped");
        let (mut line, mut byte) = (String::new(), [0]);
        while let Ok(1) = progress.read(&mut byte) {
            line.push(char::from(byte[0]));
            if byte[0] != b'\r' {
                continue;
            }
            if let Some(percent) = percent(&line)
                && !reached(percent)
            {
                // It may have ended by itself.
                let _ = child.kill();
            }
            line.clear();
        }
        ended(child.wait_with_output()).map(drop)
    }
}

/// `    (12.34/100%)`
fn percent(line: &str) -> Option<u8> {
    let (number, _) = line.trim_start().strip_prefix('(')?.split_once('/')?;
    number.split('.').next()?.parse().ok()
}

fn virtual_size(info: &[u8]) -> Result<u64, String> {
    let info: Value = serde_json::from_slice(info).map_err(|error| error.to_string())?;
    if info.get("backing-filename").is_some() {
        return Err("it has a backing file; merge the two first: qemu-img convert".to_owned());
    }
    let specific = &info["format-specific"]["data"];
    if specific.get("data-file").is_some() {
        return Err(
            "its data is in another file; put it together first: qemu-img convert".to_owned()
        );
    }
    if info["encrypted"] == true {
        return Err("it is encrypted; decrypt it first: qemu-img convert".to_owned());
    }
    info["virtual-size"].as_u64().ok_or_else(|| "qemu-img did not tell its size".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_names_other_files_is_refused() {
        let size = |text: &str| virtual_size(text.as_bytes());
        assert_eq!(size(r#"{"virtual-size": 5, "format": "qcow2"}"#), Ok(5));
        assert!(size(r#"{"virtual-size": 5, "backing-filename": "/etc/passwd"}"#).is_err());
        let data = r#"{"virtual-size": 5, "format-specific": {"data": {"data-file": "x"}}}"#;
        assert!(size(data).is_err());
        assert!(size(r#"{"virtual-size": 5, "encrypted": true}"#).is_err());
        assert!(size("{}").is_err());
        assert!(size("").is_err());
    }

    #[test]
    fn progress_is_read_from_what_is_drawn() {
        assert_eq!(percent("    (12.34/100%)\r"), Some(12));
        assert_eq!(percent("    (100.00/100%)\r"), Some(100));
        assert_eq!(percent("\r"), None);
        assert_eq!(percent("x"), None);
    }
}
