-- How much waiting between tries a campaign's deliveries are given, in milliseconds; NULL: as its pool says.
ALTER TABLE campaigns ADD COLUMN retry_for_ms BIGINT;
