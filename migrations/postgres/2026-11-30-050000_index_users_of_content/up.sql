-- Which campaigns use a template, and which were launched to a list: their pages show the newest ones, without reading every campaign.
CREATE INDEX campaigns_template ON campaigns (template_id, id);
CREATE INDEX audience_lists_list ON audience_lists (list_id, campaign_id);
