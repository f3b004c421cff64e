//! What the server counts, in Prometheus's text format (exposition format 0.0.4).
//!
//! One series for each disk and command that was ever used since the server began. Written by hand,
//! as the numbers are kept elsewhere, by those who count: a library would count them again.
//!
//! Deliberately not here: what `/healthz` says, and what only SQL knows.

use std::fmt::Write;

use ebb_local::Stats;
use ebb_nbd::{ExportCounters, Exports, OperationCounters, latency_class_ends};

use crate::engine_args::EngineStats;

/// All of it, with what the engine counts.
pub(crate) fn text(exports: &Exports, engine: &EngineStats) -> String {
    let counted = exports.counted().into_iter();
    let disks: Vec<(String, ExportCounters)> = counted
        .filter_map(|disk| exports.counters(&disk).map(|counters| (disk, counters)))
        .collect();
    let mut page = Page(String::new());
    page.disks(&disks);
    match engine {
        EngineStats::Local(pool) => page.pool(pool),
        EngineStats::Rbd(rbd) => page.rbd(rbd),
    }
    page.0
}

struct Page(String);

impl Page {
    fn disks(&mut self, disks: &[(String, ExportCounters)]) {
        let counter = "counter";
        self.head("disk_operations_total", counter, "Requests that succeeded.");
        self.each("disk_operations_total", disks, |operation| operation.completed as f64);
        self.head("disk_errors_total", counter, "Requests that were refused or failed.");
        self.each("disk_errors_total", disks, |operation| operation.errors as f64);
        self.head("disk_bytes_total", counter, "Bytes that requests read, wrote or covered.");
        self.each("disk_bytes_total", disks, |operation| operation.bytes as f64);
        self.head("disk_latency_seconds", "histogram", "From a request to the disk's answer.");
        for (disk, counters) in disks {
            for (name, operation) in used(counters) {
                self.histogram(&labels(disk, name), operation);
            }
        }
        self.head("disk_requests_in_flight", "gauge", "Requests under way.");
        for (disk, counters) in disks {
            let labels = format!("disk=\"{disk}\"");
            self.line("disk_requests_in_flight", &labels, counters.in_flight as f64);
        }
        self.head("disk_connections", "gauge", "Connections that use the disk.");
        for (disk, counters) in disks {
            let labels = format!("disk=\"{disk}\"");
            self.line("disk_connections", &labels, counters.connections as f64);
        }
    }

    fn pool(&mut self, pool: &Stats) {
        let of_blocks = |blocks: u64| blocks * ebb_volume::BLOCK_BYTES;
        for (name, help, value) in [
            ("log_writes", "Records written to the log.", pool.log_writes),
            ("log_bytes", "Bytes written to the log.", pool.log_bytes),
            ("log_syncs", "Syncs of the log.", pool.log_syncs),
            ("segments_made", "Segments written ahead, of 16 MiB.", pool.segments_made),
            ("checkpoints", "Checkpoints that are durable.", pool.checkpoints),
            ("map_written_bytes", "Bytes of maps written.", of_blocks(pool.pages_written)),
            ("map_read_bytes", "Bytes of maps read.", of_blocks(pool.pages_read)),
            ("packed_bytes", "Bytes copied to free space.", of_blocks(pool.blocks_packed)),
            ("segments_given_back", "Segments given back to the host.", pool.extents_punched),
            ("scrubbed_bytes", "Bytes compared by scrubbing.", of_blocks(pool.blocks_scrubbed)),
            ("damaged_blocks", "Blocks that scrubbing found damaged.", pool.blocks_damaged),
        ] {
            let name = format!("pool_{name}_total");
            self.head(&name, "counter", help);
            self.line(&name, "", value as f64);
        }
    }

    fn rbd(&mut self, rbd: &ebb_rbd::Stats) {
        let (counter, gauge) = ("counter", "gauge");
        for (name, kind, help, value) in [
            ("images", gauge, "Images, as of the last minute.", rbd.images),
            ("clones", gauge, "Images that hang on another.", rbd.clones),
            ("depth_max", gauge, "Parents of the one with the most.", rbd.deepest),
            ("flattened_total", counter, "Clones that were flattened.", rbd.flattened),
            (
                "flatten_objects_total",
                counter,
                "Objects of 4 MiB copied to flatten clones.",
                rbd.objects_copied,
            ),
            (
                "flatten_objects_left",
                gauge,
                "Objects to copy of the clone that is being flattened.",
                rbd.objects_left,
            ),
            ("resets_in_place_total", counter, "Resets by a rollback.", rbd.resets_in_place),
            ("resets_by_clone_total", counter, "Resets by a clone.", rbd.resets_by_clone),
            ("reaper_backlog", gauge, "Images and snapshots to remove.", rbd.backlog),
            (
                "operations_remembered",
                gauge,
                "Operations kept for their repetition, as of the last hour.",
                rbd.operations,
            ),
            ("requests_in_flight", gauge, "Requests that librbd has.", rbd.in_flight),
            ("errors_total", counter, "Requests that librbd failed.", rbd.errors),
        ] {
            let name = format!("rbd_{name}");
            self.head(&name, kind, help);
            self.line(&name, "", value as f64);
        }
    }

    fn each(
        &mut self,
        name: &str,
        disks: &[(String, ExportCounters)],
        value: impl Fn(&OperationCounters) -> f64,
    ) {
        for (disk, counters) in disks {
            for (operation, counted) in used(counters) {
                self.line(name, &labels(disk, operation), value(counted));
            }
        }
    }

    fn histogram(&mut self, labels: &str, operation: &OperationCounters) {
        let mut below = 0;
        for (class, count) in operation.latency.iter().enumerate() {
            below += count;
            let end = latency_class_ends(class).map(|end| end.as_secs_f64().to_string());
            let end = end.unwrap_or_else(|| "+Inf".into());
            self.line(
                "disk_latency_seconds_bucket",
                &format!("{labels},le=\"{end}\""),
                below as f64,
            );
        }
        self.line("disk_latency_seconds_sum", labels, operation.took.as_secs_f64());
        self.line("disk_latency_seconds_count", labels, below as f64);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP ebbtide_{name} {help}\n# TYPE ebbtide_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "ebbtide_{name}{labels} {value}");
    }
}

/// Ids of disks have nothing in them that would have to be escaped.
fn labels(disk: &str, operation: &str) -> String {
    format!("disk=\"{disk}\",operation=\"{operation}\"")
}

/// The commands that were ever used.
fn used(counters: &ExportCounters) -> impl Iterator<Item = (&'static str, &OperationCounters)> {
    let is_used = |counted: &OperationCounters| counted.completed + counted.errors > 0;
    counters.operations().into_iter().filter(move |(_, counted)| is_used(counted))
}
