-- Images of accounts. Their snapshots stay while they do.
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    family TEXT NOT NULL,
    version TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    architecture TEXT NOT NULL,
    platform TEXT NOT NULL,
    resource_group TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX images_listed ON images (account, region, created_at DESC, id);

CREATE TABLE image_disks (
    image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    device TEXT NOT NULL,
    kind TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    size_gib INTEGER NOT NULL,
    PRIMARY KEY (image, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_disks_by_snapshot ON image_disks (snapshot);

CREATE INDEX instances_by_image ON instances (image);
