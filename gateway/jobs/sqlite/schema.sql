CREATE TABLE job (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their making
    id          TEXT NOT NULL UNIQUE,
    type        TEXT NOT NULL,
    payload     TEXT,              -- JSON; NULL once it is forgotten
    state       TEXT NOT NULL,
    attempt     INTEGER NOT NULL DEFAULT 0,
    priority    INTEGER NOT NULL,
    run_at      REAL NOT NULL,     -- delayed: when it is due; else since when it is what it is
    created     REAL NOT NULL,
    dedupe      TEXT NOT NULL,
    reason      TEXT NOT NULL DEFAULT '',
    result      TEXT NOT NULL DEFAULT 'null',
    notes       TEXT NOT NULL DEFAULT '{}',
    traceparent TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    token       TEXT NOT NULL DEFAULT '',  -- active: whose it is
    until       REAL NOT NULL DEFAULT 0    -- active: when the lease is over
) STRICT;
CREATE INDEX job_queued ON job (type, priority, run_at) WHERE state = 'queued';
CREATE INDEX job_delayed ON job (type, run_at) WHERE state = 'delayed';
CREATE INDEX job_active ON job (until) WHERE state = 'active';
CREATE INDEX job_done ON job (type, run_at) WHERE state = 'done';
CREATE INDEX job_dead ON job (type, run_at) WHERE state = 'dead';
CREATE INDEX job_parked ON job (type, run_at) WHERE state = 'parked';
CREATE INDEX job_with_payload ON job (run_at) WHERE state = 'done' AND payload IS NOT NULL;

CREATE TABLE dedupe (
    type  TEXT NOT NULL,
    key   TEXT NOT NULL,
    id    TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (type, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_until ON dedupe (until);

CREATE TABLE type (
    name   TEXT PRIMARY KEY,
    wanted REAL NOT NULL DEFAULT 0,     -- when a worker last asked for it
    paused INTEGER NOT NULL DEFAULT 0,
    full   REAL NOT NULL DEFAULT -1,    -- its token bucket: what is in it, and when that was so; -1: never used
    at     REAL NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
    at REAL NOT NULL  -- the last time that was read
) STRICT;
INSERT INTO clock VALUES (0);

CREATE TABLE spool (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL,
    job    TEXT NOT NULL,  -- JSON, as it was asked for
    at     REAL NOT NULL   -- when that was
) STRICT;
CREATE INDEX spool_id ON spool (id);
CREATE INDEX spool_dedupe ON spool (json_extract(job, '$.type'), json_extract(job, '$.dedupe'));
