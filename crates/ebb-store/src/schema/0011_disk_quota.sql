-- How many GiB the disks of an account may be together; NULL where there is no end.
ALTER TABLE accounts ADD COLUMN disk_quota_gib INTEGER;
