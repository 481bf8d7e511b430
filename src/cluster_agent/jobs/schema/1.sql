-- Version 1. What must be asked across jobs; what a job did stands in its event log.
CREATE TABLE jobs (
    job_id            INTEGER PRIMARY KEY,
    name              TEXT NOT NULL,
    user              TEXT NOT NULL,
    project           TEXT NOT NULL,
    state             TEXT NOT NULL,
    submitted_at      REAL NOT NULL,
    started_at        REAL,
    ended_at          REAL,
    key               TEXT NOT NULL,
    body_sha256       TEXT NOT NULL,
    gpus              INTEGER NOT NULL,
    cpus              INTEGER NOT NULL,
    memory_bytes      INTEGER NOT NULL,
    timeout_s         REAL NOT NULL,
    grace_s           REAL NOT NULL,
    priority          TEXT NOT NULL,
    python            TEXT NOT NULL,
    cluster           TEXT NOT NULL,
    notebook          TEXT NOT NULL,
    retry_of          INTEGER,
    env_names         TEXT NOT NULL,
    log_tag           TEXT NOT NULL,
    nonce             TEXT,
    boot_id           TEXT,
    gpu_ids           TEXT NOT NULL,
    cancel_by         TEXT,
    exit_code         INTEGER,
    signal            TEXT,
    reason            TEXT,
    complete          INTEGER,
    seconds           REAL,
    peak_memory_bytes INTEGER,
    source            TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (user, key);
CREATE INDEX jobs_by_state ON jobs (state, job_id);
CREATE INDEX jobs_by_user ON jobs (user, job_id);

CREATE TABLE tokens (
    token_id     TEXT PRIMARY KEY,
    sha256       TEXT NOT NULL UNIQUE,
    user         TEXT NOT NULL,
    role         TEXT NOT NULL,
    label        TEXT NOT NULL,
    created_at   REAL NOT NULL,
    expires_at   REAL,
    revoked_at   REAL
) STRICT;
