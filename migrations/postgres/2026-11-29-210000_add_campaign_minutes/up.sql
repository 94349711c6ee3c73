-- What became of a campaign's messages minute by minute, for the picture of its course. Added to in the transaction that moves the page's
-- counts, by what really changed: one row for each minute and instance, never one for each message. Without a foreign key: its check would
-- lock the campaign after the page. Nobody deletes these rows: a campaign has as many as the minutes in which something happened.
CREATE TABLE campaign_minutes (
    campaign_id BIGINT NOT NULL,
    -- When the minute begins: milliseconds since 1970, a multiple of 60,000.
    minute BIGINT NOT NULL,
    -- Whose lease the page was under. 0: nobody's, as when an operator resolves or a pass skips. -1: the audience was being packed.
    instance_id BIGINT NOT NULL,
    -- How many came into this state. Less than 0 only where a journal corrects a database that went back in time.
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    uncertain BIGINT NOT NULL,
    -- How many attempts ended with a wait for another one.
    deferred BIGINT NOT NULL,
    -- How many left `failed`, and how many left `uncertain`.
    retried BIGINT NOT NULL,
    resolved BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, minute, instance_id)
);
