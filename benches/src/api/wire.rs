//! Requests over kept connections, by HTTP/1.1, with nothing but a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ebb_bench::Failure;

/// A connection that is kept for as long as the server keeps it.
pub(crate) struct Connection {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Sends a request and reads its answer: the status and the body.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.address)?,
        };
        stream.get_mut().write_all(request)?;
        let head = Head::read(&mut stream)?;
        let mut body = vec![0; head.length];
        stream.read_exact(&mut body)?;
        self.stream = (!head.closes).then_some(stream);
        Ok((head.status, body))
    }
}

fn connect(address: &str) -> Result<BufReader<TcpStream>, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

/// What matters here of an answer's head.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    length: usize,
    closes: bool,
}

impl Head {
    fn read(stream: &mut BufReader<TcpStream>) -> Result<Self, Failure> {
        let mut head = Self::default();
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err("the server closed a connection before it answered".into());
            }
            let text = line.trim_end();
            match text.split_once(':') {
                None if text.is_empty() => return Ok(head),
                None => head.status = text.split(' ').nth(1).unwrap_or_default().parse()?,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    head.length = value.trim().parse()?;
                }
                Some((name, value)) if name.eq_ignore_ascii_case("connection") => {
                    head.closes = value.trim().eq_ignore_ascii_case("close");
                }
                Some(_) => {}
            }
        }
    }
}

/// How many of these requests are answered in a second, over so many connections at once. Every
/// answer must have the status that is expected.
pub(crate) fn calls_a_second(
    address: &str,
    requests: &[Vec<u8>],
    connections: usize,
    expected: u16,
) -> Result<f64, Failure> {
    let share = requests.len().div_ceil(connections).max(1);
    let mut kept: Vec<_> = (0..connections).map(|_| Connection::new(address)).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let each = kept.iter_mut().zip(requests.chunks(share));
        let threads: Vec<_> = each
            .map(|(connection, requests)| {
                scope.spawn(move || -> Result<(), Failure> {
                    for request in requests {
                        let (status, body) = connection.exchange(request)?;
                        if status != expected {
                            let text = String::from_utf8_lossy(&body);
                            return Err(format!("answered {status}: {text}").into());
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a sender does not panic"))
    })?;
    Ok(requests.len() as f64 / begun.elapsed().as_secs_f64())
}
