-- Version 5. Runtimes, and environments that are made for a job.
ALTER TABLE jobs ADD COLUMN packages TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN prepare_s REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN runtime TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN environment TEXT NOT NULL DEFAULT '';
