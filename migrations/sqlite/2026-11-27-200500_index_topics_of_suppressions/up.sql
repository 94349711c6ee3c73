-- Refusals of single topics, which most claims meet none of: one look finds that out for all recipients of a claim.
CREATE INDEX suppressions_topic ON suppressions (topic) WHERE topic <> 0;
