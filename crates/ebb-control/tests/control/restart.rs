//! What a start refuses, and what it takes up.

use std::sync::Arc;

use ebb_control::{Control, ControlError, Parts, Secret, Step};
use ebb_domain::Region;
use ebb_store::Store;
use ebb_volume::{Engine, MemoryEngine, OpId, VolumeId};
use tempfile::TempDir;

use crate::objects;
use crate::universe::Universe;
use crate::world::{DATABASE, Exports, World, region};

/// A new database beside an old pool would be the order to delete everything in it.
#[test]
fn a_new_database_beside_a_pool_with_volumes_is_refused() {
    let (folder, engine) = (TempDir::new().unwrap(), Arc::new(MemoryEngine::new()));
    engine.create_volume(OpId([1; 16]), VolumeId(1), 1 << 30, None).unwrap();
    let universe = Universe::default();
    let path = folder.path().join(DATABASE);
    let (archive, buckets) = objects::beside(&path);
    let started = Control::start(Parts {
        store: Store::open(&path).unwrap(),
        archive,
        buckets,
        converter: Arc::new(()),
        engine: Arc::clone(&engine) as _,
        exports: Arc::new(Exports::default()),
        clock: universe.clock,
        entropy: universe.entropy,
        regions: vec![Region { id: region() }],
        root_key: ("key".into(), Secret::new("secret")),
        master_key: ebb_kms::MasterKey::new([7; 32]),
        key_store: Arc::new(ebb_kms::EmbeddedKeys::new(
            ebb_kms::MasterKey::new([7; 32]),
            |bytes| bytes.fill(1),
        )),
        place: crate::world::place(),
        probe: Arc::new(|_| ()),
    });
    assert!(matches!(started, Err(ControlError::Mismatch(_))));
    assert_eq!(engine.inventory().unwrap().volumes.len(), 1);
}

#[test]
fn after_a_stop_everything_is_durable_and_nothing_is_taken() {
    let world = World::new();
    let base = world.base();
    world.control.stop().unwrap();
    assert!(world.control.health().is_err());
    let refused = world.control.create_disk(&world.root(), &crate::world::new_disk(20));
    assert!(matches!(refused, Err(ControlError::Unavailable(_))), "{refused:?}");
    let world = world.restart();
    world.control.health().unwrap();
    world.assert_content(&base.disk, crate::world::B);
    world.assert_at_rest();
    world.exercise();
}

/// A bug in one transition must not end the work on all others.
#[test]
fn a_worker_that_panics_takes_the_next_job() {
    let world = World::new();
    let instance = world.run_instance();
    world.probe.set(|step| {
        if step == Step::InstancePassed {
            std::panic::resume_unwind(Box::new("a bug"));
        }
    });
    // More often than there are workers.
    for _ in 0..10 {
        world.stop(&instance);
        world.start(&instance);
    }
    world.probe.clear();
    world.assert_at_rest();
    world.exercise();
}
