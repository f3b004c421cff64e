-- What was begun by a call that answered with a TaskId.
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX tasks_listed ON tasks (account, region, created_at DESC, id);
CREATE INDEX tasks_by_end ON tasks (finished_at) WHERE finished_at IS NOT NULL;
