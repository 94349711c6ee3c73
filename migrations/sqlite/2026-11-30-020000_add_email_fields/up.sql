-- What an email has beside its words, as JSON: the address that answers go to, and headers. Of a version of a template, and of a campaign, which
-- says more than its template or something else. A campaign without any has no row.
ALTER TABLE template_versions ADD COLUMN email TEXT NOT NULL DEFAULT '{}';

CREATE TABLE campaign_email (
    campaign_id BIGINT PRIMARY KEY REFERENCES campaigns (id),
    email TEXT NOT NULL
);
