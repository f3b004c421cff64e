//! The NBD data path beside its peers: `cargo xtask bench nbd`.
//!
//! ```text
//!   round ─► workload ─► peer, peer, peer …      one fio each, over a Unix socket
//!   round ─► snapshot or reset ─► workload       at once behind it, peers that can
//!        └──────────────┬────────────┘
//!                    Results ─► tables, docs/benchmarks/nbd.md, an SVG plot
//! ```
//! Every server runs all the time, and all are given the same fio lines in turn, round by round, so
//! that what the machine does meanwhile falls on all alike. A figure is the median of the rounds.
//!
//! Deliberately not here: assertions. A benchmark is read; nothing fails because it was slow.

mod fio;
mod memory;
mod peers;
mod plot;
mod report;
mod results;
mod workloads;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ebb_bench::Failure;

use crate::fio::{FillOrder, Fio};
use crate::memory::Memory;
use crate::peers::{Event, Kind, Peer};
use crate::results::{Key, Results, When};
use crate::workloads::{Layout, WORKLOADS, Workload};

/// Measures NBD servers with fio, in folders below the current one.
#[derive(Parser)]
struct Cli {
    /// The release build of `ebb`.
    program: String,
    /// Where the page is kept.
    page: PathBuf,
    /// A small working set, one round, short runs: shows that everything runs, and no more.
    #[arg(long)]
    quick: bool,
    /// Only workloads whose name has this in it. May be given again.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Only these peers, by a part of the name. May be given again.
    #[arg(long, value_name = "PART")]
    peer: Vec<String>,
    /// Rounds of everything.
    #[arg(long)]
    rounds: Option<usize>,
    /// Leaves out what comes after a snapshot and after a reset.
    #[arg(long)]
    steady: bool,
    /// Writes the page, nbd.md, and a plot beside it. What stands below the tables is kept.
    #[arg(long)]
    write: bool,
}

impl Cli {
    fn workloads(&self) -> Vec<&'static Workload> {
        let wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|o| name.contains(o));
        WORKLOADS.iter().filter(|workload| wanted(workload.name)).collect()
    }

    fn kinds(&self) -> Vec<Kind> {
        let wanted =
            |name: &str| self.peer.is_empty() || self.peer.iter().any(|p| name.contains(p));
        Kind::ALL.iter().copied().filter(|kind| wanted(kind.name())).collect()
    }
}

struct Bench {
    fio: Fio,
    /// Whether the runs are too short for memory to matter.
    quick: bool,
    peers: Vec<Peer>,
    workloads: Vec<&'static Workload>,
    results: Results,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    let folder = tempfile::tempdir_in(".")?;
    // What the servers are told is relative to nothing.
    let path = folder.path().canonicalize()?;
    let fio = match cli.quick {
        true => Fio { working_set: 64 << 20, window: Duration::from_millis(200) },
        false => Fio { working_set: 1 << 30, window: Duration::from_secs(2) },
    };
    let mut peers = Vec::new();
    for kind in cli.kinds() {
        peers.push(Peer::new(kind, &path, &cli.program).await?);
    }
    let results = Results::default();
    let quick = cli.quick;
    let mut bench = Bench { fio, quick, peers, workloads: cli.workloads(), results };
    let rounds = cli.rounds.unwrap_or(if cli.quick { 1 } else { 3 });
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        bench.steady().await?;
        if !cli.steady {
            bench.behind(Event::Snapshot).await?;
            bench.behind(Event::Reset).await?;
        }
        let done = round + 1;
        let text = report::text(&bench.results, &bench.workloads, &cli.kinds(), &bench.fio, done);
        // Rounds take long: who stops between two has those before it.
        if cli.write {
            write(&cli.page, &text, &bench.results)?;
        }
        if done == rounds {
            println!("{text}");
        }
    }
    Ok(())
}

fn write(page: &Path, text: &str, results: &Results) -> Result<(), Failure> {
    let below = match std::fs::read_to_string(page) {
        Ok(old) => old.split_once(report::END).map(|(_, below)| below.to_owned()),
        Err(_) => None,
    };
    std::fs::write(page, format!("{text}{}{}", report::END, below.unwrap_or("\n".into())))?;
    std::fs::write(page.with_extension("svg"), plot::svg(results))?;
    Ok(())
}

fn touched(quick: bool, workload: &Workload, runs: usize) -> Memory {
    match quick {
        true => Memory::default(),
        false => Memory::touched(workload, runs),
    }
}

impl Bench {
    /// All workloads on all peers, as they are.
    async fn steady(&mut self) -> Result<(), Failure> {
        for layout in [Layout::InOrder, Layout::Scattered] {
            let order = match layout {
                Layout::InOrder => FillOrder::Sequential,
                Layout::Scattered => FillOrder::Random,
            };
            for peer in self.peers.iter().filter(|peer| peer.kind.stores()) {
                self.fio.fill(&peer.uri(), order)?;
            }
            for workload in self.workloads.iter().filter(|workload| workload.layout == layout) {
                for peer in &mut self.peers {
                    if workload.cold {
                        peer.cool().await?;
                    }
                    touched(self.quick, workload, 1).free_portion();
                    let outcome = self.fio.run(&peer.uri(), workload)?;
                    eprintln!("{:40} {:24} {outcome}", workload.name, peer.kind.name());
                    let key = Key { workload: workload.name, peer: peer.kind, when: When::Steady };
                    self.results.add(key, outcome);
                }
            }
        }
        Ok(())
    }

    /// Workloads at once behind a snapshot or a reset, and beside each the same with neither.
    async fn behind(&mut self, event: Event) -> Result<(), Failure> {
        for workload in self.workloads.iter().filter(|workload| !workload.cold) {
            for peer in self.peers.iter_mut().filter(|peer| peer.kind.has_snapshots()) {
                if event == Event::Reset {
                    // So that there is something to go back from.
                    self.fio.fill(&peer.uri(), FillOrder::RandomPart)?;
                }
                let mut memory = touched(self.quick, workload, 2);
                memory.free_portion();
                let before = self.fio.run(&peer.uri(), workload)?;
                peer.apply(event).await?;
                memory.free_portion();
                let behind = self.fio.run(&peer.uri(), workload)?;
                eprintln!(
                    "{:40} {:24} {event:?}: {before} then {behind}",
                    workload.name,
                    peer.kind.name()
                );
                let key = |when| Key { workload: workload.name, peer: peer.kind, when };
                self.results.add(key(When::Before(event)), before);
                self.results.add(key(When::Behind(event)), behind);
            }
        }
        Ok(())
    }
}
