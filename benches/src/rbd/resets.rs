//! Resets, by three ways in turn, on volumes that were prepared alike.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_rbd::ResetMode;
use ebb_volume::Engine;

use crate::volumes::{POOL, namespace, op, open, prepared, random_writes};
use crate::{Args, median};

const ROUNDS: usize = 3;
const AFTER: Duration = Duration::from_secs(5);
const BEFORE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Way {
    Auto,
    Clone,
    Rollback,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Auto, "Ebbtide, `--rbd-reset auto`"),
    (Way::Clone, "Ebbtide, `--rbd-reset clone`"),
    (Way::Rollback, "`rbd snap rollback`"),
];

#[derive(Clone, Default)]
struct Times {
    reset: Vec<f64>,
    before: Vec<f64>,
    after: Vec<f64>,
    chosen: Vec<&'static str>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (sizes, rounds): (&[u64], _) = if args.quick { (&[1], 1) } else { (&[1, 16, 64], ROUNDS) };
    println!("\n| disk | way | it was | ResetDisk | writes/s before | writes/s in 5 s after |");
    println!("|---|---|---|---|---|---|");
    for size_gib in sizes {
        let mut times = vec![Times::default(); WAYS.len()];
        for _ in 0..rounds {
            for ((way, _), times) in WAYS.iter().zip(&mut times) {
                once(&args.conf, *way, size_gib << 30, times)?;
            }
        }
        for ((_, name), times) in WAYS.iter().zip(times) {
            let mut chosen = times.chosen.clone();
            chosen.dedup();
            let each = |values: &[f64]| {
                let shown: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
                shown.join(", ")
            };
            println!(
                "| {size_gib} GiB | {name} | {} | {:.3} s | {:.0} | {:.0} ({}) |",
                chosen.join(", "),
                median(times.reset),
                median(times.before),
                median(times.after.clone()),
                each(&times.after),
            );
        }
    }
    Ok(())
}

fn once(conf: &Path, way: Way, size_bytes: u64, times: &mut Times) -> Result<(), Failure> {
    let reset = if matches!(way, Way::Clone) { ResetMode::Clone } else { ResetMode::Auto };
    let mut engine = open(conf, reset, 0)?;
    let (volume, snapshot) = prepared(&engine, size_bytes)?;
    times.before.extend(random_writes(&engine, volume, BEFORE, 1)?);
    let chosen = match way {
        Way::Auto | Way::Clone => {
            let begun = Instant::now();
            engine.reset(op(), volume, snapshot)?;
            times.reset.push(begun.elapsed().as_secs_f64());
            if engine.stats().resets_in_place > 0 { "in place" } else { "by a clone" }
        }
        Way::Rollback => {
            let place = engine.locate(volume)?;
            let snap = place.snapshots.first().ok_or("the volume has no snapshot")?.name.clone();
            // The engine lets go of the image's lock.
            drop(engine);
            let begun = Instant::now();
            roll_back(conf, &snap)?;
            times.reset.push(begun.elapsed().as_secs_f64());
            engine = open(conf, reset, 0)?;
            "in place"
        }
    };
    times.chosen.push(chosen);
    times.after.extend(random_writes(&engine, volume, AFTER, 1)?);
    Ok(())
}

fn roll_back(conf: &Path, snap: &str) -> Result<(), Failure> {
    let output = Command::new("rbd")
        .arg("--conf")
        .arg(conf)
        .args(["snap", "rollback", "--no-progress", &format!("{POOL}/{}/{snap}", namespace())])
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
