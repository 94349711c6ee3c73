-- How many recipients of a campaign failed or are uncertain, by the kind of trouble and by whose trouble it was. Moved in the transaction
-- that moves the page's counts, by what really changed, and before campaign_minutes: a transaction that writes both keeps this order. All values
-- come from short lists, so a campaign has a few dozen rows at most, and nobody deletes them. Why recipients were skipped is in page_skips.
-- Without a foreign key: its check would lock the campaign after the page.
CREATE TABLE campaign_reasons (
    campaign_id BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('failed', 'uncertain')),
    -- As on deliveries. Empty: none.
    category TEXT NOT NULL,
    answer_class TEXT NOT NULL,
    -- Less than 0 where recipients left the state who came into it before this table was there.
    n BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, state, category, answer_class)
);
