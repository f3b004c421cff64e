//! moto's server, which imitates EC2: what people use now for tests without a cloud. It closes each
//! connection after its answer.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ebb_bench::Failure;

use crate::wire::Connection;

/// A running server with one volume; it is ended with this.
pub(crate) struct Moto {
    process: Child,
    address: String,
}

impl Moto {
    pub(crate) fn start(python: &Path, folder: &Path) -> Result<Self, Failure> {
        // A free port, by asking for one: moto does not say which it took.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(folder.join("moto.log"))?;
        let process = Command::new(python)
            .args(["-m", "moto.server", "--host", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let moto = Self { process, address: format!("127.0.0.1:{port}") };
        for _ in 0..600 {
            if TcpStream::connect(&moto.address).is_ok() {
                let volume = "Action=CreateVolume&Size=20&AvailabilityZone=us-east-1a";
                let request = form(&moto.address, volume);
                Connection::new(&moto.address).exchange(&request)?;
                return Ok(moto);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("moto's server did not start".into())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn request(address: &str) -> Vec<u8> {
        form(address, "Action=DescribeVolumes")
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// moto finds the service by the signature's credential and does not check it.
fn form(address: &str, body: &str) -> Vec<u8> {
    let body = format!("{body}&Version=2016-11-15");
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/ec2/aws4_request, \
         SignedHeaders=host, Signature=none\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
