-- What tasks read and write outside the pool, and what of a snapshot is there.
CREATE TABLE task_objects (
    task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    bucket TEXT NOT NULL,
    object TEXT NOT NULL,
    format TEXT NOT NULL,
    device TEXT NOT NULL,
    size_gib INTEGER,
    PRIMARY KEY (task, position)
) STRICT, WITHOUT ROWID;

ALTER TABLE snapshots ADD COLUMN archived_bytes INTEGER;
