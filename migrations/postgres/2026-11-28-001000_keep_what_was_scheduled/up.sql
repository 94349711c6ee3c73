-- With which rights a launch time was set, and why the campaign was to be sent then: the launch asks with these, and not with those
-- of its time. An older instance goes on beside this: a time that it sets has neither, and counts as set by an operator, for marketing.
ALTER TABLE campaigns ADD COLUMN scheduled_scope TEXT CHECK (scheduled_scope IN ('ingest', 'read', 'operate', 'admin'));
ALTER TABLE campaigns ADD COLUMN scheduled_category TEXT CHECK (scheduled_category IN ('marketing', 'transactional'));
UPDATE campaigns SET scheduled_category = (SELECT t.category FROM templates AS t WHERE t.id = campaigns.template_id)
WHERE status = 'scheduled' AND template_id IS NOT NULL;
