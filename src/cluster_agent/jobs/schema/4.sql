-- Version 4. What travels with a cell.
ALTER TABLE jobs ADD COLUMN params TEXT NOT NULL DEFAULT '{}';
CREATE TABLE inputs (
    job_id INTEGER PRIMARY KEY,
    inputs TEXT NOT NULL
) STRICT;
