//! What snapshots took, over time, by the test's own clock.

use ebb_control::{MonitorPeriod, UsageCategory, UsageQuery};
use ebb_domain::{Denied, Timestamp};

use crate::world::{World, denied, region};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn query(world: &World, from: i64, to: i64, period: MonitorPeriod) -> UsageQuery {
    let now = world.control.now();
    UsageQuery {
        start: now.plus_seconds(from),
        end: now.plus_seconds(to),
        period,
        category: UsageCategory::Any,
    }
}

fn sizes(world: &World, query: &UsageQuery) -> Vec<u64> {
    let points = world.control.past_snapshot_usage(&world.root(), &region(), query).unwrap();
    let starts: Vec<i64> = points.iter().map(|(at, _)| at.unix_millis()).collect();
    let step = match query.period {
        MonitorPeriod::Minute => 60_000,
        MonitorPeriod::TenMinutes => 600_000,
        MonitorPeriod::Hour => 3_600_000,
    };
    assert!(starts.iter().all(|at| at % step == 0));
    assert!(starts.windows(2).all(|two| two[1] - two[0] == step));
    points.into_iter().map(|(_, size)| size).collect()
}

/// As the server does it, for so many minutes.
fn sample(world: &World, minutes: i64) {
    for _ in 0..minutes {
        world.universe.clock.advance(MINUTE);
        world.control.sample_snapshot_usage().unwrap();
    }
}

#[test]
fn each_point_is_what_snapshots_took_then() {
    let world = World::new();
    // On the hour.
    let now = world.control.now().unix_millis() / 1000;
    world.universe.clock.advance(HOUR - now.rem_euclid(HOUR) - MINUTE);
    sample(&world, 10);
    let base = world.base();
    let (_, taken) = usage(&world);
    assert!(taken > 0);
    sample(&world, 10);
    world.fill(&base.disk, 0x55);
    world.snapshot(&base.disk);
    let (_, more) = usage(&world);
    assert!(more > taken);
    sample(&world, 10);
    let told = sizes(&world, &query(&world, -25 * MINUTE, MINUTE, MonitorPeriod::Minute));
    assert_eq!(told.iter().filter(|size| **size == taken).count(), 10);
    assert_eq!(told.last(), Some(&more));
    assert!(told.is_sorted());
    let tens = sizes(&world, &query(&world, -HOUR, MINUTE, MonitorPeriod::TenMinutes));
    assert_eq!(tens, [0, taken]);
    // What is gone takes nothing any more, and what was known of it stays.
    for snapshot in world.snapshots() {
        world.delete_snapshot(&snapshot.id).unwrap();
    }
    assert_eq!(usage(&world), (0, 0));
    sample(&world, 61);
    let told = sizes(&world, &query(&world, -90 * MINUTE, MINUTE, MonitorPeriod::TenMinutes));
    assert_eq!(told.last(), Some(&0));
    assert!(told.contains(&more));
    // Nobody but the account knows.
    let others = ebb_domain::AccountId::new("2");
    let question = query(&world, -HOUR, 0, MonitorPeriod::Minute);
    let told = world.control.past_snapshot_usage(&others, &region(), &question).unwrap();
    assert!(told.iter().all(|(_, size)| *size == 0));
}

fn usage(world: &World) -> (u64, u64) {
    let usage = world.control.snapshot_usage(&world.root(), &region()).unwrap();
    (usage.count, usage.pool_bytes)
}

#[test]
fn a_month_is_kept_and_no_more() {
    let world = World::new();
    let base = world.base();
    sample(&world, 1);
    let (_, first) = usage(&world);
    world.universe.clock.advance(29 * DAY);
    world.fill(&base.disk, 0x66);
    world.snapshot(&base.disk);
    sample(&world, 1);
    let early = query(&world, -29 * DAY, -29 * DAY + 400 * MINUTE, MonitorPeriod::Minute);
    assert_eq!(sizes(&world, &early).first(), Some(&first));
    // The size from before the month counts for its beginning.
    world.universe.clock.advance(10 * DAY);
    world.snapshot(&base.disk);
    sample(&world, 1);
    let early = query(&world, -29 * DAY, -29 * DAY + 400 * HOUR, MonitorPeriod::Hour);
    assert_eq!(sizes(&world, &early).first(), Some(&first));
}

#[test]
fn what_is_asked_is_bounded() {
    let world = World::new();
    let ask = |from, to, period| {
        let question = query(&world, from, to, period);
        denied(world.control.past_snapshot_usage(&world.root(), &region(), &question))
    };
    assert_eq!(ask(-31 * DAY, 0, MonitorPeriod::Hour), Denied::TooEarly);
    assert_eq!(ask(0, -HOUR, MonitorPeriod::Minute), Denied::EndBeforeStart);
    assert_eq!(ask(-401 * MINUTE, 0, MonitorPeriod::Minute), Denied::TooManyPoints);
    // A time that no clock tells is no reason to panic.
    let far = UsageQuery {
        start: Timestamp::from_unix_millis(i64::MAX),
        end: Timestamp::from_unix_millis(i64::MAX),
        ..query(&world, 0, 0, MonitorPeriod::Minute)
    };
    assert_eq!(world.control.past_snapshot_usage(&world.root(), &region(), &far).unwrap(), []);
}
