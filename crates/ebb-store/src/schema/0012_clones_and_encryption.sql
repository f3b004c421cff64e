-- Tasks that one call began, how far each has come and why it failed.
ALTER TABLE tasks ADD COLUMN task_group TEXT;
ALTER TABLE tasks ADD COLUMN percent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN error TEXT NOT NULL DEFAULT '';
UPDATE tasks SET percent = 100 WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_by_group ON tasks (task_group) WHERE task_group IS NOT NULL;
CREATE INDEX tasks_under_way ON tasks (created_at) WHERE status = 'Processing';

ALTER TABLE disks ADD COLUMN cloned_from TEXT;

-- Where an account's new disks are to be encrypted.
CREATE TABLE encryption_by_default (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    PRIMARY KEY (account, region)
) STRICT, WITHOUT ROWID;
