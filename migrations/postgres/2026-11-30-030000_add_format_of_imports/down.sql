ALTER TABLE imports DROP COLUMN format;
