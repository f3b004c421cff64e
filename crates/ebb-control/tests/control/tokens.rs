//! The same request again, with the same token, makes nothing twice and answers nothing early.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ebb_control::{ClientToken, ControlError};
use ebb_domain::Denied;

use crate::engine::Call;
use crate::world::{Base, World, denied, new_disk, new_instance, new_snapshot};

/// Makes something with a token and answers its id.
type Make = fn(&World, &Base, ClientToken) -> Result<String, ControlError>;

/// The operation, how it is called, and the engine's part of it.
type Row = (&'static str, Make, fn(Call) -> bool);

const MAKES: [Row; 3] = [
    (
        "CreateDisk",
        |world, _, token| {
            let mut request = new_disk(20);
            request.token = Some(token);
            Ok(world.control.create_disk(&world.root(), &request)?.to_string())
        },
        |call| matches!(call, Call::Create(_)),
    ),
    (
        "CreateSnapshot",
        |world, base, token| {
            let mut request = new_snapshot(&base.disk);
            request.token = Some(token);
            Ok(world.control.create_snapshot(&world.scope(), &request)?.to_string())
        },
        |call| matches!(call, Call::Snapshot(..)),
    ),
    (
        "RunInstances",
        |world, _, token| {
            let mut request = new_instance();
            request.token = Some(token);
            let ids = world.control.run_instances(&world.root(), &request)?;
            assert_eq!(ids.len(), 1);
            Ok(ids[0].to_string())
        },
        |call| matches!(call, Call::Create(_)),
    ),
];

fn token(action: &'static str, text: &str, request: u8) -> ClientToken {
    ClientToken { action, token: text.into(), fingerprint: [request; 32] }
}

fn count(world: &World) -> usize {
    world.disks().len() + world.snapshots().len() + world.instances().len()
}

#[test]
fn the_same_token_makes_one() {
    for (action, make, _) in MAKES {
        let world = World::new();
        let base = world.base();
        let first = make(&world, &base, token(action, "t", 1)).unwrap();
        let made = count(&world);
        assert_eq!(make(&world, &base, token(action, "t", 1)).unwrap(), first);
        let other = denied(make(&world, &base, token(action, "t", 2)));
        assert_eq!(other, Denied::TokenMismatch, "{action}");
        assert_eq!(count(&world), made, "{action}");
        assert_ne!(make(&world, &base, token(action, "u", 1)).unwrap(), first);
        // It outlives the process, and not the week that it is kept.
        let world = world.restart();
        assert_eq!(make(&world, &base, token(action, "t", 1)).unwrap(), first);
        world.universe.clock.advance(8 * 24 * 3600);
        make(&world, &base, token(action, "v", 1)).unwrap();
        assert_ne!(make(&world, &base, token(action, "t", 1)).unwrap(), first, "{action}");
        world.assert_at_rest();
    }
}

#[test]
fn while_the_first_is_processed_the_second_is_told_so() {
    for (action, make, is_its) in MAKES {
        let world = World::new();
        let base = world.base();
        let (entered, has_entered) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        world.engine.look(move |call| {
            if is_its(call) {
                entered.send(()).unwrap();
                may_go.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
            }
            Ok(())
        });
        let world = Arc::new(world);
        let first = thread::spawn({
            let (world, base) = (Arc::clone(&world), base.clone());
            move || make(&world, &base, token(action, "t", 1))
        });
        has_entered.recv_timeout(Duration::from_secs(20)).unwrap();
        let second = make(&world, &base, token(action, "t", 1));
        go.send(()).unwrap();
        let first = first.join().unwrap().unwrap();
        // What is not durable yet must not be answered: it could still come to nothing.
        assert_eq!(denied(second), Denied::TokenProcessing, "{action}");
        world.engine.look_away();
        assert_eq!(make(&world, &base, token(action, "t", 1)).unwrap(), first, "{action}");
        world.assert_at_rest();
    }
}

#[test]
fn a_token_whose_call_failed_may_be_used_again() {
    for (action, make, is_its) in MAKES {
        let world = World::new();
        let base = world.base();
        let before = count(&world);
        world.engine.fail(is_its);
        let failed = make(&world, &base, token(action, "t", 1));
        assert!(matches!(failed, Err(ControlError::Engine(_))), "{action}: {failed:?}");
        assert_eq!(count(&world), before, "{action}");
        world.engine.look_away();
        make(&world, &base, token(action, "t", 1)).unwrap();
        world.assert_at_rest();
    }
}
