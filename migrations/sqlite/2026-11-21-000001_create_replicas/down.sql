DROP TABLE pool_switches;
DROP TABLE rate_buckets;
DROP TABLE notices;
ALTER TABLE instances DROP COLUMN in_flight;
ALTER TABLE instances DROP COLUMN pools;
ALTER TABLE pages DROP COLUMN announced_at;
