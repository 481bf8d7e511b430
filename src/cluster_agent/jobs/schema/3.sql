-- Version 3. Cells apart from what is listed; limits and order; what cannot be killed; retention.
CREATE TABLE sources (
    job_id INTEGER PRIMARY KEY,
    source TEXT NOT NULL
) STRICT;
INSERT INTO sources SELECT job_id, source FROM jobs;
ALTER TABLE jobs DROP COLUMN source;
ALTER TABLE jobs ADD COLUMN role TEXT NOT NULL DEFAULT 'user';
ALTER TABLE jobs ADD COLUMN moved_at REAL;
ALTER TABLE jobs ADD COLUMN left_behind TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN disk_bytes INTEGER;
CREATE INDEX jobs_by_name ON jobs (name, job_id);
CREATE INDEX jobs_by_notebook ON jobs (notebook, job_id);
CREATE INDEX jobs_by_end ON jobs (ended_at, job_id);
CREATE INDEX jobs_left_behind ON jobs (job_id) WHERE left_behind <> '[]';
CREATE INDEX jobs_unmeasured ON jobs (job_id) WHERE disk_bytes IS NULL AND ended_at IS NOT NULL;
