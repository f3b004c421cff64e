//! What a client writes to a clone while it is flattened, by the rate of that.

use std::time::Duration;

use ebb_bench::Failure;
use ebb_rbd::ResetMode;
use ebb_volume::Engine;

use crate::Args;
use crate::volumes::{op, open, prepared, random_writes};

const WINDOW: Duration = Duration::from_secs(5);
const WINDOWS: usize = 8;
const SIZE: u64 = 8 << 30;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let windows = if args.quick { 2 } else { WINDOWS };
    println!("\n| `--rbd-flatten-rate` | writes/s, each 5 s | objects copied for it | left |");
    println!("|---|---|---|---|");
    for rate in [0, 16, 128] {
        let engine = open(&args.conf, ResetMode::Clone, rate)?;
        let (volume, snapshot) = prepared(&engine, SIZE)?;
        engine.reset(op(), volume, snapshot)?;
        // What the flattener is to see when it looks for clones: that it is wanted no more.
        engine.delete_snapshot(op(), snapshot)?;
        let writes = random_writes(&engine, volume, WINDOW, windows)?;
        let shown: Vec<String> = writes.iter().map(|writes| format!("{writes:.0}")).collect();
        let stats = engine.stats();
        let left = match stats.flattened {
            0 if rate == 0 => "-".to_owned(),
            0 => stats.objects_left.to_string(),
            _ => "done".to_owned(),
        };
        println!("| {rate} | {} | {} | {left} |", shown.join(", "), stats.objects_copied);
    }
    Ok(())
}
