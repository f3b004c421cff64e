//! `ebb store copy`: the records of a stopped server, from its file to PostgreSQL.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ebb_store::{CopiedTable, Store};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Failure;
use crate::data_dir::lock_existing;
use crate::store_args::{StoreAddress, StoreArgs, StoreAt};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy the records of a stopped server to a PostgreSQL database that has none, compare both,
    /// and keep nothing there if they are not the same. The file stays as it is.
    Copy(CopyArgs),
}

#[derive(Debug, Args)]
struct CopyArgs {
    /// The file: sqlite:DIR/ebbtide.db, where DIR is the data directory.
    #[arg(long, value_name = "sqlite:FILE")]
    from: String,
    /// The database, as `ebb serve --store` takes it; also in EBB_STORE.
    #[arg(long, value_name = "URL")]
    to: Option<StoreAddress>,
    /// A file with that address in it.
    #[arg(long, env = "EBB_STORE_FILE", value_name = "FILE")]
    to_file: Option<PathBuf>,
}

/// Carries the command out.
pub(crate) fn store(args: StoreCommand) -> Result<(), Failure> {
    let Command::Copy(CopyArgs { from, to, to_file }) = args.command;
    let file = from.strip_prefix("sqlite:").map(Path::new);
    let file = file.ok_or("--from is sqlite: and the path of a server's ebbtide.db")?;
    // It would be made anew.
    if !file.is_file() {
        return Err(format!("there is no file {}", file.display()).into());
    }
    let to = StoreArgs { store: to, store_file: to_file }.resolve(StoreArgs::default())?;
    let StoreAt::Postgres(to) = to else {
        return Err("no database to copy to: give --to, --to-file or EBB_STORE".into());
    };
    // Nobody writes to the file meanwhile.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _lock = lock_existing(folder.unwrap_or(Path::new(".")))?;
    let (from, to) = (Store::open(file)?, Store::connect(&to)?);
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} of {duration}");
    bar.set_style(style.expect("the template is well formed"));
    let copied = from.copy_to(&to, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    print(&copied?);
    Ok(())
}

fn print(tables: &[CopiedTable]) {
    for CopiedTable { name, rows, hash } in tables {
        let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{name:<24} {rows:>10} {hash}");
    }
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    println!("{rows} rows in {} tables are the same in both", tables.len());
}
