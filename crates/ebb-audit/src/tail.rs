//! Where a file's last whole line ends, read from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// First read this much; a line is rarely longer.
const STEP: u64 = 64 << 10;

/// The end of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last whole line with its end; empty where there is none.
    pub(crate) line: Vec<u8>,
    /// Where it ends.
    pub(crate) end: u64,
    /// What follows it: a line whose write was cut short.
    pub(crate) torn: u64,
}

impl Tail {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut step = STEP;
        loop {
            let from = length.saturating_sub(step);
            let mut bytes = vec![0; (length - from) as usize];
            file.read_exact_at(&mut bytes, from)?;
            if let Some(tail) = Self::within(&bytes, from) {
                return Ok(tail);
            }
            step *= 2;
        }
    }

    /// What the bytes from `from` to the end tell, unless the last line begins before them.
    fn within(bytes: &[u8], from: u64) -> Option<Self> {
        let newline = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n');
        let Some(last) = newline(bytes) else {
            let torn = bytes.len() as u64;
            return (from == 0).then_some(Self { line: Vec::new(), end: 0, torn });
        };
        let start = match newline(&bytes[..last]) {
            Some(before) => before + 1,
            None if from == 0 => 0,
            None => return None,
        };
        let end = last + 1;
        Some(Self {
            line: bytes[start..end].to_vec(),
            end: from + end as u64,
            torn: (bytes.len() - end) as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_whole_line_is_found_however_long() {
        for (before, line, torn) in
            [(0, 0, 0), (0, 0, 9), (0, 5, 0), (7, 5, 3), (200_000, 150_000, 99_000), (3, 65_536, 0)]
        {
            let text = |bytes: usize, kind: &str| match bytes {
                0 => String::new(),
                more => kind.repeat(more - 1) + "\n",
            };
            let mut file = tempfile::tempfile().unwrap();
            let line = text(line, "l");
            let all = text(before, "b") + &line + &"t".repeat(torn);
            file.write_all(all.as_bytes()).unwrap();
            let end = (before + line.len()) as u64;
            let expected = Tail { line: line.into_bytes(), end, torn: torn as u64 };
            assert_eq!(Tail::of(&file).unwrap(), expected);
        }
    }
}
