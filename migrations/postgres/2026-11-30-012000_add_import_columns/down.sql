ALTER TABLE imports DROP COLUMN rows_suppressed;
ALTER TABLE imports DROP COLUMN mapping;
ALTER TABLE imports DROP COLUMN preset;
