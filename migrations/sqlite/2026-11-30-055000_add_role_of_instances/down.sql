ALTER TABLE instances DROP COLUMN troubles;
ALTER TABLE instances DROP COLUMN role;
