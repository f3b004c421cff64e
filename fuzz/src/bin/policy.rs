//! RAM policy documents.
#![no_main]

use ebb_fuzz::policy::{check, seeds};
use ebb_fuzz::write_seeds;

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
