//! Pages of maps: leaves and inner pages.
#![no_main]

use ebb_fuzz::write_seeds;
use ebb_local::fuzzing::page::{check, seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
