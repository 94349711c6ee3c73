-- What providers report of messages, as it came. A row is stored before the provider is answered, and read afterwards. Rows go after
-- callbacks.keep_days.
CREATE TABLE callbacks (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    pool TEXT NOT NULL,
    -- How it is to be read: the pool's format when it came. No CHECK: a new format needs no migration.
    format TEXT NOT NULL,
    content_type TEXT NOT NULL,
    -- The same for each repetition of it: the provider's id, or a hash of the body.
    key TEXT NOT NULL,
    -- As it came. Null when it is done: it holds personal data.
    body TEXT,
    received_at BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    -- How often it was tried to read it, in vain.
    attempts INTEGER NOT NULL,
    -- Of a pending one: from when on it may be taken. The reader that takes it sets this to the time when others may take it again.
    next_attempt_at BIGINT NOT NULL,
    -- Why it was not understood, for people. Without personal data.
    error TEXT,
    UNIQUE (pool, key)
);
CREATE INDEX callbacks_pending ON callbacks (next_attempt_at) WHERE state = 'pending';
CREATE INDEX callbacks_failed ON callbacks (id) WHERE state = 'failed';
CREATE INDEX callbacks_age ON callbacks (received_at);

-- A report names its campaign by the key that went with the message.
CREATE INDEX campaigns_key ON campaigns (key);
