-- What is tracked of a template's messages.
ALTER TABLE templates ADD COLUMN tracking TEXT NOT NULL DEFAULT 'clicks'
    CHECK (tracking IN ('nothing', 'clicks', 'opens', 'clicks_and_opens'));

-- The same of a campaign. NULL: as its template says, until the launch pins it; of one that an older version launched, nothing.
ALTER TABLE campaigns ADD COLUMN tracking TEXT
    CHECK (tracking IN ('nothing', 'clicks', 'opens', 'clicks_and_opens'));

-- A contact that has said on its own page that it is not to be tracked.
ALTER TABLE contacts ADD COLUMN untracked BOOLEAN NOT NULL DEFAULT FALSE;

-- The links of a campaign that lead through Volley, and their clicks: a row for each link, written by the launch, counted with reports.
CREATE TABLE campaign_links (
    campaign_id BIGINT NOT NULL,
    link BIGINT NOT NULL,
    address TEXT NOT NULL,
    clicks BIGINT NOT NULL DEFAULT 0,
    recipients BIGINT NOT NULL DEFAULT 0,
    machine_clicks BIGINT NOT NULL DEFAULT 0,
    machine_recipients BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, link)
) WITHOUT ROWID;

-- Who has followed a link: so that a recipient counts once.
CREATE TABLE link_followers (
    campaign_id BIGINT NOT NULL,
    link BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    machine BOOLEAN NOT NULL,
    PRIMARY KEY (campaign_id, link, contact_id, machine)
) WITHOUT ROWID;
