//! NBD until an export is used.
#![no_main]

use ebb_fuzz::handshake::{check, seeds};
use ebb_fuzz::write_seeds;

libfuzzer_sys::fuzz_target!(init: write_seeds(&seeds()), |input: &[u8]| check(input));
