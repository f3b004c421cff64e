-- Whether a policy's copies are encrypted, and by which key where not by the default one.
ALTER TABLE auto_snapshot_policies ADD COLUMN copy_encrypted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE auto_snapshot_policies ADD COLUMN copy_key TEXT;
