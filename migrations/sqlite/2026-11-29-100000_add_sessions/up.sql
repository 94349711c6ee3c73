-- Sessions of people who have signed in to the operators' pages with an API key.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- SHA-256 of what the browser's cookie has, in hex.
    hash TEXT NOT NULL UNIQUE,
    -- The key that it was opened with. NULL: the root key of the settings.
    api_key_id BIGINT REFERENCES api_keys (id),
    created_at BIGINT NOT NULL,
    -- The last request, to the minute.
    seen_at BIGINT NOT NULL
);

-- The campaigns of which it is not known whether messages have left, however old: few pages have any. A page that gets none is
-- written as without the index; each change of `uncertain` itself costs an update of the page about as much again.
CREATE INDEX pages_uncertain ON pages (campaign_id) WHERE uncertain > 0;
