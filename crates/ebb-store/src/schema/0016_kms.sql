-- Keys, and the material of their versions where it is kept here: sealed with the master key.
CREATE TABLE kms_keys (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    creator TEXT NOT NULL,
    description TEXT NOT NULL,
    state TEXT NOT NULL,
    delete_at INTEGER,
    rotation_days INTEGER,
    primary_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX kms_keys_by_account ON kms_keys (account, created_at, id);

CREATE TABLE kms_versions (
    key TEXT NOT NULL REFERENCES kms_keys (id),
    number INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    sealed BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (key, number)
) STRICT;

CREATE TABLE kms_aliases (
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    key TEXT NOT NULL REFERENCES kms_keys (id),
    PRIMARY KEY (account, name)
) STRICT;

CREATE INDEX kms_aliases_by_key ON kms_aliases (key);

CREATE TABLE kms_tags (
    key TEXT NOT NULL REFERENCES kms_keys (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key, name)
) STRICT;
