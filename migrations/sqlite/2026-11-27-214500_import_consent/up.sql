-- What an import says of consent: that the people have confirmed it, or why refusals are overridden; and what came of it. An older
-- instance goes on beside this: it says nothing of either.
ALTER TABLE imports ADD COLUMN confirmed BOOLEAN NOT NULL DEFAULT FALSE;
-- The operator's reason. Null: refusals stay.
ALTER TABLE imports ADD COLUMN resubscribe_reason TEXT;
-- Contacts that had refused and are subscribed again.
ALTER TABLE imports ADD COLUMN resubscribed BIGINT NOT NULL DEFAULT 0;
-- Rows of contacts that have refused and stay unsubscribed.
ALTER TABLE imports ADD COLUMN stay_refused BIGINT NOT NULL DEFAULT 0;
