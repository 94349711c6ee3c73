-- Which provider a delivery was last claimed for, and in what form its pool sends: an idempotency key means something to that
-- provider alone, and one key never carries two bodies. Null: claimed before this column was there.
ALTER TABLE deliveries ADD COLUMN provider_fingerprint BIGINT;
