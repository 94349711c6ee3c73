-- The history of PostgreSQL that this database was last used in: cluster and timeline. A promoted standby has another one, and
-- may lack what its primary had acknowledged. At most one row.
CREATE TABLE database_history (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    system_id BIGINT NOT NULL,
    timeline BIGINT NOT NULL,
    noted_at BIGINT NOT NULL
);

-- When the campaign was paused because the database had gone back in time. Null again when it is resumed.
ALTER TABLE campaigns ADD COLUMN rewound_at BIGINT;
