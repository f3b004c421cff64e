-- What a snapshot is a copy of, and where that was, which may be gone. Both or neither.
ALTER TABLE snapshots ADD COLUMN copied_from TEXT;
ALTER TABLE snapshots ADD COLUMN copied_from_region TEXT;
