-- Attempts that the provider did not simply accept: who asks why a message came late, or not at all, sees what each came to. A row for each
-- attempt that counted, or that left in doubt whether it was accepted; none where the first answer was a yes, and none for what was put
-- off for a trouble that is not the recipient's. Written in the transaction that records the outcome, under the lock of the page. Without a
-- foreign key: its check would lock the campaign after the page.
CREATE TABLE attempts (
    campaign_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    -- The number of the claim, from 1: a delivery is claimed anew for each attempt.
    claim_no INTEGER NOT NULL,
    -- What it came to: the state of the delivery after it.
    state TEXT NOT NULL,
    category TEXT,
    answer_class TEXT,
    reason TEXT,
    -- When it was recorded, in milliseconds since 1970.
    at BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, contact_id, claim_no)
);
