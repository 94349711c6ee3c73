-- A search finds campaigns, lists, segments, templates and API keys by the beginning of their names, without regard to case and
-- in the order of code points, as PostgreSQL does.
CREATE INDEX campaigns_lower_name ON campaigns (lower(name)) WHERE deleted_at IS NULL;
CREATE INDEX lists_lower_name ON lists (lower(name));
CREATE INDEX segments_lower_name ON segments (lower(name)) WHERE deleted_at IS NULL;
CREATE INDEX templates_lower_name ON templates (lower(name)) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_lower_name ON api_keys (lower(name));
