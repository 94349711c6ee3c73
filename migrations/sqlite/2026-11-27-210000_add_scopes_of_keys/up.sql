-- What a key allows, and until when. Keys that exist allow everything, as before, and so do those that an older instance makes
-- beside a new one.
ALTER TABLE api_keys ADD COLUMN scope TEXT NOT NULL DEFAULT 'admin' CHECK (scope IN ('ingest', 'read', 'operate', 'admin'));
-- Milliseconds since 1970 UTC. Null: the key does not expire.
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
