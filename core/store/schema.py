"""The tables of `state.db`, version by version.

`MIGRATIONS[n]` takes a database from version n to n + 1; `PRAGMA user_version` holds the version. A
migration is never changed once released: a new one follows it.
"""

from __future__ import annotations

VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    batch TEXT NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    asked TEXT NOT NULL,
    why TEXT NOT NULL DEFAULT '',
    actor TEXT NOT NULL,
    created REAL NOT NULL,
    ended REAL,
    tasks INTEGER NOT NULL,
    servers INTEGER NOT NULL,
    params TEXT NOT NULL,
    parent INTEGER,
    halted INTEGER NOT NULL DEFAULT 0,
    undo_scope TEXT
);
CREATE INDEX runs_by_state ON runs (state, number);

CREATE TABLE snapshots (
    run INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
    batch_text TEXT NOT NULL,
    file TEXT NOT NULL,
    digest TEXT NOT NULL,
    document TEXT NOT NULL
);

CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    tasks INTEGER NOT NULL,
    irreversible INTEGER NOT NULL,
    PRIMARY KEY (run, idx)
) WITHOUT ROWID;

CREATE TABLE tasks (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    step TEXT NOT NULL,
    server TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    phase TEXT,
    when_holds INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL,
    exit_status INTEGER,
    signal TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '',
    started REAL,
    ended REAL,
    undo TEXT NOT NULL DEFAULT 'none',
    undo_why TEXT NOT NULL DEFAULT '',
    may_have_run INTEGER NOT NULL DEFAULT 0,
    decision TEXT NOT NULL DEFAULT '',
    decided_by TEXT NOT NULL DEFAULT '',
    last_line TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, idx)
) WITHOUT ROWID;

CREATE TABLE attempts (
    run INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    intent REAL NOT NULL,
    digest TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    ended REAL,
    outcome TEXT NOT NULL DEFAULT '',
    exit_status INTEGER,
    signal TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, idx, purpose, attempt),
    FOREIGN KEY (run, idx) REFERENCES tasks (run, idx) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE output (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    time REAL NOT NULL,
    data BLOB NOT NULL,
    FOREIGN KEY (run, idx) REFERENCES tasks (run, idx) ON DELETE CASCADE
);
CREATE INDEX output_by_task ON output (run, idx, id);

CREATE TABLE output_dropped (
    run INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL,
    total INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (run, idx, purpose, attempt, stream),
    FOREIGN KEY (run, idx) REFERENCES tasks (run, idx) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE registered (
    run INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    sensitive INTEGER NOT NULL,
    PRIMARY KEY (run, idx, name),
    FOREIGN KEY (run, idx) REFERENCES tasks (run, idx) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE holds (
    server TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    PRIMARY KEY (server, run)
) WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    run INTEGER,
    step TEXT,
    server TEXT,
    attempt INTEGER,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_by_run ON events (run, seq) WHERE run IS NOT NULL;
"""

VERSION_2 = """
ALTER TABLE attempts ADD COLUMN folder TEXT NOT NULL DEFAULT '';

CREATE TABLE server_facts (
    server TEXT PRIMARY KEY,
    time REAL NOT NULL,
    supervised INTEGER NOT NULL,
    notes TEXT NOT NULL
) WITHOUT ROWID;
"""

VERSION_3 = """
ALTER TABLE runs ADD COLUMN environment TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN protection TEXT NOT NULL DEFAULT 'none';
CREATE INDEX snapshots_by_digest ON snapshots (digest);
"""

VERSION_4 = """
CREATE TABLE run_keys (
    key TEXT PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    request TEXT NOT NULL
) WITHOUT ROWID;
"""

VERSION_5 = """
CREATE TABLE outlets (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    failing_since REAL,
    why TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    outlet TEXT NOT NULL,
    seq INTEGER NOT NULL,
    time REAL NOT NULL,
    tries INTEGER NOT NULL,
    why TEXT NOT NULL,
    again INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (outlet, seq)
) WITHOUT ROWID;
"""

VERSION_6 = """
ALTER TABLE runs ADD COLUMN controller TEXT NOT NULL DEFAULT '';
CREATE INDEX acts ON events (run, seq) WHERE actor != 'engine';
"""

VERSION_7 = """
CREATE INDEX tasks_by_server ON tasks (server, run);
"""

MIGRATIONS: tuple[str, ...] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
    VERSION_7,
)
VERSION = len(MIGRATIONS)
