-- How many deliveries of the page failed at the hand-over because their address does not exist: bounces that no report brings.
ALTER TABLE page_reports ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;

-- Campaigns that were paused because too much came back. Once for each kind: who resumes the campaign has seen it.
CREATE TABLE campaign_brakes (
    campaign_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    -- How many bounces or complaints there were, and of how many messages.
    part BIGINT NOT NULL,
    whole BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    released_at BIGINT,
    PRIMARY KEY (campaign_id, kind)
);
