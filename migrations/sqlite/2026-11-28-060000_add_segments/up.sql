-- Segments: rules over contacts and events whose members are kept up to date.
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT NOT NULL,
    -- 'manual': members are added and removed by hand, and there are no criteria.
    kind TEXT NOT NULL CHECK (kind IN ('live', 'manual')),
    -- JSON, as it was given.
    criteria TEXT,
    -- Rises with every change that asks for another evaluation of everybody.
    version BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL,
    -- 'building': contacts above the cursor, up to build_max_id, are not evaluated yet.
    state TEXT NOT NULL CHECK (state IN ('building', 'ready')),
    cursor_contact_id BIGINT NOT NULL,
    -- The highest contact when the evaluation of everybody began. NULL: it has not begun, and nobody is evaluated until then.
    build_max_id BIGINT,
    -- Whether the present evaluation of everybody is the first one.
    first_build BOOLEAN NOT NULL,
    min_dwell_ms BIGINT,
    max_dwell_ms BIGINT,
    -- After which times a member is said to be still there: JSON.
    dwell TEXT NOT NULL,
    -- Since when it says so: what lies before is not reported.
    marks_since BIGINT NOT NULL,
    entry_limit TEXT NOT NULL CHECK (entry_limit IN ('unlimited', 'once', 'once_per_period')),
    entry_period_ms BIGINT,
    -- Why its criteria cannot be evaluated; it is passed over until then.
    problem TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Its members are removed in portions, and then the row.
    deleted_at BIGINT,
    CHECK ((kind = 'live') = (criteria IS NOT NULL))
);
CREATE UNIQUE INDEX segments_name ON segments (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX segments_slug ON segments (slug) WHERE deleted_at IS NULL;

-- Something about a contact has changed: added by the transaction that changes it, removed by the worker that evaluates the contact.
-- Rows are only added, so that no writer waits for another.
CREATE TABLE touches (
    id INTEGER PRIMARY KEY NOT NULL,
    -- 0: there is one writer.
    shard INTEGER NOT NULL,
    contact_id BIGINT NOT NULL,
    topic TEXT NOT NULL,
    at BIGINT NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);

-- When the answer for a contact may change although nothing about it changes: the earliest of all its segments.
CREATE TABLE contact_timers (
    contact_id INTEGER PRIMARY KEY NOT NULL,
    shard INTEGER NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX contact_timers_due ON contact_timers (shard, due_at);

-- One shard: there is one writer, and nothing to lock.
CREATE TABLE segment_shards (
    shard INTEGER NOT NULL UNIQUE
);
INSERT INTO segment_shards (shard) VALUES (0);

-- Who is, or was, a member.
CREATE TABLE segment_members (
    segment_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    -- How often the contact has become a member.
    epoch BIGINT NOT NULL,
    entered_at BIGINT NOT NULL,
    -- From when on the time as a member counts: before entered_at for one whom an evaluation of everybody has found.
    dwell_from BIGINT NOT NULL,
    -- NULL: is a member.
    left_at BIGINT,
    reason TEXT,
    -- NULL: no other row may follow. One that has left because of the longest dwell stays open until the criteria no longer match.
    closed_at BIGINT,
    -- Up to when marks of the dwell were looked at.
    dwell_done BIGINT NOT NULL,
    -- How many marks there were.
    dwell_n BIGINT NOT NULL,
    PRIMARY KEY (segment_id, contact_id, epoch)
) WITHOUT ROWID;
CREATE UNIQUE INDEX segment_members_open ON segment_members (contact_id, segment_id) WHERE closed_at IS NULL;
CREATE INDEX segment_members_present ON segment_members (segment_id, contact_id) WHERE left_at IS NULL;

-- Who entered, left or stayed: each once.
CREATE TABLE segment_transitions (
    segment_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('entered', 'left', 'dwelled')),
    -- Which one of several of a kind.
    ordinal BIGINT NOT NULL,
    at BIGINT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT,
    -- Which time of the stay has come, and how often.
    mark TEXT,
    mark_count BIGINT,
    -- Whether anything follows from it.
    emit BOOLEAN NOT NULL,
    PRIMARY KEY (segment_id, contact_id, epoch, kind, ordinal)
) WITHOUT ROWID;
CREATE INDEX segment_transitions_at ON segment_transitions (segment_id, at, contact_id);

-- Stretches of contacts that are evaluated for all segments: after imports, and after changes of whole lists.
CREATE TABLE segment_ranges (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    cursor_contact_id BIGINT NOT NULL,
    last_contact_id BIGINT NOT NULL,
    -- The import that is adding to it. NULL: it can begin.
    import_id BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX segment_ranges_import ON segment_ranges (import_id) WHERE import_id IS NOT NULL;
