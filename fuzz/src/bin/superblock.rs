//! The pool's superblock.
#![no_main]

use ebb_fuzz::write_seeds;
use ebb_local::fuzzing::superblock::{check, seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
