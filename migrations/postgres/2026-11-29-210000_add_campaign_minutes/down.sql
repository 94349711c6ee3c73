DROP TABLE campaign_minutes;
