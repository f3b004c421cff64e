-- Every row that is changed after it was made has a row_version: see src/record.rs.
-- Times are milliseconds since 1970, flags 0 or 1, names of states the wire's.
-- In PostgreSQL the texts that lists are ordered by are COLLATE "C", as SQLite's BINARY.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    balance_fen INTEGER NOT NULL,
    arrears INTEGER NOT NULL,
    snapshot_service INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE disks (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    performance_level TEXT,
    size_gib INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    resetting_to TEXT,
    delete_with_instance INTEGER NOT NULL,
    delete_auto_snapshot INTEGER NOT NULL,
    enable_auto_snapshot INTEGER NOT NULL,
    multi_attach INTEGER NOT NULL,
    provisioned_iops INTEGER,
    bursting INTEGER NOT NULL,
    source_snapshot TEXT,
    image TEXT,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    attached_at INTEGER,
    detached_at INTEGER,
    volume INTEGER NOT NULL UNIQUE,
    row_version INTEGER NOT NULL,
    -- A reset has its target, and nothing else has one.
    CHECK ((status = 'ReIniting') = (resetting_to IS NOT NULL))
) STRICT;

CREATE INDEX disks_listed ON disks (account, region, created_at DESC, id);
CREATE INDEX disks_by_source ON disks (source_snapshot) WHERE source_snapshot IS NOT NULL;
CREATE INDEX disks_resetting ON disks (resetting_to) WHERE resetting_to IS NOT NULL;

-- The instance may be gone: its disks name it until they are detached.
CREATE TABLE attachments (
    disk TEXT NOT NULL REFERENCES disks (id) ON DELETE CASCADE,
    instance TEXT NOT NULL,
    device TEXT NOT NULL,
    attached_at INTEGER NOT NULL,
    PRIMARY KEY (disk, instance)
) STRICT, WITHOUT ROWID;

-- Two disks of an instance never share a device name.
CREATE UNIQUE INDEX attachments_by_instance ON attachments (instance, device);

CREATE TABLE deleted_disks (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The source disk may be gone, and so may the snapshot that a disk was made from.
CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    source_disk TEXT NOT NULL,
    source_disk_gib INTEGER NOT NULL,
    source_disk_kind TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    origin TEXT NOT NULL,
    category TEXT NOT NULL,
    retention_days INTEGER,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL UNIQUE,
    row_version INTEGER NOT NULL
) STRICT;

CREATE INDEX snapshots_listed ON snapshots (account, region, created_at DESC, id);
CREATE INDEX snapshots_by_disk ON snapshots (source_disk, status);

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    zone TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    host_name TEXT NOT NULL,
    image TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    status TEXT NOT NULL,
    security_lock INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    deletion_protection INTEGER NOT NULL,
    stopped_mode TEXT NOT NULL,
    resource_group TEXT NOT NULL,
    vswitch TEXT NOT NULL,
    private_ip TEXT NOT NULL,
    internet_charge_type TEXT NOT NULL,
    bandwidth_in INTEGER NOT NULL,
    bandwidth_out INTEGER NOT NULL,
    key_pair TEXT NOT NULL,
    user_data TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    row_version INTEGER NOT NULL
) STRICT;

CREATE INDEX instances_listed ON instances (account, region, created_at DESC, id);

CREATE TABLE instance_security_groups (
    instance TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    security_group TEXT NOT NULL,
    PRIMARY KEY (instance, position)
) STRICT, WITHOUT ROWID;

-- The resource is a row of the table that its kind names, so it cannot be a foreign key.
CREATE TABLE tags (
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, resource, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_key ON tags (kind, key, value);

CREATE TABLE restricted_categories (
    category TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE allowed_accounts (
    category TEXT NOT NULL REFERENCES restricted_categories (category) ON DELETE CASCADE,
    account TEXT NOT NULL,
    PRIMARY KEY (category, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE client_tokens (
    account TEXT NOT NULL,
    action TEXT NOT NULL,
    token TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (account, action, token)
) STRICT, WITHOUT ROWID;

CREATE INDEX client_tokens_by_age ON client_tokens (used_at);

CREATE TABLE client_token_results (
    account TEXT NOT NULL,
    action TEXT NOT NULL,
    token TEXT NOT NULL,
    position INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, action, token, position),
    FOREIGN KEY (account, action, token) REFERENCES client_tokens ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
