-- Who changed what, and who read personal data. Rows are added in the transaction of the change, and never changed. They go by age
-- alone (audit.keep_days).
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at BIGINT NOT NULL,
    -- api_key, root_key, command_line, start, scheduler, broker.
    actor TEXT NOT NULL,
    -- With api_key: which one.
    api_key_id BIGINT,
    -- Where the request came from.
    ip TEXT,
    action TEXT NOT NULL,
    -- What kind of thing, and which one: an id, or the name of a pool. Null: none in particular.
    object TEXT NOT NULL,
    object_id TEXT,
    -- JSON: statuses, ids and the names of fields. No values that people wrote.
    before TEXT,
    after TEXT,
    request_id TEXT
);
CREATE INDEX audit_log_object ON audit_log (object, object_id, id);
CREATE INDEX audit_log_age ON audit_log (at);
