//! Requests as they come from the network.
#![no_main]

use ebb_api::fuzzing::{check, seeds};
use ebb_fuzz::write_seeds;

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
