-- Hours and weekdays are one bit each; copy_to is names of regions, parted by commas.
CREATE TABLE auto_snapshot_policies (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    hours INTEGER NOT NULL,
    weekdays INTEGER NOT NULL,
    retention_days INTEGER,
    copy_to TEXT NOT NULL,
    copy_retention_days INTEGER,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    done_until INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX auto_snapshot_policies_listed
    ON auto_snapshot_policies (account, region, created_at DESC, id);

ALTER TABLE disks ADD COLUMN auto_snapshot_policy TEXT;
CREATE INDEX disks_by_policy ON disks (auto_snapshot_policy) WHERE auto_snapshot_policy IS NOT NULL;
