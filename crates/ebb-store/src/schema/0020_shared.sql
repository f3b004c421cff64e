-- What servers on one database keep together. With a file there is one server, which has it in
-- memory; the tables are then empty.

-- Signed requests that were answered: 16 bytes of a hash of the access key and the nonce.
CREATE TABLE nonces (
    nonce BLOB PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_by_time ON nonces (used_at);

-- Calls of operations that an account may call only so often.
CREATE TABLE throttled_calls (
    account TEXT NOT NULL,
    operation TEXT NOT NULL,
    number INTEGER NOT NULL,
    called_at INTEGER NOT NULL,
    PRIMARY KEY (account, operation, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX throttled_calls_by_time ON throttled_calls (called_at);

-- How often something has changed that servers remember.
CREATE TABLE generation (
    one INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;

-- What all servers have the same of, sealed with the master key.
CREATE TABLE sealed (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
