-- Version 6. Invites; when a token was last used.
ALTER TABLE tokens ADD COLUMN last_used_at REAL;
CREATE TABLE invites (
    invite_id       TEXT PRIMARY KEY,
    sha256          TEXT NOT NULL UNIQUE,
    user            TEXT NOT NULL,
    role            TEXT NOT NULL,
    label           TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    created_at      REAL NOT NULL,
    expires_at      REAL NOT NULL,
    token_expires_s REAL,
    used_at         REAL,
    revoked_at      REAL,
    token_id        TEXT
) STRICT;
