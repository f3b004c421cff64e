-- When a snapshot's attributes were last changed.
ALTER TABLE snapshots ADD COLUMN modified_at INTEGER;

-- A day has 86,400,000 milliseconds.
CREATE INDEX snapshots_expiring ON snapshots ((created_at + retention_days * 86400000))
    WHERE retention_days IS NOT NULL;
