-- Version 7. What jobs compute, so that those are found which do the same.
ALTER TABLE jobs ADD COLUMN work_sha256 TEXT NOT NULL DEFAULT '';
CREATE INDEX jobs_by_work ON jobs (work_sha256, state, job_id);
