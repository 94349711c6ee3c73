-- When a ready page was last announced on the broker. Null: not since it became ready.
ALTER TABLE pages ADD COLUMN announced_at BIGINT;

-- What an instance says of itself with each heartbeat: the pools it runs, and its hand-overs under way.
ALTER TABLE instances ADD COLUMN pools TEXT NOT NULL DEFAULT '[]';
ALTER TABLE instances ADD COLUMN in_flight BIGINT NOT NULL DEFAULT 0;

-- Operators' decisions, one row for each instance that has to hear of one. Written with the decision, in its transaction:
-- a message that is lost costs a delay. The rows of the newest version are the receipt.
CREATE TABLE notices (
    scope TEXT NOT NULL CHECK (scope IN ('campaign', 'pool')),
    -- A campaign's id, or a pool's name.
    subject TEXT NOT NULL,
    -- The status version, or the version of the pool's switch.
    version BIGINT NOT NULL,
    instance_id BIGINT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    action TEXT NOT NULL CHECK (action IN ('pause', 'resume', 'stop', 'suspend')),
    noted_at BIGINT NOT NULL,
    acknowledged_at BIGINT,
    -- At the acknowledgement: hand-overs under way, and when the last one began.
    in_flight BIGINT,
    last_begun_at BIGINT,
    PRIMARY KEY (scope, subject, version, instance_id)
);
CREATE INDEX notices_unheard ON notices (instance_id) WHERE acknowledged_at IS NULL;

-- Rates that all instances share: tokens left, and when they were counted.
CREATE TABLE rate_buckets (
    scope TEXT PRIMARY KEY,
    tokens DOUBLE PRECISION NOT NULL,
    counted_at BIGINT NOT NULL
);

-- Pools that operators have suspended, or resumed again.
CREATE TABLE pool_switches (
    pool TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    suspended BOOLEAN NOT NULL,
    reason TEXT,
    expires_at BIGINT,
    changed_at BIGINT NOT NULL
);
