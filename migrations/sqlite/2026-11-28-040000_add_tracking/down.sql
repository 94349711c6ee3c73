DROP TABLE link_followers;
DROP TABLE campaign_links;
ALTER TABLE contacts DROP COLUMN untracked;
ALTER TABLE campaigns DROP COLUMN tracking;
ALTER TABLE templates DROP COLUMN tracking;
