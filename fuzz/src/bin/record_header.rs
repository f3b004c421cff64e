//! The header of a record of the log.
#![no_main]

use ebb_fuzz::write_seeds;
use ebb_local::fuzzing::record::{check, seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
