-- Servers that have these records in common, and what each of them has in hand.

-- A row for each server from its start to its end.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    -- Its data directory: no two servers that live have the same.
    home TEXT NOT NULL,
    -- Which volumes it uses, if others may use them too.
    volumes TEXT,
    -- How its engine is shut out.
    client TEXT NOT NULL,
    nbd TEXT NOT NULL,
    api TEXT NOT NULL,
    -- What the ids of its scratch volumes begin with.
    scratch INTEGER NOT NULL,
    -- It counts while it lives.
    beat INTEGER NOT NULL,
    -- It was taken for gone: nothing that it writes is taken any more.
    dead INTEGER NOT NULL
) STRICT;

-- The server that has a disk's volume open, or is about to. Others ask it to look at the record
-- again; it says up to which question it has.
CREATE TABLE exports (
    disk TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    asked INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT;

CREATE INDEX exports_by_server ON exports (server);

-- Work that one server does for all.
CREATE TABLE duties (
    name TEXT PRIMARY KEY,
    server TEXT NOT NULL
) STRICT;

-- The server that carries what a row has under way, and in which of its epochs.
ALTER TABLE disks ADD COLUMN carrier TEXT;
ALTER TABLE snapshots ADD COLUMN carrier TEXT;
ALTER TABLE snapshot_groups ADD COLUMN carrier TEXT;
ALTER TABLE images ADD COLUMN carrier TEXT;
ALTER TABLE instances ADD COLUMN carrier TEXT;
ALTER TABLE tasks ADD COLUMN carrier TEXT;

CREATE INDEX disks_carried ON disks (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX snapshots_carried ON snapshots (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX snapshot_groups_carried ON snapshot_groups (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX images_carried ON images (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX instances_carried ON instances (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX tasks_carried ON tasks (carrier) WHERE carrier IS NOT NULL;
