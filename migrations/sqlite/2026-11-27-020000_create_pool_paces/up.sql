-- What a pool's instances found out together about the pace that its provider takes: ceilings, circuit, verdicts, and the
-- results of the last seconds. One row for each pool, changed by compare-and-set on `version`. With SQLite there is one
-- instance, which keeps it in memory.
CREATE TABLE pool_paces (
    pool       TEXT PRIMARY KEY,
    version    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
