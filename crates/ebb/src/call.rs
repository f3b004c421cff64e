//! `ebb call`: one signed API call from the command line.

use std::path::PathBuf;

use clap::Args;
use ebb_api::client::Client;

use crate::Failure;
use crate::data_dir::read_root_key;

/// The action and its parameters.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// Whose root key signs.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where the API is.
    #[arg(long, env = "EBB_ENDPOINT", default_value = "127.0.0.1:8080")]
    endpoint: String,
    /// Such as ResetDisk.
    action: String,
    /// `--DiskId d-… --SnapshotId s-…`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "--NAME VALUE")]
    params: Vec<String>,
}

/// Prints the reply as JSON.
pub(crate) async fn call(args: CallArgs) -> Result<(), Failure> {
    let (id, secret) = read_root_key(&args.data_dir)?;
    let params = pairs(&args.params)?;
    let client = Client::new(args.endpoint, id, secret);
    let reply = client.call(&args.action, &params).await?;
    println!("{reply:#}");
    Ok(())
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
