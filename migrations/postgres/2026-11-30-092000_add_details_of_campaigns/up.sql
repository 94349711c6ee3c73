-- What a campaign is about, for people; and the values of its own that its content may use, as JSON. A campaign without either has no row.
CREATE TABLE campaign_details (
    campaign_id BIGINT PRIMARY KEY REFERENCES campaigns (id) ON DELETE CASCADE,
    description TEXT NOT NULL,
    props TEXT
);
