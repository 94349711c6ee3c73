-- What people agreed to and what they refused: standings on lists, suppressed addresses, the log of both, tags, the keys of links,
-- and what campaigns and templates say about why they send. An older instance can go on beside this schema: every new column has a
-- default that means what that instance does.

-- When the contact was introduced by an import, by the contacts API or by its own act. 0: before this column was there, or by an
-- older instance. Null: known by other means only, such as an event.
ALTER TABLE contacts ADD COLUMN introduced_at BIGINT DEFAULT 0;

-- A list is a topic that people agree to. The slug stands wherever the list's id may. Null: created by an older instance.
ALTER TABLE lists ADD COLUMN slug TEXT;
UPDATE lists SET slug = 'list-' || id;
CREATE UNIQUE INDEX lists_slug ON lists (slug) WHERE slug IS NOT NULL;
-- Counts everybody who was introduced and has not refused.
ALTER TABLE lists ADD COLUMN default_opt_in BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE lists ADD COLUMN double_opt_in BOOLEAN NOT NULL DEFAULT FALSE CHECK (NOT (double_opt_in AND default_opt_in));
-- Shown to people on public pages, under this title and description.
ALTER TABLE lists ADD COLUMN public BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE lists ADD COLUMN public_title TEXT NOT NULL DEFAULT '';
ALTER TABLE lists ADD COLUMN public_description TEXT NOT NULL DEFAULT '';

-- Since when the status holds. Null: since created_at.
ALTER TABLE list_members ADD COLUMN status_at BIGINT;
-- Where the status came from: an import, an API key, a public page.
ALTER TABLE list_members ADD COLUMN source TEXT;
ALTER TABLE list_members ADD COLUMN status TEXT NOT NULL DEFAULT 'subscribed'
    CHECK (status IN ('subscribed', 'unconfirmed', 'unsubscribed', 'moved'));
-- Few rows, so that the counts by standing need not read every member.
CREATE INDEX list_members_others ON list_members (list_id, status) WHERE status <> 'subscribed';

-- Addresses that are not written to: one row for each address, channel and topic, with an instant for each reason. A reason is set and
-- lifted by itself. Topic 0 is everything; another topic is a list's id. Rows go only when every reason of theirs is lifted.
CREATE TABLE suppressions (
    -- In the form that contacts hold it in.
    address TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp', 'http')),
    topic BIGINT NOT NULL DEFAULT 0,
    unsubscribed_at BIGINT,
    complained_at BIGINT,
    bounced_at BIGINT,
    -- Until when a soft bounce keeps messages back.
    soft_until BIGINT,
    blocked_at BIGINT,
    source TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (address, channel, topic)
) WITHOUT ROWID;

-- Domains of email addresses that are not written to, in lower case.
CREATE TABLE blocked_domains (
    domain TEXT PRIMARY KEY NOT NULL,
    blocked_at BIGINT NOT NULL,
    source TEXT
) WITHOUT ROWID;

-- Every change of a standing or of a suppression. Rows are only added.
CREATE TABLE consent_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at BIGINT NOT NULL,
    -- Null: an address without a contact.
    contact_id BIGINT,
    -- Null: everything.
    list_id BIGINT,
    -- The address's channel, where the change is of a suppression.
    channel TEXT,
    -- A standing or a reason of a suppression; null: there was none.
    before TEXT,
    after TEXT,
    source TEXT NOT NULL,
    -- The operator's reason, where one has to be given.
    note TEXT,
    campaign_id BIGINT,
    request_id TEXT,
    -- The refusal's id in the files of refusals, which outlast a restored backup.
    refusal_id TEXT,
    -- Only for a person's own act.
    address TEXT,
    ip TEXT,
    user_agent TEXT
);
CREATE INDEX consent_log_contact ON consent_log (contact_id, id);
CREATE UNIQUE INDEX consent_log_refusal ON consent_log (refusal_id) WHERE refusal_id IS NOT NULL;

CREATE TABLE tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Without foreign keys, like list_members.
CREATE TABLE contact_tags (
    tag_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tag_id, contact_id)
) WITHOUT ROWID;
CREATE INDEX contact_tags_contact ON contact_tags (contact_id);

CREATE TABLE audience_tags (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    tag_id BIGINT NOT NULL,
    excluded BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (campaign_id, tag_id, excluded)
);

-- Why a message is sent. A campaign's is pinned at its launch.
ALTER TABLE templates ADD COLUMN category TEXT NOT NULL DEFAULT 'marketing' CHECK (category IN ('marketing', 'transactional'));
ALTER TABLE campaigns ADD COLUMN category TEXT NOT NULL DEFAULT 'marketing' CHECK (category IN ('marketing', 'transactional'));
-- The list that a campaign is about, where its audience names none. Without a foreign key: a list that is gone is no topic.
ALTER TABLE campaigns ADD COLUMN topic_id BIGINT;
-- The key that signs the links of its messages, pinned at the launch: the same message has the same links.
ALTER TABLE campaigns ADD COLUMN link_kid TEXT;

-- Deliveries that were skipped, by page and reason; written with the skip, in its transaction.
CREATE TABLE page_skips (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    page_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, page_id, reason)
) WITHOUT ROWID;

-- Keys that sign links. The newest signs; the others go on verifying.
CREATE TABLE link_keys (
    kid TEXT PRIMARY KEY NOT NULL,
    -- 32 random bytes in base64url.
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
