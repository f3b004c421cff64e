-- What instances name of networks. An instance may name what is not here.
CREATE TABLE vpcs (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    cidr TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX vpcs_listed ON vpcs (account, region, created_at DESC, id);

CREATE TABLE vswitches (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    zone TEXT NOT NULL,
    vpc TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    cidr TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX vswitches_listed ON vswitches (account, region, created_at DESC, id);
CREATE INDEX vswitches_by_vpc ON vswitches (vpc);

CREATE TABLE security_groups (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    vpc TEXT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enterprise INTEGER NOT NULL,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX security_groups_listed ON security_groups (account, region, created_at DESC, id);
CREATE INDEX security_groups_by_vpc ON security_groups (vpc) WHERE vpc IS NOT NULL;

CREATE INDEX instances_by_vswitch ON instances (vswitch) WHERE vswitch <> '';
CREATE INDEX instances_by_security_group ON instance_security_groups (security_group);
