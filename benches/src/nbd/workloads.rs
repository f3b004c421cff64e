//! What guests do: the lines that fio is given.

/// How the working set was written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// From its beginning to its end.
    InOrder,
    /// Each block once, in random order.
    Scattered,
}

/// What a peer is compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aim {
    /// Of `nbdkit file`.
    OfFile(f64),
    /// Of `nbdkit file`, and of `nbdkit null`.
    OfFileAndNull(f64, f64),
    /// None.
    None,
}

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// fio's words; those of every workload come before.
    pub(crate) words: &'static [&'static str],
    pub(crate) layout: Layout,
    /// With the caches of the kernel and of the servers dropped.
    pub(crate) cold: bool,
    pub(crate) aim: Aim,
    /// What of it fio counts: bytes a second say more than requests where they are large.
    pub(crate) in_bytes: bool,
}

impl Workload {
    pub(crate) fn writes(&self) -> bool {
        self.words.iter().any(|word| ["--rw=write", "--rw=randwrite", "--rw=randrw"].contains(word))
    }
}

const fn small(name: &'static str, words: &'static [&'static str], aim: Aim) -> Workload {
    Workload { name, words, layout: Layout::Scattered, cold: false, aim, in_bytes: false }
}

const fn large(
    name: &'static str,
    words: &'static [&'static str],
    layout: Layout,
    aim: Aim,
) -> Workload {
    Workload { name, words, layout, cold: false, aim, in_bytes: true }
}

/// All of them, those in the order written first. Cold ones come last, as they disturb the others.
pub(crate) const WORKLOADS: &[Workload] = &[
    large(
        "sequential read 128 KiB",
        &["--rw=read", "--bs=128k", "--iodepth=32"],
        Layout::InOrder,
        Aim::OfFile(0.8),
    ),
    large(
        "sequential read 1 MiB",
        &["--rw=read", "--bs=1m", "--iodepth=8"],
        Layout::InOrder,
        Aim::OfFile(0.8),
    ),
    large(
        "sequential write 128 KiB, a sync every 64 MiB",
        &["--rw=write", "--bs=128k", "--iodepth=32", "--fsync=512"],
        Layout::InOrder,
        Aim::OfFile(0.9),
    ),
    large(
        "sequential write 1 MiB, a sync every 64 MiB",
        &["--rw=write", "--bs=1m", "--iodepth=8", "--fsync=64"],
        Layout::InOrder,
        Aim::OfFile(0.9),
    ),
    Workload {
        name: "sequential read 128 KiB, cold",
        words: &["--rw=read", "--bs=128k", "--iodepth=32"],
        layout: Layout::InOrder,
        cold: true,
        aim: Aim::OfFile(0.9),
        in_bytes: true,
    },
    large(
        "sequential read 128 KiB, after random overwrites",
        &["--rw=read", "--bs=128k", "--iodepth=32"],
        Layout::Scattered,
        Aim::OfFile(0.3),
    ),
    large(
        "sequential read 1 MiB, after random overwrites",
        &["--rw=read", "--bs=1m", "--iodepth=8"],
        Layout::Scattered,
        Aim::OfFile(0.3),
    ),
    small("random read 4 KiB, depth 1", &["--rw=randread", "--iodepth=1"], Aim::None),
    small(
        "random read 4 KiB, depth 1, 4 connections",
        &["--rw=randread", "--iodepth=1", "--numjobs=4"],
        Aim::None,
    ),
    small("random read 4 KiB, depth 32", &["--rw=randread", "--iodepth=32"], Aim::OfFile(1.2)),
    small(
        "random read 4 KiB, depth 32, 4 connections",
        &["--rw=randread", "--iodepth=32", "--numjobs=4"],
        Aim::OfFile(1.2),
    ),
    small("random write 4 KiB, depth 1", &["--rw=randwrite", "--iodepth=1"], Aim::None),
    small(
        "random write 4 KiB, depth 1, 4 connections",
        &["--rw=randwrite", "--iodepth=1", "--numjobs=4"],
        Aim::None,
    ),
    small(
        "random write 4 KiB, depth 32",
        &["--rw=randwrite", "--iodepth=32"],
        Aim::OfFileAndNull(2.0, 0.9),
    ),
    small(
        "random write 4 KiB, depth 32, 4 connections",
        &["--rw=randwrite", "--iodepth=32", "--numjobs=4"],
        Aim::OfFileAndNull(2.0, 0.9),
    ),
    small(
        "random 4 KiB, 70 % reads, depth 32",
        &["--rw=randrw", "--rwmixread=70", "--iodepth=32"],
        Aim::None,
    ),
    small(
        "random write 4 KiB + flush, depth 1",
        &["--rw=randwrite", "--iodepth=1", "--fsync=1"],
        Aim::OfFile(1.5),
    ),
    Workload {
        name: "random read 4 KiB, depth 1, cold",
        words: &["--rw=randread", "--iodepth=1"],
        layout: Layout::Scattered,
        cold: true,
        aim: Aim::OfFile(0.9),
        in_bytes: false,
    },
    Workload {
        name: "random read 4 KiB, depth 32, cold",
        words: &["--rw=randread", "--iodepth=32"],
        layout: Layout::Scattered,
        cold: true,
        aim: Aim::OfFile(0.9),
        in_bytes: false,
    },
];
