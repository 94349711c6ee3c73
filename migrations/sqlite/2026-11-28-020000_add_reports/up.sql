-- What was reported of a delivery after its hand-over: a bit for each kind of report. No index has it, so that updates stay in place.
ALTER TABLE deliveries ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;

-- Reports by page, so that statistics are a sum over pages. Of each kind: how many deliveries of the page have its bit, and how many
-- reports there were. Opens and clicks by machines have columns of their own. No reference to campaigns: counting locks
-- nothing else.
CREATE TABLE page_reports (
    campaign_id BIGINT NOT NULL,
    page_id BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    delivered_total BIGINT NOT NULL,
    soft_bounced BIGINT NOT NULL,
    soft_bounced_total BIGINT NOT NULL,
    hard_bounced BIGINT NOT NULL,
    hard_bounced_total BIGINT NOT NULL,
    complained BIGINT NOT NULL,
    complained_total BIGINT NOT NULL,
    opened BIGINT NOT NULL,
    opened_total BIGINT NOT NULL,
    machine_opened BIGINT NOT NULL,
    machine_opened_total BIGINT NOT NULL,
    clicked BIGINT NOT NULL,
    clicked_total BIGINT NOT NULL,
    machine_clicked BIGINT NOT NULL,
    machine_clicked_total BIGINT NOT NULL,
    replied BIGINT NOT NULL,
    replied_total BIGINT NOT NULL,
    unsubscribed BIGINT NOT NULL,
    unsubscribed_total BIGINT NOT NULL,
    rejected_later BIGINT NOT NULL,
    rejected_later_total BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, page_id)
) WITHOUT ROWID;
