//! Rounds, one after the other, on one data directory as long as it has room.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use ebb_nbd::client::Client;

use crate::actor::Actor;
use crate::cloud::{Cloud, until};
use crate::counts::Counts;
use crate::disk::{Numbers, Shape};
use crate::filesystem::Filesystem;
use crate::rng::Rng;
use crate::round::{self, Plan, Round, open_gates};
use crate::server::{Program, Server};
use crate::verify::Verifier;
use crate::world::World;

/// Few blocks, written often: a stale one is likely, and reading all of them is quick.
const SHAPE: Shape = Shape { writers: 3, places: 96 };
/// Together with [`DISKS`] half as much again as the small file system holds.
const SMALL_SHAPE: Shape = Shape { writers: 2, places: 12_288 };
const DISKS: usize = 3;
const SMALL_BYTES: u64 = 288 << 20;
/// What has to fit when all is deleted, and how it is written. The reserve, the log and the pages
/// leave little more.
const ROOM_BYTES: usize = 32 << 20;
const PIECE_BYTES: usize = 1 << 20;

/// A pool larger than this is followed by a new one: so much room a run takes at most.
const POOL_BYTES: u64 = 3 << 30;
/// Kills of one small file system: one before it is full, one after. Every start takes a segment,
/// so there can not be more unless space comes back.
const SMALL_KILLS: u64 = 2;
const SMALL_KILLS_WITH_SPACE_BACK: u64 = 12;

/// Rounds between two lines of progress.
const PROGRESS: u64 = 25;

pub(crate) struct Run {
    program: Program,
    folder: PathBuf,
    seed: u64,
    full: bool,
    expect_space_back: bool,
    numbers: Arc<Numbers>,
    pub(crate) counts: Counts,
    pub(crate) round: u64,
    kept: Option<String>,
}

/// A data directory, and the file system it is on.
struct Place {
    folder: PathBuf,
    data_dir: PathBuf,
    log: PathBuf,
    filesystem: Option<Filesystem>,
}

impl Run {
    pub(crate) fn new(
        program: Program,
        folder: PathBuf,
        seed: u64,
        full: bool,
        expect_space_back: bool,
    ) -> Self {
        Self {
            program,
            folder,
            seed,
            full,
            expect_space_back,
            numbers: Arc::default(),
            counts: Counts::default(),
            round: 0,
            kept: None,
        }
    }

    pub(crate) fn what_is_kept(&self) -> String {
        self.kept.clone().unwrap_or_else(|| "there was no data directory yet".into())
    }

    pub(crate) fn rounds(&mut self, rounds: u64) -> Result<()> {
        while self.round < rounds {
            let place = self.place()?;
            self.kept = Some(place.how_to_find());
            self.one_place(&place, rounds)?;
            place.remove()?;
            self.kept = None;
        }
        Ok(())
    }

    fn place(&self) -> Result<Place> {
        let folder = self.folder.join(format!("kill-{}-{}", self.seed, self.round));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let filesystem = match self.full {
            true => Some(Filesystem::mount(&folder, SMALL_BYTES)?),
            false => None,
        };
        let base = filesystem.as_ref().map_or(folder.as_path(), Filesystem::path);
        let (data_dir, log) = (base.join("data"), folder.join("server.log"));
        Ok(Place { folder, data_dir, log, filesystem })
    }

    /// Kills on one data directory, until there have been enough or it is large.
    fn one_place(&mut self, place: &Place, rounds: u64) -> Result<()> {
        let server = self.program.start(&place.data_dir, &place.log)?;
        let cloud = Cloud::new(&server.api, &place.data_dir)?;
        let mut world = self.furnish(&server, cloud)?;
        let mut server = Some(server);
        let first = self.round;
        while self.round < rounds && !self.is_used_up(place, self.round - first) {
            self.round += 1;
            let now = match server.take() {
                Some(server) => server,
                None => self.restart(place, &mut world)?,
            };
            let cloud = Cloud::new(&now.api, &place.data_dir)?;
            // The first kill of a small file system comes before it is full.
            let fill = self.full && self.round > first + 1;
            let plan = Plan { small: self.full, fill, seed: self.seed, number: self.round };
            let (its_world, counts) =
                round::run(&plan, now, cloud, world, Arc::clone(&self.numbers))?;
            world = its_world;
            self.counts += counts;
            if self.round.is_multiple_of(PROGRESS) {
                println!("round {}: {}", self.round, self.counts);
            }
        }
        let server = self.restart(place, &mut world)?;
        let cloud = Cloud::new(&server.api, &place.data_dir)?;
        self.verify(&mut world, &cloud, &server, true)?;
        if self.expect_space_back {
            self.space_comes_back(world, cloud, &server)?;
        }
        server.kill()
    }

    fn is_used_up(&self, place: &Place, kills: u64) -> bool {
        if self.full {
            let most =
                if self.expect_space_back { SMALL_KILLS_WITH_SPACE_BACK } else { SMALL_KILLS };
            return kills >= most;
        }
        let pool = fs::metadata(place.data_dir.join("pool.dat"));
        pool.is_ok_and(|pool| pool.len() > POOL_BYTES)
    }

    /// Starts the server again, and verifies. Now and then it is killed while it starts, first;
    /// but not where a start takes space that does not come back.
    fn restart(&mut self, place: &Place, world: &mut World) -> Result<Server> {
        let mut rng = Rng::new(self.seed, [self.round, 0, 2]);
        if rng.percent(10) && (!self.full || self.expect_space_back) {
            let after = rng.millis(1, 40);
            self.program.start_and_kill(&place.data_dir, &place.log, after)?;
            self.counts.kills_in_start += 1;
        }
        let server = self.program.start(&place.data_dir, &place.log).context("after the kill")?;
        let cloud = Cloud::new(&server.api, &place.data_dir)?;
        self.verify(world, &cloud, &server, false)?;
        Ok(server)
    }

    fn verify(
        &mut self,
        world: &mut World,
        cloud: &Cloud,
        server: &Server,
        all_snapshots: bool,
    ) -> Result<()> {
        let rng = Rng::new(self.seed, [self.round, 0, 3]);
        let (nbd, numbers, counts) = (&server.nbd, &self.numbers, &mut self.counts);
        let mut verifier = Verifier { world, cloud, nbd, numbers, rng, counts };
        verifier.run(all_snapshots).context("after the kill")
    }

    /// A caller that nobody kills.
    fn caller(&self, server: &Server, cloud: Cloud, world: World) -> Actor {
        let round = Round::new(server.nbd.clone(), Arc::clone(&self.numbers), self.full);
        let rng = Rng::new(self.seed, [self.round, 0, 4]);
        Actor { world, cloud, round, rng, counts: Counts::default() }
    }

    /// Disks on an instance, and a snapshot of each.
    fn furnish(&mut self, server: &Server, cloud: Cloud) -> Result<World> {
        let shape = if self.full { SMALL_SHAPE } else { SHAPE };
        let (instance, disks, snapshots) = (cloud.run_instance()?, Vec::new(), Vec::new());
        let world = World { shape, instance, disks, snapshots, pending: None };
        let mut caller = self.caller(server, cloud, world);
        for _ in 0..DISKS {
            caller.create_disk(None)?;
        }
        for disk in caller.world.disks.clone() {
            caller.create_snapshot(&disk)?;
        }
        self.counts += caller.counts;
        Ok(caller.world)
    }

    /// Deletes everything; then there is room for another disk's data.
    fn space_comes_back(&mut self, world: World, cloud: Cloud, server: &Server) -> Result<()> {
        open_gates(&world);
        let mut caller = self.caller(server, cloud, world);
        for snapshot in caller.world.snapshots.clone() {
            caller.delete_snapshot(&snapshot)?;
        }
        for disk in caller.world.disks.clone() {
            caller.delete_disk(&disk)?;
        }
        caller.create_disk(None)?;
        let disk = caller.world.disks.first().context("a disk was created")?;
        let mut client = Client::connect_tcp(&server.nbd, &disk.id)?;
        let data = vec![1; PIECE_BYTES];
        for offset in (0..ROOM_BYTES).step_by(PIECE_BYTES) {
            until(|| {
                let written = client.write(offset as u64, &data).and_then(|()| client.flush());
                Ok(written.map_err(|error| format!("everything was deleted: {error}")))
            })?;
        }
        Ok(())
    }
}

impl Place {
    fn how_to_find(&self) -> String {
        let mount = self.filesystem.as_ref().map(|f| format!(" (after `{}`)", f.how_to_mount()));
        let (data, log) = (self.data_dir.display(), self.log.display());
        format!("kept: {data}{}, its server's log: {log}", mount.unwrap_or_default())
    }

    fn remove(self) -> Result<()> {
        if let Some(filesystem) = self.filesystem {
            filesystem.unmount()?;
        }
        remove(&self.folder)
    }
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
