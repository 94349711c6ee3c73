-- What contacts did, and what happened to them. Rows are added and never changed; they go by age (events.keep_days).
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    contact_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- A JSON object.
    properties TEXT NOT NULL,
    -- Never after received_at.
    occurred_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    -- What told of it: the source of an API key, or 'volley'.
    source TEXT NOT NULL
);
CREATE INDEX events_contact ON events (contact_id, name, occurred_at);
CREATE INDEX events_name ON events (name, contact_id, occurred_at);

-- The keys that clients gave their events: what came under a key is not stored again. They go after 30 days.
CREATE TABLE event_keys (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    -- Of the event without its key: another event under the same key is a mistake.
    body_hash TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (source, key)
) WITHOUT ROWID;
CREATE INDEX event_keys_age ON event_keys (at);

-- What an API key calls itself in events. It is kept when the key is replaced by another one. Null: the name of the key.
ALTER TABLE api_keys ADD COLUMN source TEXT;
