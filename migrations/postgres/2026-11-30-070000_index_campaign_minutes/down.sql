DROP INDEX campaign_minutes_minute;
