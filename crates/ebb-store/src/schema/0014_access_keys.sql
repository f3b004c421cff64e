-- Keys of accounts; the root account's first is in a file. The secret is sealed with the master key.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    sealed_secret BLOB NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX access_keys_by_account ON access_keys (account, created_at, id);

-- Something known, sealed with the master key: it tells whether a key is that one.
CREATE TABLE master_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    sealed BLOB NOT NULL
) STRICT;
