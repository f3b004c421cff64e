//! The ebb program.

fn main() {}
