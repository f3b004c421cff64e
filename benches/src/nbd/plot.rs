//! A plot of the same figures: for each workload a bar for each server, as a share of the fastest.

use std::fmt::Write;

use crate::peers::Kind;
use crate::report::steady;
use crate::results::{Key, Results, When};

const COLORS: &[&str] =
    &["#c8c8c8", "#7aa6c2", "#b48ead", "#8f6f96", "#5f4b66", "#a3be8c", "#d9632a"];
const BAR: usize = 9;
const LEFT: usize = 340;
const WIDTH: usize = 520;
const TOP: usize = 40;

/// The plot as a file.
pub(crate) fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for workload in steady(results) {
        let rates: Vec<(usize, f64)> = (0..)
            .zip(Kind::ALL)
            .filter_map(|(n, peer)| {
                let key = Key { workload: workload.name, peer: *peer, when: When::Steady };
                Some((n, results.median(key)?.per_second))
            })
            .collect();
        let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let middle = y + rates.len() * BAR / 2 + 4;
        // Writing to a string does not fail.
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#,
            LEFT - 8,
            workload.name
        );
        for (n, rate) in rates {
            let width = rate / most * WIDTH as f64;
            let (color, high) = (COLORS[n % COLORS.len()], BAR - 1);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{high}" fill="{color}"/>"#
            );
            y += BAR;
        }
        y += BAR;
    }
    let mut legend = String::new();
    let mut x = 10;
    for (kind, color) in Kind::ALL.iter().zip(COLORS) {
        let (name, text_x) = (kind.name(), x + 14);
        let _ = write!(legend, r#"<rect x="{x}" y="12" width="10" height="10" fill="{color}"/>"#);
        let _ = writeln!(legend, r#"<text x="{text_x}" y="21">{name}</text>"#);
        x += 30 + name.len() * 6;
    }
    let (width, height) = (LEFT + WIDTH + 20, y + 10);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{legend}{body}</svg>\n"
    )
}
