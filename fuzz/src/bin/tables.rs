//! The tables of a checkpoint.
#![no_main]

use ebb_fuzz::write_seeds;
use ebb_local::fuzzing::tables::{check, seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
