//! The page: what was measured, in tables.

use std::fmt::Write;
use std::process::Command;

use crate::fio::{Fio, Outcome};
use crate::peers::{Event, Kind};
use crate::results::{Key, Results, When};
use crate::workloads::{Aim, WORKLOADS, Workload};

/// The page is written anew as far as this, and kept below.
pub(crate) const END: &str = "<!-- measured above, told below -->\n";

/// The page as far as it is made of what was measured.
pub(crate) fn text(
    results: &Results,
    workloads: &[&Workload],
    kinds: &[Kind],
    fio: &Fio,
    rounds: usize,
) -> String {
    let mut text = String::from("# Benchmarks of the NBD server\n\n");
    let head = format!(
        "`cargo xtask bench nbd -- --write` ran all of this on one machine: {}. The same fio lines \
         for each server, over a Unix socket, on a working set of {} MiB of a disk of 8 GiB; {} s \
         each, servers and workloads in turn, the median of {rounds} rounds, what a run may \
         write of memory touched before it. {}.\n\n\
         ![Each server's share of the fastest](nbd.svg)\n\n",
        machine(),
        fio.working_set >> 20,
        fio.window.as_secs_f64(),
        versions()
    );
    text += &head;
    text += "## Throughput\n\nThousands of requests a second, or MiB/s where that is said.\n\n";
    table(&mut text, workloads, kinds, |workload, peer| {
        let key = Key { workload: workload.name, peer, when: When::Steady };
        Some(throughput(workload, results.median(key)?))
    });
    text += "\n## Ebbtide's ratio to each\n\n";
    ratios(&mut text, results, workloads, kinds);
    text += "\n## Latency\n\nMicroseconds, p50 and p99; with a flush behind each write, of the \
             flush.\n\n";
    table(&mut text, workloads, kinds, |workload, peer| {
        let key = Key { workload: workload.name, peer, when: When::Steady };
        let Outcome { p50, p99, .. } = results.median(key)?;
        Some(format!("{}, {}", p50.as_micros(), p99.as_micros()))
    });
    for event in [Event::Snapshot, Event::Reset] {
        behind(&mut text, results, workloads, kinds, event);
    }
    text += "\n";
    text
}

fn throughput(workload: &Workload, outcome: Outcome) -> String {
    match workload.in_bytes {
        true => format!("{:.0} MiB/s", outcome.bytes_per_second / f64::from(1 << 20)),
        false => format!("{:.1}k", outcome.per_second / 1000.0),
    }
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    text.push('|');
    for cell in cells {
        // Writing to a string does not fail.
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

fn head(text: &mut String, columns: &[&str]) {
    row(text, std::iter::once(String::new()).chain(columns.iter().map(|c| (*c).to_owned())));
    row(text, std::iter::repeat_n("---".to_owned(), columns.len() + 1));
}

fn table(
    text: &mut String,
    workloads: &[&Workload],
    kinds: &[Kind],
    cell: impl Fn(&Workload, Kind) -> Option<String>,
) {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    head(text, &names);
    for workload in workloads {
        let cells = kinds.iter().map(|kind| cell(workload, *kind).unwrap_or_default());
        row(text, std::iter::once(workload.name.to_owned()).chain(cells));
    }
}

fn ratios(text: &mut String, results: &Results, workloads: &[&Workload], kinds: &[Kind]) {
    let peers: Vec<Kind> = kinds.iter().copied().filter(|kind| *kind != Kind::Ebbtide).collect();
    let mut names: Vec<&str> = peers.iter().map(|kind| kind.name()).collect();
    names.push("aim");
    head(text, &names);
    for workload in workloads {
        let key = |peer| Key { workload: workload.name, peer, when: When::Steady };
        let ratio = |peer| results.ratio(key(Kind::Ebbtide), key(peer));
        let cells =
            peers.iter().map(|peer| ratio(*peer).map_or(String::new(), |r| format!("{r:.2}")));
        let aim = aim(workload.aim, ratio(Kind::File), ratio(Kind::Null));
        let name = std::iter::once(workload.name.to_owned());
        row(text, name.chain(cells).chain(std::iter::once(aim)));
    }
}

fn aim(aim: Aim, of_file: Option<f64>, of_null: Option<f64>) -> String {
    let met = |is: bool| if is { "met" } else { "missed" };
    match (aim, of_file, of_null) {
        (Aim::OfFile(aim), Some(is), _) => format!("{aim} of file: {}", met(is >= aim)),
        (Aim::OfFileAndNull(file, null), Some(of_file), Some(of_null)) => format!(
            "{file} of file: {}, {null} of null: {}",
            met(of_file >= file),
            met(of_null >= null)
        ),
        _ => String::new(),
    }
}

fn behind(
    text: &mut String,
    results: &Results,
    workloads: &[&Workload],
    kinds: &[Kind],
    event: Event,
) {
    let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.has_snapshots()).collect();
    let (what, before) = match event {
        Event::Snapshot => ("snapshot", "In percent of the same just before it."),
        Event::Reset => (
            "reset",
            "In percent of the same just before it. Before that a sixteenth of the working set was \
             overwritten.",
        ),
    };
    let key = |workload: &Workload, peer, when| Key { workload: workload.name, peer, when };
    let run: Vec<&Workload> = workloads
        .iter()
        .copied()
        .filter(|w| kinds.iter().any(|kind| results.has(key(w, *kind, When::Behind(event)))))
        .collect();
    if run.is_empty() {
        return;
    }
    let _ = write!(text, "\n## At once behind a {what}\n\n{before}\n\n");
    table(text, &run, &kinds, |workload, peer| {
        let of = key(workload, peer, When::Behind(event));
        let ratio = results.ratio(of, key(workload, peer, When::Before(event)))?;
        let outcome = results.median(of)?;
        Some(format!("{:.0} % ({})", ratio * 100.0, throughput(workload, outcome)))
    });
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("a processor", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    format!("{cores} cores of {model}, Linux {}", kernel.join("."))
}

fn versions() -> String {
    let first_line = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(str::to_owned)
    };
    let all = ["fio", "nbdkit", "qemu-nbd"].into_iter().filter_map(first_line);
    all.collect::<Vec<_>>().join(", ")
}

/// All workloads that were run with nothing before.
pub(crate) fn steady(results: &Results) -> impl Iterator<Item = &'static Workload> + '_ {
    WORKLOADS.iter().filter(|workload| {
        let key = |peer: &Kind| Key { workload: workload.name, peer: *peer, when: When::Steady };
        Kind::ALL.iter().any(|kind| results.has(key(kind)))
    })
}
