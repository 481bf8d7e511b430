-- Version 2. Results that a job keeps.
ALTER TABLE jobs ADD COLUMN fetch TEXT NOT NULL DEFAULT '[]';
