-- Lists of millions: what is looked up by name has an index, how long a whole list is is counted as
-- it changes, and the planner is told how large everything may be.

CREATE INDEX disks_by_name ON disks (account, region, name);
CREATE INDEX instances_by_name ON instances (account, region, name);
CREATE INDEX snapshots_by_name ON snapshots (account, region, name);

-- Only of those that are shown, so that a page far into the list is found in the index alone.
DROP INDEX snapshots_listed;
CREATE INDEX snapshots_listed ON snapshots (account, region, created_at DESC, id)
    WHERE status <> 'deleting';

-- How many rows an account has in a region that are shown; PostgreSQL would have the same triggers.
CREATE TABLE list_sizes (
    list TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (list, account, region)
) STRICT, WITHOUT ROWID;

INSERT INTO list_sizes
    SELECT 'disks', account, region, count(*) FROM disks GROUP BY account, region;
INSERT INTO list_sizes
    SELECT 'instances', account, region, count(*) FROM instances GROUP BY account, region;
INSERT INTO list_sizes
    SELECT 'snapshots', account, region, count(*) FROM snapshots WHERE status <> 'deleting'
    GROUP BY account, region;

CREATE TRIGGER disks_listed_more AFTER INSERT ON disks BEGIN
    INSERT INTO list_sizes VALUES ('disks', new.account, new.region, 1)
    ON CONFLICT DO UPDATE SET size = size + 1;
END;
CREATE TRIGGER disks_listed_less AFTER DELETE ON disks BEGIN
    UPDATE list_sizes SET size = size - 1
    WHERE list = 'disks' AND account = old.account AND region = old.region;
END;

CREATE TRIGGER instances_listed_more AFTER INSERT ON instances BEGIN
    INSERT INTO list_sizes VALUES ('instances', new.account, new.region, 1)
    ON CONFLICT DO UPDATE SET size = size + 1;
END;
CREATE TRIGGER instances_listed_less AFTER DELETE ON instances BEGIN
    UPDATE list_sizes SET size = size - 1
    WHERE list = 'instances' AND account = old.account AND region = old.region;
END;

CREATE TRIGGER snapshots_listed_more AFTER INSERT ON snapshots WHEN new.status <> 'deleting' BEGIN
    INSERT INTO list_sizes VALUES ('snapshots', new.account, new.region, 1)
    ON CONFLICT DO UPDATE SET size = size + 1;
END;
CREATE TRIGGER snapshots_listed_less AFTER DELETE ON snapshots WHEN old.status <> 'deleting' BEGIN
    UPDATE list_sizes SET size = size - 1
    WHERE list = 'snapshots' AND account = old.account AND region = old.region;
END;
CREATE TRIGGER snapshots_hidden AFTER UPDATE OF status ON snapshots
WHEN (old.status = 'deleting') <> (new.status = 'deleting') BEGIN
    UPDATE list_sizes SET size = size + iif(new.status = 'deleting', -1, 1)
    WHERE list = 'snapshots' AND account = new.account AND region = new.region;
END;

-- SQLite's own statistics would be those of the day they were taken, and without any it takes an
-- account's region for the narrowest of conditions. These are of a large installation: rows, then
-- rows that have the same first column, the same first two, and so on.
ANALYZE meta;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('disks', 'sqlite_autoindex_disks_1', '1000000 1'),
    ('disks', 'disks_listed', '1000000 1000000 500000 2 1'),
    ('disks', 'disks_by_name', '1000000 1000000 500000 2'),
    ('instances', 'sqlite_autoindex_instances_1', '100000 1'),
    ('instances', 'instances_listed', '100000 100000 50000 2 1'),
    ('instances', 'instances_by_name', '100000 100000 50000 2'),
    ('snapshots', 'sqlite_autoindex_snapshots_1', '10000000 1'),
    ('snapshots', 'snapshots_listed', '10000000 10000000 5000000 2 1'),
    ('snapshots', 'snapshots_by_name', '10000000 10000000 5000000 2'),
    ('snapshots', 'snapshots_by_disk', '10000000 10 9'),
    ('attachments', 'attachments', '1000000 1 1'),
    ('attachments', 'attachments_by_instance', '1000000 10 1'),
    ('tags', 'tags', '20000000 5000000 3 1'),
    ('tags', 'tags_by_key', '20000000 5000000 1000000 100');
ANALYZE sqlite_schema;
