-- What is done when a contact enters a segment, leaves it, or is still there: JSON.
ALTER TABLE segments ADD COLUMN reactions TEXT NOT NULL DEFAULT '[]';

-- How many reactions led to it, one after the other. 0: none did.
ALTER TABLE touches ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segment_transitions ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;

-- There is one writer, and nothing to lock. 0: contacts. 8: events of campaigns.
CREATE TABLE reaction_shards (
    shard INTEGER NOT NULL UNIQUE
);
INSERT INTO reaction_shards (shard) VALUES (0), (8);

-- What is to be done after transitions of segments, and events of campaigns for those targets that hear of them. A row is written in the
-- transaction of what it follows from. It is removed in the transaction that does what it says, or when a target has taken the call.
CREATE TABLE reactions_due (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- 'changes': of tags, lists and events of the contact. 'call': a request to a target. 'notice': an event of a campaign, until it is
    -- known which targets hear of it.
    kind TEXT NOT NULL CHECK (kind IN ('changes', 'call', 'notice')),
    -- 0; 8 of a campaign.
    shard INTEGER NOT NULL,
    segment_id BIGINT,
    contact_id BIGINT,
    campaign_id BIGINT,
    -- Names what it follows from: the same for all tries of a call.
    key TEXT NOT NULL,
    -- What it follows from, as in 'segment.entered', and when that was.
    event TEXT NOT NULL,
    at BIGINT NOT NULL,
    -- How many reactions led to it, one after the other.
    depth INTEGER NOT NULL,
    -- Of a call: the name of the target in the settings.
    target TEXT,
    -- JSON: what is to be done; of a call, what is told.
    content TEXT NOT NULL,
    -- 'refused': there were too many in a chain.
    state TEXT NOT NULL CHECK (state IN ('waiting', 'failed', 'refused')),
    -- How often it was tried.
    attempts INTEGER NOT NULL,
    -- From when on it may be taken. When a call is taken, this becomes the time from which others may take it again.
    due_at BIGINT NOT NULL,
    -- Why it is not done, for people. Without personal data.
    error TEXT,
    created_at BIGINT NOT NULL,
    CHECK ((kind = 'call') = (target IS NOT NULL))
);
CREATE INDEX reactions_due_here ON reactions_due (shard, id) WHERE state = 'waiting' AND kind <> 'call';
CREATE INDEX reactions_due_calls ON reactions_due (target, due_at) WHERE state = 'waiting' AND kind = 'call';
-- A row waits for those of its contact that were written before it.
CREATE INDEX reactions_due_of_contact ON reactions_due (contact_id, id) WHERE state = 'waiting' AND kind <> 'call';
CREATE INDEX reactions_due_waiting ON reactions_due (id) WHERE state = 'waiting';
CREATE INDEX reactions_due_over ON reactions_due (state, id) WHERE state <> 'waiting';

-- The targets that instances have in their settings, and the events of campaigns that those hear of. Settings may differ between instances.
CREATE TABLE known_targets (
    name TEXT NOT NULL,
    -- An event of campaigns; '': the target itself.
    event TEXT NOT NULL,
    -- When an instance last had it.
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (name, event)
);
