DROP TABLE campaign_reasons;
