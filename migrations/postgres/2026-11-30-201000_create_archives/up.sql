-- Campaigns whose deliveries were archived, or are just being archived: a row for each. The rows of such a campaign in deliveries, attempts,
-- delivery_contents and link_followers are written to a file, and removed when the file is complete. Nobody removes these rows: a campaign
-- has one at most, and it says where its deliveries are. Without a foreign key: the row of a campaign is never removed.
CREATE TABLE archives (
    campaign_id BIGINT PRIMARY KEY,
    -- writing: the file is being written. deleting: it is complete, and rows are being removed. archived: there are no rows any more.
    state TEXT NOT NULL CHECK (state IN ('writing', 'deleting', 'archived')),
    -- Random: only who has it changes this row.
    token BIGINT NOT NULL,
    -- The slot of the instance that has the file in its data folder, and the name of its machine.
    slot TEXT NOT NULL,
    host TEXT NOT NULL,
    -- After this moment another instance may go on, in milliseconds since 1970.
    lease_until BIGINT NOT NULL,
    -- From here on of the complete file: its name, the SHA-256 of its bytes in hex, how many bytes and deliveries it has, and when it was complete.
    file TEXT,
    sha256 TEXT,
    bytes BIGINT,
    deliveries BIGINT,
    archived_at BIGINT,
    CHECK (state = 'writing' OR (file IS NOT NULL AND sha256 IS NOT NULL AND bytes IS NOT NULL AND deliveries IS NOT NULL AND archived_at IS NOT NULL))
);
-- Few rows: what is not finished.
CREATE INDEX archives_unfinished ON archives (campaign_id) WHERE state <> 'archived';
