//! `ebb call`: one signed API call from the command line.

mod names;
mod profile;
mod wait;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use ebb_api::client::Client;

use crate::Failure;
use crate::data_dir::read_root_key;
use profile::Profile;

/// The action and its parameters.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// Whose root key signs.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Whose key signs instead: a profile of ~/.aliyun/config.json. Without this and --data-dir it
    /// is the current one. Its region and endpoint are used where none is given.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where the API is: 127.0.0.1:8080 unless the profile says otherwise.
    /// With https:// before it, the answer is trusted by --ca.
    #[arg(long, env = "EBB_ENDPOINT", value_name = "HOST:PORT")]
    endpoint: Option<String>,
    /// Authorities in PEM, of which the server has its certificate.
    #[arg(long, env = "EBB_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Waits until the task that the call began is over, and shows how far it has come.
    #[arg(long)]
    wait: bool,
    /// Such as ResetDisk. `ebb operations` lists them; the beginning of a name will do.
    action: String,
    /// `--DiskId d-… --SnapshotId s-…`; the beginning of a name will do.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "--NAME VALUE")]
    params: Vec<String>,
}

/// Prints the reply as JSON.
pub(crate) async fn call(args: CallArgs) -> Result<(), Failure> {
    let profile = signer(&args)?;
    let operation = names::operation(&args.action)?;
    let mut params = Vec::new();
    for (name, value) in pairs(&args.params)? {
        params.push((names::parameter(operation, name)?, value));
    }
    let needs_region = operation.params.iter().any(|p| p.name == "RegionId" && p.required);
    let has_region = params.iter().any(|(name, _)| name == "RegionId");
    if let (true, false, Some(region)) = (needs_region, has_region, &profile.region) {
        params.push(("RegionId".to_owned(), region.as_str()));
    }
    let params: Vec<(&str, &str)> =
        params.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let given = args.endpoint.or(profile.endpoint);
    let endpoint = given.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut client = Client::new(endpoint, profile.id, profile.secret);
    if let Some(path) = &args.ca {
        let failed = |error: &dyn Error| format!("cannot use {}: {error}", path.display());
        let authorities = std::fs::read(path).map_err(|error| failed(&error))?;
        client = client.trusting(&authorities).map_err(|error| failed(&error))?;
    }
    let reply = client.call(operation.name, &params).await?;
    println!("{reply:#}");
    if args.wait {
        let given = params.iter().find(|(name, _)| *name == "RegionId").map(|(_, value)| *value);
        wait::until_over(&client, &reply, given.or(profile.region.as_deref())).await?;
    }
    Ok(())
}

fn signer(args: &CallArgs) -> Result<Profile, Failure> {
    match (&args.profile, &args.data_dir) {
        (None, Some(data_dir)) => {
            let (id, secret) = read_root_key(data_dir)?;
            Ok(Profile { id, secret, region: None, endpoint: None })
        }
        (name, _) => profile::read(name.as_deref()),
    }
}

fn pairs(words: &[String]) -> Result<Vec<(&str, &str)>, Failure> {
    let mut pairs = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("expected --Name before {word:?}"))?;
        let pair = match name.split_once('=') {
            Some(pair) => pair,
            None => (name, words.next().ok_or_else(|| format!("--{name} has no value"))?.as_str()),
        };
        pairs.push(pair);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn parameters_are_names_and_values() {
        let words = ["--DiskId", "d-1", "--DryRun=true", "--Description", "--x"];
        let words = words.map(str::to_owned);
        let expected = [("DiskId", "d-1"), ("DryRun", "true"), ("Description", "--x")];
        assert_eq!(pairs(&words).unwrap(), expected);
        assert!(pairs(&["DiskId".to_owned()]).is_err());
        assert!(pairs(&["--DiskId".to_owned()]).is_err());
    }
}
