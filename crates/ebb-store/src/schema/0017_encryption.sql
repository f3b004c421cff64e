-- Data keys of encrypted disks, each wrapped by a key of its account. One goes with the last disk
-- or snapshot that has it; the key that wraps it may be gone before.
CREATE TABLE data_keys (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    wrapped BLOB NOT NULL
) STRICT;

ALTER TABLE disks ADD COLUMN kms_key TEXT;
ALTER TABLE disks ADD COLUMN data_key TEXT REFERENCES data_keys (id);
ALTER TABLE snapshots ADD COLUMN kms_key TEXT;
ALTER TABLE snapshots ADD COLUMN data_key TEXT REFERENCES data_keys (id);

CREATE INDEX disks_by_data_key ON disks (data_key) WHERE data_key IS NOT NULL;
CREATE INDEX snapshots_by_data_key ON snapshots (data_key) WHERE data_key IS NOT NULL;

-- The key that an account's new disks are encrypted by where they name none.
CREATE TABLE default_keys (
    account TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    kms_key TEXT NOT NULL,
    PRIMARY KEY (account, region)
) STRICT;

-- Accounts whose keys the block store may not use.
CREATE TABLE kms_revoked (
    account TEXT PRIMARY KEY REFERENCES accounts (id)
) STRICT;
