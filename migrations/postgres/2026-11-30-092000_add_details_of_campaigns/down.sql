DROP TABLE campaign_details;
