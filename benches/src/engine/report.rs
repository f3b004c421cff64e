//! The table, and the numbers in it.

use std::time::Duration;

use crate::load::Rate;
use crate::{GIB, KIB, MIB};

pub(crate) fn head() {
    println!("| | measured | target |\n|---|---|---|");
}

pub(crate) fn row(what: &str, measured: &str, target: &str) {
    println!("| {what} | {measured} | {target} |");
}

/// The value below which a part of all lies; of several rounds the median is 0.5.
pub(crate) fn quantile<T: Copy + PartialOrd>(values: &[T], part: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("no value is NaN"));
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    quantile(values, 0.5)
}

pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// The middle one, and the one that 99 of 100 are below.
pub(crate) fn p50_p99(times: &[Duration]) -> String {
    format!("{}, {}", ms(quantile(times, 0.5)), ms(quantile(times, 0.99)))
}

/// Operations a second, and in a second of a core.
pub(crate) fn rate(rate: Rate) -> String {
    let thousands = |requests: f64| format!("{:.0}k", requests / 1000.0);
    let (time, cpu) = (thousands(rate.per_second), thousands(rate.per_cpu_second));
    format!("{time}/s, {cpu} for each CPU second")
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        GIB.. => format!("{:.2} GiB", bytes as f64 / GIB as f64),
        MIB.. => format!("{:.1} MiB", bytes as f64 / MIB as f64),
        _ => format!("{:.1} KiB", bytes as f64 / KIB as f64),
    }
}
