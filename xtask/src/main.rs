//! The project's own tool: `cargo xtask <command>`.

fn main() {}
