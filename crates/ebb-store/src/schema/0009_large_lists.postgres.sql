-- As 0009_large_lists.sql, but for triggers, which are functions here, and for statistics, which
-- PostgreSQL takes by itself.

CREATE INDEX disks_by_name ON disks (account, region, name);
CREATE INDEX instances_by_name ON instances (account, region, name);
CREATE INDEX snapshots_by_name ON snapshots (account, region, name);

DROP INDEX snapshots_listed;
CREATE INDEX snapshots_listed ON snapshots (account, region, created_at DESC, id)
    WHERE status <> 'deleting';

CREATE TABLE list_sizes (
    list TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (list, account, region)
);

INSERT INTO list_sizes
    SELECT 'disks', account, region, count(*) FROM disks GROUP BY account, region;
INSERT INTO list_sizes
    SELECT 'instances', account, region, count(*) FROM instances GROUP BY account, region;
INSERT INTO list_sizes
    SELECT 'snapshots', account, region, count(*) FROM snapshots WHERE status <> 'deleting'
    GROUP BY account, region;

CREATE FUNCTION list_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO list_sizes VALUES (TG_TABLE_NAME, new.account, new.region, 1)
    ON CONFLICT (list, account, region) DO UPDATE SET size = list_sizes.size + 1;
    RETURN NULL;
END $$;
CREATE FUNCTION list_shrinks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE list_sizes SET size = size - 1
    WHERE list = TG_TABLE_NAME AND account = old.account AND region = old.region;
    RETURN NULL;
END $$;

CREATE TRIGGER disks_listed_more AFTER INSERT ON disks
    FOR EACH ROW EXECUTE FUNCTION list_grows();
CREATE TRIGGER disks_listed_less AFTER DELETE ON disks
    FOR EACH ROW EXECUTE FUNCTION list_shrinks();

CREATE TRIGGER instances_listed_more AFTER INSERT ON instances
    FOR EACH ROW EXECUTE FUNCTION list_grows();
CREATE TRIGGER instances_listed_less AFTER DELETE ON instances
    FOR EACH ROW EXECUTE FUNCTION list_shrinks();

CREATE TRIGGER snapshots_listed_more AFTER INSERT ON snapshots
    FOR EACH ROW WHEN (new.status <> 'deleting') EXECUTE FUNCTION list_grows();
CREATE TRIGGER snapshots_listed_less AFTER DELETE ON snapshots
    FOR EACH ROW WHEN (old.status <> 'deleting') EXECUTE FUNCTION list_shrinks();
-- What is hidden leaves the list as what is deleted does, and what is shown again comes as new.
CREATE TRIGGER snapshots_hidden AFTER UPDATE OF status ON snapshots
    FOR EACH ROW WHEN (old.status <> 'deleting' AND new.status = 'deleting')
    EXECUTE FUNCTION list_shrinks();
CREATE TRIGGER snapshots_shown AFTER UPDATE OF status ON snapshots
    FOR EACH ROW WHEN (old.status = 'deleting' AND new.status <> 'deleting')
    EXECUTE FUNCTION list_grows();
