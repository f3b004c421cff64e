//! The ebb program: configuration, wiring, the command line. No rules.
//!
//! ```text
//!   serve ──► Server: data directory, store, engine, exports, control, listeners
//!   demo  ──► a Server on a temporary directory, and a client of it
//!   admin ──► the admin socket of a data directory, or its audit log
//!   call  ──► one signed API call
//!   volume ─► the bytes of a stopped server
//! ```

mod admin;
mod audit;
mod call;
mod certificates;
mod clock;
mod cluster_args;
mod config;
mod data_dir;
mod demo;
mod engine_args;
mod instance_authority;
mod kill_at;
mod kms_args;
mod locate;
mod master_key;
mod metrics;
mod operations;
mod pool_args;
mod qemu_img;
mod server;
mod size;
mod store_args;
mod store_copy;
mod volume;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Keeps large buffers for the next read or write. The C library's gives each back to the kernel,
/// which zeroes its pages anew: most of what a long read took (docs/decisions/0073).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A self-hosted elastic block store that speaks the Alibaba Cloud ECS API.
#[derive(Debug, Parser)]
#[command(name = "ebb", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the disks.
    Serve(Box<config::ServeArgs>),
    /// Show the whole story on a real file: write, snapshot, ruin, reset, compare.
    Demo(demo::DemoArgs),
    /// The cloud operator's side of the API.
    Admin(admin::AdminArgs),
    /// Make one signed API call: `ebb call DescribeDisks --RegionId cn-hangzhou`.
    Call(call::CallArgs),
    /// The bytes of disks.
    Volume(volume::VolumeArgs),
    /// The records of a stopped server.
    Store(store_copy::StoreCommand),
    /// The operations this server answers.
    #[command(hide = true)]
    Operations(operations::OperationsArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(args) => run(server::serve(*args)),
        Command::Demo(args) => run(demo::demo(args)),
        Command::Admin(args) => run(admin::admin(args)),
        Command::Call(args) => run(call::call(args)),
        Command::Volume(args) => return volume::volume(args),
        Command::Store(args) => store_copy::store(args),
        Command::Operations(args) => operations::operations(&args),
    };
    ended(outcome)
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ebb: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command fails with: a sentence for the person who typed it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // What is left, such as an operation whose client waited too long, does not hold up the end.
    runtime.shutdown_background();
    outcome
}
