//! The servers that are measured. Each serves a disk of 8 GiB over a Unix socket.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_bench::cloud::Machine;
use ebb_bench::server::Server;

const SIZE_GIB: u64 = 8;
/// A file system for images that share blocks.
const XFS_GIB: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(20);

/// What can be done to a disk that has snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Snapshot,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The protocol's ceiling: it stores nothing.
    Null,
    File,
    QemuNone,
    Qemu,
    Qcow2,
    Xfs,
    Ebbtide,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[
        Self::Null,
        Self::File,
        Self::QemuNone,
        Self::Qemu,
        Self::Qcow2,
        Self::Xfs,
        Self::Ebbtide,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "nbdkit null",
            Self::File => "nbdkit file",
            Self::QemuNone => "qemu-nbd raw, cache=none",
            Self::Qemu => "qemu-nbd raw",
            Self::Qcow2 => "qemu-nbd qcow2",
            Self::Xfs => "nbdkit file, XFS on loop",
            Self::Ebbtide => "Ebbtide",
        }
    }

    /// Whether it keeps what is written.
    pub(crate) fn stores(self) -> bool {
        self != Self::Null
    }

    pub(crate) fn has_snapshots(self) -> bool {
        matches!(self, Self::Qcow2 | Self::Xfs | Self::Ebbtide)
    }
}

/// One server and its disk.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    folder: PathBuf,
    program: String,
    state: State,
    /// The last snapshot: of Ebbtide its id, of others its name.
    snapshot: Option<String>,
    snapshots: u64,
}

enum State {
    Stopped,
    Process(#[expect(dead_code, reason = "it is ended with this")] Process),
    Ebbtide(Box<Server>, Machine),
}

/// A server of a file; it is ended with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.state = State::Stopped;
        if self.kind == Kind::Xfs {
            let _ = Command::new("umount").arg(self.folder.join("xfs")).status();
        }
    }
}

impl Peer {
    /// Makes the disk in a folder of its own, and starts the server.
    pub(crate) async fn new(kind: Kind, folder: &Path, program: &str) -> Result<Self, Failure> {
        let folder = folder.join(format!("{kind:?}").to_lowercase());
        std::fs::create_dir(&folder)?;
        let (program, state) = (program.to_owned(), State::Stopped);
        let mut peer = Self { kind, folder, program, state, snapshot: None, snapshots: 0 };
        peer.make_image()?;
        match kind {
            Kind::Ebbtide => {
                let server = Server::start(&peer.program, &peer.folder)?;
                let machine = Machine::new(&server, SIZE_GIB).await?;
                peer.state = State::Ebbtide(Box::new(server), machine);
            }
            _ => peer.start_process()?,
        }
        Ok(peer)
    }

    /// Where it is served.
    pub(crate) fn uri(&self) -> String {
        let (name, socket) = match &self.state {
            State::Ebbtide(server, machine) => (machine.disk.as_str(), server.socket().to_owned()),
            _ => ("", self.socket()),
        };
        format!("nbd+unix:///{name}?socket={}", socket.display())
    }

    /// Starts it anew, with all caches dropped.
    pub(crate) async fn cool(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Ebbtide(server, machine) => {
                drop(server);
                drop_caches()?;
                let server = Server::start(&self.program, &self.folder)?;
                self.state = State::Ebbtide(Box::new(server), machine);
            }
            process => {
                drop(process);
                drop_caches()?;
                self.start_process()?;
            }
        }
        Ok(())
    }

    /// Takes a snapshot in place of the last one, or sets the disk back to that.
    pub(crate) async fn apply(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Snapshot => self.take_snapshot().await,
            Event::Reset => self.reset().await,
        }
    }

    async fn take_snapshot(&mut self) -> Result<(), Failure> {
        let old = self.snapshot.take();
        self.snapshots += 1;
        let new = format!("s{}", self.snapshots);
        if let State::Ebbtide(server, machine) = &self.state {
            let new = machine.snapshot(server).await?;
            if let Some(old) = old {
                server.call("DeleteSnapshot", &[("SnapshotId", &old)]).await?;
            }
            self.snapshot = Some(new);
            return Ok(());
        }
        self.state = State::Stopped;
        if let (Kind::Qcow2, Some(old)) = (self.kind, &old) {
            self.qemu_img_snapshot("-d", old)?;
        }
        match self.kind {
            Kind::Qcow2 => self.qemu_img_snapshot("-c", &new)?,
            _ => self.reflink(&self.image(), &self.image().with_extension("snapshot"))?,
        }
        self.snapshot = Some(new);
        self.start_process()
    }

    async fn reset(&mut self) -> Result<(), Failure> {
        if self.snapshot.is_none() {
            self.take_snapshot().await?;
        }
        let snapshot = self.snapshot.clone().ok_or("there is no snapshot")?;
        if let State::Ebbtide(server, machine) = &self.state {
            machine.stop(server).await?;
            machine.reset(server, &snapshot).await?;
            return machine.start(server).await;
        }
        self.state = State::Stopped;
        match self.kind {
            Kind::Qcow2 => self.qemu_img_snapshot("-a", &snapshot)?,
            _ => self.reflink(&self.image().with_extension("snapshot"), &self.image())?,
        }
        self.start_process()
    }

    fn qemu_img_snapshot(&self, what: &str, name: &str) -> Result<(), Failure> {
        run(Command::new("qemu-img").args(["snapshot", what, name]).arg(self.image()))
    }

    fn reflink(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        run(Command::new("cp").args(["--reflink=always", "--remove-destination"]).args([from, to]))
    }

    fn image(&self) -> PathBuf {
        match self.kind {
            Kind::Xfs => self.folder.join("xfs/image"),
            _ => self.folder.join("image"),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn make_image(&self) -> Result<(), Failure> {
        let size = format!("{SIZE_GIB}G");
        match self.kind {
            Kind::Null | Kind::Ebbtide => Ok(()),
            Kind::Qcow2 => {
                let make = ["create", "-q", "-f", "qcow2"];
                run(Command::new("qemu-img").args(make).arg(self.image()).arg(size))
            }
            Kind::Xfs => {
                let (disk, at) = (self.folder.join("disk"), self.folder.join("xfs"));
                std::fs::File::create(&disk)?.set_len(XFS_GIB << 30)?;
                std::fs::create_dir(&at)?;
                run(Command::new("mkfs.xfs").arg("-q").arg(&disk))?;
                run(Command::new("mount").args(["-o", "loop"]).args([&disk, &at]))?;
                Ok(std::fs::File::create(self.image())?.set_len(SIZE_GIB << 30)?)
            }
            Kind::File | Kind::QemuNone | Kind::Qemu => {
                Ok(std::fs::File::create(self.image())?.set_len(SIZE_GIB << 30)?)
            }
        }
    }

    fn start_process(&mut self) -> Result<(), Failure> {
        let socket = self.socket();
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new(match self.kind {
            Kind::Null | Kind::File | Kind::Xfs => "nbdkit",
            _ => "qemu-nbd",
        });
        match self.kind {
            Kind::Null => command.args(["-f", "-U"]).arg(&socket).args(["null", "8G"]),
            Kind::File | Kind::Xfs => {
                command.args(["-f", "-U"]).arg(&socket).arg("file").arg(self.image())
            }
            _ => command.args(["-t", "-e", "16", "-k"]).arg(&socket),
        };
        match self.kind {
            Kind::QemuNone => command.args(["-f", "raw", "--cache=none"]).arg(self.image()),
            Kind::Qemu => command.args(["-f", "raw"]).arg(self.image()),
            Kind::Qcow2 => command.args(["-f", "qcow2"]).arg(self.image()),
            _ => &mut command,
        };
        // Among others what it says of the connections below, which ask nothing.
        let log = std::fs::File::create(self.folder.join("log"))?;
        let process = Process(command.stdout(Stdio::null()).stderr(log).spawn()?);
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{command:?} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.state = State::Process(process);
        Ok(())
    }
}

fn drop_caches() -> Result<(), Failure> {
    run(&mut Command::new("sync"))?;
    Ok(std::fs::write("/proc/sys/vm/drop_caches", "3")?)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
