-- A snapshot's lock: when it began, for how many days, and for how many hours it can be taken back.
-- All three or none.
ALTER TABLE snapshots ADD COLUMN lock_created_at INTEGER;
ALTER TABLE snapshots ADD COLUMN lock_days INTEGER;
ALTER TABLE snapshots ADD COLUMN lock_cool_off_hours INTEGER;

CREATE INDEX snapshots_locked ON snapshots (account, region, created_at DESC, id)
    WHERE lock_created_at IS NOT NULL;
