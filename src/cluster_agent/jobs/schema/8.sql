-- Version 8. What kept a job apart from others.
ALTER TABLE jobs ADD COLUMN isolation TEXT NOT NULL DEFAULT '[]';
