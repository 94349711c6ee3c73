-- Whose trouble a delivery's last refusal was, so that some of those that failed can be tried again.
ALTER TABLE deliveries ADD COLUMN answer_class TEXT;
-- Which of those that failed the pass over the pages takes; NULL takes all.
ALTER TABLE packings ADD COLUMN sweep_class TEXT;
-- The answer that nearly everybody was refused with; set while the campaign is paused for it.
ALTER TABLE campaigns ADD COLUMN refusal_doubt TEXT;
