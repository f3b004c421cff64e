//! Where an issued certificate goes.

use std::path::Path;

use serde_json::Value;

use crate::Failure;
use crate::data_dir::{DataDir, write_durably};

/// The files of a folder that QEMU and libnbd are pointed to.
const FILES: &[(&str, &str)] =
    &[("certificate", "client-cert.pem"), ("key", "client-key.pem"), ("authority", "ca-cert.pem")];

/// An authority's certificates in PEM.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    Ok(text.map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

/// Puts what was issued into such files; in what is printed their paths are in their place. Without
/// a folder all stays as it is. Clients have one file for both authorities: that of the server's
/// certificate, and, as QEMU looks whether its own is good, that of theirs.
pub(super) fn kept(
    mut issued: Value,
    folder: Option<&Path>,
    server_ca: Option<&str>,
) -> Result<Value, Failure> {
    let Some(folder) = folder else { return Ok(issued) };
    DataDir::make_folder(folder)?;
    for (field, name) in FILES {
        let path = folder.join(name);
        let pem = issued[field].as_str().ok_or("the server answered without a certificate")?;
        let more = server_ca.filter(|_| *field == "authority").unwrap_or_default();
        write_durably(&path, &format!("{pem}{more}"))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        issued[field] = path.display().to_string().into();
    }
    Ok(issued)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_in_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        let issued = serde_json::json!({
            "instance": "i-1", "certificate": "C", "key": "K", "authority": "A",
        });
        let told = kept(issued.clone(), Some(&out), Some("S")).unwrap();
        assert_eq!(std::fs::read_to_string(out.join("ca-cert.pem")).unwrap(), "AS");
        let key = out.join("client-key.pem");
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "K");
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(told["key"], key.to_str().unwrap());
        assert_eq!(told["instance"], "i-1");
        assert_eq!(kept(issued.clone(), None, None).unwrap(), issued);
    }
}
