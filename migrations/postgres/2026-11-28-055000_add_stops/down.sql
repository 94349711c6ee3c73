ALTER TABLE suppressions DROP COLUMN stopped_at;
