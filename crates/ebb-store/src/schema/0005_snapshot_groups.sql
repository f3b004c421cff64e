-- Snapshots of several disks at one instant. A snapshot names its group.
CREATE TABLE snapshot_groups (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    instance TEXT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX snapshot_groups_listed ON snapshot_groups (account, region, created_at DESC, id);

ALTER TABLE snapshots ADD COLUMN snapshot_group TEXT;
CREATE INDEX snapshots_by_group ON snapshots (snapshot_group) WHERE snapshot_group IS NOT NULL;
