-- Users, groups and roles of accounts. What has no such thing keeps an empty text or zero.
CREATE TABLE ram_identities (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    comments TEXT NOT NULL,
    trust TEXT NOT NULL,
    max_session_seconds INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (account, kind, name)
) STRICT;

CREATE TABLE ram_members (
    group_id TEXT NOT NULL REFERENCES ram_identities (id),
    user_id TEXT NOT NULL REFERENCES ram_identities (id),
    since INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT;

CREATE INDEX ram_members_by_user ON ram_members (user_id);

CREATE TABLE ram_policies (
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    default_version INTEGER NOT NULL,
    newest_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT;

CREATE TABLE ram_policy_versions (
    account TEXT NOT NULL,
    policy TEXT NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, policy, version),
    FOREIGN KEY (account, policy) REFERENCES ram_policies (account, name)
) STRICT;

-- Which policies an identity has. Those of the server's own are in no table.
CREATE TABLE ram_attachments (
    identity TEXT NOT NULL REFERENCES ram_identities (id),
    policy_kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (identity, policy_kind, policy)
) STRICT;

CREATE INDEX ram_attachments_by_policy ON ram_attachments (policy_kind, policy);

-- Whose a key is, where it is not the account's root's; and when it last signed something.
ALTER TABLE access_keys ADD COLUMN user_id TEXT REFERENCES ram_identities (id);
ALTER TABLE access_keys ADD COLUMN last_used_at INTEGER;
