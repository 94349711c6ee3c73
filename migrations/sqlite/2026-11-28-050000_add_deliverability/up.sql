-- What became of messages by the day on which they were sent, their pool, and the domain of the recipients: the largest domains of a pool and
-- day, and "other". The domain is empty on channels that have none.
CREATE TABLE deliverability (
    -- Days since 1970-01-01, in UTC.
    day BIGINT NOT NULL,
    pool TEXT NOT NULL,
    domain TEXT NOT NULL,
    sent BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    soft_bounced BIGINT NOT NULL,
    hard_bounced BIGINT NOT NULL,
    complained BIGINT NOT NULL,
    PRIMARY KEY (day, pool, domain)
) WITHOUT ROWID;

-- The same as it happens, some rows for each batch of outcomes or reports. Rows are only added, so that no batch waits for another, and are
-- folded into the table above every few seconds.
CREATE TABLE deliverability_news (
    id INTEGER PRIMARY KEY NOT NULL,
    day BIGINT NOT NULL,
    pool TEXT NOT NULL,
    domain TEXT NOT NULL,
    sent BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    soft_bounced BIGINT NOT NULL,
    hard_bounced BIGINT NOT NULL,
    complained BIGINT NOT NULL
);
