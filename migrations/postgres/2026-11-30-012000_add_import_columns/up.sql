-- How the columns of an import are read: the tool whose export the file is taken for (null: by the names of the columns alone), and the columns
-- that the client has mapped, as a JSON array of pairs of header and field. An import that goes on after a restart reads the file as before.
-- Rows that say that an address is not written to any more are counted.
ALTER TABLE imports ADD COLUMN preset TEXT
    CHECK (preset IN ('listmonk', 'mailchimp', 'brevo', 'hubspot', 'google', 'outlook'));
ALTER TABLE imports ADD COLUMN mapping TEXT NOT NULL DEFAULT '[]';
ALTER TABLE imports ADD COLUMN rows_suppressed BIGINT NOT NULL DEFAULT 0;
