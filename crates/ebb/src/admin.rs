//! `ebb admin`: the operator's commands, over the admin socket of a data directory; but for the
//! audit log, which is read from its files.

mod certificate;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use ebb_api::admin::{AdminClient, Command, ImportCommand};
use serde_json::Value;

use crate::Failure;
use crate::audit::{Audit, audit};

/// What every command takes, and the command.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Whose server is meant.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Print what changed as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Accounts.
    #[command(subcommand)]
    Account(Account),
    /// Access keys.
    #[command(subcommand)]
    Key(Key),
    /// Users of accounts (RAM).
    #[command(subcommand)]
    User(User),
    /// The key service.
    #[command(subcommand)]
    Kms(Kms),
    /// Instances.
    #[command(subcommand)]
    Instance(Instance),
    /// Disk categories.
    #[command(subcommand)]
    Category(Category),
    /// Snapshots.
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
enum Account {
    /// Make an account, and its first access key: the secret is shown this once.
    Create,
    /// List all accounts.
    List,
    /// Change an account.
    Set {
        /// Which [default: the root account].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// In CNY, such as 100, 0.5 or -1.
        #[arg(long, value_name = "CNY", allow_hyphen_values = true, value_parser = fen)]
        balance: Option<i64>,
        /// Whether its pay-as-you-go disks and instances are in arrears.
        #[arg(long)]
        arrears: Option<OnOff>,
        /// Whether the snapshot service is open.
        #[arg(long)]
        snapshot_service: Option<OpenClosed>,
        /// How many GiB its disks may be together; 0 for no end.
        #[arg(long, value_name = "GIB")]
        disk_quota: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Make an access key: its secret is shown this once. Each user may have two.
    Create {
        /// Whose [default: the root account's].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Which user's [default: the account's root user's].
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// List the access keys of an account's root user, or of another user.
    List {
        /// Whose [default: the root account's].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Which user's [default: the account's root user's].
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Let an access key be used again.
    Enable { key: String },
    /// Have requests with an access key refused.
    Disable { key: String },
    /// Delete an access key.
    Delete { key: String },
}

#[derive(Debug, Subcommand)]
enum User {
    /// Make a user. It may do nothing but what its policies allow.
    Create {
        /// 1 to 64 letters, digits, periods, hyphens and underscores.
        name: String,
        /// In which account [default: the root account].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// A policy of the server's own that it has, such as AliyunECSFullAccess. May be repeated.
        #[arg(long = "policy", value_name = "NAME")]
        policies: Vec<String>,
    },
    /// List the users of an account.
    List {
        /// Of which account [default: the root account].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Delete a user who has no keys, groups and policies.
    Delete {
        /// Which.
        name: String,
        /// In which account [default: the root account].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Kms {
    /// Have the block store use none of an account's keys: no encrypted disk is made, attached,
    /// started or reset. What is attached goes on.
    RevokeService {
        /// Whose [default: the root account's].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Let it use them again.
    GrantService {
        /// Whose [default: the root account's].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Delete a key at once. What was encrypted with it can never be read again.
    DestroyKey {
        /// Its id.
        key: String,
        /// Whose [default: the root account's].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OpenClosed {
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reason {
    Security,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SnapshotCategory {
    Standard,
    Archive,
}

#[derive(Debug, Subcommand)]
enum Instance {
    /// Lock an instance.
    Lock {
        instance: String,
        /// Why.
        #[arg(long, default_value = "security")]
        reason: Reason,
    },
    /// Unlock an instance.
    Unlock {
        instance: String,
        /// Why it was locked.
        #[arg(long, default_value = "security")]
        reason: Reason,
    },
    /// Mark an instance as expired.
    Expire { instance: String },
    /// Mark an instance as renewed.
    Renew { instance: String },
    /// Issue a certificate by which a client uses the instance's disks over NBD, where the server
    /// runs with `--nbd-instance-certificates require`.
    Certificate {
        instance: String,
        /// How long it is good.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// Write client-cert.pem, client-key.pem and ca-cert.pem there, as QEMU and libnbd look for
        /// them, rather than print them.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// The authority of the server's own certificate, which clients are to trust: it goes into
        /// ca-cert.pem too.
        #[arg(long, value_name = "FILE", requires = "out")]
        server_ca: Option<PathBuf>,
    },
    /// The machine is lost: remove its record. Its disks stay In_use until DetachDisk.
    Forget { instance: String },
}

#[derive(Debug, Subcommand)]
enum Category {
    /// Restrict a category to some accounts.
    Restrict {
        category: String,
        /// An account that may; it need not exist.
        #[arg(long, value_name = "ACCOUNT")]
        allow: Vec<String>,
    },
    /// Lift a restriction.
    Unrestrict { category: String },
}

#[derive(Debug, Subcommand)]
enum Snapshot {
    /// Make a raw image kept elsewhere a snapshot of a disk.
    Import {
        /// Which disk.
        #[arg(long, value_name = "D-ID")]
        disk: String,
        /// The image; `-` is standard input.
        #[arg(long, value_name = "RAW|-")]
        file: PathBuf,
        /// When it was taken, such as 2026-02-23T12:46:24Z.
        #[arg(long, value_name = "RFC3339")]
        created_at: String,
        /// Its name.
        #[arg(long, default_value = "")]
        name: String,
        /// Its category.
        #[arg(long, default_value = "standard")]
        category: SnapshotCategory,
    },
}

/// Carries the command out and prints what changed.
pub(crate) async fn admin(args: AdminArgs) -> Result<(), Failure> {
    let data_dir = args.data_dir.ok_or("give --data-dir DIR, or set EBB_DATA_DIR")?;
    let client = AdminClient::new(&data_dir.join("admin.sock"));
    let changed = match args.noun {
        Noun::Snapshot(import) => run_import(&client, import).await?,
        Noun::Account(account) => client.run(&account.into()).await?,
        Noun::Key(key) => client.run(&key.into()).await?,
        Noun::User(user) => client.run(&user.into()).await?,
        Noun::Kms(kms) => client.run(&kms.into()).await?,
        Noun::Instance(Instance::Certificate { instance, days, out, server_ca }) => {
            let command = Command::IssueCertificate { instance, days };
            let server_ca = server_ca.as_deref().map(certificate::read).transpose()?;
            let issued = client.run(&command).await?;
            certificate::kept(issued, out.as_deref(), server_ca.as_deref())?
        }
        Noun::Instance(instance) => client.run(&instance.into()).await?,
        Noun::Category(category) => client.run(&category.into()).await?,
        Noun::Audit(command) => return audit(&data_dir, command, args.json),
    };
    if args.json {
        println!("{changed}")
    } else {
        print_words(&changed)
    }
    Ok(())
}

fn print_words(changed: &Value) {
    for (name, value) in changed.as_object().into_iter().flatten() {
        if let Value::Array(entries) = value
            && entries.iter().any(Value::is_object)
        {
            entries.iter().for_each(|entry| {
                println!();
                print_words(entry);
            });
            continue;
        }
        let value = match (name.as_str(), value) {
            ("balance_fen", Value::Number(fen)) => {
                let fen = fen.as_i64().unwrap_or(0);
                let sign = if fen < 0 { "-" } else { "" };
                println!("balance: {sign}{}.{:02} CNY", fen.abs() / 100, fen.abs() % 100);
                continue;
            }
            (_, Value::String(text)) => text.clone(),
            (_, Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
            (_, other) => other.to_string(),
        };
        println!("{}: {value}", name.replace('_', " "));
    }
}

impl From<Account> for Command {
    fn from(account: Account) -> Self {
        match account {
            Account::Create => Self::CreateAccount,
            Account::List => Self::ListAccounts,
            Account::Set { account, balance, arrears, snapshot_service, disk_quota } => {
                Self::SetAccount {
                    account,
                    balance_fen: balance,
                    arrears: arrears.map(|value| value == OnOff::On),
                    snapshot_service: snapshot_service.map(|value| value == OpenClosed::Open),
                    disk_quota_gib: disk_quota,
                }
            }
        }
    }
}

impl From<Key> for Command {
    fn from(key: Key) -> Self {
        match key {
            Key::Create { account, user } => Self::CreateKey { account, user },
            Key::List { account, user } => Self::ListKeys { account, user },
            Key::Enable { key } => Self::SetKeyActive { key, active: true },
            Key::Disable { key } => Self::SetKeyActive { key, active: false },
            Key::Delete { key } => Self::DeleteKey { key },
        }
    }
}

impl From<User> for Command {
    fn from(user: User) -> Self {
        match user {
            User::Create { name, account, policies } => {
                Self::CreateUser { account, user: name, policies }
            }
            User::List { account } => Self::ListUsers { account },
            User::Delete { name, account } => Self::DeleteUser { account, user: name },
        }
    }
}

impl From<Kms> for Command {
    fn from(kms: Kms) -> Self {
        match kms {
            Kms::RevokeService { account } => Self::LetUseKeys { account, may: false },
            Kms::GrantService { account } => Self::LetUseKeys { account, may: true },
            Kms::DestroyKey { key, account } => Self::DestroyKey { account, key },
        }
    }
}

impl From<Instance> for Command {
    fn from(instance: Instance) -> Self {
        match instance {
            Instance::Lock { instance, reason: Reason::Security } => {
                Self::LockInstance { instance, locked: true }
            }
            Instance::Unlock { instance, reason: Reason::Security } => {
                Self::LockInstance { instance, locked: false }
            }
            Instance::Expire { instance } => Self::ExpireInstance { instance, expired: true },
            Instance::Renew { instance } => Self::ExpireInstance { instance, expired: false },
            Instance::Certificate { instance, days, .. } => {
                Self::IssueCertificate { instance, days }
            }
            Instance::Forget { instance } => Self::ForgetInstance { instance },
        }
    }
}

impl From<Category> for Command {
    fn from(category: Category) -> Self {
        match category {
            Category::Restrict { category, allow } => Self::RestrictCategory { category, allow },
            Category::Unrestrict { category } => Self::UnrestrictCategory { category },
        }
    }
}

async fn run_import(client: &AdminClient, import: Snapshot) -> Result<Value, Failure> {
    let Snapshot::Import { disk, file, created_at, name, category } = import;
    let category = match category {
        SnapshotCategory::Standard => "standard",
        SnapshotCategory::Archive => "archive",
    };
    let command = |length_bytes| ImportCommand {
        disk,
        created_at,
        name,
        category: category.to_owned(),
        length_bytes,
    };
    if file == Path::new("-") {
        return Ok(client.import(&command(None), tokio::io::stdin()).await?);
    }
    let failed = |error| format!("cannot read {}: {error}", file.display());
    let image = tokio::fs::File::open(&file).await.map_err(failed)?;
    let metadata = image.metadata().await.map_err(failed)?;
    // A pipe or a device says nothing of how long it is.
    let length = metadata.is_file().then_some(metadata.len());
    Ok(client.import(&command(length), image).await?)
}

/// An amount in CNY with up to two decimals, as fen.
fn fen(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not an amount such as 100, 0.5 or -1");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 2 || !all_digits(whole) || !all_digits(part) {
        return Err(wrong());
    }
    let amount: i64 = format!("{whole}{part:0<2}").parse().map_err(|_| wrong())?;
    Ok(if negative { -amount } else { amount })
}

#[cfg(test)]
mod tests {
    use super::fen;

    #[test]
    fn an_amount_has_up_to_two_decimals() {
        for (text, expected) in [("100", 10_000), ("0.5", 50), ("-1", -100), ("-0.01", -1)] {
            assert_eq!(fen(text), Ok(expected), "{text}");
        }
        for bad in ["", "-", "1.234", "1,5", "x", "1.x", "--1", "99999999999999999999"] {
            assert!(fen(bad).is_err(), "{bad}");
        }
    }
}
