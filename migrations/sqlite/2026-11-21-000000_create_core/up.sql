-- Everything one instance needs to import people and to send them a campaign.
-- Instants are BIGINT milliseconds since 1970 UTC (docs/adr/0005-instants-are-milliseconds.md).

CREATE TABLE contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    external_id TEXT,
    email TEXT,
    phone TEXT,
    first_name TEXT,
    last_name TEXT,
    timezone TEXT,
    locale TEXT,
    attributes TEXT NOT NULL DEFAULT '{}',
    -- Rises with every change of the fields above.
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX contacts_live_external_id ON contacts (external_id) WHERE deleted_at IS NULL AND external_id IS NOT NULL;
CREATE UNIQUE INDEX contacts_live_email ON contacts (email) WHERE deleted_at IS NULL AND email IS NOT NULL;
CREATE UNIQUE INDEX contacts_live_phone ON contacts (phone) WHERE deleted_at IS NULL AND phone IS NOT NULL;
-- Few rows, so that all live contacts are counted as all less these.
CREATE INDEX contacts_deleted ON contacts (id) WHERE deleted_at IS NOT NULL;

-- Every attribute name that imports or contacts have brought: what a template may ask for.
CREATE TABLE attribute_keys (
    name TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Without foreign keys: checking two for each row took PostgreSQL longer than everything else that an import does.
-- Contacts are never removed for good, and whoever adds members holds their list.
CREATE TABLE list_members (
    list_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (list_id, contact_id)
) WITHOUT ROWID;
CREATE INDEX list_members_contact ON list_members (contact_id);

CREATE TABLE templates (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp', 'http')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);

-- Content never changes once written: an edit is a new version, and a campaign pins the one it launched with.
-- A campaign with content of its own has a version that belongs to no template.
CREATE TABLE template_versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    template_id BIGINT REFERENCES templates (id),
    version BIGINT NOT NULL,
    subject TEXT NOT NULL DEFAULT '',
    body_text TEXT NOT NULL DEFAULT '',
    body_html TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (template_id, version)
);

CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp', 'http')),
    status TEXT NOT NULL CHECK (status IN ('draft', 'scheduled', 'sending', 'paused', 'sent', 'failed', 'stopped')),
    -- Rises with every change of status: a late control message never replaces a newer status.
    status_version BIGINT NOT NULL DEFAULT 1,
    pool TEXT,
    template_id BIGINT REFERENCES templates (id),
    -- Content of its own while a draft; the pinned content from the launch on.
    template_version_id BIGINT REFERENCES template_versions (id),
    audience TEXT,
    on_uncertain TEXT NOT NULL DEFAULT 'hold' CHECK (on_uncertain IN ('hold', 'resend')),
    rate_per_second DOUBLE,
    scheduled_at BIGINT,
    -- Random, minted at launch: the first half of every delivery's idempotency key.
    key TEXT,
    -- A UUID, minted at launch: what every log line about this sending carries.
    correlation_id TEXT,
    outcome TEXT,
    -- Too many recipients could not be rendered: it was paused for that, and perhaps resumed all the same.
    content_doubt TEXT CHECK (content_doubt IN ('raised', 'waived')),
    -- Why the scheduled launch was impossible, for programs and for people.
    launch_error_code TEXT,
    launch_error_detail TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    ended_at BIGINT,
    deleted_at BIGINT
);
CREATE INDEX campaigns_status ON campaigns (status);

-- How far a campaign's audience has been cut into pages.
CREATE TABLE packings (
    campaign_id BIGINT PRIMARY KEY REFERENCES campaigns (id) ON DELETE CASCADE,
    -- Everyone up to this contact is packed.
    cursor_contact_id BIGINT NOT NULL,
    -- The highest contact id at launch: nobody above it belongs to the audience.
    max_contact_id BIGINT NOT NULL,
    next_page BIGINT NOT NULL,
    -- The audience as it was counted at launch.
    expected BIGINT NOT NULL,
    -- Of those packed so far, how many the channel could not reach.
    unreachable BIGINT NOT NULL DEFAULT 0,
    done BOOLEAN NOT NULL,
    -- A resumable pass over the pages that follows a stop or a re-open: what it does, and the last page it has done.
    sweep TEXT CHECK (sweep IN ('skip_pending', 'retry_failed', 'resend_uncertain')),
    sweep_page_id BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX packings_swept ON packings (campaign_id) WHERE sweep IS NOT NULL;

-- The audience's explicit contacts; written at launch in one transaction with the campaign's status.
CREATE TABLE audience_contacts (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    contact_id BIGINT NOT NULL,
    excluded BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (campaign_id, contact_id, excluded)
) WITHOUT ROWID;

CREATE TABLE audience_lists (
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    list_id BIGINT NOT NULL,
    excluded BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (campaign_id, list_id, excluded)
) WITHOUT ROWID;

CREATE TABLE pages (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign_id BIGINT NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    pool TEXT NOT NULL,
    first_contact_id BIGINT NOT NULL,
    last_contact_id BIGINT NOT NULL,
    size BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'done')),
    due_at BIGINT NOT NULL,
    lease_instance_id BIGINT,
    lease_generation BIGINT,
    lease_token BIGINT,
    lease_until BIGINT,
    -- When the lease last claimed or recorded something: a leased page that stands still is taken away.
    progress_at BIGINT,
    -- Deliveries settled under the present lease.
    lease_settled BIGINT NOT NULL DEFAULT 0,
    -- Leases in a row that ended by their owner's death with nothing settled.
    deaths BIGINT NOT NULL DEFAULT 0,
    pending BIGINT NOT NULL,
    sending BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    uncertain BIGINT NOT NULL,
    UNIQUE (campaign_id, seq),
    CHECK (state <> 'leased' OR lease_token IS NOT NULL),
    CHECK (pending >= 0 AND sending >= 0 AND sent >= 0 AND failed >= 0 AND skipped >= 0 AND uncertain >= 0),
    CHECK (pending + sending + sent + failed + skipped + uncertain = size)
);
CREATE INDEX pages_ready ON pages (campaign_id, due_at) WHERE state = 'ready';
CREATE INDEX pages_leased ON pages (id) WHERE state = 'leased';

-- Stored in the order of its key: a page is one run of rows.
CREATE TABLE deliveries (
    campaign_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    page_id BIGINT NOT NULL,
    due_at BIGINT NOT NULL DEFAULT 0,
    token BIGINT,
    provider_key_until BIGINT,
    contact_version BIGINT,
    claimed_at BIGINT,
    settled_at BIGINT,
    claim_no INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    ambiguous BOOLEAN NOT NULL DEFAULT FALSE,
    -- Not `IN`: SQLite would build a table of the six for each row that is written, at twice the cost of the row.
    state TEXT NOT NULL CHECK (
        state = 'pending' OR state = 'sending' OR state = 'sent' OR state = 'failed' OR state = 'skipped'
        OR state = 'uncertain'
    ),
    reason TEXT,
    category TEXT,
    provider_id TEXT,
    PRIMARY KEY (campaign_id, contact_id)
) WITHOUT ROWID;

-- What an attempt said that has to be repeated word for word.
CREATE TABLE delivery_contents (
    campaign_id BIGINT NOT NULL,
    contact_id BIGINT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (campaign_id, contact_id)
) WITHOUT ROWID;

CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    list_id BIGINT REFERENCES lists (id) ON DELETE SET NULL,
    -- The name of the upload's file in the data folder.
    file TEXT NOT NULL,
    -- Rows up to this byte are stored; a restart goes on from here.
    byte_offset BIGINT NOT NULL DEFAULT 0,
    line BIGINT NOT NULL DEFAULT 0,
    rows_read BIGINT NOT NULL DEFAULT 0,
    rows_created BIGINT NOT NULL DEFAULT 0,
    rows_updated BIGINT NOT NULL DEFAULT 0,
    rows_rejected BIGINT NOT NULL DEFAULT 0,
    -- The first hundred rejected rows, as JSON.
    rejected TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL,
    -- The first characters, by which people tell keys apart.
    prefix TEXT NOT NULL,
    -- SHA-256 of a random 256-bit key, in hex.
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);

-- The answer given under an Idempotency-Key. Status 0: the request is under way, or its process died over it.
CREATE TABLE idempotency_keys (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    -- The request that reserved the key, drawn at random: no other one answers under it or lets go of it.
    holder BIGINT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    location TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- One row per incarnation of a process.
CREATE TABLE instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- Stays with the journal's folder: an earlier row with the same slot is a former incarnation of this one.
    slot TEXT NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    stopped_at BIGINT
);
CREATE INDEX instances_slot ON instances (slot, id);
