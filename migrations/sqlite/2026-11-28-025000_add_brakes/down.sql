DROP TABLE campaign_brakes;
ALTER TABLE page_reports DROP COLUMN refused;
