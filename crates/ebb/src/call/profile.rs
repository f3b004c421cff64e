//! Keys as the `aliyun` command keeps them: the profiles of ~/.aliyun/config.json.
//!
//! Only profiles of a key and its secret (mode AK) are taken: the others get theirs from servers
//! that are not here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Failure;

/// Who signs, and what is used where the command line says nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    region_id: String,
    #[serde(default)]
    endpoint: String,
}

/// The profile of that name; the current one where none is given.
pub(super) fn read(name: Option<&str>) -> Result<Profile, Failure> {
    let path = path()?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!(
            "cannot read {}: {error}; whose key signs is said by --data-dir or by a profile there",
            path.display()
        )
    })?;
    choose(&text, name).map_err(|reason| format!("{}: {reason}", path.display()).into())
}

fn path() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or("HOME is not set: whose key signs is said by --data-dir")?;
    Ok(Path::new(&home).join(".aliyun/config.json"))
}

fn choose(text: &str, name: Option<&str>) -> Result<Profile, String> {
    let config: Config = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let name = name.unwrap_or(&config.current);
    let found = config.profiles.into_iter().find(|profile| profile.name == name);
    let Entry { mode, access_key_id, access_key_secret, region_id, endpoint, .. } =
        found.ok_or_else(|| format!("there is no profile {name:?}"))?;
    if !(mode.is_empty() || mode == "AK") {
        return Err(format!("the profile {name:?} is of mode {mode}, and only AK is supported"));
    }
    if access_key_id.is_empty() || access_key_secret.is_empty() {
        return Err(format!("the profile {name:?} has no key"));
    }
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Profile {
        id: access_key_id,
        secret: access_key_secret,
        region: given(region_id),
        endpoint: given(endpoint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "current": "here",
        "profiles": [
            {"name": "here", "mode": "AK", "access_key_id": "id", "access_key_secret": "secret",
             "region_id": "cn-beijing", "endpoint": "", "output_format": "json"},
            {"name": "there", "access_key_id": "id2", "access_key_secret": "secret2",
             "endpoint": "localhost:1"},
            {"name": "role", "mode": "RamRoleArn"},
            {"name": "empty", "mode": "AK"}
        ],
        "meta_path": ""
    }"#;

    #[test]
    fn a_profile_is_the_one_that_is_named_or_the_current_one() {
        let here = choose(CONFIG, None).unwrap();
        assert_eq!((here.id.as_str(), here.secret.as_str()), ("id", "secret"));
        assert_eq!((here.region.as_deref(), here.endpoint), (Some("cn-beijing"), None));
        let there = choose(CONFIG, Some("there")).unwrap();
        assert_eq!(there.id, "id2");
        assert_eq!((there.region, there.endpoint.as_deref()), (None, Some("localhost:1")));
    }

    #[test]
    fn what_cannot_sign_is_refused_with_the_reason() {
        let refused = |name| choose(CONFIG, Some(name)).unwrap_err();
        assert_eq!(refused("nowhere"), "there is no profile \"nowhere\"");
        let role = "the profile \"role\" is of mode RamRoleArn, and only AK is supported";
        assert_eq!(refused("role"), role);
        assert_eq!(refused("empty"), "the profile \"empty\" has no key");
        assert!(choose("{", None).is_err());
    }
}
