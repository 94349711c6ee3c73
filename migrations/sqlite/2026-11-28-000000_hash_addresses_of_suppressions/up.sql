-- SQLite has no hash indexes: nothing to do.
SELECT 1;
