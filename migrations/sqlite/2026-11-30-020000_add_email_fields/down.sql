DROP TABLE campaign_email;

ALTER TABLE template_versions DROP COLUMN email;
