-- A pass over the pages of a paused campaign that got another pool: the last page that it has done (NULL: no pass), and the provider and form of
-- the new pool.
ALTER TABLE packings ADD COLUMN move_page_id BIGINT;
ALTER TABLE packings ADD COLUMN move_provider BIGINT;
CREATE INDEX packings_moving ON packings (campaign_id) WHERE move_page_id IS NOT NULL;

-- The pools that a campaign was sent through before its present one: what their providers report still counts.
CREATE TABLE former_pools (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    pool TEXT NOT NULL,
    left_at BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, pool)
);
