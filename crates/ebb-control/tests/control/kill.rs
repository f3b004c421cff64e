//! The machine stops at every step of every call, and starts again.
//!
//! A kill runs no destructor, so it is not played by a panic alone. At each step the probe copies
//! what is on the disk: the database with its log, and what the engine has. A new control plane on
//! the copies is the process after `kill -9` there. Older records with a newer engine are the same
//! after a power loss, which takes back unsynced commits.
//!
//! A panic is tried too: there the destructors run, and the same must hold.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ebb_control::Step;
use ebb_objects::{Bucket, FolderBucket};
use ebb_volume::MemoryEngine;
use tempfile::TempDir;

use crate::scenarios::{ALL, Reached, Scenario};
use crate::universe::Universe;
use crate::world::{Base, DATABASE, World, until};

/// What is on the disk at one moment.
struct Image {
    records: TempDir,
    /// Synced object by object, so that no power loss takes any of it back.
    archive: TempDir,
    engine: MemoryEngine,
}

impl Image {
    fn take(folder: &std::path::Path, engine: &MemoryEngine) -> Self {
        let archive = TempDir::new().unwrap();
        copy_archive(folder, archive.path());
        Self { records: copy(folder), archive, engine: engine.reopen() }
    }
}

fn copy(folder: &std::path::Path) -> TempDir {
    let records = TempDir::new().unwrap();
    for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
        if folder.join(&name).exists() {
            fs::copy(folder.join(&name), records.path().join(&name)).unwrap();
        }
    }
    records
}

/// The archive of one folder, into that of another.
fn copy_archive(from: &std::path::Path, to: &std::path::Path) {
    let (from, to) = (FolderBucket::open(&from.join("archive")).unwrap(), to.join("archive"));
    fs::create_dir_all(&to).unwrap();
    let to = FolderBucket::open(&to).unwrap();
    for name in from.list("").unwrap() {
        let bytes = from.read(&name, 0..u64::MAX).unwrap();
        let mut upload = to.create(&name, bytes.len() as u64).unwrap();
        upload.write(&bytes).unwrap();
        upload.finish().unwrap();
    }
}

/// Runs the call once: an image before it, at each step, and after the answer and all its work.
fn images(scenario: &Scenario) -> (Base, Vec<Image>, Universe) {
    let world = World::in_files();
    let mut base = world.base();
    (scenario.prepare)(&world, &mut base);
    world.assert_at_rest();
    let folder = world.folder.path().to_owned();
    let mut images = vec![Image::take(&folder, &world.engine.inner)];
    let passed: Arc<Mutex<Vec<(Step, Image)>>> = Arc::default();
    world.probe.set({
        let (passed, engine) = (Arc::clone(&passed), world.engine.inner.share());
        let folder = folder.clone();
        move |step| {
            let image = Image::take(&folder, &engine);
            passed.lock().unwrap().push((step, image));
        }
    });
    (scenario.act)(&world, &base);
    until("every step is passed", || passed.lock().unwrap().len() >= scenario.steps.len());
    world.assert_at_rest();
    world.probe.clear();
    let (steps, at_steps): (Vec<_>, Vec<_>) = passed.lock().unwrap().drain(..).unzip();
    assert_eq!(steps, scenario.steps, "{}", scenario.name);
    images.extend(at_steps);
    images.push(Image::take(&folder, &world.engine.inner));
    let universe = world.universe.clone();
    drop(world);
    (base, images, universe)
}

fn check(world: &World, scenario: &Scenario, base: &Base, reached: Reached) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        world.assert_at_rest();
        (scenario.check)(world, base, reached);
        world.exercise();
    }));
    if let Err(panic) = outcome {
        eprintln!("while: {}, at {reached:?} of {:?}", scenario.name, scenario.steps);
        resume_unwind(panic);
    }
}

#[test]
fn a_kill_or_a_power_loss_leaves_everything_before_or_after() {
    for scenario in ALL {
        let (base, images, universe) = images(scenario);
        for (engine, image) in images.iter().enumerate() {
            let oldest = (scenario.synced)(engine);
            for (records, older) in images.iter().enumerate().take(engine + 1).skip(oldest) {
                let folder = copy(older.records.path());
                copy_archive(image.archive.path(), folder.path());
                let world = World::on(folder, image.engine.reopen(), universe.clone());
                check(&world, scenario, &base, Reached { records, engine });
            }
        }
    }
}

#[test]
fn a_panic_leaves_everything_before_or_after_for_the_next_start() {
    for scenario in ALL {
        for fatal in 1..=scenario.steps.len() {
            let world = World::new();
            let mut base = world.base();
            (scenario.prepare)(&world, &mut base);
            let passed = Arc::new(AtomicUsize::new(0));
            world.probe.set({
                let passed = Arc::clone(&passed);
                // Quietly: the hook that prints panics is not called.
                move |_| {
                    if passed.fetch_add(1, Ordering::SeqCst) + 1 == fatal {
                        resume_unwind(Box::new("killed"));
                    }
                }
            });
            // The panic is here, or in a worker after the answer.
            let _ = catch_unwind(AssertUnwindSafe(|| (scenario.act)(&world, &base)));
            until("the step is reached", || passed.load(Ordering::SeqCst) >= fatal);
            let world = world.restart();
            check(&world, scenario, &base, Reached { records: fatal, engine: fatal });
        }
    }
}

#[test]
fn every_step_is_tried() {
    let tried: HashSet<Step> = ALL.iter().flat_map(|scenario| scenario.steps).copied().collect();
    let missing: Vec<Step> = Step::ALL.into_iter().filter(|step| !tried.contains(step)).collect();
    assert_eq!(missing, []);
}
