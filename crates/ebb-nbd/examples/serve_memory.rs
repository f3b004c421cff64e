//! Serves one volume in memory, named `memory`, until it is killed: to try NBD clients by hand.
//!
//! `cargo run -p ebb-nbd --release --example serve_memory -- 127.0.0.1:10809 64`, then
//! `nbdinfo nbd://127.0.0.1:10809/memory`. The arguments are the address and the size in MiB; a
//! third one, `elsewhere`, has every request complete on another thread.

#![allow(clippy::unwrap_used, reason = "an example to try by hand")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/nbd/volume.rs"]
mod volume;

use std::net::TcpListener;
use std::sync::Arc;

use ebb_nbd::{Exports, Limits, Server};
use volume::{MemoryVolume, When};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:10809".into());
    let mebibytes: usize = arguments.next().map_or(64, |text| text.parse().unwrap());
    let elsewhere = arguments.next().is_some_and(|text| text == "elsewhere");

    let volume = MemoryVolume::new(mebibytes << 20);
    volume.completes(if elsewhere { When::Elsewhere } else { When::FlushElsewhere });
    let exports = Arc::new(Exports::new());
    exports.publish("memory", volume);
    let server = Server::start(exports, Limits::default());
    let listener = TcpListener::bind(address).unwrap();
    println!("nbd://{}/memory", listener.local_addr().unwrap());
    server.listen_tcp(listener).unwrap();
    loop {
        std::thread::park();
    }
}
