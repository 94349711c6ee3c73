-- What happened to all campaigns in a time: the figures of a day. Adding to a minute changes no column of it.
CREATE INDEX campaign_minutes_minute ON campaign_minutes (minute);
