ALTER TABLE campaigns DROP COLUMN retry_for_ms;
